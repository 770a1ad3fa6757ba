//! Passes over memory: each reads its operands once and writes its result once, tile by tile (`volumes`).
//!
//! - `pointwise`: scaling, sums over channels or voxels, the leaky ReLU's mask;
//! - `epilogue`: the operations after a convolution, `epilogue_grad`: their gradients from the output;
//! - `convert`: between the layouts;
//! - `instances`: functions that the compiler vectorises, compiled for each instruction set.

mod convert;
pub(super) mod epilogue;
mod epilogue_grad;
pub(super) mod instances;
mod pointwise;
pub(super) mod volumes;

#[cfg(test)]
pub(super) mod tests;

pub use convert::{to_blocked, to_plain};
pub use epilogue::epilogue;
pub use epilogue_grad::{EpilogueGrad, epilogue_grad};
pub use pointwise::{
    add, add_field, channel_collect, channel_dot, channel_scale, channel_sum, lrelu_mask, scale_and_dot,
};
pub use volumes::Volumes;
