//! The plan of a score: profile, slices and range.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::volume::Axis;

/// The project whose definitions of the measures are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Profile {
    /// fastMRI's leaderboard (`fastmri/evaluate.py`): MSE, NMSE and PSNR of the whole volume, SSIM of its slices
    /// (scikit-image's default: uniform 7 × 7, sample covariance, border 3 left out), all with the maximum of the
    /// target volume as range. Agrees with PyPI's `fastmri` 0.3 to rounding. (On float32 arrays that code has errors of
    /// its own: some 1e-7 in SSIM, up to 1e-4 of its value in NMSE on a large volume. Sums are in float64 here.)
    /// fastMRI's evaluation first crops both to the target's size; here the caller does.
    FastMri,
    /// MONAI (`monai/metrics/regression.py`): MAE, RMSE, PSNR, and SSIM under a Gaussian of 11 taps and σ 1.5, without
    /// padding, in slices and in the volume. In MONAI the user gives the range (1 by default); here it is
    /// [`Plan::data_range`], or else the target's maximum − minimum.
    Monai,
    /// Calgary-Campinas, multi-coil challenge (Beauferris et al. 2022, `MC-MRI-Rec`): SSIM (scikit-image's default),
    /// PSNR and VIF (σₙ² = 0.4) of each slice after both are divided by the maximum of the target's slice, with the
    /// joint maximum − minimum of the slice as range; means over the slices. The division is in its pre-submission
    /// script and affects VIF alone; one version of the final script lacks it. One script scores 156 slices of a
    /// volume, the other 256; the caller selects them. Slices without a positive voxel have no value there and are left
    /// out here.
    Calgary,
    /// DAGAN (Yang et al. 2018, `tensorlayer/DAGAN`): on both divided by the maximum of the target volume, slices of
    /// which at least a tenth is not zero: "NMSE" ‖g − p‖/‖g‖ (not squared), PSNR with range 1, and SSIM with range 2,
    /// which is the range that scikit-image of that time took for floats; means over the slices. The network's output
    /// is in −1 to 1 and is mapped to 0 to 1 before; nothing is clipped. (PSNR has range 2 for a slice with negative
    /// voxels, as there.)
    Dagan,
    /// Sanchez and Vilaplana 2018 (`imatge-upc/3D-GAN-superresolution`): both multiplied by the brain's mask, then PSNR
    /// over the whole volume, zeros included, and SSIM in 3D (uniform 7 × 7 × 7, sample covariance); range: joint
    /// maximum − minimum before masking. As in its code, voxels outside the mask count as equal.
    Sanchez,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::FastMri => "fastmri",
            Self::Monai => "monai",
            Self::Calgary => "calgary",
            Self::Dagan => "dagan",
            Self::Sanchez => "sanchez",
        })
    }
}

/// The plan of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The project whose definitions are used.
    pub profile: Profile,
    /// The axis across the slices of two-dimensional measures.
    pub axis: Axis,
    /// Data range, for a profile that leaves it to its user (MONAI); by default the target's maximum − minimum.
    pub data_range: Option<f64>,
    /// Whether measures beyond those of the profile are computed too.
    pub all: bool,
}

impl Plan {
    /// The measures of `profile`, slices along D.
    pub fn new(profile: Profile) -> Self {
        Self { profile, axis: Axis::D, data_range: None, all: false }
    }
}
