//! Degradations: closed forms, torchio at the same numbers, records that replay bit for bit.

use std::f64::consts::PI;

use nalgebra::Matrix4;
use ndarray::{Array3, Array4, s};
use serde_json::Value;
use voxgan::acquisition::ComplexArray;
use voxgan::acquisition::fourier::{fft, ifft};
use voxgan::acquisition::linear::norm;
use voxgan::acquisition::operators::motion::Rigid;
use voxgan::acquisition::operators::slice_profile::{Profile, SliceProfile};
use voxgan::acquisition::sampling::{Axis, Pattern, Seed};
use voxgan::random::{Purpose, stream, uniform};
use voxgan::simulate::degrade::*;
use voxgan::volume::resample::Interpolation;
use voxgan::volume::{ImageGrid, Volume, VoxelToWorld};

/// Random voxels within two of nothing at every border; `dims` and `spacing_mm` along (i, j, k).
fn texture(dims: [usize; 3], spacing_mm: [f64; 3]) -> Volume {
    let [w, h, d] = dims;
    let draws = uniform(&mut stream(1, 0, 0, 0, Purpose::Sampling), w * h * d);
    let within = |i: usize, n: usize| n < 6 || (2..n - 2).contains(&i);
    let data = Array4::from_shape_fn((1, d, h, w), |(_, k, j, i)| {
        let inside = within(i, w) && within(j, h) && within(k, d);
        if inside { 0.2 + draws[(k * h + j) * w + i] } else { 0.0 }
    });
    Volume::new(data, ImageGrid::upright(dims, spacing_mm).unwrap().affine)
}

