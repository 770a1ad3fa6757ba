//! Classical reconstruction: from undersampled k-space to an image, without anything learned.
//!
//! | Method | What it does | Coils |
//! |---|---|---|
//! | [`zero_filled`] | the adjoint: what was not measured is zero | any |
//! | [`sense`] | least squares by conjugate gradients, Tikhonov-regularised | any |
//! | [`grappa`] | fills k-space by kernels learned from its calibrated centre | several |
//! | [`wavelet`] | least squares + λ‖wavelet details‖₁ by FISTA | any |
//! | [`total_variation`] | least squares + λ·total variation by a primal–dual method | any |
//! | [`homodyne`] | partial Fourier by a phase estimate from the symmetric centre; [`pocs`] iterates it | any |
//!
//! All take an [`Acquired`] and give a [`Reconstruction`]; those that only need its operator (zero-filled, SENSE, total
//! variation) also of a head that moved in known ways. Along an axis that is not in k-space, slices are solved one by
//! one, in parallel. Every λ is relative to the data, so that it means the same whatever the unit of the k-space: each
//! method says to what.

pub mod coil_encoding;
pub mod conjugate_gradient;
pub mod fista;
pub mod grappa;
pub mod homodyne;

mod lines;

pub mod pocs;
pub mod reconstruct;
pub mod sense;
pub mod total_variation;
pub mod wavelet;
pub mod zero_filled;

use ndarray::{Array3, ArrayView3, ArrayView4, Axis, Ix3, Slice};
use rayon::prelude::*;

use crate::acquisition::linear::Linear;
use crate::acquisition::operators::sampled::Sampled;
use crate::acquisition::operators::shots::{MotionEncoded, Shots};
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::{Error, Result};
use coil_encoding::CoilEncoding;

/// What was measured, and what is known of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Acquired<'a> {
    /// k-space `[coils, D, H, W]`, DC at ⌊n/2⌋ of the transformed axes; what lies where `sampled` is false is not looked
    /// at.
    pub kspace: ArrayView4<'a, Complex32>,
    /// Where k-space was measured, `[D, H, W]`.
    pub sampled: ArrayView3<'a, bool>,
    /// Coil sensitivities `[coils, D, H, W]`; ones for a single coil.
    pub maps: ArrayView4<'a, Complex32>,
    /// The axes of `kspace` that are in k-space, of 1, 2 and 3.
    pub axes: &'a [usize],
    /// How the head lay when each place was measured; none where it lay still.
    pub moves: Option<Moves<'a>>,
}

/// Known motion during a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Moves<'a> {
    /// The head's positions, and which of them each place of k-space was measured in.
    pub shots: &'a Shots,
    /// Size of a voxel of the encoded grid along `(i, j, k)` in millimetres.
    pub spacing_mm: [f64; 3],
}

/// An image and how it came to be.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// The image, `[D, H, W]`.
    pub image: Array3<Complex32>,
    /// The course of the iterations, one for each slice that was solved for itself; none where nothing is iterated.
    pub traces: Vec<Trace>,
}

/// The course of an iterative method, one value an iteration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The value of what is minimised; empty where nothing is.
    pub objective: Vec<f64>,
    /// What the tolerance is compared with: for conjugate gradients ‖b − Ax‖ / ‖b‖, for the others the change of the
    /// image, ‖xₖ − xₖ₋₁‖ / ‖xₖ‖.
    pub residual: Vec<f64>,
}

impl Trace {
    /// Notes an iteration.
    fn push(&mut self, objective: Option<f64>, residual: f64) {
        self.objective.extend(objective);
        self.residual.push(residual);
        tracing::debug!(
            "iteration {}: objective {objective:?}, residual {residual:.3e}",
            self.residual.len()
        );
    }
}

impl<'a> Acquired<'a> {
    /// A measurement `[coils, D, H, W]` of a head that lay still, sampled where the mask `[D, H, W]` says, by coils of these
    /// sensitivities `[coils, D, H, W]`, with k-space along these of the axes 1, 2 and 3.
    pub fn still(
        kspace: ArrayView4<'a, Complex32>,
        sampled: ArrayView3<'a, bool>,
        maps: ArrayView4<'a, Complex32>,
        axes: &'a [usize],
    ) -> Self {
        Self { kspace, sampled, maps, axes, moves: None }
    }

