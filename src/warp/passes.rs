//! Resampling along one axis at positions that are affine in the voxel's index: the passes that an affine map of a
//! volume factors into (Catmull & Smith 1980, "3-D transformations of images in scanline order").
//!
//! A pass reads, for the voxel `(i, j, k)`, at `a·i + b·j + c·k + t` along its axis, plus the voxel's displacement
//! where the pass is bent. It is linear in the image and local to lines, and its adjoint adds along the same lines with
//! the same weights; so it needs no index table, and is differentiable to any order without stored activations.
//! Interpolation is cubic convolution with a = −½ (Keys 1981), its kernel stretched by the local shrinkage, so that
//! frequencies beyond the new Nyquist are damped; weights sum to one; borders are reflected about the outer faces of
//! the outer voxels (`c b a | a b c | c b a`).

use std::sync::Arc;

use rayon::prelude::*;

/// A pass that leaves an axis as it is.
const IDENTITY: [[f64; 4]; 3] = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];

/// Resampling along one axis, each sample of a batch with coefficients of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct WarpPass {
    /// 2, 3 or 4: D, H or W of `[N, C, D, H, W]`.
    pub axis: usize,
    /// For each sample `[c_D, c_H, c_W, t]`: output voxel `(d, h, w)` is read from `c_D·d + c_H·h + c_W·w + t` along
    /// the axis, in voxels.
    pub rows: Vec<[f64; 4]>,
    /// For each sample displacements `[D, H, W]` in voxels, added to the positions that are read; empty if no sample
    /// has any. The kernel is not stretched for them: they are meant to be smooth.
    pub bends: Vec<Option<Arc<[f32]>>>,
    /// Whether this is the transposed pass.
    pub adjoint: bool,
}

impl WarpPass {
    /// The pass along `axis` (2, 3 or 4) that reads at the positions of `rows`, one for each sample.
    pub fn affine(axis: usize, rows: Vec<[f64; 4]>) -> Self {
        Self { axis, rows, bends: Vec::new(), adjoint: false }
    }

    /// The pass that reads each voxel of sample n from `bends[n]` voxels further along the axis; samples with `None`
    /// are unchanged.
    pub fn bent(axis: usize, bends: Vec<Option<Arc<[f32]>>>) -> Self {
        Self { axis, rows: vec![IDENTITY[axis - 2]; bends.len()], bends, adjoint: false }
    }

    /// The transposed pass, which is also the gradient.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self { adjoint: !self.adjoint, ..self.clone() }
    }

    /// Whether the pass leaves every sample unchanged in a volume of `length` voxels along the axis. An axis of size
    /// one is always unchanged.
    pub fn is_identity(&self, length: usize) -> bool {
        length == 1 || (0..self.rows.len()).all(|n| self.keeps(n))
    }

    /// The row of a sample that is unchanged.
    pub fn identity(&self) -> [f64; 4] {
        IDENTITY[self.axis - 2]
    }

    /// Whether sample `n` stays as it is.
    fn keeps(&self, n: usize) -> bool {
        self.rows[n] == self.identity() && self.bend(n).is_none()
    }

    /// The displacements of sample `n`; `None` without any.
    pub fn bend(&self, n: usize) -> Option<&Arc<[f32]>> {
        self.bends.get(n)?.as_ref()
    }

    /// The stretch of the kernel for sample `n`: voxels read per voxel written, at least one.
    pub fn stretch(&self, n: usize) -> f64 {
        self.rows[n][self.axis - 2].abs().max(1.0)
    }

    /// Asserts that the pass fits a tensor of this shape.
    ///
    /// # Panics
    /// If its axis is not spatial, or it is for another number of samples or has displacements on another grid.
    pub fn check(&self, shape: [usize; 5]) {
        assert!((2..5).contains(&self.axis), "warp: axis {} is not 2, 3 or 4", self.axis);
        let (rows, samples) = (self.rows.len(), shape[0]);
        assert_eq!(rows, samples, "warp: coefficients for {rows} samples, tensor of {samples}");
        let (bends, voxels) = (self.bends.len(), shape[2..].iter().product::<usize>());
        assert!(
            bends == 0 || bends == samples,
            "warp: displacements for {bends} samples, tensor of {samples}"
        );
        for bend in self.bends.iter().flatten() {
            assert_eq!(
                bend.len(),
                voxels,
                "warp: displacements of {} voxels, grid {:?}",
                bend.len(),
                &shape[2..]
            );
        }
    }
}

