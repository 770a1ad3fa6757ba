//! The physics of the scanner as tensor operations, each with its adjoint and differentiable to any order.
//!
//! Complex tensors are `[N, 2·C, D, H, W]`: coil c's real part is channel 2c, its imaginary part channel 2c + 1; an image
//! is that of one coil. The adjoint is that of `⟨x, y⟩ = Σ conj(x)·y`; the gradient of a real number in such a tensor is
//! that in real and imaginary part, so that of ½‖Ax − y‖² in x is `Aᴴ(Ax − y)`.
//!
//! What an operation acts with is told in plain numbers and put on the device once, in the device's default precision; an
//! operation on tensors of another one takes it there.

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
