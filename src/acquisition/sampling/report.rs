//! Figures of a mask: real acceleration, calibration region, side lobe of the point spread function.

use std::fmt;

use ndarray::{Array3, ArrayView3, Axis};
use serde::{Deserialize, Serialize};

use super::calibration::calibration_region;
use crate::acquisition::fourier::ifft;
use crate::acquisition::{Complex32, ComplexArray};

/// Measured figures of a mask, to compare with the pattern's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Places over samples; infinite where nothing is sampled.
    pub acceleration: f64,
    /// The acceleration that was asked for, where it is known.
    pub nominal: Option<f64>,
    /// Samples over places.
    pub sampled_share: f64,
    /// Widths along D, H and W of the fully sampled box that grows from DC by one place at each face in turn for as
    /// long as the new face is fully sampled. Of a mask of columns that is, as in fastMRI, the run of columns through
    /// DC. Zeros where DC is not sampled.
    pub calibration: [usize; 3],
    /// Largest magnitude of the point spread function away from its centre, relative to the centre (Lustig 2007, eq.
    /// 3): zero for a full mask, one for a coherent alias.
    pub point_spread_side_lobe: f64,
}

impl Report {
    /// The figures of a mask `[D, H, W]`, DC at ⌊n/2⌋.
    pub fn of(sampled: &Array3<bool>) -> Self {
        let count = sampled.iter().filter(|sampled| **sampled).count() as f64;
        Self {
            acceleration: sampled.len() as f64 / count,
            nominal: None,
            sampled_share: if sampled.is_empty() { 0.0 } else { count / sampled.len() as f64 },
            calibration: calibration_region(sampled.view(), [true; 3]).map(|range| range.len()),
            point_spread_side_lobe: side_lobe(sampled.view()),
        }
    }
}

/// One line each; extents in the printed order W × H × D.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [d, h, w] = self.calibration;
        write!(f, "acceleration  {:.3}", self.acceleration)?;
        match self.nominal {
            Some(nominal) => writeln!(f, " (asked for: {nominal})")?,
            None => writeln!(f)?,
        }
        writeln!(f, "sampled       {:.2} %", 100.0 * self.sampled_share)?;
        writeln!(f, "calibration   {w} x {h} x {d} (W x H x D, fully sampled about DC)")?;
        write!(f, "side lobe     {:.4} of the main lobe", self.point_spread_side_lobe)
    }
}

fn side_lobe(mut sampled: ArrayView3<bool>) -> f64 {
    // Along an axis that the mask is constant along, the point spread is a single place.
    for axis in (0..3).map(Axis) {
        if sampled.len_of(axis) > 1 {
            let first = sampled.index_axis(axis, 0);
            if sampled.axis_iter(axis).all(|other| other == first) {
                sampled.slice_axis_inplace(axis, (0..1).into());
            }
        }
    }
    let mut spread: ComplexArray = sampled.mapv(|on| Complex32::from(f32::from(u8::from(on)))).into_dyn();
    let transformed: Vec<usize> = (0..3).filter(|&axis| sampled.len_of(Axis(axis)) > 1).collect();
    ifft(&mut spread, &transformed);
    let (d, h, w) = sampled.dim();
    let main = std::mem::take(&mut spread[[d / 2, h / 2, w / 2]]).norm();
    let side = spread.iter().map(|value| value.norm_sqr()).fold(0.0, f32::max).sqrt();
    if main > 0.0 { f64::from(side / main) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn a_full_mask_has_no_side_lobe_and_a_lattice_has_one_of_one() {
        let full = Report::of(&Array3::from_elem((3, 8, 9), true));
        assert_eq!((full.acceleration, full.sampled_share, full.calibration), (1.0, 1.0, [3, 8, 9]));
        assert_eq!(full.point_spread_side_lobe, 0.0);
        let lattice = Report::of(&Array3::from_shape_fn((1, 12, 16), |(_, h, w)| {
            h.is_multiple_of(3) && w.is_multiple_of(2)
        }));
        assert_eq!((lattice.acceleration, lattice.calibration), (6.0, [1, 1, 1]));
        assert!((lattice.point_spread_side_lobe - 1.0).abs() < 1e-6);
        let empty = Report::of(&Array3::from_elem((2, 3, 4), false));
        assert_eq!((empty.calibration, empty.sampled_share), ([0; 3], 0.0));
        assert!(empty.acceleration.is_infinite());
    }

    /// The point spread of a centred run of columns is the Dirichlet kernel sin(πmx/n) / (m·sin(πx/n)).
    #[test]
    fn the_side_lobe_of_a_run_of_columns_is_that_of_the_dirichlet_kernel() {
        let (n, m) = (64, 11);
        let run = Array3::from_shape_fn((4, 5, n), |(_, _, w)| (27..38).contains(&w));
        let kernel = |x: usize| {
            let x = PI * x as f64 / n as f64;
            ((m as f64 * x).sin() / (m as f64 * x.sin())).abs()
        };
        let expected = (1..n).map(kernel).fold(0.0, f64::max);
        let report = Report::of(&run);
        assert!((report.point_spread_side_lobe - expected).abs() < 1e-6, "{report}");
        assert_eq!(report.calibration, [4, 5, m]);
    }

    #[test]
    fn the_calibration_box_is_the_run_through_dc_and_the_square_within_a_plane() {
        let box_of = |f: &dyn Fn(usize, usize) -> bool| {
            Report::of(&Array3::from_shape_fn((1, 20, 21), |(_, h, w)| f(h, w))).calibration
        };
        // Two columns that happen to be sampled beside the centre count, as in fastMRI.
        assert_eq!(box_of(&|_, w| (8..15).contains(&w) || w == 3), [1, 20, 7]);
        assert_eq!(
            box_of(&|h, w| (6..12).contains(&h) && (9..13).contains(&w) || (h + w).is_multiple_of(5)),
            [1, 6, 4]
        );
        assert_eq!(box_of(&|h, w| h != 10 || w != 10), [0; 3]);
    }
}
