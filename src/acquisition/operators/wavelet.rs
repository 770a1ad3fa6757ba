//! The discrete wavelet transform as an operator: Daubechies' orthonormal filters, periodic, over one to three axes.
//!
//! The layout of the coefficients is Mallat's (1989): each level splits the approximation that the level before has
//! left in the low corner into an approximation and, behind it along every axis, details. The numbers are those of
//! PyWavelets' `periodization`. An axis whose length is not divisible by 2^levels is padded with zeros, so that
//! `WᴴW = I` at any size; where the length is that of [`Wavelet::padded`] already, the transform is unitary.

use ndarray::{Array3, ArrayViewMut2, ArrayViewMut3, Axis, Ix3, Slice, Zip};
use rayon::prelude::*;

use crate::acquisition::linear::LinearOperator;
use crate::acquisition::{Complex32, ComplexArray};

/// Daubechies' wavelets (1988), by their number of vanishing moments; the filters have twice as many taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Daubechies {
    /// Haar's.
    Db1,
    /// Four taps.
    Db2,
    /// Six taps.
    Db3,
    /// Eight taps.
    Db4,
}

/// Scaling filters.
const DB1: [f32; 2] = [std::f32::consts::FRAC_1_SQRT_2; 2];
const DB2: [f32; 4] = [0.482_962_9, 0.836_516_3, 0.224_143_86, -0.129_409_52];
const DB3: [f32; 6] = [0.332_670_54, 0.806_891_5, 0.459_877_5, -0.135_011_02, -0.085_441_28, 0.035_226_293];
const DB4: [f32; 8] = [
    0.230_377_81,
    0.714_846_55,
    0.630_880_8,
    -0.027_983_77,
    -0.187_034_82,
    0.030_841_382,
    0.032_883_01,
    -0.010_597_402,
];

/// An image `[D, H, W]` → its wavelet coefficients, of the shape [`Wavelet::padded`].
#[derive(Clone, Debug)]
pub struct Wavelet {
    image: [usize; 3],
    coefficients: [usize; 3],
    axes: Vec<usize>,
    levels: usize,
    family: Daubechies,
    shift: [usize; 3],
}

impl Wavelet {
    /// The transform of images of this shape, over those of `axes` that have more than one voxel.
    ///
    /// # Panics
    /// If an axis is not below three.
    pub fn new(image: [usize; 3], axes: &[usize], levels: usize, family: Daubechies) -> Self {
        assert!(axes.iter().all(|&axis| axis < 3), "axes {axes:?} of an image");
        let axes: Vec<usize> = axes.iter().copied().filter(|&axis| image[axis] > 1).collect();
        let coefficients = Self::padded(image, &axes, levels);
        Self { image, coefficients, axes, levels, family, shift: [0; 3] }
    }

    /// The shape on which `levels` levels are unitary: every one of `axes` up to the next multiple of 2^levels.
    pub fn padded(image: [usize; 3], axes: &[usize], levels: usize) -> [usize; 3] {
        let mut padded = image;
        for &axis in axes.iter().filter(|&&axis| image[axis] > 1) {
            padded[axis] = image[axis].next_multiple_of(1 << levels);
        }
        padded
    }

    /// As many levels as leave at least 16 averages along each of `axes` that is longer than one; at least one.
    pub fn levels(image: [usize; 3], axes: &[usize]) -> usize {
        let shortest = axes.iter().map(|&axis| image[axis]).filter(|&n| n > 1).min().unwrap_or(1);
        (shortest / 16).max(2).ilog2() as usize
    }

    /// The transform of the image rolled back by `shift` voxels (periodic in the padded shape): cycle spinning (Coifman
    /// and Donoho 1995) averages or alternates over such shifts.
    #[must_use]
    pub fn shifted(&self, shift: [usize; 3]) -> Self {
        Self { shift, ..self.clone() }
    }

