//! Prepared datasets.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ndarray::Array4;
use voxgan::io::dataset::{Dataset, Plan, prepare};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::io::scan::ReadOptions;
use voxgan::volume::crop::Centre;
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::resample::Interpolation;
use voxgan::volume::{Volume, VoxelToWorld};

/// The dataset of `images` `[1, n, n, n]` in `folder`, from their least value to their greatest.
pub fn dataset(folder: &Path, images: impl Iterator<Item = Array4<f32>>) -> Dataset {
    let scans = folder.join("scans");
    fs::create_dir_all(&scans).unwrap();
    let mut shape = [0; 3];
    for (number, image) in images.enumerate() {
        shape = [image.shape()[1]; 3];
        let volume = Volume::new(image, VoxelToWorld::identity());
        nifti::write(scans.join(format!("{number}.nii")), &volume, &WriteOptions::default()).unwrap();
    }
    let plan = Plan {
        inputs: vec![scans],
        shape,
        spacing_mm: None,
        interpolation: Interpolation::Linear,
        normalisation: Normalisation::Percentile { low: 0.0, high: 100.0 },
        centre: Centre::Grid,
        participants: Vec::new(),
        labels: Vec::new(),
        read: ReadOptions::default(),
        strict: true,
    };
    let cache = folder.join("cache");
    prepare(&plan, None, &cache, &AtomicBool::new(false), &|_| {}).unwrap();
    Dataset::open(&cache).unwrap()
}
