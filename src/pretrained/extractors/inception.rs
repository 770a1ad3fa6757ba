//! Inception v3 in the version of the Fréchet inception distance (Szegedy et al. 2016, "Rethinking the Inception
//! architecture for computer vision"; Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a
//! local Nash equilibrium"), with the names of `pt_inception-2015-12-05`.

use std::path::Path;

use burn::tensor::backend::Backend;
use burn::tensor::module::{avg_pool2d, conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, activation};

use super::folded::Folded;
use super::{Extractor, read, without_prefix};
use crate::error::{Error, Result};
use crate::ops::{Shaped, VolumeOps, product};
use crate::pretrained::Weights;

/// Height and width that it was trained on.
const SIDE: usize = 299;
/// Numbers of its vectors.
const WIDTH: usize = 2048;
/// Least height and width that leave something after all reductions.
const LEAST_SIDE: usize = 75;
/// Added to the variance.
const EPSILON: f64 = 1e-3;

/// The network. Its images are slices `[N, 3, 1, H, W]`, or `[N, 1, 1, H, W]` for grey ones, with values from −1 to 1.
#[derive(Clone, Debug)]
pub struct InceptionV3<B: Backend> {
    layers: Vec<Layer<B>>,
    /// `[2048, classes]`.
    classifier: Tensor<B, 2>,
}

#[derive(Clone, Debug)]
enum Layer<B: Backend> {
    /// Convolution, batch normalisation and ReLU.
    Conv { folded: Folded<B, 4>, stride: usize, padding: [usize; 2] },
    /// The mean of those of 3×3 neighbours that exist.
    Mean,
    /// The greatest of 3×3.
    Max { stride: usize, padding: usize },
    /// Several ways side by side, their channels one after another.
    Branches(Vec<Vec<Layer<B>>>),
}

/// Reads layers by name.
struct Reader<'a, B: Backend> {
    weights: &'a Weights,
    device: &'a B::Device,
}

impl<B: Backend> Reader<'_, B> {
    fn folded(&self, name: &str) -> Result<Folded<B, 4>> {
        Folded::read(self.weights, &format!("{name}.conv"), &format!("{name}.bn"), EPSILON, self.device)
    }

    /// A convolution that keeps the grid.
    fn same(&self, name: &str) -> Result<Layer<B>> {
        let folded = self.folded(name)?;
        let [_, _, h, w] = folded.weight.dims();
        Ok(Layer::Conv { folded, stride: 1, padding: [h / 2, w / 2] })
    }

    /// A convolution without padding.
    fn valid(&self, name: &str, stride: usize) -> Result<Layer<B>> {
        Ok(Layer::Conv { folded: self.folded(name)?, stride, padding: [0; 2] })
    }

    /// Convolutions of `block` one after another.
    fn chain(&self, block: &str, names: &[&str]) -> Result<Vec<Layer<B>>> {
        names.iter().map(|name| self.same(&format!("{block}.{name}"))).collect()
    }

    /// The same, the last one halving the grid.
    fn reduction(&self, block: &str, names: &[&str], last: &str) -> Result<Vec<Layer<B>>> {
        let mut layers = self.chain(block, names)?;
        layers.push(self.valid(&format!("{block}.{last}"), 2)?);
        Ok(layers)
    }

    /// The same, then two convolutions side by side.
    fn fork(&self, block: &str, names: &[&str], sides: [&str; 2]) -> Result<Vec<Layer<B>>> {
        let mut layers = self.chain(block, names)?;
        let [a, b] = sides.map(|side| self.chain(block, &[side]));
        layers.push(Layer::Branches(vec![a?, b?]));
        Ok(layers)
    }

    /// A pooled way.
    fn pooled(&self, block: &str, pool: Layer<B>) -> Result<Vec<Layer<B>>> {
        Ok(vec![pool, self.same(&format!("{block}.branch_pool"))?])
    }

    /// At 35×35.
    fn block_a(&self, name: &str) -> Result<Layer<B>> {
        Ok(Layer::Branches(vec![
            self.chain(name, &["branch1x1"])?,
            self.chain(name, &["branch5x5_1", "branch5x5_2"])?,
            self.chain(name, &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"])?,
            self.pooled(name, Layer::Mean)?,
        ]))
    }

    /// To 17×17.
    fn block_b(&self, name: &str) -> Result<Layer<B>> {
        Ok(Layer::Branches(vec![
            self.reduction(name, &[], "branch3x3")?,
            self.reduction(name, &["branch3x3dbl_1", "branch3x3dbl_2"], "branch3x3dbl_3")?,
            vec![Layer::Max { stride: 2, padding: 0 }],
        ]))
    }

    /// Kernels of 1×7 and 7×1.
    fn block_c(&self, name: &str) -> Result<Layer<B>> {
        let double =
            ["branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"];
        Ok(Layer::Branches(vec![
            self.chain(name, &["branch1x1"])?,
            self.chain(name, &["branch7x7_1", "branch7x7_2", "branch7x7_3"])?,
            self.chain(name, &double)?,
            self.pooled(name, Layer::Mean)?,
        ]))
    }

    /// To 8×8.
    fn block_d(&self, name: &str) -> Result<Layer<B>> {
        let seven = ["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3"];
        Ok(Layer::Branches(vec![
            self.reduction(name, &["branch3x3_1"], "branch3x3_2")?,
            self.reduction(name, &seven, "branch7x7x3_4")?,
            vec![Layer::Max { stride: 2, padding: 0 }],
        ]))
    }

    /// At 8×8; the last block of this network takes the greatest where the others take means.
    fn block_e(&self, name: &str, pool: Layer<B>) -> Result<Layer<B>> {
        Ok(Layer::Branches(vec![
            self.chain(name, &["branch1x1"])?,
            self.fork(name, &["branch3x3_1"], ["branch3x3_2a", "branch3x3_2b"])?,
            self.fork(name, &["branch3x3dbl_1", "branch3x3dbl_2"], ["branch3x3dbl_3a", "branch3x3dbl_3b"])?,
            self.pooled(name, pool)?,
        ]))
    }
}

