//! Voxels that are no signal: spikes, slices that went wrong, values that are not finite, and air far below zero.

use ndarray::{ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;

use super::Volume;
use crate::stats::quantile_of;

/// The bright end of a plane, and of the planes along an axis, as shares.
const BRIGHT_OF_PLANE: f64 = 0.98;
const BRIGHT_OF_PLANES: f64 = 0.8;
/// How many times as far above air as the bright end signal may lie. In 60 scans of four scanners, with and without skull,
/// the greatest value lay at most 2.9 times as far.
const HEADROOM: f64 = 4.0;
/// The dark end of what was not filled in, as a share.
const DARK: f64 = 0.01;
/// Share of the voxels that have the least value where it was filled in.
const FILLED: f64 = 0.01;
/// Share of the voxels that may be negative in an image of magnitudes: those that interpolation made so.
const NEGATIVE: f64 = 0.05;
/// Share of what was not filled in that may lie beyond the bright end.
const BEYOND: f64 = 0.2;
/// Every how many rows and columns of a plane are looked at.
const STRIDE: usize = 3;

/// The range in which the values of an image can be signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignalRange {
    /// What lies below is air.
    pub least: f32,
    /// What lies above is no tissue.
    pub greatest: f32,
}

impl SignalRange {
    /// The range of signal in an image `[D, H, W]`; none without two different finite values, nor where a fifth of the image lies
    /// beyond it, as with a small object in a wide field of view.
    ///
    /// The bright end is taken plane by plane: the 98th percentile of each plane, the 80th percentile of these over the planes
    /// along an axis, and the least of the three axes. Neither spikes nor a slice that went wrong, along whichever axis,
    /// move it, nor does the amount of air, as long as the head takes up a fiftieth of a plane in most planes through it.
    /// Signal goes up to four times as far above air as that.
    ///
    /// At the dark end, the least value is set aside where a hundredth of the voxels have it: it was filled in. Signal goes
    /// down to zero where the rest is not negative, as magnitudes are not, and otherwise as far below the rest's dark end as
    /// the bright end lies above it. So a fill of 0 stays as it is, and one of -1024 becomes air.
    pub fn of(image: ArrayView3<f32>) -> Option<Self> {
        let mut seen: Vec<f32> = image.iter().copied().filter(|x| x.is_finite()).collect();
        let least = seen.iter().copied().min_by(f32::total_cmp)?;
        let filled = seen.iter().filter(|&&x| x == least).count();
        if filled as f64 >= FILLED * seen.len() as f64 {
            seen.retain(|&x| x > least);
        }
        if seen.is_empty() {
            return None;
        }
        let bright = (0..3).filter_map(|axis| bright_end(image, axis)).min_by(f64::total_cmp)?;
        let negative = seen.iter().filter(|&&x| x < 0.0).count() as f64 / seen.len() as f64;
        let dark = quantile_of(&mut seen, DARK).min(bright);
        let lowest = 2.0 * dark - bright;
        let magnitudes = negative <= NEGATIVE;
        let floor = if magnitudes { lowest.max(0.0) } else { lowest }.min(dark);
        // Zero is no less than a magnitude, however bright all tissue is.
        let least = if magnitudes { floor.min(0.0) } else { floor };
        let range = Self { least: least as f32, greatest: (floor + HEADROOM * (bright - floor)) as f32 };
        // An object that fills few planes is no outlier.
        let beyond = seen.iter().filter(|&&x| x > range.greatest).count() as f64;
        (range.greatest > range.least && beyond <= BEYOND * seen.len() as f64).then_some(range)
    }
}

/// The bright end of the planes across an axis; none without finite values.
fn bright_end(image: ArrayView3<f32>, axis: usize) -> Option<f64> {
    let mut ends: Vec<f32> = (0..image.len_of(Axis(axis)))
        .into_par_iter()
        .filter_map(|plane| {
            let plane = image.index_axis(Axis(axis), plane);
            let stride = |length: usize| if length > 2 * STRIDE { STRIDE as isize } else { 1 };
            let seen = plane.slice(s![..;stride(plane.nrows()), ..;stride(plane.ncols())]);
            let mut seen: Vec<f32> = seen.iter().copied().filter(|x| x.is_finite()).collect();
            (!seen.is_empty()).then(|| quantile_of(&mut seen, BRIGHT_OF_PLANE) as f32)
        })
        .collect();
    (!ends.is_empty()).then(|| quantile_of(&mut ends, BRIGHT_OF_PLANES))
}

