//! Trained segmenters: the one inside the program, and those of files.

use std::path::Path;

use super::source::weights_of;
use super::{Weights, embedded, load_weights, sha256};
use crate::anatomy::{STRUCTURES, Structure};
use crate::config::SegmentationRecipe;
use crate::error::{Error, Result};
use crate::nn::Init;
use crate::ops::VolumeOps;
use crate::segment::Segmenter;
use crate::segment::detail;
use crate::segment::detail::Detail;
use crate::segment::{Encoder, SegmentationNet, SegmentationNetConfig};

/// Name of the segmenter inside the program.
pub const EMBEDDED: &str = "anatomy";

/// The segmenter of 22 structures in whose features realism is measured: always the same, so that figures can be
/// compared over the years.
pub(super) const FEATURES: &str = "anatomy";

/// Prefix of the names of the averaged network's arrays in a checkpoint.
pub const AVERAGE: &str = "S_ema.";
/// Prefix of the names of the averaged second network's arrays; files of the first network alone do not have them.
pub const DETAIL: &str = "D_ema.";
/// The metadata key of the second network's recipe.
pub const DETAIL_KEY: &str = "detail_recipe";
/// The metadata key of the names of a network's structures, in the order of its outputs.
pub const STRUCTURES_KEY: &str = "structures";

/// What the first form of segmenters told apart; its files do not say so.
const FIRST_FORM: [&str; 22] = [
    "Background",
    "Head",
    "CSF",
    "Left-Lateral-Ventricle",
    "Right-Lateral-Ventricle",
    "Left-Inf-Lat-Vent",
    "Right-Inf-Lat-Vent",
    "Left-choroid-plexus",
    "Right-choroid-plexus",
    "3rd-Ventricle",
    "4th-Ventricle",
    "Left-Cerebral-Cortex",
    "Right-Cerebral-Cortex",
    "Left-Cerebral-White-Matter",
    "Right-Cerebral-White-Matter",
    "Left-Deep-Grey",
    "Right-Deep-Grey",
    "Left-Hippocampus-Amygdala",
    "Right-Hippocampus-Amygdala",
    "Left-Cerebellum",
    "Right-Cerebellum",
    "Brain-Stem",
];

/// Opens a segmenter: the one inside the program by its name, a checkpoint or weights file, or a run's folder (its
/// latest checkpoint).
///
/// # Errors
/// [`Error::Value`] for a name that is none of these; [`Error::Io`] or [`Error::File`] for a file that cannot be read,
/// is no segmenter, or has other structures.
pub fn open<B: VolumeOps>(name_or_path: &str, device: &B::Device) -> Result<Segmenter<B>> {
    let (path, bytes) = weights_of(name_or_path, embedded::SEGMENTERS)?;
    let read = Read::<B>::of(&bytes, &path, device)?;
    if read.structures != own_structures() {
        let (expected, found) =
            (format!("the {STRUCTURES} of this version"), of_structures(&read.structures));
        let advice = "train it on: voxgan train anatomy --from FILE";
        return Err(Error::file(&path, "structures of the segmenter", expected, found, advice));
    }
    let crop = read.recipe.training.crop;
    let segmenter = Segmenter::new(read.network, read.config, crop, read.name, device.clone());
    Ok(match read.detail {
        Some(detail) => segmenter.corrected_by(detail),
        None => segmenter,
    })
}

/// The encoder for measures of realism and perceptual losses.
///
/// # Errors
/// [`Error::Value`] if the program was built without the feature `embedded-weights`.
pub fn features<B: VolumeOps>(device: &B::Device) -> Result<Encoder<B>> {
    let (path, bytes) = weights_of(FEATURES, embedded::FEATURES)?;
    let read = Read::<B>::of(&bytes, &path, device)?;
    Ok(Encoder::new(read.network, read.config, read.name))
}

/// A network as its file has it.
struct Read<B: VolumeOps> {
    recipe: SegmentationRecipe,
    structures: Vec<String>,
    config: SegmentationNetConfig,
    network: SegmentationNet<B>,
    detail: Option<Detail<B>>,
    name: String,
}

