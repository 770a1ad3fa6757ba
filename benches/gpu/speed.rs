//! Times of convolutions and training steps in every composition: phases and taps against burn's own gradients, float32
//! against 16 bits, fused and operation by operation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use burn::backend::Flex;
use burn::tensor::{DType, Tensor, TensorData};
use serde_json::{Value, json};
use voxgan::config::Recipe;
use voxgan::ops::cube::{Composition, Fuses, InputGrad, WeightGrad};
use voxgan::ops::{self, ConvGeometry, Features, VolumeOps};
use voxgan::random::{Purpose, normal, stream};
use voxgan::train::Estimate;

use crate::steps::{Bench, Kind, Setup};

/// Channels in and out, length of each axis, samples; kernels of three.
const CONVOLUTIONS: [[usize; 4]; 5] =
    [[16, 16, 64, 8], [32, 32, 64, 4], [64, 64, 32, 8], [128, 128, 16, 8], [256, 256, 8, 16]];
const CONVOLUTIONS_TINY: [[usize; 4]; 1] = [[4, 4, 8, 2]];

/// The least of the seconds of so many calls, after one that compiles and tunes; and the seconds of that one. None where the
/// backend cannot.
fn seconds<B: VolumeOps>(device: &B::Device, calls: usize, mut run: impl FnMut()) -> Option<[f64; 2]> {
    let mut once = || {
        let started = Instant::now();
        run();
        B::sync(device).ok()?;
        Some(started.elapsed().as_secs_f64())
    };
    let mut all = || {
        let first = once()?;
        let least = (0..calls).map(|_| once()).try_fold(f64::INFINITY, |least, s| Some(least.min(s?)))?;
        Some([least, first])
    };
    // burn panics where a kernel cannot be made.
    catch_unwind(AssertUnwindSafe(&mut all)).ok().flatten()
}

/// The types of 16 bits that the device computes in.
fn halves<B: VolumeOps>(device: &B::Device) -> Vec<Option<DType>> {
    let halves = [DType::F16, DType::BF16].into_iter().filter(|&half| B::supports_dtype(device, half));
    std::iter::once(None).chain(halves.map(Some)).collect()
}

fn name(half: Option<DType>) -> &'static str {
    match half {
        None => "float32",
        Some(DType::F16) => "float16",
        Some(_) => "bfloat16",
    }
}

fn told(seconds: Option<[f64; 2]>, per: f64, unit: &str) -> String {
    seconds
        .map_or("cannot".into(), |[least, first]| format!("{:.3} {unit} (first {first:.2} s)", per / least))
}

/// ‖x − y‖/‖y‖.
fn distance<B: VolumeOps>(x: Tensor<B, 5>, y: Tensor<B, 5>) -> f64 {
    let norm = |x: Tensor<B, 5>| x.powi_scalar(2).sum().into_data().iter::<f64>().sum::<f64>().sqrt();
    norm(x - y.clone()) / norm(y)
}

