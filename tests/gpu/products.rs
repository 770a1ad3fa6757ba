//! Products of matrices and kernels of one voxel, which burn 0.21 computes wrong for some operands
//! (docs/decisions/0023-products-of-two-matrices.md).

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv3d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};
use voxgan::ops::{ConvGeometry, Shaped, VolumeOps, plain, product};

use crate::card::{Fused, Plain, device, draw, error, tensor, values};

const SAMPLES: usize = 3;
const CHANNELS: [usize; 2] = [8, 16];
const GRID: [usize; 3] = [4, 4, 4];

/// Volumes `[N, C, D, H, W]` whose memory is channels-last, a plane longer than they are along `axis`, and kernels of one voxel.
fn cut<B: Backend>(device: &B::Device, axis: usize) -> [Tensor<B, 5>; 2] {
    let ([i, o], [d, h, w]) = (CHANNELS, GRID);
    let mut whole = [SAMPLES, d, h, w, i];
    whole[axis - 1] += 1;
    let numbers = |number, shape: [usize; 5]| {
        tensor::<B>(&draw(1, number, shape.iter().product()), (device, DType::F32)).shaped(shape)
    };
    let x = numbers(0, whole).permute([0, 4, 1, 2, 3]).narrow(axis, 0, GRID[axis - 2]);
    [x, numbers(1, [o, i, 1, 1, 1])]
}

fn by_burn<B: Backend>(device: &B::Device, axis: usize) -> Vec<f64> {
    let [x, w] = cut::<B>(device, axis);
    values(conv3d(x, w, None, ConvOptions::new([1; 3], [0; 3], [1; 3], 1)))
}

fn by_us<B: VolumeOps>(device: &B::Device, axis: usize) -> Vec<f64> {
    let [x, w] = cut::<B>(device, axis);
    values(plain::conv3d(x, w, ConvGeometry::same(GRID, [1; 3])))
}

/// Where burn computes it right, `ops::plain` can leave it to burn.
#[test]
fn burn_reads_past_what_was_cut() {
    let Some(device) = device() else { return };
    let wrong = error(&by_burn::<Plain>(&device, 2), &by_burn::<Flex>(&Default::default(), 2), 1e-2);
    assert!(wrong > 0.1, "the fault is mended: {wrong:.1e}");
}

#[test]
fn kernels_of_one_voxel_see_volumes_however_they_lie() {
    let Some(device) = device() else { return };
    for axis in [2, 3, 4] {
        let expected = by_burn::<Flex>(&Default::default(), axis);
        for found in [by_us::<Plain>(&device, axis), by_us::<Fused>(&device, axis)] {
            let error = error(&found, &expected, 1e-2);
            assert!(error < 1e-5, "cut along axis {axis}: {error:.1e}");
        }
    }
}

/// Products whose K is one stage of kernels with two buffers, by transposed matrices, and their gradients' products.
#[test]
fn products_of_transposed_matrices() {
    fn made<B: VolumeOps>(device: &B::Device, [m, k, n]: [usize; 3]) -> Vec<f64> {
        let numbers = |number, shape: [usize; 2]| {
            tensor::<B>(&draw(1, number, shape.iter().product()), (device, DType::F32)).shaped(shape)
        };
        values(product(numbers(0, [m, k]), numbers(1, [n, k]).transpose()))
    }
    let Some(device) = device() else { return };
    for shape in [[4096, 8, 8], [2400, 8, 8], [8, 2400, 8], [512, 8, 16], [1024, 24, 8]] {
        let expected = made::<Flex>(&Default::default(), shape);
        for found in [made::<Plain>(&device, shape), made::<Fused>(&device, shape)] {
            let error = error(&found, &expected, 1e-2);
            assert!(error < 1e-5, "{shape:?}: {error:.1e}");
        }
    }
}
