//! The measures of realism by name, and which values are better.

use serde::{Deserialize, Serialize};

/// A measure of realism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// [`frechet_distance`](super::frechet_distance).
    FrechetDistance,
    /// [`kernel_distance`](super::kernel_distance).
    KernelDistance,
    /// [`gaussian_discrepancy`](super::gaussian_discrepancy).
    GaussianMmd,
    /// [`precision_recall`](super::precision_recall).
    Precision,
    /// [`precision_recall`](super::precision_recall).
    Recall,
    /// [`density_coverage`](super::density_coverage).
    Density,
    /// [`density_coverage`](super::density_coverage).
    Coverage,
    /// [`inception_score`](super::inception_score).
    InceptionScore,
    /// [`diversity`](crate::evaluate::diversity).
    MsSsimDiversity,
}

/// Which values of a measure are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Lower values, down to the reference.
    Lower,
    /// Higher values, up to the reference.
    Higher,
    /// Values near that of the real volumes.
    AsReal,
}

impl Metric {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrechetDistance => "Fréchet distance",
            Self::KernelDistance => "kernel distance (KID)",
            Self::GaussianMmd => "MMD², Gaussian kernel",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Density => "density",
            Self::Coverage => "coverage",
            Self::InceptionScore => "Inception score",
            Self::MsSsimDiversity => "MS-SSIM over pairs",
        }
    }

    /// Its name in CSV and JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::FrechetDistance => "frechet_distance",
            Self::KernelDistance => "kernel_distance",
            Self::GaussianMmd => "gaussian_mmd",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Density => "density",
            Self::Coverage => "coverage",
            Self::InceptionScore => "inception_score",
            Self::MsSsimDiversity => "ms_ssim_diversity",
        }
    }

    /// Which of its values are better.
    pub const fn better(self) -> Better {
        match self {
            Self::FrechetDistance | Self::KernelDistance | Self::GaussianMmd => Better::Lower,
            Self::Precision | Self::Recall | Self::Density | Self::Coverage => Better::Higher,
            Self::InceptionScore | Self::MsSsimDiversity => Better::AsReal,
        }
    }

    /// The values that it can have at all.
    pub(super) const fn range(self) -> [f64; 2] {
        match self {
            Self::KernelDistance | Self::GaussianMmd => [f64::NEG_INFINITY, f64::INFINITY],
            Self::FrechetDistance | Self::Density => [0.0, f64::INFINITY],
            Self::Precision | Self::Recall | Self::Coverage | Self::MsSsimDiversity => [0.0, 1.0],
            Self::InceptionScore => [1.0, f64::INFINITY],
        }
    }
}
