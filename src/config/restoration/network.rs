//! Restoration networks, and cascades of them.

use serde::{Deserialize, Serialize};

use super::{ADVICE, HeadRecipe, within};
use crate::error::{Error, Result};

/// Most channels of a layer, residual blocks, levels, and voxels along an axis that become channels.
const WIDTH_MAX: usize = 1 << 12;
const BLOCKS_MAX: usize = 256;
const LEVELS_MAX: usize = 8;
const FOLD_MAX: usize = 16;

/// A cascade: several networks of one shape, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CascadeRecipe {
    /// Number of networks.
    pub stages: usize,
    /// Data consistency between the stages.
    pub between: Between,
}

impl Default for CascadeRecipe {
    fn default() -> Self {
        Self { stages: 1, between: Between::DataConsistency }
    }
}

/// Data consistency between the stages of a cascade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Between {
    /// Each result is made consistent with the measurement exactly (RefineGAN: Quan et al. 2018).
    #[serde(alias = "project")]
    DataConsistency,
    /// Each stage takes a gradient step of learned size towards the measurement, beside its network's output
    /// (variational network: Hammernik et al. 2018; Sriram et al. 2020).
    Step,
}

/// A restoration network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RestorerRecipe {
    /// A residual network at one scale.
    Residual {
        /// Number of channels.
        channels: usize,
        /// Number of residual blocks of two convolutions.
        blocks: usize,
        /// Factors `[D, H, W]` of the space-to-depth transform before the network, and of its inverse after it.
        #[serde(default = "one", alias = "fold")]
        space_to_depth: [usize; 3],
        /// The method of upsampling.
        #[serde(default)]
        upsampling: Upsampling,
    },
    /// A U-Net.
    UNet {
        /// Channels of each level, finest first.
        widths: Vec<usize>,
        /// Factors `[D, H, W]` of the space-to-depth transform before the network, and of its inverse after it.
        #[serde(default = "one", alias = "fold")]
        space_to_depth: [usize; 3],
    },
}

fn one() -> [usize; 3] {
    [1; 3]
}

/// The method of upsampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upsampling {
    /// Sub-pixel convolution: channels become voxels (Shi et al. 2016), by any factor.
    #[default]
    SubPixel,
    /// Filtered upsampling and a convolution, by two at a time.
    Resize,
    /// Transposed convolution, by two at a time.
    Transposed,
}

impl RestorerRecipe {
    /// Bytes of the features of the finest level for each voxel of the image, rounded up.
    pub fn bytes_per_voxel(&self) -> u64 {
        let (channels, places) = match self {
            Self::Residual { channels, space_to_depth, .. } => (*channels, space_to_depth),
            Self::UNet { widths, space_to_depth } => (widths[0], space_to_depth),
        };
        (4 * channels).div_ceil(places.iter().product()) as u64
    }

    pub(super) fn validate(&self, head: &HeadRecipe) -> Result<()> {
        let enlarging = match head {
            HeadRecipe::Superres(superres) if superres.measured => Some(superres.factors[0]),
            _ => None,
        };
        let space_to_depth = match self {
            Self::Residual { channels, blocks, space_to_depth, upsampling } => {
                within("network.channels", *channels, 1, WIDTH_MAX)?;
                within("network.blocks", *blocks, 1, BLOCKS_MAX)?;
                let rise =
                    [0, 1, 2].map(|axis| space_to_depth[axis] * enlarging.map_or(1, |factors| factors[axis]));
                let highest = rise.iter().copied().max().unwrap_or(1);
                let doubled = rise.iter().all(|&n| n == 1 || (n == highest && n.is_power_of_two()));
                if *upsampling != Upsampling::SubPixel && !doubled {
                    let expected = "factors of 1 and of one power of two";
                    let advice = "take upsampling = \"sub-pixel\"";
                    return Err(Error::value("network.upsampling", expected, format!("{rise:?}"), advice));
                }
                space_to_depth
            }
            Self::UNet { widths, space_to_depth } => {
                let sound = |n: &usize| (1..=WIDTH_MAX).contains(n);
                if widths.is_empty() || widths.len() > LEVELS_MAX || !widths.iter().all(sound) {
                    let expected = format!("1 to {LEVELS_MAX} widths from 1 to {WIDTH_MAX}");
                    return Err(Error::value("network.widths", expected, format!("{widths:?}"), ADVICE));
                }
                if enlarging.is_some() {
                    let advice = "take kind = \"residual\", or measured = false";
                    return Err(Error::value("network.kind", "residual", "u-net", advice));
                }
                space_to_depth
            }
        };
        if space_to_depth.iter().any(|n| !(1..=FOLD_MAX).contains(n)) {
            return Err(Error::value(
                "network.space_to_depth",
                format!("numbers from 1 to {FOLD_MAX}"),
                format!("{space_to_depth:?}"),
                ADVICE,
            ));
        }
        Ok(())
    }
}
