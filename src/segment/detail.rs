//! A second network at full resolution that corrects the first network's probabilities in the ventricles and the medial
//! temporal lobes.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::core::extent;
use super::network::{SegmentationNet, SegmentationNetConfig};
use crate::anatomy::{STRUCTURES, Structure};
use crate::ops::VolumeOps;
use crate::volume::blocks;
use crate::volume::rescale;

use Structure::*;

/// What the first network says is told as the probabilities of these, both sides together.
const GUIDES: [&[Structure]; 9] = [
    &[LeftLateralVentricle, RightLateralVentricle, LeftChoroidPlexus, RightChoroidPlexus],
    &[LeftInferiorLateralVentricle, RightInferiorLateralVentricle],
    &[ThirdVentricle],
    &[FourthVentricle],
    &[LeftHippocampus, RightHippocampus],
    &[LeftAmygdala, RightAmygdala],
    &[LeftThalamus, RightThalamus, LeftCaudate, RightCaudate],
    &[LeftCerebralWhiteMatter, RightCerebralWhiteMatter],
    &[LeftCerebralCortex, RightCerebralCortex],
];
/// The region is around these.
const AROUND: [Structure; 12] = [
    LeftLateralVentricle,
    RightLateralVentricle,
    LeftInferiorLateralVentricle,
    RightInferiorLateralVentricle,
    LeftChoroidPlexus,
    RightChoroidPlexus,
    ThirdVentricle,
    FourthVentricle,
    LeftHippocampus,
    RightHippocampus,
    LeftAmygdala,
    RightAmygdala,
];
/// Voxels of 1 mm kept around them.
const MARGIN: usize = 8;
/// Voxels at the sides of a block whose corrections are not used: there the network sees too little.
const BORDER: usize = 8;
/// Least probability whose logarithm is corrected.
const LEAST: f32 = 1e-5;

/// The correction that each structure gets: one for both sides, which the first network tells apart.
const CORRECTION: [usize; STRUCTURES] = {
    let (mut corrections, mut count, mut k) = ([0; STRUCTURES], 0, 0);
    while k < STRUCTURES {
        corrections[k] = count;
        // The right one stands behind the left one.
        if k + 1 < STRUCTURES && is_left(k) {
            corrections[k + 1] = count;
            k += 1;
        }
        count += 1;
        k += 1;
    }
    corrections
};
/// Number of corrections.
const CORRECTIONS: usize = CORRECTION[STRUCTURES - 1] + 1;

/// Whether a structure has a right one behind it.
const fn is_left(k: usize) -> bool {
    k >= LeftLateralVentricle.index()
        && !matches!(Structure::ALL[k], ThirdVentricle | FourthVentricle | BrainStem)
}

/// The second network, trained on blocks of the grid `tile` `[D, H, W]` at 1 mm.
#[derive(Debug)]
pub struct Detail<B: VolumeOps> {
    /// The network.
    pub network: SegmentationNet<B>,
    /// Grid `[D, H, W]` of the blocks.
    pub tile: [usize; 3],
}

/// The shape of a second network of these widths, from the finest level down.
pub fn config(widths: Vec<usize>) -> SegmentationNetConfig {
    SegmentationNetConfig { widths, inputs: 1 + GUIDES.len(), outputs: CORRECTIONS, space_to_depth: 1 }
}

/// The second network's input `[1, C, D, H, W]`: the image `[D, H, W]` after [`rescale`], and the summed probabilities
/// of groups of structures, from those of the structures `[STRUCTURES, D·H·W]`.
///
/// # Panics
/// If the image is not in standard layout.
pub fn input<B: VolumeOps>(mut image: Array3<f32>, probability: &[f32], device: &B::Device) -> Tensor<B, 5> {
    let (d, h, w) = image.dim();
    let voxels = d * h * w;
    rescale(image.as_slice_mut().expect("a block is contiguous"));
    let mut values = image.into_raw_vec_and_offset().0;
    for parts in GUIDES {
        let mut sum = vec![0.0f32; voxels];
        for part in parts {
            let row = &probability[part.index() * voxels..(part.index() + 1) * voxels];
            sum.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
        }
        values.extend(sum);
    }
    Tensor::from_data(TensorData::new(values, [1, 1 + GUIDES.len(), d, h, w]), device)
}

/// Logits of the structures `[STRUCTURES, places]`: the logarithms of their probabilities and the corrections
/// `[CORRECTIONS, places]`.
pub fn corrected(probability: &[f32], corrections: &[f32]) -> Vec<f32> {
    let places = probability.len() / STRUCTURES;
    let mut logits: Vec<f32> = probability.par_iter().map(|p| p.max(LEAST).ln()).collect();
    logits.par_chunks_mut(places).enumerate().for_each(|(k, logits)| {
        let from = CORRECTION[k] * places;
        logits.iter_mut().zip(&corrections[from..from + places]).for_each(|(x, more)| *x += more);
    });
    logits
}