    /// The shape of the low corner, which contains the approximation coefficients of the last level.
    pub fn averages(&self) -> [usize; 3] {
        let mut shape = self.coefficients;
        self.axes.iter().for_each(|&axis| shape[axis] >>= self.levels);
        shape
    }

    /// Coefficients of an image of the padded shape, in place.
    ///
    /// # Panics
    /// If it has another shape.
    pub fn analyse(&self, x: &mut Array3<Complex32>) {
        assert_eq!(x.shape(), self.coefficients, "the padded shape of the wavelet transform");
        for level in 0..self.levels {
            for &axis in &self.axes {
                let shift = if level == 0 { self.shift[axis] } else { 0 };
                self.along(self.corner(x, level), axis, |lines, filter| filter.analyse(lines, shift));
            }
        }
    }

    /// The inverse of [`Wavelet::analyse`].
    ///
    /// # Panics
    /// If the coefficients have another shape.
    pub fn synthesise(&self, x: &mut Array3<Complex32>) {
        assert_eq!(x.shape(), self.coefficients, "the padded shape of the wavelet transform");
        for level in (0..self.levels).rev() {
            for &axis in self.axes.iter().rev() {
                let shift = if level == 0 { self.shift[axis] } else { 0 };
                self.along(self.corner(x, level), axis, |lines, filter| filter.synthesise(lines, shift));
            }
        }
    }

    /// What `level` works on.
    fn corner<'a>(&self, x: &'a mut Array3<Complex32>, level: usize) -> ArrayViewMut3<'a, Complex32> {
        let axes = &self.axes;
        x.slice_each_axis_mut(|at| {
            let axis = at.axis.index();
            Slice::from(..if axes.contains(&axis) { at.len >> level } else { at.len })
        })
    }

    /// `act` on bundles `[n, lines]` of the lines along an axis.
    fn along(
        &self,
        x: ArrayViewMut3<'_, Complex32>,
        axis: usize,
        act: impl Fn(ArrayViewMut2<'_, Complex32>, &dyn Filter) + Sync,
    ) {
        let filter: &(dyn Filter + Sync) = match self.family {
            Daubechies::Db1 => &DB1,
            Daubechies::Db2 => &DB2,
            Daubechies::Db3 => &DB3,
            Daubechies::Db4 => &DB4,
        };
        let inner = if axis == 2 { 1 } else { 2 };
        let mut x = x.permuted_axes([3 - axis - inner, axis, inner]); // [outer, n, inner]
        x.outer_iter_mut().into_par_iter().for_each(|mut plane| {
            plane.axis_chunks_iter_mut(Axis(1), LINES).into_par_iter().for_each(|lines| act(lines, filter));
        });
    }
}

/// Lines that are filtered together, and their real and imaginary parts.
const LINES: usize = 8;
type Row = [f32; 2 * LINES];

