//! Med3D: 3D residual networks trained on many segmentation tasks (Chen et al. 2019, "Med3D: Transfer learning for 3D
//! medical image analysis"; Tencent's MedicalNet), as a feature extractor.

use std::path::Path;

use burn::tensor::backend::Backend;
use burn::tensor::module::{conv3d, max_pool2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Slice, Tensor, activation};

use super::folded::Folded;
use super::{Extractor, read, without_prefix};
use crate::error::{Error, Result};
use crate::ops::Shaped;
use crate::pretrained::Weights;

/// Stride and dilation of each group of blocks: the last two look further in place of halving the grid again.
const GROUPS: [(usize, usize); 4] = [(1, 1), (2, 1), (1, 2), (1, 4)];
/// Blocks of each group, whether they are bottlenecks, and the network's depth.
const DEPTHS: [([usize; 4], bool, usize); 7] = [
    ([1, 1, 1, 1], false, 10),
    ([2, 2, 2, 2], false, 18),
    ([3, 4, 6, 3], false, 34),
    ([3, 4, 6, 3], true, 50),
    ([3, 4, 23, 3], true, 101),
    ([3, 8, 36, 3], true, 152),
    ([3, 24, 36, 3], true, 200),
];
/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// The network without its segmentation head.
///
/// Its images are `[N, 1, D, H, W]` with zero mean and unit variance, as in the authors' program; its features are the
/// means over the last feature maps, 512 numbers (2048 from depth 50 on).
#[derive(Clone, Debug)]
pub struct Med3d<B: Backend> {
    stem: Folded<B, 5>,
    blocks: Vec<Block<B>>,
    depth: usize,
}

/// Convolutions around which the input is carried.
#[derive(Clone, Debug)]
struct Block<B: Backend> {
    /// With stride and dilation; all but the last are followed by a ReLU, which for the last comes after the sum.
    convolutions: Vec<(Folded<B, 5>, usize, usize)>,
    /// Shortcut "B"; without it, "A": every stride-th voxel, zeros in new channels.
    shortcut: Option<Folded<B, 5>>,
    stride: usize,
}

impl<B: Backend> Med3d<B> {
    /// Reads the `state_dict` of a MedicalNet ResNet from a safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::File`] if it is of another kind, naming what is missing or
    /// unexpected.
    pub fn open(path: &Path, device: &B::Device) -> Result<Self> {
        Self::from_weights(&read(path)?, device)
    }

    /// The network of arrays in memory. Depth and kind of shortcut follow from their names.
    ///
    /// # Errors
    /// [`Error::File`] as [`Med3d::open`].
    pub fn from_weights(weights: &Weights, device: &B::Device) -> Result<Self> {
        let weights = &without_prefix(weights.clone());
        let has = |name: &str| weights.arrays.contains_key(&format!("{name}.weight"));
        let count = |group| (0..).take_while(|block| has(&format!("layer{group}.{block}.conv1"))).count();
        let (counts, bottleneck) = ([1, 2, 3, 4].map(count), has("layer1.0.conv3"));
        let known = DEPTHS.iter().find(|(blocks, narrow, _)| *blocks == counts && *narrow == bottleneck);
        let Some(&(.., depth)) = known else {
            let expected = "a MedicalNet ResNet of depth 10, 18, 34, 50, 101, 152 or 200";
            let found = format!("groups of {counts:?} blocks");
            let advice = "convert its state_dict, with the names it has in PyTorch";
            return Err(Error::file(&weights.path, "layers", expected, found, advice));
        };
        let folded = |conv: &str, norm: &str| Folded::read(weights, conv, norm, EPSILON, device);
        let stem = folded("conv1", "bn1")?;
        check(weights, "conv1", &stem, 1, 7)?;
        let (mut blocks, mut channels) = (Vec::new(), stem.outputs());
        for (group, (&(stride, dilation), count)) in GROUPS.iter().zip(counts).enumerate() {
            for block in 0..count {
                let name = format!("layer{}.{block}", group + 1);
                let stride = if block == 0 { stride } else { 1 };
                let sizes: &[usize] = if bottleneck { &[1, 3, 1] } else { &[3, 3] };
                let strided = usize::from(bottleneck);
                let (mut convolutions, mut width) = (Vec::new(), channels);
                for (at, &size) in sizes.iter().enumerate() {
                    let [conv, norm] = ["conv", "bn"].map(|kind| format!("{name}.{kind}{}", at + 1));
                    let convolution = folded(&conv, &norm)?;
                    check(weights, &conv, &convolution, width, size)?;
                    width = convolution.outputs();
                    let stride = if at == strided { stride } else { 1 };
                    convolutions.push((convolution, stride, if size == 3 { dilation } else { 1 }));
                }
                let shortcut = format!("{name}.downsample.0");
                let shortcut = if has(&shortcut) {
                    let convolution = folded(&shortcut, &format!("{name}.downsample.1"))?;
                    check(weights, &shortcut, &convolution, channels, 1)?;
                    Some(convolution)
                } else {
                    None
                };
                let carried = shortcut.as_ref().map_or(channels, Folded::outputs);
                if carried > width || (shortcut.is_some() && carried != width) {
                    let (expected, found) = (format!("{width} channels"), format!("{carried} around it"));
                    return Err(Error::file(&weights.path, name, expected, found, "use undamaged weights"));
                }
                blocks.push(Block { convolutions, shortcut, stride });
                channels = width;
            }
        }
        Ok(Self { stem, blocks, depth })
    }
}