impl<B: VolumeOps> InceptionV3<B> {
    /// Reads the `state_dict` of `pt_inception-2015-12-05` from a safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::File`] if it is of another kind, naming what is missing or
    /// unexpected.
    pub fn open(path: &Path, device: &B::Device) -> Result<Self> {
        Self::from_weights(&read(path)?, device)
    }

    /// The network of arrays in memory.
    ///
    /// # Errors
    /// [`Error::File`] as [`InceptionV3::open`].
    pub fn from_weights(weights: &Weights, device: &B::Device) -> Result<Self> {
        let weights = &without_prefix(weights.clone());
        let read = Reader { weights, device };
        let max = |stride, padding| Layer::Max { stride, padding };
        let layers = vec![
            read.valid("Conv2d_1a_3x3", 2)?,
            read.valid("Conv2d_2a_3x3", 1)?,
            read.same("Conv2d_2b_3x3")?,
            max(2, 0),
            read.same("Conv2d_3b_1x1")?,
            read.valid("Conv2d_4a_3x3", 1)?,
            max(2, 0),
            read.block_a("Mixed_5b")?,
            read.block_a("Mixed_5c")?,
            read.block_a("Mixed_5d")?,
            read.block_b("Mixed_6a")?,
            read.block_c("Mixed_6b")?,
            read.block_c("Mixed_6c")?,
            read.block_c("Mixed_6d")?,
            read.block_c("Mixed_6e")?,
            read.block_d("Mixed_7a")?,
            read.block_e("Mixed_7b", Layer::Mean)?,
            read.block_e("Mixed_7c", max(1, 1))?,
        ];
        let mut channels = 3;
        for layer in &layers {
            channels = layer.outputs(channels).map_err(|(expected, found)| {
                let (expected, found) = (format!("{expected} channels in"), found.to_string());
                Error::file(&weights.path, "convolutions", expected, found, "use undamaged weights")
            })?;
        }
        let (shape, values) = weights.array("fc.weight")?;
        if channels != WIDTH || shape.len() != 2 || shape[1] != WIDTH {
            let found = format!("{channels} and fc.weight of shape {shape:?}");
            let advice = "give the state_dict of pt_inception-2015-12-05";
            return Err(Error::file(&weights.path, "features", WIDTH.to_string(), found, advice));
        }
        let classifier = TensorData::new(values.clone(), [shape[0], WIDTH]);
        let classifier = Tensor::<B, 2>::from_data(classifier, device).transpose(); // [2048, classes]
        Ok(Self { layers, classifier })
    }

