//! Transfer from another network's weights.

use serde::{Deserialize, Serialize};

/// Transfer from another network's weights (`voxgan train --from`): frozen layers and the start of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferRecipe {
    /// Number of frozen layers of the discriminator, counted from the image: from-image, conv0, conv1 and skip of the
    /// finest transferred block, then of the next (Freeze-D, Mo et al. 2020, arXiv 2002.10964).
    pub freeze_d: usize,
    /// Whether the mapping network is frozen.
    pub freeze_mapping: bool,
    /// Thousands of volumes over which both step sizes rise from zero.
    pub ramp_kimg: f64,
    /// Size of the initial weights of conditions in a mapping network that had none, as a part of the usual initial
    /// size. At 0 the first images are those of the other network; but such weights have a learning-rate multiplier of
    /// 0.01, and grow over thousands of steps.
    pub condition_weight: f64,
}

impl TransferRecipe {
    /// Whether all keys have their defaults; a recipe is then written without this table.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
