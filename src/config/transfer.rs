//! How a run goes on from another network's weights.

use serde::{Deserialize, Serialize};

/// What is held still and how softly a run begins that starts from another network's weights (`voxgan train --from`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferRecipe {
    /// Layers of the discriminator that stay as they came, counted from the image: from-image, conv0, conv1 and skip of
    /// the finest block that came from the other network, then of the next (Freeze-D, Mo et al. 2020, arXiv 2002.10964).
    pub freeze_d: usize,
    /// Whether the mapping network stays as it came.
    pub freeze_mapping: bool,
    /// Thousands of volumes over which both step sizes rise from nothing to their height.
    pub ramp_kimg: f64,
    /// Size of the weights that let conditions into a mapping network which had none, as a part of the usual initial
    /// size. At 0 the first images are the old ones; but such weights have a learning-rate multiplier of 0.01, and grow
    /// in thousands of steps.
    pub condition_weight: f64,
}

impl TransferRecipe {
    /// Whether nothing is set: a recipe is written without this table then.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
