//! The residual network: convolutions at one scale, and an enlargement at the end.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::config::Upsampling;
use crate::nn::{
    ConditionedConv, ConditionedConvConfig, Init, LRELU_GAIN, depth_to_space, filled, space_to_depth,
    upsample_features,
};
use crate::ops::{ConvGeometry, Features, Fir, FirPass, Layer, LayerInputs, VolumeOps, layer};

/// Shape of a [`ResidualNet`].
#[derive(Clone, Debug, PartialEq)]
pub struct ResidualNetConfig {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of its result.
    pub outputs: usize,
    /// Channels within.
    pub channels: usize,
    /// Residual blocks of two convolutions.
    pub blocks: usize,
    /// Factors `[D, H, W]` of the space-to-depth transform of the input.
    pub space_to_depth: [usize; 3],
    /// How much finer than the input's grid the result's is.
    pub factor: [usize; 3],
    /// How the grid becomes finer.
    pub upsampling: Upsampling,
    /// Length of the condition; zero for none.
    pub condition: usize,
    /// Slices: kernels of one voxel along D.
    pub flat: bool,
}

impl ResidualNetConfig {
    /// How much finer the result's grid is than that on which the network works.
    fn rise(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.space_to_depth[axis] * self.factor[axis])
    }

    /// The network with its initial values: its result is zero.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> ResidualNet<B> {
        let (channels, rise) = (self.channels, self.rise());
        let conv = |inputs, outputs| ConditionedConvConfig::new(inputs, outputs, self.flat, self.condition);
        let volume = |factors: [usize; 3]| factors.iter().product::<usize>();
        let mut rises = Vec::new();
        let mut left = rise;
        while self.upsampling != Upsampling::SubPixel && left != [1; 3] {
            let up = left.map(|factor| if factor > 1 { 2 } else { 1 });
            left = [0, 1, 2].map(|axis| left[axis] / up[axis]);
            let transposed = self.upsampling == Upsampling::Transposed;
            let [d, h, w] = conv(1, 1).kernel;
            rises.push(Rise {
                resized: (!transposed).then(|| conv(channels, channels).init(init, device)),
                transposed: transposed.then(|| init.normal([channels, channels, d, h, w], 1.0, device)),
                bias: transposed.then(|| init.constant([channels], 0.0, device)),
                up,
            });
        }
        ResidualNet {
            enter: conv(self.inputs * volume(self.space_to_depth), channels).init(init, device),
            body: (0..self.blocks)
                .map(|_| Block {
                    first: conv(channels, channels).init(init, device),
                    second: conv(channels, channels).linear().silent().init(init, device),
                })
                .collect(),
            merge: conv(channels, channels).linear().silent().init(init, device),
            rises,
            leave: conv(channels, self.outputs * volume(left)).linear().silent().init(init, device),
            space_to_depth: self.space_to_depth,
            depth_to_space: left,
            factor: self.factor,
        }
    }
}

/// A 3D residual network (Sanchez & Vilaplana 2018, after SRGAN, Ledig et al. 2017): a convolution, residual blocks, a skip
/// over all of them, and an enlargement to the result's grid. No normalisation takes part, so that a block of a volume gives
/// what the whole volume does. The output is a residual, to be added to the initial estimate.
#[derive(Module, Debug)]
pub struct ResidualNet<B: Backend> {
    enter: ConditionedConv<B>,
    body: Vec<Block<B>>,
    merge: ConditionedConv<B>,
    rises: Vec<Rise<B>>,
    leave: ConditionedConv<B>,
    space_to_depth: [usize; 3],
    depth_to_space: [usize; 3],
    factor: [usize; 3],
}

/// `x + second(first(x))`, the second without activation and zero at first.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    first: ConditionedConv<B>,
    second: ConditionedConv<B>,
}

/// A grid twice as fine: filtered and convolved, or by a transposed convolution.
#[derive(Module, Debug)]
struct Rise<B: Backend> {
    resized: Option<ConditionedConv<B>>,
    transposed: Option<Param<Tensor<B, 5>>>,
    bias: Option<Param<Tensor<B, 1>>>,
    up: [usize; 3],
}

