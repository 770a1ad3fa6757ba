//! Chains of 3D layers in the files of TensorFlow.js (`layers-model`): the topology in `model.json`, the weights as
//! little-endian float32 in the shards that it names.

use std::path::{Component, Path};

use ndarray::Array5;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use voxgan::error::{Error, Result};
use voxgan::pretrained::Weights;

/// A layer's name ends so where brainchop normalises its output, channel by channel.
const NORMALISED: &str = "_gn";
/// What to do about what is not known.
const UNKNOWN: &str =
    "this network needs more than this program knows; convert it to a chain of known layers";

/// What one step of the chain does to `[C, D, H, W]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A convolution that keeps the grid.
    Convolution(Convolution),
    /// Every channel minus its mean over the voxels, divided by their standard deviation (biased, 1e-5 added to the
    /// variance): brainchop's reading of a layer whose name ends in `_gn`.
    InstanceNorm,
    /// Every channel times a factor, plus a shift: a batch normalisation after training.
    Scale {
        /// `[C]`.
        factor: Vec<f32>,
        /// `[C]`.
        shift: Vec<f32>,
    },
    /// A function of each value.
    Activation(Activation),
}

/// A dilated convolution with zeros around its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// `[outputs, inputs, kd, kh, kw]`, odd sizes.
    pub kernel: Array5<f32>,
    /// `[outputs]`.
    pub bias: Option<Vec<f32>>,
    /// Distance of the kernel's taps along (D, H, W).
    pub dilation: [usize; 3],
}

/// Activations of Keras, under its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    Linear,
    Relu,
    Elu,
    Gelu,
    Sigmoid,
    Tanh,
    /// Over the channels; known at the end of a chain only, where logits leave it out.
    Softmax,
}

/// A chain as read.
#[derive(Clone, Debug)]
pub struct LayersModel {
    /// In order of execution; a softmax at the end is left out.
    pub steps: Vec<Step>,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// The remark in the file.
    pub comment: String,
}

#[derive(Deserialize)]
struct ModelFile {
    format: String,
    #[serde(rename = "modelTopology")]
    topology: Value,
    #[serde(rename = "weightsManifest")]
    weights: Vec<Shards>,
    #[serde(rename = "_comment", default)]
    comment: String,
}

#[derive(Deserialize)]
struct Shards {
    paths: Vec<String>,
    weights: Vec<Stored>,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<Value>,
}

#[derive(Deserialize)]
struct LayerEntry {
    class_name: String,
    config: Value,
    #[serde(default)]
    inbound_nodes: Value,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Conv3d {
    filters: usize,
    kernel_size: [usize; 3],
    strides: [usize; 3],
    dilation_rate: [usize; 3],
    padding: String,
    data_format: String,
    #[serde(default = "one")]
    groups: usize,
    activation: Activation,
    use_bias: bool,
}

#[derive(Deserialize)]
struct BatchNormalization {
    axis: Value,
    epsilon: f64,
    center: bool,
    scale: bool,
}

#[derive(Deserialize)]
struct Activated {
    activation: Activation,
}

#[derive(Deserialize)]
struct Input {
    batch_input_shape: [Option<usize>; 5],
}

fn one() -> usize {
    1
}

impl LayersModel {
    /// Reads `model.json` and the shards beside it.
    ///
    /// # Errors
    /// [`Error::Io`] for what cannot be read; [`Error::File`] for what is no layers-model, branches, has layers or
    /// settings that are not known (they are named), or weights that are missing or of another size.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| Error::io(path, "read the network", e))?;
        let file: ModelFile = serde_json::from_slice(&text).map_err(|e| not_json(path, "content", &e))?;
        if file.format != "layers-model" {
            let advice = "export the Keras network as a layers model";
            return Err(Error::file(path, "format", "layers-model", file.format, advice));
        }
        let weights = read_weights(path, &file.weights)?;
        let topology = file.topology.get("model_config").unwrap_or(&file.topology);
        let config = &topology["config"];
        // A Sequential of old is the list itself.
        let layers = config.get("layers").unwrap_or(config).clone();
        let layers: Vec<LayerEntry> = parsed(path, "layers", layers)?;
        let mut chain = Chain { path, weights, steps: Vec::new(), channels: None, inputs: 1 };
        let mut before: Option<String> = None;
        for layer in layers {
            let name = parsed::<Named>(path, &layer.class_name, layer.config.clone())?.name;
            check_order(path, &name, &layer.inbound_nodes, before.as_deref())?;
            chain.add(&name, layer)?;
            before = Some(name);
        }
        if chain.steps.last() == Some(&Step::Activation(Activation::Softmax)) {
            chain.steps.pop();
        }
        if chain.steps.contains(&Step::Activation(Activation::Softmax)) {
            return Err(Error::file(path, "softmax", "one at the end at most", "one before", UNKNOWN));
        }
        let Some(outputs) = chain.channels.filter(|_| !chain.steps.is_empty()) else {
            return Err(Error::file(path, "layers", "at least one Conv3D", "none", UNKNOWN));
        };
        Ok(Self { steps: chain.steps, inputs: chain.inputs, outputs, comment: file.comment })
    }
}

