//! Layers of StyleGAN2 on `[N, C, D, H, W]`: each file is one layer, its parameters stored before the equalised
//! learning rate's scaling, under the names of the authors' program; and how parameters step.

pub mod adam;
mod conditioned;
mod conv;
mod fully_connected;
mod init;
mod minibatch_deviation;
mod modulated;
mod noise;
mod normalised;
pub mod parameters;
mod resample;
pub mod schedule;
mod space_to_depth;
mod to_image;

pub use conditioned::{ConditionedConv, ConditionedConvConfig};
pub use conv::{Conv, ConvConfig};
pub use fully_connected::{FullyConnected, FullyConnectedConfig};
pub use init::Init;
pub use minibatch_deviation::minibatch_deviation;
pub use modulated::{ModulatedConv, ModulatedConvConfig};
pub use noise::Noise;
pub use normalised::{NormalisedConv, NormalisedConvConfig, normalising};
pub use resample::{downsample, downsampling_blur, upsample, upsample_features};
pub use space_to_depth::{depth_to_space, filled, space_to_depth};
pub use to_image::{ToImage, ToImageConfig};

/// Gain of the leaky ReLU that keeps the variance of its input.
pub const LRELU_GAIN: f64 = std::f64::consts::SQRT_2;

/// Size of a kernel over a grid: `size` along an axis, but one where the axis has a single voxel.
pub fn kernel_over(grid: [usize; 3], size: usize) -> [usize; 3] {
    grid.map(|n| if n == 1 { 1 } else { size })
}