    /// Logits `[N, classes]` of features `[N, 2048]`, without the bias, as in the program of the Inception score
    /// (Salimans et al. 2016, "Improved techniques for training GANs").
    pub fn logits(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        product(features, self.classifier.clone())
    }

    /// Slices resized to those of the training: 299 × 299, bilinear, without aligned corners.
    ///
    /// `[N, C, 1, H, W]` → `[N, C, 1, 299, 299]`.
    pub fn resized(x: Tensor<B, 5>) -> Tensor<B, 5> {
        let [n, c, d, h, w] = x.dims();
        if [h, w] == [SIDE; 2] {
            return x;
        }
        let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        interpolate(x.shaped([n, c * d, h, w]), [SIDE; 2], bilinear).shaped([n, c, d, SIDE, SIDE]) // [N, C, 1, 299, 299]
    }
}

impl<B: Backend> Extractor<B> for InceptionV3<B> {
    fn name(&self) -> String {
        "Inception v3 (2015-12-05)".into()
    }

    fn width(&self) -> usize {
        WIDTH
    }

    fn features(&self, x: Tensor<B, 5>) -> Result<Tensor<B, 2>> {
        let [n, c, d, h, w] = x.dims();
        if n == 0 || d != 1 || ![1, 3].contains(&c) || h.min(w) < LEAST_SIDE {
            let expected = format!("[N, 1 or 3, 1, H, W] with at least {LEAST_SIDE} × {LEAST_SIDE} pixels");
            let found = format!("{:?}", [n, c, d, h, w]);
            return Err(Error::value(
                "images for Inception v3",
                expected,
                found,
                "resize the slices to 299 × 299",
            ));
        }
        let x = x.shaped([n, c, h, w]).expand([n, 3, h, w]); // [N, 3, H, W]
        let x = run(&self.layers, x);
        let [n, f, h, w] = x.dims();
        Ok(x.shaped([n, f, h * w]).mean_dim(2).shaped([n, f])) // [N, 2048]
    }
}

impl<B: Backend> Layer<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Conv { folded, stride, padding } => {
                let options = ConvOptions::new([*stride; 2], *padding, [1; 2], 1);
                activation::relu(conv2d(x, folded.weight.clone(), Some(folded.bias.clone()), options))
            }
            Self::Mean => avg_pool2d(x, [3; 2], [1; 2], [1; 2], false, false),
            Self::Max { stride, padding } => {
                max_pool2d(x, [3; 2], [*stride; 2], [*padding; 2], [1; 2], false)
            }
            Self::Branches(branches) => {
                Tensor::cat(branches.iter().map(|branch| run(branch, x.clone())).collect(), 1)
            }
        }
    }

    /// Channels after it, of `inputs` before; else the channels that it takes and those that come.
    fn outputs(&self, inputs: usize) -> std::result::Result<usize, (usize, usize)> {
        match self {
            Self::Conv { folded, .. } if folded.inputs() != inputs => Err((folded.inputs(), inputs)),
            Self::Conv { folded, .. } => Ok(folded.outputs()),
            Self::Mean | Self::Max { .. } => Ok(inputs),
            Self::Branches(branches) => {
                let ends = branches.iter().map(|b| b.iter().try_fold(inputs, |c, layer| layer.outputs(c)));
                ends.sum()
            }
        }
    }
}

fn run<B: Backend>(layers: &[Layer<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    layers.iter().fold(x, |x, layer| layer.forward(x))
}
