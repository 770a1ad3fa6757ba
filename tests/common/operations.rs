//! Every operation of `ops`, and the minibatch deviation, as a function of two flat tensors.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use voxgan::nn::minibatch_deviation;
use voxgan::ops::{self, ConvGeometry, Features, Fir, FirPass, Layer, LayerInputs, Shaped, VolumeOps};
use voxgan::warp::WarpPass;

/// An operation of two flat arguments; some ignore the second.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Conv3d(ConvGeometry),
    Conv3dInputGrad(ConvGeometry),
    Conv3dWeightGrad(ConvGeometry),
    Filter(Fir),
    ChannelScale,
    ChannelDot,
    AddField,
    ChannelCollect,
    LreluMask,
    Warp {
        adjoint: bool,
    },
    /// With every part, or with a style and a bias alone.
    Layer {
        layer: Layer,
        full: bool,
    },
    Deviation,
    /// Of two matrices: all voxels by channels, and channels in by channels out.
    Product,
}

/// An operation on so many samples and channels.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub kind: Kind,
    /// Samples.
    pub n: usize,
    /// Channels in.
    pub i: usize,
    /// Channels out.
    pub o: usize,
    /// The grid where a convolution does not tell it, `[D, H, W]`.
    pub grid: [usize; 3],
}

impl Operation {
    /// Shapes of the arguments.
    pub fn shapes(&self) -> ([usize; 5], Vec<usize>) {
        let Self { n, i, o, grid: [d, h, w], .. } = *self;
        let volume = |n: usize, c: usize, [d, h, w]: [usize; 3]| [n, c, d, h, w];
        match self.kind {
            Kind::Conv3d(g) => (volume(n, i, g.input), volume(o, i, g.kernel).into()),
            Kind::Conv3dInputGrad(g) => (volume(n, o, g.output()), volume(o, i, g.kernel).into()),
            Kind::Conv3dWeightGrad(g) => (volume(n, i, g.input), volume(n, o, g.output()).into()),
            Kind::ChannelScale => ([n, i, d, h, w], vec![n, i]),
            Kind::ChannelDot => ([n, i, d, h, w], vec![n, i, d, h, w]),
            Kind::AddField => ([n, i, d, h, w], vec![n, 1, d, h, w]),
            Kind::Product => ([n, i, d, h, w], vec![i, o]),
            Kind::LreluMask => ([n, i, d, h, w], vec![n, i, d, h, w]),
            // Weight, style, bias, demodulation and field, one behind the other.
            Kind::Layer { layer, full } => {
                let [d, h, w] = layer.blur.output(layer.convolved());
                let modulation = if full { n * o + n * d * h * w } else { 0 };
                let taps: usize = layer.geometry.kernel.iter().product();
                (volume(n, i, self.grid), vec![o * i * taps + n * i + o + modulation])
            }
            Kind::Filter(_) | Kind::Warp { .. } | Kind::Deviation | Kind::ChannelCollect => {
                ([n, i, d, h, w], vec![1])
            }
        }
    }

    /// The result, flat.
    pub fn apply<B: VolumeOps>(&self, a: Tensor<B, 1>, b: Tensor<B, 1>) -> Tensor<B, 1> {
        let Self { n, i, o, .. } = *self;
        let (x, dims) = self.shapes();
        let x: Tensor<B, 5> = a.shaped(x);
        let five =
            |b: Tensor<B, 1>| -> Tensor<B, 5> { b.shaped([dims[0], dims[1], dims[2], dims[3], dims[4]]) };
        let features = Features::from_volumes;
        let flat = |x: Features<B>| x.into_volumes().flat();
        match self.kind {
            Kind::Conv3d(g) => flat(ops::conv3d(features(x), five(b), g)),
            Kind::Conv3dInputGrad(g) => flat(ops::conv3d_input_grad(features(x), five(b), g)),
            Kind::Conv3dWeightGrad(g) => ops::conv3d_weight_grad(features(x), features(five(b)), g).flat(),
            Kind::Filter(fir) => flat(ops::fir(features(x), &fir)),
            Kind::ChannelScale => flat(ops::channel_scale(features(x), b.shaped([n, i]))),
            Kind::ChannelDot => ops::channel_dot(features(x), features(five(b))).flat(),
            Kind::AddField => flat(ops::add_field(features(x), five(b))),
            Kind::ChannelCollect => ops::channel_collect(features(x)).flat(),
            // The mask is constant: it is of the first argument, which is masked too.
            Kind::LreluMask => {
                let y = features(x.clone() * five(b));
                flat(ops::lrelu_mask(features(x.detach()), y, 0.3, 1.3))
            }
            Kind::Warp { adjoint } => {
                let rows = [[0.1, 0.9, -0.2, 0.3], [-0.1, 1.2, 0.1, -0.7], [0.2, 0.8, 0.1, 0.4]];
                let voxels: usize = self.grid.iter().product();
                let bend = (0..voxels).map(|i| (i as f64 * 0.7).sin() as f32).collect();
                let bends = [None, Some(bend), None].into_iter().take(n).collect();
                let pass = WarpPass { bends, ..WarpPass::affine(3, rows[..n].to_vec()) };
                ops::warp(x, &if adjoint { pass.transposed() } else { pass }).flat()
            }
            Kind::Layer { layer, full } => {
                let (weight, inputs) = parts(b, [n, i, o], &layer, [true, full, full, true]);
                flat(ops::layer(features(x), weight, inputs, &layer))
            }
            Kind::Deviation => minibatch_deviation(x, 2).flat(),
            Kind::Product => {
                let rows = x.dims().iter().product::<usize>() / i;
                ops::product(x.shaped([rows, i]), b.shaped([i, o])).flat()
            }
        }
    }
}