/// The gradient in the corrections `[CORRECTIONS, places]`, from the gradient in the logits `[STRUCTURES, places]`: the
/// adjoint of [`corrected`].
pub fn of_corrections(gradient: &[f32]) -> Vec<f32> {
    let places = gradient.len() / STRUCTURES;
    let mut sums = vec![0.0f32; CORRECTIONS * places];
    for (k, row) in gradient.chunks_exact(places).enumerate() {
        let from = CORRECTION[k] * places;
        sums[from..from + places].iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
    }
    sums
}

impl<B: VolumeOps> Detail<B> {
    /// Corrects in place the probabilities `[D, STRUCTURES, H, W]` of an image `[D, H, W]` and its most likely
    /// structures `labels`, in blocks over the region around ventricles and medial temporal lobes.
    pub fn correct(
        &self,
        image: ArrayView3<f32>,
        probability: &mut [f32],
        labels: &mut Array3<u8>,
        device: &B::Device,
    ) {
        let Some(region) = region(labels) else { return };
        let starts = [0, 1, 2].map(|axis| starts(&region[axis], self.tile[axis], labels.shape()[axis]));
        // Blocks see what the first network said, not each other's corrections: of the planes that they reach.
        let row = STRUCTURES * labels.len() / labels.len_of(Axis(0));
        let last = (starts[0][starts[0].len() - 1] + self.tile[0]).min(labels.len_of(Axis(0)));
        let before = probability[row * starts[0][0]..row * last].to_vec();
        for &z in &starts[0] {
            for &y in &starts[1] {
                for &x in &starts[2] {
                    self.block(
                        image,
                        (&before, starts[0][0]),
                        probability,
                        labels,
                        [z, y, x],
                        &region,
                        device,
                    );
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn block(
        &self,
        image: ArrayView3<f32>,
        (before, first): (&[f32], usize),
        probability: &mut [f32],
        labels: &mut Array3<u8>,
        start: [usize; 3],
        region: &[Range<usize>; 3],
        device: &B::Device,
    ) {
        let (depth, height, width) = labels.dim();
        let [d, h, w] = self.tile;
        let shape = [depth, height, width];
        let stop = [0, 1, 2].map(|axis| (start[axis] + self.tile[axis]).min(shape[axis]));
        let plane = height * width;
        let mut block = Array3::<f32>::zeros((d, h, w));
        let seen = image.slice(s![start[0]..stop[0], start[1]..stop[1], start[2]..stop[2]]);
        let (sd, sh, sw) = seen.dim();
        block.slice_mut(s![..sd, ..sh, ..sw]).assign(&seen);
        let voxels = d * h * w;
        let mut p = vec![0.0f32; STRUCTURES * voxels];
        // Beyond the image there is air.
        p[..voxels].fill(1.0);
        for k in 0..STRUCTURES {
            for z in 0..sd {
                for y in 0..sh {
                    let from =
                        ((start[0] - first + z) * STRUCTURES + k) * plane + (start[1] + y) * width + start[2];
                    let to = k * voxels + (z * h + y) * w;
                    p[to..to + sw].copy_from_slice(&before[from..from + sw]);
                }
            }
        }
        let corrections = self.network.forward(input::<B>(block, &p, device));
        let corrections: Vec<f32> = corrections.into_data().iter::<f32>().collect();
        let mut logits = corrected(&p, &corrections);
        drop(super::loss::softmax(&mut logits, voxels));
        let inner = [0, 1, 2].map(|axis| {
            let low = if start[axis] == 0 { 0 } else { start[axis] + BORDER };
            let high = if stop[axis] == shape[axis] { shape[axis] } else { stop[axis] - BORDER };
            low.max(region[axis].start)..high.min(region[axis].end)
        });
        for z in inner[0].clone() {
            for y in inner[1].clone() {
                for x in inner[2].clone() {
                    let from = ((z - start[0]) * h + y - start[1]) * w + x - start[2];
                    let (mut best, mut most) = (0, f32::MIN);
                    for k in 0..STRUCTURES {
                        let value = logits[k * voxels + from];
                        probability[(z * STRUCTURES + k) * plane + y * width + x] = value;
                        if value > most {
                            (best, most) = (k, value);
                        }
                    }
                    labels[[z, y, x]] = best as u8;
                }
            }
        }
    }
}

/// The region that is corrected, along D, H, W; none without ventricles and medial temporal lobes.
fn region(labels: &Array3<u8>) -> Option<[Range<usize>; 3]> {
    let mut around = [false; STRUCTURES];
    AROUND.iter().for_each(|structure| around[structure.index()] = true);
    let extent = extent(&labels.mapv(|label| around[usize::from(label)]))?;
    Some([0, 1, 2].map(|axis| {
        let [first, _, last] = extent[axis];
        first.saturating_sub(MARGIN)..(last + 1 + MARGIN).min(labels.shape()[axis])
    }))
}

/// First voxels of the blocks of `length` along an axis of `extent` voxels whose inner parts cover `region`.
fn starts(region: &Range<usize>, length: usize, extent: usize) -> Vec<usize> {
    let first = region.start.saturating_sub(BORDER).min(extent.saturating_sub(length));
    let last = (region.end + BORDER).min(extent).max(first + length);
    let step = length - 2 * BORDER;
    blocks::starts(last - first, length, step, 1).into_iter().map(|start| first + start).collect()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;
    use crate::nn::Init;
    use crate::nn::parameters::replace;

    #[test]
    fn both_sides_share_a_correction() {
        for structure in Structure::ALL {
            let other = structure.mirrored();
            assert_eq!(CORRECTION[structure.index()], CORRECTION[other.index()]);
        }
        let mut seen = CORRECTION.to_vec();
        seen.dedup();
        assert_eq!(seen, (0..CORRECTIONS).collect::<Vec<_>>());
    }

    /// The adjoint of adding corrections: ⟨A c, g⟩ = ⟨c, Aᵀ g⟩.
    #[test]
    fn gradients_of_corrections_are_sums_over_sides() {
        let places = 3;
        let c: Vec<f32> = (0..CORRECTIONS * places).map(|i| (i as f32 * 0.7).sin()).collect();
        let g: Vec<f32> = (0..STRUCTURES * places).map(|i| (i as f32 * 1.3).cos()).collect();
        let ones = vec![1.0; STRUCTURES * places];
        let added: f64 = corrected(&ones, &c).iter().zip(&g).map(|(a, b)| f64::from(a * b)).sum();
        let back: f64 = of_corrections(&g).iter().zip(&c).map(|(a, b)| f64::from(a * b)).sum();
        assert!((added - back).abs() < 1e-4, "{added} {back}");
    }

    /// A network of zeros leaves probabilities as they are; one whose bias favours the third ventricle makes more of
    /// it, and only in the region.
    #[test]
    fn a_correction_acts_in_its_region_alone() {
        let device = Default::default();
        let shape = [24, 28, 40];
        let (ventricle, white) = (ThirdVentricle.index(), LeftCerebralWhiteMatter.index());
        let mut labels = Array3::from_elem(shape, white as u8);
        labels.slice_mut(s![10..14, 12..16, 4..8]).fill(ventricle as u8);
        let plane = shape[1] * shape[2];
        let mut probability = vec![0.0f32; STRUCTURES * shape[0] * plane];
        for ((z, y, x), &label) in labels.indexed_iter() {
            for k in 0..STRUCTURES {
                probability[(z * STRUCTURES + k) * plane + y * shape[2] + x] =
                    if k == usize::from(label) { 0.6 } else { 0.4 / (STRUCTURES - 1) as f32 };
            }
        }
        let config = config(vec![4, 6]);
        let network: SegmentationNet<Flex> = config.init(&mut Init::new(3), &device);
        let image = Array3::from_shape_fn(shape, |(z, y, x)| ((z * y + x) % 7) as f32);
        for favoured in [0.0, 6.0] {
            let network = replace(network.clone(), |name, values: Tensor<Flex, 1>| match name {
                "head.weight" => values.zeros_like(),
                "head.bias" => {
                    let mut bias = vec![0.0f32; CORRECTIONS];
                    bias[CORRECTION[ventricle]] = favoured;
                    Tensor::from_data(TensorData::new(bias, [CORRECTIONS]), &values.device())
                }
                _ => values,
            });
            let detail = Detail { network, tile: [24; 3] };
            let (mut after, mut found) = (probability.clone(), labels.clone());
            detail.correct(image.view(), &mut after, &mut found, &device);
            if favoured == 0.0 {
                assert_eq!(found, labels);
                let worst = after.iter().zip(&probability).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{worst}");
            } else {
                for ((z, y, x), &label) in found.indexed_iter() {
                    let inside = (2..22).contains(&z) && (4..24).contains(&y) && x < 16;
                    assert_eq!(usize::from(label), if inside { ventricle } else { white }, "{z} {y} {x}");
                }
            }
        }
    }
}
