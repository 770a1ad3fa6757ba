//! CPU kernels on plain `f32` slices: 3D convolution and its gradients, the FIR resampler, and pointwise operations.
//!
//! - `shape`: the shape of a convolution, `conv`: the choice between its two forms, `direct` and `winograd`;
//! - `fir`: resampling along up to three axes in one pass over memory;
//! - `passes`: pointwise operations and sums, in one pass over memory each;
//! - `lanes`: sixteen numbers in the registers of each instruction set, and the choice among the sets;
//! - `layout`: layouts of channels in memory, `blocks`: an allocator that reuses the memory of volumes.
//!
//! Kernels are `[O, I, kd, kh, kw]`, row-major. Every sum has an order that depends on shapes alone, so that results do
//! not depend on the number of threads.

mod blocks;
mod conv;
mod direct;
mod fir;
mod lanes;
mod layout;
mod passes;
mod shape;
mod winograd;

pub use blocks::Blocks;
pub use conv::Form;
pub use fir::{Pass, fir};
pub use lanes::{Isa, LANES, isa};
pub use layout::Layout;
pub use passes::epilogue::{Epilogue, SLOPE};
pub use passes::{
    EpilogueGrad, Volumes, add, add_field, channel_collect, channel_dot, channel_scale, channel_sum,
    epilogue, epilogue_grad, lrelu_mask, scale_and_dot, to_blocked, to_plain,
};
pub use shape::Conv3d;
