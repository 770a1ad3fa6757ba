//! Autofocus: a search for the motion between slabs of k-space that makes the image sharpest, without training
//! (Atkinson et al. 1997, "Automatic correction of motion artifacts in magnetic resonance images using an entropy focus
//! criterion"; the criterion is the entropy of the gradient, the best of those compared by McGee et al. 2000).

use ndarray::{Array3, ArrayView3, Axis as ArrayAxis, Zip};

use crate::acquisition::Complex32;
use crate::acquisition::fourier::{fft, ifft};
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::operators::motion::{Moved, Rigid};
use crate::acquisition::sampling::Axis;
use crate::error::{Error, Result};

/// Settings of [`autofocus`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autofocus {
    /// The phase-encoding axis, along which k-space is divided into slabs.
    pub axis: Axis,
    /// Number of slabs of equal width, each with one pose; the slab in the middle of k-space is not moved.
    pub slabs: usize,
    /// First steps of the search, in millimetres and in degrees; they are halved after each round.
    pub steps: [f64; 2],
    /// Number of rounds over all slabs and parameters.
    pub rounds: usize,
}

impl Autofocus {
    /// Settings with eight slabs, steps of two millimetres and degrees, and four rounds.
    pub fn new(axis: Axis) -> Self {
        Self { axis, slabs: 8, steps: [2.0; 2], rounds: 4 }
    }
}

/// The result of [`autofocus`].
#[derive(Clone, Debug)]
pub struct Focused {
    /// The corrected image, `[D, H, W]`.
    pub image: Array3<Complex32>,
    /// The motion that each slab's image was moved by.
    pub poses: Vec<Rigid>,
    /// Entropy of the gradient before and after.
    pub entropy: [f64; 2],
}

/// Minimises the entropy of the gradient of `image` `[D, H, W]` over rigid motions of the images of slabs of k-space,
/// by a pattern search (Hooke & Jeeves 1961): each parameter in turn takes a step up or down where that lowers the
/// entropy. `spacing_mm` is the voxel size along `(i, j, k)`.
///
/// # Errors
/// [`Error::Value`] for fewer than two slabs or more than there are planes, for steps that are not positive, and as
/// [`Rigid::source`].
pub fn autofocus(image: &Array3<Complex32>, spacing_mm: [f64; 3], settings: &Autofocus) -> Result<Focused> {
    let planes = image.shape()[settings.axis as usize];
    if !(2..=planes).contains(&settings.slabs) {
        let (expected, found) = (format!("2 to {planes}, the planes"), settings.slabs.to_string());
        return Err(Error::value("slabs", expected, found, "choose another number"));
    }
    if !settings.steps.iter().all(|step| *step > 0.0 && step.is_finite()) {
        let found = format!("{:?}", settings.steps);
        return Err(Error::value("steps", "positive numbers", found, "choose others"));
    }
    let shape: [usize; 3] = image.dim().into();
    let free: Vec<usize> = (0..6).filter(|&parameter| is_free(parameter, shape)).collect();
    let parts = slabs(image, settings);
    let middle = (planes / 2) * settings.slabs / planes;
    let mut poses = vec![Rigid::IDENTITY; settings.slabs];
    let mut sum = image.clone();
    let before = entropy(sum.view());
    let mut least = before;
    for round in 0..settings.rounds {
        let scale = 0.5f64.powi(round as i32);
        for slab in (0..settings.slabs).filter(|&slab| slab != middle) {
            let others = &sum - &moved(&parts[slab], &poses[slab], spacing_mm)?;
            for &parameter in &free {
                let step = scale * settings.steps[parameter / 3];
                for step in [step, -step] {
                    let pose = stepped(poses[slab], parameter, step);
                    // A turn beyond what can be resampled is no better.
                    let Ok(candidate) = moved(&parts[slab], &pose, spacing_mm) else { continue };
                    let candidate = &others + &candidate;
                    let found = entropy(candidate.view());
                    if found < least {
                        (least, poses[slab], sum) = (found, pose, candidate);
                        break;
                    }
                }
            }
        }
    }
    Ok(Focused { image: sum, poses, entropy: [before, least] })
}

/// Whether a grid allows this parameter: three shifts along i, j, k, then three turns about them.
fn is_free(parameter: usize, shape: [usize; 3]) -> bool {
    let long = |axis: usize| shape[2 - axis] > 1;
    match parameter {
        0..3 => long(parameter),
        _ => (0..3).all(|axis| axis == parameter - 3 || long(axis)),
    }
}

fn stepped(mut pose: Rigid, parameter: usize, step: f64) -> Rigid {
    match parameter {
        0..3 => pose.translation_mm[parameter] += step,
        _ => pose.rotation_deg[parameter - 3] += step,
    }
    pose
}

