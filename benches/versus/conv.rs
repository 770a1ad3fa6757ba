//! Single convolutions and their gradients.

use std::hint::black_box;

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;
use voxgan::ops::{ConvGeometry, Features, VolumeOps, conv3d, conv3d_input_grad, conv3d_weight_grad};
use voxgan::random::{Purpose, normal, stream};

/// A convolution with stride one that keeps the grid.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Case {
    what: What,
    batch: usize,
    #[serde(rename = "in")]
    inputs: usize,
    #[serde(rename = "out")]
    outputs: usize,
    /// `[D, H, W]`.
    grid: [usize; 3],
    /// Size of the kernel along each axis.
    kernel: usize,
}

/// The convolution itself, or one of its gradients.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Forward,
    InputGrad,
    WeightGrad,
}

/// The case's tensors, drawn from N(0, 1), and a call that computes it once.
pub fn prepare<B: VolumeOps>(case: &Case, device: &B::Device) -> impl Fn() + use<B> {
    let Case { what, batch, inputs, outputs, grid: [d, h, w], kernel } = *case;
    let draw = |sample: u64, shape: [usize; 5]| {
        let values = normal(&mut stream(0, 0, 0, sample, Purpose::Weights), shape.iter().product());
        Tensor::<B, 5>::from_data(TensorData::new(values, shape), device)
    };
    let x = Features::from_volumes(draw(0, [batch, inputs, d, h, w]));
    let weight = draw(1, [outputs, inputs, kernel, kernel, kernel]);
    let g = Features::from_volumes(draw(2, [batch, outputs, d, h, w]));
    let geometry = ConvGeometry::same(case.grid, [kernel; 3]);
    move || {
        let (x, weight, g) = (x.clone(), weight.clone(), g.clone());
        match what {
            What::Forward => drop(black_box(conv3d(x, weight, geometry))),
            What::InputGrad => drop(black_box(conv3d_input_grad(g, weight, geometry))),
            What::WeightGrad => drop(black_box(conv3d_weight_grad(x, g, geometry))),
        }
    }
}
