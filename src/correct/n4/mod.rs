//! N4: estimation and removal of the bias field of an image.
//!
//! Tustison et al. 2010, "N4ITK: improved N3 bias correction", IEEE TMI 29:1310. The logarithm of an image is that of
//! the true one plus a smooth field. Each iteration sharpens the histogram of the image corrected so far (`histogram`),
//! takes the difference as an estimate of the remaining field, approximates it by B-splines (`bspline`) and adds them
//! to the field. Each level halves the spline's spans.
//!
//! Differences from the program of ANTs: shrunk voxels keep their place in the field of view (there the shrunk grid is
//! stretched over the whole of it), thin stacks keep a plane, and voxels of a mask that are zero, negative or not
//! finite are left out (there their value is taken as their logarithm).

mod bspline;
mod field;
mod histogram;
mod samples;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use self::bspline::Approximation;
pub use self::bspline::Lattice;
pub use self::field::Field;
use self::histogram::Sharpening;
use self::samples::Samples;
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Options of the estimation; the defaults are those of ANTs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct N4Options {
    /// The fit takes every n-th voxel along each axis; this is n.
    pub shrink: usize,
    /// Largest number of iterations of each level.
    pub iterations: Vec<usize>,
    /// A level ends when the coefficient of variation of the last step's factor, over the samples, is at most this.
    pub tolerance: f64,
    /// Length of the first level's spans in millimetres; each further level halves it.
    pub spline_mm: f64,
    /// Full width at half maximum of the field's histogram, in natural logarithms.
    pub fwhm: f64,
    /// Number of bins of the histogram.
    pub bins: usize,
    /// Noise term of the Wiener filter that sharpens the histogram.
    pub wiener: f64,
}

impl std::fmt::Display for N4Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shrink, iterations, tolerance, spline_mm, fwhm, bins, wiener } = self;
        let iterations = iterations.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        write!(
            f,
            "shrink {shrink}, iterations {iterations}, tolerance {tolerance}, spline {spline_mm} mm, FWHM {fwhm}, {bins} bins, \
             Wiener {wiener}"
        )
    }
}

impl Default for N4Options {
    fn default() -> Self {
        Self {
            shrink: 4,
            iterations: vec![50; 4],
            tolerance: 1e-7,
            spline_mm: 200.0,
            fwhm: 0.15,
            bins: 200,
            wiener: 0.01,
        }
    }
}

/// Control points that a lattice may have; beyond it the field is no smooth field.
const CONTROL_POINTS_MAX: f64 = 1e7;
/// Bins that a histogram may have.
const BINS_MAX: usize = 1 << 16;

impl N4Options {
    /// Whether the values can be used for a volume.
    fn validate(&self, volume: &Volume) -> Result<()> {
        let refuse = |key: &str, expected: &str, found: String, advice: &str| {
            Err(Error::value(format!("n4.{key}"), expected, found, advice))
        };
        if volume.channels() != 1 {
            let advice = "correct the channels one by one";
            return refuse("image", "one channel", volume.channels().to_string(), advice);
        }
        if self.shrink == 0 {
            return refuse("shrink", "1 or more", "0".into(), "1 takes every voxel, 4 is usual");
        }
        if self.iterations.is_empty() {
            return refuse("iterations", "a number for each level", "none".into(), "50,50,50,50 is usual");
        }
        if !(2..=BINS_MAX).contains(&self.bins) {
            let expected = format!("2 to {BINS_MAX}");
            return refuse("bins", &expected, self.bins.to_string(), "200 is usual");
        }
        if self.tolerance.is_nan() || self.tolerance < 0.0 {
            return refuse("tolerance", "0 or more", self.tolerance.to_string(), "1e-7 is usual");
        }
        for (key, value, usual) in [
            ("spline_mm", self.spline_mm, "200"),
            ("fwhm", self.fwhm, "0.15"),
            ("wiener", self.wiener, "0.01"),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(key, "a positive number", value.to_string(), &format!("{usual} is usual"));
            }
        }
        let finest_mm = self.spline_mm / 2_f64.powi(self.iterations.len().min(1000) as i32 - 1);
        let points: f64 = (0..3)
            .map(|axis| volume.dims()[axis] as f64 * volume.spacing_mm()[axis] / finest_mm + 4.0)
            .product();
        if points > CONTROL_POINTS_MAX {
            let found = format!("{} levels down to {finest_mm} mm", self.iterations.len());
            return refuse("spline_mm", "a smooth field", found, "give longer spans or fewer levels");
        }
        Ok(())
    }
}

/// `volume` divided by its bias field, and the field.
///
/// The field is fitted to the positive finite voxels of `mask`, `[D, H, W]`; without one, to those of the head or
/// brain: above zero where the air was set to zero, or else brighter than Otsu's threshold
/// ([`foreground`](crate::volume::intensity::foreground)). All voxels are divided by it. The field is determined up to
/// a factor, which is not normalised, as in ANTs, so that the image's scale can change. A slice, of depth one, gets a
/// field in its plane. The result does not depend on the number of threads.
///
/// # Errors
/// [`Error::Value`] for options out of range, for several channels, a mask of another shape, and fewer than two
/// different positive values in the mask.
pub fn correct(volume: &Volume, mask: Option<&Array3<bool>>, options: &N4Options) -> Result<(Volume, Field)> {
    options.validate(volume)?;
    let flat = Field::flat(volume, options);
    let samples = Samples::new(volume, mask, options.shrink, flat.padding(volume))?;
    let field = fit(samples, flat, volume.dims());
    let step = format!("N4 bias correction: {}", field.options);
    Ok((field.remove(volume.clone()).with_step(step), field))
}

fn fit(mut samples: Samples, mut field: Field, [w, h, d]: [usize; 3]) -> Field {
    let options = field.options.clone();
    let sharpening = Sharpening::new(options.bins, options.fwhm, options.wiener);
    for (level, &most) in options.iterations.iter().enumerate() {
        if level > 0 {
            field.refine();
        }
        let taps = [(0, d), (1, h), (2, w)]
            .map(|(axis, length)| field.taps(axis, length, samples.places[axis].iter().copied()));
        let approximation = Approximation::new(&samples, taps, field.log_lattice.spans());
        let mut taken = 0;
        while taken < most {
            let Some(expectation) = sharpening.of(&samples) else { break };
            taken += 1;
            let step = approximation.fit(&samples, |value| value - expectation.at(value));
            field.log_lattice.0 += &step.0;
            let change = approximation.subtract(&mut samples, &step);
            tracing::debug!("level {level}, iteration {taken}: the field changes by {change:.3e}");
            if change <= options.tolerance {
                break;
            }
        }
        field.iterations.push(taken);
    }
    field
}
