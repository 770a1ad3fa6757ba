//! ESPIRiT: sensitivity maps from the calibration region as eigenvectors at every pixel (Uecker et al. 2014).

use std::f32::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Array3, Array4, ArrayView4, Axis, Slice, concatenate};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};
use serde::{Deserialize, Serialize};

use super::calibration::{PatchProjector, centre, fully_measured};
use super::eigen::dominant;
use crate::acquisition::Complex32;
use crate::error::{Error, Result};

/// Options of [`espirit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EspiritOptions {
    /// Width of the fully measured calibration region about DC along `D`, `H` and `W`; a shorter axis is used whole.
    pub calibration: [usize; 3],
    /// Width of the kernels along every transformed axis.
    pub kernel: usize,
    /// Singular values of the calibration matrix above this share of the largest, within (0, 1), count as signal.
    pub threshold: f64,
    /// Maps are zero where their eigenvalue is below this, within [0, 1).
    pub crop: f32,
    /// Sets of maps: one, or two where the object is larger than the field of view (soft SENSE).
    pub maps: usize,
}

impl Default for EspiritOptions {
    fn default() -> Self {
        Self { calibration: [24; 3], kernel: 6, threshold: 0.02, crop: 0.95, maps: 1 }
    }
}

/// Sensitivity maps and their eigenvalues.
#[derive(Clone, Debug)]
pub struct EspiritMaps {
    /// Sets of maps, strongest first, each `[coils, D, H, W]` with a root sum of squares of 1, or 0 where cropped.
    ///
    /// Their phase is relative to the virtual coil with the most signal (the first principal component of the
    /// calibration region), so that the combined image has that coil's phase, as with BART; the virtual coil's own
    /// phase makes the sum of its coefficients real and positive.
    pub maps: Vec<Array4<Complex32>>,
    /// Eigenvalues of those sets before cropping, `[D, H, W]` each: 1 where the calibration data is consistent with the
    /// maps, near 0 outside of the object.
    pub eigenvalues: Vec<Array3<f32>>,
    /// Voxels, not cropped, at which the iteration for the eigenvectors has not converged: two sets explain the data there nearly as
    /// well, and the maps may be a mixture of both.
    pub unsettled: usize,
}

/// The sensitivity maps of k-space `[coils, D, H, W]`, of which the `transformed` axes of `D`, `H`, `W` are in k-space;
/// along the others every place (a slice of a multi-slice scan) is calibrated by itself.
///
/// # Errors
/// [`Error::Value`] if an option is out of range, or the calibration region is not fully measured or has a value that
/// is not finite.
pub fn espirit(
    kspace: ArrayView4<Complex32>,
    transformed: [bool; 3],
    options: &EspiritOptions,
) -> Result<EspiritMaps> {
    let (coils, d, h, w) = kspace.dim();
    options.validate(coils)?;
    let separate = (0..3).find(|&axis| !transformed[axis] && [d, h, w][axis] > 1);
    let Some(axis) = separate else {
        return together(kspace, options);
    };
    let mut rest = transformed;
    rest[axis] = true;
    let places: Vec<EspiritMaps> = (0..[d, h, w][axis])
        .map(|place| espirit(kspace.slice_axis(Axis(axis + 1), Slice::from(place..place + 1)), rest, options))
        .collect::<Result<_>>()?;
    let joined = (0..options.maps).map(|map| {
        let maps: Vec<_> = places.iter().map(|place| place.maps[map].view()).collect();
        let values: Vec<_> = places.iter().map(|place| place.eigenvalues[map].view()).collect();
        let maps = concatenate(Axis(axis + 1), &maps).expect("places of one shape");
        (maps, concatenate(Axis(axis), &values).expect("places of one shape"))
    });
    let (maps, eigenvalues) = joined.unzip();
    let unsettled = places.iter().map(|place| place.unsettled).sum();
    Ok(EspiritMaps { maps, eigenvalues, unsettled })
}

impl EspiritOptions {
    fn validate(&self, coils: usize) -> Result<()> {
        let wrong = |key: &str, expected: String, found: String, advice: &str| {
            Err(Error::value(format!("ESPIRiT's {key}"), expected, found, advice))
        };
        if self.maps == 0 || self.maps > coils {
            return wrong("maps", format!("1 to {coils} sets"), self.maps.to_string(), "ask for 1 or 2");
        }
        if self.kernel < 2 || self.calibration.iter().any(|&width| width < self.kernel) {
            return wrong(
                "kernel",
                "a width of at least 2, and a calibration region at least as wide".into(),
                format!("{} in a region of {:?}", self.kernel, self.calibration),
                "use kernels of 6 in a region of 24",
            );
        }
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            return wrong("threshold", "within (0, 1)".into(), self.threshold.to_string(), "use 0.02");
        }
        if !(0.0..1.0).contains(&self.crop) {
            return wrong("crop", "within [0, 1)".into(), self.crop.to_string(), "use 0.95");
        }
        Ok(())
    }
}

