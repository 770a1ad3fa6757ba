//! Cutting and padding about the centre.

use ndarray::{ArrayD, Axis, Slice};

use crate::acquisition::ComplexArray;
use crate::acquisition::linear::LinearOperator;

/// `x` brought to `shape` along every axis: a longer axis is cut, a shorter one padded with zeros. Index ⌊n/2⌋ of
/// an axis of length n (DC, or the image's centre) goes to ⌊m/2⌋ of the new length m.
///
/// # Panics
/// If the ranks differ.
pub fn centred(mut x: ComplexArray, shape: &[usize]) -> ComplexArray {
    assert_eq!(x.ndim(), shape.len(), "{:?} cannot become {shape:?}", x.shape());
    if x.shape() == shape {
        return x;
    }
    let mut y = ArrayD::zeros(shape);
    let mut inner = y.view_mut();
    for (axis, &m) in shape.iter().enumerate() {
        let n = x.shape()[axis];
        let (source, target, length) = common(n, m);
        x.slice_axis_inplace(Axis(axis), Slice::from(source..source + length));
        inner.slice_axis_inplace(Axis(axis), Slice::from(target..target + length));
    }
    inner.assign(&x);
    y
}

/// The overlap of lines of `n` and `m` places with a common centre: its start in the first, in the second, and its
/// length.
pub fn common(n: usize, m: usize) -> (usize, usize, usize) {
    if n > m { (n / 2 - m / 2, 0, m) } else { (0, m / 2 - n / 2, n) }
}

/// Cutting or padding with zeros about the centre, along each axis one or the other; the adjoint does the opposite.
#[derive(Clone, Debug)]
pub struct Crop {
    input: Vec<usize>,
    output: Vec<usize>,
}

impl Crop {
    /// The operator from arrays of shape `input` to arrays of shape `output`.
    ///
    /// # Panics
    /// If the ranks differ.
    pub fn new(input: &[usize], output: &[usize]) -> Self {
        assert_eq!(input.len(), output.len(), "{input:?} cannot become {output:?}");
        Self { input: input.to_vec(), output: output.to_vec() }
    }
}

impl LinearOperator for Crop {
    fn input_shape(&self) -> &[usize] {
        &self.input
    }

    fn output_shape(&self) -> &[usize] {
        &self.output
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.input, "the shape to cut or pad");
        centred(x, &self.output)
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        assert_eq!(y.shape(), self.output, "the shape that was cut or padded");
        centred(y, &self.input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::Complex32;

    #[test]
    fn the_centre_stays_the_centre_for_odd_and_even_lengths() {
        for n in 1..9 {
            for m in 1..9 {
                let mut x = ComplexArray::zeros(vec![2, n]);
                x[[1, n / 2]] = Complex32::ONE;
                let y = centred(x, &[2, m]);
                assert_eq!(y[[1, m / 2]], Complex32::ONE, "{n} to {m}");
                assert_eq!(y.shape(), [2, m]);
            }
        }
    }

    #[test]
    fn cut_along_one_axis_and_padded_along_another() {
        let x =
            ComplexArray::from_shape_fn(vec![2, 5], |at| Complex32::new((10 * at[0] + at[1]) as f32, 0.0));
        let real: Vec<f32> = centred(x, &[4, 2]).iter().map(|z| z.re).collect();
        assert_eq!(real, [0.0, 0.0, 1.0, 2.0, 11.0, 12.0, 0.0, 0.0]);
    }
}
