//! Measures of the shape of a mask: its connected pieces, its Euler number, the area of its surface.

mod components;
mod configurations;
mod whole;

pub use components::{Components, Connectivity, Piece, components};
pub use configurations::Configurations;
pub use whole::{filled, whole};
