//! Slices in their order along the normal, and the affine of the volume that they make.

use nalgebra::{Matrix3, Vector3};

use super::image::Plane;
use super::info::Reason;
use crate::io::LPS_RAS;
use crate::stats::upper_median;
use crate::volume::VoxelToWorld;

/// Steps that differ by no more than this part from their median are taken as equal, at their mean.
pub(super) const UNEVEN: f64 = 0.03;
/// A slice that is moved across the normal by more than this part of a step is not right above the one below.
const TILTED: f64 = 0.03;
/// Directions whose cosines differ by no more than this are one.
pub(super) const SAME_DIRECTION: f64 = 1e-3;

/// Positions of slices, in their order.
pub(super) struct Stack {
    /// Voxel `(column, row, slice)` to patient coordinates turned to RAS, millimetres.
    pub affine: VoxelToWorld,
    /// Mean, least and largest step, if there are several slices.
    pub steps_mm: Option<[f64; 3]>,
}

impl Stack {
    /// Whether steps are not all the same to the hundredth of a millimetre.
    pub fn uneven(&self) -> bool {
        self.steps_mm.is_some_and(|[_, least, most]| most - least > 0.01)
    }
}

/// How far along its normal a slice lies.
pub(super) fn along(plane: &Plane, normal: &Vector3<f64>) -> f64 {
    plane.position.dot(normal)
}

/// The stack of `planes`, which are parallel, of one spacing, and in the order along their normal; `stated_mm` is the step that the
/// headers state.
///
/// # Errors
/// Why they make no volume: uneven steps, slices that are moved across their normal.
pub(super) fn stack(planes: &[Plane], stated_mm: Option<f64>) -> Result<Stack, Reason> {
    let (first, last) = (&planes[0], &planes[planes.len() - 1]);
    let normal = first.normal();
    let steps: Vec<f64> =
        planes.windows(2).map(|pair| along(&pair[1], &normal) - along(&pair[0], &normal)).collect();
    if let ([step], None) = (&steps[..], stated_mm) {
        return Err(Reason::new(
            format!(
                "two slices {step:.3} mm apart, without a spacing or thickness that tells whether others lay between them"
            ),
            "give all slices",
        ));
    }
    let step = if steps.is_empty() {
        normal * stated_mm.unwrap_or(1.0)
    } else {
        check_steps(&steps)?;
        let mean = (last.position - first.position) / steps.len() as f64;
        check_tilt(planes, &mean, &normal)?;
        mean
    };
    let axes = Matrix3::from_columns(&[first.row * first.spacing[0], first.column * first.spacing[1], step]);
    let affine = VoxelToWorld::from_axes(&(LPS_RAS * axes), &(LPS_RAS * first.position));
    let affine = affine.map_err(|error| Reason::new(error.to_string(), "export the series again"))?;
    let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
    let most = steps.iter().copied().fold(0.0, f64::max);
    let mean = steps.iter().sum::<f64>() / steps.len() as f64;
    Ok(Stack { affine, steps_mm: (!steps.is_empty()).then_some([mean, least, most]) })
}

fn check_steps(steps: &[f64]) -> Result<(), Reason> {
    let median = upper_median(steps.to_vec()).unwrap_or(1.0);
    let off = |step: f64| (step / median - 1.0).abs();
    let Some((at, &worst)) = steps.iter().enumerate().max_by(|a, b| off(*a.1).total_cmp(&off(*b.1))) else {
        return Ok(());
    };
    if off(worst) <= UNEVEN {
        return Ok(());
    }
    let (times, share) = ((worst / median).round(), worst / median);
    let gap = times >= 2.0 && (times - share).abs() <= UNEVEN * times;
    let missing = if gap {
        format!(": {} missing between them", counted(times as usize - 1, "slice", "slices"))
    } else {
        String::new()
    };
    Err(Reason::new(
        format!(
            "steps that differ by {:.1} % of their median of {median:.3} mm (at most {:.0} %), {worst:.3} mm from slice {} to slice \
             {}{missing}",
            off(worst) * 100.0,
            UNEVEN * 100.0,
            at + 1,
            at + 2
        ),
        if gap {
            "give all slices"
        } else {
            "give slices of one step, or resample them with a program that knows each one's place"
        },
    ))
}

/// A number of things.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn check_tilt(planes: &[Plane], mean: &Vector3<f64>, normal: &Vector3<f64>) -> Result<(), Reason> {
    let step = mean.dot(normal);
    let across = (mean - normal * step).norm();
    if across > TILTED * step {
        return Err(Reason::new(
            format!(
                "slices that are moved {:.1}° beside their normal, by {across:.3} mm a step of {step:.3} mm (gantry tilt)",
                (across / step).atan().to_degrees()
            ),
            "straighten the series first, for instance with dcm2niix",
        ));
    }
    let off = |(n, plane): (usize, &Plane)| {
        let offset = plane.position - planes[0].position - mean * n as f64;
        (offset - normal * offset.dot(normal)).norm()
    };
    match planes.iter().enumerate().map(off).enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) {
        Some((n, worst)) if worst > TILTED * step => Err(Reason::new(
            format!(
                "slices that do not lie on one line: slice {} is {worst:.3} mm beside it, of a step of {step:.3} mm",
                n + 1
            ),
            "export the series again",
        )),
        _ => Ok(()),
    }
}
