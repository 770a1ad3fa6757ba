//! Interpolation between the places of a periodic grid, and its transpose: the second part of the non-uniform Fourier
//! transform, after the Fourier transform on the finer grid.

use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use crate::ops::Shaped;

/// Interpolation of a grid `[D, H, W]` at arbitrary points, on a device.
#[derive(Clone, Debug)]
pub struct Gridded<B: Backend> {
    grid: [usize; 3],
    /// Whether D is interpolated along; otherwise every plane is sampled at the same points.
    deep: bool,
    /// Along D, H and W: places `[samples, width]` in steps of the axis.
    places: [Tensor<B, 2, Int>; 3],
    /// Along D, H and W: weights `[samples, width]`.
    weights: [Tensor<B, 2>; 3],
}

impl<B: Backend> Gridded<B> {
    /// Points that are interpolated from `width` places along each axis, starting at `firsts` along (D, H, W), with
    /// `weights` `[samples, 3, width]`. With one place of `grid` along D, the points are those of every plane.
    pub fn new(grid: [usize; 3], firsts: &[[usize; 3]], weights: &[f32], device: &B::Device) -> Self {
        let samples = firsts.len();
        let width = weights.len() / (3 * samples);
        let steps = [grid[1] * grid[2], grid[2], 1];
        let places = [0, 1, 2].map(|axis| {
            let places = firsts.iter().flat_map(|first| (0..width).map(move |t| first[axis] + t));
            let places: Vec<i32> = places.map(|place| (place % grid[axis] * steps[axis]) as i32).collect();
            Tensor::from_data(TensorData::new(places, [samples, width]), device)
        });
        let weights = [0, 1, 2].map(|axis| {
            let weights = weights.chunks(width).skip(axis).step_by(3).flatten().copied();
            let weights: Vec<f32> = weights.collect();
            Tensor::from_data(TensorData::new(weights, [samples, width]), device)
        });
        Self { grid, deep: grid[0] > 1, places, weights }
    }

    /// Rows of places along W: the numbers of the places along D and H that each has.
    fn rows(&self) -> impl Iterator<Item = [usize; 2]> {
        let width = self.places[1].dims()[1];
        let deep = if self.deep { width } else { 1 };
        (0..deep).flat_map(move |d| (0..width).map(move |h| [d, h]))
    }

    /// A row's places in the flattened grid and their weights, `[samples·width]` and `[1, samples, width]`.
    fn row(&self, [d, h]: [usize; 2], like: &Tensor<B, 5>) -> (Tensor<B, 1, Int>, Tensor<B, 3>) {
        let place = |axis: usize, t: usize| self.places[axis].clone().narrow(1, t, 1);
        let weight = |axis: usize, t: usize| self.weights[axis].clone().narrow(1, t, 1);
        let places = self.places[2].clone() + place(0, d) + place(1, h);
        let weights = self.weights[2].clone() * weight(0, d) * weight(1, h);
        let [samples, width] = weights.dims();
        (places.shaped([samples * width]), weights.shaped([1, samples, width]).cast(like.dtype()))
    }

    /// The grids `x` `[N, C, D, H, W]` at the points: `[N, C, 1, 1, samples]`, or `[N, C, D, 1, samples]` for planes.
    pub fn apply(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let [n, c, d, h, w] = x.dims();
        let planes = if self.deep { 1 } else { d };
        let [samples, width] = self.places[2].dims();
        let lines = n * c * planes;
        let flat = x.clone().shaped([lines, d * h * w / planes]);
        let part = |row: [usize; 2]| {
            let (places, weights) = self.row(row, &x);
            let values = flat.clone().select(1, places).shaped([lines, samples, width]);
            (values * weights).sum_dim(2)
        };
        let sum = self.rows().map(part).reduce(|sum, part| sum + part);
        sum.expect("a kernel has rows").shaped([n, c, planes, 1, samples])
    }

    /// The transpose of [`Gridded::apply`]: samples `[N, C, planes, 1, samples]` spread onto grids of zeros.
    pub fn adjoint(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        let [n, c, planes, _, samples] = y.dims();
        let width = self.places[2].dims()[1];
        let [d, h, w] = [if self.deep { self.grid[0] } else { planes }, self.grid[1], self.grid[2]];
        let lines = n * c * planes;
        let values = y.clone().shaped([lines, samples, 1]);
        let empty = Tensor::<B, 2>::zeros([lines, d * h * w / planes], (&y.device(), y.dtype()));
        let grid = self.rows().fold(empty, |grid, row| {
            let (places, weights) = self.row(row, &y);
            let spread = (values.clone() * weights).shaped([lines, samples * width]);
            grid.select_assign(1, places, spread, IndexingUpdateOp::Add)
        });
        grid.shaped([n, c, d, h, w])
    }
}
