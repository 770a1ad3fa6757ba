//! The CPU backend: float32 uses the kernels of [`super::cpu`], other types plain burn operations.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData, TensorMetadata};

use super::cpu::{self, Conv3d, Epilogue, Form, LANES, Layout, Pass, Volumes};
use super::features::{join, split};
use super::layer::{self, EpilogueGrad, Layer, Modulation};
use super::{ConvGeometry, Fir, VolumeOps, defaults, lower, raise, warp};
use crate::warp::{WarpPass, warp_slice};

/// Whether the kernels take these tensors.
fn float32<'a>(tensors: impl IntoIterator<Item = &'a FlexTensor>) -> bool {
    tensors.into_iter().all(|t| t.dtype() == DType::F32)
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

/// Shape of float32 features `[N, ⌈C/L⌉, D, H, W, L]`.
fn features_shape(n: usize, channels: usize, [d, h, w]: [usize; 3]) -> [usize; 6] {
    match Layout::of(channels) {
        Layout::Plain => [n, channels, d, h, w, 1],
        Layout::Blocked => [n, channels.div_ceil(LANES), d, h, w, LANES],
    }
}

/// What the passes over voxels need to know of features.
fn volumes(x: &FlexTensor, channels: usize) -> Volumes {
    let [batch, _, d, h, w, _] = dims(x);
    Volumes { layout: Layout::of(channels), batch, channels, voxels: d * h * w }
}

/// The kernel's shape for a convolution of `batch` volumes from `in_channels` to `out_channels`.
fn conv(geometry: ConvGeometry, batch: usize, [in_channels, out_channels]: [usize; 2]) -> Conv3d {
    let ConvGeometry { input, kernel, stride, padding } = geometry;
    let [in_layout, out_layout] = [in_channels, out_channels].map(Layout::of);
    Conv3d { batch, in_channels, out_channels, input, kernel, stride, padding, in_layout, out_layout }
}

fn passes(fir: &Fir) -> Vec<Pass> {
    let along = |a: usize| {
        fir.passes[a].map(|pass| Pass {
            axis: a + 2,
            up: pass.up,
            down: pass.down,
            pad: (pass.pad[0], pass.pad[1]),
            taps: pass.taps().map(|t| t as f32),
        })
    };
    (0..3).filter_map(along).collect()
}

/// Contiguous copies of a layer's parts, where they are not so already.
fn contiguous(with: &Modulation<FlexTensor>) -> Modulation<FlexTensor> {
    with.clone().map(|part| part.to_contiguous())
}

fn epilogue(with: &Modulation<FlexTensor>, gain: Option<f64>) -> Epilogue<'_> {
    Epilogue {
        scale: with.demodulation.as_ref().map(values),
        field: with.field.as_ref().map(values),
        bias: with.bias.as_ref().map(values),
        lrelu: gain.map(|gain| gain as f32),
    }
}

/// A convolution (its adjoint, if `transposed`) of features, with the scale of its input and its epilogue.
fn convolve(
    x: &FlexTensor,
    w: &FlexTensor,
    geometry: ConvGeometry,
    transposed: bool,
    scale: Option<&[f32]>,
    epilogue: &Epilogue,
) -> FlexTensor {
    let (n, [o, i, ..]) = (dims::<6>(x)[0], dims::<5>(w));
    let shape = conv(geometry, n, [i, o]);
    if transposed {
        let y = Form::of(&shape).conv3d_input_grad(&shape, values(x), values(w), scale, epilogue);
        tensor(y, features_shape(n, i, geometry.input))
    } else {
        let y = Form::of(&shape).conv3d(&shape, values(x), values(w), scale, epilogue);
        tensor(y, features_shape(n, o, geometry.output()))
    }
}

/// A filter of features with `channels` channels, and its epilogue.
fn filter(x: &FlexTensor, channels: usize, fir: &Fir, epilogue: &Epilogue) -> FlexTensor {
    let [n, blocks, d, h, w, block] = dims(x);
    let layout = if block == 1 { Layout::Plain } else { Layout::Blocked };
    let (y, [_, _, d, h, w]) = cpu::fir(values(x), layout, [n, channels, d, h, w], &passes(fir), epilogue);
    tensor(y, [n, blocks, d, h, w, block])
}

/// Weights `[A, B, kd, kh, kw]` as `[B, A, kd, kh, kw]`, contiguous.
fn transposed(w: &FlexTensor) -> FlexTensor {
    let [a, b, kd, kh, kw] = dims(w);
    let (from, taps) = (values(w), kd * kh * kw);
    let mut to = Vec::with_capacity(from.len());
    for j in 0..b {
        for i in 0..a {
            to.extend_from_slice(&from[(i * b + j) * taps..][..taps]);
        }
    }
    tensor(to, [b, a, kd, kh, kw])
}

