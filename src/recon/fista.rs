//! FISTA (Beck and Teboulle 2009) for `½‖Ax − y‖² + g(x)`, given `AᴴA`, `Aᴴy` and the proximal map of g.

use ndarray::Zip;

use super::Trace;
use crate::acquisition::ComplexArray;
use crate::acquisition::linear::{dot, norm};

/// Iterations, tolerance and momentum of a proximal gradient method.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Steps {
    /// Iterations at most.
    pub iterations: usize,
    /// Ends when ‖xₖ − xₖ₋₁‖ is below this part of ‖xₖ‖.
    pub tolerance: f64,
    /// Whether steps have momentum (FISTA) or not (ISTA).
    pub momentum: bool,
    /// Whether momentum restarts when the objective has risen (O'Donoghue and Candès 2015).
    pub restart: bool,
}

impl Default for Steps {
    fn default() -> Self {
        Self { iterations: 100, tolerance: 1e-5, momentum: true, restart: false }
    }
}

/// Minimises `½‖Ax − y‖² + g(x)` from `x = rhs / lipschitz`, with `rhs = Aᴴy`, `square = ‖y‖²` and `lipschitz` an upper
/// bound of the eigenvalues of `normal = AᴴA`.
///
/// `proximal(x, step, iteration)` returns argmin_z ½‖z − x‖² + step·g(z) and the value of g there. The gradient at the
/// extrapolated point is extrapolated from those at the iterates, so that the objective needs no further call of
/// `normal`.
pub fn fista(
    normal: impl Fn(ComplexArray) -> ComplexArray,
    rhs: &ComplexArray,
    square: f64,
    lipschitz: f64,
    mut proximal: impl FnMut(ComplexArray, f64, usize) -> (ComplexArray, f64),
    steps: &Steps,
) -> (ComplexArray, Trace) {
    let step = 1.0 / lipschitz;
    let mut x = rhs.mapv(|z| z * step as f32);
    let mut image = normal(x.clone());
    // The iterate before and its image; at first there is no momentum.
    let (mut before, mut image_before) = (x.clone(), image.clone());
    let mut pace = 1.0_f64;
    let mut trace = Trace::default();
    for iteration in 0..steps.iterations {
        let next_pace = if steps.momentum { 0.5 + (0.25 + pace * pace).sqrt() } else { 1.0 };
        let momentum = ((pace - 1.0) / next_pace) as f32;
        pace = next_pace;
        // z − step·(AᴴA z − Aᴴy) with z = x + momentum·(x − before), written over what is not needed any more.
        let scale = step as f32;
        Zip::from(&mut before).and(&x).and(&image).and(&image_before).and(rhs).par_for_each(
            |before, x, image, image_before, rhs| {
                let z = x + (x - *before) * momentum;
                let normal = image + (image - image_before) * momentum;
                *before = z - (normal - rhs) * scale;
            },
        );
        let (next, penalty) = proximal(before, step, iteration);
        image_before = std::mem::replace(&mut image, normal(next.clone()));
        before = std::mem::replace(&mut x, next);
        let fit = 0.5 * (dot(&x, &image).re - 2.0 * dot(&x, rhs).re + square);
        let objective = fit + penalty;
        if steps.restart && trace.objective.last().is_some_and(|&last| objective > last) {
            pace = 1.0;
        }
        let change = distance(&x, &before) / norm(&x).max(f64::MIN_POSITIVE);
        trace.push(Some(objective), change);
        if change <= steps.tolerance {
            break;
        }
    }
    (x, trace)
}

/// `‖x − y‖₂`.
pub(super) fn distance(x: &ComplexArray, y: &ComplexArray) -> f64 {
    let square = dot(x, x).re + dot(y, y).re - 2.0 * dot(x, y).re;
    square.max(0.0).sqrt()
}
