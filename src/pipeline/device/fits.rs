//! Whether the training of a generator fits a device: its precision, the largest tensor, the memory.

use burn::backend::Flex;
use burn::tensor::DType;
use burn::tensor::backend::Backend;

use super::{Device, Found, on_device};
use crate::config::{NetworkRecipe, Precision, Recipe};
use crate::error::{Error, Result};
use crate::train::Estimate;

/// Checks that a run of the resolved `recipe` fits the device, and makes the device compute in its precision.
///
/// # Errors
/// [`Error::Device`]; [`Error::Value`] for a precision that the device does not have, tensors that are too large for it,
/// and more memory than the card has.
pub(crate) fn ready(device: Device, recipe: &Recipe) -> Result<()> {
    let found = device.find()?;
    compute_in(device, &found, recipe.training.precision)?;
    if let Some(limit) = found.tensor_bytes() {
        tensors(recipe, limit)?;
    }
    if let Some(memory) = found.memory_bytes() {
        let needed = Estimate::new::<Flex>(recipe, &Default::default()).memory_bytes as u64;
        if needed > memory {
            let advice = "set training.micro_batch to less, or choose another device";
            return Err(Error::value(
                "memory",
                format!("at most the card's {}", gb(memory)),
                gb(needed),
                advice,
            ));
        }
    }
    Ok(())
}

fn gb(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

fn compute_in(device: Device, found: &Found, precision: Precision) -> Result<()> {
    let half = match precision {
        Precision::Float32 => None,
        Precision::Float16 => Some(DType::F16),
        Precision::Bfloat16 => Some(DType::BF16),
    };
    if let Some(half) = half {
        let can =
            !matches!(found, Found::Cpu) && on_device!(device, |B, device| B::supports_dtype(&device, half));
        if !can {
            let (expected, advice) =
                ("one that the device computes in", "leave it out for float32, or choose a card");
            let given = format!("{precision:?} on {}", found.name()).to_lowercase();
            return Err(Error::value("training.precision", expected, given, advice));
        }
    }
    #[cfg(feature = "cube")]
    {
        use crate::ops::cube::Composition;
        Composition { half, ..Composition::current() }.set();
    }
    Ok(())
}

/// Bytes of the largest tensor that a step has for each volume at once: features, with the margin of a convolution.
fn tensor_bytes(network: &NetworkRecipe) -> u64 {
    let of = |i: usize| {
        let voxels: usize =
            network.block_shape(i).into_iter().map(|n| if n == 1 { 1 } else { n + 2 }).product();
        4 * (voxels * network.channels(i).max(network.discriminator_channels(i))) as u64
    };
    (0..network.blocks()).map(of).max().unwrap_or(0)
}

fn tensors(recipe: &Recipe, limit: u64) -> Result<()> {
    let training = &recipe.training;
    let (each, micro) = (tensor_bytes(&recipe.network), training.micro_batch.unwrap_or(training.batch));
    if each * micro as u64 <= limit {
        return Ok(());
    }
    let fits = (1..micro).rev().find(|n| training.batch.is_multiple_of(*n) && each * *n as u64 <= limit);
    let advice = match fits {
        Some(fits) => format!("set training.micro_batch = {fits}"),
        None => "choose fewer channels or a coarser grid, or --device cpu".into(),
    };
    let (expected, found) = (format!("tensors of at most {}", gb(limit)), gb(each * micro as u64));
    Err(Error::value("training.micro_batch", expected, format!("{micro} volumes at once, {found}"), advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_names_the_micro_batch_that_fits() {
        let mut recipe = Recipe::preset("brain-2mm").unwrap();
        recipe.training.micro_batch = Some(8);
        let recipe = recipe.resolved();
        // 82·98·82 voxels of 32 channels in float32.
        assert_eq!(tensor_bytes(&recipe.network), 4 * 32 * 82 * 98 * 82);
        assert!(tensors(&recipe, 2 << 30).is_ok());
        let refused = tensors(&recipe, 128 << 20).unwrap_err().to_string();
        assert!(refused.contains("training.micro_batch = 1") && refused.contains("0.13 GB"), "{refused}");
        assert!(tensors(&recipe, 64 << 20).unwrap_err().to_string().contains("fewer channels"));
    }

    #[test]
    fn the_cpu_computes_in_float32_alone() {
        let mut recipe = Recipe::preset("tiny").unwrap().resolved();
        assert!(ready(Device::Cpu, &recipe).is_ok());
        recipe.training.precision = Precision::Float16;
        let refused = ready(Device::Cpu, &recipe).unwrap_err().to_string();
        assert!(refused.contains("training.precision") && refused.contains("float16 on cpu"), "{refused}");
    }
}
