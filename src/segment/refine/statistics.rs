//! Sums of intensities by part, cell by cell: all that the means and spreads of a scan are made of.

use super::field::{CELL, Cells};
use super::groups::PARTS;

/// Sums over the voxels of one layer of cells. Intensities count from a reference, so that squares keep their digits.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Of weights, `[PARTS, H, W]` in cells.
    pub weight: Vec<f32>,
    /// Of weighted intensities.
    pub value: Vec<f32>,
    /// Of weighted squares, for each part.
    pub square: [f64; PARTS],
    layer: usize,
}

impl Sums {
    /// Nothing yet.
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

    /// Takes over what another one holds.
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
