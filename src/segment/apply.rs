//! Application of a trained segmentation network to a volume.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::blend::{Blend, Sums};
use super::core::{core, extent};
use super::detail::Detail;
use super::look::Look;
use super::loss::softmax;
use super::network::{SegmentationNet, SegmentationNetConfig, voxel_of_block};
use super::refine::refine;
use super::tiles;
use crate::anatomy::{Refinement, STRUCTURES, Segmentation, Structure};
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::outliers::without_outliers;
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::rescale;

/// Planes of the half grid whose logits are in memory at once.
const PLANES: usize = 8;
/// Longest axis in millimetres that is taken for a head.
const LENGTH_MAX_MM: usize = 512;

/// A trained segmentation network.
#[derive(Debug)]
pub struct Segmenter<B: VolumeOps> {
    network: SegmentationNet<B>,
    config: SegmentationNetConfig,
    tile: [usize; 3],
    name: String,
    refines: bool,
    straightens: bool,
    detail: Option<Detail<B>>,
    device: B::Device,
}

impl<B: VolumeOps> Segmenter<B> {
    /// The segmenter of a network of the shape `config`, trained on images of the grid `tile` `[D, H, W]` at 1 mm;
    /// `name` has the SHA-256 of its weights.
    pub fn new(
        network: SegmentationNet<B>,
        config: SegmentationNetConfig,
        tile: [usize; 3],
        name: String,
        device: B::Device,
    ) -> Self {
        Self { network, config, tile, name, refines: true, straightens: true, detail: None, device }
    }

    /// This segmenter with a second network that corrects its probabilities.
    #[must_use]
    pub fn corrected_by(self, detail: Detail<B>) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// This segmenter with or without the refinement of its labels by the scan ([`refine()`]); with it by default.
    #[must_use]
    pub fn refining(self, refines: bool) -> Self {
        Self { refines, ..self }
    }

    /// This segmenter for heads that are aligned with the axes of their grids, such as samples of a generator: no other
    /// orientations are tried, of which there are 24 where no head is found.
    #[must_use]
    pub fn along_the_grid(self) -> Self {
        Self { straightens: false, ..self }
    }

    /// The segmenter's name with the SHA-256 of its weights.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The structures of a head, on a grid of 1 mm: over the volume's field of view along its axes in RAS+ order, or,
    /// for a head that is rotated against them, over the head along its own axes.
    ///
    /// Voxels without signal are filled first ([`without_outliers`]). A rough segmentation of the whole volume gives
    /// the brain's core and the head's pose ([`crate::anatomy::pose::Pose`]); a head that is rotated by more than ten
    /// degrees against the scan's axes is resampled along its own. Around the core, the probabilities of blocks of the
    /// training size, as they are and mirrored, are averaged: the network's features depend on how much of a head is in
    /// a block, and by the mirroring a head and its mirror image get the same structures. Brain that is too far from
    /// the core becomes head or air. At last the borders are refined by the scan ([`refine()`]).
    ///
    /// # Errors
    /// [`Error::Value`] for several channels, or a field of view beyond half a metre.
    pub fn segment(&self, volume: &Volume) -> Result<Segmentation> {
        if volume.channels() != 1 {
            let (found, advice) = (format!("{} of them", volume.channels()), "give one image");
            return Err(Error::value("channels of the volume", "one", found, advice));
        }
        let (volume, _) = to_ras(without_outliers(volume.clone()));
        let grid = Grid::of(&volume).straight().with_spacing([1.0; 3]);
        if grid.dims.iter().any(|&length| length > LENGTH_MAX_MM) {
            let (expected, found) =
                (format!("at most {LENGTH_MAX_MM} mm along each axis"), format!("{:?} mm", grid.dims));
            let advice = "check the voxel size in the header, or crop the volume";
            return Err(Error::value("field of view", expected, found, advice));
        }
        let resampled = resample(&volume, &grid, Interpolation::Linear).data;
        // A volume on this grid already comes back as it was made, whose axes may run backwards in memory.
        let image = resampled.as_standard_layout().into_owned().index_axis_move(Axis(0), 0);
        let (shape, affine) = (image.dim(), grid.affine);
        let Some(look) = self.look(image, grid) else {
            return Ok(Segmentation::of_labels(Array3::zeros(shape), affine));
        };
        let look = if self.straightens { self.straightened(&volume, look) } else { look };
        let Look { grid, image, part: [z, y, x], rough } = look;
        let part = s![z, y, x];
        let (found, sums, refinement) = self.fine(image.slice(part), rough, volume.spacing_mm());
        let mut labels = Array3::<u8>::zeros(image.dim());
        labels.slice_mut(part).assign(&found);
        let mut segmentation = Segmentation::of_labels(labels, grid.affine);
        let voxel_ml = segmentation.voxel_ml();
        // Background counts as labelled: outside the box nothing was asked.
        for k in 1..STRUCTURES {
            segmentation.volume_ml[k] = sums.expected[k] * voxel_ml;
        }
        for k in 0..STRUCTURES {
            segmentation.confidence[k] = sums.sure[k] / sums.voxels[k].max(1.0);
        }
        segmentation.refinement = refinement;
        Ok(segmentation)
    }

