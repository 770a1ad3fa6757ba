//! The only conversion between volumes on the host and tensors on a device.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use ndarray::Array4;

use crate::error::{Error, Result};
use crate::volume::{Volume, VoxelToWorld};

/// Volumes of one shape as a batch `[N, C, D, H, W]`.
///
/// # Errors
/// [`Error::Value`] if there is none or their shapes differ.
pub fn to_tensor<B: Backend>(volumes: &[Volume], device: &B::Device) -> Result<Tensor<B, 5>> {
    let shape = volumes.first().map(|v| v.data.dim());
    let Some((c, d, h, w)) = shape else {
        return Err(Error::value("volumes", "at least one", "none", "give a volume"));
    };
    let mut values: Vec<f32> = Vec::with_capacity(volumes.len() * c * d * h * w);
    for volume in volumes {
        if volume.data.dim() != (c, d, h, w) {
            let (expected, found) =
                (format!("{:?} as the first", (c, d, h, w)), format!("{:?}", volume.data.dim()));
            return Err(Error::value("shape of a volume", expected, found, "bring the volumes to one grid"));
        }
        values.extend(volume.data.iter());
    }
    Ok(Tensor::from_data(TensorData::new(values, [volumes.len(), c, d, h, w]), device))
}

/// A batch `[N, C, D, H, W]` as volumes with this voxel-to-world affine.
pub fn to_volumes<B: Backend>(tensor: Tensor<B, 5>, affine: &VoxelToWorld) -> Vec<Volume> {
    let [n, c, d, h, w] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    let voxels = c * d * h * w;
    (0..n)
        .map(|i| {
            let values = values[i * voxels..(i + 1) * voxels].to_vec();
            let data =
                Array4::from_shape_vec((c, d, h, w), values).expect("a tensor has the voxels of its shape");
            Volume::new(data, *affine)
        })
        .collect()
}

/// An image `[C, D, H, W]` as a batch of one, `[1, C, D, H, W]`.
pub fn image_to_tensor<B: Backend>(image: &Array4<f32>, device: &B::Device) -> Tensor<B, 5> {
    let (c, d, h, w) = image.dim();
    Tensor::from_data(TensorData::new(image.iter().copied().collect::<Vec<f32>>(), [1, c, d, h, w]), device)
}

/// A batch of one as an image `[C, D, H, W]`.
///
/// # Panics
/// If the batch has several samples.
pub fn tensor_to_image<B: Backend>(tensor: Tensor<B, 5>) -> Array4<f32> {
    let [_, c, d, h, w] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    Array4::from_shape_vec((c, d, h, w), values).expect("a tensor has the voxels of its shape")
}