/// `volume` with signal alone, channel by channel ([`SignalRange`]).
///
/// What lies below the range, or is NaN, takes its least value, that of air. What lies above takes the median of those of the
/// 26 voxels around it that are signal, if most are, so that a spike or a slice is filled from beside it, and otherwise
/// becomes air. All else stays bit for bit, and so does an image of one value, but for what is not finite, which becomes 0.
pub fn without_outliers(mut volume: Volume) -> Volume {
    let mut changed = 0;
    for channel in volume.data.axis_iter_mut(Axis(0)) {
        changed += clean(channel);
    }
    if changed == 0 { volume } else { volume.with_step(format!("{changed} voxels without signal filled")) }
}

/// Fills what is no signal in an image, and counts it.
fn clean(mut image: ArrayViewMut3<f32>) -> usize {
    let Some(SignalRange { least, greatest }) = SignalRange::of(image.view()) else {
        let odd = image.iter_mut().filter(|x| !x.is_finite());
        return odd.map(|x| *x = 0.0).count();
    };
    let high: Vec<_> = image.indexed_iter().filter(|(_, x)| **x > greatest).map(|(at, _)| at).collect();
    let fills: Vec<f32> =
        high.par_iter().map(|&at| around(image.view(), at, least, greatest).unwrap_or(least)).collect();
    let mut changed = high.len();
    for (at, fill) in high.into_iter().zip(fills) {
        image[at] = fill;
    }
    // Neither is a NaN above or below anything.
    for x in image.iter_mut().filter(|x| x.is_nan() || **x < least) {
        *x = least;
        changed += 1;
    }
    changed
}

