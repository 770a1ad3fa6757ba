//! Prepared datasets, and what a run has left in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nalgebra::Matrix4;
use ndarray::Array4;
use serde_json::Value;
use voxgan::io::dataset::{Dataset, Plan, prepare};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::pretrained::latest_checkpoint;
use voxgan::volume::Volume;
use voxgan::volume::crop::Centre;
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::resample::Interpolation;

/// The dataset of `images` `[1, n, n, n]` in `folder`, from their least value to their greatest.
pub fn dataset(folder: &Path, images: impl Iterator<Item = Array4<f32>>) -> Dataset {
    let scans = folder.join("scans");
    fs::create_dir_all(&scans).unwrap();
    let mut shape = [0; 3];
    for (number, image) in images.enumerate() {
        shape = [image.shape()[1]; 3];
        let volume = Volume::new(image, Matrix4::identity());
        nifti::write(scans.join(format!("{number}.nii")), &volume, &WriteOptions::default()).unwrap();
    }
    let plan = Plan {
        inputs: vec![scans],
        shape,
        spacing_mm: None,
        interpolation: Interpolation::Linear,
        normalisation: Normalisation::Percentile { low: 0.0, high: 100.0 },
        centre: Centre::Grid,
        participants: None,
        labels: Vec::new(),
        frame: None,
        strict: true,
    };
    let cache = folder.join("cache");
    prepare(&plan, None, &cache, &|_| {}).unwrap();
    Dataset::open(&cache).unwrap()
}

/// Lines of a run's log without what a clock tells.
pub fn log(run: &Path) -> Vec<BTreeMap<String, Value>> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
        for key in ["seconds", "seconds_per_step", "images_per_second", "peak_memory_mb"] {
            assert!(line.remove(key).is_some(), "{key}");
        }
        line
    };
    text.lines().map(line).collect()
}

/// The arrays of a run's last checkpoint, by name.
pub fn arrays(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(latest_checkpoint(run).unwrap().unwrap()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors.iter().map(|(name, view)| (name.to_string(), view.data().to_vec())).collect()
}
