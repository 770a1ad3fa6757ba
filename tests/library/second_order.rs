//! Gradients of gradients in float64 against central finite differences: of every operation, of the R1 penalty and of
//! the path-length penalty; and R1's parameter gradient by the identity with a directional derivative.
//!
//! In float64 such differences carry seven to ten digits; everything here agrees within
//! [`TOLERANCE`], relative.

use std::collections::BTreeMap;

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use voxgan::config::NetworkRecipe;
use voxgan::gan::{Discriminator, Generator, Synthesis, image_gradient, loss, path_gradient};
use voxgan::nn::parameters::{gradients, is_buffer, replace, tensors};
use voxgan::nn::{Noise, minibatch_deviation};
use voxgan::ops::{
    self, ConvGeometry, Features, Fir, FirPass, Layer, LayerInputs, VolumeOps, backward, tape,
};
use voxgan::random::{Purpose, normal, stream};
use voxgan::warp::WarpPass;

/// One differentiation recorded, and two.
type A = Autodiff<Flex>;
type AA = Autodiff<A>;

const TOLERANCE: f64 = 1e-6;
/// Step of the central differences: small, for the leaky ReLUs' kinks and the cusps of the minibatch deviation lie close.
const STEP: f64 = 3e-7;
/// Step along a direction of length one, which moves each voxel by a fraction of it.
const UNIT_STEP: f64 = 1e-5;

fn draw(seed: u64, number: u64, length: usize) -> Vec<f64> {
    normal(&mut stream(seed, 0, 0, number, Purpose::Noise), length).into_iter().map(f64::from).collect()
}

fn tensor<B: Backend>(values: Vec<f64>) -> Tensor<B, 1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), (&Default::default(), DType::F64))
}

fn values<B: Backend, const R: usize>(x: Tensor<B, R>) -> Vec<f64> {
    assert_eq!(x.dtype(), DType::F64);
    x.into_data().iter::<f64>().collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    product(a, a).sqrt()
}

/// `x + step·direction`.
fn moved(x: &[f64], direction: &[f64], step: f64) -> Vec<f64> {
    x.iter().zip(direction).map(|(x, d)| x + step * d).collect()
}

/// An operation of two flat arguments; some ignore the second.
#[derive(Clone, Copy, Debug)]
enum Kind {
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
}

/// Samples, channels in, channels out, and the grid where a convolution does not tell it.
const SIZES: (usize, usize, usize, [usize; 3]) = (2, 3, 4, [3, 4, 5]);

impl Kind {
    fn shapes(self) -> ([usize; 5], Vec<usize>) {
        let (n, i, o, [d, h, w]) = SIZES;
        let volume = |n: usize, c: usize, [d, h, w]: [usize; 3]| [n, c, d, h, w];
        match self {
            Self::Conv3d(g) => (volume(n, i, g.input), volume(o, i, g.kernel).into()),
            Self::Conv3dInputGrad(g) => (volume(n, o, g.output()), volume(o, i, g.kernel).into()),
            Self::Conv3dWeightGrad(g) => (volume(n, i, g.input), volume(n, o, g.output()).into()),
            Self::ChannelScale => ([n, i, d, h, w], vec![n, i]),
            Self::ChannelDot => ([n, i, d, h, w], vec![n, i, d, h, w]),
            Self::AddField => ([n, i, d, h, w], vec![n, 1, d, h, w]),
            Self::LreluMask => ([n, i, d, h, w], vec![n, i, d, h, w]),
            // Weight, style, bias, demodulation and field, one behind the other.
            Self::Layer { layer, full } => {
                let [d, h, w] = layer.blur.output(layer.convolved());
                let modulation = if full { n * o + n * d * h * w } else { 0 };
                (volume(n, i, SIZES.3), vec![o * i * 27 + n * i + o + modulation])
            }
            Self::Filter(_) | Self::Warp { .. } | Self::Deviation | Self::ChannelCollect => {
                ([n, i, d, h, w], vec![1])
            }
        }
    }

