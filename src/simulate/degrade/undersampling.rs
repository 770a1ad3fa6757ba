//! Undersampling: k-space is measured at some places only; the others are zero.

use ndarray::{Array3, Axis};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::spectrum::through_kspace;
use super::{Component, Degraded};
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::operators::sampled::Sampled;
use crate::acquisition::sampling::{Pattern, Seed};
use crate::error::{Error, Result};
use crate::volume::Volume;

/// [`Undersampling`] whose seed can be drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomUndersampling {
    /// A pattern, or a fixed mask.
    pub sampling: Sampling,
    /// The pattern's seed; `None` to draw it.
    #[serde(default)]
    pub seed: Option<Seed>,
    /// Magnitude or real part.
    #[serde(default)]
    pub component: Component,
}

/// The measured places of k-space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The places of a pattern.
    Pattern(Pattern),
    /// The places of a mask.
    Mask(MaskRuns),
}

/// The zero-filled image of undersampled k-space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undersampling {
    /// A pattern or a mask.
    pub sampling: Sampling,
    /// The pattern's seed.
    pub seed: Seed,
    /// Magnitude or real part.
    pub component: Component,
}

impl RandomUndersampling {
    /// Draws the seed, below 2³² so that every pattern takes it.
    ///
    /// # Errors
    /// [`Error::Value`] for a pattern or a mask that does not fit the volume.
    pub fn draw(&self, volume: &Volume, rng: &mut impl Rng) -> Result<Undersampling> {
        let drawn = Seed::Number(rng.random::<u32>().into());
        let seed = self.seed.clone().unwrap_or(drawn);
        let drawn = Undersampling { sampling: self.sampling.clone(), seed, component: self.component };
        drawn.mask(volume)?;
        Ok(drawn)
    }
}

impl Undersampling {
    /// The mask `[D, H, W]` for `volume`, DC at ⌊n/2⌋ of every axis. A mask of length one along an axis is repeated
    /// along it, such as that of a slice for every slice.
    ///
    /// # Errors
    /// [`Error::Value`] for a pattern or a mask that does not fit the volume.
    pub fn mask(&self, volume: &Volume) -> Result<Array3<bool>> {
        let (_, d, h, w) = volume.data.dim();
        match &self.sampling {
            Sampling::Pattern(pattern) => Ok(pattern.mask([d, h, w], &self.seed)?.sampled),
            Sampling::Mask(runs) => {
                let mask = runs.mask()?;
                if let Some(mask) = mask.broadcast((d, h, w)) {
                    return Ok(mask.to_owned());
                }
                let expected = format!("[D, H, W] = {:?}, or 1 along axes of no matter", [d, h, w]);
                let found = format!("{:?}", mask.shape());
                Err(Error::value("mask", expected, found, "give a mask of the volume's shape"))
            }
        }
    }

    ///
    /// # Errors
    /// [`Error::Value`] for a pattern or a mask that does not fit the volume.
    /// The zero-filled volume.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        let mask = self.mask(volume)?;
        let count = mask.iter().filter(|sampled| **sampled).count();
        let step = format!("undersampled, {count} of {} places", mask.len());
        // A mask that is the same all along an axis needs no transform there: rows of it are equal.
        let varies = |axis: usize| {
            let mut planes = mask.axis_iter(Axis(axis));
            let first = planes.next();
            planes.any(|plane| Some(plane) != first)
        };
        let axes: Vec<usize> = (0..3).filter(|&axis| varies(axis)).collect();
        let (_, d, h, w) = volume.data.dim();
        let sampled = Sampled::new(mask, 1);
        let mut degraded = through_kspace(volume, &axes, self.component, |_, k| {
            let k = k.into_shape_with_order(vec![1, d, h, w]).expect("one coil more");
            Ok(sampled.forward(k).into_shape_with_order(vec![d, h, w]).expect("one coil less"))
        })?;
        degraded.volume = degraded.volume.with_step(step);
        Ok(degraded)
    }
}

/// A run-length encoded mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskRuns {
    /// Shape of the mask, `[D, H, W]`.
    pub shape: [usize; 3],
    /// Lengths of the runs in C order, alternately of false and true, starting with false.
    pub runs: Vec<usize>,
}

impl From<&Array3<bool>> for MaskRuns {
    fn from(mask: &Array3<bool>) -> Self {
        let (mut runs, mut last) = (vec![0], false);
        for &sampled in mask {
            if sampled != last {
                runs.push(0);
                last = sampled;
            }
            *runs.last_mut().expect("there is a first run") += 1;
        }
        Self { shape: mask.dim().into(), runs }
    }
}

impl MaskRuns {
    /// The mask `[D, H, W]`.
    ///
    /// # Errors
    /// [`Error::Value`] for runs that do not fill the shape.
    pub fn mask(&self) -> Result<Array3<bool>> {
        let places = self.shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
        let total = self.runs.iter().try_fold(0_usize, |n, &m| n.checked_add(m));
        if places.is_none() || places != total {
            let (expected, found) = (format!("{places:?} places in all"), format!("{total:?}"));
            return Err(Error::value("mask.runs", expected, found, "look where the record comes from"));
        }
        let mut values = Vec::with_capacity(places.unwrap_or(0));
        for (number, &run) in self.runs.iter().enumerate() {
            values.resize(values.len() + run, number % 2 == 1);
        }
        Ok(Array3::from_shape_vec(self.shape, values).expect("the runs fill the shape"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_mask_and_back() {
        for rule in [|n: usize| n.is_multiple_of(3), |n: usize| n < 5, |_| false, |_| true] {
            let mask = Array3::from_shape_fn((2, 3, 4), |(d, h, w)| rule(d * 12 + h * 4 + w));
            let runs = MaskRuns::from(&mask);
            assert_eq!(runs.mask().unwrap(), mask);
        }
        assert!(MaskRuns { shape: [2, 2, 2], runs: vec![3, 4] }.mask().is_err());
        assert!(MaskRuns { shape: [usize::MAX, 2, 2], runs: vec![usize::MAX, 4] }.mask().is_err());
    }
}
