//! The way down of a segmentation network alone: features of brains, for measures of realism and perceptual losses.

use burn::tensor::Tensor;
use ndarray::{Array3, Axis};

use super::network::{SegmentationNet, SegmentationNetConfig};
use crate::ops::VolumeOps;
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::rescale;

/// The encoder of a trained segmentation network, whatever classes it told apart.
#[derive(Debug)]
pub struct Encoder<B: VolumeOps> {
    network: SegmentationNet<B>,
    config: SegmentationNetConfig,
    name: String,
}

impl<B: VolumeOps> Encoder<B> {
    /// The encoder of a network of this shape; `name` says which, with the SHA-256 of its weights.
    pub fn new(network: SegmentationNet<B>, config: SegmentationNetConfig, name: String) -> Self {
        Self { network, config, name }
    }

    /// Which network it is of, with the SHA-256 of its weights.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Channels of the network's deepest level.
    pub fn channels(&self) -> usize {
        self.config.widths[self.config.widths.len() - 1]
    }

    /// A volume `[1, D, H, W]` as [`encoded`](Self::encoded) takes it, `[D, H, W]`.
    pub fn image(volume: &Volume) -> Array3<f32> {
        let grid = Grid::of(volume).with_spacing([1.0; 3]);
        let volume = resample(volume, &grid, Interpolation::Linear);
        let mut image = volume.data.as_standard_layout().into_owned().index_axis_move(Axis(0), 0);
        rescale(image.as_slice_mut().expect("a volume is contiguous"));
        image
    }

    /// What the way down of the network sees in images `[N, 1, D, H, W]` at 1 mm, from 0 to 1 as [`rescale`] makes them:
    /// the mean of each channel of its deepest level over the grid, `[N, C]`. Axes are padded with air to what the network
    /// takes; an axis of length one, that of a slice, is repeated instead.
    pub fn encoded(&self, image: Tensor<B, 5>) -> Tensor<B, 2> {
        let deepest = self.seen(image);
        let [n, c, d, h, w] = deepest.dims();
        deepest.reshape([n, c, d * h * w]).mean_dim(2).reshape([n, c])
    }

    /// The same channels place by place, `[N, C, D', H', W']`: what a perceptual loss compares.
    pub fn seen(&self, image: Tensor<B, 5>) -> Tensor<B, 5> {
        let image = (2..5).fold(image, |image, axis| self.filled(image, axis));
        self.network.deepest(image)
    }

    /// `image` with `axis` as long as the network takes it.
    fn filled(&self, image: Tensor<B, 5>, axis: usize) -> Tensor<B, 5> {
        let mut shape = image.dims();
        let length = shape[axis];
        if length == 1 {
            return image.repeat_dim(axis, self.config.multiple());
        }
        shape[axis] = length.next_multiple_of(self.config.multiple()) - length;
        if shape[axis] == 0 {
            return image;
        }
        let air = Tensor::zeros(shape, &image.device());
        Tensor::cat(vec![image, air], axis)
    }
}
