//! The bias field: a smooth multiplicative field, from the uneven sensitivity of coils.

use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Degraded, check, uniform};
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Highest order of the polynomial: more would only cost time.
const ORDER_MAX: usize = 10;

/// Ranges of [`BiasField`], those of torchio's `RandomBiasField`, after Van Leemput et al. 1999, "Automated model-based
/// tissue classification of MR images of the brain", and Sudre et al. 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomBiasField {
    /// Order of the polynomial, 3 by default.
    pub order: usize,
    /// Range of every coefficient, `[-0.5, 0.5]` by default.
    pub coefficient: [f64; 2],
}

impl Default for RandomBiasField {
    fn default() -> Self {
        Self { order: 3, coefficient: [-0.5, 0.5] }
    }
}

/// The volume times `exp(Σ c·xᵃyᵇzᶜ)`, `a + b + c ≤ order`; `(x, y, z)` run from −1 at the first voxel's centre to 1 at
/// the last one's along `(i, j, k)`, and are 0 along an axis of one voxel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BiasField {
    /// Order of the polynomial.
    pub order: usize,
    /// One coefficient for each of the (order + 1)(order + 2)(order + 3)/6 monomials, `a` outermost, then `b`, then
    /// `c`, each rising from 0: 1, z, z², …, y, yz, …, x, xz, …
    pub coefficients: Vec<f64>,
}

impl RandomBiasField {
    /// Draws the coefficients, including that of the constant.
    ///
    /// # Errors
    /// [`Error::Value`] for an order or a range that is invalid.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<BiasField> {
        check("order", self.order as f64, [0.0, ORDER_MAX as f64])?;
        let unbounded = [f64::NEG_INFINITY, f64::INFINITY];
        let coefficients = exponents(self.order)
            .map(|_| uniform("coefficient", self.coefficient, unbounded, rng))
            .collect::<Result<_>>()?;
        Ok(BiasField { order: self.order, coefficients })
    }
}

impl BiasField {
    /// The volume times the field.
    ///
    /// # Errors
    /// [`Error::Value`] for an invalid order, or coefficients that are not finite or not one for each monomial.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        check("order", self.order as f64, [0.0, ORDER_MAX as f64])?;
        let count = exponents(self.order).count();
        if self.coefficients.len() != count {
            let (expected, found) = (count.to_string(), self.coefficients.len().to_string());
            return Err(Error::value("coefficients", expected, found, "give one for each monomial"));
        }
        self.coefficients.iter().try_for_each(|&c| check("coefficients", c, [f64::MIN, f64::MAX]))?;
        let [w, h, d] = volume.dims();
        let coordinate =
            |i: usize, n: usize| if n > 1 { 2.0 * i as f64 / (n as f64 - 1.0) - 1.0 } else { 0.0 };
        let mut degraded = volume.clone().with_step(format!("bias field of order {}", self.order));
        let mut data = degraded.data.as_standard_layout().into_owned();
        let rows = data.as_slice_mut().expect("an array in standard layout is contiguous");
        rows.par_chunks_mut(w.max(1)).enumerate().for_each(|(row, voxels)| {
            let (y, z) = (coordinate(row % h, h), coordinate(row / h % d, d));
            // The polynomial in x of this row, and its value by Horner's rule.
            let mut in_x = vec![0.0; self.order + 1];
            for ([a, b, c], coefficient) in exponents(self.order).zip(&self.coefficients) {
                in_x[a] += coefficient * y.powi(b as i32) * z.powi(c as i32);
            }
            for (i, voxel) in voxels.iter_mut().enumerate() {
                let x = coordinate(i, w);
                let log: f64 = in_x.iter().rev().fold(0.0, |sum, c| sum * x + c);
                *voxel = (f64::from(*voxel) * log.exp()) as f32;
            }
        });
        degraded.data = data;
        Ok(Degraded { volume: degraded, displaced_energy: None })
    }
}

/// The exponents `[a, b, c]` of `(x, y, z)` in the order of the coefficients.
fn exponents(order: usize) -> impl Iterator<Item = [usize; 3]> {
    (0..=order)
        .flat_map(move |a| (0..=order - a).flat_map(move |b| (0..=order - a - b).map(move |c| [a, b, c])))
}
