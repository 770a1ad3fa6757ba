//! Every layer of `nn` on a GPU against the CPU in float64: values, gradients in the input and the parameters, and the
//! gradients in the parameters of the input gradient's norm, as R1 has them.

use std::collections::BTreeMap;

use burn::backend::{Autodiff, Flex};
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use voxgan::nn::parameters::{gradients, replace};
use voxgan::nn::{
    ConditionedConv, ConditionedConvConfig, Conv, ConvConfig, FullyConnected, FullyConnectedConfig, Init,
    ModulatedConv, ModulatedConvConfig, Noise, NormalisedConv, NormalisedConvConfig, ToImage, ToImageConfig,
    depth_to_space, downsample, filled, kernel_over, minibatch_deviation, space_to_depth, upsample,
};
use voxgan::ops::{Features, Shaped, VolumeOps, backward, tape};
use voxgan::random::Samples;

use crate::card::{Fused, Plain, agreed, device, draw, rounded, tensor, values};

/// Largest difference from float64, relative to the largest value.
const TOLERANCE: f64 = 2e-5;
/// Length of w.
const WIDTH: usize = 5;

/// A layer of any kind.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Any<B: Backend> {
    FullyConnected(FullyConnected<B>),
    Modulated(ModulatedConv<B>),
    ToImage(ToImage<B>),
    Conv(Conv<B>),
    Normalised(NormalisedConv<B>),
    Conditioned(ConditionedConv<B>),
}

/// What a layer is made of and how it is called.
#[derive(Clone, Copy, Debug)]
enum Kind {
    FullyConnected,
    Modulated {
        up: [usize; 3],
        noise: Noise,
    },
    ToImage,
    Conv {
        down: [usize; 3],
        activate: bool,
    },
    Normalised {
        down: usize,
    },
    Conditioned {
        condition: bool,
    },
    /// Without parameters; a fully connected layer stands beside it.
    Deviation,
    Folded,
    Resampled,
}

/// Samples, channels in, channels out, grid.
type Sizes = (usize, usize, usize, [usize; 3]);

impl Kind {
    fn init<B: Backend>(self, (_, inputs, outputs, grid): Sizes, device: &B::Device) -> Any<B> {
        let (init, kernel) = (&mut Init::new(3), kernel_over(grid, 3));
        match self {
            Self::Modulated { up, .. } => {
                let grid = [0, 1, 2].map(|a| grid[a] * up[a]);
                let config = ModulatedConvConfig { inputs, outputs, w_dim: WIDTH, grid, up, layer: 3 };
                Any::Modulated(config.init(init, device))
            }
            Self::ToImage => Any::ToImage(ToImageConfig { inputs, outputs, w_dim: WIDTH }.init(init, device)),
            Self::Conv { down, activate } => {
                Any::Conv(ConvConfig { inputs, outputs, kernel, down, activate }.init(init, device))
            }
            Self::Normalised { down } => {
                let config = NormalisedConvConfig { inputs, outputs, kernel, down, activate: true };
                Any::Normalised(config.init(init, device))
            }
            Self::Conditioned { condition } => {
                let condition = if condition { WIDTH } else { 0 };
                let config = ConditionedConvConfig::new(inputs, outputs, grid[0] == 1, condition);
                Any::Conditioned(config.init(init, device))
            }
            _ => Any::FullyConnected(FullyConnectedConfig::new(WIDTH, outputs).init(init, device)),
        }
    }

    fn apply<B: VolumeOps>(self, layer: &Any<B>, x: Tensor<B, 5>, w: Tensor<B, 2>) -> Tensor<B, 1> {
        let [_, _, d, h, k] = x.dims();
        let along = [d, h, k].map(|n| if n == 1 { 1 } else { 2 });
        let features = Features::from_volumes;
        match (self, layer) {
            (Self::Modulated { noise, .. }, Any::Modulated(layer)) => {
                layer.forward(features(x), w, noise).into_volumes().flat()
            }
            (_, Any::ToImage(layer)) => layer.forward(features(x), w).flat(),
            (_, Any::Conv(layer)) => layer.forward(features(x), 0.7).into_volumes().flat(),
            (_, Any::Normalised(layer)) => layer.forward(features(x)).into_volumes().flat(),
            (_, Any::Conditioned(layer)) => layer.forward(features(x), Some(&w)).into_volumes().flat(),
            (kind, Any::FullyConnected(layer)) => {
                let beside = layer.forward(w).sum() * x.clone().mean();
                let x = match kind {
                    Self::Deviation => minibatch_deviation(x, 4),
                    Self::Folded => {
                        let folded = space_to_depth(filled(x, along), along);
                        depth_to_space(folded.clone() * folded, along)
                    }
                    Self::Resampled => {
                        downsample(features(upsample(x.clone() * x, along)), along).into_volumes()
                    }
                    _ => x,
                };
                x.flat() + beside
            }
            (kind, _) => panic!("{kind:?} has another layer"),
        }
    }
}

