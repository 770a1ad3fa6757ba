//! A trained network at work: any volume in, structures and their volumes out.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Array4, Axis, s};
use rayon::prelude::*;

use super::super::{STRUCTURES, Segmentation};
use super::loss::softmax;
use super::network::{SegmentationNet, SegmentationNetConfig};
use super::rescale;
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::{Grid, Interpolation, resample};

/// Planes of the half grid whose logits are in memory at once.
const PLANES: usize = 8;
/// What counts as air at the edges of a scan, as a part of its 99.5 percentile.
const AIR: f32 = 0.05;
/// Voxels kept around what is not air.
const MARGIN: usize = 8;
/// Longest axis in millimetres that is taken for a head.
const LENGTH_MAX_MM: usize = 512;

/// A trained segmentation network.
#[derive(Debug)]
pub struct Segmenter<B: VolumeOps> {
    network: SegmentationNet<B>,
    config: SegmentationNetConfig,
    name: String,
    device: B::Device,
}

impl<B: VolumeOps> Segmenter<B> {
    /// The segmenter of a network of this shape; `name` says which, with the SHA-256 of its weights.
    pub fn new(
        network: SegmentationNet<B>,
        config: SegmentationNetConfig,
        name: String,
        device: B::Device,
    ) -> Self {
        Self { network, config, name, device }
    }

    /// Which segmenter it is, with the SHA-256 of its weights.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Channels of the network's deepest level.
    pub fn channels(&self) -> usize {
        self.config.widths[self.config.widths.len() - 1]
    }

    /// What the way down of the network sees in images `[N, 1, D, H, W]` at 1 mm, from 0 to 1 as [`rescale`] makes them:
    /// the mean of each channel of its deepest level over the grid, `[N, C]`. Axes are padded with air to what the network
    /// takes; an axis of length one, that of a slice, is repeated instead.
    pub fn encoded(&self, image: Tensor<B, 5>) -> Tensor<B, 2> {
        let image = (2..5).fold(image, |image, axis| self.filled(image, axis));
        let deepest = self.network.deepest(image);
        let [n, c, d, h, w] = deepest.dims();
        deepest.reshape([n, c, d * h * w]).mean_dim(2).reshape([n, c])
    }

    /// `image` with `axis` as long as the network takes it.
    fn filled(&self, image: Tensor<B, 5>, axis: usize) -> Tensor<B, 5> {
        let mut shape = image.dims();
        let length = shape[axis];
        if length == 1 {
            return image.repeat_dim(axis, self.config.multiple());
        }
        shape[axis] = length.next_multiple_of(self.config.multiple()) - length;
        if shape[axis] == 0 {
            return image;
        }
        let air = Tensor::zeros(shape, &image.device());
        Tensor::cat(vec![image, air], axis)
    }

    /// The structures of a head, on a 1 mm RAS+ grid over the volume's field of view.
    ///
    /// # Errors
    /// [`Error::Value`] for several channels, or a field of view beyond half a metre.
    pub fn segment(&self, volume: &Volume) -> Result<Segmentation> {
        if volume.channels() != 1 {
            let (found, advice) = (format!("{} of them", volume.channels()), "give one image");
            return Err(Error::value("channels of the volume", "one", found, advice));
        }
        let (volume, _) = to_ras(volume.clone());
        let grid = Grid::of(&volume).with_spacing([1.0; 3]);
        if grid.dims.iter().any(|&length| length > LENGTH_MAX_MM) {
            let (expected, found) =
                (format!("at most {LENGTH_MAX_MM} mm along each axis"), format!("{:?} mm", grid.dims));
            let advice = "check the voxel size in the header, or crop the volume";
            return Err(Error::value("field of view", expected, found, advice));
        }
        let mut image = resample(&volume, &grid, Interpolation::Linear).data.index_axis_move(Axis(0), 0);
        rescale(image.as_slice_mut().expect("a resampled volume is contiguous"));
        let Some(bounds) = occupied(&image) else {
            return Ok(Segmentation::of_labels(Array3::zeros(image.dim()), grid.affine));
        };
        let [z, y, x] = bounds.clone();
        let part = image.slice(s![z, y, x]);
        let (d, h, w) = part.dim();
        let padded = [d, h, w].map(|length| length.next_multiple_of(self.config.multiple()));
        let mut input = Array4::<f32>::zeros((1, padded[0], padded[1], padded[2]));
        input.slice_mut(s![0, ..d, ..h, ..w]).assign(&part);
        let data =
            TensorData::new(input.into_raw_vec_and_offset().0, [1, 1, padded[0], padded[1], padded[2]]);
        let (found, sums) = self.labels(Tensor::from_data(data, &self.device), [d, h, w]);
        let mut labels = Array3::<u8>::zeros(image.dim());
        let [z, y, x] = bounds;
        labels.slice_mut(s![z, y, x]).assign(&found);
        let mut segmentation = Segmentation::of_labels(labels, grid.affine);
        let voxel_ml = segmentation.voxel_ml();
        // Background counts as labelled: outside the box nothing was asked.
        for k in 1..STRUCTURES {
            segmentation.volume_ml[k] = sums.expected[k] * voxel_ml;
        }
        for k in 0..STRUCTURES {
            segmentation.confidence[k] = sums.sure[k] / sums.voxels[k].max(1.0);
        }
        Ok(segmentation)
    }

