//! Transfer of a discriminator. Its first logits are those of the old one on downsampled images.

use super::arrays::{Pair, Run, stretched};
use super::generator::{Latent, block, layers, mapping, widened};
use crate::config::{NetworkRecipe, Recipe};
use crate::error::Result;
use crate::gan::MAPPING_LR_MULTIPLIER;
use crate::nn::LRELU_GAIN;
use crate::ops::plain::LRELU_SLOPE;

/// Copies the blocks of the old discriminator on its `blocks` coarsest grids into the new one.
///
/// # Errors
/// [`crate::error::Error::File`] if an array is missing.
pub fn discriminator(pair: &mut Pair, old: &Recipe, new: &Recipe, blocks: usize) -> Result<()> {
    let (a, b) = (&old.network, &new.network);
    for i in 1..blocks {
        let gain = widened(a.discriminator_channels(i), b.discriminator_channels(i));
        for name in ["conv0", "conv1", "skip"] {
            let name = format!("{}.{name}", block(i));
            conv(pair, &name, &Run::first(a.discriminator_channels(i)), gain)?;
        }
    }
    if takes_epilogue(a, b) {
        // New channels of the base grid are zero at first, or the minibatch deviation would see them.
        for name in ["conv1", "skip"] {
            pair.clear(&format!("{}.{name}.weight", block(1)), a.discriminator_channels(0));
        }
        epilogue(pair, old, new)?;
    }
    if blocks < a.blocks() {
        return Ok(());
    }
    if blocks == b.blocks() {
        return conv(pair, &format!("{}.fromrgb", block(blocks - 1)), &Run::first(a.image_channels), 1.0);
    }
    carry(pair, b, blocks)
}

/// Whether the layers on the base grid are wide enough for the old ones.
pub(super) fn takes_epilogue(old: &NetworkRecipe, new: &NetworkRecipe) -> bool {
    new.discriminator_fc_channels() >= old.discriminator_fc_channels()
}

/// A convolution, with its bias if it has one.
fn conv(pair: &mut Pair, name: &str, runs: &[Run], gain: f64) -> Result<()> {
    let weight = format!("{name}.weight");
    let taps = pair.old(&weight)?.0[2..].iter().product();
    pair.weight(&weight, taps, runs, gain, 0.0)?;
    let bias = format!("{name}.bias");
    if pair.old(&bias).is_ok() { pair.vector(&bias, 1.0) } else { Ok(()) }
}

fn epilogue(pair: &mut Pair, old: &Recipe, new: &Recipe) -> Result<()> {
    let (a, b) = (&old.network, &new.network);
    let [width, wider] = [a, b].map(|network| network.discriminator_channels(0));
    // The deviation is a mean over channels, most of them zero in a wider network.
    let deviation = Run { from: width, to: wider, count: 1, gain: wider as f64 / width as f64 };
    let [features] = Run::first(width);
    conv(pair, "b4.conv", &[features, deviation], widened(width + 1, wider + 1))?;
    let [voxels, more] = [a, b].map(|network| network.base.iter().product::<usize>());
    let [narrow, broader] = [a, b].map(NetworkRecipe::discriminator_fc_channels);
    let (shape, values) = pair.old("b4.fc.weight")?;
    let fc = (shape.clone(), stretched(values, a.base, b.base));
    // A sum over the base grid: over more voxels, each counts for less.
    let gain = widened(narrow * voxels, broader * more) * voxels as f64 / more as f64;
    pair.place("b4.fc.weight", &fc, more, &Run::first(narrow), gain, 0.0);
    pair.vector("b4.fc.bias", 1.0)?;
    let gain = widened(width, wider);
    match [old, new].map(|recipe| recipe.conditions.width() > 0) {
        [false, false] => {
            pair.weight("b4.out.weight", 1, &Run::first(width), gain, 0.0)?;
            pair.vector("b4.out.bias", 1.0)
        }
        [true, true] => {
            // The projection is divided by the root of its length.
            pair.weight("b4.out.weight", 1, &Run::first(width), gain * gain, 0.0)?;
            pair.vector("b4.out.bias", gain)?;
            pair.clear("b4.out.weight", width);
            mapping(pair, Latent { z: 0, w: [width, wider], old, new })
        }
        [false, true] => {
            // The first feature becomes the old logit, projected on a one; the others are zero.
            let root = (wider as f64).sqrt();
            pair.clear("b4.out.weight", 0);
            pair.weight("b4.out.weight", 1, &Run::first(width), gain * root, 0.0)?;
            pair.vector("b4.out.bias", root)?;
            let last = format!("mapping.fc{}", layers(pair) - 1);
            pair.fresh(&format!("{last}.weight")).1[..wider].fill(0.0);
            pair.fresh(&format!("{last}.bias")).1[0] = (1.0 / (LRELU_GAIN * MAPPING_LR_MULTIPLIER)) as f32;
            Ok(())
        }
        [true, false] => Ok(()),
    }
}

