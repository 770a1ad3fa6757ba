//! The source of a synthesis layer's noise.

use crate::random::{Purpose, Samples, normal_field, stream};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// The noise of a synthesis pass (StyleGAN2's noise modes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// The layer's own buffer: the same for every sample.
    Const,
    /// No noise.
    None,
    /// Drawn for each sample and layer from the counter-based stream of this seed, step and phase.
    Random {
        /// Run seed.
        seed: u64,
        /// Step of the run (a sample's own seed when generating).
        step: u64,
        /// Phase within the step.
        phase: u64,
        /// Numbers of the batch's samples.
        samples: Samples,
    },
}

impl Noise {
    /// The noise `[samples, 1, D, H, W]` of layer number `layer` (below 256) on `grid` `[D, H, W]`; `None` for the
    /// other modes.
    pub fn draw<B: Backend>(
        &self,
        samples: usize,
        grid: [usize; 3],
        layer: u64,
        device: &B::Device,
    ) -> Option<Tensor<B, 5>> {
        let Self::Random { seed, step, phase, samples: numbers } = *self else { return None };
        let [d, h, w] = grid;
        let mut values = Vec::with_capacity(samples * d * h * w);
        for sample in numbers.numbers(samples) {
            // A layer's draws must not depend on how many layers there are: the layer enters the counter.
            let counter = sample << 8 | layer;
            values.extend(normal_field(&stream(seed, step, phase, counter, Purpose::Noise), d * h * w));
        }
        Some(Tensor::from_data(TensorData::new(values, [samples, 1, d, h, w]), device))
    }
}