/// Number of voxels on each side of a position in the support of a kernel stretched by `stretch`.
pub fn reach(stretch: f64) -> isize {
    (2.0 * stretch).ceil() as isize
}

/// The pass on a contiguous `[N, C, D, H, W]` of float32: cubic convolution with a = −½ (Keys 1981), its kernel
/// stretched by the local shrinkage, with borders reflected about the outer faces of the outer voxels.
///
/// Lines are independent and each is summed in index order, so that the result does not depend on the number of
/// threads.
///
/// # Panics
/// As [`WarpPass::check`].
pub fn warp_slice(x: &[f32], shape: [usize; 5], pass: &WarpPass) -> Vec<f32> {
    pass.check(shape);
    let [_, c, d, h, w] = shape;
    if pass.is_identity(shape[pass.axis]) {
        return x.to_vec();
    }
    let line = |n: usize, index: [usize; 3]| {
        let [row, at] = [pass.rows[n], [index[0] as f64, index[1] as f64, index[2] as f64, 1.0]];
        let start = row.iter().zip(at).map(|(c, i)| c * i).sum();
        let (step, length) = (row[pass.axis - 2], shape[pass.axis]);
        let [i, j, k] = index;
        let bend = pass.bend(n).map(|bend| (&bend[(i * h + j) * w + k..], [h * w, w, 1][pass.axis - 2]));
        Line { start, step, bend, length, keep: pass.keeps(n), adjoint: pass.adjoint }
    };
    let mut y = vec![0.0; x.len()];
    if pass.axis > 2 {
        y.par_chunks_mut(h * w).zip(x.par_chunks(h * w)).enumerate().for_each(|(unit, (y, x))| {
            let (n, i) = (unit / (c * d), unit % d);
            if pass.axis == 3 {
                (0..w).for_each(|k| line(n, [i, 0, k]).resample(&x[k..], w, &mut y[k..], w));
            } else {
                let rows = y.chunks_mut(w).zip(x.chunks(w)).enumerate();
                rows.for_each(|(j, (y, x))| line(n, [i, j, 0]).resample(x, 1, y, 1));
            }
        });
        return y;
    }
    // Lines along D cross all planes: they are gathered h by h, so that each thread writes one piece.
    let mut columns = vec![0.0; x.len()]; // [N, C, H, D, W]
    columns.par_chunks_mut(d * w).enumerate().for_each(|(unit, y)| {
        let (n, j) = (unit / (c * h), unit % h);
        let x = &x[(unit / h) * d * h * w + j * w..];
        (0..w).for_each(|k| line(n, [0, j, k]).resample(&x[k..], h * w, &mut y[k..], w));
    });
    y.par_chunks_mut(h * w).enumerate().for_each(|(unit, plane)| {
        let (volume, i) = (unit / d, unit % d);
        for (j, row) in plane.chunks_mut(w).enumerate() {
            row.copy_from_slice(&columns[((volume * h + j) * d + i) * w..][..w]);
        }
    });
    y
}

/// One line of voxels, read at `start + step·i`, further by its displacement where it is bent.
struct Line<'a> {
    start: f64,
    step: f64,
    /// Displacements and how far apart those of neighbours are.
    bend: Option<(&'a [f32], usize)>,
    length: usize,
    keep: bool,
    adjoint: bool,
}