    fn apply<B: VolumeOps>(self, a: Tensor<B, 1>, b: Tensor<B, 1>) -> Tensor<B, 1> {
        let (n, i, o, _) = SIZES;
        let (x, dims) = self.shapes();
        let x: Tensor<B, 5> = a.reshape(x);
        let five =
            |b: Tensor<B, 1>| -> Tensor<B, 5> { b.reshape([dims[0], dims[1], dims[2], dims[3], dims[4]]) };
        let features = Features::from_volumes;
        let flat = |x: Features<B>| x.into_volumes().flatten(0, 4);
        match self {
            Self::Conv3d(g) => flat(ops::conv3d(features(x), five(b), g)),
            Self::Conv3dInputGrad(g) => flat(ops::conv3d_input_grad(features(x), five(b), g)),
            Self::Conv3dWeightGrad(g) => {
                ops::conv3d_weight_grad(features(x), features(five(b)), g).flatten(0, 4)
            }
            Self::Filter(fir) => flat(ops::fir(features(x), &fir)),
            Self::ChannelScale => flat(ops::channel_scale(features(x), b.reshape([n, i]))),
            Self::ChannelDot => ops::channel_dot(features(x), features(five(b))).flatten(0, 1),
            Self::AddField => flat(ops::add_field(features(x), five(b))),
            Self::ChannelCollect => ops::channel_collect(features(x)).flatten(0, 4),
            // The mask is constant: it is of the first argument, which is masked too.
            Self::LreluMask => {
                let y = features(x.clone() * five(b));
                flat(ops::lrelu_mask(features(x.detach()), y, 0.3, 1.3))
            }
            Self::Warp { adjoint } => {
                let rows = vec![[0.1, 0.9, -0.2, 0.3], [-0.1, 1.2, 0.1, -0.7]];
                let bend = (0..60).map(|i| (f64::from(i) * 0.7).sin() as f32).collect();
                let pass = WarpPass { bends: vec![None, Some(bend)], ..WarpPass::affine(3, rows) };
                ops::warp(x, &if adjoint { pass.transposed() } else { pass }).flatten(0, 4)
            }
            Self::Layer { layer, full } => {
                let [d, h, w] = layer.blur.output(layer.convolved());
                let mut from = 0;
                let mut part = |length: usize| {
                    from += length;
                    b.clone().narrow(0, from - length, length)
                };
                let weight = part(o * i * 27).reshape([o, i, 3, 3, 3]);
                let (style, bias) = (Some(part(n * i).reshape([n, i])), Some(part(o)));
                // Demodulation is positive.
                let mut demodulation = || part(n * o).powi_scalar(2).reshape([n, o]) + 0.5;
                let demodulation = full.then(&mut demodulation);
                let field = full.then(|| part(n * d * h * w).reshape([n, 1, d, h, w]));
                flat(ops::layer(
                    features(x),
                    weight,
                    LayerInputs { style, demodulation, field, bias },
                    &layer,
                ))
            }
            Self::Deviation => minibatch_deviation(x, 2).flatten(0, 4),
        }
    }
}

