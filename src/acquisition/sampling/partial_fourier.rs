//! Partial Fourier: one end of an axis is not measured; conjugate symmetry of k-space fills it (Margosian 1986, Noll
//! 1991 homodyne).

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::plane::Plane;
use super::{Axis, Mask};
use crate::error::{Error, Result};

/// The end of an axis that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// From index 0 on.
    Low,
    /// Up to the last index.
    High,
}

/// A part of an axis, more than half of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartialFourier {
    /// The part that is measured, such as 0.75 or 5/8.
    pub fraction: f64,
    /// Which end is measured.
    #[serde(default = "usual_end")]
    pub end: End,
    /// The axis.
    #[serde(default = "columns_axis")]
    pub axis: Axis,
}

fn usual_end() -> End {
    End::High
}

fn columns_axis() -> Axis {
    Axis::W
}

impl PartialFourier {
    /// The indices that are measured of an axis of length `n`: `round(fraction · n)` of them.
    ///
    /// # Errors
    /// [`Error::Value`] for a fraction above one, or so small that DC is not among them.
    pub fn measured(&self, n: usize) -> Result<Range<usize>> {
        let count = (self.fraction * n as f64).round();
        // Places on the missing end's side of DC, and DC.
        let least = match self.end {
            End::Low => n / 2 + 1,
            End::High => n - n / 2,
        };
        if !(self.fraction <= 1.0 && count >= least as f64) {
            let expected = format!("1 at most, and at least {least} of {n} places, which hold DC");
            let advice = "partial Fourier measures more than half, such as 0.625 or 0.75";
            return Err(Error::value("fraction", expected, self.fraction.to_string(), advice));
        }
        let count = count as usize;
        Ok(match self.end {
            End::Low => 0..count,
            End::High => n - count..n,
        })
    }

    /// The measured indices about DC whose mirror images (2⌊n/2⌋ − i) are measured too, from which phase maps are
    /// estimated.
    ///
    /// # Errors
    /// As [`PartialFourier::measured`].
    pub fn symmetric(&self, n: usize) -> Result<Range<usize>> {
        let (Range { start, end }, dc) = (self.measured(n)?, n / 2);
        let reach = (dc - start).min(end - 1 - dc);
        Ok(dc - reach..dc + reach + 1)
    }

    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask).
    ///
    /// # Errors
    /// [`Error::Value`] as [`PartialFourier::measured`], and for a shape with an extent of zero.
    pub fn mask(&self, shape: [usize; 3]) -> Result<Mask> {
        let line = Plane::new(shape, &[self.axis])?;
        let mut sampled = vec![false; line.extents[0]];
        sampled[self.measured(line.extents[0])?].fill(true);
        Ok(Mask { sampled: line.spread(&sampled), nominal: Some(1.0 / self.fraction) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symmetric_part_is_where_both_of_a_mirrored_pair_are_measured() {
        for n in 2..40 {
            for end in [End::Low, End::High] {
                for fraction in [0.52, 0.625, 0.75, 0.9, 1.0] {
                    let part = PartialFourier { fraction, end, axis: Axis::W };
                    let Ok(measured) = part.measured(n) else { continue };
                    let pairs: Vec<usize> = (0..n)
                        .filter(|&i| {
                            measured.contains(&i) && measured.contains(&(2 * (n / 2) - i.min(2 * (n / 2))))
                        })
                        .collect();
                    assert_eq!(
                        part.symmetric(n).unwrap().collect::<Vec<_>>(),
                        pairs,
                        "{n} {end:?} {fraction}"
                    );
                }
            }
        }
    }

    #[test]
    fn fractions_that_miss_dc_or_pass_the_end_are_refused() {
        for fraction in [0.5, 0.0, -1.0, 1.01, f64::NAN] {
            let message = PartialFourier { fraction, end: End::Low, axis: Axis::W }
                .measured(64)
                .unwrap_err()
                .to_string();
            assert!(message.starts_with("fraction: expected 1 at most"), "{message}");
        }
        assert_eq!(
            PartialFourier { fraction: 0.75, end: End::High, axis: Axis::H }.measured(256).unwrap(),
            64..256
        );
    }
}
