//! Changes of scans: some of the anatomy, which a gate must see, and some that leave it as it is.

use ndarray::{Array3, Axis};
use voxgan::anatomy::overlap::distance_transform_mm;
use voxgan::error::Result;
use voxgan::mri::degrade::{Degradation, RandomBiasField, RandomNoise, simulate};
use voxgan::pretrained::meshnet::ClassUnion;
use voxgan::volume::Volume;
use voxgan::volume::resample::{Grid, Interpolation, resample};

/// How far a displacement at the wall of the ventricles reaches, in millimetres.
const REACH_MM: f32 = 6.0;

/// A change by its name: a scan and the peer's labels of it in, a scan out.
pub type Alteration = (&'static str, fn(&Volume, &Volume) -> Result<Volume>);

/// What changes the anatomy, or its place.
pub const CHANGES: [Alteration; 4] = [
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
    ("noise of 3 % of the foreground's mean", |scan, _| {
        let noise: RandomNoise =
            serde_json::from_value(serde_json::json!({ "level": { "relative": [0.03, 0.03] } }))
                .expect("a degradation");
        let mut noisy = simulate(scan, &[Degradation::Noise(noise)], 1)?.volume;
        // A scanner's noise comes before the mask: what was cut away stays empty.
        noisy.data.zip_mut_with(&scan.data, |noisy, &x| *noisy = if x == 0.0 { 0.0 } else { *noisy });
        Ok(noisy)
    }),
    ("another bias field", |scan, _| {
        let bias = RandomBiasField { order: 3, coefficient: [-0.1, 0.1] };
        Ok(simulate(scan, &[Degradation::BiasField(bias)], 2)?.volume)
    }),
    ("a grid half a voxel away", |scan, _| {
        let mut grid = Grid::of(scan);
        for axis in 0..3 {
            let half = grid.affine.column(axis) * 0.5;
            let moved = grid.affine.column(3) + half;
            grid.affine.set_column(3, &moved);
        }
        Ok(resample(scan, &grid, Interpolation::Cubic))
    }),
];

/// The head about its centre, so much larger in volume on the same grid.
fn scaled(scan: &Volume, volume: f64) -> Volume {
    let factor = volume.cbrt();
    let mut grid = Grid::of(scan);
    let [w, h, d] = grid.dims.map(|length| (length as f64 - 1.0) / 2.0);
    let centre = grid.affine * nalgebra::Vector4::new(w, h, d, 1.0);
    for axis in 0..3 {
        let column = grid.affine.column(axis) / factor;
        grid.affine.set_column(axis, &column);
    }
    let mut origin = centre;
    for (axis, middle) in [w, h, d].into_iter().enumerate() {
        origin -= grid.affine.column(axis) * middle;
    }
    grid.affine.set_column(3, &origin);
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

/// The scan with its lateral ventricles (by the labels, inferior horns among them) larger by `factor`: a displacement along
/// the distance to their wall that fades with it.
fn dilated(scan: &Volume, labels: &Volume, factor: f64) -> Volume {
    let numbers = ["lateral_ventricles", "inferior_lateral_ventricles"]
        .map(|name| ClassUnion::named(name).expect("a union").mask(labels));
    let inside: Array3<bool> = &numbers[0] | &numbers[1];
    let spacing = scan.spacing_mm();
    let (to, from) = (
        distance_transform_mm(inside.view(), spacing),
        distance_transform_mm(inside.mapv(|x| !x).view(), spacing),
    );
    // Negative inside; the wall lies between voxels.
    let phi = ndarray::Zip::from(&to).and(&from).map_collect(|&to, &from| to - from);
    let pixel = spacing.into_iter().fold(f64::INFINITY, f64::min) as f32;
    let volume =
        |phi: &Array3<f32>| phi.iter().map(|&x| f64::from((0.5 - x / pixel).clamp(0.0, 1.0))).sum::<f64>();
    let wanted = factor * volume(&phi);
    let (mut low, mut high) = (0.0f32, 3.0f32);
    for _ in 0..20 {
        let middle = (low + high) / 2.0;
        let moved = warped(&phi, &phi, middle, spacing);
        if volume(&moved) < wanted { low = middle } else { high = middle }
    }
    let mut changed = scan.clone();
    let image = scan.data.index_axis(Axis(0), 0).to_owned();
    changed.data.index_axis_mut(Axis(0), 0).assign(&warped(&image, &phi, low, spacing));
    changed
}

/// `image` taken from where the displacement of `step` millimetres at the wall of `phi` comes from.
fn warped(image: &Array3<f32>, phi: &Array3<f32>, step: f32, spacing: [f64; 3]) -> Array3<f32> {
    let shape: [usize; 3] = phi.dim().into();
    let mm = [spacing[2], spacing[1], spacing[0]].map(|mm| mm as f32);
    let near = |at: [usize; 3], axis: usize, offset: isize| {
        let mut at = at;
        at[axis] = (at[axis] as isize + offset).clamp(0, shape[axis] as isize - 1) as usize;
        phi[at]
    };
    Array3::from_shape_fn(phi.dim(), |(z, y, x)| {
        let at = [z, y, x];
        let size = step * (-(phi[at] / REACH_MM).powi(2)).exp();
        if size < 1e-3 {
            return image[at];
        }
        let slope = [0, 1, 2].map(|axis| (near(at, axis, 1) - near(at, axis, -1)) / (2.0 * mm[axis]));
        let length = slope.iter().map(|s| s * s).sum::<f32>().sqrt().max(1e-3);
        let source = [0, 1, 2].map(|axis| at[axis] as f32 - size * slope[axis] / length / mm[axis]);
        linear(image, source)
    })
}

/// Linear interpolation; beyond the edge, the edge.
fn linear(image: &Array3<f32>, at: [f32; 3]) -> f32 {
    let shape: [usize; 3] = image.dim().into();
    let at = [0, 1, 2].map(|axis| at[axis].clamp(0.0, shape[axis] as f32 - 1.0));
    let mut sum = 0.0;
    for corner in 0..8usize {
        let bits = [corner >> 2 & 1, corner >> 1 & 1, corner & 1];
        let mut weight = 1.0;
        let place = [0, 1, 2].map(|axis| {
            let part = at[axis].fract();
            weight *= if bits[axis] == 1 { part } else { 1.0 - part };
            (at[axis] as usize + bits[axis]).min(shape[axis] - 1)
        });
        sum += weight * image[place];
    }
    sum
}
