//! Smooth fields on a grid of 3 mm cells, read at voxels of 1 mm.

/// Voxels along an edge of a cell.
pub const CELL: usize = 3;

/// A grid of cells over an array of voxels.
#[derive(Clone, Copy, Debug)]
pub struct Cells {
    /// Cells along `[D, H, W]`.
    pub shape: [usize; 3],
}

/// The two cells around a voxel, and its position between them.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    low: usize,
    high: usize,
    part: f32,
}

impl Between {
    /// The cells of the voxel `at` along an axis of `cells` cells; constant beyond the centres of the first and last
    /// cell.
    pub fn of(at: usize, cells: usize) -> Self {
        let place = (at as f32 + 0.5) / CELL as f32 - 0.5;
        let low = place.floor();
        let clamped = |index: f32| (index.max(0.0) as usize).min(cells - 1);
        Self { low: clamped(low), high: clamped(low + 1.0), part: place - low }
    }

    /// The interpolated value of a row of cells.
    pub fn read(self, row: &[f32]) -> f32 {
        row[self.low] + self.part * (row[self.high] - row[self.low])
    }
}

impl Cells {
    /// The cells of an array `[D, H, W]` of voxels.
    pub fn over(shape: [usize; 3]) -> Self {
        Self { shape: shape.map(|length| length.div_ceil(CELL)) }
    }

    /// Number of cells.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of cells in a layer across D.
    pub fn layer(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// The cells of each voxel along W.
    pub fn columns(&self, width: usize) -> Vec<Between> {
        (0..width).map(|x| Between::of(x, self.shape[2])).collect()
    }

    /// The row of cells at the voxels of row `(z, y)`, interpolated from the four rows around it.
    pub fn row(&self, field: &[f32], [z, y]: [usize; 2], row: &mut [f32]) {
        let [d, h, w] = self.shape;
        let (z, y) = (Between::of(z, d), Between::of(y, h));
        let of = |z: usize, y: usize| &field[(z * h + y) * w..][..w];
        let [a, b, c, e] = [of(z.low, y.low), of(z.low, y.high), of(z.high, y.low), of(z.high, y.high)];
        for x in 0..w {
            let near = a[x] + y.part * (b[x] - a[x]);
            let far = c[x] + y.part * (e[x] - c[x]);
            row[x] = near + z.part * (far - near);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_field_is_read_exactly_between_the_middles_of_cells() {
        let cells = Cells::over([7, 9, 12]);
        assert_eq!(cells.shape, [3, 3, 4]);
        let middle = |cell: usize| (cell * CELL) as f32 + 1.0;
        let mut field = vec![0.0; cells.count()];
        for z in 0..3 {
            for y in 0..3 {
                for x in 0..4 {
                    field[(z * 3 + y) * 4 + x] = middle(z) - 2.0 * middle(y) + 0.5 * middle(x);
                }
            }
        }
        let mut row = vec![0.0; 4];
        let columns = cells.columns(12);
        for z in 1..7 {
            for y in 1..8 {
                cells.row(&field, [z, y], &mut row);
                for (x, column) in columns.iter().enumerate().take(11).skip(1) {
                    let expected = z as f32 - 2.0 * y as f32 + 0.5 * x as f32;
                    assert!((column.read(&row) - expected).abs() < 1e-4, "{z} {y} {x}");
                }
            }
        }
        cells.row(&field, [0, 1], &mut row);
        assert_eq!(columns[0].read(&row), field[0]);
    }
}
