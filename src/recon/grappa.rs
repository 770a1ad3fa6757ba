//! GRAPPA (Griswold 2002): missing samples of every coil from the measured ones around them in all coils.
//!
//! For each pattern of measured places in the kernel's window that occurs around a missing one, weights are fitted on
//! the calibration region, so that regular undersampling in one or two directions, CAIPI and irregular masks are one
//! case.

use std::collections::BTreeMap;
use std::ops::Range;

use nalgebra::{Cholesky, DMatrix};
use ndarray::{Array4, ArrayView3, ArrayView4};
use num_complex::Complex64;
use rayon::prelude::*;

use super::{Acquired, Problem, Reconstruct, Reconstruction, check_range, image};
use crate::acquisition::Complex32;
use crate::acquisition::fourier::ifft;
use crate::acquisition::linear::{LinearOperator, double};
use crate::acquisition::operators::sensitivities::Sensitivities;
use crate::acquisition::sampling::calibration_region;
use crate::error::{Error, Result};

/// Fills k-space by GRAPPA and combines its coil images by the sensitivities, `Σ conj(S)·x`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grappa {
    /// Width of the kernel's window along `[D, H, W]`, odd; one is taken where an axis is not in k-space.
    pub kernel: [usize; 3],
    /// Tikhonov weight, relative to the mean power of the window's samples over the calibration region (the mean of the
    /// Gram matrix's diagonal).
    pub lambda: f64,
}

impl Default for Grappa {
    fn default() -> Self {
        Self { kernel: [5; 3], lambda: 1e-2 }
    }
}

impl Reconstruct for Grappa {
    fn name(&self) -> String {
        let [d, h, w] = self.kernel;
        format!("GRAPPA, kernel {d}x{h}x{w}, lambda {}", self.lambda)
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        problem.by_slice(|slice| {
            let acquired = &slice.acquired;
            let mut x = fill(acquired, self)?.into_dyn();
            ifft(&mut x, acquired.axes);
            let combined = Sensitivities::new(acquired.maps.to_owned()).adjoint(x);
            Ok(Reconstruction::of(image(combined)))
        })
    }

    fn fill(&self, acquired: &Acquired<'_>) -> Option<Result<Array4<Complex32>>> {
        Some(fill(acquired, self))
    }
}

/// k-space `[coils, D, H, W]` with its missing samples filled; measured ones stay as they are.
///
/// # Errors
/// [`Error::Value`] where the arrays do not fit together, the head moved, `lambda` is not above 0, the kernel is even,
/// or the mask's calibration region is narrower than the kernel.
pub fn fill(acquired: &Acquired<'_>, settings: &Grappa) -> Result<Array4<Complex32>> {
    acquired.check()?;
    acquired.lies_still("GRAPPA")?;
    check_range("lambda", settings.lambda, settings.lambda > 0.0, "a number above 0")?;
    let mut width = settings.kernel;
    (0..3).filter(|axis| !acquired.axes.contains(&(axis + 1))).for_each(|axis| width[axis] = 1);
    let shape: [usize; 3] = acquired.sampled.dim().into();
    (0..3).for_each(|axis| width[axis] = width[axis].min(shape[axis] - (shape[axis] + 1) % 2));
    if width.iter().any(|n| n % 2 == 0) {
        let found = format!("{:?}", settings.kernel);
        return Err(Error::value("GRAPPA kernel", "odd widths", found, "take 3, 5 or 7"));
    }
    let transformed = [1, 2, 3].map(|axis| acquired.axes.contains(&axis));
    let calibration = calibration_region(acquired.sampled, transformed);
    if (0..3).any(|axis| calibration[axis].len() < width[axis]) {
        let found = format!("{:?}", calibration.each_ref().map(Range::len));
        let advice = "sample the centre of k-space fully, take a smaller kernel, or use SENSE";
        return Err(Error::value("calibration region", format!("at least {width:?}"), found, advice));
    }
    let offsets = offsets(width);
    let coils = acquired.kspace.dim().0;
    let gram = gram(acquired.kspace, &calibration, &offsets);
    let lambda = settings.lambda * gram.diagonal().iter().map(|z| z.re).sum::<f64>() / gram.nrows() as f64;
    let patterns: Vec<_> = patterns(acquired.sampled, &offsets).into_iter().collect();
    let filled = patterns.par_iter().filter(|(pattern, _)| !pattern.is_empty()).map(|(pattern, places)| {
        let weights = weights(&gram, pattern, offsets.len(), coils, lambda)?;
        let sources: Vec<_> = pattern.iter().map(|&i| offsets[i]).collect();
        Ok((places, apply(acquired.kspace, &weights, &sources, places)))
    });
    let mut kspace = measured(acquired);
    for (places, values) in filled.collect::<Result<Vec<_>>>()? {
        for (&[d, h, w], values) in places.iter().zip(values) {
            values.into_iter().enumerate().for_each(|(coil, value)| kspace[[coil, d, h, w]] = value);
        }
    }
    Ok(kspace)
}

fn measured(acquired: &Acquired<'_>) -> Array4<Complex32> {
    acquired.measured().into_dimensionality().expect("k-space of rank four")
}

/// Offsets of the window's places from its centre.
fn offsets(width: [usize; 3]) -> Vec<[isize; 3]> {
    let [d, h, w] = width.map(|n| (n / 2) as isize);
    (-d..=d).flat_map(|i| (-h..=h).flat_map(move |j| (-w..=w).map(move |k| [i, j, k]))).collect()
}