/// All axes of more than one place are transformed.
fn together(kspace: ArrayView4<Complex32>, options: &EspiritOptions) -> Result<EspiritMaps> {
    let (coils, d, h, w) = kspace.dim();
    let region = centre(kspace, options.calibration);
    if !fully_measured(region) || region.iter().any(|z| !z.is_finite()) {
        return Err(Error::value(
            "calibration region",
            format!("{:?} finite samples about DC that were all measured", &region.shape()[1..]),
            "places without a sample or with one that is not a number",
            "use a smaller region, or check where DC lies",
        ));
    }
    let kernel = [d, h, w].map(|n| options.kernel.min(n));
    let projector = PatchProjector::new(region, kernel, options.threshold);
    let reference = super::principal_component(region);
    let width = w;
    let per_row = options.maps * coils * width;
    let mut vectors = vec![Complex32::default(); d * h * per_row];
    let mut values = vec![0.0f32; d * h * options.maps * width];
    let transform = FftPlanner::new().plan_fft_inverse(width);
    let planes: Vec<Vec<Complex32>> = (0..d).into_par_iter().map(|z| projector.plane(z, d)).collect();
    let unsettled = AtomicUsize::new(0);
    vectors
        .par_chunks_mut(per_row)
        .zip(values.par_chunks_mut(options.maps * width))
        .enumerate()
        .for_each_init(Vec::new, |buffer, (row, (vectors, values))| {
            projector.row(&planes[row / h], row % h, h, &transform, buffer);
            let changes = dominant(buffer, coils, width, vectors, values);
            let shown = |set: usize, x: usize| values[set * width + x] >= options.crop;
            let of_voxel =
                |x: &usize| (0..options.maps).any(|set| changes[set * width + x] && shown(set, *x));
            unsettled.fetch_add((0..width).filter(of_voxel).count(), Ordering::Relaxed);
            for (vectors, values) in vectors.chunks_exact_mut(coils * width).zip(values.chunks_exact(width)) {
                refer(vectors, values, &reference, options.crop);
            }
        });
    let vectors = Array4::from_shape_vec((d, h, options.maps * coils, width), vectors).expect("rows of maps");
    let values = Array4::from_shape_vec((d, h, options.maps, width), values).expect("rows of eigenvalues");
    let maps = (0..options.maps).map(|map| {
        let set = vectors.slice_axis(Axis(2), Slice::from(map * coils..(map + 1) * coils));
        let mut maps = Array4::zeros((coils, d, h, w));
        ndarray::Zip::from(&mut maps)
            .and(set.permuted_axes([2, 0, 1, 3]))
            .par_for_each(|to, from| *to = *from);
        (maps, values.index_axis(Axis(2), map).to_owned())
    });
    let (maps, eigenvalues) = maps.unzip();
    Ok(EspiritMaps { maps, eigenvalues, unsettled: unsettled.into_inner() })
}

impl PatchProjector {
    /// The kernels transformed along `D` at plane `z` of `depth`: `[pairs, 2k−1, 2k−1]`.
    fn plane(&self, z: usize, depth: usize) -> Vec<Complex32> {
        let [planes, rows, columns] = self.extent;
        weighted_sums(&self.kernels, planes, rows * columns, &phases(planes, z, depth))
    }

    /// The coils' matrices along row `y` of `height`: upper triangles `[pairs, width]`.
    fn row(
        &self,
        plane: &[Complex32],
        y: usize,
        height: usize,
        transform: &Arc<dyn Fft<f32>>,
        matrices: &mut Vec<Complex32>,
    ) {
        let [_, rows, columns] = self.extent;
        let width = transform.len();
        let lines = weighted_sums(plane, rows, columns, &phases(rows, y, height));
        matrices.clear();
        matrices.resize(lines.len() / columns * width, Complex32::default());
        // The phase of offset j at pixel x = 0 makes the transform's first output the image's edge.
        let edge = phases(columns, 0, width);
        for (matrices, line) in matrices.chunks_exact_mut(width).zip(lines.chunks_exact(columns)) {
            for (j, (value, phase)) in line.iter().zip(&edge).enumerate() {
                let offset = j as isize - (columns / 2) as isize;
                matrices[offset.rem_euclid(width as isize) as usize] += value * phase;
            }
        }
        transform.process(matrices);
    }
}

/// `exp(2πi·o·(place − ⌊n/2⌋)/n)` for the offsets o of a kernel of this extent, zero in the middle.
fn phases(extent: usize, place: usize, n: usize) -> Vec<Complex32> {
    let offset = |j: usize| j as isize - (extent / 2) as isize;
    let position = place as isize - (n / 2) as isize;
    let angle = |j: usize| (offset(j) * position).rem_euclid(n as isize) as f32 / n as f32 * TAU;
    (0..extent).map(|j| Complex32::cis(angle(j))).collect()
}

/// `[blocks, n, inner]` to `[blocks, inner]`, the middle axis summed with these weights.
fn weighted_sums(values: &[Complex32], n: usize, inner: usize, weights: &[Complex32]) -> Vec<Complex32> {
    let mut sums = vec![Complex32::default(); values.len() / n];
    for (sums, block) in sums.chunks_exact_mut(inner).zip(values.chunks_exact(n * inner)) {
        for (line, weight) in block.chunks_exact(inner).zip(weights) {
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += value * weight);
        }
    }
    sums
}

/// Turns the vectors `[coils, width]` so that `Σ conj(reference)·v` is real and positive, and crops.
pub(super) fn refer(vectors: &mut [Complex32], values: &[f32], reference: &Array2<Complex32>, crop: f32) {
    let width = values.len();
    let mut turns = vec![Complex32::default(); width];
    for (line, u) in vectors.chunks_exact(width).zip(reference) {
        turns.iter_mut().zip(line).for_each(|(turn, v)| *turn += u * v.conj());
    }
    for (turn, &value) in turns.iter_mut().zip(values) {
        let length = turn.norm();
        let unit = if length > 0.0 { *turn / length } else { Complex32::new(1.0, 0.0) };
        *turn = if value < crop { Complex32::default() } else { unit };
    }
    for line in vectors.chunks_exact_mut(width) {
        line.iter_mut().zip(&turns).for_each(|(v, turn)| *v *= turn);
    }
}
