//! Copies of a scan that hold the same anatomy: turned, moved, resampled, with noise, with values that no scanner should give.

use nalgebra::{Rotation3, Vector3};
use voxgan::error::Result;
use voxgan::simulate::degrade::NoiseLevel;
use voxgan::volume::crop::{Centre, crop_pad};
use voxgan::volume::resample::{Grid, Interpolation, resample, resample_spacing};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::alterations::{biased, half_a_voxel_away, noisy};

/// Air added at every side of a turned scan in millimetres, so that no brain leaves the field of view.
const AROUND_MM: f64 = 44.0;

/// Makes a copy of a scan.
type Make = Box<dyn Fn(&Volume) -> Result<Volume>>;

/// A change of a scan that leaves the anatomy as it is.
pub struct Copy {
    pub name: String,
    pub make: Make,
}

fn copy(name: impl Into<String>, make: impl Fn(&Volume) -> Result<Volume> + 'static) -> Copy {
    Copy { name: name.into(), make: Box::new(make) }
}

/// What a second scan of the same day would differ by.
pub fn repeats() -> Vec<Copy> {
    vec![
        copy("turned 7°, −9°, 5°", |scan| Ok(turned(scan, [7.0, -9.0, 5.0]))),
        copy("half a voxel away", |scan| Ok(half_a_voxel_away(scan))),
        copy("noise of 3 %", |scan| noisy(scan, NoiseLevel::Relative([0.03; 2]), 1)),
        copy("another bias field", biased),
        copy("0.9 mm", |scan| Ok(resample_spacing(scan, [0.9; 3], Interpolation::Cubic))),
        copy("1.2 mm", |scan| Ok(resample_spacing(scan, [1.2; 3], Interpolation::Cubic))),
    ]
}

/// Heads that lie crooked.
pub fn tilts() -> Vec<Copy> {
    [10.0, 25.0]
        .into_iter()
        .flat_map(|degrees| {
            ["x", "y", "z"].into_iter().enumerate().map(move |(axis, name)| {
                let mut angles = [0.0; 3];
                angles[axis] = degrees;
                copy(format!("{degrees}° about {name}"), move |scan| Ok(turned(scan, angles)))
            })
        })
        .collect()
}

/// Values that no scanner should give and some files have.
pub fn odds() -> Vec<Copy> {
    vec![
        copy("one voxel of 1000 × the maximum", |scan| {
            let mut odd = scan.clone();
            let (_, d, h, w) = odd.data.dim();
            odd.data[[0, d / 2, h / 2, w / 2]] = 1000.0 * maximum(scan);
            Ok(odd)
        }),
        copy("a hot slice at the edge", |scan| {
            let mut odd = scan.clone();
            odd.data.slice_mut(ndarray::s![0, 0, .., ..]).fill(10.0 * maximum(scan));
            Ok(odd)
        }),
        copy("air at −1024", |scan| {
            let mut odd = scan.clone();
            odd.data.mapv_inplace(|x| if x == 0.0 { -1024.0 } else { x });
            Ok(odd)
        }),
        copy("scaled by 1e-6", |scan| Ok(scaled(scan, 1e-6))),
        copy("scaled by 1e6", |scan| Ok(scaled(scan, 1e6))),
    ]
}

fn maximum(scan: &Volume) -> f32 {
    scan.data.iter().fold(0.0, |most, &x| most.max(x))
}

fn scaled(scan: &Volume, factor: f32) -> Volume {
    let mut scaled = scan.clone();
    scaled.data.mapv_inplace(|x| x * factor);
    scaled
}

/// The head turned about the middle of the scan, by degrees about x, then y, then z, on a larger grid of the same axes.
fn turned(scan: &Volume, degrees: [f64; 3]) -> Volume {
    let (dims, mm) = (scan.dims(), scan.spacing_mm());
    let larger = [0, 1, 2].map(|axis| dims[axis] + 2 * (AROUND_MM / mm[axis]).ceil() as usize);
    let wide = crop_pad(scan, larger, Centre::Grid, 0.0);
    let [x, y, z] = degrees.map(f64::to_radians);
    // The grid turns one way for the head to turn the other.
    let turn = Rotation3::from_euler_angles(x, y, z).inverse();
    let middle = Vector3::from(wide.world_mm(larger.map(|length| (length as f64 - 1.0) / 2.0)));
    let mut grid = Grid::of(&wide);
    let around = nalgebra::Translation3::from(middle).to_homogeneous()
        * turn.to_homogeneous()
        * nalgebra::Translation3::from(-middle).to_homogeneous();
    grid.affine = VoxelToWorld::new(around * *grid.affine).expect("a turned affine");
    let mut turned = resample(&wide, &grid, Interpolation::Cubic);
    // Beside edges cubic interpolation overshoots; magnitudes are never negative.
    if scan.data.iter().all(|&x| x >= 0.0) {
        turned.data.mapv_inplace(|x| x.max(0.0));
    }
    Volume { affine: wide.affine, ..turned }
}