    /// The most likely structures of a whole image from 0 to 1, in one look.
    pub(super) fn rough(&self, image: ArrayView3<f32>) -> Array3<u8> {
        let (d, h, w) = image.dim();
        let padded = [d, h, w].map(|length| length.next_multiple_of(self.config.multiple()));
        let mut labels = Array3::<u8>::zeros((d, h, w));
        self.network.slabs(self.padded(image, padded), PLANES, |first, logits| {
            let [_, _, planes, h, w] = logits.dims();
            let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let places = planes * h * w;
            let parts: Vec<Vec<u8>> =
                values.par_chunks(STRUCTURES * places).map(|logits| most_likely(logits, places)).collect();
            for (s, part) in parts.into_iter().enumerate() {
                for (at, label) in part.into_iter().enumerate() {
                    let place = voxel_of_block(s, [first + at / (h * w), at / w % h, at % w], 2);
                    if let Some(voxel) = labels.get_mut(place) {
                        *voxel = label;
                    }
                }
            }
        });
        labels
    }

    /// The structures of an image around the brain of its rough labels, block by block, sums over voxels, and how they
    /// were refined. Beyond the blocks there is head or nothing.
    fn fine(
        &self,
        image: ArrayView3<f32>,
        rough: Array3<u8>,
        native_spacing_mm: [f64; 3],
    ) -> (Array3<u8>, Sums, Option<Refinement>) {
        let shape: [usize; 3] = image.dim().into();
        let around = core(&rough).and_then(|core| extent(&core));
        let around = around.unwrap_or_else(|| shape.map(|length| [0, length / 2, length - 1]));
        let starts = [0, 1, 2].map(|axis| tiles::starts(shape[axis], around[axis], self.tile[axis]));
        let first = starts.each_ref().map(|starts| starts[0]);
        let end = [0, 1, 2].map(|axis| {
            let last = starts[axis][starts[axis].len() - 1];
            (last + self.tile[axis]).min(shape[axis])
        });
        let mut blend = Blend::new([0, 1, 2].map(|axis| end[axis] - first[axis]), self.tile);
        for &z in &starts[0] {
            for &y in &starts[1] {
                for &x in &starts[2] {
                    let start = [z, y, x];
                    let stop = [0, 1, 2].map(|axis| (start[axis] + self.tile[axis]).min(shape[axis]));
                    let part = s![z..stop[0], y..stop[1], x..stop[2]];
                    let mut block = image.slice(part).to_owned();
                    rescale(block.as_slice_mut().expect("a copy is contiguous"));
                    let at = [0, 1, 2].map(|axis| start[axis] - first[axis]);
                    blend.add(self.probabilities(block.view()), at, false);
                    blend.add(self.probabilities(block.slice(s![.., .., ..;-1])), at, true);
                }
            }
        }
        let mut labels = rough;
        let mut sums = Sums::default();
        labels.mapv_inplace(|label| label.min(Structure::Head.index() as u8));
        let mut inside = labels.slice_mut(s![first[0]..end[0], first[1]..end[1], first[2]..end[2]]);
        inside.fill(0);
        let outside = labels.iter().filter(|&&label| label > 0).count() as f64;
        sums.expected[Structure::Head.index()] += outside;
        let (mut found, mut within, mut probability) = blend.finish();
        let blocks = s![first[0]..end[0], first[1]..end[1], first[2]..end[2]];
        if let Some(detail) = &self.detail {
            detail.correct(image.slice(blocks), &mut probability, &mut found, &self.device);
            within = Sums::of(&probability, &found);
        }
        let record = self.refines.then(|| {
            let refined = refine(image.slice(blocks), &mut probability, native_spacing_mm);
            (found, within.expected) = (refined.labels, refined.voxels);
            refined.record
        });
        sums = sums.plus(&within);
        labels.slice_mut(blocks).assign(&found);
        (labels, sums, record)
    }

