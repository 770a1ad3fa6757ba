//! Bundles of lines of an image along one axis, for passes that transform them in a buffer.

use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Slice, Zip, s};
use rayon::prelude::*;
use rustfft::Fft;

use crate::acquisition::Complex32;

/// Lines of a bundle: side by side they fill one or two cache lines.
const LINES: usize = 16;

/// The axes of an image as `[outer, axis, inner]`; neighbours along `inner` make a bundle.
fn order(axis: usize) -> [usize; 3] {
    let inner = if axis == 2 { 1 } else { 2 };
    [3 - axis - inner, axis, inner]
}

/// `act` on the place of every bundle along `axis`, the bundle `[n, lines]` itself and a buffer, in parallel.
pub(super) fn for_bundles(
    image: ArrayViewMut3<'_, Complex32>,
    axis: usize,
    act: impl Fn((usize, usize), ArrayViewMut2<'_, Complex32>, &mut Buffer) + Sync,
) {
    let mut image = image.permuted_axes(order(axis));
    let n = image.len_of(Axis(1));
    image.outer_iter_mut().into_par_iter().enumerate().for_each(|(outer, mut plane)| {
        plane.axis_chunks_iter_mut(Axis(1), LINES).into_par_iter().enumerate().for_each_init(
            || Buffer::new(n),
            |buffer, (chunk, lines)| {
                buffer.lines = lines.ncols();
                act((outer, chunk), lines, buffer);
            },
        );
    });
}

/// An image seen as the bundles of its lines.
pub(super) struct Bundles<'a, T>(ArrayView3<'a, T>);

impl<'a, T> Bundles<'a, T> {
    /// Along this axis.
    pub(super) fn of(image: ArrayView3<'a, T>, axis: usize) -> Self {
        Self(image.permuted_axes(order(axis)))
    }

    /// The bundle `[n, lines]` at a place that [`for_bundles`] names.
    pub(super) fn at(&self, (outer, chunk): (usize, usize)) -> ArrayView2<'_, T> {
        let end = self.0.len_of(Axis(2)).min((chunk + 1) * LINES);
        let mut plane = self.0.index_axis(Axis(0), outer);
        plane.slice_axis_inplace(Axis(1), Slice::from(chunk * LINES..end));
        plane
    }
}

/// A bundle on its own, each line in one piece.
pub(super) struct Buffer {
    /// `[LINES, n]`
    values: Array2<Complex32>,
    lines: usize,
    scratch: Vec<Complex32>,
}

impl Buffer {
    fn new(n: usize) -> Self {
        Self { values: Array2::zeros((LINES, n)), lines: LINES, scratch: Vec::new() }
    }

    /// The bundle `[n, lines]`.
    fn view(&mut self) -> ArrayViewMut2<'_, Complex32> {
        self.values.slice_mut(s![..self.lines, ..]).reversed_axes()
    }

    /// Takes a bundle.
    pub(super) fn fill(&mut self, x: ArrayView2<'_, Complex32>) {
        self.view().assign(&x);
    }

    /// Takes the product of two bundles.
    pub(super) fn fill_product(&mut self, x: ArrayView2<'_, Complex32>, factor: ArrayView2<'_, Complex32>) {
        Zip::from(self.view()).and(x).and(factor).for_each(|to, x, factor| *to = x * factor);
    }

    /// Transforms every line, unscaled.
    pub(super) fn transform(&mut self, plan: &dyn Fft<f32>) {
        let n = plan.len();
        let length = plan.get_inplace_scratch_len().max(self.scratch.len());
        self.scratch.resize(length, Complex32::ZERO);
        let lines = self.values.as_slice_mut().expect("a buffer in one piece");
        plan.process_with_scratch(&mut lines[..self.lines * n], &mut self.scratch);
    }

    /// Multiplies by real weights.
    pub(super) fn weigh(&mut self, weights: ArrayView2<'_, f32>) {
        Zip::from(self.view()).and(weights).for_each(|value, &weight| *value *= weight);
    }

    /// Gives the bundle back.
    pub(super) fn store(&mut self, mut to: ArrayViewMut2<'_, Complex32>) {
        to.assign(&self.view());
    }

    /// Adds conj(`factor`) times the bundle.
    pub(super) fn add_conjugate_product(
        &mut self,
        factor: ArrayView2<'_, Complex32>,
        to: &mut ArrayViewMut2<'_, Complex32>,
    ) {
        Zip::from(to)
            .and(factor)
            .and(self.view())
            .for_each(|to, factor, value| *to += factor.conj() * *value);
    }
}