/// `place + offset`, if that is within the shape.
fn neighbour(place: [usize; 3], offset: [isize; 3], shape: [usize; 3]) -> Option<[usize; 3]> {
    let mut at = place;
    for axis in 0..3 {
        at[axis] = place[axis].checked_add_signed(offset[axis]).filter(|&i| i < shape[axis])?;
    }
    Some(at)
}

/// Equations of the calibration for each unknown, at most: more of them are thinned evenly.
const EQUATIONS: usize = 10;

/// The Gram matrix of the samples in the window, `[places × coils]` squared, over all windows within the calibration
/// region.
fn gram(
    kspace: ArrayView4<'_, Complex32>,
    region: &[Range<usize>; 3],
    offsets: &[[isize; 3]],
) -> DMatrix<Complex64> {
    let coils = kspace.dim().0;
    let reach = offsets[0].map(|offset| offset.unsigned_abs());
    let [d, h, w] = [0, 1, 2].map(|axis| region[axis].start + reach[axis]..region[axis].end - reach[axis]);
    let centres: Vec<[usize; 3]> = d
        .flat_map(|i| {
            h.clone().flat_map({
                let w = w.clone();
                move |j| w.clone().map(move |k| [i, j, k])
            })
        })
        .collect();
    let unknowns = offsets.len() * coils;
    let step = (centres.len() / (EQUATIONS * unknowns)).max(1);
    let columns: Vec<Vec<Complex64>> = (0..unknowns)
        .into_par_iter()
        .map(|unknown| {
            let (offset, coil) = (offsets[unknown / coils], unknown % coils);
            let value = |place: &[usize; 3]| {
                let [d, h, w] = [0, 1, 2].map(|axis| place[axis].wrapping_add_signed(offset[axis]));
                double(&kspace[[coil, d, h, w]])
            };
            centres.iter().step_by(step).map(value).collect()
        })
        .collect();
    let rows: Vec<Vec<Complex64>> = (0..unknowns)
        .into_par_iter()
        .map(|i| {
            let product = |j: usize| columns[i].iter().zip(&columns[j]).map(|(a, b)| a.conj() * b).sum();
            (0..=i).map(product).collect()
        })
        .collect();
    DMatrix::from_fn(unknowns, unknowns, |i, j| if j <= i { rows[i][j] } else { rows[j][i].conj() })
}

/// The missing places, by which of the window's places around them are measured.
fn patterns(sampled: ArrayView3<'_, bool>, offsets: &[[isize; 3]]) -> BTreeMap<Vec<usize>, Vec<[usize; 3]>> {
    let shape: [usize; 3] = sampled.dim().into();
    let mut patterns: BTreeMap<Vec<usize>, Vec<[usize; 3]>> = BTreeMap::new();
    for ((d, h, w), _) in sampled.indexed_iter().filter(|(_, sampled)| !**sampled) {
        let is_measured = |&i: &usize| neighbour([d, h, w], offsets[i], shape).is_some_and(|at| sampled[at]);
        patterns.entry((0..offsets.len()).filter(is_measured).collect()).or_default().push([d, h, w]);
    }
    patterns
}

/// The weights `[sources × coils, coils]` of a pattern: (G + λ) w = g on the Gram matrix's rows and columns.
fn weights(
    gram: &DMatrix<Complex64>,
    pattern: &[usize],
    places: usize,
    coils: usize,
    lambda: f64,
) -> Result<DMatrix<Complex32>> {
    let sources: Vec<usize> =
        pattern.iter().flat_map(|place| (0..coils).map(move |coil| place * coils + coil)).collect();
    let n = sources.len();
    let ridge = |i: usize, j: usize| if i == j { lambda } else { 0.0 };
    let system = DMatrix::from_fn(n, n, |i, j| gram[(sources[i], sources[j])] + ridge(i, j));
    let centre = places / 2 * coils;
    let target = DMatrix::from_fn(n, coils, |i, coil| gram[(sources[i], centre + coil)]);
    let Some(factor) = Cholesky::new(system) else {
        let found = "a singular calibration";
        return Err(Error::value(
            "lambda",
            "enough to make the calibration solvable",
            found,
            "take a larger one",
        ));
    };
    Ok(factor.solve(&target).map(|z| Complex32::new(z.re as f32, z.im as f32)))
}

/// The values `[coils]` at each of the places that have this pattern around them.
fn apply(
    kspace: ArrayView4<'_, Complex32>,
    weights: &DMatrix<Complex32>,
    pattern: &[[isize; 3]],
    places: &[[usize; 3]],
) -> Vec<Vec<Complex32>> {
    let coils = kspace.dim().0;
    let fill = |place: &[usize; 3]| {
        let mut values = vec![Complex32::ZERO; coils];
        for (i, offset) in pattern.iter().enumerate() {
            let [d, h, w] = [0, 1, 2].map(|axis| place[axis].wrapping_add_signed(offset[axis]));
            for coil in 0..coils {
                let source = kspace[[coil, d, h, w]];
                let row = weights.row(i * coils + coil);
                values.iter_mut().zip(row.iter()).for_each(|(value, weight)| *value += source * weight);
            }
        }
        values
    };
    places.par_iter().map(fill).collect()
}
