//! Blocks of voxels as channels, and back, so that a network can work on a coarser grid without loss.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::ops::Shaped;

/// The voxels of each block of `factors` as channels of one place of the coarser grid, in the order of memory.
///
/// # Shapes
/// `[N, C, D, H, W]` → `[N, C·f, D/fd, H/fh, W/fw]`, `f = fd·fh·fw`
///
/// # Panics
/// If an axis is no multiple of its factor.
pub fn space_to_depth<B: Backend>(x: Tensor<B, 5>, factors: [usize; 3]) -> Tensor<B, 5> {
    let ([n, c, d, h, w], [fd, fh, fw]) = (x.dims(), factors);
    if factors == [1; 3] {
        return x;
    }
    assert!(d % fd == 0 && h % fh == 0 && w % fw == 0, "blocks of {factors:?} in [{d}, {h}, {w}]");
    let blocks: Tensor<B, 8> = x.shaped([n, c, d / fd, fd, h / fh, fh, w / fw, fw]);
    let packed = blocks.permute([0, 1, 3, 5, 7, 2, 4, 6]); // [N, C, fd, fh, fw, D/fd, H/fh, W/fw]
    packed.shaped([n, c * fd * fh * fw, d / fd, h / fh, w / fw])
}

/// The inverse of [`space_to_depth`]: channels become the voxels of finer blocks (Shi et al. 2016, "sub-pixel
/// convolution").
///
/// # Shapes
/// `[N, C·f, D, H, W]` → `[N, C, D·fd, H·fh, W·fw]`, `f = fd·fh·fw`
///
/// # Panics
/// If the channels are no multiple of the factors' product.
pub fn depth_to_space<B: Backend>(x: Tensor<B, 5>, factors: [usize; 3]) -> Tensor<B, 5> {
    let ([n, packed, d, h, w], [fd, fh, fw]) = (x.dims(), factors);
    if factors == [1; 3] {
        return x;
    }
    assert!(packed.is_multiple_of(fd * fh * fw), "{packed} channels for blocks of {factors:?}");
    let c = packed / (fd * fh * fw);
    let blocks: Tensor<B, 8> = x.shaped([n, c, fd, fh, fw, d, h, w]);
    let voxels = blocks.permute([0, 1, 5, 2, 6, 3, 7, 4]); // [N, C, D, fd, H, fh, W, fw]
    voxels.shaped([n, c, d * fd, h * fh, w * fw])
}

/// `x` `[N, C, D, H, W]` with its last planes repeated until every axis is a multiple of its number in `multiples`.
pub fn filled<B: Backend>(x: Tensor<B, 5>, multiples: [usize; 3]) -> Tensor<B, 5> {
    (2..5).fold(x, |x, axis| {
        let length = x.dims()[axis];
        match length.next_multiple_of(multiples[axis - 2]) - length {
            0 => x,
            missing => {
                let mut shape = x.dims();
                shape[axis] = missing;
                let last = x.clone().narrow(axis, length - 1, 1).expand(shape);
                Tensor::cat(vec![x, last], axis)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn a_block_becomes_the_channels_of_one_place_and_back() {
        let numbers: Vec<f32> = (0..2 * 4 * 3 * 6).map(|i| i as f32).collect();
        let image = Tensor::<Flex, 5>::from_data(
            TensorData::new(numbers.clone(), [1, 2, 4, 3, 6]),
            &Default::default(),
        );
        let factors = [2, 1, 3];
        let packed = space_to_depth(image, factors);
        assert_eq!(packed.dims(), [1, 12, 2, 3, 2]);
        let values: Vec<f32> = packed.clone().into_data().into_vec().unwrap();
        for (channel, places) in values.chunks(12).enumerate() {
            let (c, fd, fw) = (channel / 6, channel / 3 % 2, channel % 3);
            for (place, &value) in places.iter().enumerate() {
                let (z, y, x) = (place / 6, place / 2 % 3, place % 2);
                let expected = ((c * 4 + 2 * z + fd) * 3 + y) * 6 + 3 * x + fw;
                assert_eq!(value, expected as f32);
            }
        }
        let back: Vec<f32> = depth_to_space(packed, factors).into_data().into_vec().unwrap();
        assert_eq!(back, numbers);
    }

    #[test]
    fn what_is_filled_repeats_the_last_plane() {
        let image =
            Tensor::<Flex, 5>::from_data([[[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]], &Default::default());
        let values: Vec<f32> = filled(image, [1, 2, 2]).into_data().into_vec().unwrap();
        assert_eq!(values, [1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0, 6.0]);
    }
}
