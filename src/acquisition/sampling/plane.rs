//! The axes that a pattern acts on: their places, their centre, the calibration region, the number of samples.

use std::ops::Range;

use ndarray::{Array3, ArrayView};

use super::Axis;
use crate::error::{Error, Result};

/// The line, plane or volume that a pattern acts on, within a k-space `[D, H, W]`.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    shape: [usize; 3],
    axes: Vec<usize>,
    /// Places along each of the axes.
    pub extents: Vec<usize>,
}

impl Plane {
    /// The plane of `axes` of a k-space of `shape` `[D, H, W]`.
    ///
    /// # Errors
    /// [`Error::Value`] for an extent of zero, no axes, or an axis that is given twice.
    pub fn new(shape: [usize; 3], axes: &[Axis]) -> Result<Self> {
        if shape.contains(&0) {
            let found = format!("{shape:?}");
            return Err(Error::value(
                "shape",
                "at least one place along D, H and W",
                found,
                "correct the shape",
            ));
        }
        let numbers: Vec<usize> = axes.iter().map(|&axis| axis as usize).collect();
        if axes.is_empty() || numbers.iter().enumerate().any(|(i, axis)| numbers[..i].contains(axis)) {
            let advice = "name each axis that the pattern acts on once";
            return Err(Error::value("axes", "different axes", format!("{axes:?}"), advice));
        }
        let extents = numbers.iter().map(|&axis| shape[axis]).collect();
        Ok(Self { shape, axes: numbers, extents })
    }

    /// The axis of `[D, H, W]` that is this axis of the plane.
    pub fn axis(&self, axis: usize) -> usize {
        self.axes[axis]
    }

    /// The places along the longest axis.
    pub fn longest(&self) -> usize {
        self.extents.iter().copied().max().unwrap_or(1)
    }

    /// Number of places.
    pub fn places(&self) -> usize {
        self.extents.iter().product()
    }

    /// `round(places / acceleration)`: the number of samples for an acceleration.
    ///
    /// # Errors
    /// [`Error::Value`] for an acceleration below one or above the number of places.
    pub fn budget(&self, acceleration: f64) -> Result<usize> {
        let places = self.places() as f64;
        if !(1.0..=places).contains(&acceleration) {
            let expected = format!("1 to {places}, as many as there are places to sample");
            let advice = "ask for an acceleration within these bounds";
            return Err(Error::value("acceleration", expected, acceleration.to_string(), advice));
        }
        Ok((places / acceleration).round() as usize)
    }

    /// The centred region of these widths, which includes DC unless a width is zero.
    ///
    /// # Errors
    /// [`Error::Value`] for another number of widths than axes, or a width beyond its axis.
    pub fn centre(&self, widths: &[usize]) -> Result<Vec<Range<usize>>> {
        let fits =
            widths.len() == self.extents.len() && widths.iter().zip(&self.extents).all(|(w, n)| w <= n);
        if !fits {
            let expected = format!("one width an axis, at most {:?}", self.extents);
            let advice = "make the calibration region smaller";
            return Err(Error::value("calibration", expected, format!("{widths:?}"), advice));
        }
        Ok(widths.iter().zip(&self.extents).map(|(&w, &n)| centred(n, w)).collect())
    }

    /// Along each axis the index of a place; zeros after the last axis.
    pub fn position(&self, place: usize) -> [usize; 3] {
        let mut rest = place;
        let mut position = [0; 3];
        for (index, &n) in position.iter_mut().zip(&self.extents).rev() {
            *index = rest % n;
            rest /= n;
        }
        position
    }

    /// Whether a place is in a region.
    pub fn within(&self, region: &[Range<usize>], place: usize) -> bool {
        self.position(place).iter().zip(region).all(|(index, range)| range.contains(index))
    }

    /// The mask `[D, H, W]` that is `sampled` (the last axis runs fastest) on this plane and constant along the others.
    ///
    /// # Panics
    /// If there is not one value a place.
    pub fn spread(&self, sampled: &[bool]) -> Array3<bool> {
        let values = ArrayView::from_shape(self.extents.clone(), sampled).expect("one value a place");
        // The plane's axes in the order of the mask's, then an axis of length one for each that is missing.
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        order.sort_by_key(|&i| self.axes[i]);
        let mut values = values.permuted_axes(order);
        for axis in (0..3).filter(|axis| !self.axes.contains(axis)) {
            values = values.insert_axis(ndarray::Axis(axis));
        }
        let values = values.into_dimensionality::<ndarray::Ix3>().expect("three axes");
        values.broadcast(self.shape).expect("axes of the shape's length or one").to_owned()
    }
}

/// The `width` places about the centre of `n`, with fastMRI's rounding: from (n − width + 1) / 2 on.
pub(super) fn centred(n: usize, width: usize) -> Range<usize> {
    let start = (n - width).div_ceil(2);
    start..start + width
}

/// That a calibration region alone needs more samples than the acceleration leaves.
pub(super) fn beyond_budget(needed: usize, budget: usize) -> Error {
    let advice = "make the calibration region smaller or the acceleration lower";
    let expected = format!("a region of at most {budget} places, as many as the acceleration leaves");
    Error::value("calibration", expected, format!("{needed} places"), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_holds_dc_at_every_length() {
        for n in 1..20 {
            for width in 1..=n {
                let range = centred(n, width);
                assert!(range.contains(&(n / 2)) && range.end <= n, "{n}: {range:?}");
            }
        }
    }

    #[test]
    fn a_plane_is_spread_over_the_axes_that_it_names_in_any_order() {
        let shape = [2, 3, 4];
        let plane = Plane::new(shape, &[Axis::W, Axis::D]).unwrap();
        let sampled: Vec<bool> = (0..8).map(|place| plane.position(place) == [3, 1, 0]).collect();
        let mask = plane.spread(&sampled);
        assert!(mask.indexed_iter().all(|((d, _, w), &sampled)| sampled == (d == 1 && w == 3)));
        let line = Plane::new(shape, &[Axis::H]).unwrap().spread(&[false, true, false]);
        assert!(line.indexed_iter().all(|((_, h, _), &sampled)| sampled == (h == 1)));
        assert!(Plane::new(shape, &[Axis::W, Axis::W]).is_err());
        assert!(Plane::new([1, 0, 4], &[Axis::W]).is_err());
    }
}
