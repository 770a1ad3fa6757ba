//! The arithmetic peak of this machine: fused multiply-adds on registers, on all threads at once.

#![allow(unsafe_code)] // Loops in the instructions of one processor.

use std::hint::black_box;
use std::time::Instant;

/// Runs of which the fastest counts.
const RUNS: usize = 12;
/// Rounds of a run: some tens of milliseconds.
const ROUNDS: u64 = 10_000_000;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// Instructions that it was measured with.
    pub isa: &'static str,
    /// 10⁹ float32 operations a second; a multiply-add is two.
    pub gflops: f64,
}

/// A loop of multiply-adds: its name, its operations a round, and the loop.
struct Loop {
    isa: &'static str,
    flop_per_round: u64,
    run: fn(u64) -> f32,
}

/// The peak of all threads of rayon's pool together: the fastest of some runs.
pub fn measure() -> Peak {
    (0..RUNS).map(|_| once()).max_by(|a, b| a.gflops.total_cmp(&b.gflops)).expect("there are runs")
}

/// What one run measures.
pub fn once() -> Peak {
    let Loop { isa, flop_per_round, run } = widest();
    let flop = (rayon::current_num_threads() as u64 * ROUNDS * flop_per_round) as f64;
    let started = Instant::now();
    black_box(rayon::broadcast(|_| run(black_box(ROUNDS))));
    Peak { isa, gflops: flop / started.elapsed().as_secs_f64() / 1e9 }
}

/// The loop for the widest instructions that this processor has.
fn widest() -> Loop {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just found.
            return Loop { isa: "avx512", flop_per_round: 16 * 16 * 2, run: |n| unsafe { avx512(n) } };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were just found.
            return Loop { isa: "avx2", flop_per_round: 12 * 8 * 2, run: |n| unsafe { avx2(n) } };
        }
    }
    #[cfg(target_arch = "aarch64")]
    return Loop { isa: "neon", flop_per_round: 24 * 4 * 2, run: neon };
    #[cfg(not(target_arch = "aarch64"))]
    Loop { isa: "portable", flop_per_round: 32 * 2, run: portable }
}

/// `sums = sums · b + c` over and over: enough sums to hide a multiply-add's latency, few enough to stay in registers.
macro_rules! multiply_add {
    ($rounds:ident, $sums:literal, $splat:ident, $step:expr) => {{
        let (b, c) = ($splat(black_box(0.9999)), $splat(black_box(1e-9)));
        let mut sums = [$splat(1.0); $sums];
        for _ in 0..$rounds {
            for sum in &mut sums {
                *sum = $step(*sum, b, c);
            }
        }
        sums
    }};
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(rounds: u64) -> f32 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    let sums = multiply_add!(rounds, 16, _mm512_set1_ps, |s, b, c| _mm512_fmadd_ps(s, b, c));
    sums.iter().map(|sum| _mm512_reduce_add_ps(*sum)).sum()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(rounds: u64) -> f32 {
    use std::arch::x86_64::{_mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps};
    let sums = multiply_add!(rounds, 12, _mm256_set1_ps, |s, b, c| _mm256_fmadd_ps(s, b, c));
    sums.iter().map(|sum| _mm256_cvtss_f32(*sum)).sum()
}

#[cfg(target_arch = "aarch64")]
fn neon(rounds: u64) -> f32 {
    use std::arch::aarch64::{vaddvq_f32, vdupq_n_f32, vfmaq_f32};
    // SAFETY: every aarch64 processor that Rust's targets name has NEON.
    unsafe {
        let sums = multiply_add!(rounds, 24, vdupq_n_f32, |s, b, c| vfmaq_f32(c, s, b));
        sums.iter().map(|sum| vaddvq_f32(*sum)).sum()
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn portable(rounds: u64) -> f32 {
    let same = |value: f32| value;
    let sums = multiply_add!(rounds, 32, same, |s: f32, b: f32, c: f32| s * b + c);
    sums.iter().sum()
}
