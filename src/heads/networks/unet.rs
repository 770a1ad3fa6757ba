//! The U-Net: the same grid in and out, seen at several scales.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::nn::{
    ConditionedConv, ConditionedConvConfig, Init, depth_to_space, filled, space_to_depth, upsample_features,
};
use crate::ops::{Features, VolumeOps};

/// Shape of a [`UNet`].
#[derive(Clone, Debug, PartialEq)]
pub struct UNetConfig {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of its result.
    pub outputs: usize,
    /// Channels of each level, finest first; each level has half the grid of the one above.
    pub widths: Vec<usize>,
    /// Voxels `[D, H, W]` that become the channels of one place.
    pub space_to_depth: [usize; 3],
    /// Length of the condition; zero for none.
    pub condition: usize,
    /// Slices: nothing happens along D.
    pub flat: bool,
}

impl UNetConfig {
    /// What grids are filled up to multiples of, `[D, H, W]`.
    fn multiple(&self) -> [usize; 3] {
        let levels = 1 << (self.widths.len() - 1);
        [0, 1, 2].map(|axis| self.space_to_depth[axis] * if axis == 0 && self.flat { 1 } else { levels })
    }

    /// The network with its initial values: its result is zero.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> UNet<B> {
        let widths = &self.widths;
        let voxels: usize = self.space_to_depth.iter().product();
        let conv = |inputs, outputs| ConditionedConvConfig::new(inputs, outputs, self.flat, self.condition);
        let halved = if self.flat { [1, 2, 2] } else { [2; 3] };
        let down = (0..widths.len())
            .map(|level| {
                let enter = match level {
                    0 => conv(self.inputs * voxels, widths[0]),
                    _ => ConditionedConvConfig { down: halved, ..conv(widths[level - 1], widths[level]) },
                };
                Level {
                    enter: enter.init(init, device),
                    stay: conv(widths[level], widths[level]).init(init, device),
                }
            })
            .collect();
        let up = (0..widths.len() - 1)
            .rev()
            .map(|level| Rise {
                project: ConditionedConvConfig { kernel: [1; 3], ..conv(widths[level + 1], widths[level]) }
                    .linear()
                    .init(init, device),
                first: conv(widths[level], widths[level]).init(init, device),
                second: conv(widths[level], widths[level]).init(init, device),
            })
            .collect();
        let leave = conv(widths[0], self.outputs * voxels).linear().silent().init(init, device);
        UNet { down, up, leave, space_to_depth: self.space_to_depth, halved, multiple: self.multiple() }
    }
}

/// Two convolutions of the way down; the first halves the grid, but on the finest level.
#[derive(Module, Debug)]
struct Level<B: Backend> {
    enter: ConditionedConv<B>,
    stay: ConditionedConv<B>,
}

/// A step of the decoder: the coarser level, upsampled, plus the skip connection of this level.
#[derive(Module, Debug)]
struct Rise<B: Backend> {
    project: ConditionedConv<B>,
    first: ConditionedConv<B>,
    second: ConditionedConv<B>,
}

/// A U-Net (Ronneberger et al. 2015; Çiçek et al. 2016) whose levels are added, not concatenated. The output is a
/// residual, to be added to the initial estimate.
#[derive(Module, Debug)]
pub struct UNet<B: Backend> {
    down: Vec<Level<B>>,
    up: Vec<Rise<B>>,
    leave: ConditionedConv<B>,
    space_to_depth: [usize; 3],
    halved: [usize; 3],
    multiple: [usize; 3],
}

impl<B: VolumeOps> UNet<B> {
    /// # Shapes
    /// - `input`: `[N, inputs, D, H, W]`; `condition`: `[N, length]`
    /// - output: `[N, outputs, D, H, W]`
    pub fn forward(&self, input: Tensor<B, 5>, condition: Option<&Tensor<B, 2>>) -> Tensor<B, 5> {
        let [_, _, d, h, w] = input.dims();
        let mut x = Features::from_volumes(space_to_depth(filled(input, self.multiple), self.space_to_depth));
        let mut levels = Vec::with_capacity(self.down.len());
        for level in &self.down {
            x = level.stay.forward(level.enter.forward(x, condition), condition);
            levels.push(x.clone());
        }
        levels.pop();
        for (rise, beside) in self.up.iter().zip(levels.into_iter().rev()) {
            x = upsample_features(rise.project.forward(x, condition), self.halved) + beside;
            x = rise.second.forward(rise.first.forward(x, condition), condition);
        }
        let made = depth_to_space(self.leave.forward(x, condition).into_volumes(), self.space_to_depth);
        made.narrow(2, 0, d).narrow(3, 0, h).narrow(4, 0, w)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;
    use crate::nn::parameters::replace;
    use crate::random::{Purpose, normal, stream};

    fn noise<const R: usize>(shape: [usize; R], seed: u64) -> Tensor<Flex, R> {
        let values = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    fn stirred(config: &UNetConfig) -> UNet<Flex> {
        let network: UNet<Flex> = config.init(&mut Init::new(1), &Default::default());
        let mut seed = 10;
        replace(network, |_, old: Tensor<Flex, 1>| {
            seed += 1;
            noise(old.dims(), seed)
        })
    }

    #[test]
    fn the_grid_comes_back_and_the_beginning_is_nothing() {
        for (flat, space_to_depth, grid) in [(false, [2; 3], [7, 8, 13]), (true, [1; 3], [3, 9, 4])] {
            let config = UNetConfig {
                inputs: 2,
                outputs: 1,
                widths: vec![3, 4, 5],
                space_to_depth,
                condition: 2,
                flat,
            };
            let [d, h, w] = grid;
            let (input, condition) = (noise([1, 2, d, h, w], 3), noise([1, 2], 4));
            let fresh: UNet<Flex> = config.init(&mut Init::new(1), &Default::default());
            let zero = fresh.forward(input.clone(), Some(&condition));
            assert_eq!((zero.dims(), zero.abs().max().into_scalar()), ([1, 1, d, h, w], 0.0));
            let found = stirred(&config).forward(input, Some(&condition));
            assert!(found.abs().mean().into_scalar() > 1e-3);
        }
    }

    /// Slices do not see each other.
    #[test]
    fn a_flat_network_treats_every_slice_alone() {
        let config = UNetConfig {
            inputs: 1,
            outputs: 1,
            widths: vec![3, 4],
            space_to_depth: [1; 3],
            condition: 0,
            flat: true,
        };
        let network = stirred(&config);
        let input = noise([1, 1, 3, 8, 8], 3);
        let whole = network.forward(input.clone(), None);
        for slice in 0..3 {
            let alone = network.forward(input.clone().narrow(2, slice, 1), None);
            let worst = (whole.clone().narrow(2, slice, 1) - alone).abs().max().into_scalar();
            assert!(worst < 1e-4, "{worst}");
        }
    }
}
