//! Measures on the host: the error of a restored volume, in the definitions of named projects; the diversity of
//! synthetic volumes, their distance to real ones, and memorisation.
//!
//! | Measure | 2D | 3D | Where |
//! |---|---|---|---|
//! | MSE, RMSE, MAE, NMSE, NRMSE, PSNR | yes | yes | [`deviation_of_slices`] |
//! | SSIM, Gaussian or uniform window | yes | yes | [`ssim`], [`ssim_under`], [`ssim_of_slices`] |
//! | MS-SSIM | yes | yes | [`ms_ssim`], [`ms_ssim_within`] |
//! | HaarPSI, natural and medical constants | yes | slices along three axes | [`HaarPsi`] |
//! | VIF, pixel domain | yes | slices along three axes | [`vif()`] |
//!
//! [`score()`] computes them as a [`Profile`] defines them; with a mask, errors are over its voxels and local measures
//! are pooled over the positions centred in it.

mod beyond;
pub mod cohort;
mod fidelity;
mod haarpsi;
mod memorisation;
mod nearest;
mod pair;
mod plan;
mod profile;
pub mod realism;
mod score;
mod scores;
mod ssim;
mod vif;
mod window;

pub use fidelity::{Deviation, deviation_of_slices, extremes};
pub use haarpsi::HaarPsi;
pub use memorisation::{Memorisation, Nearest, Ratio};
pub use nearest::{
    NearestReal, NearestReals, SetDistance, foreground, nearest, set_distance, split_half_distance,
};
pub use plan::{Plan, Profile};
pub use score::score;
pub use scores::{Score, Scores};
pub use ssim::{
    Dimensions, Diversity, Similarity, Window, diversity, ms_ssim, ms_ssim_within, ssim, ssim_of_slices,
    ssim_under,
};
pub use vif::vif;
