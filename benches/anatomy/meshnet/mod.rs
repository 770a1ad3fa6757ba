//! brainchop's MeshNet networks from their own files: small chains of dilated convolutions that segment a whole head.
//!
//! Fedorov et al. 2017, "End-to-end learning of brain tissue segmentation from imperfect labeling"; Masoud et al. 2023,
//! "Brainchop: In-browser MRI volumetric segmentation and rendering". They are peers to compare with: nothing of them
//! ships here.

mod conform;
mod dilated;
mod layers_model;
mod regions;

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Array4, ArrayView4, Axis, Slice};
use serde_json::Value;

pub use conform::Range;
use layers_model::{LayersModel, Step};
pub use regions::{ClassUnion, UNIONS_18};
use voxgan::error::{Error, Result};
use voxgan::ops::VolumeOps;
use voxgan::volume::Volume;
use voxgan::volume::resample::{Grid, Interpolation, resample};

/// Planes of a volume whose logits are in memory together.
const PLANES_AT_ONCE: usize = 8;

/// A network of brainchop, for inference.
#[derive(Clone, Debug)]
pub struct MeshNet<B: VolumeOps> {
    model: LayersModel,
    range: Range,
    classes: Vec<String>,
    device: B::Device,
}

impl<B: VolumeOps> MeshNet<B> {
    /// Opens the TensorFlow.js network at `path`, a `model.json` with its shards and its names (`labels.json`,
    /// `colormap*.json`) beside it.
    ///
    /// The range of its input is that of quantiles where the file's remark says so or where it normalises its channels,
    /// as brainchop's settings have it; else from the least to the greatest value.
    ///
    /// # Errors
    /// As [`LayersModel::read`]; [`Error::File`] for more than 256 classes.
    pub fn open(path: &Path, device: &B::Device) -> Result<Self> {
        let model = LayersModel::read(path)?;
        let named = |wanted: &str| model.comment.to_lowercase().contains(wanted);
        let quantiles = named("quantile") || model.steps.contains(&Step::InstanceNorm);
        let range = if quantiles { Range::Quantiles } else { Range::MinMax };
        if !(1..=256).contains(&model.outputs) || model.inputs != 1 {
            let found = format!("{} to {}", model.inputs, model.outputs);
            let advice = "give a network that labels a single image";
            return Err(Error::file(path, "channels", "1 to at most 256", found, advice));
        }
        let classes = class_names(path, model.outputs)
            .unwrap_or_else(|| (0..model.outputs).map(|class| format!("class {class}")).collect());
        Ok(Self { model, range, classes, device: device.clone() })
    }

    /// The range of its input.
    pub fn range(&self) -> Range {
        self.range
    }

    /// Names of the classes; "class 3" where the files have none.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Logits `[N, classes, D, H, W]` of `x` `[N, 1, D, H, W]`, on any grid.
    ///
    /// D, H and W are the network's axes: to the left, down and to the front. Not differentiable: what lies between layers
    /// is kept on the host.
    pub fn logits(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let [n, inputs, d, h, w] = x.dims();
        let values = dilated::floats(x.into_data());
        let mut logits: Vec<f32> = Vec::with_capacity(n * self.model.outputs * d * h * w);
        for sample in values.chunks_exact((inputs * d * h * w).max(1)) {
            let sample = ArrayView4::from_shape((inputs, d, h, w), sample).expect("a sample's values");
            let result = dilated::run::<B>(&self.model.steps, sample, &self.device);
            logits.extend(result.iter());
        }
        Tensor::from_data(TensorData::new(logits, [n, self.model.outputs, d, h, w]), &self.device)
    }

    /// The most probable class of every voxel of `x` `[1, D, H, W]`, axes as in [`MeshNet::logits`].
    ///
    /// The layers behind the last one that looks at a voxel's neighbours run a few planes at a time, so that the logits of
    /// a large volume are never in memory together.
    pub fn labels(&self, x: ArrayView4<f32>) -> Array3<u8> {
        let steps = &self.model.steps;
        let seen = steps.iter().rposition(|step| !step.is_pointwise()).map_or(0, |last| last + 1);
        let hidden = dilated::run::<B>(&steps[..seen], x, &self.device);
        let (_, d, h, w) = hidden.dim();
        let mut labels = Array3::zeros((d, h, w));
        let planes = hidden.axis_chunks_iter(Axis(1), PLANES_AT_ONCE);
        for (mut labels, planes) in labels.axis_chunks_iter_mut(Axis(0), PLANES_AT_ONCE).zip(planes) {
            let logits = dilated::run::<B>(&steps[seen..], planes, &self.device);
            labels.assign(&most_probable(&logits));
        }
        labels
    }

    /// The class of every voxel of a scan of a head or a brain, on its own grid: `[1, D, H, W]`.
    ///
    /// The scan is conformed first, as these networks were trained on FreeSurfer's: a cube of 256 mm about its centre,
    /// 1 mm voxels, trilinear, eight bits (eight-bit scans keep their values). The network sees the box of what is brighter
    /// than a fifth of the brightest value, as in brainchop; beyond it, and outside the cube, is class 0. Classes come back
    /// by the nearest voxel.
    ///
    /// # Errors
    /// [`Error::Value`] for a scan of several channels, of values that are not finite, or without contrast.
    pub fn segment(&self, scan: &Volume) -> Result<Volume> {
        let (mut x, grid) = conform::conformed(scan)?;
        self.range.apply(&mut x)?;
        let seen = conform::bright_box(&x).map(Slice::from);
        let seen = |axis: ndarray::AxisDescription| seen[axis.axis.index()];
        let mut labels = Array3::zeros(x.dim());
        labels.slice_each_axis_mut(seen).assign(&self.labels(x.slice_each_axis(seen).insert_axis(Axis(0))));
        let data = labels.mapv(f32::from).permuted_axes([2, 1, 0]).as_standard_layout().into_owned(); // [k, j, i]
        let labels = Volume::new(data.insert_axis(Axis(0)), grid.affine);
        let labels = resample(&labels, &Grid::of(scan), Interpolation::Nearest);
        Ok(Volume { provenance: scan.provenance.clone(), ..labels }.with_step("segmented by a MeshNet"))
    }
}

/// The channel of the greatest value of `[C, D, H, W]`, the first of equals.
fn most_probable(logits: &Array4<f32>) -> Array3<u8> {
    let mut best = logits.index_axis(Axis(0), 0).to_owned();
    let mut labels = Array3::zeros(best.dim());
    for (class, values) in logits.outer_iter().enumerate().skip(1) {
        ndarray::Zip::from(&mut best).and(&mut labels).and(values).par_for_each(|best, label, &value| {
            if value > *best {
                (*best, *label) = (value, class as u8);
            }
        });
    }
    labels
}

/// The names in the files beside the network, of the first file that has as many as there are classes.
fn class_names(path: &Path, classes: usize) -> Option<Vec<String>> {
    let folder = path.parent()?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    let named = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("");
        name == "labels.json" || (name.starts_with("colormap") && name.ends_with(".json"))
    };
    files.iter().filter(|file| named(file)).find_map(|file| {
        let content: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let name = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_string);
        let names: Option<Vec<String>> = match content.get("labels").and_then(Value::as_array) {
            Some(list) => list.iter().map(|value| name(Some(value))).collect(),
            None => (0..classes).map(|class| name(content.get(class.to_string()))).collect(),
        };
        names.filter(|names| names.len() == classes)
    })
}