impl Line<'_> {
    /// Resamples (or its transpose, into zeros) the line whose voxels are `x_stride` and `y_stride` apart.
    fn resample(&self, x: &[f32], x_stride: usize, y: &mut [f32], y_stride: usize) {
        if self.keep {
            (0..self.length).for_each(|i| y[i * y_stride] = x[i * x_stride]);
            return;
        }
        let stretch = self.step.abs().max(1.0);
        let mut wide = vec![0.0; if stretch > 1.0 { 2 * reach(stretch) as usize } else { 0 }];
        for i in 0..self.length {
            let further = self.bend.map_or(0.0, |(bend, stride)| f64::from(bend[i * stride]));
            let position = self.start + self.step * i as f64 + further;
            let base = position.floor() as isize;
            let fraction = position - base as f64;
            let cubic;
            let (first, weights) = if wide.is_empty() {
                cubic = cubic_weights(fraction as f32);
                (base - 1, &cubic[..])
            } else {
                stretched_weights(fraction, stretch, &mut wide);
                (base + 1 - reach(stretch), &wide[..])
            };
            let inside = first >= 0 && first as usize + weights.len() <= self.length;
            let index = |t: usize| {
                let at = first + t as isize;
                if inside { at as usize } else { reflect(at, self.length) }
            };
            if self.adjoint {
                let value = x[i * x_stride];
                weights.iter().enumerate().for_each(|(t, weight)| y[index(t) * y_stride] += weight * value);
            } else {
                let terms = weights.iter().enumerate().map(|(t, weight)| weight * x[index(t) * x_stride]);
                y[i * y_stride] = terms.sum();
            }
        }
    }
}

/// The voxel that stands at `index` of a line reflected half-sample symmetrically.
fn reflect(index: isize, length: usize) -> usize {
    let index = index.rem_euclid(2 * length as isize) as usize;
    index.min(2 * length - 1 - index)
}

/// Keys' four weights at `f` of the way from the second voxel to the third.
fn cubic_weights(f: f32) -> [f32; 4] {
    [
        ((1.0 - 0.5 * f) * f - 0.5) * f,
        (1.5 * f - 2.5) * f * f + 1.0,
        ((2.0 - 1.5 * f) * f + 0.5) * f,
        (0.5 * f - 0.5) * f * f,
    ]
}