/// A chain while it is read.
struct Chain<'a> {
    path: &'a Path,
    weights: Weights,
    steps: Vec<Step>,
    /// After the last step; none before the input is known.
    channels: Option<usize>,
    inputs: usize,
}

impl Chain<'_> {
    fn add(&mut self, name: &str, layer: LayerEntry) -> Result<()> {
        match layer.class_name.as_str() {
            "InputLayer" => {
                let input: Input = parsed(self.path, name, layer.config)?;
                self.inputs = input.batch_input_shape[4].unwrap_or(1);
                self.channels = Some(self.inputs);
            }
            "Conv3D" => self.convolution(name, &parsed(self.path, name, layer.config)?)?,
            "BatchNormalization" => self.batch_norm(name, &parsed(self.path, name, layer.config)?)?,
            "Activation" => self.activation(parsed::<Activated>(self.path, name, layer.config)?.activation),
            // Without effect after training.
            "Dropout" | "SpatialDropout3D" | "GaussianNoise" => {}
            other => {
                let known = "InputLayer, Conv3D, BatchNormalization, Activation or Dropout";
                return Err(Error::file(self.path, format!("layer {name}"), known, other, UNKNOWN));
            }
        }
        Ok(())
    }

    fn convolution(&mut self, name: &str, conv: &Conv3d) -> Result<()> {
        let settings = [
            ("strides", "1, 1, 1".into(), format!("{:?}", conv.strides), conv.strides == [1; 3]),
            ("padding", String::from("same"), conv.padding.clone(), conv.padding == "same"),
            (
                "data_format",
                "channels_last".into(),
                conv.data_format.clone(),
                conv.data_format == "channels_last",
            ),
            ("groups", "1".into(), conv.groups.to_string(), conv.groups == 1),
            ("filters", "at least 1".into(), conv.filters.to_string(), conv.filters > 0),
            (
                "kernel_size",
                "odd numbers".into(),
                format!("{:?}", conv.kernel_size),
                conv.kernel_size.iter().all(|k| k % 2 == 1),
            ),
            (
                "dilation_rate",
                "at least 1".into(),
                format!("{:?}", conv.dilation_rate),
                !conv.dilation_rate.contains(&0),
            ),
        ];
        if let Some((key, expected, found, _)) = settings.into_iter().find(|(.., fine)| !fine) {
            return Err(Error::file(self.path, format!("layer {name}, {key}"), expected, found, UNKNOWN));
        }
        let inputs = self.channels.unwrap_or(self.inputs);
        let [d, h, w] = conv.kernel_size;
        let kernel = self.take(name, "kernel", &[d, h, w, inputs, conv.filters])?;
        let kernel = Array5::from_shape_vec((d, h, w, inputs, conv.filters), kernel)
            .expect("the shape was checked")
            .permuted_axes([4, 3, 0, 1, 2]) // [O, I, kd, kh, kw]
            .as_standard_layout()
            .into_owned();
        let bias = if conv.use_bias { Some(self.take(name, "bias", &[conv.filters])?) } else { None };
        self.steps.push(Step::Convolution(Convolution { kernel, bias, dilation: conv.dilation_rate }));
        self.channels = Some(conv.filters);
        if name.ends_with(NORMALISED) {
            self.steps.push(Step::InstanceNorm);
        }
        self.activation(conv.activation);
        Ok(())
    }

    /// γ·(x − μ)/√(σ² + ε) + β as one factor and one shift a channel.
    fn batch_norm(&mut self, name: &str, norm: &BatchNormalization) -> Result<()> {
        let last = [Value::from(4), Value::from(-1)];
        let axis = norm.axis.get(0).unwrap_or(&norm.axis);
        if !last.contains(axis) {
            let field = format!("layer {name}, axis");
            return Err(Error::file(self.path, field, "the last", axis.to_string(), UNKNOWN));
        }
        let channels = self.channels.unwrap_or(self.inputs);
        let [mean, variance] =
            [self.take(name, "moving_mean", &[channels])?, self.take(name, "moving_variance", &[channels])?];
        let gamma = if norm.scale { self.take(name, "gamma", &[channels])? } else { vec![1.0; channels] };
        let beta = if norm.center { self.take(name, "beta", &[channels])? } else { vec![0.0; channels] };
        let exact = |c: usize| f64::from(gamma[c]) / (f64::from(variance[c]) + norm.epsilon).sqrt();
        let shift = |c: usize| (f64::from(beta[c]) - f64::from(mean[c]) * exact(c)) as f32;
        self.steps.push(Step::Scale {
            factor: (0..channels).map(|c| exact(c) as f32).collect(),
            shift: (0..channels).map(shift).collect(),
        });
        Ok(())
    }

    fn activation(&mut self, activation: Activation) {
        if activation != Activation::Linear {
            self.steps.push(Step::Activation(activation));
        }
    }

    /// The weight `kind` of the layer, of this shape.
    fn take(&mut self, layer: &str, kind: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = format!("{layer}/{kind}");
        let advice = "use the files of one export";
        let expected = format!("a weight of shape {shape:?}");
        match self.weights.arrays.remove(&name) {
            Some((found, values)) if found == shape => Ok(values),
            Some((found, _)) => {
                Err(Error::file(self.path, name, expected, format!("shape {found:?}"), advice))
            }
            None => Err(Error::file(self.path, name, expected, "none", advice)),
        }
    }
}

