//! Validation of recipes beyond types: ranges, divisibility, sizes. Every error names the key by its path.

use super::{
    AXIS_MAX, AugmentationPolicy, AugmentationRecipe, BLOCKS_MAX, BestBy, ConditionsRecipe, Encoding,
    NetworkRecipe, Recipe, TrainingRecipe,
};
use crate::error::{Error, Result};

impl Recipe {
    /// Checks ranges, divisibility and sizes.
    ///
    /// # Errors
    /// [`Error::Value`] with the key's path.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.conditions.validate()?;
        self.training.validate(self.network.minibatch_group)?;
        self.augmentation.validate()?;
        not_below_zero("transfer.ramp_kimg", self.transfer.ramp_kimg)?;
        not_below_zero("transfer.condition_weight", self.transfer.condition_weight)?;
        self.coverage.validate()?;
        let output = &self.output;
        at_least_one("output.sample_grid", output.sample_grid)?;
        at_least_one("output.log_every_steps", output.log_every_steps)?;
        above_zero("output.snapshot_kimg", output.snapshot_kimg)?;
        above_zero("output.checkpoint_kimg", output.checkpoint_kimg)?;
        above_zero("output.validation_kimg", output.validation_kimg)?;
        if output.validation_volumes < 4 {
            let (found, advice) = (output.validation_volumes.to_string(), "16 is usual");
            return Err(Error::value("output.validation_volumes", "4 or more", found, advice));
        }
        if output.best_by == BestBy::Anatomy && (output.anatomy_samples == 0 || self.network.shape()[0] == 1)
        {
            let found = format!("{} of slices or none", output.anatomy_samples);
            let advice = "choose another output.best_by, or measure samples of whole heads";
            return Err(Error::value(
                "output.best_by",
                "anatomy_samples above 0 and a grid of volumes",
                found,
                advice,
            ));
        }
        Ok(())
    }
}

impl NetworkRecipe {
    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("network.{name}");
        for (axis, &size) in self.base.iter().enumerate() {
            within(&key(&format!("base[{axis}]")), size, 1, AXIS_MAX)?;
        }
        // The discriminator's epilogue takes features: a block before it must make them of the image.
        let (expected, advice) =
            ("at least one block after the first", "add one, [1, 1, 1] to keep the grid");
        check(self.blocks() >= 2, &key("factors"), expected, "none", advice)?;
        let expected = format!("at most {BLOCKS_MAX} blocks, that is {} factors", BLOCKS_MAX - 1);
        let advice = "start from a larger base";
        check(self.blocks() <= BLOCKS_MAX, &key("factors"), &expected, self.factors.len(), advice)?;
        for (block, factors) in self.factors.iter().enumerate() {
            for (axis, &factor) in factors.iter().enumerate() {
                let key = key(&format!("factors[{block}][{axis}]"));
                within(&key, factor, 1, 2)?;
                // Kernels have size one along an axis of size one: nothing could be learned across a doubling.
                let flat = self.base[axis] == 1 && factor != 1;
                check(
                    !flat,
                    &key,
                    "1, the base being one voxel thick here",
                    factor,
                    "set it to 1 or thicken the base",
                )?;
            }
        }
        for (axis, &size) in self.shape().iter().enumerate() {
            let expected = format!("a grid of at most {AXIS_MAX} voxels along axis {axis}");
            check(
                size <= AXIS_MAX,
                &key("factors"),
                &expected,
                size,
                "use a smaller base or fewer factors of 2",
            )?;
        }
        self.validate_widths()?;
        within(&key("z_dim"), self.z_dim, 1, 1 << 14)?;
        within(&key("w_dim"), self.w_dim, 1, 1 << 14)?;
        within(&key("mapping_layers"), self.mapping_layers, 1, 64)?;
        within(&key("image_channels"), self.image_channels, 1, 64)?;
        at_least_one(&key("minibatch_group"), self.minibatch_group)?;
        within(&key("discriminator_fc_channels"), self.discriminator_fc_channels.unwrap_or(1), 1, 1 << 14)
    }

    /// Widths come from a rule (base and most) or a list, never from both.
    fn validate_widths(&self) -> Result<()> {
        let generator = (&self.channels, self.channel_base, self.channel_max);
        let discriminator =
            (&self.discriminator_channels, self.discriminator_channel_base, self.discriminator_channel_max);
        for (prefix, (list, base, max)) in [("", generator), ("discriminator_", discriminator)] {
            let key = |name: &str| format!("network.{prefix}{name}");
            within(&key("channel_base"), base.unwrap_or(1), 1, 1 << 20)?;
            within(&key("channel_max"), max.unwrap_or(1), 1, 1 << 14)?;
            let Some(list) = list else { continue };
            let rule = base.is_some() || max.is_some();
            let expected = format!("{prefix}channels, or {prefix}channel_base and {prefix}channel_max");
            check(!rule, &key("channels"), &expected, "both", "remove one of them")?;
            let expected = format!("one width for each of {} blocks, coarse to fine", self.blocks());
            let found = format!("{} in {list:?}", list.len());
            let advice = "there is a block for the base and one for each of network.factors";
            check(list.len() == self.blocks(), &key("channels"), &expected, found, advice)?;
            for (i, &channels) in list.iter().enumerate() {
                within(&key(&format!("channels[{i}]")), channels, 1, 1 << 14)?;
            }
        }
        let missing = |key: &str, others: &str| {
            Error::value(key, format!("a value, or {others}"), "nothing", "add this key")
        };
        match generator {
            (None, None, _) => return Err(missing("network.channel_base", "channels instead of it")),
            (None, _, None) => return Err(missing("network.channel_max", "channels instead of it")),
            _ => {}
        }
        // A rule of the discriminator's takes what it lacks from that of the generator.
        match (generator, discriminator) {
            ((Some(_), ..), (None, Some(_), None)) => {
                Err(missing("network.discriminator_channel_max", "discriminator_channels instead of both"))
            }
            ((Some(_), ..), (None, None, Some(_))) => {
                Err(missing("network.discriminator_channel_base", "discriminator_channels instead of both"))
            }
            _ => Ok(()),
        }
    }
}

