//! The Cartesian measurement of one image by several coils as one operator, with a short way through its normal.
//!
//! `A = sampling · Fourier · sensitivities`. In `AᴴA` the centring of the two transforms cancels (a filter in k-space
//! is a convolution, which commutes with shifts), and so does the whole transform along an axis along which the mask
//! does not vary. The rest reads and writes memory once if one axis is left, and three times if two are.

use std::sync::{Arc, Mutex};

use ndarray::{Array3, Array4, ArrayView3, ArrayViewMut3, Axis, Ix3, Zip};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use super::lines::{Bundles, for_bundles};
use crate::acquisition::fourier::Fourier;
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::operators::sampled::Sampled;
use crate::acquisition::operators::sensitivities::{Sensitivities, coverage};
use crate::acquisition::{Complex32, ComplexArray};

/// An image `[D, H, W]` → the sampled k-space `[coils, D, H, W]` of every coil.
pub struct Cartesian {
    sensitivities: Sensitivities,
    fourier: Fourier,
    sampled: Sampled,
    /// The image axes along which the normal transforms: in k-space, and the mask varies.
    active: Vec<Transform>,
    /// The mask with DC at index 0 of the active axes, divided by the transforms' lengths.
    filter: Array3<f32>,
    coverage: Array3<f32>,
    /// Coil images between the passes, kept from one normal to the next.
    between: Mutex<Option<Array4<Complex32>>>,
}

/// The unscaled transform along an image axis.
struct Transform {
    axis: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
}

