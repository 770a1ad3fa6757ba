//! The fault of burn 0.21 that `ops::Shaped` goes around: reshaping to more axes of a tensor that is not contiguous and has
//! an axis of length one.

use burn::tensor::{Tensor, TensorData};
use voxgan::ops::Shaped;

use crate::card::{Fused, Plain, device, values};

/// `[0.5].reshape([1, 1]).expand([3, 1]).reshape([3, 1, 1])`. Where burn computes it right, `ops::Shaped` can go.
#[test]
#[expect(clippy::disallowed_methods, reason = "shows the fault")]
fn burn_reads_behind_an_expanded_tensor() {
    let Some(device) = device() else { return };
    let half: Tensor<Plain, 1> = Tensor::from_data(TensorData::new(vec![0.5f32], [1]), &device);
    let expanded = half.reshape([1, 1]).expand([3, 1]);
    assert_ne!(values(expanded.clone().reshape([3, 1, 1])), [0.5; 3], "the fault is mended");
    assert_eq!(values(expanded.shaped([3, 1, 1])), [0.5; 3]);
}

#[test]
fn shapes_with_axes_of_length_one_keep_their_numbers() {
    fn check<B: burn::tensor::backend::Backend>(device: &B::Device) {
        let numbers: Vec<f32> = (0..6).map(|n| n as f32).collect();
        let tensor = |shape| Tensor::<B, 3>::from_data(TensorData::new(numbers.clone(), shape), device);
        let once = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let turned = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
        let twice = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0];
        // Transposed, with an axis of length one behind, between and in front.
        let transposed = |shape, a, b| tensor(shape).swap_dims(a, b);
        assert_eq!(values(transposed([2, 3, 1], 0, 1).shaped([3, 2, 1, 1, 1])), turned);
        assert_eq!(values(transposed([2, 1, 3], 0, 2).shaped([3, 1, 1, 2])), turned);
        assert_eq!(values(transposed([1, 2, 3], 1, 2).shaped([1, 1, 3, 2])), turned);
        // Expanded along the last axis and along one between.
        assert_eq!(values(tensor([6, 1, 1]).expand([6, 2, 1]).shaped([6, 2, 1, 1])), twice);
        assert_eq!(values(tensor([6, 1, 1]).expand([6, 1, 2]).shaped([2, 3, 2, 1])), twice);
        assert_eq!(values(tensor([6, 1, 1]).shaped([1, 6, 1, 1])), once);
        // A part.
        assert_eq!(values(tensor([2, 3, 1]).narrow(1, 1, 2).shaped([2, 2, 1, 1])), [1.0, 2.0, 4.0, 5.0]);
    }
    let Some(device) = device() else { return };
    check::<Plain>(&device);
    check::<Fused>(&device);
}
