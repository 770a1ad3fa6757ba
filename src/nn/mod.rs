//! Layers of StyleGAN2 on `[N, C, D, H, W]`, one a file. Parameters are stored before the scaling of the equalised
//! learning rate, under the names of the authors' program. Also: the optimiser and its schedules.

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

/// Gain of the leaky ReLU, √2 as in StyleGAN2, which about preserves the variance of its input.
pub const LRELU_GAIN: f64 = std::f64::consts::SQRT_2;

/// The kernel over a grid `[D, H, W]`: `size` along each axis, but one where the grid has a single voxel.
pub fn kernel_over(grid: [usize; 3], size: usize) -> [usize; 3] {
    grid.map(|n| if n == 1 { 1 } else { size })
}