fn difference(a: &Array4<f32>, b: &Array4<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

fn chain() -> Vec<Degradation> {
    let pattern: Pattern = serde_json::from_value(
        serde_json::json!({ "kind": "partial-fourier", "fraction": 0.75, "end": "high", "axis": "H" }),
    )
    .unwrap();
    vec![
        Degradation::BiasField(RandomBiasField::default()),
        Degradation::Motion(RandomMotion {
            order: ShotOrder::Interleaved { shots: 3 },
            ..Default::default()
        }),
        Degradation::Ghosting(RandomGhosting::default()),
        Degradation::Spikes(RandomSpikes::default()),
        Degradation::Undersampling(RandomUndersampling {
            sampling: Sampling::Pattern(pattern),
            seed: None,
            component: Component::Magnitude,
        }),
        Degradation::ThickSlices(RandomThickSlices { axes: vec![Axis::H], ..Default::default() }),
        Degradation::Noise(RandomNoise::default()),
    ]
}

#[test]
fn records_replay_bit_for_bit_through_json_and_whatever_the_threads() {
    let volume = texture([20, 24, 14], [1.5, 1.0, 2.0]);
    let once = simulate(&volume, &chain(), 7).unwrap();
    let text = serde_json::to_string(&once.records).unwrap();
    let records: Vec<Record> = serde_json::from_str(&text).unwrap();
    assert_eq!(records, once.records);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = pool.install(|| replay(&volume, &records)).unwrap();
    assert_eq!((again.data, again.affine), (once.volume.data.clone(), once.volume.affine));
    let alone = pool.install(|| simulate(&volume, &chain(), 7)).unwrap();
    assert_eq!(alone.volume.data, once.volume.data);
    assert_eq!(alone.records, once.records);
    assert_eq!(once.volume.provenance.steps.len(), 7);
    let other = simulate(&volume, &chain(), 8).unwrap();
    assert_ne!(other.records, once.records);
    // A link keeps its numbers when others change.
    let mut changed = chain();
    changed[0] = Degradation::BiasField(RandomBiasField { order: 1, ..Default::default() });
    let changed = simulate(&volume, &changed, 7).unwrap();
    assert_eq!(changed.records[2].applied, once.records[2].applied);
}

#[test]
fn recipes_name_kinds_and_leave_out_defaults() {
    let recipe = "[[degradation]]\nkind = \"motion\"\nmoves = 3\nrotation_deg = [-2, 2]\naxes = [\"H\"]\n\
                  [[degradation]]\nkind = \"noise\"\nlevel = { snr = [5, 5] }\n";
    let mut table: std::collections::BTreeMap<String, Vec<Degradation>> = toml::from_str(recipe).unwrap();
    let chain = table.remove("degradation").unwrap();
    let motion =
        RandomMotion { moves: 3, rotation_deg: [-2.0, 2.0], axes: vec![Axis::H], ..Default::default() };
    assert_eq!(chain[0], Degradation::Motion(motion));
    assert!(toml::from_str::<Degradation>("kind = \"motion\"\nangle = 3").is_err());
}

#[test]
fn ranges_that_make_no_sense_and_damaged_records_are_refused() {
    let volume = texture([8, 8, 1], [1.0; 3]);
    let refused = |degradation| simulate(&volume, &[degradation], 0).unwrap_err().to_string();
    let ghosting = RandomGhosting { strength: [1.0, 0.5], ..Default::default() };
    assert!(refused(Degradation::Ghosting(ghosting)).contains("strength"));
    let ghosting = RandomGhosting { axes: vec![Axis::D], ..Default::default() };
    assert!(refused(Degradation::Ghosting(ghosting)).contains("axes"));
    let noise = RandomNoise { level: NoiseLevel::Snr([0.0, 1.0]), ..Default::default() };
    assert!(refused(Degradation::Noise(noise)).contains("snr"));
    let motion = RandomMotion { rotation_deg: [f64::NAN, 1.0], ..Default::default() };
    assert!(refused(Degradation::Motion(motion)).contains("rotation_deg"));
    let motion = RandomMotion { order: ShotOrder::Interleaved { shots: 0 }, ..Default::default() };
    assert!(refused(Degradation::Motion(motion)).contains("shots"));
    let mask = MaskRuns { shape: [1, 3, 8], runs: vec![0, 24] };
    let mask = RandomUndersampling { sampling: Sampling::Mask(mask), seed: None, component: Component::Real };
    assert!(refused(Degradation::Undersampling(mask)).contains("mask"));
    let flat = Volume::new(Array4::zeros((1, 4, 4, 4)), VoxelToWorld::identity());
    assert!(simulate(&flat, &[Degradation::Noise(RandomNoise::default())], 0).is_err());
    let mut holed = volume.clone();
    holed.data[[0, 0, 3, 3]] = f32::NAN;
    assert!(simulate(&holed, &[Degradation::Spikes(RandomSpikes::default())], 0).is_err());
    for applied in [
        Applied::BiasField(BiasField { order: 3, coefficients: vec![0.0; 19] }),
        Applied::BiasField(BiasField { order: 1 << 40, coefficients: vec![] }),
        Applied::Ghosting(Ghosting {
            axis: Axis::H,
            ghosts: 0,
            strength: 0.5,
            restored: 0.0,
            component: Component::Real,
        }),
        Applied::Spikes(Spikes {
            positions: vec![[0.5, 7.0, 0.5]],
            strength: 1.0,
            component: Component::Real,
        }),
        Applied::Noise(Noise { distribution: Distribution::Rician, sigma: -1.0, reference: None, seed: 0 }),
        Applied::Motion(Motion {
            axis: Axis::W,
            times: vec![0.5],
            poses: vec![Rigid::IDENTITY],
            order: ShotOrder::Sequential,
            component: Component::Real,
        }),
    ] {
        assert!(applied.apply(&volume).is_err(), "{applied:?}");
    }
}

struct Torchio {
    document: Value,
    volume: Volume,
}

impl Torchio {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/mri/degrade/torchio.json");
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let dims: [usize; 3] = serde_json::from_value(document["dims"].clone()).unwrap();
        let spacing_mm: [f64; 3] = serde_json::from_value(document["spacing_mm"].clone()).unwrap();
        let affine = Matrix4::from_diagonal(&[spacing_mm[0], spacing_mm[1], spacing_mm[2], 1.0].into());
        let affine = VoxelToWorld::new(affine).unwrap();
        let mut read =
            Self { document, volume: Volume::new(Array4::zeros((1, dims[2], dims[1], dims[0])), affine) };
        read.volume.data = read.data("image");
        read
    }

    fn data(&self, key: &str) -> Array4<f32> {
        let values: Vec<f32> = serde_json::from_value(self.document[key].clone()).unwrap();
        Array4::from_shape_vec(self.volume.data.dim(), values).unwrap()
    }

    fn agrees(&self, key: &str, applied: &Applied) {
        let found = applied.apply(&self.volume).unwrap().volume.data;
        let worst = difference(&found, &self.data(key));
        assert!(worst < 2e-6, "{key}: off by {worst}");
        assert!(difference(&found, &self.volume.data) > 0.01, "{key} does something");
    }
}