/// One level along one axis, on lines `[n, lines]`, n even.
trait Filter {
    /// Lines, rolled back by `shift`, to averages and details.
    fn analyse(&self, lines: ArrayViewMut2<'_, Complex32>, shift: usize);
    /// Averages and details to lines, rolled on by `shift`.
    fn synthesise(&self, lines: ArrayViewMut2<'_, Complex32>, shift: usize);
}

/// A scaling filter h of L taps; its wavelet filter is g[m] = (−1)ᵐ h[L−1−m].
impl<const L: usize> Filter for [f32; L] {
    fn analyse(&self, mut lines: ArrayViewMut2<'_, Complex32>, shift: usize) {
        let n = lines.nrows();
        // Row r of the buffer is line value r − (L/2 − 1).
        let rows: Vec<Row> =
            (0..n + L - 2).map(|r| gather(&lines, (r + shift + n * L - (L / 2 - 1)) % n)).collect();
        for i in 0..n / 2 {
            let (mut low, mut high) = (Row::default(), Row::default());
            let window: &[Row; L] = rows[2 * i..].first_chunk().expect("L rows");
            for m in 0..L {
                let (h, g) = (self[m], wavelet_tap(self, m));
                for k in 0..2 * LINES {
                    low[k] += h * window[m][k];
                    high[k] += g * window[m][k];
                }
            }
            scatter(&low, &mut lines, i);
            scatter(&high, &mut lines, n / 2 + i);
        }
    }

    fn synthesise(&self, mut lines: ArrayViewMut2<'_, Complex32>, shift: usize) {
        let (n, half, taps) = (lines.nrows(), lines.nrows() / 2, L / 2);
        // Rows e of the buffers are average and detail e − (L/2 − 1).
        let count = half + taps - 1 + taps / 2;
        let at = |e: usize| (e + half * taps - (taps - 1)) % half;
        let low: Vec<Row> = (0..count).map(|e| gather(&lines, at(e))).collect();
        let high: Vec<Row> = (0..count).map(|e| gather(&lines, half + at(e))).collect();
        for r in 0..n {
            // The filters' tap m reaches line value r from coefficient (r + L/2 − 1 − m) / 2.
            let q = r + taps - 1;
            let mut sum = Row::default();
            let (low, high): (&[Row], &[Row]) = (&low[q / 2..q / 2 + taps], &high[q / 2..q / 2 + taps]);
            for s in 0..taps {
                let m = 2 * s + q % 2;
                let (h, g) = (self[m], wavelet_tap(self, m));
                for k in 0..2 * LINES {
                    sum[k] += h * low[taps - 1 - s][k] + g * high[taps - 1 - s][k];
                }
            }
            scatter(&sum, &mut lines, (r + shift) % n);
        }
    }
}

fn wavelet_tap<const L: usize>(filter: &[f32; L], m: usize) -> f32 {
    if m.is_multiple_of(2) { filter[L - 1 - m] } else { -filter[L - 1 - m] }
}

fn gather(lines: &ArrayViewMut2<'_, Complex32>, i: usize) -> Row {
    let mut row = Row::default();
    for (to, from) in row.chunks_exact_mut(2).zip(lines.row(i)) {
        to.copy_from_slice(&[from.re, from.im]);
    }
    row
}

fn scatter(row: &Row, lines: &mut ArrayViewMut2<'_, Complex32>, i: usize) {
    for (from, to) in row.chunks_exact(2).zip(lines.row_mut(i)) {
        *to = Complex32::new(from[0], from[1]);
    }
}

/// `x` in the low corner of an array of zeros of a larger shape.
///
/// # Panics
/// If `shape` is shorter than `x` along an axis.
pub fn pad(x: &Array3<Complex32>, shape: [usize; 3]) -> Array3<Complex32> {
    let mut padded = Array3::zeros(shape);
    Zip::from(padded.slice_each_axis_mut(|at| Slice::from(..x.len_of(at.axis))))
        .and(x)
        .for_each(|to, x| *to = *x);
    padded
}

/// The low corner of `x` of a smaller shape: the adjoint of [`pad`].
///
/// # Panics
/// If `shape` is longer than `x` along an axis.
pub fn crop(x: &Array3<Complex32>, shape: [usize; 3]) -> Array3<Complex32> {
    x.slice_each_axis(|at| Slice::from(..shape[at.axis.index()])).as_standard_layout().into_owned()
}

impl LinearOperator for Wavelet {
    fn input_shape(&self) -> &[usize] {
        &self.image
    }

    fn output_shape(&self) -> &[usize] {
        &self.coefficients
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        let x = x.into_dimensionality::<Ix3>().expect("an image of rank three");
        assert_eq!(x.shape(), self.image, "the image of the wavelet transform");
        let mut x = if self.image == self.coefficients { x } else { pad(&x, self.coefficients) };
        self.analyse(&mut x);
        x.into_dyn()
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        let mut y = y.into_dimensionality::<Ix3>().expect("coefficients of rank three");
        self.synthesise(&mut y);
        if self.image == self.coefficients { y.into_dyn() } else { crop(&y, self.image).into_dyn() }
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.image, "the image of the wavelet transform");
        x
    }
}
