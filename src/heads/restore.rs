//! Application of a trained network to a case of any size, block by block without seams, followed by data consistency.

use ndarray::{Array4, Axis, Zip, concatenate, s};

use super::{Case, Measured, Measurement, Problem, Restorer, measure};
use crate::acquisition::operators::slice_profile::{Profile, SliceProfile};
use crate::config::RestorationRecipe;
use crate::convert::{image_to_tensor, tensor_to_image};
use crate::error::Result;
use crate::ops::VolumeOps;
use crate::volume::blocks::starts;

/// Voxels along each axis that neighbouring blocks share, at least, where they have that many. The outer quarter on
/// either side, where a block has not seen enough around a voxel, does not count; between, one fades into the other.
const OVERLAP: usize = 32;

/// Longest axis of a block that a network of volumes sees at once, in voxels, and the block of one of slices.
const BLOCK: usize = 96;
const BLOCK_OF_SLICES: [usize; 3] = [8, 512, 512];

/// The grid of the blocks that [`restore`] applies the network of `recipe` to, and the multiple that it is of,
/// `[D, H, W]` each.
pub fn blocks(recipe: &RestorationRecipe) -> ([usize; 3], [usize; 3]) {
    let multiple = recipe.multiple();
    let block = if recipe.flat() { BLOCK_OF_SLICES } else { [BLOCK; 3] };
    ([0, 1, 2].map(|axis| block[axis].next_multiple_of(multiple[axis])), multiple)
}

/// [`blocks`], made shorter along their longest axes until the features of a block are a tensor of at most `bytes`, or the block
/// is no longer than twice the overlap.
pub fn blocks_within(recipe: &RestorationRecipe, bytes: u64) -> ([usize; 3], [usize; 3]) {
    let (mut block, multiple) = blocks(recipe);
    let features =
        |block: &[usize; 3]| block.iter().product::<usize>() as u64 * recipe.network.bytes_per_voxel();
    while features(&block) > bytes {
        let longest = (0..3).max_by_key(|&axis| block[axis]).expect("three axes");
        let shorter = block[longest] - multiple[longest];
        if shorter < 2 * OVERLAP {
            break;
        }
        block[longest] = shorter;
    }
    (block, multiple)
}

/// A restored image with its null-space component and residuals.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The image, `[C, D, H, W]`.
    pub image: Array4<f32>,
    /// The image's null-space component, which the measurement does not determine, `[C, D, H, W]`; without a
    /// measurement, the difference from the initial estimate.
    pub null_space: Array4<f32>,
    /// ‖A·x − y‖ / ‖y‖ of the initial estimate, of the network's output and of the result; `None` without a
    /// measurement.
    pub residuals: Option<[f64; 3]>,
}

/// Restores a case by blocks of the grid `block`, a multiple of `multiple`, or as a whole by a cascade, which uses the
/// measurement between its stages. Data consistency with `weight` follows (see [`Measured::data_consistency`]). Unless
/// `weight` is zero, the result is then limited from below by air, the smallest measured value (of the initial estimate
/// without a measurement); not for k-space, and means that overlap or leave gaps.
///
/// # Errors
/// As [`Measured::new`].
pub fn restore<B: VolumeOps>(
    network: &Restorer<B>,
    case: &Case,
    (block, multiple): ([usize; 3], [usize; 3]),
    weight: f64,
    device: &B::Device,
) -> Result<Restored> {
    let measured = Measured::<B>::new(&case.measurement, case.initial.dim(), device)?;
    let made = if network.stages.len() == 1 && network.stages[0].is_local() {
        image_to_tensor::<B>(&by_blocks(network, case, block, multiple, device), device)
    } else {
        network.forward(&Problem::with_measurement(case, measured.clone(), device))
    };
    let result = measured.data_consistency(made.clone(), weight);
    let result = match weight > 0.0 {
        true => image_to_tensor(&above_air(case, tensor_to_image(result)), device),
        false => result,
    };
    let residuals = measured
        .residual(image_to_tensor(&case.initial, device))
        .zip(measured.residual(made))
        .zip(measured.residual(result.clone()))
        .map(|((initial, made), result)| [initial, made, result]);
    let null_space = match measured {
        Measured::Nothing | Measured::Mask { .. } => result.clone() - image_to_tensor(&case.initial, device),
        measured => result.clone() - measured.range_component(result.clone()),
    };
    Ok(Restored { image: tensor_to_image(result), null_space: tensor_to_image(null_space), residuals })
}