impl<B: VolumeOps> ResidualNet<B> {
    /// # Shapes
    /// - `input`: `[N, inputs, D, H, W]`; `condition`: `[N, length]`
    /// - output: `[N, outputs, D·factor, H·factor, W·factor]`
    pub fn forward(&self, input: Tensor<B, 5>, condition: Option<&Tensor<B, 2>>) -> Tensor<B, 5> {
        let [_, _, d, h, w] = input.dims();
        let packed =
            Features::from_volumes(space_to_depth(filled(input, self.space_to_depth), self.space_to_depth));
        let entered = self.enter.forward(packed, condition);
        let through = self.body.iter().fold(entered.clone(), |x, block| {
            x.clone() + block.second.forward(block.first.forward(x, condition), condition)
        });
        let mut x = self.merge.forward(through, condition) + entered;
        for rise in &self.rises {
            x = rise.forward(x, condition);
        }
        let made = depth_to_space(self.leave.forward(x, condition).into_volumes(), self.depth_to_space);
        let [fd, fh, fw] = self.factor;
        made.narrow(2, 0, d * fd).narrow(3, 0, h * fh).narrow(4, 0, w * fw)
    }
}

impl<B: VolumeOps> Rise<B> {
    fn forward(&self, x: Features<B>, condition: Option<&Tensor<B, 2>>) -> Features<B> {
        if let Some(resized) = &self.resized {
            return resized.forward(upsample_features(x, self.up), condition);
        }
        let (weight, bias) = (self.transposed.as_ref(), self.bias.as_ref());
        let weight = weight.expect("a rise is resized or transposed").val();
        let [_, inputs, d, h, w] = weight.dims();
        let kernel = [d, h, w];
        let padding = [0, 1, 2].map(|axis| if self.up[axis] == 2 { 0 } else { kernel[axis] / 2 });
        let grid = x.grid();
        let input = [0, 1, 2].map(|axis| (grid[axis] - 1) * self.up[axis] + kernel[axis] - 2 * padding[axis]);
        let geometry = ConvGeometry { input, kernel, stride: self.up, padding };
        let blur = Fir::along(self.up, FirPass { up: 1, down: 1, pad: [1, 1], gain: 2.0 });
        let weight = weight / ((inputs * d * h * w) as f64).sqrt();
        let inputs = LayerInputs { bias: bias.map(Param::val), ..LayerInputs::default() };
        layer(x, weight, inputs, &Layer { geometry, transposed: true, blur, gain: Some(LRELU_GAIN) })
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;
    use crate::nn::parameters::replace;
    use crate::random::{Purpose, normal, stream};

    fn config(upsampling: Upsampling, space_to_depth: [usize; 3], factor: [usize; 3]) -> ResidualNetConfig {
        ResidualNetConfig {
            inputs: 2,
            outputs: 1,
            channels: 6,
            blocks: 2,
            space_to_depth,
            factor,
            upsampling,
            condition: 3,
            flat: false,
        }
    }

    fn noise<const R: usize>(shape: [usize; R], seed: u64) -> Tensor<Flex, R> {
        let values = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    /// A network all of whose parameters are noise: one that has been trained.
    fn stirred(config: &ResidualNetConfig) -> ResidualNet<Flex> {
        let network: ResidualNet<Flex> = config.init(&mut Init::new(1), &Default::default());
        let mut seed = 10;
        replace(network, |_, old: Tensor<Flex, 1>| {
            seed += 1;
            noise(old.dims(), seed)
        })
    }

    #[test]
    fn every_enlargement_gives_the_results_grid_and_starts_at_zero() {
        let condition = noise([1, 3], 2);
        for upsampling in [Upsampling::SubPixel, Upsampling::Resize, Upsampling::Transposed] {
            for (space_to_depth, factor) in [([1; 3], [2, 2, 2]), ([2; 3], [1; 3]), ([1; 3], [4, 1, 2])] {
                let config = config(upsampling, space_to_depth, factor);
                let input = noise([1, 2, 8, 6, 4], 3);
                let expected = [1, 1, 8 * factor[0], 6 * factor[1], 4 * factor[2]];
                let fresh: ResidualNet<Flex> = config.init(&mut Init::new(1), &Default::default());
                let zero = fresh.forward(input.clone(), Some(&condition));
                assert_eq!(zero.dims(), expected);
                assert_eq!(zero.abs().max().into_scalar(), 0.0);
                let found = stirred(&config).forward(input, Some(&condition));
                assert_eq!(found.dims(), expected);
                assert!(found.abs().mean().into_scalar() > 1e-3);
            }
        }
    }

    #[test]
    fn the_condition_changes_what_is_done() {
        let network = stirred(&config(Upsampling::SubPixel, [1; 3], [2; 3]));
        let input = noise([1, 2, 4, 4, 4], 3);
        let [one, other] = [4, 5].map(|seed| network.forward(input.clone(), Some(&noise([1, 3], seed))));
        assert!((one - other).abs().mean().into_scalar() > 1e-3);
    }
}
