//! Dilated convolutions over whole volumes, and the passes over values between them.
//!
//! A convolution whose taps lie d voxels apart sees, from a voxel, only voxels whose indices differ by multiples of d: it
//! is an ordinary convolution on each of the d³ grids of every d-th voxel ("à trous": Holschneider et al. 1989). The
//! grids that differ along W alone make a batch, so that rows are read whole; deep batches are cut along D. Activations
//! lie on the host, so that a volume of 256³ needs two of them and a batch, not three or four, in memory.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, activation};
use ndarray::{Array4, Array5, ArrayView4, Axis, Zip, s};
use rayon::prelude::*;

use super::layers_model::{Activation, Convolution, Step};
use voxgan::ops::{ConvGeometry, Features, Layer, LayerInputs, VolumeOps, layer};

/// Voxels of a batch.
const BATCH_VOXELS: usize = 1 << 21;
/// Values that a thread takes at once through an activation.
const PIECE: usize = 1 << 15;
/// Added to the variance of a channel.
const EPSILON: f64 = 1e-5;

impl Step {
    /// Whether a voxel's result depends on that voxel alone.
    pub fn is_pointwise(&self) -> bool {
        match self {
            Self::Convolution(convolution) => convolution.kernel.shape()[2..] == [1; 3],
            Self::InstanceNorm => false,
            Self::Scale { .. } | Self::Activation(_) => true,
        }
    }
}

/// `x` `[C, D, H, W]` after all steps.
pub fn run<B: VolumeOps>(steps: &[Step], x: ArrayView4<f32>, device: &B::Device) -> Array4<f32> {
    let mut now: Option<Array4<f32>> = None;
    for step in steps {
        if let Step::Convolution(convolution) = step {
            let input = now.as_ref().map_or(x, |now| now.view());
            now = Some(convolve::<B>(input, convolution, device));
            continue;
        }
        let mut y = now.unwrap_or_else(|| x.to_owned());
        match step {
            Step::InstanceNorm => each_channel(&mut y, normalise),
            Step::Scale { factor, shift } => {
                each_channel(&mut y, |c, values| {
                    values.iter_mut().for_each(|value| *value = *value * factor[c] + shift[c]);
                });
            }
            Step::Activation(activation) => activate::<B>(&mut y, *activation, device),
            Step::Convolution(_) => unreachable!("done above"),
        }
        now = Some(y);
    }
    now.unwrap_or_else(|| x.to_owned())
}

/// See the head of this file. `x` `[I, D, H, W]`, result `[O, D, H, W]`.
fn convolve<B: VolumeOps>(x: ArrayView4<f32>, convolution: &Convolution, device: &B::Device) -> Array4<f32> {
    let (inputs, d, h, w) = x.dim();
    let [step_d, step_h, step_w] = convolution.dilation.map(|step| step as isize);
    let [outputs, kernel_inputs, kd, kh, kw] = *convolution.kernel.shape() else { unreachable!("rank five") };
    assert_eq!(inputs, kernel_inputs, "channels of the input");
    let weight: Vec<f32> = convolution.kernel.iter().copied().collect();
    let weight = Tensor::<B, 5>::from_data(TensorData::new(weight, [outputs, inputs, kd, kh, kw]), device);
    let bias =
        convolution.bias.clone().map(|b| Tensor::<B, 1>::from_data(TensorData::new(b, [outputs]), device));
    let phases = |axis: usize, length: usize| 0..convolution.dilation[axis].min(length);
    let mut y = Array4::zeros((outputs, d, h, w));
    for (at_d, at_h) in phases(0, d).flat_map(|at_d| phases(1, h).map(move |at_h| (at_d, at_h))) {
        let seen = x.slice(s![.., at_d as isize..;step_d, at_h as isize..;step_h, ..]);
        let mut made = y.slice_mut(s![.., at_d as isize..;step_d, at_h as isize..;step_h, ..]);
        let (_, rows, columns, _) = seen.dim();
        let (batch, longest) = (phases(2, w).len(), w.div_ceil(convolution.dilation[2]));
        let rows_at_once = (BATCH_VOXELS / (batch * columns * longest)).max(1);
        for from in (0..rows).step_by(rows_at_once) {
            let to = rows.min(from + rows_at_once);
            // Rows beyond, of which the kernel sees values; what it makes of them is left.
            let (first, last) = (from.saturating_sub(kd / 2), rows.min(to + kd / 2));
            let mut gathered = Array5::zeros((batch, inputs, last - first, columns, longest));
            for (at_w, mut grid) in gathered.outer_iter_mut().enumerate() {
                let part = seen.slice(s![.., first..last, .., at_w as isize..;step_w]);
                let length = part.dim().3;
                Zip::from(grid.slice_mut(s![.., .., .., ..length])).and(part).par_for_each(|a, &b| *a = b);
            }
            let grid = [last - first, columns, longest];
            let convolved = ordinary(gathered, grid, &weight, bias.clone(), device);
            for (at_w, grid) in convolved.outer_iter().enumerate() {
                let mut part = made.slice_mut(s![.., from..to, .., at_w as isize..;step_w]);
                let length = part.dim().3;
                let grid = grid.slice(s![.., from - first..to - first, .., ..length]);
                Zip::from(&mut part).and(grid).par_for_each(|a, &b| *a = b);
            }
        }
    }
    y
}

