//! Features of volumes by a network, in each of its views.

use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData, activation};
use ndarray::{Array2, Array3, Axis};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::evaluate::realism::{Features, Protocol, Realism};
use crate::ops::{Shaped, VolumeOps};
use crate::pretrained::extractors::{Extractor, InceptionV3, Med3d};
use crate::pretrained::{segmenter, sha256_of};
use crate::segment::Encoder;
use crate::volume::Volume;

/// The network whose features are compared. Values of different networks are not comparable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractorChoice {
    /// The encoder of the segmenter inside the program.
    #[default]
    Encoder,
    /// Inception v3 with these weights (safetensors of pytorch-fid's state_dict), of slices.
    Inception(PathBuf),
    /// A Med3D ResNet with these weights (safetensors of MedicalNet's state_dict), of whole volumes.
    Med3d(PathBuf),
}

/// A network and what it is shown.
enum Extracting<B: VolumeOps> {
    Ours(Box<Encoder<B>>),
    Inception(InceptionV3<B>),
    Med3d(Med3d<B>),
}

/// What is seen of a volume: all of it, or its middle plane across an axis of `[D, H, W]`.
#[derive(Clone, Copy)]
struct View {
    name: &'static str,
    across: Option<usize>,
}

const WHOLE: View = View { name: "volume", across: None };
const PLANES: [View; 3] = [
    View { name: "axial", across: Some(0) },
    View { name: "coronal", across: Some(1) },
    View { name: "sagittal", across: Some(2) },
];

/// All measures of realism of `synthetic` against `real` volumes, intensities from −1 to 1.
///
/// # Errors
/// Those of reading the weights, and as [`Realism::compare`].
pub fn realism<B: VolumeOps>(
    choice: &ExtractorChoice,
    synthetic: &[Volume],
    real: &[Volume],
    data_range: f64,
    device: &B::Device,
) -> Result<Realism> {
    let (extractor, name) = open::<B>(choice, device)?;
    let mut realism = Realism::new(name.clone(), Protocol::default());
    let views = extractor.views();
    let of = |volumes: &[Volume]| features(&extractor, &name, &views, volumes, device);
    for ((view, synthetic), real) in views.iter().zip(of(synthetic)?).zip(of(real)?) {
        realism.compare(view.name, &synthetic, &real)?;
    }
    realism.compare_diversity(synthetic, real, data_range)?;
    Ok(realism)
}

fn open<B: VolumeOps>(choice: &ExtractorChoice, device: &B::Device) -> Result<(Extracting<B>, String)> {
    let named = |name: String, path: &PathBuf| Ok(format!("{name} sha256:{}", &sha256_of(path)?[..12]));
    match choice {
        ExtractorChoice::Inception(path) => {
            let network = InceptionV3::open(path, device)?;
            let name = named(network.name(), path)?;
            Ok((Extracting::Inception(network), name))
        }
        ExtractorChoice::Med3d(path) => {
            let network = Med3d::open(path, device)?;
            let name = named(network.name(), path)?;
            Ok((Extracting::Med3d(network), name))
        }
        ExtractorChoice::Encoder => {
            let network = segmenter::features::<B>(device)?;
            let name = Extractor::name(&network);
            Ok((Extracting::Ours(Box::new(network)), name))
        }
    }
}

impl<B: VolumeOps> Extracting<B> {
    fn views(&self) -> Vec<View> {
        match self {
            Self::Ours(_) => [WHOLE].into_iter().chain(PLANES).collect(),
            Self::Inception(_) => PLANES.to_vec(),
            Self::Med3d(_) => vec![WHOLE],
        }
    }

    /// A volume as the network takes it, `[D, H, W]`.
    fn image(&self, volume: &Volume) -> Array3<f32> {
        let mut image = volume.data.as_standard_layout().into_owned().index_axis_move(Axis(0), 0);
        match self {
            Self::Ours(_) => return Encoder::<B>::image(volume),
            Self::Inception(_) => image.mapv_inplace(|x| x.clamp(-1.0, 1.0)),
            Self::Med3d(_) => {
                let mean = image.mean().unwrap_or(0.0);
                let deviation = image.std(0.0).max(f32::EPSILON);
                image.mapv_inplace(|x| (x - mean) / deviation);
            }
        }
        image
    }

    /// Vector of an image and, where the network classifies, its probabilities.
    fn see(&self, image: Tensor<B, 5>) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let values = |tensor: Tensor<B, 2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
        match self {
            Self::Ours(network) => Ok((values(network.features(image)?), None)),
            Self::Med3d(network) => Ok((values(network.features(image)?), None)),
            Self::Inception(network) => {
                // A slice across any axis is one of depth one.
                let [n, c, d, h, w] = image.dims();
                let [rows, columns] = if d == 1 {
                    [h, w]
                } else if h == 1 {
                    [d, w]
                } else {
                    [d, h]
                };
                let slice = InceptionV3::resized(image.shaped([n, c, 1, rows, columns]));
                let features = network.features(slice)?;
                let classes = activation::softmax(network.logits(features.clone()), 1);
                Ok((values(features), Some(values(classes))))
            }
        }
    }
}

impl View {
    /// What is seen of an image: a plane has one axis of length one.
    fn of(self, image: &Array3<f32>) -> Array3<f32> {
        let Some(axis) = self.across else { return image.clone() };
        let middle = image.len_of(Axis(axis)) / 2;
        image.slice_axis(Axis(axis), (middle..middle + 1).into()).as_standard_layout().into_owned()
    }
}

/// What is seen of a set in each view.
fn features<B: VolumeOps>(
    extractor: &Extracting<B>,
    name: &str,
    views: &[View],
    volumes: &[Volume],
    device: &B::Device,
) -> Result<Vec<Features>> {
    let mut rows = vec![Vec::new(); views.len()];
    let mut classes: Vec<Option<Vec<f32>>> = vec![None; views.len()];
    for volume in volumes {
        let image = extractor.image(volume);
        for (at, view) in views.iter().enumerate() {
            let seen = view.of(&image);
            let (d, h, w) = seen.dim();
            let data = TensorData::new(seen.into_raw_vec_and_offset().0, [1, 1, d, h, w]);
            let (vector, probabilities) = extractor.see(Tensor::from_data(data, device))?;
            rows[at].extend(vector);
            if let Some(probabilities) = probabilities {
                classes[at].get_or_insert_default().extend(probabilities);
            }
        }
    }
    let table = |values: Vec<f32>| {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let width = values.len() / volumes.len();
        Array2::from_shape_vec((volumes.len(), width), values).expect("a row for each volume")
    };
    let of_view =
        |(rows, classes): (Vec<f32>, Option<Vec<f32>>)| Features::new(name, table(rows), classes.map(table));
    rows.into_iter().zip(classes).map(of_view).collect()
}