    /// Probabilities `[STRUCTURES, D·H·W]` of a part of `block`, which has at most the training size: the part begins
    /// at `from` and has the shape `crop` `[D, H, W]`. The network must work on half the grid
    /// ([`SegmentationNetConfig::on_half_the_grid`]).
    pub fn probabilities_at(&self, block: ArrayView3<f32>, from: [usize; 3], crop: [usize; 3]) -> Vec<f32> {
        let packed = self.probabilities(block);
        let [_, th, tw] = self.tile;
        let places = packed.len() / (self.config.block_voxels() * STRUCTURES);
        let [d, h, w] = crop;
        let mut part = vec![0.0; STRUCTURES * d * h * w];
        part.par_chunks_mut(h * w).enumerate().for_each(|(row, plane)| {
            let (k, z) = (row / d, from[0] + row % d);
            for (at, value) in plane.iter_mut().enumerate() {
                let (y, x) = (from[1] + at / w, from[2] + at % w);
                let s = (z % 2) * 4 + (y % 2) * 2 + x % 2;
                let place = ((z / 2) * (th / 2) + y / 2) * (tw / 2) + x / 2;
                *value = packed[(s * STRUCTURES + k) * places + place];
            }
        });
        part
    }

    /// Probabilities of a block, folded as the network's logits are. A mirrored block that is shorter than the
    /// network's stands at the far end.
    fn probabilities(&self, block: ArrayView3<f32>) -> Vec<f32> {
        let logits = self.network.forward(self.padded(block, self.tile));
        let [_, _, d, h, w] = logits.dims();
        let mut values: Vec<f32> = logits.into_data().iter::<f32>().collect();
        values.par_chunks_mut(STRUCTURES * d * h * w).for_each(|logits| drop(softmax(logits, d * h * w)));
        values
    }

    /// An image with air behind its ends, as a tensor.
    fn padded(&self, image: ArrayView3<f32>, shape: [usize; 3]) -> Tensor<B, 5> {
        let (d, h, w) = image.dim();
        let mut input = Array3::<f32>::zeros(shape);
        input.slice_mut(s![..d, ..h, ..w]).assign(&image);
        let [d, h, w] = shape;
        Tensor::from_data(TensorData::new(input.into_raw_vec_and_offset().0, [1, 1, d, h, w]), &self.device)
    }
}

/// The greatest of the logits `[STRUCTURES, places]` of each place.
fn most_likely(logits: &[f32], places: usize) -> Vec<u8> {
    let mut greatest = logits[..places].to_vec();
    let mut best = vec![0u8; places];
    for (k, row) in logits.chunks_exact(places).enumerate().skip(1) {
        for ((x, greatest), best) in row.iter().zip(&mut greatest).zip(&mut best) {
            if x > greatest {
                (*greatest, *best) = (*x, k as u8);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use ndarray::Array4;

    use super::*;
    use crate::nn::Init;
    use crate::random::{Purpose, normal, stream};
    use crate::volume::VoxelToWorld;

    /// In memory the first axis runs backwards, as after a flip in place.
    #[test]
    fn the_order_in_memory_changes_nothing() {
        let config = SegmentationNetConfig::on_half_the_grid(vec![4, 6], STRUCTURES);
        let network = config.init(&mut Init::new(2), &Default::default());
        let segmenter = Segmenter::<Flex>::new(network, config, [16; 3], "test".into(), Default::default());
        let values = normal(&mut stream(1, 0, 0, 0, Purpose::Noise), 24 * 20 * 22);
        let data = Array4::from_shape_vec((1, 24, 20, 22), values).unwrap();
        let mut flipped = Volume::new(data, VoxelToWorld::identity());
        flipped.data.invert_axis(Axis(3));
        let plain = Volume::new(flipped.data.as_standard_layout().into_owned(), flipped.affine);
        let found = segmenter.segment(&flipped).unwrap();
        assert_eq!(found, segmenter.segment(&plain).unwrap());
        assert_eq!(found.labels.dim(), (24, 20, 22));
    }
}