/// That the layer takes what the layer before it gives, and nothing else.
fn check_order(path: &Path, name: &str, inbound: &Value, before: Option<&str>) -> Result<()> {
    let nodes: Vec<&str> = inbound
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|node| node.get(0).and_then(Value::as_str))
        .collect();
    // A Sequential names none.
    if nodes.is_empty() || (nodes.len() == 1 && before == Some(nodes[0])) {
        return Ok(());
    }
    let expected = format!("the layer before it, {}", before.unwrap_or("none"));
    Err(Error::file(path, format!("input of layer {name}"), expected, nodes.join(", "), UNKNOWN))
}

/// The arrays of every group of shards, by name.
fn read_weights(path: &Path, groups: &[Shards]) -> Result<Weights> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut weights = Weights { path: path.to_path_buf(), ..Weights::default() };
    for group in groups {
        let mut bytes = Vec::new();
        for shard in &group.paths {
            // A file may name none but its neighbours.
            if !Path::new(shard).components().all(|part| matches!(part, Component::Normal(_))) {
                let (expected, advice) = ("files beside it or below", "put the shards beside the file");
                return Err(Error::file(path, "weightsManifest: paths", expected, shard, advice));
            }
            let shard = folder.join(shard);
            bytes.extend(std::fs::read(&shard).map_err(|e| Error::io(&shard, "read the weights", e))?);
        }
        let mut floats = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        let mut needed = 0usize;
        for stored in &group.weights {
            if stored.dtype != "float32" || stored.quantization.is_some() {
                let found = if stored.dtype == "float32" { "a quantised one" } else { &stored.dtype };
                let advice = "export the network without quantisation";
                return Err(Error::file(path, &stored.name, "a float32 weight", found, advice));
            }
            let count = stored.shape.iter().fold(1, |count: usize, &n| count.saturating_mul(n));
            needed = count.saturating_mul(4).saturating_add(needed);
            weights
                .arrays
                .insert(stored.name.clone(), (stored.shape.clone(), floats.by_ref().take(count).collect()));
        }
        if needed != bytes.len() {
            let (expected, found) = (format!("{needed} bytes"), format!("{} bytes", bytes.len()));
            let field = group.paths.join(", ");
            return Err(Error::file(path, field, expected, found, "use the files of one export, complete"));
        }
    }
    Ok(weights)
}

fn parsed<T: DeserializeOwned>(path: &Path, field: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| not_json(path, field, &e))
}

fn not_json(path: &Path, field: &str, error: &serde_json::Error) -> Error {
    Error::file(path, field, "a TensorFlow.js layers-model that is known", error.to_string(), UNKNOWN)
}
