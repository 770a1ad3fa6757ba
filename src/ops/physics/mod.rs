//! The physics of the scanner as tensor operations, each with its adjoint and differentiable to any order.
//!
//! Complex tensors are `[N, 2·C, D, H, W]`: coil c's real part is channel 2c, its imaginary part channel 2c + 1; an
//! image has one coil. The adjoint is that of `⟨x, y⟩ = Σ conj(x)·y`. The gradient of a real number in such a tensor
//! consists of the gradients in real and imaginary part, so that the gradient of ½‖Ax − y‖² in x is `Aᴴ(Ax − y)`.
//!
//! An operation's parameters (maps, masks, matrices) are given in plain numbers and put on the device once, in the
//! device's default precision; they are cast to the type of the tensor that an operation is applied to.

mod along;
mod coils;
mod encoder;
mod gridded;
mod placed;
mod vector;

pub use along::{Along, Matrix};
pub use coils::{Coils, join, split};
pub use encoder::Encoder;
pub use gridded::Gridded;
pub use placed::{Motion, Selection, centred};
