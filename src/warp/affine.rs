//! Affine maps of voxel indices, and their factorisation into three one-dimensional passes.

use super::WarpPass;

/// An affine map of voxel indices `(d, h, w)`: row `a` is `[m_D, m_H, m_W, t]`, and the voxel written at `v` is read at
/// `m·v + t` along axis `a`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine(pub [[f64; 4]; 3]);

impl Affine {
    /// The identity.
    pub const IDENTITY: Self = Self([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);

    /// The linear map `m` about the centre of `grid`.
    pub fn about_centre(m: [[f64; 3]; 3], grid: [usize; 3]) -> Self {
        let centre = grid.map(|length| (length as f64 - 1.0) / 2.0);
        Self([0, 1, 2].map(|a| {
            let moved: f64 = (0..3).map(|b| m[a][b] * centre[b]).sum();
            [m[a][0], m[a][1], m[a][2], centre[a] - moved]
        }))
    }

    /// Scaling by `factors` about the centre of `grid`.
    pub fn scaling(factors: [f64; 3], grid: [usize; 3]) -> Self {
        let mut m = [[0.0; 3]; 3];
        (0..3).for_each(|a| m[a][a] = factors[a]);
        Self::about_centre(m, grid)
    }

    /// A shift by `voxels`.
    pub fn shift(voxels: [f64; 3]) -> Self {
        let mut shift = Self::IDENTITY;
        (0..3).for_each(|a| shift.0[a][3] = voxels[a]);
        shift
    }

    /// A rotation by `angle_deg` about `axis` (a unit vector along D, H, W in millimetres) through the centre of `grid`
    /// (Rodrigues' formula).
    pub fn rotation(axis: [f64; 3], angle_deg: f64, grid: [usize; 3], spacing_mm: [f64; 3]) -> Self {
        let (sin, cos) = angle_deg.to_radians().sin_cos();
        let [x, y, z] = axis;
        let cross = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
        let mut m = [[0.0; 3]; 3];
        for a in 0..3 {
            for b in 0..3 {
                let same = if a == b { cos } else { 0.0 };
                let millimetres = same + sin * cross[a][b] + (1.0 - cos) * axis[a] * axis[b];
                m[a][b] = millimetres * (spacing_mm[b] / spacing_mm[a]);
            }
        }
        Self::about_centre(m, grid)
    }

    /// The composition: `inner` is applied to an index first, then `self`.
    #[must_use]
    pub fn after(&self, inner: &Self) -> Self {
        Self([0, 1, 2].map(|a| {
            let row = self.0[a];
            let mut product = [0.0, 0.0, 0.0, row[3]];
            for (factor, inner) in row.iter().zip(inner.0) {
                (0..4).for_each(|b| product[b] += factor * inner[b]);
            }
            product
        }))
    }

    /// The rows of passes along W, H and D, applied in this order, whose composition is this map (Catmull & Smith
    /// 1980): `self = W ∘ H ∘ D`, each changing one coordinate. The row for D is that of the map, the row for H that of
    /// the remaining map, and W has the rest, so that a reflection along W needs no further pass. Every pass works
    /// within the final grid along its own axis and the grid of the source along the later ones, so that nothing is cut
    /// off in between.
    ///
    /// The leading minors must be well away from zero: rotations up to 45°, any scale.
    pub fn factor(&self) -> [[f64; 4]; 3] {
        let mut rest = *self;
        let mut rows = [[0.0; 4]; 3];
        for a in 0..2 {
            let row = rest.0[a];
            rows[a] = row;
            let mut inverse = Self::IDENTITY; // of the pass along a
            inverse.0[a] = row.map(|c| -c / row[a]);
            inverse.0[a][a] = 1.0 / row[a];
            rest = rest.after(&inverse);
        }
        rows[2] = rest.0[2];
        [rows[2], rows[1], rows[0]]
    }
}

/// The passes of a batch whose sample n is resampled by `maps[n]` on `grid` `[D, H, W]`, in the order of application,
/// without those that are the identity for all samples.
pub fn passes(maps: &[Affine], grid: [usize; 3]) -> Vec<WarpPass> {
    let factors: Vec<_> = maps.iter().map(Affine::factor).collect();
    let along = |place: usize| WarpPass::affine(4 - place, factors.iter().map(|rows| rows[place]).collect());
    (0..3).map(along).filter(|pass| !pass.is_identity(grid[pass.axis - 2])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Affine, b: &Affine, tolerance: f64) {
        for (a, b) in a.0.iter().flatten().zip(b.0.iter().flatten()) {
            assert!((a - b).abs() < tolerance, "{a} is not {b}");
        }
    }

    #[test]
    fn a_quarter_turn_about_d_takes_h_to_w() {
        let turn = Affine::rotation([1.0, 0.0, 0.0], 90.0, [3, 5, 5], [1.0; 3]);
        // [0, 1, 0] × is a right-handed turn from H to W: index (d, h, w) is read at (d, 4 − w, h).
        close(&turn, &Affine([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 4.0], [0.0, 1.0, 0.0, 0.0]]), 1e-12);
    }

    #[test]
    fn a_rotation_keeps_lengths_in_millimetres_and_the_centre() {
        let spacing_mm = [3.0, 1.0, 0.5];
        let axis = [2.0 / 7.0, 3.0 / 7.0, 6.0 / 7.0];
        let turn = Affine::rotation(axis, 23.0, [7, 9, 12], spacing_mm);
        let read =
            |v: [f64; 3]| [0, 1, 2].map(|a| (0..3).map(|b| turn.0[a][b] * v[b]).sum::<f64>() + turn.0[a][3]);
        let centre = [3.0, 4.0, 5.5];
        let length =
            |v: [f64; 3]| (0..3).map(|a| ((v[a] - centre[a]) * spacing_mm[a]).powi(2)).sum::<f64>().sqrt();
        for v in [[0.0, 0.0, 0.0], [6.0, 1.0, 4.0], centre] {
            assert!((length(read(v)) - length(v)).abs() < 1e-12);
        }
        // The trace of a rotation is 1 + 2 cos θ, in any basis.
        let trace: f64 = (0..3).map(|a| turn.0[a][a]).sum();
        assert!((trace - 1.0 - 2.0 * 23f64.to_radians().cos()).abs() < 1e-12);
    }

    #[test]
    fn the_three_passes_make_up_the_map() {
        let grid = [10, 12, 9];
        let turn = Affine::rotation([2.0 / 3.0, -1.0 / 3.0, 2.0 / 3.0], 40.0, grid, [2.0, 1.0, 1.5]);
        let map =
            Affine::scaling([1.3, 0.8, -1.1], grid).after(&turn).after(&Affine::shift([0.3, -4.0, 2.5]));
        let [w, h, d] = map.factor();
        let pass = |a: usize, row: [f64; 4]| {
            let mut pass = Affine::IDENTITY;
            pass.0[a] = row;
            pass
        };
        close(&pass(2, w).after(&pass(1, h)).after(&pass(0, d)), &map, 1e-12);
    }

    #[test]
    fn nothing_and_a_reflection_are_exact() {
        let grid = [7, 8, 6];
        let turn = Affine::rotation([1.0, 0.0, 0.0], 0.0, grid, [1.7, 0.9, 1.1]);
        assert!(passes(&[turn, Affine::scaling([1.0; 3], grid)], grid).is_empty());
        let flip = passes(&[Affine::IDENTITY, Affine::scaling([1.0, 1.0, -1.0], grid)], grid);
        let rows = vec![[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, -1.0, 5.0]];
        assert_eq!(flip, [WarpPass::affine(4, rows)]);
    }
}
