//! Measures of the shape of a mask: its connected components, its Euler number, the area of its surface.

mod components;
mod configurations;
mod whole;

pub use components::{Component, Components, Connectivity, components};
pub use configurations::Configurations;
pub use whole::{filled, whole};
