//! Homodyne detection of partial Fourier acquisitions (Noll 1991).
//!
//! k-space of a real image is conjugate symmetric: half of it is enough. An image with a slowly varying phase is real
//! after that phase has been removed, and the phase is estimated from the centre, which is sampled on both sides.

use std::f32::consts::PI;

use ndarray::{Array1, Array3, Axis, Zip};

use super::{Acquired, Problem, Reconstruct, Reconstruction, image};
use crate::acquisition::ComplexArray;
use crate::acquisition::fourier::ifft;
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::operators::sensitivities::Sensitivities;
use crate::error::{Error, Result};

/// The planes of an axis of n that a partial Fourier acquisition has measured: `from..to`, reaching one end and past
/// the centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    /// The axis of the k-space, 1 to 3.
    pub(super) axis: usize,
    from: usize,
    to: usize,
    n: usize,
}

impl Partial {
    /// Finds it in the mask.
    pub(super) fn of(acquired: &Acquired<'_>) -> Result<Self> {
        let mask = acquired.sampled;
        for &axis in acquired.axes {
            let n = mask.len_of(Axis(axis - 1));
            let planes = mask.axis_iter(Axis(axis - 1));
            let measured: Vec<usize> = planes
                .enumerate()
                .filter(|(_, plane)| plane.iter().any(|&place| place))
                .map(|(i, _)| i)
                .collect();
            let (Some(&first), Some(&last)) = (measured.first(), measured.last()) else { continue };
            let partial = Self { axis, from: first, to: last + 1, n };
            let one_sided = (first == 0) != (last + 1 == n);
            if one_sided && measured.len() == last + 1 - first && partial.overscan() > 0 {
                return Ok(partial);
            }
        }
        let advice = "use a method that is made for this sampling, say zero-filled or SENSE";
        let expected = "one axis measured from one end to beyond the centre";
        Err(Error::value("partial Fourier sampling", expected, "no such axis", advice))
    }

    /// Planes on the short side of the centre.
    fn overscan(&self) -> usize {
        let centre = self.n / 2;
        (centre.saturating_sub(self.from)).min(self.to.saturating_sub(centre + 1))
    }

    /// Signed distance of plane i from the centre, positive towards the side that was measured whole.
    fn towards_full(&self, i: usize) -> f32 {
        let distance = i as f32 - (self.n / 2) as f32;
        if self.from == 0 { -distance } else { distance }
    }

    /// 0 where nothing was measured, rising linearly over the symmetric centre to 2 on the side measured whole, so that
    /// a plane's weight and its mirror's make 2.
    fn ramp(&self) -> Array1<f32> {
        let width = self.overscan() as f32 + 0.5;
        (0..self.n).map(|i| (1.0 + self.towards_full(i) / width).clamp(0.0, 2.0)).collect()
    }

    /// A Hann window over the symmetric centre.
    fn centre(&self) -> Array1<f32> {
        let width = self.overscan() as f32 + 1.0;
        let hann =
            |distance: f32| if distance < width { 0.5 + 0.5 * (PI * distance / width).cos() } else { 0.0 };
        (0..self.n).map(|i| hann(self.towards_full(i).abs())).collect()
    }

    /// The coil images of k-space, its planes weighted.
    fn images(&self, acquired: &Acquired<'_>, weights: &Array1<f32>) -> ComplexArray {
        let mut x = acquired.measured();
        for (mut plane, &weight) in x.axis_iter_mut(Axis(self.axis)).zip(weights) {
            plane.mapv_inplace(|z| z * weight);
        }
        ifft(&mut x, acquired.axes);
        x
    }

    /// The combined image of the symmetric centre: its phase is the slowly varying one.
    pub(super) fn low_resolution(&self, acquired: &Acquired<'_>) -> Array3<crate::acquisition::Complex32> {
        combine(acquired, self.images(acquired, &self.centre()))
    }
}

/// `Σ conj(S)·x`.
fn combine(acquired: &Acquired<'_>, x: ComplexArray) -> Array3<crate::acquisition::Complex32> {
    image(Sensitivities::new(acquired.maps.to_owned()).adjoint(x))
}

/// The image of the measured half of k-space, weighted 0 to 2: the real part relative to the phase of the symmetric
/// centre, times that phase. That real part may be negative.
///
/// The coils are combined by their sensitivities, which include their phases. There must be no motion, and one axis
/// must be measured from one end to beyond the centre.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Homodyne;

impl Reconstruct for Homodyne {
    fn name(&self) -> String {
        "homodyne".into()
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        problem.acquired.lies_still("homodyne")?;
        let partial = Partial::of(&problem.acquired)?;
        problem.by_slice(|slice| {
            let acquired = &slice.acquired;
            let low = partial.low_resolution(acquired);
            let mut x = combine(acquired, partial.images(acquired, &partial.ramp()));
            Zip::from(&mut x).and(&low).par_for_each(|x, low| {
                let phase = low / low.norm().max(f32::MIN_POSITIVE);
                *x = phase * (*x * phase.conj()).re;
            });
            Ok(Reconstruction::of(x))
        })
    }

    fn explains_samples(&self) -> bool {
        false
    }
}