impl<B: VolumeOps> Read<B> {
    fn of(bytes: &[u8], path: &Path, device: &B::Device) -> Result<Self> {
        let weights = Weights::from_bytes(bytes, path)?;
        let recipe = weights.metadata.get("recipe").ok_or_else(|| {
            let advice = "give a checkpoint of `voxgan train` with a segmenter's recipe";
            Error::file(path, "metadata recipe", "a segmenter's recipe", "none", advice)
        })?;
        let recipe = SegmentationRecipe::from_toml(recipe, path)?;
        let structures = structures_of(&weights)?;
        let config =
            SegmentationNetConfig::on_half_the_grid(recipe.segmenter.widths.clone(), structures.len());
        weights.check_size(AVERAGE, least_parameters(&config.widths))?;
        let network = load_weights(config.init(&mut Init::new(0), device), &weights, AVERAGE)?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("voxgan {file} sha256:{}", &sha256(bytes)[..12]);
        let detail = detail_of(&weights, device)?;
        Ok(Self { recipe, structures, config, network, detail, name })
    }
}

/// The fewest numbers of a segmentation network of these widths: those of its convolutions that keep a level's width.
fn least_parameters(widths: &[usize]) -> u128 {
    widths.iter().map(|&n| 27 * (n as u128).pow(2)).sum()
}

/// The second network of a file that has one.
fn detail_of<B: VolumeOps>(weights: &Weights, device: &B::Device) -> Result<Option<Detail<B>>> {
    let Some(recipe) = weights.metadata.get(DETAIL_KEY) else { return Ok(None) };
    let recipe = SegmentationRecipe::from_toml(recipe, &weights.path)?.detail.ok_or_else(|| {
        let advice = "give a checkpoint of `voxgan train anatomy-detail`";
        Error::file(&weights.path, "metadata detail_recipe", "a recipe with a table [detail]", "none", advice)
    })?;
    weights.check_size(DETAIL, least_parameters(&recipe.widths))?;
    let network = detail::config(recipe.widths).init(&mut Init::new(0), device);
    Ok(Some(Detail { network: load_weights(network, weights, DETAIL)?, tile: recipe.crop }))
}

/// The names of this version's structures.
pub fn own_structures() -> Vec<String> {
    Structure::ALL.iter().map(|structure| structure.name().to_string()).collect()
}

/// The names of the structures that a file's network tells apart.
fn structures_of(weights: &Weights) -> Result<Vec<String>> {
    let Some(text) = weights.metadata.get(STRUCTURES_KEY) else {
        return Ok(FIRST_FORM.map(String::from).to_vec());
    };
    serde_json::from_str(text).map_err(|e| {
        let advice = "give a checkpoint of `voxgan train`";
        Error::file(&weights.path, "metadata structures", "a list of names", e.to_string(), advice)
    })
}

fn of_structures(names: &[String]) -> String {
    if names == FIRST_FORM { "the 22 of version 0.1.0".into() } else { format!("{} others", names.len()) }
}

/// The averaged network of `weights` as a start for training, with the structures of this version: structures of the
/// file's network keep their outputs, and structures that the file has as a union share the union's probability
/// equally.
///
/// # Errors
/// [`Error::File`] if the shapes of the networks differ, or a structure has no source.
pub fn start<B: VolumeOps>(
    weights: &Weights,
    config: &SegmentationNetConfig,
    device: &B::Device,
) -> Result<SegmentationNet<B>> {
    let names = structures_of(weights)?;
    let sources: Vec<usize> = own_structures()
        .iter()
        .map(|name| {
            let source = source(name);
            names.iter().position(|other| other == name || *other == source).ok_or_else(|| {
                let advice = "start from a segmenter of this program";
                Error::file(&weights.path, "structures of the segmenter", name, of_structures(&names), advice)
            })
        })
        .collect::<Result<_>>()?;
    let mut grown = Weights { path: weights.path.clone(), ..Weights::default() };
    for (name, (shape, values)) in &weights.arrays {
        let array = match name.strip_prefix(AVERAGE) {
            Some("head.weight" | "head.bias") => {
                let row = values.len() / (config.block_voxels() * names.len());
                let mut all = Vec::with_capacity(config.block_voxels() * STRUCTURES * row);
                for voxel in values.chunks(names.len() * row) {
                    for &from in &sources {
                        let shared = sources.iter().filter(|&&other| other == from).count() as f32;
                        // Equal logits share a probability; the bias takes the number of parts out of each.
                        let less = if name.ends_with("bias") { shared.ln() } else { 0.0 };
                        all.extend(voxel[from * row..(from + 1) * row].iter().map(|x| x - less));
                    }
                }
                let mut shape = shape.clone();
                shape[0] = config.block_voxels() * STRUCTURES;
                (shape, all)
            }
            _ => (shape.clone(), values.clone()),
        };
        grown.arrays.insert(name.clone(), array);
    }
    load_weights(config.init(&mut Init::new(0), device), &grown, AVERAGE)
}