/// That a kernel is a cube of this size with so many channels in.
fn check<B: Backend>(
    weights: &Weights,
    name: &str,
    convolution: &Folded<B, 5>,
    inputs: usize,
    size: usize,
) -> Result<()> {
    let [outputs, found @ ..] = convolution.weight.dims();
    if found != [inputs, size, size, size] || outputs == 0 {
        let (expected, found) = (format!("[…, {inputs}, {size}, {size}, {size}]"), format!("{found:?}"));
        let advice = "use a network of one input channel";
        return Err(Error::file(&weights.path, format!("{name}.weight"), expected, found, advice));
    }
    Ok(())
}

impl<B: Backend> Extractor<B> for Med3d<B> {
    fn name(&self) -> String {
        format!("Med3D ResNet-{}", self.depth)
    }

    fn width(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.convolutions.last().map_or(0, |(last, ..)| last.outputs()))
    }

    fn features(&self, x: Tensor<B, 5>) -> Result<Tensor<B, 2>> {
        let [n, channels, d, h, w] = x.dims();
        if channels != 1 || [n, d, h, w].contains(&0) {
            let found = format!("{:?}", [n, channels, d, h, w]);
            return Err(Error::value("images for Med3D", "[N, 1, D, H, W]", found, "give one channel"));
        }
        let x = max_pool(activation::relu(convolve(x, &self.stem, 2, 1)));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let [n, f, d, h, w] = x.dims();
        Ok(x.shaped([n, f, d * h * w]).mean_dim(2).shaped([n, f])) // [N, F]
    }
}

impl<B: Backend> Block<B> {
    fn forward(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let mut y = x.clone();
        for (at, (convolution, stride, dilation)) in self.convolutions.iter().enumerate() {
            y = if at > 0 { activation::relu(y) } else { y };
            y = convolve(y, convolution, *stride, *dilation);
        }
        let carried = match &self.shortcut {
            Some(convolution) => convolve(x, convolution, self.stride, 1),
            None => {
                let step = Slice::new(0, None, self.stride as isize);
                let x = x.slice([Slice::full(), Slice::full(), step, step, step]);
                let [n, c, d, h, w] = x.dims();
                match y.dims()[1] - c {
                    0 => x,
                    new => {
                        let zeros = Tensor::zeros([n, new, d, h, w], (&x.device(), x.dtype()));
                        Tensor::cat(vec![x, zeros], 1)
                    }
                }
            }
        };
        activation::relu(y + carried)
    }
}

/// A convolution with zeros around its input, as many as keep the grid at stride one.
fn convolve<B: Backend>(x: Tensor<B, 5>, c: &Folded<B, 5>, stride: usize, dilation: usize) -> Tensor<B, 5> {
    let padding = dilation * (c.weight.dims()[4] / 2);
    let options = ConvOptions::new([stride; 3], [padding; 3], [dilation; 3], 1);
    conv3d(x, c.weight.clone(), Some(c.bias.clone()), options)
}

/// The greatest of 3×3×3, stride 2, padding 1: along H and W, then along D.
fn max_pool<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    let [n, c, d, h, w] = x.dims();
    let x = max_pool2d(x.shaped([n, c * d, h, w]), [3; 2], [2; 2], [1; 2], [1; 2], false);
    let [_, _, h, w] = x.dims();
    let x = max_pool2d(x.shaped([n, c, d, h * w]), [3, 1], [2, 1], [1, 0], [1; 2], false);
    let d = x.dims()[2];
    x.shaped([n, c, d, h, w]) // [N, C, D', H', W']
}
