//! A volume on the host: voxels, where they lie in the world, and where they came from.

mod axis;
pub mod blocks;
pub mod crop;
mod grid;
mod grids;
pub mod intensity;
pub mod kspace;
pub mod orientation;
pub mod outliers;
pub mod resample;
mod rescale;
mod voxel_to_world;

pub use axis::Axis;
pub use grids::check_grids;
pub use kspace::{ImageGrid, KSpace};
use ndarray::{Array4, ArrayView3, Axis as Dimension};
pub use rescale::rescale;
use serde::{Deserialize, Serialize};
pub use voxel_to_world::VoxelToWorld;

/// A scalar (or few-channel) image on a regular grid in the world.
///
/// # Axes
/// `data` is `[C, D, H, W]` in C order. The voxel axes of NIfTI are `(i, j, k) = (W, H, D)`: `i` runs fastest in
/// memory, as in the file. After reorientation to RAS+, `W` runs left → right, `H` posterior → anterior and `D`
/// inferior → superior. A slice is a volume with `D = 1`.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Voxels, `[C, D, H, W]`.
    pub data: Array4<f32>,
    /// Where its voxels lie.
    pub affine: VoxelToWorld,
    /// What was read and what was done to it since.
    pub provenance: Provenance,
}

/// Where a volume came from and the steps applied to it, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The file it was read from; empty for a volume made here.
    pub source: String,
    /// One line a step, oldest first.
    pub steps: Vec<String>,
    /// What its world is that of.
    #[serde(default)]
    pub world: World,
}

/// What the axes and the origin of a world are anchored to, as NIfTI's form codes tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// The scanner.
    Scanner = 1,
    /// Another image, or nothing in particular.
    #[default]
    Aligned = 2,
    /// The atlas of Talairach and Tournoux.
    Talairach = 3,
    /// A template of the Montreal Neurological Institute.
    Mni = 4,
    /// Another template.
    Template = 5,
}

impl World {
    /// The world of a form code; one that the format does not know is that of an aligned image.
    pub fn of_code(code: i32) -> Self {
        let all = [Self::Scanner, Self::Aligned, Self::Talairach, Self::Mni, Self::Template];
        all.into_iter().find(|world| *world as i32 == code).unwrap_or_default()
    }

    /// Its form code.
    pub fn code(self) -> i16 {
        self as i16
    }
}

impl Volume {
    /// A volume from its voxels `[C, D, H, W]` and its voxel-to-world affine.
    pub fn new(data: Array4<f32>, affine: VoxelToWorld) -> Self {
        Self { data, affine, provenance: Provenance::default() }
    }

    /// The volume `[1, D, H, W]` that is 1 where `mask` `[D, H, W]` is true, and 0 elsewhere.
    pub fn of_mask(mask: ArrayView3<bool>, affine: VoxelToWorld) -> Self {
        Self::new(mask.mapv(|inside| f32::from(u8::from(inside))).insert_axis(Dimension(0)), affine)
    }

    /// Number of voxels along the voxel axes `(i, j, k)`, that is `[W, H, D]`.
    pub fn dims(&self) -> [usize; 3] {
        let (_, d, h, w) = self.data.dim();
        [w, h, d]
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.data.dim().0
    }

    /// Size of a voxel along `(i, j, k)` in millimetres: the lengths of the affine's columns.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.affine.spacing_mm()
    }

    /// The world position in millimetres of the voxel position `(i, j, k)`; whole numbers are voxel centres.
    pub fn world_mm(&self, voxel: [f64; 3]) -> [f64; 3] {
        self.affine.world_mm(voxel).into()
    }

    /// The volume, which lies in the same world as `other`.
    #[must_use]
    pub fn in_world_of(mut self, other: &Self) -> Self {
        self.provenance.world = other.provenance.world;
        self
    }

    /// The volume after `step` has been noted in its provenance.
    #[must_use]
    pub fn with_step(mut self, step: impl Into<String>) -> Self {
        self.provenance.steps.push(step.into());
        self
    }
}

/// The axis of `Volume::data`, `[C, D, H, W]`, along which voxel axis `(i, j, k)[axis]` runs.
const fn data_axis(axis: usize) -> usize {
    3 - axis
}
