//! Sums of intensities by part and cell, from which means and standard deviations are computed.

use super::field::{CELL, Cells};
use super::groups::PARTS;

/// Sums over the voxels of one layer of cells. A reference is subtracted from intensities, for the precision of
/// squares.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Sums of weights, `[PARTS, H, W]` in cells.
    pub weight: Vec<f32>,
    /// Sums of weighted intensities, `[PARTS, H, W]` in cells.
    pub value: Vec<f32>,
    /// Sum of weighted squares for each part.
    pub square: [f64; PARTS],
    layer: usize,
}

impl Sums {
    /// Sums of zero.
    pub fn new(cells: Cells) -> Self {
        let layer = cells.layer();
        Self {
            weight: vec![0.0; PARTS * layer],
            value: vec![0.0; PARTS * layer],
            square: [0.0; PARTS],
            layer,
        }
    }

    /// Adds an intensity, less the reference, of one part in one cell of the layer.
    pub fn add(&mut self, part: usize, cell: usize, weight: f32, value: f32) {
        let at = part * self.layer + cell;
        let weighted = weight * value;
        self.weight[at] += weight;
        self.value[at] += weighted;
        self.square[part] += f64::from(weighted * value);
    }

    /// Copies another's sums.
    pub fn copy_from(&mut self, other: &Self) {
        self.weight.copy_from_slice(&other.weight);
        self.value.copy_from_slice(&other.value);
        self.square = other.square;
    }
}

/// The cell within its layer of the voxel in row `y` and column `x`.
pub fn cell(cells: Cells, y: usize, x: usize) -> usize {
    y / CELL * cells.shape[2] + x / CELL
}

/// The sums of one part over all layers, `[D, H, W]` in cells.
pub fn of_part(layers: &[Sums], part: usize, values: impl Fn(&Sums) -> &[f32]) -> Vec<f32> {
    layers
        .iter()
        .flat_map(|sums| &values(sums)[part * sums.layer..(part + 1) * sums.layer])
        .copied()
        .collect()
}