/// The image of each slab of k-space alone; they add up to the image.
fn slabs(image: &Array3<Complex32>, settings: &Autofocus) -> Vec<Array3<Complex32>> {
    let axis = settings.axis as usize;
    let mut k = image.clone().into_dyn();
    fft(&mut k, &[axis]);
    let planes = image.shape()[axis];
    let slab = |number: usize| {
        let mut part = k.clone();
        for (plane, mut values) in part.axis_iter_mut(ArrayAxis(axis)).enumerate() {
            if plane * settings.slabs / planes != number {
                values.fill(Complex32::default());
            }
        }
        ifft(&mut part, &[axis]);
        part.into_dimensionality().expect("an image of three axes")
    };
    (0..settings.slabs).map(slab).collect()
}

fn moved(part: &Array3<Complex32>, pose: &Rigid, spacing_mm: [f64; 3]) -> Result<Array3<Complex32>> {
    let moved = Moved::new(part.dim().into(), pose, spacing_mm)?.forward(part.clone().into_dyn());
    Ok(moved.into_dimensionality().expect("an image of three axes"))
}

/// `−Σ h·ln h`, `h` the magnitude of the gradient of the image's magnitude over its sum.
fn entropy(image: ArrayView3<Complex32>) -> f64 {
    let magnitude = image.map(|z| z.norm());
    let mut squares = Array3::<f32>::zeros(image.dim());
    for axis in (0..3).filter(|&axis| image.shape()[axis] > 1) {
        let length = image.shape()[axis] as isize;
        let after = magnitude.slice_axis(ArrayAxis(axis), (1..length).into());
        let before = magnitude.slice_axis(ArrayAxis(axis), (0..length - 1).into());
        let to = squares.slice_axis_mut(ArrayAxis(axis), (0..length - 1).into());
        Zip::from(to).and(after).and(before).par_for_each(|to, a, b| *to += (a - b).powi(2));
    }
    let (mut sum, mut weighted) = (0.0f64, 0.0f64);
    for h in squares.iter().map(|square| f64::from(square.sqrt())).filter(|&h| h > 0.0) {
        sum += h;
        weighted += h * h.ln();
    }
    // −Σ (h/S)·ln(h/S) = ln S − Σ h·ln h / S
    if sum > 0.0 { sum.ln() - weighted / sum } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> Array3<Complex32> {
        Array3::from_shape_fn((1, 48, 48), |(_, y, x)| {
            let far = |cy: f64, cx: f64| ((y as f64 - cy).powi(2) + (x as f64 - cx).powi(2)).sqrt();
            let value = f64::from(far(23.0, 24.0) < 17.0) + f64::from(far(20.0, 30.0) < 5.0)
                - 0.5 * f64::from(far(28.0, 17.0) < 6.0);
            Complex32::new(value as f32, 0.0)
        })
    }

    fn error(a: &Array3<Complex32>, b: &Array3<Complex32>) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a.norm() - b.norm()).powi(2)).sum::<f32>()
    }

    /// One slab of k-space shifted by known millimetres: found, and undone.
    #[test]
    fn a_shift_between_slabs_is_found() {
        let truth = shapes();
        let settings = Autofocus { slabs: 4, steps: [2.0, 1.0], rounds: 4, axis: Axis::H };
        let away = Rigid { translation_mm: [3.0, 0.0, 0.0], ..Rigid::IDENTITY };
        let parts = slabs(&truth, &settings);
        let corrupted = parts.iter().enumerate().fold(Array3::zeros(truth.dim()), |sum, (slab, part)| {
            sum + if slab == 1 { moved(part, &away, [1.0; 3]).unwrap() } else { part.clone() }
        });
        let found = autofocus(&corrupted, [1.0; 3], &settings).unwrap();
        assert!(found.entropy[1] < found.entropy[0]);
        assert!((found.poses[1].translation_mm[0] + 3.0).abs() < 0.6, "{:?}", found.poses);
        assert!(error(&found.image, &truth) < 0.3 * error(&corrupted, &truth));
    }

    #[test]
    fn a_sharp_image_stays_as_it_is() {
        let truth = shapes();
        let found = autofocus(&truth, [1.0; 3], &Autofocus::new(Axis::H)).unwrap();
        assert!(error(&found.image, &truth) < 0.02 * truth.iter().map(|z| z.norm_sqr()).sum::<f32>());
        assert!(autofocus(&truth, [1.0; 3], &Autofocus { slabs: 1, ..Autofocus::new(Axis::H) }).is_err());
    }
}
