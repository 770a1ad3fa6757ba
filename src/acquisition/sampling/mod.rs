//! Sampling: which places of k-space are measured.
//!
//! A [`Pattern`] is plain data for recipes, sidecars and the command line. [`Pattern::mask`] is deterministic: one
//! shape and [`Seed`] give one [`Mask`], whatever the number of threads.
//!
//! | Pattern | Acts on | Acceleration |
//! |---|---|---|
//! | [`FastMri`]: random, equispaced, equispaced-fraction, magic, magic-fraction | columns | fastMRI's, bit for bit |
//! | [`Gaussian`] | one to three axes | exact |
//! | [`Poisson`] | two axes | exact |
//! | [`Radial`], [`Spiral`] | two axes | nearest number of spokes, turns; both have a [`Trajectory`] |
//! | [`Caipi`] | two axes | the lattice's |
//! | [`PartialFourier`] | one axis | 1 / fraction |
//! | [`Pattern::And`] | what its parts act on | their product |
//!
//! A pattern is constant along the axes that it does not act on. "Exact" means `round(places / R)` samples.

mod caipi;
mod calibration;
mod fastmri;
mod gaussian;
mod left;
mod mersenne;
mod partial_fourier;
mod plane;
mod poisson;
mod radial;
mod report;
mod spiral;
mod trajectory;

pub use caipi::Caipi;
pub use calibration::calibration_region;
pub use fastmri::{Columns, FastMri};
pub use gaussian::Gaussian;
pub use left::Left;
pub use mersenne::Mersenne;
use ndarray::Array3;
pub use partial_fourier::{End, PartialFourier};
pub use poisson::Poisson;
pub use radial::{Angles, Radial, Spokes};
pub use report::Report;
use serde::{Deserialize, Serialize};
pub use spiral::{Spiral, Turns};
pub use trajectory::Trajectory;

use crate::error::{Error, Result};
pub use crate::volume::Axis;

/// The plane that two-dimensional patterns act on by default.
const PLANE: [Axis; 2] = [Axis::H, Axis::W];

/// Where a pattern's draws start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seed {
    /// A number; fastMRI's patterns take those below 2³².
    Number(u64),
    /// A name, as fastMRI seeds the mask of each file: its code points.
    Name(String),
}

impl Seed {
    /// The seed as a number: of a name, the first 64 bits that numpy's generator gives for it.
    pub fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Name(name) => {
                let mut rng = Mersenne::from_key(&code_points(name));
                u64::from(rng.next_u32()) << 32 | u64::from(rng.next_u32())
            }
        }
    }
}

impl From<u64> for Seed {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

fn code_points(name: &str) -> Vec<u32> {
    name.chars().map(u32::from).collect()
}

/// Draw-sites of this module: the `phase` of their streams, with the axes in the low bits so that two patterns that
/// meet in an [`Pattern::And`] do not share draws.
const GAUSSIAN: u64 = 0x5a00;
const POISSON: u64 = 0x5a10;
const RADIAL: u64 = 0x5a20;
const SPIRAL: u64 = 0x5a30;

/// The measured places of k-space, and the acceleration that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// `[D, H, W]`, DC at ⌊n/2⌋ of every axis.
    pub sampled: Array3<bool>,
    /// The acceleration that was asked for, where the pattern has one.
    pub nominal: Option<f64>,
}

impl Mask {
    /// The mask's figures: real acceleration, calibration region, side lobe.
    pub fn report(&self) -> Report {
        Report { nominal: self.nominal, ..Report::of(&self.sampled) }
    }

    /// The places that both masks measure; nominal accelerations multiply.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn intersect(mut self, other: &Self) -> Self {
        assert_eq!(self.sampled.dim(), other.sampled.dim(), "masks of two shapes");
        self.sampled.zip_mut_with(&other.sampled, |a, b| *a &= b);
        self.nominal = match (self.nominal, other.nominal) {
            (Some(a), Some(b)) => Some(a * b),
            (a, b) => a.or(b),
        };
        self
    }
}

/// A way of sampling and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pattern {
    /// Columns as in the fastMRI challenge.
    #[serde(rename = "fastmri")]
    FastMri(FastMri),
    /// Places drawn with a Gaussian density.
    Gaussian(Gaussian),
    /// A Poisson disc of variable density.
    Poisson(Poisson),
    /// Spokes through the centre, on the grid.
    Radial(Radial),
    /// Interleaved spirals, on the grid.
    Spiral(Spiral),
    /// A lattice whose rows are shifted.
    Caipi(Caipi),
    /// A contiguous part of an axis from one end.
    PartialFourier(PartialFourier),
    /// The intersection of several patterns.
    And {
        /// At least one.
        patterns: Vec<Pattern>,
    },
}

impl Pattern {
    /// The mask of a k-space of `shape` `[D, H, W]`.
    ///
    /// # Errors
    /// [`Error::Value`] with the key of the parameter that is not possible: an extent of zero, an acceleration below
    /// one, a calibration region that needs more samples than there are, an axis given twice; and as the pattern's own
    /// `mask`.
    pub fn mask(&self, shape: [usize; 3], seed: &Seed) -> Result<Mask> {
        match self {
            Self::FastMri(pattern) => pattern.mask(shape, seed),
            Self::Gaussian(pattern) => pattern.mask(shape, seed),
            Self::Poisson(pattern) => pattern.mask(shape, seed),
            Self::Radial(pattern) => pattern.mask(shape, seed),
            Self::Spiral(pattern) => pattern.mask(shape, seed),
            Self::Caipi(pattern) => pattern.mask(shape),
            Self::PartialFourier(pattern) => pattern.mask(shape),
            Self::And { patterns } => {
                let (first, others) = patterns.split_first().ok_or_else(|| {
                    Error::value("patterns", "at least one pattern", "none", "name the patterns to combine")
                })?;
                let first = first.mask(shape, seed)?;
                others.iter().try_fold(first, |mask, other| Ok(mask.intersect(&other.mask(shape, seed)?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_number_are_told_apart_in_records() {
        for (seed, text) in [(Seed::from(7), "7"), (Seed::Name("7".into()), "\"7\"")] {
            assert_eq!(serde_json::to_string(&seed).unwrap(), text);
            assert_eq!(serde_json::from_str::<Seed>(text).unwrap(), seed);
        }
        assert_ne!(Seed::Name("7".into()).number(), 7);
    }

    #[test]
    fn what_is_measured_by_both_is_measured_by_the_intersection() {
        let half = |axis, end| Pattern::PartialFourier(PartialFourier { fraction: 0.75, end, axis });
        let parts = vec![half(Axis::H, End::Low), half(Axis::W, End::High)];
        let masks: Vec<Mask> = parts.iter().map(|p| p.mask([2, 8, 12], &0.into()).unwrap()).collect();
        let both = Pattern::And { patterns: parts }.mask([2, 8, 12], &0.into()).unwrap();
        for (index, &sampled) in both.sampled.indexed_iter() {
            assert_eq!(sampled, masks[0].sampled[index] && masks[1].sampled[index]);
            assert_eq!(sampled, index.1 < 6 && index.2 >= 3);
        }
        assert_eq!(both.nominal, Some(16.0 / 9.0));
        assert!(Pattern::And { patterns: vec![] }.mask([1, 8, 8], &0.into()).is_err());
    }
}
