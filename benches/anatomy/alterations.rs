//! Changes of scans: some of the anatomy, which a quality check must see, and some that leave it as it is.

use ndarray::{Array3, Axis};
use voxgan::error::Result;
use voxgan::simulate::ageing::{Ageing, Walls};
use voxgan::simulate::degrade::{Degradation, NoiseLevel, RandomBiasField, RandomNoise, simulate};
use voxgan::volume::resample::{Grid, Interpolation, resample};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::meshnet::ClassUnion;

/// A change by its name: a scan and the peer's labels of it in, a scan out.
pub type Alteration = (&'static str, fn(&Volume, &Volume) -> Result<Volume>);

/// What changes the anatomy, or its place.
pub const CHANGES: [Alteration; 5] = [
    ("ventricles +10 %", |scan, labels| Ok(dilated(scan, labels, 1.1))),
    ("ventricles +20 %", |scan, labels| Ok(dilated(scan, labels, 1.2))),
    ("brain +5 %", |scan, _| Ok(scaled(scan, 1.05))),
    ("smoothed by 2 mm", |scan, _| Ok(smoothed(scan, 2.0))),
    ("mirrored, header unchanged", |scan, _| {
        let mut mirrored = scan.clone();
        mirrored.data.invert_axis(Axis(3));
        Ok(mirrored)
    }),
];

/// What leaves the anatomy as it is.
pub const HARMLESS: [Alteration; 3] = [
    ("noise of 3 % of the foreground's mean", |scan, _| noisy(scan, NoiseLevel::Relative([0.03; 2]), 1)),
    ("another bias field", |scan, _| biased(scan)),
    ("a grid half a voxel away", |scan, _| Ok(half_a_voxel_away(scan))),
];

/// Receiver noise. A scanner's noise comes before the mask: what was cut away stays empty.
pub fn noisy(scan: &Volume, level: NoiseLevel, seed: u64) -> Result<Volume> {
    let noise = RandomNoise { level, ..RandomNoise::default() };
    let mut noisy = simulate(scan, &[Degradation::Noise(noise)], seed)?.volume;
    noisy.data.zip_mut_with(&scan.data, |noisy, &x| *noisy = if x == 0.0 { 0.0 } else { *noisy });
    Ok(noisy)
}

/// Another receive field.
pub fn biased(scan: &Volume) -> Result<Volume> {
    let bias = RandomBiasField { order: 3, coefficient: [-0.1, 0.1] };
    Ok(simulate(scan, &[Degradation::BiasField(bias)], 2)?.volume)
}

/// Resampled to a grid that lies half a voxel away along every axis.
pub fn half_a_voxel_away(scan: &Volume) -> Volume {
    let mut grid = Grid::of(scan);
    grid.affine = grid.affine.with_origin_at([0.5; 3]);
    resample(scan, &grid, Interpolation::Cubic)
}

/// The head about its centre, so much larger in volume on the same grid.
fn scaled(scan: &Volume, volume: f64) -> Volume {
    let factor = volume.cbrt();
    let mut grid = Grid::of(scan);
    // The first voxel, seen from the middle, is so much nearer.
    let first = grid.dims.map(|length| 0.5 * (length as f64 - 1.0) * (1.0 - 1.0 / factor));
    let smaller = (0..3).fold(grid.affine, |affine, axis| affine.stretched(axis, 1.0 / factor));
    let origin = grid.affine.world_mm(first);
    grid.affine = VoxelToWorld::from_axes(&smaller.steps_mm(), &origin).expect("a smaller affine");
    Volume { affine: scan.affine, ..resample(scan, &grid, Interpolation::Cubic) }
}

/// A Gaussian of this full width at half maximum.
fn smoothed(scan: &Volume, fwhm_mm: f64) -> Volume {
    let mut smooth = scan.clone();
    for (axis, mm) in scan.spacing_mm().into_iter().enumerate() {
        let sigma = fwhm_mm / 2.354_820 / mm;
        let reach = (4.0 * sigma).ceil() as isize;
        let taps: Vec<f32> =
            (-reach..=reach).map(|x| (-0.5 * (x as f64 / sigma).powi(2)).exp() as f32).collect();
        let sum: f32 = taps.iter().sum();
        for mut lane in smooth.data.lanes_mut(Axis(3 - axis)) {
            let line = lane.to_vec();
            let at = |x: isize| line[x.clamp(0, line.len() as isize - 1) as usize];
            for (x, value) in lane.iter_mut().enumerate() {
                let places = (-reach..=reach).map(|offset| at(x as isize + offset));
                *value = places.zip(&taps).map(|(v, t)| v * t).sum::<f32>() / sum;
            }
        }
    }
    smooth
}

/// The scan with its lateral ventricles (by the labels, inferior horns among them) larger by `factor`.
fn dilated(scan: &Volume, labels: &Volume, factor: f64) -> Volume {
    let numbers = ["lateral_ventricles", "inferior_lateral_ventricles"]
        .map(|name| ClassUnion::named(name).expect("a union").mask(labels));
    let walls = Walls::of_ventricles(&(&numbers[0] | &numbers[1]), scan.spacing_mm());
    let nothing = Array3::zeros(numbers[0].raw_dim());
    let steps = walls.response(nothing.view()).steps(Ageing { ventricles: factor, cortex: 1.0 });
    let mut changed = scan.clone();
    for mut channel in changed.data.outer_iter_mut() {
        let moved = walls.moved(channel.view(), steps);
        channel.assign(&moved);
    }
    changed
}