/// The quantities by name, of numbers that are drawn and then changed.
fn quantities<B: VolumeOps>(
    kind: Kind,
    sizes: Sizes,
    change: fn(Vec<f32>) -> Vec<f32>,
    to: (&B::Device, DType),
) -> BTreeMap<String, Vec<f64>> {
    let draw = |number, length| change(draw(1, number, length));
    type A<B> = Autodiff<B>;
    let (n, inputs, _, [d, h, k]) = sizes;
    let mut number = 10;
    // No bias and no noise strength is zero.
    let layer: Any<A<B>> = replace(kind.init(sizes, to.0), |_, x: Tensor<A<B>, 1>| {
        number += 1;
        let moved = tensor(&draw(number, x.dims()[0]), to) * 0.3;
        x.cast(to.1) + moved
    });
    let x = tensor::<A<B>>(&draw(0, n * inputs * d * h * k), to).shaped([n, inputs, d, h, k]);
    let w = tensor::<A<B>>(&draw(1, n * WIDTH), to).shaped([n, WIDTH]);
    let mut found = BTreeMap::new();
    let mut keep = |prefix: &str, of: voxgan::nn::parameters::Named<B>| {
        found.extend(of.into_iter().map(|(name, g)| (format!("{prefix} {name}"), values(g))));
    };

    let output = kind.apply(&layer, x.clone(), w.clone());
    let v = tensor::<A<B>>(&draw(2, output.dims()[0]), to);
    keep("first", gradients(&layer, &backward(&((output.clone() * 0.25).tanh() * v.clone()).sum())));

    let outer = Any::<Autodiff<A<B>>>::from_inner(layer.clone()).no_grad();
    let (x, w) = (Tensor::from_inner(x).require_grad(), Tensor::from_inner(w).require_grad());
    let through = kind.apply(&outer, x.clone(), w.clone());
    let of_inputs = backward(&((through * 0.25).tanh() * Tensor::from_inner(v)).sum());
    let [x, w] = [x.grad(&of_inputs).map(|g| g.flat()), w.grad(&of_inputs).map(|g| g.flat())];
    let parts = [x.clone(), w.clone()].into_iter().flatten();
    let norm = parts.map(|g| g.powi_scalar(2).sum()).reduce(|a, b| a + b).expect("a gradient");
    keep("second", gradients(&layer, &backward(&norm)));
    found.insert("output".into(), values(output));
    found.extend(
        [("x", x), ("w", w)].into_iter().filter_map(|(name, g)| Some((name.to_string(), values(g?)))),
    );
    found
}

fn compare<B: VolumeOps>(device: &B::Device) {
    let _tape = tape();
    let random = Noise::Random { seed: 3, step: 2, phase: 1, samples: Samples::from(5) };
    let mut worst = 0.0f64;
    for sizes in [(1, 3, 2, [4, 3, 5]), (2, 2, 3, [1, 4, 6]), (3, 4, 1, [2, 4, 2])] {
        let twice = sizes.3.map(|n| if n == 1 { 1 } else { 2 });
        let halved = sizes.3.map(|n| if n % 2 == 0 { 2 } else { 1 });
        let mut kinds =
            vec![Kind::FullyConnected, Kind::ToImage, Kind::Deviation, Kind::Folded, Kind::Resampled];
        for (up, noise) in [([1; 3], Noise::Const), ([1; 3], random), (twice, Noise::None), (twice, random)] {
            kinds.push(Kind::Modulated { up, noise });
        }
        for down in [[1; 3], halved] {
            kinds.extend([true, false].map(|activate| Kind::Conv { down, activate }));
        }
        kinds.push(Kind::Normalised { down: 1 });
        if sizes.3.iter().all(|n| n % 2 == 0) {
            kinds.push(Kind::Normalised { down: 2 });
        }
        kinds.extend([true, false].map(|condition| Kind::Conditioned { condition }));
        for kind in kinds {
            let cpu = |change, dtype| quantities::<Flex>(kind, sizes, change, (&Default::default(), dtype));
            let expected = cpu(|numbers| numbers, DType::F64);
            let others = [cpu(|numbers| numbers, DType::F32), cpu(rounded, DType::F64)];
            let found = quantities::<B>(kind, sizes, |numbers| numbers, (device, DType::F32));
            assert!(found.keys().eq(expected.keys()), "{kind:?}");
            for (name, expected) in &expected {
                let what = format!("{kind:?} of {sizes:?}, {name}");
                worst = worst.max(agreed(
                    &found[name],
                    &others.each_ref().map(|other| &other[name][..]),
                    expected,
                    TOLERANCE,
                    what,
                ));
            }
        }
    }
    println!("worst relative error {worst:.1e}");
}

#[test]
fn operation_by_operation() {
    let Some(device) = device() else { return };
    compare::<Plain>(&device);
}

#[test]
fn fused() {
    let Some(device) = device() else { return };
    compare::<Fused>(&device);
}