impl Cartesian {
    /// Of coils with these sensitivities `[coils, D, H, W]`, measured where the mask `[D, H, W]` says, with k-space
    /// along these of the axes 1, 2 and 3.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn new(maps: Array4<Complex32>, sampled: Array3<bool>, axes: &[usize]) -> Self {
        assert_eq!(&maps.shape()[1..], sampled.shape(), "maps and mask");
        let mut planner = FftPlanner::new();
        let varies = |axis: usize| {
            sampled.lanes(Axis(axis)).into_iter().any(|lane| lane.iter().any(|&place| place != lane[0]))
        };
        let active: Vec<Transform> = axes
            .iter()
            .map(|axis| axis - 1)
            .filter(|&axis| varies(axis))
            .map(|axis| {
                let n = sampled.shape()[axis];
                let (forward, inverse) = (planner.plan_fft_forward(n), planner.plan_fft_inverse(n));
                Transform { axis, forward, inverse }
            })
            .collect();
        let places: usize = active.iter().map(|transform| transform.forward.len()).product();
        let filter = Array3::from_shape_fn(sampled.raw_dim(), |(d, h, w)| {
            let mut at = [d, h, w];
            for axis in active.iter().map(|transform| transform.axis) {
                let n = sampled.shape()[axis];
                at[axis] = (at[axis] + n / 2) % n;
            }
            if sampled[at] { 1.0 / places as f32 } else { 0.0 }
        });
        let coverage = coverage(maps.view());
        Self {
            coverage,
            fourier: Fourier::new(maps.shape(), axes),
            sampled: Sampled::new(sampled, maps.shape()[0]),
            sensitivities: Sensitivities::new(maps),
            active,
            filter,
            between: Mutex::new(None),
        }
    }

    /// `AᴴA·x` where the mask varies along one axis: line by line, coil by coil.
    fn normal_along(&self, x: &Array3<Complex32>, only: &Transform) -> Array3<Complex32> {
        let x = Bundles::of(x.view(), only.axis);
        let filter = Bundles::of(self.filter.view(), only.axis);
        let maps: Vec<_> = self.maps().map(|map| Bundles::of(map, only.axis)).collect();
        let mut out = Array3::zeros(self.filter.raw_dim());
        for_bundles(out.view_mut(), only.axis, |at, mut out, buffer| {
            for map in &maps {
                buffer.fill_product(x.at(at), map.at(at));
                buffer.transform(&*only.forward);
                buffer.weigh(filter.at(at));
                buffer.transform(&*only.inverse);
                buffer.add_conjugate_product(map.at(at), &mut out);
            }
        });
        out
    }

    /// `AᴴA·x` where the mask varies along more axes: the first is transformed on the way in and on the way out.
    fn normal_between(
        &self,
        x: &Array3<Complex32>,
        first: &Transform,
        rest: &[Transform],
    ) -> Array3<Complex32> {
        let kept = self.between.lock().map_or(None, |mut kept| kept.take());
        let mut between = kept.unwrap_or_else(|| Array4::zeros(self.sensitivities.maps().raw_dim()));
        let x = Bundles::of(x.view(), first.axis);
        let maps: Vec<_> = self.maps().map(|map| Bundles::of(map, first.axis)).collect();
        between.outer_iter_mut().into_par_iter().zip(&maps).for_each(|(mut coil, map)| {
            for_bundles(coil.view_mut(), first.axis, |at, lines, buffer| {
                buffer.fill_product(x.at(at), map.at(at));
                buffer.transform(&*first.forward);
                buffer.store(lines);
            });
            self.filter_rest(coil, rest);
        });
        let coils: Vec<_> = between.outer_iter().map(|coil| Bundles::of(coil, first.axis)).collect();
        let mut out = Array3::zeros(self.filter.raw_dim());
        for_bundles(out.view_mut(), first.axis, |at, mut out, buffer| {
            for (coil, map) in coils.iter().zip(&maps) {
                buffer.fill(coil.at(at));
                buffer.transform(&*first.inverse);
                buffer.add_conjugate_product(map.at(at), &mut out);
            }
        });
        if let Ok(mut kept) = self.between.lock() {
            *kept = Some(between);
        }
        out
    }

    /// Transform, filter and transform back along the remaining axes, in place; the innermost pair in one pass.
    fn filter_rest(&self, mut coil: ArrayViewMut3<'_, Complex32>, rest: &[Transform]) {
        let Some((last, before)) = rest.split_last() else { return };
        before.iter().for_each(|step| transform(coil.view_mut(), step.axis, &*step.forward));
        let filter = Bundles::of(self.filter.view(), last.axis);
        for_bundles(coil.view_mut(), last.axis, |at, lines, buffer| {
            buffer.fill(lines.view());
            buffer.transform(&*last.forward);
            buffer.weigh(filter.at(at));
            buffer.transform(&*last.inverse);
            buffer.store(lines);
        });
        before.iter().rev().for_each(|step| transform(coil.view_mut(), step.axis, &*step.inverse));
    }

    fn maps(&self) -> impl Iterator<Item = ArrayView3<'_, Complex32>> {
        self.sensitivities.maps().outer_iter()
    }
}

/// One transform of a coil image along an axis, in place.
fn transform(coil: ArrayViewMut3<'_, Complex32>, axis: usize, plan: &dyn Fft<f32>) {
    for_bundles(coil, axis, |_, lines, buffer| {
        buffer.fill(lines.view());
        buffer.transform(plan);
        buffer.store(lines);
    });
}

impl LinearOperator for Cartesian {
    fn input_shape(&self) -> &[usize] {
        self.sensitivities.input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.sensitivities.output_shape()
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        self.sampled.forward(self.fourier.forward(self.sensitivities.forward(x)))
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.sensitivities.adjoint(self.fourier.adjoint(self.sampled.adjoint(y)))
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.input_shape(), "the image of the measurement");
        let mut x = x.into_dimensionality::<Ix3>().expect("an image of rank three");
        match &self.active[..] {
            [] => {
                let sum = Zip::from(&mut x).and(&self.coverage).and(&self.filter);
                sum.par_for_each(|x, &coverage, &filter| *x *= coverage * filter);
                x
            }
            [only] => self.normal_along(&x, only),
            [first, rest @ ..] => self.normal_between(&x, first, rest),
        }
        .into_dyn()
    }
}
