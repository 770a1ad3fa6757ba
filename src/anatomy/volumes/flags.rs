//! Reasons to doubt that a segmentation is of a complete, intact brain whose orientation is that of the header.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::structures::Structure;
use crate::volume::orientation::Orientation;

/// A direction of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Left,
    Right,
    Posterior,
    Anterior,
    Inferior,
    Superior,
}

/// A reason for doubt, with its numbers (ml, mm, degrees, shares from 0 to 1). Displayed as a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "flag", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flag {
    /// No voxel of brain.
    NoBrain,
    /// The fluid around the brain is not in the scan, as after skull stripping: a fact, not a fault.
    NoOuterFluid { csf_ml: f64, intracranial_ml: f64 },
    /// A structure has no voxels.
    Missing { structure: Structure },
    /// A region's volume is not that of an adult human ([`super::LIMITS`]).
    OutOfRange { region: String, volume_ml: f64, min_ml: f64, max_ml: f64 },
    /// A structure that should be connected has several components.
    Scattered { structure: Structure, components: usize, largest_fraction: f64 },
    /// The brain has several components.
    BrainDisconnected { components: usize, second_ml: f64 },
    /// Several structures occur twice.
    TwoBrains { structures: Vec<Structure> },
    /// The brain ends in a flat face, at the border of the field of view or inside it.
    CutOff { towards: Direction, area_mm2: f64, at_border: bool },
    /// Left structures are on the right in the world.
    Mirrored { pairs: usize, reversed: usize, left_of_right_mm: f64 },
    /// Some structures are not on their side.
    SidesCrossed { structures: Vec<Structure> },
    /// The head's orientation is implausible: the axes in the header are not those of the anatomy, which has the
    /// directions `seen` where the header says RAS ([`seen`](super::super::pose::Pose::seen)). This does not
    /// distinguish left from right, as a brain resembles its mirror image.
    WrongAxes { turned_deg: f64, seen: Orientation },
    /// Cerebellum and brain stem are not below the cerebrum.
    UpsideDown { cerebellum_below_mm: f64 },
    /// The cerebellum is not behind the brain stem.
    BackToFront { cerebellum_behind_mm: f64 },
    /// A part of the lateral ventricles is not surrounded by brain.
    VentriclesOutside { fraction: f64 },
    /// The hemispheres differ too much in volume.
    Lopsided { left_ml: f64, right_ml: f64, asymmetry: f64 },
    /// The network's confidence in a structure is low.
    Unsure { structure: Structure, confidence: f64 },
}

impl Flag {
    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoBrain => "no_brain",
            Self::NoOuterFluid { .. } => "no_outer_fluid",
            Self::Missing { .. } => "missing",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Scattered { .. } => "scattered",
            Self::BrainDisconnected { .. } => "brain_disconnected",
            Self::TwoBrains { .. } => "two_brains",
            Self::CutOff { .. } => "cut_off",
            Self::Mirrored { .. } => "mirrored",
            Self::SidesCrossed { .. } => "sides_crossed",
            Self::WrongAxes { .. } => "wrong_axes",
            Self::UpsideDown { .. } => "upside_down",
            Self::BackToFront { .. } => "back_to_front",
            Self::VentriclesOutside { .. } => "ventricles_outside",
            Self::Lopsided { .. } => "lopsided",
            Self::Unsure { .. } => "unsure",
        }
    }

    /// The factor of the quality that it removes ([`Volumes::quality`](super::Volumes::quality)): 1 without a brain,
    /// 0.5 where the whole is wrong, 0.25 or 0.1 where a part is, 0 for [`Flag::NoOuterFluid`].
    pub fn penalty(&self) -> f64 {
        match self {
            Self::NoBrain => 1.0,
            Self::TwoBrains { .. }
            | Self::CutOff { .. }
            | Self::Mirrored { .. }
            | Self::WrongAxes { .. }
            | Self::UpsideDown { .. }
            | Self::BackToFront { .. }
            | Self::VentriclesOutside { .. } => 0.5,
            Self::BrainDisconnected { .. }
            | Self::OutOfRange { .. }
            | Self::SidesCrossed { .. }
            | Self::Lopsided { .. } => 0.25,
            Self::Missing { .. } | Self::Scattered { .. } | Self::Unsure { .. } => 0.1,
            Self::NoOuterFluid { .. } => 0.0,
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = |structures: &[Structure]| {
            structures.iter().map(|structure| structure.name()).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::NoBrain => write!(f, "there is no brain"),
            Self::NoOuterFluid { csf_ml, intracranial_ml } => write!(
                f,
                "only {csf_ml:.1} ml of {intracranial_ml:.0} ml are fluid around the brain (skull-stripped?): the \
                 intracranial volume is unknown"
            ),
            Self::Missing { structure } => write!(f, "{} is missing", structure.name()),
            Self::OutOfRange { region, volume_ml, min_ml, max_ml } => {
                write!(f, "{region} of {volume_ml:.2} ml is outside of {min_ml} to {max_ml} ml")
            }
            Self::Scattered { structure, components, largest_fraction } => write!(
                f,
                "{} is in {components} components, the largest of them {:.0} % of it",
                structure.name(),
                100.0 * largest_fraction
            ),
            Self::BrainDisconnected { components, second_ml } => {
                write!(f, "the brain is in {components} components, the second of {second_ml:.1} ml")
            }
            Self::TwoBrains { structures } => {
                write!(f, "two brains: twice there are {}", names(structures))
            }
            Self::CutOff { towards, area_mm2, at_border } => {
                let towards = format!("{towards:?}").to_lowercase();
                let place = if *at_border { "at the border" } else { "inside" };
                write!(
                    f,
                    "the brain is cut off towards {towards} ({area_mm2:.0} mm2 flat, {place} of the field of view)"
                )
            }
            Self::Mirrored { pairs, reversed, left_of_right_mm } => write!(
                f,
                "left and right are swapped in {reversed} of {pairs} structures (left lies {:.0} mm right of right)",
                -left_of_right_mm
            ),
            Self::SidesCrossed { structures } => {
                write!(f, "left and right do not lie on their sides: {}", names(structures))
            }
            Self::WrongAxes { turned_deg, seen } => write!(
                f,
                "the axes in the header are wrong by {turned_deg:.0} degrees: what they call RAS is {seen} of the head (its left \
                 and right cannot be told)"
            ),
            Self::UpsideDown { cerebellum_below_mm } => {
                write!(f, "the cerebellum is {cerebellum_below_mm:.0} mm below the cerebrum: upside down?")
            }
            Self::BackToFront { cerebellum_behind_mm } => {
                write!(
                    f,
                    "the cerebellum is {cerebellum_behind_mm:.0} mm behind the brain stem: back to front?"
                )
            }
            Self::VentriclesOutside { fraction } => {
                write!(f, "{:.1} % of the lateral ventricles are outside of the brain", 100.0 * fraction)
            }
            Self::Lopsided { left_ml, right_ml, asymmetry } => write!(
                f,
                "the hemispheres differ: {left_ml:.0} ml left, {right_ml:.0} ml right (asymmetry {asymmetry:.2})"
            ),
            Self::Unsure { structure, confidence } => {
                write!(f, "the network is unsure about {} (confidence {confidence:.2})", structure.name())
            }
        }
    }
}