/// Makes the blocks finer than the first `blocks` down-sample the image and the last of them the old from-image layer.
///
/// A channel pair (√2·lrelu(x), √2·lrelu(−x)) carries x: their difference is √2·(1 + slope)·x. The centre of a
/// convolution that shrinks the grid, behind its filter, is the skip's down-sampling. So each convolution hands the
/// pair on, and the last one makes of it what from-image made of a small image. The skips of these channels are zero,
/// and their other inputs too; they fade in by learning.
fn carry(pair: &mut Pair, network: &NetworkRecipe, blocks: usize) -> Result<()> {
    let (images, finest) = (network.image_channels, network.blocks() - 1);
    let pairs = 2 * images;
    let read = 1.0 / (LRELU_GAIN * (1.0 + LRELU_SLOPE));
    // Each row of a layer as factors of the image's channels: those of the pairs, ±1.
    let signs: Vec<Vec<f64>> = (0..pairs)
        .map(|row| {
            (0..images).map(|m| if m != row / 2 { 0.0 } else { 1.0 - 2.0 * (row % 2) as f64 }).collect()
        })
        .collect();
    let from_image = format!("{}.fromrgb", block(blocks - 1));
    let root = (images as f64).sqrt();
    let (_, weights) = pair.old(&format!("{from_image}.weight"))?;
    let old_rows: Vec<Vec<f64>> = weights
        .chunks(images)
        .map(|row| row.iter().map(|&weight| f64::from(weight) / root).collect())
        .collect();
    let name = format!("{}.fromrgb.weight", block(finest));
    for (row, signs) in pair.fresh(&name).1.chunks_mut(images).zip(&signs) {
        row.iter_mut().zip(signs).for_each(|(weight, sign)| *weight = (sign * root) as f32);
    }
    let mut write = |name: String, rows: &[Vec<f64>], gain: f64| {
        let (shape, values) = pair.fresh(&name);
        let taps: usize = shape[2..].iter().product();
        let scale = gain * read * ((shape[1] * taps) as f64).sqrt();
        for (row, factors) in values.chunks_mut(shape[1] * taps).zip(rows) {
            row.fill(0.0);
            for (m, factor) in factors.iter().enumerate() {
                row[2 * m * taps + taps / 2] = (factor * scale) as f32;
                row[(2 * m + 1) * taps + taps / 2] = (-factor * scale) as f32;
            }
        }
    };
    // The residual branch counts √½.
    let branch = std::f64::consts::SQRT_2;
    for i in (blocks..=finest).rev() {
        let rows = if i == blocks { &old_rows } else { &signs };
        write(format!("{}.conv0.weight", block(i)), &signs, 1.0);
        write(format!("{}.conv1.weight", block(i)), rows, branch);
        write(format!("{}.skip.weight", block(i)), rows, 0.0);
    }
    let bias = pair.old(&format!("{from_image}.bias"))?.1.clone();
    let (_, new) = pair.fresh(&format!("{}.conv1.bias", block(blocks)));
    new.iter_mut().zip(bias).for_each(|(new, old)| *new = old * branch as f32);
    Ok(())
}