/// Every operation in each of the ways that networks use it.
fn kinds() -> Vec<Kind> {
    let same = ConvGeometry::same([3, 4, 5], [3; 3]);
    let strided = ConvGeometry { input: [5, 6, 7], kernel: [3; 3], stride: [2; 3], padding: [0; 3] };
    let slab = ConvGeometry { input: [4, 7, 5], kernel: [3; 3], stride: [1, 2, 2], padding: [1, 0, 0] };
    let flat = ConvGeometry::same([1, 5, 6], [1, 3, 3]);
    let mut kinds = Vec::new();
    for geometry in [same, strided, slab, flat] {
        kinds.extend([
            Kind::Conv3d(geometry),
            Kind::Conv3dInputGrad(geometry),
            Kind::Conv3dWeightGrad(geometry),
        ]);
    }
    for (up, down, pad) in [(2, 1, [2, 1]), (1, 2, [1, 1]), (1, 1, [1, 1]), (1, 1, [2, 2])] {
        let pass = FirPass { up, down, pad, gain: 1.5 };
        kinds.extend([[2, 1, 1], [1, 2, 2], [2, 2, 2]].map(|axes| Kind::Filter(Fir::along(axes, pass))));
    }
    let blur = FirPass { up: 1, down: 1, pad: [1, 1], gain: 2.0 };
    for layer in [
        Layer::conv(same),
        // As an upsampling layer has it: the grid is that of the transposed convolution's output.
        Layer {
            geometry: ConvGeometry { input: [7, 9, 11], kernel: [3; 3], stride: [2; 3], padding: [0; 3] },
            transposed: true,
            blur: Fir::along([2; 3], blur),
            gain: None,
        },
        Layer {
            geometry: ConvGeometry {
                input: [3, 9, 11],
                kernel: [3; 3],
                stride: [1, 2, 2],
                padding: [1, 0, 0],
            },
            transposed: true,
            blur: Fir::along([1, 2, 2], blur),
            gain: None,
        },
    ] {
        for full in [true, false] {
            kinds.extend([layer, layer.with_gain(1.3)].map(|layer| Kind::Layer { layer, full }));
        }
    }
    kinds.extend([Kind::ChannelScale, Kind::ChannelDot, Kind::AddField, Kind::ChannelCollect]);
    kinds.extend([Kind::LreluMask, Kind::Deviation]);
    kinds.extend([true, false].map(|adjoint| Kind::Warp { adjoint }));
    kinds
}

/// L = Σ v·tanh(op(a, b)/4), so that nothing is merely linear.
fn objective<B: VolumeOps>(kind: Kind, a: Tensor<B, 1>, b: Tensor<B, 1>, v: Tensor<B, 1>) -> Tensor<B, 1> {
    (kind.apply(a, b) * 0.25).tanh().mul(v).sum()
}

