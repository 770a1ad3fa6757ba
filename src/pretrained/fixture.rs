//! Parity fixtures: a network of an independent program with its inputs and outputs.

use std::path::Path;

use super::Weights;
use crate::config::NetworkRecipe;
use crate::error::{Error, Result};

/// A fixture file: arrays `G.*`, `D.*`, `io.*`, `loss*`, `r1.*`, `pl.*`, and the network in the metadata.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The arrays.
    pub weights: Weights,
    /// The network.
    pub network: NetworkRecipe,
    /// Length of the condition vector; zero for none.
    pub condition_dim: usize,
    /// Weight γ of R1.
    pub gamma: f64,
    /// Weight of the path-length penalty.
    pub path_length_weight: f64,
}

impl Fixture {
    /// Reads a fixture.
    ///
    /// # Errors
    /// As [`Weights::read`], and [`Error::File`] naming the metadata key or array that is missing or invalid.
    pub fn read(path: &Path) -> Result<Self> {
        let weights = Weights::read(path)?;
        let text = |key: &str| {
            weights.metadata.get(key).ok_or_else(|| {
                Error::file(
                    path,
                    format!("metadata {key}"),
                    "a value",
                    "none",
                    "add it to the fixture's metadata",
                )
            })
        };
        let number = |key: &str| {
            let text = text(key)?;
            text.parse::<f64>().map_err(|_| {
                Error::file(
                    path,
                    format!("metadata {key}"),
                    "a number",
                    format!("`{text}`"),
                    "correct the metadata",
                )
            })
        };
        let count = |key: &str| number(key).map(|n| n as usize);
        let (shape, _) = weights.array("io.real")?;
        let axes = shape.len().saturating_sub(2);
        let (base, factors) = if weights.metadata.contains_key("base") {
            let json = |key: &str| {
                let text = text(key)?;
                serde_json::from_str::<serde_json::Value>(text).map_err(|e| {
                    Error::file(
                        path,
                        format!("metadata {key}"),
                        "JSON",
                        e.to_string(),
                        "correct the metadata",
                    )
                })
            };
            let triple = |value: &serde_json::Value| {
                let sizes: Option<Vec<usize>> = value
                    .as_array()
                    .map(|v| v.iter().filter_map(|n| n.as_u64()).map(|n| n as usize).collect());
                sizes.and_then(|sizes| volume_axes(&sizes))
            };
            let wrong = |key: &str| {
                let advice = "correct the metadata";
                Error::file(
                    path,
                    format!("metadata {key}"),
                    "sizes along two or three axes",
                    "others",
                    advice,
                )
            };
            let base = triple(&json("base")?).ok_or_else(|| wrong("base"))?;
            let factors = json("factors")?;
            let factors: Option<Vec<_>> =
                factors.as_array().and_then(|rows| rows.iter().map(triple).collect());
            (base, factors.ok_or_else(|| wrong("factors"))?)
        } else {
            let doublings = (count("img_resolution")?.max(4) / 4).ilog2() as usize;
            let sizes = |n: usize| volume_axes(&vec![n; axes]);
            let wrong = || {
                let expected = "[N, C, H, W] or [N, C, D, H, W]";
                Error::file(path, "io.real", expected, format!("{shape:?}"), "correct the fixture")
            };
            (sizes(4).ok_or_else(wrong)?, vec![sizes(2).ok_or_else(wrong)?; doublings])
        };
        let network = NetworkRecipe {
            // A flat axis has one voxel and is never doubled.
            factors: factors
                .into_iter()
                .map(|f| [0, 1, 2].map(|a| if base[a] == 1 { 1 } else { f[a] }))
                .collect(),
            base,
            channel_base: Some(count("channel_base")?),
            channel_max: Some(count("channel_max")?),
            channels: None,
            z_dim: count("z_dim")?,
            w_dim: count("w_dim")?,
            mapping_layers: count("mapping_layers")?,
            image_channels: count("img_channels")?,
            minibatch_group: 4,
            discriminator_channel_base: None,
            discriminator_channel_max: None,
            discriminator_channels: None,
            discriminator_fc_channels: None,
        };
        let (condition_dim, gamma, path_length_weight) =
            (count("c_dim")?, number("r1_gamma")?, number("pl_weight")?);
        Ok(Self { weights, network, condition_dim, gamma, path_length_weight })
    }
}

/// Sizes along `(D, H, W)`, a 2D grid having depth one.
fn volume_axes(sizes: &[usize]) -> Option<[usize; 3]> {
    match *sizes {
        [h, w] => Some([1, h, w]),
        [d, h, w] => Some([d, h, w]),
        _ => None,
    }
}