#[test]
fn torchio_does_the_same_at_the_same_numbers() {
    let torchio = Torchio::read();
    let ghosting = |axis, ghosts, strength, restored| {
        Applied::Ghosting(Ghosting { axis, ghosts, strength, restored, component: Component::Real })
    };
    torchio.agrees("ghosting_i", &ghosting(Axis::W, 4, 0.7, 0.2));
    torchio.agrees("ghosting_k", &ghosting(Axis::D, 3, 1.0, 0.0));
    let positions = vec![[8.5 / 12.0, 5.5 / 10.0, 6.5 / 8.0]];
    torchio
        .agrees("spikes", &Applied::Spikes(Spikes { positions, strength: 1.5, component: Component::Real }));
    let coefficients = serde_json::from_value(torchio.document["coefficients"].clone()).unwrap();
    torchio.agrees("bias_field", &Applied::BiasField(BiasField { order: 3, coefficients }));
    // ITK reads a voxel of the output at p + t in LPS: in RAS the object is shifted by (t_x, t_y, −t_z). torchio swaps the
    // identity, which comes first, for the pose of the slab with the centre.
    let pose = |translation_mm| Rigid { translation_mm, ..Rigid::IDENTITY };
    let motion = Motion {
        axis: Axis::D,
        times: vec![0.3, 0.7],
        poses: vec![pose([1.0, 0.0, 2.0]), Rigid::IDENTITY, pose([0.0, 1.5, -2.0])],
        order: ShotOrder::Sequential,
        component: Component::Real,
    };
    torchio.agrees("motion", &Applied::Motion(motion));
}

#[test]
fn a_whole_voxel_shift_of_a_slab_is_a_phase_ramp() {
    let volume = texture([16, 15, 12], [1.5, 1.0, 2.0]);
    let shift = Rigid { translation_mm: [-1.5, 2.0, 2.0], ..Rigid::IDENTITY };
    for order in [ShotOrder::Sequential, ShotOrder::Interleaved { shots: 4 }] {
        let motion = Motion {
            axis: Axis::H,
            times: vec![0.6],
            poses: vec![Rigid::IDENTITY, shift],
            order,
            component: Component::Real,
        };
        let found = motion.apply(&volume).unwrap();
        let mut k =
            volume.data.slice(s![0, .., .., ..]).mapv(|v| num_complex::Complex32::new(v, 0.0)).into_dyn();
        fft(&mut k, &[0, 1, 2]);
        let before = k.clone();
        // Planes in the order of measurement; the first nine (0.6 · 15) are measured in the first pose.
        let planes: Vec<usize> = match order {
            ShotOrder::Sequential => (0..15).collect(),
            ShotOrder::Interleaved { shots } => (0..shots).flat_map(|s| (s..15).step_by(shots)).collect(),
        };
        for &plane in &planes[9..] {
            for d in 0..12 {
                for w in 0..16 {
                    let at = |index: usize, n: usize| (index as f64 - (n / 2) as f64) / n as f64;
                    let cycles = -at(w, 16) + 2.0 * at(plane, 15) + at(d, 12);
                    let ramp = num_complex::Complex64::cis(-2.0 * PI * cycles);
                    k[[d, plane, w]] *= num_complex::Complex32::new(ramp.re as f32, ramp.im as f32);
                }
            }
        }
        let change: ComplexArray = &k - &before;
        let energy = (norm(&change) / norm(&before)).powi(2);
        assert!((found.displaced_energy.unwrap() / energy - 1.0).abs() < 1e-4);
        ifft(&mut k, &[0, 1, 2]);
        for (found, expected) in found.volume.data.iter().zip(&k) {
            assert!((found - expected.re).abs() < 2e-6, "{order:?}: {found} {expected}");
        }
    }
}

