//! How a scan is brought to what these networks were trained on: FreeSurfer's conformed space, and one range of values.

use std::ops::Range as Span;

use nalgebra::{Matrix3, Vector3};
use ndarray::{Array3, Axis};

use voxgan::error::{Error, Result};
use voxgan::volume::resample::{Grid, Interpolation, resample};
use voxgan::volume::{Volume, VoxelToWorld};

/// Voxels of the conformed grid along each axis, of one millimetre.
const SIDE: usize = 256;
/// Of the values that are not zero, this fraction may be brighter than white.
const BRIGHTER: f64 = 0.001;
/// White.
const WHITE: f32 = 255.0;
/// The quantiles that become 0 and 1 where a network asks for them.
const QUANTILES: [f64; 2] = [0.05, 0.95];

/// What is darker than this part of the brightest value does not count for the box that a network sees.
const DARK: f32 = 0.2;

/// Which values of a conformed scan become 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The least and the greatest.
    MinMax,
    /// The 5 % and the 95 % quantile of all voxels; values beyond stay beyond.
    Quantiles,
}

impl Range {
    /// The scan's values in this range.
    ///
    /// # Errors
    /// [`Error::Value`] for a scan whose range has no width.
    pub fn apply(self, x: &mut Array3<f32>) -> Result<()> {
        let (low, high) = match self {
            Self::MinMax => {
                x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)))
            }
            Self::Quantiles => {
                let mut values: Vec<f32> = x.iter().copied().collect();
                let n = values.len() as f64;
                let ranks = [(n * QUANTILES[0]).floor(), (n * QUANTILES[1]).ceil() - 1.0];
                let [low, high] =
                    ranks.map(|rank| *values.select_nth_unstable_by(rank as usize, f32::total_cmp).1);
                (low, high)
            }
        };
        if high <= low {
            let found = format!("{low} to {high}");
            let advice = "give a scan with more than its background in view";
            return Err(Error::value("contrast of the scan", "a range of values", found, advice));
        }
        x.par_mapv_inplace(|v| (v - low) / (high - low));
        Ok(())
    }
}

/// The conformed grid about a scan's centre: 256³ voxels of 1 mm that run to the left, down and to the front ("LIA").
pub fn conformed_grid(scan: &Grid) -> Grid {
    let half = |n: usize| n as f64 / 2.0;
    let [i, j, k] = scan.dims.map(half);
    let steps = Matrix3::new(-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0);
    let first = scan.affine.world_mm([i, j, k]) - steps * Vector3::repeat(half(SIDE));
    Grid { dims: [SIDE; 3], affine: VoxelToWorld::from_axes(&steps, &first).expect("axes at right angles") }
}

/// A scan on its conformed grid, trilinear, as eight-bit values: `[i, j, k]`, the order of the networks' axes.
///
/// A scan whose values are whole numbers from 0 to 255 on that grid keeps them. Otherwise the least value becomes 0 and
/// the value that 0.1 % of the voxels that are not zero exceed becomes 255, as `mri_convert --conform` does.
///
/// # Errors
/// [`Error::Value`] for a scan of several channels, of values that are not finite, or of one value.
pub fn conformed(scan: &Volume) -> Result<(Array3<f32>, Grid)> {
    if scan.channels() != 1 {
        let found = format!("{} of them", scan.channels());
        return Err(Error::value("channels of the scan", "one", found, "give one T1-weighted image"));
    }
    if !scan.data.iter().all(|v| v.is_finite()) {
        let advice = "replace what is not finite by 0";
        return Err(Error::value("values of the scan", "finite numbers", "others among them", advice));
    }
    let grid = conformed_grid(&Grid::of(scan));
    let data = resample(scan, &grid, Interpolation::Linear).data;
    let mut x = data.index_axis_move(Axis(0), 0).permuted_axes([2, 1, 0]).as_standard_layout().into_owned(); // [i, j, k]
    if x.iter().all(|&v| v.fract() == 0.0 && (0.0..=WHITE).contains(&v)) {
        return Ok((x, grid));
    }
    let mut values: Vec<f32> = x.iter().copied().collect();
    let bright = (BRIGHTER * values.iter().filter(|&&v| v != 0.0).count() as f64) as usize;
    let rank = values.len() - 1 - bright;
    let (dark, high, _) = values.select_nth_unstable_by(rank, f32::total_cmp);
    let low = dark.iter().copied().fold(*high, f32::min);
    let factor = WHITE / (*high - low);
    if !factor.is_finite() {
        let advice = "give a scan with more than its background in view";
        return Err(Error::value(
            "contrast of the scan",
            "a range of values",
            format!("{low} alone"),
            advice,
        ));
    }
    x.par_mapv_inplace(|v| ((v - low) * factor).round().clamp(0.0, WHITE));
    Ok((x, grid))
}

/// The smallest box along (D, H, W) that holds every value above a fifth of the greatest; of values that are not all
/// below zero, as [`Range::apply`] gives them, it is never empty.
pub fn bright_box(x: &Array3<f32>) -> [Span<usize>; 3] {
    let least = DARK * x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    [0, 1, 2].map(|axis| {
        let bright = |plane: usize| x.index_axis(Axis(axis), plane).iter().any(|&v| v > least);
        let mut planes = (0..x.len_of(Axis(axis))).filter(|&plane| bright(plane));
        planes.next().map_or(0..0, |first| first..planes.next_back().unwrap_or(first) + 1)
    })
}
