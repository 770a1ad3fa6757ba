//! Total variation (Rudin, Osher and Fatemi 1992) by a primal–dual method.

use ndarray::{ArrayD, Zip};
use rayon::prelude::*;

use super::fista::distance;
use super::{Part, Problem, Reconstruct, Reconstruction, Trace, check_range, image};
use crate::acquisition::ComplexArray;
use crate::acquisition::linear::{LinearOperator, dot, largest_eigenvalue, norm};
use crate::acquisition::operators::gradient::Gradient;
use crate::error::Result;
use crate::random::{Purpose, stream};

/// Minimises `½‖Ax − y‖² + λ·TV(x)`, TV over the axes that are in k-space.
///
/// The method of Chambolle and Pock (2011) with the data term by its gradient (Condat 2013, algorithm 3.1):
/// x⁺ = x − τ(AᴴAx − Aᴴy + ∇ᴴp), p⁺ = proj(p + σ∇(2x⁺ − x)), with 1/τ = ½‖A‖² + σ‖∇‖².
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TotalVariation {
    /// Weight of the total variation, relative to the largest magnitude of the zero-filled image of the whole volume.
    pub lambda: f64,
    /// Weights of the differences along `[D, H, W]`: ones, or on an anisotropic grid the smallest voxel size over the
    /// axis's.
    pub weights: [f32; 3],
    /// Whether TV sums the magnitude of the gradient (isotropic), or else the magnitudes of its components.
    pub isotropic: bool,
    /// Iterations at most.
    pub iterations: usize,
    /// Ends when ‖xₖ − xₖ₋₁‖ is below this part of ‖xₖ‖.
    pub tolerance: f64,
    /// σ‖∇‖²/‖A‖², the dual variables' part in the step sizes: it affects the rate of convergence, not the limit.
    pub balance: f64,
}

impl Default for TotalVariation {
    fn default() -> Self {
        Self {
            lambda: 3e-3,
            weights: [1.0; 3],
            isotropic: true,
            iterations: 400,
            tolerance: 1e-5,
            balance: 0.05,
        }
    }
}

impl Reconstruct for TotalVariation {
    fn name(&self) -> String {
        let kind = if self.isotropic { "isotropic" } else { "anisotropic" };
        let Self { lambda, iterations, tolerance, .. } = self;
        format!(
            "total variation, {kind}, lambda {lambda}, {iterations} iterations at most, tolerance {tolerance}"
        )
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        self.check()?;
        let lambda = self.lambda * problem.scale();
        problem.by_slice(|slice| Ok(self.solve(slice, lambda)))
    }
}

impl TotalVariation {
    fn check(&self) -> Result<()> {
        check_range("lambda", self.lambda, self.lambda >= 0.0, "a number of at least 0")?;
        check_range("balance", self.balance, self.balance > 0.0, "a number above 0")
    }

    fn solve(&self, slice: &Part<'_>, lambda: f64) -> Reconstruction {
        let Part { acquired, operator, .. } = slice;
        let bound = if acquired.moves.is_none() { slice.coverage } else { bound_of(operator) };
        let mut weights = self.weights;
        (0..3).filter(|axis| !acquired.axes.contains(&(axis + 1))).for_each(|axis| weights[axis] = 0.0);
        let settings = Self { weights, ..*self };
        minimise(operator, bound, &slice.zero_filled, slice.square, &settings, lambda)
    }
}

/// A bound of the largest eigenvalue of `AᴴA`, of which nothing else is known.
fn bound_of(operator: &dyn LinearOperator) -> f64 {
    // The power method comes from below.
    1.05 * largest_eigenvalue(operator, 30, &mut stream(0, 0, 0, 0, Purpose::Start))
}

/// The image `[D, H, W]` that minimises `½‖Ax − y‖² + λ·TV(x)` for any `operator` A, by the method of
/// [`TotalVariation`]; `settings.lambda` is relative to the largest magnitude of `Aᴴy`.
///
/// # Errors
/// [`crate::error::Error::Value`] for a setting that is out of its range.
///
/// # Panics
/// If the operator does not act on images `[D, H, W]`, or `y` has another shape than its output.
pub fn minimum_total_variation(
    operator: &dyn LinearOperator,
    y: ComplexArray,
    settings: &TotalVariation,
) -> Result<Reconstruction> {
    settings.check()?;
    let square = dot(&y, &y).re;
    let rhs = operator.adjoint(y);
    let largest = rhs.iter().map(|z| z.norm_sqr()).fold(0.0, f32::max).sqrt();
    let lambda = settings.lambda * f64::from(largest);
    Ok(minimise(operator, bound_of(operator), &rhs, square, settings, lambda))
}

