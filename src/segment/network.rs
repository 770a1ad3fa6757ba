//! The segmentation network: a U-Net that can fold blocks of voxels into channels at its input and output.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::nn::{Init, NormalisedConv, NormalisedConvConfig, normalising, space_to_depth, upsample_features};
use crate::ops::{Features, VolumeOps};

/// Shape of a [`SegmentationNet`].
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentationNetConfig {
    /// Channels of each level, from the finest down; each level has half the grid of the one above.
    pub widths: Vec<usize>,
    /// Number of input channels.
    pub inputs: usize,
    /// Number of classes.
    pub outputs: usize,
    /// Length of the block of voxels that is folded into one place of the finest level: 2, or 1 for no folding.
    pub space_to_depth: usize,
}

impl SegmentationNetConfig {
    /// A network for images of one channel that works on half the grid.
    pub fn on_half_the_grid(widths: Vec<usize>, outputs: usize) -> Self {
        Self { widths, inputs: 1, outputs, space_to_depth: 2 }
    }

    /// The number that the length of every axis must be a multiple of.
    pub fn multiple(&self) -> usize {
        self.space_to_depth << (self.widths.len() - 1)
    }

    /// Number of voxels in a place of the finest level.
    pub fn block_voxels(&self) -> usize {
        self.space_to_depth.pow(3)
    }

    /// The network with its initial values.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> SegmentationNet<B> {
        let mut conv = |inputs, outputs, size, down, activate| {
            NormalisedConvConfig { inputs, outputs, kernel: [size; 3], down, activate }.init(init, device)
        };
        let widths = &self.widths;
        let last = widths.len() - 1;
        let down = (0..=last)
            .map(|i| match i {
                0 => Level {
                    enter: conv(self.block_voxels() * self.inputs, widths[0], 3, 1, true),
                    stay: conv(widths[0], widths[0], 3, 1, true),
                },
                _ => Level {
                    enter: conv(widths[i - 1], widths[i], 3, 2, true),
                    stay: conv(widths[i], widths[i], 3, 1, true),
                },
            })
            .collect();
        let bottom = conv(widths[last], widths[last], 3, 1, true);
        let up = (0..last)
            .rev()
            .map(|i| Rise {
                project: conv(widths[i + 1], widths[i], 1, 1, false),
                first: conv(widths[i], widths[i], 3, 1, true),
                second: (i < 2).then(|| conv(widths[i], widths[i], 3, 1, true)),
            })
            .collect();
        let head = conv(widths[0], self.block_voxels() * self.outputs, 1, 1, false);
        SegmentationNet { down, bottom, up, head, space_to_depth: self.space_to_depth }
    }
}

/// Two convolutions of the way down; the first may halve the grid.
#[derive(Module, Debug)]
struct Level<B: Backend> {
    enter: NormalisedConv<B>,
    stay: NormalisedConv<B>,
}

/// A step of the way up: what comes from below, enlarged, is added to what stood here on the way down.
#[derive(Module, Debug)]
struct Rise<B: Backend> {
    project: NormalisedConv<B>,
    first: NormalisedConv<B>,
    second: Option<NormalisedConv<B>>,
}

/// A U-Net (Ronneberger et al. 2015; Çiçek et al. 2016) of normalised convolutions.
///
/// It can work on half the grid: the eight voxels of each 2×2×2 block are the channels of one place, and the outputs of
/// a place are unfolded into its eight voxels (Shi et al. 2016, "sub-pixel convolution"). The finest level then has an
/// eighth of the places, and the output still has all voxels.
#[derive(Module, Debug)]
pub struct SegmentationNet<B: Backend> {
    down: Vec<Level<B>>,
    bottom: NormalisedConv<B>,
    up: Vec<Rise<B>>,
    head: NormalisedConv<B>,
    space_to_depth: usize,
}

impl<B: VolumeOps> SegmentationNet<B> {
    /// Logits of the structures in every voxel, still folded.
    ///
    /// # Shapes
    /// - image: `[N, C, D, H, W]`, every axis a multiple of [`SegmentationNetConfig::multiple`]
    /// - logits: `[N, f³·K, D/f, H/f, W/f]` of K classes and blocks of length f; channel `s·K + k` is class `k` in
    ///   voxel `(f·d + s/f², f·h + s/f%f, f·w + s%f)`
    pub fn forward(&self, image: Tensor<B, 5>) -> Tensor<B, 5> {
        self.head.forward(self.decoded(self.encoded(self.packed(image)))).into_volumes()
    }

    /// [`SegmentationNet::forward`] of one volume in slabs, which bounds the memory for the logits: `take` is called
    /// with the index of the first plane and the logits of each slab of at most `planes` planes of the finest level.
    pub fn slabs(&self, image: Tensor<B, 5>, planes: usize, mut take: impl FnMut(usize, Tensor<B, 5>)) {
        let decoded = self.decoded(self.encoded(self.packed(image)));
        let style = normalising(&decoded);
        let features = decoded.into_volumes(); // [1, C, D/2, H/2, W/2]
        let length = features.dims()[2];
        for first in (0..length).step_by(planes.max(1)) {
            let slab = features.clone().narrow(2, first, planes.max(1).min(length - first));
            take(first, self.head.convolved(Features::from_volumes(slab), style.clone()).into_volumes());
        }
    }