impl VolumeOps for Flex {
    fn channel_block(channels: usize, dtype: DType) -> usize {
        match Layout::of(channels) {
            Layout::Blocked if dtype == DType::F32 => LANES,
            _ => 1,
        }
    }

    fn volume_split(x: FlexTensor) -> FlexTensor {
        let [n, c, d, h, w] = dims(&x);
        if !float32([&x]) || Layout::of(c) == Layout::Plain {
            return lower(split::<Self>(raise(x), 1));
        }
        let x = x.to_contiguous();
        tensor(cpu::to_blocked(n, c, d * h * w, values(&x)), features_shape(n, c, [d, h, w]))
    }

    fn volume_join(x: FlexTensor, channels: usize) -> FlexTensor {
        let [n, _, d, h, w, block] = dims(&x);
        if !float32([&x]) || block == 1 {
            return lower(join::<Self>(raise(x), channels));
        }
        let x = x.to_contiguous();
        tensor(cpu::to_plain(n, channels, d * h * w, values(&x)), [n, channels, d, h, w])
    }

    fn volume_conv3d(x: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        if !float32([&x, &w]) {
            return defaults::conv3d::<Self>(x, w, geometry);
        }
        let (x, w) = (x.to_contiguous(), w.to_contiguous());
        convolve(&x, &w, geometry, false, None, &Epilogue::default())
    }

    fn volume_conv3d_input_grad(g: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        if !float32([&g, &w]) {
            return defaults::conv3d_input_grad::<Self>(g, w, geometry);
        }
        let (g, w) = (g.to_contiguous(), w.to_contiguous());
        convolve(&g, &w, geometry, true, None, &Epilogue::default())
    }

    fn volume_conv3d_weight_grad(
        x: FlexTensor,
        g: FlexTensor,
        geometry: ConvGeometry,
        channels: [usize; 2],
    ) -> FlexTensor {
        if !float32([&x, &g]) {
            return defaults::conv3d_weight_grad::<Self>(x, g, geometry, channels);
        }
        Self::volume_scaled_weight_grad([x, g], [None, None], geometry, channels)
    }

    fn volume_scaled_weight_grad(
        [x, g]: [FlexTensor; 2],
        [x_scale, g_scale]: [Option<FlexTensor>; 2],
        geometry: ConvGeometry,
        channels: [usize; 2],
    ) -> FlexTensor {
        if !float32([&x, &g]) {
            return defaults::scaled_weight_grad::<Self>([x, g], [x_scale, g_scale], geometry, channels);
        }
        let (x, g) = (x.to_contiguous(), g.to_contiguous());
        let [x_scale, g_scale] = [x_scale, g_scale].map(|scale| scale.map(|scale| scale.to_contiguous()));
        let shape = conv(geometry, dims::<6>(&x)[0], channels);
        let [x_scale, g_scale] = [&x_scale, &g_scale].map(|scale| scale.as_ref().map(values));
        let gradient = Form::of(&shape).conv3d_weight_grad(&shape, values(&x), values(&g), x_scale, g_scale);
        let [d, h, w] = geometry.kernel;
        tensor(gradient, [channels[1], channels[0], d, h, w])
    }

    fn volume_transpose_weight(w: FlexTensor) -> FlexTensor {
        if !float32([&w]) {
            return lower(raise::<Self, 5>(w).swap_dims(0, 1));
        }
        transposed(&w.to_contiguous())
    }

    fn volume_fir(x: FlexTensor, fir: &Fir) -> FlexTensor {
        if !float32([&x]) {
            return defaults::fir::<Self>(x, fir);
        }
        // Without an epilogue idle lanes may count as channels.
        let [_, blocks, _, _, _, block] = dims(&x);
        filter(&x.to_contiguous(), blocks * block, fir, &Epilogue::default())
    }

    fn volume_channel_scale(x: FlexTensor, s: FlexTensor) -> FlexTensor {
        let channels = dims::<2>(&s)[1];
        if !float32([&x, &s]) {
            return defaults::channel_scale::<Self>(x, s);
        }
        let (x, s) = (x.to_contiguous(), s.to_contiguous());
        tensor(cpu::channel_scale(&volumes(&x, channels), values(&x), values(&s)), dims::<6>(&x))
    }

    fn volume_channel_dot(x: FlexTensor, y: FlexTensor, channels: usize) -> FlexTensor {
        if !float32([&x, &y]) {
            return defaults::channel_dot::<Self>(x, y, channels);
        }
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        let shape = volumes(&x, channels);
        tensor(cpu::channel_dot(&shape, values(&x), values(&y)), [shape.batch, channels])
    }

