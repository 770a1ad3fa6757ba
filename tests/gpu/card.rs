//! The card under test, and comparison with the CPU.

use burn::backend::wgpu::{CubeBackend, WgpuDevice, WgpuRuntime};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use voxgan::ops::cards::{Card, cards};
use voxgan::random::{Purpose, normal, stream};

use crate::needs;

/// What the program computes on.
pub type Fused = burn::backend::Wgpu;
/// The same, operation by operation.
pub type Plain = CubeBackend<WgpuRuntime, f32, i32, u32>;

/// The best adapter.
pub fn card() -> Option<Card> {
    voxgan::ops::cube::share_stream();
    needs::found("vulkan", cards().into_iter().next())
}

/// How burn knows it.
pub fn device() -> Option<WgpuDevice> {
    card().map(|card| card.device)
}

/// What `--device` calls it.
pub fn option() -> Option<String> {
    card().map(|card| format!("{}:{}", card.api, card.name))
}

/// Standard normal numbers.
pub fn draw(seed: u64, number: u64, length: usize) -> Vec<f32> {
    normal(&mut stream(seed, 0, 0, number, Purpose::Noise), length)
}

pub fn tensor<B: Backend>(values: &[f32], (device, dtype): (&B::Device, DType)) -> Tensor<B, 1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (device, dtype))
}

pub fn values<B: Backend, const R: usize>(x: Tensor<B, R>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

/// Largest difference, relative to the largest value of `expected` and to at least `least`; NaN where there is one.
pub fn error(found: &[f64], expected: &[f64], least: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(least.max(f64::MIN_POSITIVE), |m, x| m.max(x.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, |m: f64, d| if d > m || d.is_nan() { d } else { m }) / largest
}

/// Numbers whose last bit is another: what rounding them would change is seen in what is computed of them.
pub fn rounded(mut numbers: Vec<f32>) -> Vec<f32> {
    for number in &mut numbers {
        *number = f32::from_bits(number.to_bits() ^ 1);
    }
    numbers
}

/// The error of `found`, which must be at most `tolerance`, or, where what rounding does on the CPU (`others`) is further from `expected`, four
/// times as far: inputs are rounded once there, and on a card also all that is between.
pub fn agreed(
    found: &[f64],
    others: &[&[f64]],
    expected: &[f64],
    tolerance: f64,
    what: impl std::fmt::Display,
) -> f64 {
    let off = |found| error(found, expected, 1e-2);
    let rounding = others.iter().map(|other| off(other)).fold(0.0, f64::max);
    let error = off(found);
    let seen = format!("{what}: {error:.1e}, rounding on the CPU {rounding:.1e}");
    assert!(error <= tolerance.max(4.0 * rounding), "{seen}");
    if error > tolerance {
        println!("{seen}");
    }
    error
}
