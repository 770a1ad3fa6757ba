//! The axes of a grid by their names.

use serde::{Deserialize, Serialize};

/// An axis of a grid `[D, H, W]`, of voxels or of k-space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Axis {
    /// The first: slices, partitions; voxel axis k.
    #[default]
    D,
    /// The second: rows; voxel axis j.
    H,
    /// The third: columns; voxel axis i.
    W,
}

impl Axis {
    /// All three.
    pub const ALL: [Self; 3] = [Self::D, Self::H, Self::W];
}