    /// Labels of the first voxels `shape` of a padded image, and sums over them.
    fn labels(&self, image: Tensor<B, 5>, shape: [usize; 3]) -> (Array3<u8>, Sums) {
        let [_, _, _, height, width] = image.dims();
        let (h, w) = (height / 2, width / 2);
        let mut labels = Array3::<u8>::zeros(shape);
        let mut sums = Sums::default();
        self.network.slabs(image, PLANES, |first, logits| {
            let planes = logits.dims()[2];
            let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let places = planes * h * w;
            let parts: Vec<(Vec<u8>, Sums)> = values
                .par_chunks(STRUCTURES * places)
                .enumerate()
                .map(|(s, logits)| most_likely(logits, s, [first, planes, h, w], shape))
                .collect();
            for (s, (most_likely, part)) in parts.into_iter().enumerate() {
                sums = sums.plus(&part);
                for (at, label) in most_likely.into_iter().enumerate() {
                    let [z, y, x] = voxel(s, at, [first, h, w]);
                    if let Some(place) = labels.get_mut([z, y, x]) {
                        *place = label;
                    }
                }
            }
        });
        (labels, sums)
    }
}

/// Voxel of the place `at` of a slab that begins with plane `first`, `s` being its number among the eight of the place.
fn voxel(s: usize, at: usize, [first, h, w]: [usize; 3]) -> [usize; 3] {
    [2 * (first + at / (h * w)) + s / 4, 2 * (at / w % h) + s / 2 % 2, 2 * (at % w) + s % 2]
}

/// The most likely structure of each place, and sums over those within `shape`.
fn most_likely(
    logits: &[f32],
    s: usize,
    [first, planes, h, w]: [usize; 4],
    shape: [usize; 3],
) -> (Vec<u8>, Sums) {
    let places = planes * h * w;
    let mut p = logits.to_vec();
    softmax(&mut p, places);
    let mut best = vec![0u8; places];
    let mut sums = Sums::default();
    for at in 0..places {
        if voxel(s, at, [first, h, w]).iter().zip(shape).any(|(place, length)| *place >= length) {
            continue;
        }
        let mut greatest = (0, p[at]);
        for k in 0..STRUCTURES {
            let probability = p[k * places + at];
            sums.expected[k] += f64::from(probability);
            if probability > greatest.1 {
                greatest = (k, probability);
            }
        }
        best[at] = greatest.0 as u8;
        sums.voxels[greatest.0] += 1.0;
        sums.sure[greatest.0] += f64::from(greatest.1);
    }
    (best, sums)
}

/// Where anything but air is seen, with a margin, along D, H, W; none where nothing is.
fn occupied(image: &Array3<f32>) -> Option<[std::ops::Range<usize>; 3]> {
    let ranges = [0, 1, 2].map(|axis| {
        let seen = |plane: usize| image.index_axis(Axis(axis), plane).iter().any(|&x| x > AIR);
        let length = image.len_of(Axis(axis));
        let first = (0..length).find(|&plane| seen(plane))?;
        let last = (0..length).rev().find(|&plane| seen(plane))?;
        Some(first.saturating_sub(MARGIN)..(last + 1 + MARGIN).min(length))
    });
    let [Some(z), Some(y), Some(x)] = ranges else { return None };
    Some([z, y, x])
}

/// Sums over voxels by structure.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Of its probability.
    expected: [f64; STRUCTURES],
    /// Of its probability where it is the most likely one.
    sure: [f64; STRUCTURES],
    /// Of the voxels where it is the most likely one.
    voxels: [f64; STRUCTURES],
}

impl Sums {
    fn plus(mut self, other: &Self) -> Self {
        for k in 0..STRUCTURES {
            self.expected[k] += other.expected[k];
            self.sure[k] += other.sure[k];
            self.voxels[k] += other.voxels[k];
        }
        self
    }
}
