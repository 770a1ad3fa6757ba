//! A measurement as array views, and the problem that methods solve: its slices, each with its operator.

use ndarray::{Array3, ArrayView3, ArrayView4, Axis, Slice};
use rayon::prelude::*;

use super::{Reconstruct, Reconstruction, image};
use crate::acquisition::encoding::{Encoding, Sampling};
use crate::acquisition::linear::{LinearOperator, Operator, dot};
use crate::acquisition::operators::sampled::Sampled;
use crate::acquisition::operators::sensitivities::coverage;
use crate::acquisition::operators::shots::Shots;
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::{Error, Result};

/// A measurement: k-space, sampling mask, coil sensitivities, and known motion.
#[derive(Clone, Copy, Debug)]
pub struct Acquired<'a> {
    /// k-space `[coils, D, H, W]`, DC at ⌊n/2⌋ of the transformed axes; values where `sampled` is false are ignored.
    pub kspace: ArrayView4<'a, Complex32>,
    /// Where k-space was measured, `[D, H, W]`.
    pub sampled: ArrayView3<'a, bool>,
    /// Coil sensitivities `[coils, D, H, W]`; ones for a single coil.
    pub maps: ArrayView4<'a, Complex32>,
    /// The axes of `kspace` that are in k-space, of 1, 2 and 3.
    pub axes: &'a [usize],
    /// The head's position when each place was measured; `None` where it lay still.
    pub moves: Option<Moves<'a>>,
}

/// Known motion during a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Moves<'a> {
    /// The head's positions, and the index of the position for each place of k-space.
    pub shots: &'a Shots,
    /// Size of a voxel of the encoded grid along `(i, j, k)` in millimetres.
    pub spacing_mm: [f64; 3],
}

impl<'a> Acquired<'a> {
    /// A measurement `kspace` `[coils, D, H, W]` of a head that lay still, with the sampling mask `sampled`
    /// `[D, H, W]`, the coil sensitivities `maps` `[coils, D, H, W]`, and k-space along `axes`, some of 1, 2 and 3.
    pub fn still(
        kspace: ArrayView4<'a, Complex32>,
        sampled: ArrayView3<'a, bool>,
        maps: ArrayView4<'a, Complex32>,
        axes: &'a [usize],
    ) -> Self {
        Self { kspace, sampled, maps, axes, moves: None }
    }

    /// The image that `method` reconstructs of the measurement.
    ///
    /// # Errors
    /// [`Error::Value`] as [`Problem::new`] and [`Reconstruct::reconstruct`].
    pub fn reconstruct(&self, method: &dyn Reconstruct) -> Result<Reconstruction> {
        method.reconstruct(&Problem::new(*self)?)
    }

    /// The measurement in plain data.
    pub fn encoding(&self) -> Encoding {
        let (coils, d, h, w) = self.kspace.dim();
        let mut encoding = Encoding::full([d, h, w], self.moves.map_or([1.0; 3], |moves| moves.spacing_mm));
        encoding.shots = self.moves.map(|moves| moves.shots.clone());
        encoding.transformed = [1, 2, 3].map(|axis| self.axes.contains(&axis));
        encoding.sampling = Sampling::Mask(self.sampled.to_owned());
        // One coil that sees all alike needs no map, and its image follows from the samples in one step.
        let plain = coils == 1 && self.maps.iter().all(|&s| s == Complex32::ONE);
        encoding.coil_maps = (!plain).then(|| self.maps.to_owned());
        encoding
    }

    /// The samples `[coils, D, H, W]`, with zeros where `sampled` is false.
    pub fn measured(&self) -> ComplexArray {
        Sampled::new(self.sampled.to_owned(), self.kspace.dim().0).forward(self.kspace.to_owned().into_dyn())
    }

    /// Refuses a head that moves, for a method that takes no account of it.
    pub(super) fn lies_still(&self, method: &str) -> Result<()> {
        if self.moves.is_none() {
            return Ok(());
        }
        let expected = format!("none for {method}, which takes the head to lie still");
        Err(Error::value("shots", expected, "known motion", "choose zero-filled, sense, tv or network"))
    }

    /// Checks that the arrays fit together.
    pub(super) fn check(&self) -> Result<()> {
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
            let advice = "name the axes in k-space";
            return wrong("k-space axes", "some of 1, 2, 3, ascending".into(), found, advice);
        }
        if !self.sampled.iter().any(|&sampled| sampled) {
            return wrong("sampling mask", "a sampled place".into(), "none".into(), "check the mask");
        }
        Ok(())
    }

    /// The axis along which slices are independent of each other: the first that is not in k-space, unless motion mixes
    /// them.
    fn slice_axis(&self) -> Option<usize> {
        (1..=3).find(|axis| self.moves.is_none() && !self.axes.contains(axis))
    }

    /// Planes of the axis 1, 2 or 3 of all that is measured.
    fn planes(&self, axis: usize, at: std::ops::Range<usize>) -> Self {
        let (mut part, at) = (*self, Slice::from(at));
        part.kspace.slice_axis_inplace(Axis(axis), at);
        part.sampled.slice_axis_inplace(Axis(axis - 1), at);
        part.maps.slice_axis_inplace(Axis(axis), at);
        part
    }
}

/// The problem that a method solves: a measurement, slice by slice, with the operators of its slices.
pub struct Problem<'a> {
    /// The measurement.
    pub acquired: Acquired<'a>,
    slices: Vec<Part<'a>>,
}