#[test]
fn gradients_of_gradients_of_every_operation() {
    let _tape = tape();
    let mut worst = 0.0f64;
    for (number, kind) in kinds().into_iter().enumerate() {
        let seed = number as u64;
        let (x, b) = kind.shapes();
        let lengths = [x.iter().product(), b.iter().product::<usize>()];
        let point = [0, 1].map(|i| draw(seed, i as u64, lengths[i]));
        // What the first gradients are contracted with, and in which direction the result is differentiated.
        let contraction = [0, 1].map(|i| draw(seed, 2 + i as u64, lengths[i]));
        let direction = [0, 1].map(|i| draw(seed, 4 + i as u64, lengths[i]));
        let outputs = kind.apply::<Flex>(tensor(point[0].clone()), tensor(point[1].clone())).dims()[0];
        let v = draw(seed, 6, outputs);

        // G(a, b) = ⟨u, ∂L/∂a⟩ + ⟨u', ∂L/∂b⟩ by one differentiation.
        let contracted = |point: [Vec<f64>; 2]| {
            let [a, b] = point.map(|p| tensor::<A>(p).require_grad());
            let grads = backward(&objective(kind, a.clone(), b.clone(), tensor(v.clone())));
            let part = |x: Tensor<A, 1>, u: &[f64]| x.grad(&grads).map_or(0.0, |g| product(&values(g), u));
            part(a, &contraction[0]) + part(b, &contraction[1])
        };
        // Its gradient by the second.
        let inner = point.clone().map(|p| tensor::<A>(p).require_grad());
        let outer = inner.clone().map(|p| Tensor::<AA, 1>::from_inner(p).require_grad());
        let [a, b] = outer.clone();
        let grads = backward(&objective(kind, a, b, Tensor::from_inner(tensor::<A>(v.clone()))));
        let terms = outer
            .iter()
            .zip(&contraction)
            .filter_map(|(x, u)| x.grad(&grads).map(|g: Tensor<A, 1>| (g * tensor(u.clone())).sum()));
        let sum = terms.reduce(|a, b| a + b).expect("the objective depends on the first argument");
        let second = backward(&sum);

        for argument in 0..2 {
            let exact = inner[argument].grad(&second).map_or(vec![0.0; lengths[argument]], values);
            let at = |step: f64| {
                let mut point = point.clone();
                point[argument] = moved(&point[argument], &direction[argument], step);
                contracted(point)
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let size = norm(&exact).max(1e-3 * contracted(point.clone()).abs());
            let error = (product(&exact, &direction[argument]) - difference).abs() / size.max(1e-9);
            assert!(error <= TOLERANCE, "{kind:?}, argument {argument}: {error:.1e}");
            worst = worst.max(error);
        }
    }
    println!("worst relative error {worst:.1e}");
}

fn network(factors: Vec<[usize; 3]>, base: [usize; 3]) -> NetworkRecipe {
    NetworkRecipe {
        base,
        factors,
        channel_base: Some(24),
        channel_max: Some(5),
        channels: None,
        z_dim: 4,
        w_dim: 5,
        mapping_layers: 2,
        image_channels: 1,
        minibatch_group: 2,
        discriminator_channel_base: None,
        discriminator_channel_max: None,
        discriminator_channels: None,
        discriminator_fc_channels: None,
    }
}

/// The module in float64, every value moved a little, so that no bias and no noise strength is zero.
fn float64<M: Module<A>>(module: M) -> M {
    let mut number = 0;
    replace(module, |_, x: Tensor<A, 1>| {
        number += 1;
        let shift = tensor::<A>(draw(77, number, x.dims()[0]));
        x.cast(DType::F64) + shift * 0.2
    })
}

/// The module with the parameter `name` moved along `direction`.
fn displaced<M: Module<A>>(module: &M, name: &str, direction: &[f64], step: f64) -> M {
    replace(
        module.clone(),
        |path, x: Tensor<A, 1>| {
            if path == name { x + tensor(direction.to_vec()) * step } else { x }
        },
    )
}

/// Compares the gradient of `penalty` in each parameter of `module` with central differences along a random direction;
/// returns the worst error.
fn against_differences<M: Module<A>>(
    module: &M,
    exact: &BTreeMap<String, Vec<f64>>,
    penalty: impl Fn(&M) -> f64,
) -> f64 {
    let whole = exact.values().map(|g| product(g, g)).sum::<f64>().sqrt();
    assert!(whole > 0.0 && whole.is_finite());
    let mut worst = 0.0f64;
    for (number, (name, x)) in tensors(module).into_iter().enumerate() {
        if is_buffer(&name) {
            assert!(!exact.contains_key(&name), "{name} is no parameter");
            continue;
        }
        let length = x.dims()[0];
        let direction = draw(91, number as u64, length);
        let zeros = vec![0.0; length];
        let exact = exact.get(&name).unwrap_or(&zeros);
        let at = |step: f64| penalty(&displaced(module, &name, &direction, step));
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let error = (product(exact, &direction) - difference).abs() / norm(exact).max(1e-3 * whole);
        assert!(error <= TOLERANCE, "{name}: {error:.1e}");
        worst = worst.max(error);
    }
    worst
}

fn parameter_gradients<M: Module<A>>(module: &M, of: Tensor<A, 1>) -> BTreeMap<String, Vec<f64>> {
    gradients(module, &backward(&of)).into_iter().map(|(name, g)| (name, values(g))).collect()
}

/// Cubes, thick-slice slabs, slices.
fn networks() -> [NetworkRecipe; 3] {
    [
        network(vec![[2, 2, 2]], [2, 3, 2]),
        network(vec![[1, 2, 2], [2, 2, 2]], [2, 2, 2]),
        network(vec![[1, 2, 2]], [1, 4, 4]),
    ]
}

fn volume<B: Backend>(network: &NetworkRecipe, seed: u64) -> Tensor<B, 5> {
    let [d, h, w] = network.shape();
    tensor(draw(seed, 0, 2 * d * h * w)).reshape([2, 1, d, h, w])
}

#[test]
fn r1_against_differences() {
    let _tape = tape();
    for network in networks() {
        let discriminator = float64(Discriminator::<A>::init(&network, 0, 5, &Default::default()));
        let image: Tensor<A, 5> = volume(&network, 6);
        let penalty = |d: &Discriminator<A>| {
            loss::squared_norms(image_gradient(d, image.clone(), None, |x| x).gradient).mean()
        };
        let exact = parameter_gradients(&discriminator, penalty(&discriminator));
        let worst = against_differences(&discriminator, &exact, |d| values(penalty(d))[0]);
        println!("R1 on {:?}: worst relative error {worst:.1e}", network.shape());
    }
}

/// With v = ∇ₓD held constant, the gradient of ‖∇ₓD‖² in the parameters is that of 2·⟨v, ∇ₓD⟩: of twice the
/// derivative of D at x along v, which a difference of two passes gives.
#[test]
fn r1_by_the_directional_derivative() {
    let _tape = tape();
    for network in networks() {
        let discriminator = float64(Discriminator::<A>::init(&network, 3, 5, &Default::default()));
        let image: Tensor<A, 5> = volume(&network, 6);
        let condition: Tensor<A, 2> = tensor(draw(8, 0, 6)).reshape([2, 3]);
        let gradient = image_gradient(&discriminator, image.clone(), Some(condition.clone()), |x| x).gradient;
        let v = gradient.clone().detach();
        let nested = parameter_gradients(&discriminator, loss::squared_norms(gradient).sum());
        let length = norm(&values(v.clone()));
        let at = |step: f64| {
            let image = image.clone() + v.clone() * (step / length);
            discriminator.forward(image, Some(condition.clone())).sum()
        };
        let directional = (at(UNIT_STEP) - at(-UNIT_STEP)) * (length / UNIT_STEP);
        let by_direction = parameter_gradients(&discriminator, directional);
        let whole = nested.values().map(|g| product(g, g)).sum::<f64>().sqrt();
        let mut worst = 0.0f64;
        for (name, direct) in &by_direction {
            let zeros = vec![0.0; direct.len()];
            let nested = nested.get(name).unwrap_or(&zeros);
            let error = norm(&moved(direct, nested, -1.0)) / norm(nested).max(1e-3 * whole);
            assert!(error <= TOLERANCE, "{name}: {error:.1e}");
            worst = worst.max(error);
        }
        assert!(nested.keys().all(|name| by_direction.contains_key(name)));
        println!("R1 by direction on {:?}: worst relative error {worst:.1e}", network.shape());
    }
}

#[test]
fn path_length_against_differences() {
    let _tape = tape();
    for network in networks() {
        let generator = float64(Generator::<A>::init(&network, 0, 5, &Default::default()));
        let (num_ws, w_dim) = (network.num_ws(), network.w_dim);
        let length = 2 * num_ws * w_dim;
        let y: Tensor<A, 5> = volume(&network, 6);
        let at_ws = draw(9, 0, length);
        let penalty = |synthesis: &Synthesis<A>, ws: Tensor<A, 1>| {
            let ws = ws.reshape([2, num_ws, w_dim]);
            let lengths = loss::path_lengths(path_gradient(synthesis, ws, y.clone(), Noise::Const));
            (lengths - 0.7).powi_scalar(2).mean()
        };
        let synthesis = generator.synthesis;
        let exact = parameter_gradients(&synthesis, penalty(&synthesis, tensor(at_ws.clone())));
        let worst = against_differences(&synthesis, &exact, |s| values(penalty(s, tensor(at_ws.clone())))[0]);

        // And in the w's, through which the mapping network learns.
        let ws = tensor::<A>(at_ws.clone()).require_grad();
        let exact = values(ws.grad(&backward(&penalty(&synthesis, ws.clone()))).expect("a gradient in w"));
        let direction = draw(10, 0, length);
        let at = |step: f64| values(penalty(&synthesis, tensor(moved(&at_ws, &direction, step))))[0];
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let error = (product(&exact, &direction) - difference).abs() / norm(&exact);
        assert!(error <= TOLERANCE, "w: {error:.1e}");
        println!("path length on {:?}: worst relative error {:.1e}", network.shape(), worst.max(error));
    }
}
