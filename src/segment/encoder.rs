//! The encoder of a segmentation network: features of brains, for measures of realism and perceptual losses.

use burn::tensor::Tensor;
use ndarray::{Array3, Axis};

use super::network::{SegmentationNet, SegmentationNetConfig};
use crate::ops::{Shaped, VolumeOps};
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::rescale;

/// The encoder of a trained segmentation network, of any classes.
#[derive(Debug)]
pub struct Encoder<B: VolumeOps> {
    network: SegmentationNet<B>,
    config: SegmentationNetConfig,
    name: String,
}

impl<B: VolumeOps> Encoder<B> {
    /// The encoder of a network of the shape `config`; `name` has the SHA-256 of its weights.
    pub fn new(network: SegmentationNet<B>, config: SegmentationNetConfig, name: String) -> Self {
        Self { network, config, name }
    }

    /// The network's name with the SHA-256 of its weights.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Channels of the network's deepest level.
    pub fn channels(&self) -> usize {
        self.config.widths[self.config.widths.len() - 1]
    }

    /// The first channel of a volume, resampled to 1 mm and rescaled ([`rescale`]): `[D, H, W]`, for
    /// [`encoded`](Self::encoded).
    pub fn image(volume: &Volume) -> Array3<f32> {
        let grid = Grid::of(volume).with_spacing([1.0; 3]);
        let volume = resample(volume, &grid, Interpolation::Linear);
        let mut image = volume.data.as_standard_layout().into_owned().index_axis_move(Axis(0), 0);
        rescale(image.as_slice_mut().expect("a volume is contiguous"));
        image
    }

    /// The features `[N, C]` of images `[N, 1, D, H, W]` at 1 mm after [`rescale`]: the mean of each channel of the
    /// network's deepest level over the grid. Axes are padded with air to a multiple of
    /// [`SegmentationNetConfig::multiple`]; an axis of length one, that of a slice, is repeated instead.
    pub fn encoded(&self, image: Tensor<B, 5>) -> Tensor<B, 2> {
        let deepest = self.seen(image);
        let [n, c, d, h, w] = deepest.dims();
        deepest.shaped([n, c, d * h * w]).mean_dim(2).shaped([n, c])
    }

    /// The channels of the deepest level, `[N, C, D', H', W']`, for images as in [`encoded`](Self::encoded): the
    /// features of a perceptual loss.
    pub fn seen(&self, image: Tensor<B, 5>) -> Tensor<B, 5> {
        let image = (2..5).fold(image, |image, axis| self.filled(image, axis));
        self.network.deepest(image)
    }

    /// `image` with `axis` as long as the network takes it.
    fn filled(&self, image: Tensor<B, 5>, axis: usize) -> Tensor<B, 5> {
        let mut shape = image.dims();
        let length = shape[axis];
        if length == 1 {
            shape[axis] = self.config.multiple();
            return image.expand(shape);
        }
        shape[axis] = length.next_multiple_of(self.config.multiple()) - length;
        if shape[axis] == 0 {
            return image;
        }
        let air = Tensor::zeros(shape, &image.device());
        Tensor::cat(vec![image, air], axis)
    }
}