/// The weight of a layer and what stands beside it, out of one flat tensor.
pub fn parts<B: Backend>(
    b: Tensor<B, 1>,
    [n, i, o]: [usize; 3],
    layer: &Layer,
    with: [bool; 4],
) -> (Tensor<B, 5>, LayerInputs<B>) {
    let [d, h, w] = layer.blur.output(layer.convolved());
    let [kd, kh, kw] = layer.geometry.kernel;
    let mut from = 0;
    let mut part = |length: usize| {
        from += length;
        b.clone().narrow(0, from - length, length)
    };
    let weight = part(o * i * kd * kh * kw).shaped([o, i, kd, kh, kw]);
    let style = with[0].then(|| part(n * i).shaped([n, i]));
    // Demodulation is positive.
    let demodulation = with[1].then(|| part(n * o).powi_scalar(2).shaped([n, o]) + 0.5);
    let field = with[2].then(|| part(n * d * h * w).shaped([n, 1, d, h, w]));
    let bias = with[3].then(|| part(o));
    (weight, LayerInputs { style, demodulation, field, bias })
}

/// Every operation in each of the ways that networks use it, on volumes of the grid `[D, H, W]`: an axis of length one is
/// that of slices.
pub fn kinds(grid: [usize; 3]) -> Vec<Kind> {
    let kernel = grid.map(|n| if n == 1 { 1 } else { 3 });
    let twice = grid.map(|n| if n == 1 { 1 } else { 2 });
    // The grid of a transposed convolution's output, before the blur.
    let wide = |stride: [usize; 3]| {
        let padding = [0, 1, 2].map(|a| if stride[a] == 2 { 0 } else { kernel[a] / 2 });
        let input = [0, 1, 2].map(|a| (grid[a] - 1) * stride[a] + kernel[a] - 2 * padding[a]);
        ConvGeometry { input, kernel, stride, padding }
    };
    let slab = [1, twice[1], twice[2]];
    let same = ConvGeometry::same(grid, kernel);
    let mut kinds = Vec::new();
    // One voxel more than the strides reach.
    let mut uneven = wide(slab);
    uneven.input[1] += 1;
    let point = ConvGeometry::same(grid, [1; 3]);
    for geometry in [same, point, wide(twice), uneven] {
        kinds.extend([
            Kind::Conv3d(geometry),
            Kind::Conv3dInputGrad(geometry),
            Kind::Conv3dWeightGrad(geometry),
        ]);
    }
    for (up, down, pad) in [(2, 1, [2, 1]), (1, 2, [1, 1]), (1, 1, [1, 1]), (1, 1, [2, 2])] {
        let pass = FirPass { up, down, pad, gain: 1.5 };
        let axes = [[twice[0], 1, 1], [1, twice[1], twice[2]], twice];
        kinds.extend(axes.map(|axes| Kind::Filter(Fir::along(axes, pass))));
    }
    let blur = FirPass { up: 1, down: 1, pad: [1, 1], gain: 2.0 };
    let up = |stride: [usize; 3]| Layer {
        geometry: wide(stride),
        transposed: true,
        blur: Fir::along(stride, blur),
        gain: None,
    };
    for layer in [Layer::conv(same), Layer::conv(point), up(twice), up(slab)] {
        for full in [true, false] {
            kinds.extend([layer, layer.with_gain(1.3)].map(|layer| Kind::Layer { layer, full }));
        }
    }
    kinds.extend([Kind::ChannelScale, Kind::ChannelDot, Kind::AddField, Kind::ChannelCollect]);
    kinds.extend([Kind::LreluMask, Kind::Deviation, Kind::Product]);
    kinds.extend([true, false].map(|adjoint| Kind::Warp { adjoint }));
    kinds
}
