//! The CPU backend: float32 runs on the kernels of [`super::cpu`], other types on plain burn operations.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData, TensorMetadata};

use super::cpu::{self, Conv3d};
use super::{ConvGeometry, Fir, VolumeOps, WarpPass, lower, plain, raise, warp};

/// Whether the kernels take these tensors.
fn float32(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|t| t.dtype() == DType::F32)
}

/// The values of a contiguous float32 tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("contiguous float32")
}

fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn dims<const R: usize>(tensor: &FlexTensor) -> [usize; R] {
    tensor.shape().dims()
}

/// The kernel's shape for a convolution of `batch` volumes from `in_channels` to `out_channels`.
fn conv(geometry: ConvGeometry, batch: usize, in_channels: usize, out_channels: usize) -> Conv3d {
    let ConvGeometry { input, kernel, stride, padding } = geometry;
    Conv3d { batch, in_channels, out_channels, input, kernel, stride, padding }
}

impl VolumeOps for Flex {
    fn volume_conv3d(x: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        if !float32(&[&x, &w]) {
            return lower(plain::conv3d::<Self>(raise(x), raise(w), geometry));
        }
        let (x, w) = (x.to_contiguous(), w.to_contiguous());
        let ([n, i, ..], [o, ..]) = (dims::<5>(&x), dims::<5>(&w));
        let [d, h, k] = geometry.output();
        tensor(cpu::conv3d(&conv(geometry, n, i, o), values(&x), values(&w)), [n, o, d, h, k])
    }

    fn volume_conv3d_input_grad(g: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        if !float32(&[&g, &w]) {
            return lower(plain::conv3d_input_grad::<Self>(raise(g), raise(w), geometry));
        }
        let (g, w) = (g.to_contiguous(), w.to_contiguous());
        let ([n, o, ..], [_, i, ..]) = (dims::<5>(&g), dims::<5>(&w));
        let [d, h, k] = geometry.input;
        tensor(cpu::conv3d_input_grad(&conv(geometry, n, i, o), values(&g), values(&w)), [n, i, d, h, k])
    }

    fn volume_conv3d_weight_grad(x: FlexTensor, g: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        if !float32(&[&x, &g]) {
            return lower(plain::conv3d_weight_grad::<Self>(raise(x), raise(g), geometry));
        }
        let (x, g) = (x.to_contiguous(), g.to_contiguous());
        let ([n, i, ..], [_, o, ..]) = (dims::<5>(&x), dims::<5>(&g));
        let [d, h, k] = geometry.kernel;
        tensor(cpu::conv3d_weight_grad(&conv(geometry, n, i, o), values(&x), values(&g)), [o, i, d, h, k])
    }

    fn volume_fir(x: FlexTensor, fir: Fir) -> FlexTensor {
        if !float32(&[&x]) {
            return lower(plain::fir::<Self>(raise(x), fir));
        }
        let x = x.to_contiguous();
        let mut shape = dims::<5>(&x);
        let (taps, pad) = (fir.taps().map(|t| t as f32), (fir.pad[0], fir.pad[1]));
        let (y, length) = cpu::fir(values(&x), shape, fir.axis, fir.up, fir.down, pad, &taps);
        shape[fir.axis] = length;
        tensor(y, shape)
    }

    fn volume_channel_scale(x: FlexTensor, s: FlexTensor) -> FlexTensor {
        if !float32(&[&x, &s]) {
            return lower(plain::channel_scale::<Self>(raise(x), raise(s)));
        }
        let (x, s) = (x.to_contiguous(), s.to_contiguous());
        tensor(cpu::channel_scale(values(&x), values(&s)), dims::<5>(&x))
    }

    fn volume_channel_dot(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        if !float32(&[&x, &y]) {
            return lower(plain::channel_dot::<Self>(raise(x), raise(y)));
        }
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        let [n, c, ..] = dims::<5>(&x);
        tensor(cpu::channel_dot(values(&x), values(&y), n * c), [n, c])
    }

    fn volume_add_field(x: FlexTensor, f: FlexTensor) -> FlexTensor {
        if !float32(&[&x, &f]) {
            return lower(plain::add_field::<Self>(raise(x), raise(f)));
        }
        let (x, f) = (x.to_contiguous(), f.to_contiguous());
        let shape = dims::<5>(&x);
        tensor(cpu::add_field(values(&x), values(&f), shape[0] * shape[1], shape[1]), shape)
    }

    fn volume_channel_collect(x: FlexTensor) -> FlexTensor {
        if !float32(&[&x]) {
            return lower(plain::channel_collect::<Self>(raise(x)));
        }
        let x = x.to_contiguous();
        let [n, c, d, h, w] = dims::<5>(&x);
        tensor(cpu::channel_collect(values(&x), n, c), [n, 1, d, h, w])
    }

    fn volume_bias_lrelu(x: FlexTensor, b: FlexTensor, gain: f64) -> FlexTensor {
        if !float32(&[&x, &b]) {
            return lower(plain::bias_lrelu::<Self>(raise(x), raise(b), gain));
        }
        let (x, b) = (x.to_contiguous(), b.to_contiguous());
        let shape = dims::<5>(&x);
        tensor(cpu::bias_lrelu(values(&x), values(&b), shape[0], gain as f32), shape)
    }

    fn volume_lrelu_mask(y: FlexTensor, g: FlexTensor, gain: f64) -> FlexTensor {
        if !float32(&[&y, &g]) {
            return lower(plain::lrelu_mask::<Self>(raise(y), raise(g), gain));
        }
        let (y, g) = (y.to_contiguous(), g.to_contiguous());
        tensor(cpu::lrelu_mask(values(&y), values(&g), gain as f32), dims::<5>(&y))
    }

    fn volume_warp(x: FlexTensor, pass: &WarpPass) -> FlexTensor {
        if !float32(&[&x]) {
            return lower(warp::warp_tensor::<Self>(raise(x), pass));
        }
        let x = x.to_contiguous();
        let shape = dims::<5>(&x);
        tensor(warp::warp_slice(values(&x), shape, pass), shape)
    }
}