/// `x` `[N, I, D, H, W]` convolved without dilation, zeros around it: `[N, O, D, H, W]`.
fn ordinary<B: VolumeOps>(
    x: Array5<f32>,
    grid: [usize; 3],
    weight: &Tensor<B, 5>,
    bias: Option<Tensor<B, 1>>,
    device: &B::Device,
) -> Array5<f32> {
    let (n, inputs, ..) = x.dim();
    let [outputs, _, kd, kh, kw] = weight.dims();
    let [d, h, w] = grid;
    let x = TensorData::new(x.into_raw_vec_and_offset().0, [n, inputs, d, h, w]);
    let x = Features::from_volumes(Tensor::<B, 5>::from_data(x, device));
    let inputs = LayerInputs { bias, ..LayerInputs::default() };
    let kind = Layer::conv(ConvGeometry::same(grid, [kd, kh, kw]));
    let y = layer(x, weight.clone(), inputs, &kind).into_volumes();
    Array5::from_shape_vec((n, outputs, d, h, w), floats(y.into_data())).expect("as many as the shape says")
}

/// The values of a tensor, without a copy where they are float32.
pub fn floats(data: TensorData) -> Vec<f32> {
    data.convert::<f32>().into_vec().expect("float32")
}

/// `change` of every channel's number and values, channels in parallel.
fn each_channel(x: &mut Array4<f32>, change: impl Fn(usize, &mut [f32]) + Sync) {
    let voxels = x.len() / x.len_of(Axis(0)).max(1);
    let values = x.as_slice_mut().expect("standard layout");
    values.par_chunks_mut(voxels.max(1)).enumerate().for_each(|(c, values)| change(c, values));
}

/// Zero mean and unit variance.
fn normalise(_: usize, values: &mut [f32]) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let factor = 1.0 / (variance + EPSILON).sqrt();
    values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) * factor) as f32);
}

fn activate<B: Backend>(x: &mut Array4<f32>, kind: Activation, device: &B::Device) {
    let function = match kind {
        Activation::Relu => activation::relu,
        Activation::Elu => |x: Tensor<B, 1>| activation::elu(x, 1.0),
        Activation::Gelu => activation::gelu,
        Activation::Sigmoid => activation::sigmoid,
        Activation::Tanh => activation::tanh,
        Activation::Linear | Activation::Softmax => {
            unreachable!("no function of each value: left out when read")
        }
    };
    x.as_slice_mut().expect("standard layout").par_chunks_mut(PIECE).for_each(|piece| {
        let values = TensorData::new(piece.to_vec(), [piece.len()]);
        piece.copy_from_slice(&floats(function(Tensor::from_data(values, device)).into_data()));
    });
}
