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
use voxgan::nn::Noise;
use voxgan::nn::parameters::{gradients, is_buffer, replace, tensors};
use voxgan::ops::{Shaped, VolumeOps, backward, tape};
use voxgan::random::{Purpose, normal, stream};

use crate::operations::{Operation, kinds};

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

/// L = Σ v·tanh(op(a, b)/4), so that nothing is merely linear.
fn objective<B: VolumeOps>(
    operation: &Operation,
    a: Tensor<B, 1>,
    b: Tensor<B, 1>,
    v: Tensor<B, 1>,
) -> Tensor<B, 1> {
    (operation.apply(a, b) * 0.25).tanh().mul(v).sum()
}

#[test]
fn gradients_of_gradients_of_every_operation() {
    let _tape = tape();
    let mut worst = 0.0f64;
    let grids = [[3, 4, 5], [1, 5, 6]];
    let kinds = grids.into_iter().flat_map(|grid| kinds(grid).into_iter().map(move |kind| (grid, kind)));
    for (number, (grid, kind)) in kinds.enumerate() {
        let seed = number as u64;
        let operation = Operation { kind, n: 2, i: 3, o: 4, grid };
        let (x, b) = operation.shapes();
        let lengths = [x.iter().product(), b.iter().product::<usize>()];
        let point = [0, 1].map(|i| draw(seed, i as u64, lengths[i]));
        // What the first gradients are contracted with, and in which direction the result is differentiated.
        let contraction = [0, 1].map(|i| draw(seed, 2 + i as u64, lengths[i]));
        let direction = [0, 1].map(|i| draw(seed, 4 + i as u64, lengths[i]));
        let outputs = operation.apply::<Flex>(tensor(point[0].clone()), tensor(point[1].clone())).dims()[0];
        let v = draw(seed, 6, outputs);

        // G(a, b) = ⟨u, ∂L/∂a⟩ + ⟨u', ∂L/∂b⟩ by one differentiation.
        let contracted = |point: [Vec<f64>; 2]| {
            let [a, b] = point.map(|p| tensor::<A>(p).require_grad());
            let grads = backward(&objective(&operation, a.clone(), b.clone(), tensor(v.clone())));
            let part = |x: Tensor<A, 1>, u: &[f64]| x.grad(&grads).map_or(0.0, |g| product(&values(g), u));
            part(a, &contraction[0]) + part(b, &contraction[1])
        };
        // Its gradient by the second.
        let inner = point.clone().map(|p| tensor::<A>(p).require_grad());
        let outer = inner.clone().map(|p| Tensor::<AA, 1>::from_inner(p).require_grad());
        let [a, b] = outer.clone();
        let grads = backward(&objective(&operation, a, b, Tensor::from_inner(tensor::<A>(v.clone()))));
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
            assert!(error <= TOLERANCE, "{operation:?}, argument {argument}: {error:.1e}");
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
    tensor(draw(seed, 0, 2 * d * h * w)).shaped([2, 1, d, h, w])
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
        let condition: Tensor<A, 2> = tensor(draw(8, 0, 6)).shaped([2, 3]);
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
            let ws = ws.shaped([2, num_ws, w_dim]);
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