impl ConditionsRecipe {
    fn validate(&self) -> Result<()> {
        let mut seen = Vec::new();
        for (i, class) in self.classes.iter().enumerate() {
            let key = format!("conditions.classes[{i}]");
            unseen(&mut seen, &class.label, &format!("{key}.label"))?;
            let (count, values) = (class.values.len(), format!("{key}.values"));
            check(count >= 2, &values, "at least two values", count, "list all values or drop the class")?;
            let mut known = Vec::new();
            class.values.iter().try_for_each(|value| unseen(&mut known, value, &values))?;
        }
        for (i, covariate) in self.covariates.iter().enumerate() {
            let key = format!("conditions.covariates[{i}]");
            unseen(&mut seen, &covariate.label, &format!("{key}.label"))?;
            check(
                covariate.min.is_finite(),
                &format!("{key}.min"),
                "a finite number",
                covariate.min,
                "correct it",
            )?;
            let max = covariate.max;
            let ordered = max.is_finite() && max > covariate.min;
            check(
                ordered,
                &format!("{key}.max"),
                "a finite number above min",
                max,
                "give the label's range",
            )?;
            match covariate.encoding {
                Encoding::Fourier { frequencies } => {
                    within(&format!("{key}.encoding.fourier.frequencies"), frequencies, 1, 16)?
                }
                Encoding::SoftBins { bins } => {
                    within(&format!("{key}.encoding.soft_bins.bins"), bins, 2, 256)?
                }
            }
        }
        Ok(())
    }
}

impl TrainingRecipe {
    fn validate(&self, group: usize) -> Result<()> {
        let key = |name: &str| format!("training.{name}");
        within(&key("batch"), self.batch, 1, 1 << 16)?;
        let (micro, advice) = (self.micro_batch.unwrap_or(self.batch), "change batch or micro_batch");
        at_least_one(&key("micro_batch"), micro)?;
        let expected = format!("a divisor of training.batch = {}", self.batch);
        check(self.batch.is_multiple_of(micro), &key("micro_batch"), &expected, micro, advice)?;
        let expected = format!("a multiple of network.minibatch_group = {group}, or less than it");
        let name = if self.micro_batch.is_some() { "micro_batch" } else { "batch" };
        check(micro < group || micro.is_multiple_of(group), &key(name), &expected, micro, advice)?;
        at_least_one(&key("path_length_batch_shrink"), self.path_length_batch_shrink)?;
        for (name, value) in [
            ("total_kimg", self.total_kimg),
            ("learning_rate_generator", self.learning_rate_generator),
            ("learning_rate_discriminator", self.learning_rate_discriminator),
            ("adam_epsilon", self.adam_epsilon),
            ("ema_kimg", self.ema_kimg.unwrap_or(1.0)),
        ] {
            above_zero(&key(name), value)?;
        }
        for (name, value) in [
            ("gamma", self.gamma.unwrap_or(0.0)),
            ("path_length_weight", self.path_length_weight),
            ("ema_rampup", self.ema_rampup),
        ] {
            not_below_zero(&key(name), value)?;
        }
        adam_betas(&key("adam_betas"), self.adam_betas)?;
        probability(&key("path_length_decay"), self.path_length_decay)?;
        probability(&key("style_mixing"), self.style_mixing)?;
        probability(&key("w_avg_beta"), self.w_avg_beta)?;
        let fits = i64::try_from(self.seed).is_ok();
        check(
            fits,
            &key("seed"),
            "at most 2⁶³ − 1, TOML's largest integer",
            self.seed,
            "choose a smaller seed",
        )
    }
}

