//! Flags from a survey, and the quality from flags and confidence.

use nalgebra::Matrix3;

use super::super::pose::Pose;
use super::super::segmentation::Segmentation;
use super::super::structures::{Side, Structure};
use super::flags::Flag;
use super::limits::{self, LIMITS};
use super::survey::Survey;
use super::{asymmetry, region};

use Structure::*;

/// Structures that may be absent: a temporal horn can be collapsed, and thinner than a voxel.
const MAY_BE_ABSENT: [Structure; 2] = [LeftInferiorLateralVentricle, RightInferiorLateralVentricle];

/// Structures that hang together in every brain; the others occur in several components (choroid plexus, temporal
/// horns), or did so in sound label maps (amygdala).
const COMPACT: [Structure; 17] = [
    LeftLateralVentricle,
    RightLateralVentricle,
    ThirdVentricle,
    FourthVentricle,
    LeftCerebralCortex,
    RightCerebralCortex,
    LeftCerebralWhiteMatter,
    RightCerebralWhiteMatter,
    LeftThalamus,
    RightThalamus,
    LeftCaudate,
    RightCaudate,
    LeftPutamen,
    RightPutamen,
    LeftCerebellarCortex,
    RightCerebellarCortex,
    BrainStem,
];

/// Grey and white matter of the left hemisphere, without its ventricles, whose sides differ in health.
const HEMISPHERE: [Structure; 6] =
    [LeftCerebralCortex, LeftCerebralWhiteMatter, LeftThalamus, LeftCaudate, LeftPutamen, LeftHippocampus];

/// What speaks against the segmentation; the worst first.
pub(super) fn flags(segmentation: &Segmentation, survey: &Survey) -> Vec<Flag> {
    if survey.brain_components.is_empty() {
        return vec![Flag::NoBrain];
    }
    let mut flags = Vec::new();
    components(segmentation, survey, &mut flags);
    // Along wrong axes nothing lies where the header says.
    let wrong = wrong_axes(survey);
    if wrong.is_none() {
        directions(survey, &mut flags);
        sides(survey, &mut flags);
    }
    flags.extend(wrong);
    cuts(survey, &mut flags);
    if survey.ventricles_outside > limits::VENTRICLES_OUTSIDE_FRACTION {
        flags.push(Flag::VentriclesOutside { fraction: survey.ventricles_outside });
    }
    volumes(segmentation, survey, &mut flags);
    confidence(segmentation, survey, &mut flags);
    flags.sort_by(|one, other| other.penalty().total_cmp(&one.penalty()));
    flags
}

/// Mean confidence of the brain's structures that are there, times `1 − penalty` of every flag.
pub(super) fn quality(segmentation: &Segmentation, flags: &[Flag]) -> f64 {
    let parts = region("brain").parts.iter().map(|part| segmentation.confidence[part.index()]);
    let (sum, count) = parts.filter(|&c| c > 0.0).fold((0.0, 0.0), |(sum, count), c| (sum + c, count + 1.0));
    let mean = if count > 0.0 { sum / count } else { 0.0 };
    flags.iter().fold(mean, |quality, flag| quality * (1.0 - flag.penalty()))
}

/// Whether the fluid around the brain is not in the scan.
pub(super) fn lacks_outer_fluid(segmentation: &Segmentation) -> bool {
    let [csf_ml, all_ml] = ["csf", "intracranial"].map(|name| segmentation.region_ml(region(name)));
    csf_ml < limits::OUTER_FLUID_FRACTION * all_ml
}

fn components(segmentation: &Segmentation, survey: &Survey, flags: &mut Vec<Flag>) {
    let sizes = &survey.brain_components;
    let total: usize = sizes.iter().sum();
    if let [_, second, ..] = sizes[..]
        && second as f64 > limits::LOOSE_BRAIN_FRACTION * total as f64
    {
        let second_ml = second as f64 * segmentation.voxel_ml();
        flags.push(Flag::BrainDisconnected { components: sizes.len(), second_ml });
    }
    let twins = COMPACT.into_iter().filter(|structure| match survey.components(*structure)[..] {
        [first, second, ..] => second as f64 >= limits::TWIN_FRACTION * first as f64,
        _ => false,
    });
    let structures: Vec<_> = twins.collect();
    if structures.len() >= limits::TWINS {
        flags.push(Flag::TwoBrains { structures });
    }
    for structure in COMPACT {
        let sizes = survey.components(structure);
        let Some(&largest) = sizes.first() else { continue };
        let largest_fraction = largest as f64 / sizes.iter().sum::<usize>() as f64;
        if largest_fraction < limits::LARGEST_PIECE_FRACTION {
            flags.push(Flag::Scattered { structure, components: sizes.len(), largest_fraction });
        }
    }
}

fn wrong_axes(survey: &Survey) -> Option<Flag> {
    let pose = survey.pose?;
    let turned_deg = pose.turned_deg(&Matrix3::identity());
    (turned_deg > Pose::TILT_MAX_DEG).then(|| Flag::WrongAxes { turned_deg, seen: pose.seen() })
}