/// `image` with air where it was darker. Voxels of one measured mean are then scaled about air, so that they keep it:
/// where the mean is air, all of them are. Means that overlap or leave gaps, and k-space, are left as they are.
fn above_air(case: &Case, mut image: Array4<f32>) -> Array4<f32> {
    let least = |image: &Array4<f32>| image.iter().copied().fold(f32::INFINITY, f32::min);
    match &case.measurement {
        Measurement::Means { profiles, values } if profiles.iter().all(tiles) => {
            let air = least(values);
            image.mapv_inplace(|x| (x - air).max(0.0));
            let means = measure(&image, profiles);
            let scales = Zip::from(values)
                .and(&means)
                .map_collect(|&value, &mean| if mean > 0.0 { (value - air) / mean } else { 0.0 });
            let factor = profiles.iter().fold([1; 3], |mut factor, profile| {
                factor[profile.axis] = profile.factor;
                factor
            });
            for ((c, z, y, x), value) in image.indexed_iter_mut() {
                *value = *value * scales[(c, z / factor[0], y / factor[1], x / factor[2])] + air;
            }
        }
        Measurement::Means { .. } | Measurement::Kspace { .. } => {}
        Measurement::Voxels { known, values } => {
            let known = known.broadcast(values.dim()).expect("a mask of the image's grid");
            let air = values.iter().zip(known).filter(|(_, known)| **known).map(|(&x, _)| x);
            let air = air.fold(f32::INFINITY, f32::min);
            image.mapv_inplace(|x| x.max(air));
        }
        Measurement::Nothing | Measurement::Mask { .. } => {
            let air = least(&case.initial);
            image.mapv_inplace(|x| x.max(air));
        }
    }
    image
}

/// Whether measured voxels lie beside each other, without overlap or gap.
fn tiles(profile: &SliceProfile) -> bool {
    matches!(profile.profile, Profile::Boxcar { width_voxels } if width_voxels == profile.factor as f64)
}

/// The network's output before data consistency.
fn by_blocks<B: VolumeOps>(
    network: &Restorer<B>,
    case: &Case,
    block: [usize; 3],
    multiple: [usize; 3],
    device: &B::Device,
) -> Array4<f32> {
    let (channels, d, h, w) = case.initial.dim();
    let shape = [d, h, w];
    let factor = [0, 1, 2].map(|axis| shape[axis] / case.input.shape()[axis + 1]);
    let padded = [0, 1, 2].map(|axis| shape[axis].next_multiple_of(multiple[axis]));
    let block = [0, 1, 2].map(|axis| block[axis].min(padded[axis]));
    let initial = repeated(&case.initial, padded);
    let input = repeated(&case.input, [0, 1, 2].map(|axis| padded[axis] / factor[axis]));
    let step = [0, 1, 2].map(|axis| block[axis].saturating_sub(OVERLAP).max(block[axis] / 2).max(1));
    let places = [0, 1, 2].map(|axis| starts(padded[axis], block[axis], step[axis], multiple[axis]));
    let condition = case.condition_on(device);
    let windows = |at: [usize; 3]| {
        [0, 1, 2].map(|axis| {
            let ends = [at[axis] == 0, at[axis] + block[axis] == padded[axis]];
            fading(block[axis], block[axis] - step[axis], ends)
        })
    };
    let mut sum = Array4::<f32>::zeros((channels, padded[0], padded[1], padded[2]));
    let mut weights = Array4::<f32>::zeros((1, padded[0], padded[1], padded[2]));
    for &z in &places[0] {
        for &y in &places[1] {
            for &x in &places[2] {
                let at = [z, y, x];
                let cut = |image: &Array4<f32>, factor: [usize; 3]| {
                    let [z, y, x] = [0, 1, 2].map(|a| at[a] / factor[a]..(at[a] + block[a]) / factor[a]);
                    image_to_tensor::<B>(&image.slice(s![.., z, y, x]).to_owned(), device)
                };
                let problem = Problem {
                    input: cut(&input, factor),
                    initial: cut(&initial, [1; 3]),
                    condition: condition.clone(),
                    measured: Measured::Nothing,
                };
                let made = tensor_to_image(network.forward(&problem));
                let part = s![.., z..z + block[0], y..y + block[1], x..x + block[2]];
                let windows = windows(at);
                let counts = Array4::from_shape_fn((1, block[0], block[1], block[2]), |(_, z, y, x)| {
                    windows[0][z] * windows[1][y] * windows[2][x]
                });
                let mut sum = sum.slice_mut(part);
                sum += &(made * &counts);
                let mut weights = weights.slice_mut(part);
                weights += &counts;
            }
        }
    }
    sum /= &weights;
    sum.slice(s![.., ..d, ..h, ..w]).to_owned()
}

