//! Convolution and its gradients by direct sums.
//!
//! - `forward`: convolution and its input gradient as gathers, `axes`: which voxels meet, `gather`: the loop nest,
//!   `stage`: the rows that a job reads, `tile` and `joined`: the innermost loops, `weights`: blocked weights,
//!   `finish`: what happens to results before they are written;
//! - `weight_grad`: the weight gradient, `correlate`: its innermost loops.

mod axes;
mod correlate;
mod finish;
mod forward;
mod gather;
mod joined;
mod stage;
mod tile;
mod weight_grad;
mod weights;

#[cfg(test)]
mod tests;

pub use forward::{conv3d_input_grad_on, conv3d_on};
pub use weight_grad::conv3d_weight_grad_on;