fn directions(survey: &Survey, flags: &mut Vec<Flag>) {
    if survey.pose.is_some() {
        // The whole head shows that it lies as it should.
        return;
    }
    let centre = |name: &str| survey.centre_mm(region(name).parts);
    let (cerebrum, cerebellum, stem) =
        (centre("cerebral_white_matter"), centre("cerebellum"), centre("brain_stem"));
    if let (Some(cerebrum), Some(cerebellum)) = (cerebrum, cerebellum) {
        let cerebellum_below_mm = cerebrum[2] - cerebellum[2];
        if cerebellum_below_mm < limits::CEREBELLUM_BELOW_MM {
            flags.push(Flag::UpsideDown { cerebellum_below_mm });
        }
    }
    if let (Some(stem), Some(cerebellum)) = (stem, cerebellum) {
        let cerebellum_behind_mm = stem[1] - cerebellum[1];
        if cerebellum_behind_mm < limits::CEREBELLUM_BEHIND_MM {
            flags.push(Flag::BackToFront { cerebellum_behind_mm });
        }
    }
}

fn sides(survey: &Survey, flags: &mut Vec<Flag>) {
    let lefts = Structure::ALL.into_iter().filter(|structure| structure.side() == Some(Side::Left));
    let apart: Vec<(Structure, f64)> = lefts
        .filter_map(|left| {
            let right = survey.centre_mm(&[left.mirrored()])?;
            Some((left, right[0] - survey.centre_mm(&[left])?[0]))
        })
        .collect();
    let crossed = || apart.iter().filter(|(_, mm)| *mm < limits::SIDES_APART_MM);
    let reversed = apart.iter().filter(|(_, mm)| *mm < 0.0).count();
    if 2 * reversed > apart.len() {
        let left_of_right_mm = apart.iter().map(|(_, mm)| mm).sum::<f64>() / apart.len() as f64;
        flags.push(Flag::Mirrored { pairs: apart.len(), reversed, left_of_right_mm });
    } else if crossed().next().is_some() {
        flags.push(Flag::SidesCrossed { structures: crossed().map(|(left, _)| *left).collect() });
    }
}

fn cuts(survey: &Survey, flags: &mut Vec<Flag>) {
    for end in &survey.ends {
        let limit = if end.at_border { limits::BORDER_AREA_MM2_PER_MM } else { limits::FLAT_AREA_MM2_PER_MM };
        if end.area_mm2 > limit * end.layer_mm {
            flags.push(Flag::CutOff {
                towards: end.towards,
                area_mm2: end.area_mm2,
                at_border: end.at_border,
            });
        }
    }
}

fn volumes(segmentation: &Segmentation, survey: &Survey, flags: &mut Vec<Flag>) {
    let absent = |structure: Structure| survey.voxels(structure) == 0;
    let missing = region("brain").parts.iter().copied();
    let missing = missing.filter(|part| absent(*part) && !MAY_BE_ABSENT.contains(part));
    flags.extend(missing.map(|structure| Flag::Missing { structure }));

    let stripped = lacks_outer_fluid(segmentation);
    if stripped {
        let [csf_ml, intracranial_ml] =
            ["csf", "intracranial"].map(|name| segmentation.region_ml(region(name)));
        flags.push(Flag::NoOuterFluid { csf_ml, intracranial_ml });
    }
    for limit in &LIMITS {
        let of = region(limit.region);
        let volume_ml = segmentation.region_ml(of);
        let judged = match of.name {
            "intracranial" => !stripped,
            // A single structure that is absent is missing, which says it all.
            _ => of.parts.len() > 1 || !absent(of.parts[0]),
        };
        if judged && !(limit.min_ml..=limit.max_ml).contains(&volume_ml) {
            let (min_ml, max_ml) = (limit.min_ml, limit.max_ml);
            flags.push(Flag::OutOfRange { region: of.name.into(), volume_ml, min_ml, max_ml });
        }
    }
    let ml = |structure: Structure| segmentation.volume_ml[structure.index()];
    let left_ml: f64 = HEMISPHERE.into_iter().map(ml).sum();
    let right_ml: f64 = HEMISPHERE.into_iter().map(|left| ml(left.mirrored())).sum();
    if let Some(asymmetry) = asymmetry(left_ml, right_ml)
        && asymmetry.abs() > limits::HEMISPHERE_ASYMMETRY
    {
        flags.push(Flag::Lopsided { left_ml, right_ml, asymmetry });
    }
}

fn confidence(segmentation: &Segmentation, survey: &Survey, flags: &mut Vec<Flag>) {
    for &structure in region("brain").parts {
        let confidence = segmentation.confidence[structure.index()];
        if survey.voxels(structure) > 0 && confidence < limits::CONFIDENCE {
            flags.push(Flag::Unsure { structure, confidence });
        }
    }
}