/// The union of the first form that a structure belonged to.
fn source(name: &str) -> String {
    let Some((side, structure)) = name.split_once('-') else { return name.into() };
    let union = match structure {
        "Thalamus" | "Caudate" | "Putamen" | "Pallidum" | "Accumbens-area" | "VentralDC" => "Deep-Grey",
        "Hippocampus" | "Amygdala" => "Hippocampus-Amygdala",
        "Cerebellum-Cortex" | "Cerebellum-White-Matter" => "Cerebellum",
        other => other,
    };
    format!("{side}-{union}")
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::{Tensor, TensorData, activation};

    use super::*;
    use crate::ops::Shaped;
    fn probabilities(network: &SegmentationNet<Flex>, outputs: usize) -> Vec<Vec<f32>> {
        let image: Vec<f32> =
            (0..32 * 32 * 32).map(|i| (0.37 * i as f32).sin() + (0.011 * i as f32).cos()).collect();
        let image = Tensor::from_data(TensorData::new(image, [1, 1, 32, 32, 32]), &Default::default());
        let logits = network.forward(image); // [1, 8·K, 16, 16, 16]
        let places = 16 * 16 * 16;
        let logits = logits.shaped([8, outputs, places]);
        let values: Vec<f32> = activation::softmax(logits, 1).into_data().into_vec().unwrap();
        values.chunks(places).map(<[f32]>::to_vec).collect()
    }

    /// A grown network says the same of what both tell apart; the parts of a union share its probability.
    #[test]
    fn a_network_of_the_first_form_grows_without_changing_what_it_says() {
        let device = Default::default();
        let old = Read::<Flex>::of(embedded::FEATURES[0].1, Path::new(FEATURES), &device).unwrap();
        assert_eq!((old.structures.len(), old.name.as_str()), (22, "voxgan anatomy sha256:1ef90e92f69c"));
        let config = SegmentationNetConfig { outputs: STRUCTURES, ..old.config.clone() };
        let weights = Weights::from_bytes(embedded::FEATURES[0].1, Path::new(FEATURES)).unwrap();
        let grown = start::<Flex>(&weights, &config, &device).unwrap();
        let (old, new) = (probabilities(&old.network, 22), probabilities(&grown, STRUCTURES));
        for voxel in 0..8 {
            for (k, name) in FIRST_FORM.iter().enumerate() {
                let parts = own_structures()
                    .iter()
                    .enumerate()
                    .filter(|(_, own)| own == name || source(own) == *name)
                    .map(|(part, _)| part)
                    .collect::<Vec<_>>();
                for (at, expected) in old[voxel * 22 + k].iter().enumerate() {
                    let sum: f32 = parts.iter().map(|part| new[voxel * STRUCTURES + part][at]).sum();
                    assert!((sum - expected).abs() < 1e-4, "{name}: {sum} for {expected}");
                }
            }
        }
    }

    #[test]
    fn a_segmenter_of_the_first_form_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.safetensors");
        std::fs::write(&path, embedded::FEATURES[0].1).unwrap();
        let error = open::<Flex>(path.to_str().unwrap(), &Default::default()).unwrap_err().to_string();
        assert!(error.contains("old.safetensors") && error.contains("the 22 of version 0.1.0"), "{error}");
    }
}
