//! Options for raw files that are incomplete, and properties of their samples.

use ndarray::{Array3, Array4, Axis};
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::dc::DcPlace;

/// Options for what a raw file does not say, and the choice among its images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawOptions {
    /// Size of the image's voxels in millimetres along `(i, j, k) = (W, H, D)`, for files that do not have it; 1 mm if
    /// `None`.
    pub spacing_mm: Option<[f64; 3]>,
    /// The slice to read of a multi-slice scan, or the slab of a multi-slab scan, from 0; `None` for all.
    pub slice: Option<usize>,
    /// ISMRMRD: the repetition to read of several.
    pub repetition: Option<usize>,
    /// ISMRMRD: the contrast (echo) to read of several.
    pub contrast: Option<usize>,
    /// ISMRMRD: the cardiac phase to read of several.
    pub phase: Option<usize>,
    /// ISMRMRD: the set to read of several.
    pub set: Option<usize>,
    /// ISMRMRD: the index of the encoding to read; `None` for the first one with readouts of an image.
    pub encoding: Option<usize>,
    /// ISMRMRD: whether calibration lines that are not marked as part of the image are included; `None` for the
    /// header's word (embedded calibration).
    pub calibration: Option<bool>,
    /// `.cfl` and `.npy`: which of the axes D, H, W are in k-space; `None` for those longer than 1.
    pub transformed: Option<[bool; 3]>,
    /// `.cfl` and `.npy`: the place of DC along those axes.
    pub dc: DcPlace,
    /// `.cfl` and `.npy`: oversampling of the readout, W; `None` for 1. The width of the image is W divided by it.
    pub readout_oversampling: Option<f64>,
}

/// The positions `[D, H, W]` at which any coil of `data` `[coils, D, H, W]` has a sample other than zero.
pub(crate) fn measured(data: &Array4<Complex32>) -> Array3<bool> {
    let zero = Complex32::default();
    let mut sampled = Array3::from_elem((data.dim().1, data.dim().2, data.dim().3), false);
    for coil in data.axis_iter(Axis(0)) {
        sampled.zip_mut_with(&coil, |sampled, value| *sampled |= *value != zero);
    }
    sampled
}