#[test]
fn motion_draws_hold_the_centre_of_k_space_still() {
    let volume = texture([16, 18, 20], [1.0; 3]);
    for order in [ShotOrder::Sequential, ShotOrder::Interleaved { shots: 4 }] {
        let random = RandomMotion { moves: 4, order, jitter: 0.5, ..Default::default() };
        let mut axes = Vec::new();
        for sample in 0..40 {
            let motion = random.draw(&volume, &mut stream(3, 0, 0, sample, Purpose::Degradation)).unwrap();
            assert!(motion.times.is_sorted() && motion.poses.len() == 5);
            let shots = motion.shots([20, 18, 16]).unwrap();
            let centre = usize::from(shots.shot_of[[10, 9, 8]]);
            assert_eq!(shots.transforms[centre], Rigid::IDENTITY);
            let others = motion.poses.iter().filter(|pose| **pose != Rigid::IDENTITY);
            for pose in others.clone() {
                assert!(pose.rotation_deg.iter().chain(&pose.translation_mm).all(|x| x.abs() <= 10.0));
            }
            assert_eq!(others.count(), 4);
            axes.push(motion.axis);
        }
        assert!(axes.contains(&Axis::D) && axes.contains(&Axis::W));
    }
    let slice = texture([16, 18, 1], [1.0; 3]);
    let still = RandomMotion::default().draw(&slice, &mut stream(4, 0, 0, 0, Purpose::Degradation)).unwrap();
    assert!(still.apply(&slice).unwrap().displaced_energy.unwrap() > 0.0);
    assert!(still.poses.iter().all(|p| p.translation_mm[2] == 0.0 && p.rotation_deg[..2] == [0.0, 0.0]));
}

#[test]
fn without_motion_nothing_changes() {
    let volume = texture([16, 18, 5], [1.0; 3]);
    let random = RandomMotion { rotation_deg: [0.0; 2], translation_mm: [0.0; 2], ..Default::default() };
    let found = simulate(&volume, &[Degradation::Motion(random)], 1).unwrap();
    assert!(difference(&found.volume.data, &volume.data) < 1e-6);
    assert_eq!(found.records[0].displaced_energy, Some(0.0));
}

#[test]
fn noise_has_the_moments_of_its_distribution() {
    let n = 64;
    let noise = |level: f32, distribution| {
        let volume = Volume::new(Array4::from_elem((1, n, n, n), level), VoxelToWorld::identity());
        let noise = Noise { distribution, sigma: 2.0, reference: None, seed: 5 };
        let values = noise.apply(&volume).unwrap().volume.data;
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance)
    };
    // Five standard errors of mean (σ/√N) and, for the Gaussian, variance (σ²·√(2/N)), N = 64³.
    let error = 2.0 / 512.0;
    let (mean, variance) = noise(10.0, Distribution::Gaussian);
    assert!((mean - 10.0).abs() < 5.0 * error && (variance - 4.0).abs() < 5.0 * 4.0 * 2f64.sqrt() / 512.0);
    // Rayleigh: σ√(π/2) and (2 − π/2)σ².
    let (mean, variance) = noise(0.0, Distribution::Rician);
    assert!((mean - 2.0 * (PI / 2.0).sqrt()).abs() < 5.0 * error, "{mean}");
    assert!((variance - (2.0 - PI / 2.0) * 4.0).abs() < 0.05, "{variance}");
    let (mean, variance) = noise(3.0, Distribution::Rician);
    assert!((mean - RICE_MEAN).abs() < 5.0 * error, "{mean}");
    assert!((variance - RICE_VARIANCE).abs() < 0.06, "{variance}");
}