/// The median of the signal around a voxel; none where most of what lies around it is no signal.
fn around(
    image: ArrayView3<f32>,
    (z, y, x): (usize, usize, usize),
    least: f32,
    greatest: f32,
) -> Option<f32> {
    let (d, h, w) = image.dim();
    let near = |at: usize, length: usize| at.saturating_sub(1)..(at + 2).min(length);
    let part = image.slice(s![near(z, d), near(y, h), near(x, w)]);
    let mut seen: Vec<f32> = part.iter().copied().filter(|v| (least..=greatest).contains(v)).collect();
    // The voxel itself is one of the part.
    (2 * seen.len() > part.len() - 1).then(|| quantile_of(&mut seen, 0.5) as f32)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4};

    use super::*;
    use crate::volume::VoxelToWorld;

    /// An object in one plane of ten is not taken for a spoilt slice.
    #[test]
    fn a_small_object_stays() {
        let small = Array4::from_shape_fn((1, 20, 20, 20), |(_, z, y, x)| {
            if [z, y, x].iter().all(|at| (9..11).contains(at)) { 5.0 + x as f32 } else { 0.0 }
        });
        let found = without_outliers(Volume::new(small.clone(), VoxelToWorld::identity()));
        assert_eq!(found.data, small);
    }

    /// A head of smooth tissue, 40 to 200, in air of noise from 0 to 4.
    fn head(scale: f32) -> Volume {
        let data = Array4::from_shape_fn((1, 40, 44, 36), |(_, z, y, x)| {
            let [a, b, c] = [(z, 20.0, 15.0), (y, 22.0, 17.0), (x, 18.0, 13.0)]
                .map(|(at, centre, axis)| (at as f32 - centre) / axis);
            let depth = 1.0 - (a * a + b * b + c * c).sqrt();
            let noise = ((x * 7 + y * 13 + z * 29) % 5) as f32;
            scale * if depth > 0.0 { 40.0 + 160.0 * depth } else { noise }
        });
        Volume::new(data, VoxelToWorld::identity())
    }

    /// The greatest difference of two volumes, as a share of the brightest tissue.
    fn apart(a: &Volume, b: &Volume, scale: f32) -> f32 {
        a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs() / (200.0 * scale)).fold(0.0, f32::max)
    }

    #[test]
    fn a_plain_head_stays_bit_for_bit_on_any_scale() {
        for scale in [1e-30, 1e-6, 1.0, 1e6, 1e30] {
            let head = head(scale);
            let kept = without_outliers(head.clone());
            assert_eq!(kept.data, head.data, "{scale}");
            assert_eq!(kept.provenance, head.provenance);
        }
        let mut stripped = head(1.0);
        stripped.data.mapv_inplace(|x| if x < 40.0 { 0.0 } else { x });
        assert_eq!(without_outliers(stripped.clone()).data, stripped.data);
        // All of it bright, so that its dark end lies beyond half of the bright one.
        let bright = stripped.data.mapv(|x| if x > 0.0 { x + 300.0 } else { 0.0 });
        let bright = Volume::new(bright, VoxelToWorld::identity());
        assert_eq!(without_outliers(bright.clone()).data, bright.data);
        let normalised = stripped.data.mapv(|x| x / 100.0 - 1.0);
        let normalised = Volume::new(normalised, VoxelToWorld::identity());
        assert_eq!(without_outliers(normalised.clone()).data, normalised.data);
    }

    #[test]
    fn a_spike_takes_the_values_around_it() {
        for scale in [1e-6, 1.0, 1e6] {
            let (plain, mut spiked) = (head(scale), head(scale));
            for value in [2e5, f32::INFINITY] {
                spiked.data[[0, 20, 30, 18]] = value * scale;
                assert!(apart(&without_outliers(spiked.clone()), &plain, scale) < 0.05);
            }
            spiked.data[[0, 20, 30, 18]] = -2e5 * scale;
            assert_eq!(without_outliers(spiked).data[[0, 20, 30, 18]], 0.0);
        }
    }

    /// Along each axis, inside and at the edge, whole or only its tissue.
    #[test]
    fn a_slice_that_went_wrong_is_filled_from_beside_it() {
        let plain = head(1.0);
        for axis in 1..4 {
            let middle = plain.data.len_of(Axis(axis)) / 2;
            for plane in [0, middle] {
                let mut wrong = plain.clone();
                wrong.data.index_axis_mut(Axis(axis), plane).mapv_inplace(|x| 1000.0 * x + 2000.0);
                // The step from air to tissue is a fifth.
                assert!(apart(&without_outliers(wrong), &plain, 1.0) < 0.25, "{axis} {plane}");
                let mut constant = plain.clone();
                constant.data.index_axis_mut(Axis(axis), plane).fill(65535.0);
                assert!(apart(&without_outliers(constant), &plain, 1.0) < 0.25, "{axis} {plane}");
            }
        }
    }

    #[test]
    fn air_far_below_zero_becomes_air() {
        let plain = head(1.0);
        for fill in [-1024.0, -32768.0, f32::NAN, f32::NEG_INFINITY] {
            let mut filled = plain.clone();
            filled.data.mapv_inplace(|x| if x < 40.0 { fill } else { x });
            let kept = without_outliers(filled.clone());
            let tissue = plain.data.iter().filter(|x| **x >= 40.0).count();
            assert_eq!(kept.data.iter().filter(|x| **x >= 40.0).count(), tissue, "{fill}");
            let air = kept.data.iter().copied().fold(f32::INFINITY, f32::min);
            assert!((0.0..45.0).contains(&air), "{fill}: {air}");
        }
    }

    #[test]
    fn what_has_no_contrast_stays() {
        for value in [0.0, 7.0, -3.0] {
            let flat = Volume::new(Array4::from_elem((1, 5, 6, 7), value), VoxelToWorld::identity());
            assert_eq!(without_outliers(flat.clone()).data, flat.data);
        }
        let nothing = Volume::new(Array4::from_elem((1, 2, 2, 2), f32::NAN), VoxelToWorld::identity());
        assert!(without_outliers(nothing).data.iter().all(|&x| x == 0.0));
        let empty = Volume::new(Array4::zeros((1, 0, 2, 2)), VoxelToWorld::identity());
        assert_eq!(without_outliers(empty).data.len(), 0);
        assert_eq!(SignalRange::of(Array3::from_elem((3, 3, 3), 1.0).view()), None);
    }
}
