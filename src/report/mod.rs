//! Pictures of volumes and of training: montages as PNG, latent walks as GIF, plots as SVG.
//!
//! Nothing here computes results: values are drawn as given.

mod gif;
mod montage;
mod outline;
#[cfg(feature = "report")]
pub mod page;
#[cfg(feature = "report")]
mod plot;
#[cfg(feature = "report")]
pub mod plots;

pub use gif::write_gif;
pub use montage::{Montage, write_png};
pub use outline::{png_bytes, stacked};
#[cfg(feature = "report")]
pub use plot::{Series, line_svg};