/// Minimises `½‖Ax − y‖² + λ·TV(x)`; `bound` is one of the largest eigenvalue of AᴴA, `rhs` is Aᴴy,
/// `square` ‖y‖².
fn minimise(
    encoding: &dyn LinearOperator,
    bound: f64,
    rhs: &ComplexArray,
    square: f64,
    settings: &TotalVariation,
    lambda: f64,
) -> Reconstruction {
    let &[d, h, w] = encoding.input_shape() else { panic!("an image [D, H, W]") };
    let gradient = Gradient::new([d, h, w], settings.weights);
    let dual_step = settings.balance * bound / gradient.bound().max(f64::MIN_POSITIVE);
    let primal_step = (1.0 / (0.5 * bound + dual_step * gradient.bound())) as f32;
    let dual_step = dual_step as f32;

    let mut x = rhs.mapv(|z| z / bound as f32);
    let mut data = encoding.normal(x.clone());
    let mut slopes = gradient.forward(x.clone());
    // The dual step from zero: where the start fits the data already, nothing else would move it.
    let mut dual = slopes.mapv(|slope| slope * dual_step);
    project(&mut dual, lambda as f32, settings.isotropic);
    let mut trace = Trace::default();
    for _ in 0..settings.iterations {
        // What is not needed any more is written over.
        let mut next = gradient.adjoint(dual.clone());
        Zip::from(&mut next).and(&x).and(&data).and(rhs).par_for_each(|next, x, data, rhs| {
            *next = x - (data - rhs + *next) * primal_step;
        });
        let next_slopes = gradient.forward(next.clone());
        Zip::from(&mut dual).and(&next_slopes).and(&slopes).par_for_each(|dual, next, slope| {
            *dual += (next * 2.0 - slope) * dual_step;
        });
        project(&mut dual, lambda as f32, settings.isotropic);
        let before = std::mem::replace(&mut x, next);
        slopes = next_slopes;
        data = encoding.normal(x.clone());
        let fit = 0.5 * (dot(&x, &data).re - 2.0 * dot(&x, rhs).re + square);
        let change = distance(&x, &before) / norm(&x).max(f64::MIN_POSITIVE);
        trace.push(Some(fit + lambda * variation(&slopes, settings.isotropic)), change);
        if change <= settings.tolerance {
            break;
        }
    }
    Reconstruction::traced(image(x), trace)
}

/// Magnitudes of differences `[axes, D, H, W]`: of all axes together, `[D, H, W]`, or each for itself.
fn magnitudes(slopes: &ComplexArray, isotropic: bool) -> ArrayD<f32> {
    if !isotropic {
        return slopes.mapv(|z| z.norm_sqr().sqrt());
    }
    let mut sum = ArrayD::zeros(&slopes.shape()[1..]);
    for axis in slopes.outer_iter() {
        Zip::from(&mut sum).and(axis).par_for_each(|sum: &mut f32, z| *sum += z.norm_sqr());
    }
    sum.par_mapv_inplace(f32::sqrt);
    sum
}

/// Projects every gradient, or every component, onto the disc of this radius.
fn project(dual: &mut ComplexArray, radius: f32, isotropic: bool) {
    let mut scale = magnitudes(dual, isotropic);
    scale.par_mapv_inplace(|magnitude| radius / magnitude.max(radius).max(f32::MIN_POSITIVE));
    if isotropic {
        for axis in dual.outer_iter_mut() {
            Zip::from(axis).and(&scale).par_for_each(|z, &scale| *z *= scale);
        }
    } else {
        Zip::from(dual).and(&scale).par_for_each(|z, &scale| *z *= scale);
    }
}

/// The sum of the magnitudes.
fn variation(slopes: &ComplexArray, isotropic: bool) -> f64 {
    let magnitudes = magnitudes(slopes, isotropic);
    let rows = magnitudes.as_slice().map_or_else(Vec::new, |values| {
        values.par_chunks(1 << 12).map(|piece| piece.iter().map(|&m| f64::from(m)).sum::<f64>()).collect()
    });
    rows.into_iter().sum()
}