    /// Checks that the arrays fit together.
    ///
    /// # Errors
    /// [`Error::Value`] where shapes or axes do not fit.
    pub fn check(&self) -> Result<()> {
        let coils = self.kspace.shape();
        let wrong = |what: &str, expected: String, found: String, advice: &str| {
            Err(Error::value(what, expected, found, advice))
        };
        if self.kspace.is_empty() {
            return wrong("k-space", "at least one sample".into(), format!("{coils:?}"), "check the file");
        }
        if self.sampled.shape() != &coils[1..] {
            let (expected, found) = (format!("{:?}", &coils[1..]), format!("{:?}", self.sampled.shape()));
            return wrong("sampling mask", expected, found, "give a mask of the k-space's size");
        }
        if self.maps.shape() != coils {
            let (expected, found) = (format!("{coils:?}"), format!("{:?}", self.maps.shape()));
            return wrong("coil sensitivities", expected, found, "give maps of the k-space's coils and size");
        }
        let ascending = self.axes.windows(2).all(|pair| pair[0] < pair[1]);
        if self.axes.is_empty() || !ascending || self.axes.iter().any(|axis| !(1..=3).contains(axis)) {
            let found = format!("{:?}", self.axes);
            return wrong(
                "k-space axes",
                "some of 1, 2, 3, ascending".into(),
                found,
                "name the axes in k-space",
            );
        }
        if !self.sampled.iter().any(|&sampled| sampled) {
            return wrong("sampling mask", "a sampled place".into(), "none".into(), "check the mask");
        }
        Ok(())
    }

    /// The measurement as an operator from images `[D, H, W]` to k-space `[coils, D, H, W]`, motion included; and the largest
    /// `Σ|S|²` of its coils, which bounds the eigenvalues of `AᴴA` where the head lies still.
    ///
    /// # Errors
    /// As [`MotionEncoded::new`].
    pub fn operator(&self) -> Result<(Box<dyn Linear>, f64)> {
        let still = self.encoding();
        let bound = still.bound();
        Ok(match self.moves {
            None => (Box::new(still), bound),
            Some(Moves { shots, spacing_mm }) => {
                (Box::new(MotionEncoded::new(still, shots, spacing_mm)?), bound)
            }
        })
    }

    /// Refuses a head that moves, for a method that takes no account of it.
    fn lies_still(&self, method: &str) -> Result<()> {
        if self.moves.is_none() {
            return Ok(());
        }
        let expected = format!("none for {method}, which takes the head to lie still");
        Err(Error::value("shots", expected, "known motion", "choose zero-filled, sense, tv or network"))
    }

    /// The measurement of a head that lies still as an operator.
    pub fn encoding(&self) -> CoilEncoding {
        CoilEncoding::new(self.maps.to_owned(), self.sampled.to_owned(), self.axes)
    }

    /// What was measured, with zeros elsewhere.
    pub fn measured(&self) -> ComplexArray {
        Sampled::new(self.sampled.to_owned(), self.kspace.dim().0).apply(self.kspace.to_owned().into_dyn())
    }

    /// The axis along which slices are independent of each other: the first that is not in k-space, unless motion mixes them.
    fn slice_axis(&self) -> Option<usize> {
        (1..=3).find(|axis| self.moves.is_none() && !self.axes.contains(axis))
    }

    /// The measurement slice by slice; the whole where all axes are in k-space.
    fn slices(&self) -> Vec<Acquired<'a>> {
        let Some(axis) = self.slice_axis() else { return vec![*self] };
        let slice = |i: usize| {
            let at = Slice::from(i..i + 1);
            let mut slice = *self;
            slice.kspace.slice_axis_inplace(Axis(axis), at);
            slice.sampled.slice_axis_inplace(Axis(axis - 1), at);
            slice.maps.slice_axis_inplace(Axis(axis), at);
            slice
        };
        (0..self.kspace.shape()[axis]).map(slice).collect()
    }

    /// `solve` on every slice, in parallel.
    fn by_slice(
        &self,
        solve: impl Fn(&Acquired<'_>) -> Result<Reconstruction> + Sync,
    ) -> Result<Reconstruction> {
        let solved = self.slices().par_iter().map(&solve).collect::<Result<Vec<_>>>()?;
        let images: Vec<_> = solved.iter().map(|slice| slice.image.view()).collect();
        let axis = self.slice_axis().map_or(0, |axis| axis - 1);
        let image = ndarray::concatenate(Axis(axis), &images).expect("slices of one shape");
        Ok(Reconstruction { image, traces: solved.into_iter().flat_map(|slice| slice.traces).collect() })
    }
}

/// The largest magnitude of the zero-filled image: the scale to which λ is relative.
fn zero_filled_scale(acquired: &Acquired<'_>) -> Result<f64> {
    let image = zero_filled::zero_filled(acquired)?.image;
    Ok(image.iter().map(|z| f64::from(z.norm_sqr())).fold(0.0, f64::max).sqrt())
}

/// The array as an image.
fn image(x: ComplexArray) -> Array3<Complex32> {
    x.into_dimensionality::<Ix3>().expect("an image of rank three")
}

/// Checks that a setting is a number in a range.
fn check_range(key: &str, value: f64, valid: bool, expected: &str) -> Result<()> {
    if value.is_finite() && valid {
        return Ok(());
    }
    Err(Error::value(key, expected, value.to_string(), "choose another value"))
}
