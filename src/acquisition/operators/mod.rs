//! The parts that a measurement is made of, as linear operators.

pub(super) mod array;
pub mod cartesian;
pub mod crop;
pub mod gradient;
pub mod gridding;
pub mod kaiser_bessel;
mod lines;
pub mod motion;
pub mod nufft;
pub mod sampled;
pub mod sensitivities;
pub mod shots;
pub mod slice_profile;
pub mod wavelet;
