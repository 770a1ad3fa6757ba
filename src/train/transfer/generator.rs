//! Transfer of a generator: to a wider one, with more blocks, on another base, with more conditions.

use super::arrays::{Pair, Run, stretched};
use crate::config::{ConditionsRecipe, Recipe};
use crate::error::Result;

/// A block's name in checkpoints.
pub(super) fn block(index: usize) -> String {
    format!("b{}", 4 << index)
}

/// Copies the first `blocks` blocks of the old generator into the new one. Later blocks start without a contribution to
/// the image: their to-image layers are zero.
///
/// Modulated weights need no factor: demodulation divides by their norm, to which new inputs do not contribute while
/// their weights are zero.
///
/// # Errors
/// [`crate::error::Error::File`] if an array is missing.
pub fn generator(pair: &mut Pair, old: &Recipe, new: &Recipe, blocks: usize) -> Result<()> {
    let (a, b) = (&old.network, &new.network);
    let w = [a.w_dim, b.w_dim];
    mapping(pair, Latent { z: b.z_dim, w, old, new })?;
    pair.vector("mapping.w_avg", 1.0)?;
    let name = "synthesis.b4.const";
    let constant = stretched(&pair.old(name)?.1, a.base, b.base);
    pair.fresh(name).1[..constant.len()].copy_from_slice(&constant);
    for i in 0..blocks {
        let block = format!("synthesis.{}", block(i));
        if i > 0 {
            layer(pair, &format!("{block}.conv0"), a.channels(i - 1), w)?;
        }
        layer(pair, &format!("{block}.conv1"), a.channels(i), w)?;
        let to_image = format!("{block}.torgb");
        affine(pair, &to_image, w)?;
        let gain = widened(a.channels(i), b.channels(i));
        pair.weight(&format!("{to_image}.weight"), 1, &Run::first(a.channels(i)), gain, 0.0)?;
        pair.vector(&format!("{to_image}.bias"), 1.0)?;
    }
    for i in blocks..b.blocks() {
        pair.clear(&format!("synthesis.{}.torgb.weight", block(i)), 0);
    }
    Ok(())
}

/// What keeps a sum over inputs that is divided by the root of their number as it was: √(new/old).
pub(super) fn widened(old: usize, new: usize) -> f64 {
    (new as f64 / old as f64).sqrt()
}

/// A synthesis layer with `inputs` channels in the old network.
fn layer(pair: &mut Pair, name: &str, inputs: usize, w: [usize; 2]) -> Result<()> {
    affine(pair, name, w)?;
    let weight = format!("{name}.weight");
    let taps = pair.old(&weight)?.0[2..].iter().product();
    pair.weight(&weight, taps, &Run::first(inputs), 1.0, 0.0)?;
    pair.vector(&format!("{name}.bias"), 1.0)?;
    pair.vector(&format!("{name}.noise_strength"), 1.0)?;
    // The fixed noise of this layer, where it has the same grid.
    let noise = format!("{name}.noise_const");
    let grid = pair.fresh(&noise).0.clone();
    if pair.old(&noise)?.0 == grid {
        pair.vector(&noise, 1.0)?;
    }
    Ok(())
}

/// The layer from w to the style of `name`.
fn affine(pair: &mut Pair, name: &str, [old, new]: [usize; 2]) -> Result<()> {
    pair.weight(&format!("{name}.affine.weight"), 1, &Run::first(old), widened(old, new), 0.0)?;
    pair.vector(&format!("{name}.affine.bias"), 1.0)
}

/// What a mapping network takes and gives, before and after.
pub(super) struct Latent<'a> {
    /// Length of z, in both.
    pub z: usize,
    /// Lengths of w.
    pub w: [usize; 2],
    pub old: &'a Recipe,
    pub new: &'a Recipe,
}

/// A mapping network, of a generator or a discriminator. Conditions that the old one did not know have no weight in it,
/// or `transfer.condition_weight` of the usual one.
pub(super) fn mapping(pair: &mut Pair, latent: Latent) -> Result<()> {
    let Latent { z, w: [a, b], old, new } = latent;
    let rest = new.transfer.condition_weight;
    let [before, after] = [&old.conditions, &new.conditions].map(ConditionsRecipe::width);
    let inputs = |embedded: usize, w: usize| z + if embedded > 0 { w } else { 0 };
    let mut runs = vec![Run { from: 0, to: 0, count: z, gain: 1.0 }];
    if before > 0 && after > 0 {
        // The embedding is divided by its root mean square, which new features lower as long as they are zero.
        runs.push(Run { from: z, to: z, count: a, gain: widened(b, a) });
        let columns: Vec<Run> = columns(&old.conditions, &new.conditions)
            .into_iter()
            .enumerate()
            .filter_map(|(to, from)| Some(Run { from: from?, to, count: 1, gain: 1.0 }))
            .collect();
        pair.weight("mapping.embed.weight", 1, &columns, widened(before, after), rest)?;
        pair.vector("mapping.embed.bias", 1.0)?;
        pair.clear("mapping.embed.weight", a);
    }
    let gain = widened(inputs(before, a), inputs(after, b));
    let rest = if before == 0 && after > 0 { rest } else { 0.0 };
    pair.weight("mapping.fc0.weight", 1, &runs, gain, rest)?;
    pair.vector("mapping.fc0.bias", 1.0)?;
    for k in 1..layers(pair) {
        pair.weight(&format!("mapping.fc{k}.weight"), 1, &Run::first(a), widened(a, b), 0.0)?;
        pair.vector(&format!("mapping.fc{k}.bias"), 1.0)?;
    }
    Ok(())
}

/// Number of layers of the new mapping network.
pub(super) fn layers(pair: &Pair) -> usize {
    let has = |k: &usize| pair.new.arrays.contains_key(&format!("{}mapping.fc{k}.weight", pair.to));
    (0..).take_while(has).count()
}

/// For each feature of the new conditions, its number among the old ones: a class's value of the same names, a
/// covariate of the same name, range and encoding.
pub(super) fn columns(old: &ConditionsRecipe, new: &ConditionsRecipe) -> Vec<Option<usize>> {
    let features = |conditions: &ConditionsRecipe| -> Vec<String> {
        let classes = conditions.classes.iter();
        let values = classes.flat_map(|class| class.values.iter().map(|v| format!("{} = {v}", class.label)));
        let covariates = conditions.covariates.iter();
        let encoded = covariates.flat_map(|c| (0..c.encoding.width()).map(move |k| format!("{c:?} {k}")));
        values.chain(encoded).collect()
    };
    let old = features(old);
    features(new).iter().map(|feature| old.iter().position(|other| other == feature)).collect()
}