    fn volume_scale_and_dot(g: FlexTensor, x: FlexTensor, s: FlexTensor) -> [FlexTensor; 2] {
        let channels = dims::<2>(&s)[1];
        if !float32([&g, &x, &s]) {
            return defaults::scale_and_dot::<Self>(g, x, s);
        }
        let (g, x, s) = (g.to_contiguous(), x.to_contiguous(), s.to_contiguous());
        let shape = volumes(&x, channels);
        let (scaled, dot) = cpu::scale_and_dot(&shape, values(&g), values(&x), values(&s));
        [tensor(scaled, dims::<6>(&g)), tensor(dot, [shape.batch, channels])]
    }

    fn volume_add_field(x: FlexTensor, f: FlexTensor, channels: usize) -> FlexTensor {
        if !float32([&x, &f]) {
            return defaults::add_field::<Self>(x, f, channels);
        }
        let (x, f) = (x.to_contiguous(), f.to_contiguous());
        tensor(cpu::add_field(&volumes(&x, channels), values(&x), values(&f)), dims::<6>(&x))
    }

    fn volume_channel_collect(x: FlexTensor, channels: usize) -> FlexTensor {
        if !float32([&x]) {
            return defaults::channel_collect::<Self>(x, channels);
        }
        let x = x.to_contiguous();
        let [n, _, d, h, w, _] = dims(&x);
        tensor(cpu::channel_collect(&volumes(&x, channels), values(&x)), [n, 1, d, h, w])
    }

    fn volume_channel_sum(x: FlexTensor, channels: usize) -> FlexTensor {
        if !float32([&x]) {
            return defaults::channel_sum::<Self>(x, channels);
        }
        let x = x.to_contiguous();
        tensor(cpu::channel_sum(&volumes(&x, channels), values(&x)), [channels])
    }

    fn volume_lrelu_mask(y: FlexTensor, g: FlexTensor, slope: f64, gain: f64) -> FlexTensor {
        if !float32([&y, &g]) {
            return defaults::lrelu_mask::<Self>(y, g, slope, gain);
        }
        let (y, g) = (y.to_contiguous(), g.to_contiguous());
        tensor(cpu::lrelu_mask(values(&y), values(&g), slope as f32, gain as f32), dims::<6>(&y))
    }

    fn volume_layer(x: FlexTensor, w: FlexTensor, with: Modulation<FlexTensor>, layer: &Layer) -> FlexTensor {
        if !float32([&x, &w]) {
            return layer::compose::<Self>(x, w, with, layer);
        }
        let (x, w, with) = (x.to_contiguous(), w.to_contiguous(), contiguous(&with));
        let outputs = dims::<5>(&w)[0];
        let w = if layer.transposed { transposed(&w) } else { w };
        let style = with.style.as_ref().map(values);
        let end = epilogue(&with, layer.gain);
        if layer.blur.is_identity() {
            return convolve(&x, &w, layer.geometry, layer.transposed, style, &end);
        }
        let y = convolve(&x, &w, layer.geometry, layer.transposed, style, &Epilogue::default());
        filter(&y, outputs, &layer.blur, &end)
    }

    fn volume_epilogue_grad(
        y: FlexTensor,
        g: FlexTensor,
        with: &Modulation<FlexTensor>,
        channels: usize,
        gain: Option<f64>,
        wanted: [bool; 3],
    ) -> EpilogueGrad<FlexTensor> {
        if !float32([&y, &g]) {
            return layer::epilogue_grad::<Self>(y, g, with, channels, gain, wanted);
        }
        let (y, g, with) = (y.to_contiguous(), g.to_contiguous(), contiguous(with));
        let shape = volumes(&y, channels);
        let [n, _, d, h, w, _] = dims(&y);
        let gradient = cpu::epilogue_grad(&shape, values(&y), values(&g), &epilogue(&with, gain));
        EpilogueGrad {
            x: tensor(gradient.x, dims::<6>(&y)),
            demodulation: gradient.scale.map(|v| tensor(v, [n, channels])),
            field: gradient.field.map(|v| tensor(v, [n, 1, d, h, w])),
            bias: gradient.bias.map(|v| tensor(v, [channels])),
        }
    }

    fn volume_warp(x: FlexTensor, pass: &WarpPass) -> FlexTensor {
        if !float32([&x]) {
            return lower(warp::warp_tensor::<Self>(raise(x), pass));
        }
        let x = x.to_contiguous();
        let shape = dims::<5>(&x);
        tensor(warp_slice(values(&x), shape, pass), shape)
    }
}
