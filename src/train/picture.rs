//! Pictures of restoration heads in training: the same problems through a run, a row each.

use ndarray::{Array4, Axis};

use super::record::RunFolder;
use super::run::Event;
use crate::error::Result;
use crate::report::Montage;
use crate::volume::{Volume, VoxelToWorld};

/// Problems in a picture.
pub const PICTURED: u64 = 4;
/// The step whose address the problems of pictures have: one that no run reaches.
pub const PICTURES: u64 = u64::MAX;

/// Draws `images` `[C, D, H, W]`, `columns` in a row, as the picture of `step`.
///
/// # Errors
/// As [`RunFolder::picture`].
pub fn draw(
    folder: &mut RunFolder,
    step: u64,
    columns: usize,
    images: Vec<Array4<f32>>,
    tell: &dyn Fn(Event),
) -> Result<()> {
    let volumes: Vec<Volume> = images.into_iter().map(shown).collect();
    let montage = Montage { window: (0.0, 1.0), columns, ..Montage::fit(&volumes)? };
    folder.picture(&format!("step-{step:08}"), "examples", step, &montage.render(&volumes)?, tell)
}

/// An image `[C, D, H, W]` as a volume to look at: the magnitude of two parts.
fn shown(image: Array4<f32>) -> Volume {
    let magnitude = image.mapv(|x| x * x).sum_axis(Axis(0)).mapv(f32::sqrt).insert_axis(Axis(0));
    Volume::new(if image.dim().0 == 2 { magnitude } else { image }, VoxelToWorld::identity())
}
