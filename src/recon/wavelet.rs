//! Sparse reconstruction in a wavelet basis (Lustig 2007) by FISTA.

use ndarray::{Array3, Ix3};
use rand::RngExt;
use rayon::prelude::*;

use super::fista::{Steps, fista};
use super::{Problem, Reconstruct, Reconstruction, check_range, image};
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::operators::wavelet::{Daubechies, Wavelet, crop, pad};
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::Result;
use crate::random::{Purpose, stream};

/// The phase of the addresses of the random shifts (see [`crate::random`]).
const SHIFTS: u64 = 500;

/// Minimises `½‖Ax − y‖² + λ‖details of Wx‖₁`; the approximation of the last level is not penalised. There must be
/// no motion.
///
/// Where the length of an axis is not divisible by 2^levels, x is the image on a wider field of view, whose margin the
/// data does not determine; the result is cut from it. So the transform stays unitary and each proximal step exact.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1Wavelet {
    /// Weight of the details, relative to the largest magnitude of the zero-filled image of the whole volume.
    pub lambda: f64,
    /// The wavelets.
    pub family: Daubechies,
    /// Levels; `None`: as many as leave at least 16 averages along each axis, at least one.
    pub levels: Option<usize>,
    /// Seed of the random shift of the transform in every iteration (cycle spinning; Figueiredo and Nowak 2003), which
    /// removes the pattern of a fixed grid of wavelets; `None`: no shifts, and a fixed objective.
    pub shifts: Option<u64>,
    /// Iterations, tolerance and momentum.
    pub steps: Steps,
}

impl Default for L1Wavelet {
    fn default() -> Self {
        let steps = Steps::default();
        Self { lambda: 3e-4, family: Daubechies::Db2, levels: None, shifts: Some(0), steps }
    }
}

impl Reconstruct for L1Wavelet {
    fn name(&self) -> String {
        let Self { lambda, levels, steps, .. } = self;
        let levels = levels.map_or_else(String::new, |levels| format!(", {levels} levels"));
        let family = format!("{:?}", self.family).to_lowercase();
        format!("l1 wavelet, {family}{levels}, lambda {lambda}, {} iterations at most", steps.iterations)
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        problem.acquired.lies_still("wavelets")?;
        check_range("lambda", self.lambda, self.lambda >= 0.0, "a number of at least 0")?;
        if let Some(levels) = self.levels {
            // 2^16 voxels along an axis are more than any scan has.
            check_range("levels", levels as f64, (1..=16).contains(&levels), "1 to 16")?;
        }
        let lambda = self.lambda * problem.scale();
        problem.by_slice(|slice| {
            let (_, d, h, w) = slice.acquired.kspace.dim();
            let shape = [d, h, w];
            let axes: Vec<usize> = slice.acquired.axes.iter().map(|axis| axis - 1).collect();
            let levels = self.levels.unwrap_or_else(|| Wavelet::levels(shape, &axes));
            let padded = Wavelet::padded(shape, &axes, levels);
            let basis = Wavelet::new(padded, &axes, levels, self.family);
            let widen = |x: ComplexArray| if padded == shape { x } else { pad(&image(x), padded).into_dyn() };
            let narrow =
                |x: ComplexArray| if padded == shape { x } else { crop(&image(x), shape).into_dyn() };

            let rhs = widen(slice.zero_filled.clone());
            let normal = |x: ComplexArray| widen(slice.operator.normal(narrow(x)));
            let proximal = |x: ComplexArray, step: f64, iteration: usize| {
                let mut x = x.into_dimensionality::<Ix3>().expect("an image of rank three");
                let basis = self.shifts.map_or_else(
                    || basis.clone(),
                    |seed| {
                        let mut rng = stream(seed, iteration as u64, SHIFTS, 0, Purpose::Start);
                        basis.shifted([0, 1, 2].map(|axis| rng.random_range(0..padded[axis])))
                    },
                );
                basis.analyse(&mut x);
                let sum = shrink_details(&mut x, basis.averages(), (step * lambda) as f32);
                basis.synthesise(&mut x);
                (x.into_dyn(), lambda * sum)
            };
            let (x, trace) = fista(normal, &rhs, slice.square, slice.coverage, proximal, &self.steps);
            Ok(Reconstruction::traced(image(narrow(x)), trace))
        })
    }
}

/// Draws every detail towards zero by `threshold`; the sum of the magnitudes that are left.
fn shrink_details(x: &mut Array3<Complex32>, averages: [usize; 3], threshold: f32) -> f64 {
    let (_, height, width) = x.dim();
    let values = x.as_slice_mut().expect("coefficients in standard layout");
    let rows = values.par_chunks_mut(width).enumerate().map(|(row, values)| {
        let low = row / height < averages[0] && row % height < averages[1];
        let details = &mut values[if low { averages[2] } else { 0 }..];
        f64::from(details.iter_mut().map(|z| shrink(z, threshold)).sum::<f32>())
    });
    rows.collect::<Vec<f64>>().into_iter().sum()
}

/// Soft thresholding of a complex number; the magnitude that is left.
fn shrink(z: &mut Complex32, threshold: f32) -> f32 {
    let magnitude = z.norm_sqr().sqrt();
    let left = (magnitude - threshold).max(0.0);
    *z *= left / magnitude.max(f32::MIN_POSITIVE);
    left
}