/// Operations a second of a convolution and its gradients by each way to them, and the error relative to phases and taps in
/// float32.
pub fn convolutions<B: Fuses>(device: &B::Device, tiny: bool) -> Value {
    println!("convolutions (error against phases and taps in float32; the first call compiles and tunes)");
    let mut rows = Vec::new();
    let cases: &[[usize; 4]] = if tiny { &CONVOLUTIONS_TINY } else { &CONVOLUTIONS };
    for &[i, o, length, n] in cases {
        let geometry = ConvGeometry::same([length; 3], [3; 3]);
        let draw = |seed: u64, shape: [usize; 5]| -> Tensor<B, 5> {
            let values = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), shape.iter().product());
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let x = draw(0, [n, i, length, length, length]);
        let g = draw(1, [n, o, length, length, length]);
        let w = draw(2, [o, i, 3, 3, 3]);
        let gflop = 2.0 * 27.0 * (i * o * n * length.pow(3)) as f64 / 1e9;
        let features = Features::from_volumes;
        let forward = || ops::conv3d(features(x.clone()), w.clone(), geometry).into_volumes();
        let input = || ops::conv3d_input_grad(features(g.clone()), w.clone(), geometry).into_volumes();
        let weight = || ops::conv3d_weight_grad(features(x.clone()), features(g.clone()), geometry);
        let runs: [&dyn Fn() -> Tensor<B, 5>; 3] = [&forward, &input, &weight];
        let exact = runs.map(|run| run());
        for half in halves::<B>(device) {
            let base = Composition { half, ..Composition::DEFAULT };
            let [by_burn_input, by_burn_weight] = [
                Composition { input_grad: InputGrad::Burn, ..base },
                Composition { weight_grad: WeightGrad::Burn, ..base },
            ];
            let ways = [
                ("forward", base, 0),
                ("input, by phases", base, 1),
                ("input, burn's", by_burn_input, 1),
                ("weight, by taps", base, 2),
                ("weight, burn's", by_burn_weight, 2),
            ];
            for (way, composition, which) in ways {
                composition.set();
                let mut result = None;
                let seconds =
                    seconds::<B>(device, if tiny { 2 } else { 10 }, || result = Some(runs[which]()));
                let error = result.map(|result| distance(result, exact[which].clone()));
                let half = name(half);
                println!(
                    "  {i:>3} → {o:>3}, {length}³ × {n:<2} {half:<8} {way:<17} error {:.1e}, {}",
                    error.unwrap_or(f64::NAN),
                    told(seconds, gflop, "GFLOP/s")
                );
                rows.push(json!({
                    "case": [i, o, length, n], "type": half, "way": way, "gflop": gflop, "seconds": seconds, "error": error,
                }));
            }
        }
    }
    Composition::DEFAULT.set();
    println!();
    rows.into()
}

/// Volumes a second of a training step in each composition.
pub fn training<B: Fuses>(device: &B::Device, tiny: bool) -> Value {
    let setups: &[[usize; 2]] = if tiny { &[[8, 2]] } else { &[[32, 8], [64, 1], [64, 4]] };
    println!("a training step (volumes/s)");
    let mut rows = Vec::new();
    for &[resolution, batch] in setups {
        let [channel_base, channel_max, latent] = if tiny { [64, 8, 16] } else { [1024, 128, 128] };
        let setup = Setup { resolution, batch, channel_base, channel_max, latent };
        for half in halves::<B>(device) {
            for (way, input_grad, weight_grad) in [
                ("phases, taps", InputGrad::Phases, WeightGrad::Taps),
                ("burn's", InputGrad::Burn, WeightGrad::Burn),
            ] {
                Composition { input_grad, weight_grad, half }.set();
                for fused in [true, false] {
                    let calls = if tiny { 1 } else { 5 };
                    let seconds = match fused {
                        true => step::<B>(&setup, device, calls),
                        false => step::<B::Unfused>(&setup, device, calls),
                    };
                    let (half, fusion) = (name(half), if fused { "fused" } else { "one by one" });
                    let speed = told(seconds, batch as f64, "volumes/s");
                    println!("  {resolution}³ × {batch:<2} {half:<8} {way:<13} {fusion:<10} {speed}");
                    rows.push(json!({ "resolution": resolution, "batch": batch, "type": half, "way": way, "fused": fused,
                                      "seconds": seconds }));
                }
            }
        }
    }
    Composition::DEFAULT.set();
    rows.into()
}

fn step<B: VolumeOps>(setup: &Setup, device: &B::Device, calls: usize) -> Option<[f64; 2]> {
    let mut bench = Bench::<B>::new(setup, device);
    seconds::<B>(device, calls, || bench.run(Kind::Step))
}

/// The estimate of `voxgan train brain-2mm --dry-run` with micro-batches of 8 and 16.
pub fn memory() -> Value {
    println!("\nmemory of a step of brain-2mm, 16 volumes (estimated)");
    let of = |micro: usize| {
        let mut recipe = Recipe::preset("brain-2mm").expect("a recipe inside the program");
        recipe.training.micro_batch = Some(micro);
        let bytes = Estimate::new::<Flex>(&recipe.resolved(), &Default::default()).memory_bytes;
        println!("  {micro:>2} at once: {:.1} GB", bytes as f64 / 1e9);
        json!({ "micro_batch": micro, "bytes": bytes })
    };
    [8, 16].map(of).to_vec().into()
}
