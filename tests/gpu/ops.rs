//! Every operation of `ops` on a GPU against the CPU in float64: values, gradients, and gradients of gradients.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};
use voxgan::ops::{VolumeOps, backward, tape};

use crate::card::{Fused, Plain, agreed, device, draw, rounded, tensor, values};
use crate::operations::{Operation, kinds};

/// Largest error in float32, relative to the largest value.
const TOLERANCE: f64 = 2e-5;

/// Values, the gradients of L = Σ v·tanh(op(a, b)/4) in both arguments, and those of ⟨u, ∂L/∂a⟩ + ⟨u', ∂L/∂b⟩.
/// The numbers are drawn and then changed.
fn quantities<B: VolumeOps>(
    operation: &Operation,
    seed: u64,
    change: fn(Vec<f32>) -> Vec<f32>,
    to: (&B::Device, DType),
) -> Vec<Vec<f64>> {
    let draw = |number, length| change(draw(seed, number, length));
    type A<B> = Autodiff<B>;
    type AA<B> = Autodiff<Autodiff<B>>;
    let (x, b) = operation.shapes();
    let lengths = [x.iter().product(), b.iter().product::<usize>()];
    let inner = [0, 1].map(|i| tensor::<A<B>>(&draw(i as u64, lengths[i]), to).require_grad());
    let outer = inner.clone().map(|x| Tensor::<AA<B>, 1>::from_inner(x).require_grad());
    let [a, b] = outer.clone();
    let output = operation.apply(a, b);
    let v = Tensor::from_inner(tensor::<A<B>>(&draw(2, output.dims()[0]), to));
    let first = backward(&(output.clone() * 0.25).tanh().mul(v).sum());
    let mut found = vec![values(output)];
    let mut contracted: Option<Tensor<A<B>, 1>> = None;
    for (i, x) in outer.iter().enumerate() {
        let Some(gradient) = x.grad(&first) else { continue };
        found.push(values(gradient.clone()));
        let part = (gradient * tensor(&draw(3 + i as u64, lengths[i]), to)).sum();
        contracted = Some(match contracted {
            Some(sum) => sum + part,
            None => part,
        });
    }
    let second = backward(&contracted.expect("the output depends on an argument"));
    found.extend(inner.iter().filter_map(|x| x.grad(&second)).map(values));
    found
}

/// Compares all of them on volumes and slices of one to three samples and one to eight channels: odd lengths, and such as kernels take
/// four numbers at once of.
fn compare<B: VolumeOps>(device: &B::Device) {
    let _tape = tape();
    let odd = [(1, 3, 2, [3, 4, 5]), (2, 1, 3, [1, 5, 7]), (3, 2, 1, [3, 5, 1])];
    let even = [(2, 1, 8, [1, 8, 8]), (3, 8, 4, [1, 4, 4]), (2, 4, 8, [4, 4, 4])];
    let mut worst = 0.0f64;
    for (n, i, o, grid) in odd.into_iter().chain(even) {
        for (number, kind) in kinds(grid).into_iter().enumerate() {
            let operation = Operation { kind, n, i, o, grid };
            let seed = number as u64;
            let cpu =
                |change, dtype| quantities::<Flex>(&operation, seed, change, (&Default::default(), dtype));
            let expected = cpu(|numbers| numbers, DType::F64);
            let others = [cpu(|numbers| numbers, DType::F32), cpu(rounded, DType::F64)];
            let found = quantities::<B>(&operation, seed, |numbers| numbers, (device, DType::F32));
            assert_eq!(found.len(), expected.len(), "{operation:?}");
            for (which, expected) in expected.iter().enumerate() {
                let what = format!("{operation:?}, quantity {which}");
                worst = worst.max(agreed(
                    &found[which],
                    &others.each_ref().map(|other| &other[which][..]),
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
