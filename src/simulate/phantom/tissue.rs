//! The tissues of the brain phantom and their signals.

use serde::{Deserialize, Serialize};

/// A tissue or structure of [`BrainPhantom`](super::BrainPhantom).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tissue {
    /// Air around the head, and in nose and sinuses.
    Air,
    /// Skin, fat and muscle.
    Scalp,
    /// Bone.
    Skull,
    /// Cerebrospinal fluid outside the ventricles.
    Csf,
    /// The folded cortex.
    CorticalGrey,
    /// White matter of the cerebrum.
    White,
    /// Cortex of the cerebellum.
    CerebellarGrey,
    /// White matter of the cerebellum.
    CerebellarWhite,
    /// Midbrain, pons and medulla.
    Brainstem,
    /// Deep grey matter.
    Thalamus,
    /// Deep grey matter.
    Caudate,
    /// Deep grey matter.
    Putamen,
    /// Deep grey matter.
    Pallidum,
    /// Deep grey matter.
    Hippocampus,
    /// Deep grey matter.
    Amygdala,
    /// Includes its frontal, occipital and temporal horn.
    LeftLateralVentricle,
    /// Includes its frontal, occipital and temporal horn.
    RightLateralVentricle,
    /// Between the thalami.
    ThirdVentricle,
    /// Between brainstem and cerebellum.
    FourthVentricle,
}

/// The contrast: relative signals of the tissues, about 1 for the brightest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contrast {
    /// T1-weighted (MPRAGE-like): fluid dark, white matter bright.
    #[default]
    T1,
    /// T2-weighted: fluid bright, white matter darker than grey.
    T2,
    /// Proton density: little contrast between the tissues.
    Pd,
}

impl Tissue {
    /// All of them, in the order of the channels of fractions.
    pub const ALL: [Self; 19] = [
        Self::Air,
        Self::Scalp,
        Self::Skull,
        Self::Csf,
        Self::CorticalGrey,
        Self::White,
        Self::CerebellarGrey,
        Self::CerebellarWhite,
        Self::Brainstem,
        Self::Thalamus,
        Self::Caudate,
        Self::Putamen,
        Self::Pallidum,
        Self::Hippocampus,
        Self::Amygdala,
        Self::LeftLateralVentricle,
        Self::RightLateralVentricle,
        Self::ThirdVentricle,
        Self::FourthVentricle,
    ];

    /// FreeSurfer's number for it on the left and on the right, equal where there are no sides; 165 is skull, 258 head.
    pub const fn labels(self) -> [u16; 2] {
        match self {
            Self::Air => [0, 0],
            Self::Scalp => [258, 258],
            Self::Skull => [165, 165],
            Self::Csf => [24, 24],
            Self::CorticalGrey => [3, 42],
            Self::White => [2, 41],
            Self::CerebellarGrey => [8, 47],
            Self::CerebellarWhite => [7, 46],
            Self::Brainstem => [16, 16],
            Self::Thalamus => [10, 49],
            Self::Caudate => [11, 50],
            Self::Putamen => [12, 51],
            Self::Pallidum => [13, 52],
            Self::Hippocampus => [17, 53],
            Self::Amygdala => [18, 54],
            Self::LeftLateralVentricle => [4, 4],
            Self::RightLateralVentricle => [43, 43],
            Self::ThirdVentricle => [14, 14],
            Self::FourthVentricle => [15, 15],
        }
    }

    /// Whether it is part of the brain, ventricles included.
    pub const fn is_brain(self) -> bool {
        self as usize > Self::Csf as usize
    }

    /// Relative signal in `contrast`, as typical at 1.5 to 3 T; not from a signal equation.
    pub const fn signal(self, contrast: Contrast) -> f32 {
        let [t1, t2, pd] = match self {
            Self::Air => [0.0, 0.0, 0.0],
            Self::Scalp => [0.78, 0.45, 0.80],
            Self::Skull => [0.10, 0.08, 0.12],
            Self::Csf
            | Self::LeftLateralVentricle
            | Self::RightLateralVentricle
            | Self::ThirdVentricle
            | Self::FourthVentricle => [0.18, 1.00, 0.92],
            Self::CorticalGrey => [0.62, 0.60, 0.88],
            Self::White => [0.98, 0.42, 0.72],
            Self::CerebellarGrey => [0.62, 0.58, 0.87],
            Self::CerebellarWhite => [0.95, 0.43, 0.73],
            Self::Brainstem => [0.90, 0.44, 0.74],
            Self::Thalamus => [0.76, 0.50, 0.82],
            Self::Caudate => [0.68, 0.52, 0.85],
            Self::Putamen => [0.71, 0.49, 0.84],
            Self::Pallidum => [0.86, 0.36, 0.76],
            Self::Hippocampus => [0.63, 0.60, 0.88],
            Self::Amygdala => [0.64, 0.59, 0.88],
        };
        match contrast {
            Contrast::T1 => t1,
            Contrast::T2 => t2,
            Contrast::Pd => pd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_in_the_order_of_the_names() {
        assert!(Tissue::ALL.iter().enumerate().all(|(channel, &tissue)| tissue as usize == channel));
    }
}