/// The weights of the stretched kernel at `1 − reach ..= reach` around a position's base.
fn stretched_weights(fraction: f64, stretch: f64, weights: &mut [f32]) {
    let near = 1 - (weights.len() / 2) as isize;
    let kernel = |t: usize| {
        let u = (fraction - (near + t as isize) as f64).abs() / stretch;
        if u < 1.0 {
            (1.5 * u - 2.5) * u * u + 1.0
        } else if u < 2.0 {
            ((2.5 - 0.5 * u) * u - 4.0) * u + 2.0
        } else {
            0.0
        }
    };
    let total: f64 = (0..weights.len()).map(kernel).sum();
    weights.iter_mut().enumerate().for_each(|(t, weight)| *weight = (kernel(t) / total) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 5] = [2, 1, 9, 11, 13];

    fn texture(shape: [usize; 5]) -> Vec<f32> {
        let voxels = shape.iter().product();
        (0..voxels).map(|i: usize| (i as f32 * 0.731).sin() + (i as f32 * 0.0173).cos()).collect()
    }

    fn pass(axis: usize, row: [f64; 4]) -> WarpPass {
        WarpPass::affine(axis, vec![row; SHAPE[0]])
    }

    /// The row that reads at `step·i + start` along the pass's own axis.
    fn own(axis: usize, step: f64, start: f64) -> [f64; 4] {
        let mut row = [0.0, 0.0, 0.0, start];
        row[axis - 2] = step;
        row
    }

    #[test]
    fn a_shift_by_whole_voxels_moves_indices_and_reflects_at_the_borders() {
        let x = texture(SHAPE);
        for axis in 2..5 {
            let stride: usize = SHAPE[axis + 1..].iter().product();
            let y = warp_slice(&x, SHAPE, &pass(axis, own(axis, 1.0, -3.0)));
            for (i, &value) in y.iter().enumerate() {
                let at = i / stride % SHAPE[axis];
                let from = if at >= 3 { at - 3 } else { 2 - at };
                assert_eq!(value, x[i + from * stride - at * stride]);
            }
        }
    }

    #[test]
    fn the_identity_and_thin_axes_return_the_bits_that_came() {
        let mut x = texture(SHAPE);
        (x[3], x[4]) = (-0.0, f32::NAN);
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for axis in 2..5 {
            // One sample moves; the other must stay as it is, NaN and all.
            let mut mixed = pass(axis, own(axis, 1.0, 0.0));
            assert_eq!(bits(&warp_slice(&x, SHAPE, &mixed)), bits(&x));
            mixed.rows[1][3] = 0.4;
            let y = warp_slice(&x, SHAPE, &mixed);
            let half = x.len() / 2;
            assert_eq!(bits(&y[..half]), bits(&x[..half]));
            assert_ne!(y[half..], x[half..]);
        }
        let thin = [2, 1, 1, 99, 13];
        assert_eq!(bits(&warp_slice(&x, thin, &pass(2, [1.3, 0.2, 0.1, 0.7]))), bits(&x));
    }

    /// Keys' interpolation reproduces quadratics, so a ramp moves exactly wherever borders are out of reach.
    #[test]
    fn a_ramp_is_warped_exactly() {
        let ramp = |v: [usize; 3]| 0.3 * v[0] as f64 - 0.2 * v[1] as f64 + 0.5 * v[2] as f64;
        let index = |i: usize| [i / 143 % 9, i / 13 % 11, i % 13];
        let x: Vec<f32> = (0..2574).map(|i| ramp(index(i)) as f32).collect();
        let mut interior = 0;
        for (axis, row) in
            [(2, [0.9, 0.1, -0.15, 0.35]), (3, [0.2, 0.8, 0.1, -0.6]), (4, [-0.1, 0.15, 1.0, 0.45])]
        {
            let mut pass = pass(axis, row);
            // The second sample is bent.
            let bend: Arc<[f32]> = (0..1287).map(|i| (i as f32 * 0.37).sin()).collect();
            pass.bends = vec![None, Some(bend.clone())];
            let y = warp_slice(&x, SHAPE, &pass);
            for (i, &value) in y.iter().enumerate() {
                let v = index(i);
                let further = if i < 1287 { 0.0 } else { f64::from(bend[i - 1287]) };
                let read = (0..3).map(|a| row[a] * v[a] as f64).sum::<f64>() + row[3] + further;
                if read < 1.0 || read > SHAPE[axis] as f64 - 2.0 {
                    continue;
                }
                interior += 1;
                let slope = [0.3, -0.2, 0.5][axis - 2];
                let expected = ramp(v) + slope * (read - v[axis - 2] as f64);
                assert!((f64::from(value) - expected).abs() < 2e-6, "{value} is not {expected}");
            }
        }
        assert!(interior > 3000, "{interior}");
    }

    /// Shrinking by two leaves a tone below the new Nyquist and damps one that would fold, which plain interpolation
    /// keeps at full strength.
    #[test]
    fn shrinking_damps_what_would_fold() {
        let shape = [1, 1, 1, 1, 256];
        let rms = |cycles: f64, step: f64| {
            let tone = |i: usize| (std::f64::consts::TAU * cycles * i as f64).sin() as f32;
            let x: Vec<f32> = (0..256).map(tone).collect();
            let shrink = WarpPass::affine(4, vec![own(4, step, 0.5)]);
            let y = warp_slice(&x, shape, &shrink);
            (y[8..120].iter().map(|y| f64::from(y * y)).sum::<f64>() / 56.0).sqrt()
        };
        assert!(rms(0.05, 2.0) > 0.97, "{}", rms(0.05, 2.0));
        assert!(rms(0.45, 2.0) < 0.05, "{}", rms(0.45, 2.0));
        // Up to scale one there is nothing to fold: the kernel is not stretched.
        assert!(rms(0.25, 1.0) > 0.7, "{}", rms(0.25, 1.0));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let x = texture(SHAPE);
        for axis in 2..5 {
            let mut pass = pass(axis, [0.1, -0.2, 0.15, 0.7]);
            pass.rows[0][axis - 2] = 1.3;
            pass.rows[1][axis - 2] = 0.9;
            for pass in [pass.transposed(), pass] {
                let with = |threads: usize| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                    pool.install(|| warp_slice(&x, SHAPE, &pass))
                };
                assert_eq!(with(1), with(3));
            }
        }
    }
}
