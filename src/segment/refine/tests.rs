//! A phantom of closed form through the whole refinement.

use super::*;
use crate::anatomy::Reason;
use crate::random::{Purpose, normal, stream};

/// Share of a voxel within a ball about `middle`, as a ramp of a voxel's width across its surface.
fn within(place: [usize; 3], middle: f64, radius: f64) -> f64 {
    let far = place.iter().map(|&c| (c as f64 - middle).powi(2)).sum::<f64>().sqrt();
    (radius - far + 0.5).clamp(0.0, 1.0)
}

/// A ventricle in white matter in cortex in fluid in air: a head of balls.
struct Phantom {
    side: usize,
    /// Radii of ventricle, white matter, cortex and fluid.
    radii: [f64; 4],
}

const SHELLS: [Structure; 5] = [
    Structure::LeftLateralVentricle,
    Structure::LeftCerebralWhiteMatter,
    Structure::LeftCerebralCortex,
    Structure::Csf,
    Structure::Background,
];

impl Phantom {
    fn middle(&self) -> f64 {
        (self.side as f64 - 1.0) / 2.0
    }

    /// Intensities of the five shells, with a bias of 20 % across the head and noise.
    fn image(&self, intensities: [f64; 5], noise: f32) -> Array3<f32> {
        let side = self.side;
        let draws = normal(&mut stream(5, 0, 0, 0, Purpose::Noise), side * side * side);
        Array3::from_shape_fn((side, side, side), |(z, y, x)| {
            let mut value = intensities[4];
            for shell in (0..4).rev() {
                let part = within([z, y, x], self.middle(), self.radii[shell]);
                value += part * (intensities[shell] - value);
            }
            let bias = 1.0 + 0.2 * (x as f64 / side as f64 - 0.5);
            (value * bias) as f32 + noise * draws[(z * side + y) * side + x]
        })
    }

    /// What a network says that draws every ball `larger` than it is, blurred.
    fn probability(&self, larger: f64) -> Vec<f32> {
        let (side, plane) = (self.side, self.side * self.side);
        let mut probability = vec![0.0; side * STRUCTURES * plane];
        for n in 0..side * plane {
            let place = [n / plane, n / side % side, n % side];
            let far = place.iter().map(|&c| (c as f64 - self.middle()).powi(2)).sum::<f64>().sqrt();
            let beyond = self.radii.map(|radius| 1.0 / (1.0 + (-(far - radius - larger) / 0.7).exp()));
            let mut left = 1.0;
            for shell in (0..5).rev() {
                let p = if shell > 0 { beyond[shell - 1].min(left) } else { left };
                left -= p;
                probability[(place[0] * STRUCTURES + SHELLS[shell].index()) * plane + n % plane] = p as f32;
            }
        }
        probability
    }

    /// Volume of each shell.
    fn truth(&self) -> [f64; 4] {
        let ball = |radius: f64| 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3);
        [0, 1, 2, 3].map(|n| ball(self.radii[n]) - if n > 0 { ball(self.radii[n - 1]) } else { 0.0 })
    }
}

const PHANTOM: Phantom = Phantom { side: 60, radii: [9.0, 19.0, 23.0, 26.0] };
const T1: [f64; 5] = [40.0, 150.0, 100.0, 35.0, 0.0];

fn count(refined: &Refined, structure: Structure) -> f64 {
    refined.labels.iter().filter(|&&label| usize::from(label) == structure.index()).count() as f64
}