    /// What the way down leaves at each level, finest first, from the folded image; the last has passed the bottom.
    fn encoded(&self, x: Features<B>) -> Vec<Features<B>> {
        let mut levels = Vec::with_capacity(self.down.len());
        let mut x = x;
        for level in &self.down {
            x = level.stay.forward(level.enter.forward(x));
            levels.push(x.clone());
        }
        levels.pop();
        levels.push(self.bottom.forward(x));
        levels
    }

    fn decoded(&self, mut levels: Vec<Features<B>>) -> Features<B> {
        let mut x = levels.pop().expect("a network has a level");
        for (rise, beside) in self.up.iter().zip(levels.into_iter().rev()) {
            x = upsample_features(rise.project.forward(x), [2; 3]) + beside;
            x = rise.first.forward(x);
            if let Some(second) = &rise.second {
                x = second.forward(x);
            }
        }
        x
    }

    /// The voxels of each block as channels.
    fn packed(&self, image: Tensor<B, 5>) -> Features<B> {
        Features::from_volumes(space_to_depth(image, [self.space_to_depth; 3]))
    }

    /// The features of the deepest level: `[N, C, D/2ᴸ, H/2ᴸ, W/2ᴸ]` with the last width for C and L levels.
    pub fn deepest(&self, image: Tensor<B, 5>) -> Tensor<B, 5> {
        let mut levels = self.encoded(self.packed(image));
        levels.pop().expect("a network has a level").into_volumes()
    }
}

/// Where voxel `s` of the block of length `space_to_depth` at the place `[z, y, x]` stands in the full grid,
/// `[d, h, w]`.
pub(super) fn voxel_of_block(s: usize, [z, y, x]: [usize; 3], block: usize) -> [usize; 3] {
    [block * z + s / (block * block), block * y + s / block % block, block * x + s % block]
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;
    use crate::anatomy::STRUCTURES;
    use crate::random::{Purpose, normal, stream};

    fn network() -> SegmentationNet<Flex> {
        SegmentationNetConfig::on_half_the_grid(vec![4, 6, 8], STRUCTURES)
            .init(&mut Init::new(1), &Default::default())
    }

    fn image(shape: [usize; 3]) -> Tensor<Flex, 5> {
        let [d, h, w] = shape;
        let values = normal(&mut stream(3, 0, 0, 0, Purpose::Noise), d * h * w);
        Tensor::from_data(TensorData::new(values, [1, 1, d, h, w]), &Default::default())
    }

    fn values(tensor: Tensor<Flex, 5>) -> Vec<f32> {
        tensor.into_data().into_vec().unwrap()
    }

    #[test]
    fn a_block_of_eight_voxels_becomes_eight_channels() {
        let numbers: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let image =
            Tensor::<Flex, 5>::from_data(TensorData::new(numbers, [1, 1, 4, 4, 4]), &Default::default());
        let packed = values(space_to_depth(image, [2; 3]));
        for (s, channel) in packed.chunks(8).enumerate() {
            for (at, &value) in channel.iter().enumerate() {
                let [z, y, x] = voxel_of_block(s, [at / 4, at / 2 % 2, at % 2], 2);
                assert_eq!(value, (16 * z + 4 * y + x) as f32);
            }
        }
    }

    #[test]
    fn slabs_are_parts_of_the_whole() {
        let network = network();
        let shape = [16, 8, 24];
        let whole = network.forward(image(shape));
        assert_eq!(whole.dims(), [1, 8 * STRUCTURES, 8, 4, 12]);
        let mut planes = 0;
        network.slabs(image(shape), 3, |first, slab| {
            let expected = values(whole.clone().narrow(2, first, slab.dims()[2]));
            planes += slab.dims()[2];
            let worst = values(slab).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{worst}");
        });
        assert_eq!(planes, 8);
    }

    #[test]
    fn without_folding_there_is_a_place_for_every_voxel() {
        let config = SegmentationNetConfig { widths: vec![4, 6], inputs: 3, outputs: 5, space_to_depth: 1 };
        assert_eq!((config.multiple(), config.block_voxels()), (2, 1));
        let network: SegmentationNet<Flex> = config.init(&mut Init::new(1), &Default::default());
        let image = image([8, 8, 8]).expand([1, 3, 8, 8, 8]);
        assert_eq!(network.forward(image).dims(), [1, 5, 8, 8, 8]);
    }

    #[test]
    fn the_deepest_level_has_the_last_width() {
        assert_eq!(network().deepest(image([16, 8, 24])).dims(), [1, 8, 2, 1, 3]);
    }

    #[test]
    fn the_network_that_ships_has_less_than_two_million_parameters() {
        let recipe = crate::config::SegmentationRecipe::from_toml(
            include_str!("../../configs/anatomy.toml"),
            std::path::Path::new("anatomy.toml"),
        )
        .unwrap();
        let config = SegmentationNetConfig::on_half_the_grid(recipe.segmenter.widths, STRUCTURES);
        let network: SegmentationNet<Flex> = config.init(&mut Init::new(0), &Default::default());
        assert!(network.num_params() < 2_000_000, "{}", network.num_params());
    }
}
