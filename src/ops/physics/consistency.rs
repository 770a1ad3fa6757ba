//! Data consistency: what was measured stays what was measured.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Selection;

/// How far the measured samples are trusted.
#[derive(Clone, Debug)]
pub enum Trust<B: Backend> {
    /// They replace the network's: `k̂ = (1−m)·k + m·k₀`.
    Hard,
    /// They are averaged with the network's, of which they have `v` times the weight (Schlemper et al. 2018, equation 8):
    /// `k̂ = (1−m)·k + m·(k + v·k₀)/(1+v)`.
    Noise(f64),
    /// A step of learned size η `[1]` towards them (VarNet: Sriram et al. 2020): `k̂ = k − η·m·(k − k₀)`.
    Step(Tensor<B, 1>),
}

/// k-space `[N, 2·C, D, H, W]` brought towards the `measured` one of the same shape where `mask` has been measured.
pub fn consistency<B: Backend>(
    k: Tensor<B, 5>,
    measured: Tensor<B, 5>,
    mask: &Selection<B>,
    trust: &Trust<B>,
) -> Tensor<B, 5> {
    match trust {
        // Of the two sides' sum, not by a difference: measured samples stay to the bit.
        Trust::Hard => mask.others(k) + mask.apply(measured),
        Trust::Noise(v) => k.clone() + mask.apply(measured - k) * (v / (1.0 + v)),
        Trust::Step(step) => {
            let step = step.clone().reshape([1, 1, 1, 1, 1]);
            k.clone() + mask.apply(measured - k) * step
        }
    }
}