/// A slice that is solved by itself, or the whole measurement where slices depend on each other.
#[derive(Clone)]
pub struct Part<'a> {
    /// The measurement.
    pub acquired: Acquired<'a>,
    /// A: images `[D, H, W]` → k-space `[coils, D, H, W]`, motion included.
    pub operator: Operator,
    /// `Aᴴy`: the zero-filled image.
    pub zero_filled: ComplexArray,
    /// ‖y‖².
    pub square: f64,
    /// The largest `Σ|S|²` of the coils, which bounds the eigenvalues of `AᴴA` if there is no motion.
    pub coverage: f64,
}

impl<'a> Problem<'a> {
    /// The problem of a measurement.
    ///
    /// # Errors
    /// [`Error::Value`] where shapes, axes or shots do not fit together, or nothing was measured.
    pub fn new(acquired: Acquired<'a>) -> Result<Self> {
        acquired.check()?;
        let parts = match acquired.slice_axis() {
            None => vec![acquired],
            Some(axis) => {
                (0..acquired.kspace.len_of(Axis(axis))).map(|i| acquired.planes(axis, i..i + 1)).collect()
            }
        };
        let part = |acquired: Acquired<'a>| Ok(Part::new(acquired, acquired.encoding().operator()?));
        let slices = parts.into_par_iter().map(part).collect::<Result<_>>()?;
        Ok(Self { acquired, slices })
    }

    /// The problem of a measurement whose operator exists already; all slices are solved as one.
    ///
    /// # Errors
    /// [`Error::Value`] where shapes or axes do not fit together, or nothing was measured.
    pub fn with_operator(acquired: Acquired<'a>, operator: Operator) -> Result<Self> {
        acquired.check()?;
        Ok(Self { acquired, slices: vec![Part::new(acquired, operator)] })
    }

    /// Each slice that is solved by itself as a problem of its own; the whole problem where slices depend on each
    /// other.
    pub fn slices(&self) -> impl Iterator<Item = Problem<'a>> {
        self.slices.iter().map(|slice| Self { acquired: slice.acquired, slices: vec![slice.clone()] })
    }

    /// The operator of all that was measured, where slices are not solved by themselves, as of a head that moves; else
    /// that of the first slice.
    pub(crate) fn operator(&self) -> &Operator {
        &self.slices[0].operator
    }

    /// `solve` on every slice, in parallel.
    pub(super) fn by_slice(
        &self,
        solve: impl Fn(&Part<'a>) -> Result<Reconstruction> + Sync,
    ) -> Result<Reconstruction> {
        let solved = self.slices.par_iter().map(&solve).collect::<Result<Vec<_>>>()?;
        let images: Vec<_> = solved.iter().map(|slice| slice.image.view()).collect();
        let image = self.joined(&images);
        let traces = solved.into_iter().flat_map(|slice| slice.traces).collect();
        Ok(Reconstruction { traces, ..Reconstruction::of(image) })
    }

    /// The zero-filled image, `[D, H, W]`.
    pub fn zero_filled(&self) -> Array3<Complex32> {
        let images: Vec<_> = self.slices.iter().map(|slice| image(slice.zero_filled.clone())).collect();
        self.joined(&images.iter().map(|image| image.view()).collect::<Vec<_>>())
    }

    /// The largest magnitude of the zero-filled image: the scale to which λ is relative.
    pub(super) fn scale(&self) -> f64 {
        let squares = self.slices.iter().flat_map(|slice| slice.zero_filled.iter().map(|z| z.norm_sqr()));
        squares.map(f64::from).fold(0.0, f64::max).sqrt()
    }

    /// ‖Ax − y‖ / ‖y‖ over the samples of an image `[D, H, W]`.
    pub fn residual(&self, x: &Array3<Complex32>) -> f64 {
        let axis = self.acquired.slice_axis().filter(|_| self.slices.len() > 1);
        let left = self.slices.par_iter().enumerate().map(|(i, slice)| {
            let x = match axis {
                Some(axis) => x.slice_axis(Axis(axis - 1), Slice::from(i..i + 1)).to_owned(),
                None => x.clone(),
            };
            let mut explained = slice.operator.forward(x.into_dyn());
            explained -= &slice.acquired.measured();
            dot(&explained, &explained).re
        });
        let left: f64 = left.collect::<Vec<_>>().into_iter().sum();
        let all: f64 = self.slices.iter().map(|slice| slice.square).sum();
        left.sqrt() / all.sqrt().max(f64::MIN_POSITIVE)
    }

    fn joined(&self, images: &[ArrayView3<'_, Complex32>]) -> Array3<Complex32> {
        let axis = self.acquired.slice_axis().map_or(0, |axis| axis - 1);
        ndarray::concatenate(Axis(axis), images).expect("slices of one shape")
    }
}

impl<'a> Part<'a> {
    fn new(acquired: Acquired<'a>, operator: Operator) -> Self {
        let measured = acquired.measured();
        let square = dot(&measured, &measured).re;
        let zero_filled = LinearOperator::adjoint(&operator, measured);
        let coverage = coverage(acquired.maps).iter().copied().fold(0.0, f32::max);
        let coverage = f64::from(coverage).max(f64::MIN_POSITIVE);
        Self { acquired, operator, zero_filled, square, coverage }
    }
}