/// Balls drawn too large or too small get the volumes that the scan shows, dark or bright the fluid.
#[test]
fn volumes_are_those_of_the_scan() {
    for (intensities, larger) in [(T1, 0.8), (T1, -0.7), ([220.0, 80.0, 130.0, 230.0, 10.0], 0.8)] {
        let image = PHANTOM.image(intensities, 4.0);
        let refined = refine(image.view(), &mut PHANTOM.probability(larger), [1.0; 3]);
        assert_eq!(refined.record.method, RefinementMethod::Intensities);
        assert!(refined.record.fallen_back.is_empty(), "{:?}", refined.record);
        // Shells as thin as these bend within three voxels, which adds to the noise.
        assert!((0.95..1.6).contains(&(refined.record.noise_sd / 4.0)), "{}", refined.record.noise_sd);
        for (shell, truth) in PHANTOM.truth().into_iter().enumerate().take(3) {
            let (counted, held) = (count(&refined, SHELLS[shell]), refined.voxels[SHELLS[shell].index()]);
            let error = [counted / truth - 1.0, held / truth - 1.0];
            assert!(error.iter().all(|e| e.abs() < 0.05), "{:?} {larger}: {error:?}", SHELLS[shell]);
        }
        assert!((refined.voxels.iter().sum::<f64>() - image.len() as f64).abs() < 1.0);
    }
}

/// Fluid as bright as tissue: the ventricle stays the network's, and so does the surface.
#[test]
fn without_contrast_the_network_stays() {
    let image = PHANTOM.image([150.0, 150.0, 100.0, 100.0, 0.0], 4.0);
    let mut probability = PHANTOM.probability(0.8);
    let refined = refine(image.view(), &mut probability, [1.0; 3]);
    let ventricle = Structure::LeftLateralVentricle;
    assert_eq!(refined.record.fallen_back.get(&ventricle), Some(&Reason::NoContrast), "{:?}", refined.record);
    assert!(refined.record.surface_kept);
    let drawn = 4.0 / 3.0 * std::f64::consts::PI * 9.8f64.powi(3);
    assert!((count(&refined, ventricle) / drawn - 1.0).abs() < 0.03);
}

/// A coarse scan's ventricle ends half-way between fluid and tissue.
#[test]
fn coarse_scans_get_midpoints() {
    let image = PHANTOM.image(T1, 4.0);
    let refined = refine(image.view(), &mut PHANTOM.probability(0.8), [2.0, 2.0, 2.0]);
    assert_eq!(refined.record.method, RefinementMethod::IntensitiesAndMidpoints);
    let truth = PHANTOM.truth()[0];
    let held = refined.voxels[Structure::LeftLateralVentricle.index()];
    assert!((held / truth - 1.0).abs() < 0.05, "{held} {truth}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let image = PHANTOM.image(T1, 8.0);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| refine(image.view(), &mut PHANTOM.probability(0.5), [1.5, 1.0, 1.0]))
    };
    let (one, three) = (with(1), with(3));
    assert_eq!((one.labels, one.voxels, one.record), (three.labels, three.voxels, three.record));
}

/// Nothing to see, nothing to say, hardly anything at all.
#[test]
fn odd_scans_keep_the_networks_labels() {
    for image in [Array3::zeros((60, 60, 60)), Array3::from_elem((60, 60, 60), 7.0)] {
        let refined = refine(image.view(), &mut PHANTOM.probability(0.0), [1.0; 3]);
        assert_eq!(refined.record.method, RefinementMethod::None);
        assert!(count(&refined, Structure::LeftCerebralWhiteMatter) > 0.0);
    }
    for shape in [(0, 0, 0), (1, 1, 1), (2, 1, 3), (1, 40, 40), (13, 40, 2)] {
        let voxels = shape.0 * shape.1 * shape.2;
        let image = Array3::from_shape_fn(shape, |(z, y, x)| ((z * 7 + y * 5 + x * 3) % 11) as f32);
        for structure in [Structure::LeftCerebralCortex, Structure::Background, Structure::ThirdVentricle] {
            let mut probability = vec![0.0; STRUCTURES * voxels];
            let plane = shape.1 * shape.2;
            for z in 0..shape.0 {
                probability[(z * STRUCTURES + structure.index()) * plane..][..plane].fill(1.0);
            }
            let refined = refine(image.view(), &mut probability, [1.0, 1.0, 3.0]);
            assert!(refined.labels.iter().all(|&label| usize::from(label) == structure.index()));
            assert!(refined.voxels.iter().all(|voxels| voxels.is_finite()));
        }
    }
}