/// `scipy.stats.rice(1.5, scale=2).stats()`.
const RICE_MEAN: f64 = 3.749871499;
const RICE_VARIANCE: f64 = 2.938463742;

#[test]
fn noise_is_reckoned_from_the_foreground() {
    let mut volume = texture([20, 20, 20], [1.0; 3]);
    volume.data.mapv_inplace(|v| if v > 0.0 { 50.0 } else { 0.0 });
    let random = RandomNoise { distribution: Distribution::Gaussian, level: NoiseLevel::Snr([20.0, 20.0]) };
    let noise = random.draw(&volume, &mut stream(1, 0, 0, 0, Purpose::Degradation)).unwrap();
    assert_eq!((noise.sigma, noise.reference), (2.5, Some(50.0)));
    let random = RandomNoise { level: NoiseLevel::Relative([0.1, 0.1]), ..random };
    let noise = random.draw(&volume, &mut stream(1, 0, 0, 0, Purpose::Degradation)).unwrap();
    assert!((noise.sigma - 5.0).abs() < 1e-12);
}

#[test]
fn a_bias_field_is_its_polynomial() {
    let volume = Volume::new(Array4::from_elem((2, 3, 5, 9), 1.0), VoxelToWorld::identity());
    // 1, z, z², y, yz, y², x, xz, xy, x²
    let coefficients = vec![0.1, 0.2, -0.3, 0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -0.25];
    let field = BiasField { order: 2, coefficients }.apply(&volume).unwrap().volume.data;
    let at = |x: f64, y: f64, z: f64| {
        let log = 0.1 + 0.2 * z - 0.3 * z * z + 0.4 * y + 0.5 * y * z - 0.6 * y * y + 0.7 * x - 0.8 * x * z
            + 0.9 * x * y
            - 0.25 * x * x;
        log.exp() as f32
    };
    for ([c, d, h, w], expected) in [
        ([0, 1, 2, 4], at(0.0, 0.0, 0.0)),
        ([0, 0, 0, 0], at(-1.0, -1.0, -1.0)),
        ([1, 2, 4, 8], at(1.0, 1.0, 1.0)),
        ([1, 2, 1, 6], at(0.5, -0.5, 1.0)),
    ] {
        assert!((field[[c, d, h, w]] / expected - 1.0).abs() < 1e-6);
    }
}

