//! The generative family: StyleGAN2 (Karras et al. 2019, arXiv 1912.04958) on `[N, C, D, H, W]`.

pub mod augment;
mod condition;
mod discriminator;
mod generator;
pub mod loss;
mod mapping;
mod population;
mod regularise;
mod synthesis;

pub use augment::{AdaptiveP, Augmentation};
pub use condition::Conditions;
pub use discriminator::{Discriminator, DiscriminatorBlock, Epilogue};
pub use generator::Generator;
pub use mapping::{MAPPING_LR_MULTIPLIER, Mapping, MappingConfig, Truncation};
pub use population::Population;
pub use regularise::{ImageGradient, discriminator_gradient, image_gradient, path_gradient};
pub use synthesis::{Synthesis, SynthesisBlock};
