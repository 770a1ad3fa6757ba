//! The encoder of a segmenter as a feature extractor.

use burn::tensor::Tensor;

use super::Extractor;
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::segment::Encoder;

/// Its images are `[N, 1, D, H, W]` at 1 mm, from 0 to 1 (see [`crate::volume::rescale`]); slices have one axis of
/// length one.
impl<B: VolumeOps> Extractor<B> for Encoder<B> {
    fn name(&self) -> String {
        format!("{} (encoder)", Self::name(self))
    }

    fn width(&self) -> usize {
        self.channels()
    }

    fn features(&self, x: Tensor<B, 5>) -> Result<Tensor<B, 2>> {
        let shape = x.dims();
        if shape[1] != 1 || shape.contains(&0) {
            let advice = "give one channel";
            return Err(Error::value(
                "images for the segmenter",
                "[N, 1, D, H, W]",
                format!("{shape:?}"),
                advice,
            ));
        }
        Ok(self.encoded(x))
    }
}