#[test]
fn thick_slices_keep_the_mean_and_the_place() {
    // A blob off the centre of an oblique, anisotropic grid.
    let (sin, cos) = 0.3f64.sin_cos();
    let mut affine = Matrix4::identity();
    affine.fixed_view_mut::<3, 3>(0, 0).copy_from(&nalgebra::Matrix3::new(
        0.9 * cos,
        -1.1 * sin,
        0.0,
        0.9 * sin,
        1.1 * cos,
        0.0,
        0.0,
        0.0,
        1.3,
    ));
    affine.fixed_view_mut::<3, 1>(0, 3).copy_from(&nalgebra::Vector3::new(-30.0, 12.0, 5.0));
    let data = Array4::from_shape_fn((1, 48, 40, 36), |(_, d, h, w)| {
        let r2 = (w as f64 - 16.3).powi(2) + (h as f64 - 21.6).powi(2) + (d as f64 - 22.2).powi(2);
        (-r2 / (2.0 * 16.0)).exp() as f32
    });
    let volume = Volume::new(data, VoxelToWorld::new(affine).unwrap());
    let centroid = |volume: &Volume| {
        let (mut sum, mut at) = (0.0, [0.0; 3]);
        for ((_, d, h, w), &value) in volume.data.indexed_iter() {
            let world = volume.world_mm([w as f64, h as f64, d as f64]);
            sum += f64::from(value);
            (0..3).for_each(|a| at[a] += world[a] * f64::from(value));
        }
        at.map(|x| x / sum)
    };
    let expected = centroid(&volume);
    for (axis, length) in [(0, 48), (1, 40), (2, 36)] {
        for profile in [Profile::Boxcar { width_voxels: 4.0 }, Profile::Gaussian { fwhm_voxels: 4.0 }] {
            let slices = SliceProfile { axis, factor: 4, profile };
            let thick = ThickSlices { slices: slices.clone(), back: None };
            let found = thick.apply(&volume).unwrap().volume;
            assert_eq!(found.data.shape()[1 + axis], length / 4);
            let spacing_mm = found.spacing_mm();
            assert!((spacing_mm[2 - axis] / volume.spacing_mm()[2 - axis] - 4.0).abs() < 1e-12);
            let mean = |v: &Volume| v.data.iter().map(|&x| f64::from(x)).sum::<f64>() / v.data.len() as f64;
            assert!((mean(&found) / mean(&volume) - 1.0).abs() < 1e-3);
            let at = centroid(&found);
            assert!((0..3).all(|a| (at[a] - expected[a]).abs() < 0.02), "axis {axis}: {at:?} {expected:?}");
            let thick = ThickSlices { slices, back: Some(Interpolation::Linear) };
            let back = thick.apply(&volume).unwrap().volume;
            assert_eq!((back.dims(), back.affine), (volume.dims(), volume.affine));
            let at = centroid(&back);
            assert!((0..3).all(|a| (at[a] - expected[a]).abs() < 0.05), "axis {axis}: {at:?} {expected:?}");
        }
    }
    // In millimetres: 5 + 1.5 mm of 1.3 mm voxels are 5 voxels a slice.
    let random = RandomThickSlices { thickness_mm: [5.0; 2], gap_mm: [1.5; 2], ..Default::default() };
    let drawn = random.draw(&volume, &mut stream(1, 0, 0, 0, Purpose::Degradation)).unwrap();
    assert_eq!((drawn.slices.axis, drawn.slices.factor), (0, 5));
}

#[test]
fn undersampling_is_the_zero_filled_image() {
    let volume = texture([12, 10, 6], [1.0; 3]);
    let mask = Array3::from_shape_fn((1, 10, 12), |(_, h, w)| (h * 7 + w * 5) % 3 != 0 || h == 5);
    let random = RandomUndersampling {
        sampling: Sampling::Mask(MaskRuns::from(&mask)),
        seed: None,
        component: Component::Magnitude,
    };
    let found = simulate(&volume, &[Degradation::Undersampling(random)], 0).unwrap();
    // Slice by slice, which for such a mask is the same as in 3D.
    for d in 0..6 {
        let mut k =
            volume.data.slice(s![0, d, .., ..]).mapv(|v| num_complex::Complex32::new(v, 0.0)).into_dyn();
        fft(&mut k, &[0, 1]);
        k.iter_mut().zip(&mask).filter(|(_, sampled)| !**sampled).for_each(|(z, _)| *z = Default::default());
        ifft(&mut k, &[0, 1]);
        for (found, expected) in found.volume.data.slice(s![0, d, .., ..]).iter().zip(&k) {
            assert!((found - expected.norm()).abs() < 2e-6);
        }
    }
    let energy = found.records[0].displaced_energy.unwrap();
    assert!(energy > 0.0 && energy < 1.0);
    let pattern: Pattern = serde_json::from_value(
        serde_json::json!({ "kind": "partial-fourier", "fraction": 1.0, "end": "low", "axis": "D" }),
    )
    .unwrap();
    let full = Undersampling {
        sampling: Sampling::Pattern(pattern),
        seed: Seed::Number(1),
        component: Component::Real,
    };
    assert!(difference(&full.apply(&volume).unwrap().volume.data, &volume.data) < 1e-6);
}
