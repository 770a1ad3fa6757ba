//! The CPU backend: float32 runs on the kernels of [`super::cpu`], other types on plain burn operations.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorMetadata};

use super::{VolumeOps, WarpPass, lower, raise, warp};

impl VolumeOps for Flex {
    fn volume_warp(x: FlexTensor, pass: &WarpPass) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return lower(warp::warp_tensor::<Self>(raise(x), pass));
        }
        let x = x.to_contiguous();
        let shape = x.shape().dims::<5>();
        let values = warp::warp_slice(x.as_slice().expect("contiguous float32"), shape, pass);
        FlexTensor::from_data(burn::tensor::TensorData::new(values, shape))
    }
}
