//! The embedded networks, by name; the lists are empty without the feature `embedded-weights`.

#[cfg(feature = "embedded-weights")]
use super::restorer::{INPAINT, MOTION, PROGRESS, RECON, SUPERRES, TRANSLATE};
use super::source::Embedded;

/// Generators.
#[cfg(feature = "embedded-weights")]
pub const GENERATORS: &[Embedded] = &[("brain-4mm", voxgan_weights_generators::BRAIN_4MM)];
/// Restoration networks.
#[cfg(feature = "embedded-weights")]
pub const RESTORERS: &[Embedded] = &[
    (SUPERRES, voxgan_weights_restoration::SUPERRES),
    (RECON, voxgan_weights_restoration::RECON),
    (MOTION, voxgan_weights_restoration::MOTION),
    (INPAINT, voxgan_weights_restoration::INPAINT),
    (TRANSLATE, voxgan_weights_restoration::TRANSLATE),
    (PROGRESS, voxgan_weights_restoration::PROGRESS),
];
/// Segmenters.
#[cfg(feature = "embedded-weights")]
pub const SEGMENTERS: &[Embedded] = &[(super::segmenter::EMBEDDED, voxgan_weights_segmenter::ANATOMY)];
/// The network in whose features realism is measured.
#[cfg(feature = "embedded-weights")]
pub const FEATURES: &[Embedded] = &[(super::segmenter::FEATURES, voxgan_weights_segmenter::FEATURES)];

#[cfg(not(feature = "embedded-weights"))]
mod none {
    use super::Embedded;

    pub const GENERATORS: &[Embedded] = &[];
    pub const RESTORERS: &[Embedded] = &[];
    pub const SEGMENTERS: &[Embedded] = &[];
    pub const FEATURES: &[Embedded] = &[];
}
#[cfg(not(feature = "embedded-weights"))]
pub use none::{FEATURES, GENERATORS, RESTORERS, SEGMENTERS};
