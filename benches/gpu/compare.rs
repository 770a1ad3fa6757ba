//! Whether the card computes what the CPU does: the fixtures of independent programs, and ten training steps.

use std::path::Path;

use burn::backend::{Autodiff, Flex};
use serde_json::{Value, json};
use voxgan::nn::parameters::values;
use voxgan::ops::VolumeOps;
use voxgan::pretrained::{Fixture, parity};

use crate::steps::{Bench, Kind, Setup};

const FIXTURES: [&str; 6] = [
    "stylegan2_3d_r16_c1",
    "stylegan2ada_2d_r16_rgb_cond",
    "stylegan2_3d_slab_16x16x6",
    "stylegan2_3d_brick_20x24x20",
    "stylegan2ada_2d_r32_c1",
    "stylegan2_2d_r64_c1",
];
/// How many times the CPU's tolerance is asked of a card.
const TIMES: f64 = 10.0;

/// For each fixture its worst error against its tolerance; if `tiny`, of the first two.
pub fn parity<B: VolumeOps>(device: &B::Device, tiny: bool) -> Value {
    println!("parity with independent programs: errors relative to {TIMES} times the CPU's tolerance");
    let mut rows = Vec::new();
    for name in FIXTURES.iter().take(if tiny { 2 } else { FIXTURES.len() }) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
        let fixture = Fixture::read(&folder.join(format!("{name}.safetensors"))).expect("the fixture reads");
        let found = parity::check::<Autodiff<B>>(&fixture, device).expect("the fixture fits");
        let share = |row: &parity::Row| row.error / (TIMES * row.tolerance);
        // A NaN is the worst.
        let worst = found.iter().max_by(|a, b| share(a).total_cmp(&share(b))).expect("quantities");
        let verdict = if share(worst) <= 1.0 { "right" } else { "WRONG" };
        println!("  {name:<30} {:.3} at {} ({:.1e}): {verdict}", share(worst), worst.group, worst.error);
        rows.push(
            json!({ "fixture": name, "worst": worst.group, "error": worst.error, "share": share(worst) }),
        );
    }
    println!();
    rows.into()
}

/// Ten training steps with all regularisers, on card and CPU: how far the parameters have gone apart, relative to how far
/// they have gone.
pub fn steps<B: VolumeOps>(device: &B::Device) -> Value {
    let setup = Setup { resolution: 8, batch: 4, channel_base: 64, channel_max: 8, latent: 16 };
    fn after<B: VolumeOps>(setup: &Setup, device: &B::Device, steps: usize) -> Vec<Vec<f32>> {
        let mut bench = Bench::<B>::new(setup, device);
        for step in 0..steps {
            bench.run([Kind::Step, Kind::StepR1, Kind::StepPathLength][step % 3]);
        }
        let (g, d) = (values(&bench.state.generator), values(&bench.state.discriminator));
        g.into_values().chain(d.into_values()).map(|array| array.iter::<f32>().collect()).collect()
    }
    let distance = |a: &[Vec<f32>], b: &[Vec<f32>]| {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let cpu = Default::default();
    let (start, expected) = (after::<Flex>(&setup, &cpu, 0), after::<Flex>(&setup, &cpu, 10));
    let apart = distance(&after::<B>(&setup, device, 10), &expected) / distance(&expected, &start);
    let [g, d] = Bench::<Flex>::new(&setup, &cpu).parameter_counts();
    println!("ten training steps of {g} and {d} parameters: {apart:.1e} of the way apart from the CPU\n");
    apart.into()
}