impl AugmentationRecipe {
    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("augmentation.{name}");
        let target_ok = (-1.0..=1.0).contains(&self.target);
        check(target_ok, &key("target"), "a mean sign, −1 to 1", self.target, "the usual value is 0.6")?;
        above_zero(&key("adjust_kimg"), self.adjust_kimg)?;
        at_least_one(&key("interval"), self.interval)?;
        probability(&key("initial_p"), self.initial_p)?;
        probability(&key("fixed_p"), self.fixed_p.unwrap_or(0.0))?;
        for (name, value) in [
            ("rotation_sigma_deg", self.rotation_sigma_deg),
            ("scale_sigma", self.scale_sigma),
            ("anisotropic_sigma", self.anisotropic_sigma),
            ("shift_sigma", self.shift_sigma),
            ("brightness_sigma", self.brightness_sigma),
            ("contrast_sigma", self.contrast_sigma),
            ("elastic_sigma_mm", self.elastic_sigma_mm),
            ("band_sigma", self.band_sigma),
            ("noise_sigma", self.noise_sigma),
        ] {
            not_below_zero(&key(name), value)?;
        }
        probability(&key("cutout_size"), self.cutout_size)?;
        above_zero(&key("elastic_spacing_mm"), self.elastic_spacing_mm)?;
        // The slope of the displacement has a standard deviation of up to 1.3 σ/spacing; at a slope of −1 a fold begins.
        let least = 6.0 * self.elastic_sigma_mm;
        let expected = format!("at least six times elastic_sigma_mm, {least}, so that nothing folds");
        let (spacing, advice) = (self.elastic_spacing_mm, "raise it or lower elastic_sigma_mm");
        check(spacing >= least, &key("elastic_spacing_mm"), &expected, spacing, advice)?;
        let always_on = self.policy == AugmentationPolicy::DiffAugment;
        let (expected, advice) =
            ("no value: DiffAugment is always on", "remove it, or use policy = \"adaptive\"");
        check(
            !always_on || self.fixed_p.is_none(),
            &key("fixed_p"),
            expected,
            self.fixed_p.unwrap_or(0.0),
            advice,
        )
    }
}

/// An [`Error::Value`] for `key` unless `holds`.
pub(super) fn check(
    holds: bool,
    key: &str,
    expected: &str,
    found: impl ToString,
    advice: &str,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::value(key, expected, found.to_string(), advice)) }
}

pub(super) fn within(key: &str, value: usize, low: usize, high: usize) -> Result<()> {
    let expected = format!("a whole number from {low} to {high}");
    check((low..=high).contains(&value), key, &expected, value, "choose a value in this range")
}

pub(super) fn at_least_one(key: &str, value: usize) -> Result<()> {
    check(value >= 1, key, "a whole number from 1 up", value, "choose a larger value")
}

pub(super) fn at_least(key: &str, value: f64, least: f64) -> Result<()> {
    let ok = value.is_finite() && value >= least;
    check(ok, key, &format!("a finite number, {least} or above"), value, "choose a value in this range")
}

pub(super) fn above_zero(key: &str, value: f64) -> Result<()> {
    let ok = value.is_finite() && value > 0.0;
    check(ok, key, "a finite number above 0", value, "choose a value in this range")
}

pub(super) fn not_below_zero(key: &str, value: f64) -> Result<()> {
    at_least(key, value, 0.0)
}

pub(super) fn probability(key: &str, value: f64) -> Result<()> {
    check((0.0..=1.0).contains(&value), key, "a number from 0 to 1", value, "choose a value in this range")
}

/// Adam divides by 1 − βᵗ, so that a β of one is no decay but a division by zero.
pub(super) fn adam_betas(key: &str, betas: [f64; 2]) -> Result<()> {
    let advice = "the usual values are 0.0 or 0.9, and 0.99";
    betas.iter().enumerate().try_for_each(|(axis, beta)| {
        check((0.0..1.0).contains(beta), &format!("{key}[{axis}]"), "0 ≤ β < 1", beta, advice)
    })
}

/// Widths of a network's levels, of which there are at most `levels`.
pub(super) fn widths(key: &str, widths: &[usize], levels: usize) -> Result<()> {
    let ok = (1..=levels).contains(&widths.len()) && !widths.contains(&0);
    let expected = format!("1 to {levels} positive widths");
    check(ok, key, &expected, format!("{widths:?}"), "change this key")
}

/// Notes `name` in `seen`; an error if it is empty or already there.
fn unseen<'a>(seen: &mut Vec<&'a str>, name: &'a str, key: &str) -> Result<()> {
    let ok = !name.is_empty() && !seen.contains(&name);
    check(ok, key, "a name, each used once", format!("`{name}`"), "rename or remove it")?;
    seen.push(name);
    Ok(())
}
