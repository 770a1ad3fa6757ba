//! The augmentation of the discriminator's input.

use serde::{Deserialize, Serialize};

/// The policy of augmentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AugmentationPolicy {
    /// Adaptive discriminator augmentation (ADA, Karras et al. 2020, arXiv 2006.06676): many operations, each with a
    /// probability that rises as the discriminator overfits.
    #[default]
    Adaptive,
    /// DiffAugment (Zhao et al. 2020, arXiv 2006.10738): brightness, contrast, translation and cut-out, always on, with
    /// the strengths of the paper.
    DiffAugment,
}

/// The augmentation of the discriminator's input, real and synthetic volumes alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentationRecipe {
    /// Whether real and synthetic volumes are augmented before the discriminator.
    pub enabled: bool,
    /// The policy. All keys below are of the adaptive policy.
    pub policy: AugmentationPolicy,
    /// The target of `r_t`, the mean sign of the discriminator's logits on reals, for the adaptation of the
    /// probability.
    pub target: f64,
    /// Thousands of volumes over which the probability can change from 0 to 1.
    pub adjust_kimg: f64,
    /// Steps from one adjustment to the next.
    pub interval: usize,
    /// Probability at the start of a run.
    pub initial_p: f64,
    /// A fixed probability in place of the adaptive one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_p: Option<f64>,
    /// Whether volumes are flipped along W, the only axis along which a brain is nearly symmetric.
    pub flip_left_right: bool,
    /// Standard deviation of a rotation about a random axis, in degrees; the voxel size is that of the data.
    pub rotation_sigma_deg: f64,
    /// σ of isotropic scaling by `2^N(0, σ)`.
    pub scale_sigma: f64,
    /// σ of scaling each axis by `2^N(0, σ)`. Half of the 0.2 used for photographs: heads differ in size more than
    /// in proportion.
    pub anisotropic_sigma: f64,
    /// Standard deviation of a shift, as a part of each axis's length.
    pub shift_sigma: f64,
    /// σ of added brightness `N(0, σ)`.
    pub brightness_sigma: f64,
    /// σ of contrast scaling by `2^N(0, σ)`.
    pub contrast_sigma: f64,
    /// Standard deviation of an elastic displacement along each axis, in millimetres; 0 for none.
    pub elastic_sigma_mm: f64,
    /// Distance between the control points of the displacement in millimetres; at least six of its standard deviations.
    pub elastic_spacing_mm: f64,
    /// σ of amplifying each of four octaves of spatial frequency by `2^N(0, σ)`; 0 for none, ADA has 1.
    pub band_sigma: f64,
    /// σ of the standard deviation `|N(0, σ)|` of added noise; 0 for none, ADA has 0.1.
    pub noise_sigma: f64,
    /// Size of the box that is cut out, as a part of each axis's length; 0 for none, ADA has 0.5.
    pub cutout_size: f64,
}

impl Default for AugmentationRecipe {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: AugmentationPolicy::Adaptive,
            target: 0.6,
            adjust_kimg: 500.0,
            interval: 4,
            initial_p: 0.0,
            fixed_p: None,
            flip_left_right: true,
            rotation_sigma_deg: 10.0,
            scale_sigma: 0.2,
            anisotropic_sigma: 0.1,
            shift_sigma: 0.125,
            brightness_sigma: 0.2,
            contrast_sigma: 0.5,
            elastic_sigma_mm: 0.0,
            elastic_spacing_mm: 40.0,
            band_sigma: 0.0,
            noise_sigma: 0.0,
            cutout_size: 0.0,
        }
    }
}