/// How much the voxels along an axis of a block count that shares `overlap` voxels with the next; at the `ends` of the
/// volume there is no other.
fn fading(length: usize, overlap: usize, ends: [bool; 2]) -> Vec<f32> {
    let blind = overlap / 4;
    let ramp = (overlap - 2 * blind).max(1) as f64;
    let from = |depth: usize, end: bool| match end {
        true => 1.0,
        false => ((depth as f64 + 0.5 - blind as f64) / ramp).clamp(0.0, 1.0),
    };
    (0..length).map(|i| from(i, ends[0]).min(from(length - 1 - i, ends[1])) as f32).collect()
}

/// `image` `[C, D, H, W]` on the grid `shape`, its last planes repeated.
fn repeated(image: &Array4<f32>, shape: [usize; 3]) -> Array4<f32> {
    (0..3).fold(image.clone(), |image, axis| {
        let (length, axis) = (image.shape()[axis + 1], Axis(axis + 1));
        let missing = shape[axis.0 - 1] - length;
        if missing == 0 {
            return image;
        }
        let last = image.slice_axis(axis, (length - 1..length).into());
        let parts: Vec<_> = std::iter::once(image.view()).chain(std::iter::repeat_n(last, missing)).collect();
        concatenate(axis, &parts).expect("planes of one shape")
    })
}

#[cfg(test)]
mod tests {
    use super::{OVERLAP, blocks, blocks_within, fading};
    use crate::config::AnyRecipe;

    /// Two neighbours together count the same everywhere.
    #[test]
    fn one_block_fades_into_the_next() {
        let (first, second) = (fading(20, 8, [true, false]), fading(20, 8, [false, true]));
        let both: Vec<f32> = (0..8).map(|i| first[12 + i] + second[i]).collect();
        assert_eq!(both, [1.0; 8]);
        assert_eq!((first[0], first[19], second[0], second[19]), (1.0, 0.0, 0.0, 1.0));
        assert_eq!(fading(4, 2, [true, true]), [1.0; 4]);
    }

    #[test]
    fn blocks_shrink_until_their_features_fit() {
        let AnyRecipe::Head(recipe) = AnyRecipe::open("superres").unwrap() else { panic!("a head") };
        let each = recipe.network.bytes_per_voxel();
        let (whole, multiple) = blocks(&recipe);
        let bytes = whole.iter().product::<usize>() as u64 * each;
        assert_eq!(blocks_within(&recipe, bytes), (whole, multiple));
        let (smaller, _) = blocks_within(&recipe, bytes - 1);
        assert!((smaller.iter().product::<usize>() as u64 * each) < bytes, "{smaller:?} of {whole:?}");
        assert!([0, 1, 2].iter().all(|&axis| smaller[axis].is_multiple_of(multiple[axis])));
        let (least, _) = blocks_within(&recipe, 0);
        assert!(least.iter().all(|&n| (2 * OVERLAP..whole[0]).contains(&n)), "{least:?}");
    }
}
