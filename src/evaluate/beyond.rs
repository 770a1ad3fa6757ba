//! Measures beyond those of a profile, with one definition for all profiles.
//!
//! Errors are over all voxels or those of the mask. SSIM and MS-SSIM have a Gaussian window and the target's maximum −
//! minimum as range (or the one given). HaarPSI and VIF are scaled so that this range is 255, the target's minimum
//! being zero; nothing is clipped.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::haarpsi::HaarPsi;
use super::pair::Pair;
use super::scores::Scores;
use super::ssim::{Similarity, ms_ssim, ms_ssim_within};
use super::vif::{NOISE_VARIANCE, PIXELS_MIN, vif};
use crate::error::Result;
use crate::volume::Axis as GridAxis;

/// Adds what the profile of `scores` has not.
pub(super) fn beyond(pair: &Pair, range: f64, scores: &mut Scores) -> Result<()> {
    let (deviation, region) = pair.whole()?;
    let norms = "‖target − prediction‖/‖target‖";
    for (name, value, detail) in [
        ("MAE", deviation.mae(), region.to_string()),
        ("RMSE", deviation.rmse(), region.to_string()),
        ("NRMSE", deviation.nrmse(), format!("{norms}, {region}")),
    ] {
        if scores.get(name).is_none() {
            scores.add(name, value, "", detail);
        }
    }
    let turned = pair.along(scores.plan.axis);
    multi_scale(&turned, range, scores)?;
    let scale = format!("range {range} scaled to 255");
    for (name, index) in [("HaarPSI medical", HaarPsi::MEDICAL), ("HaarPSI", HaarPsi::NATURAL)] {
        let detail = format!("C {}, α {}, {scale}", index.c, index.alpha);
        perceptual(pair, range, scores, name, &detail, |a, b, mask| index.of(a, b, mask));
    }
    let detail = format!("pixel domain, 4 scales, σₙ² {NOISE_VARIANCE}, {scale}");
    perceptual(pair, range, scores, "VIF", &detail, |a, b, mask| vif(a, b, NOISE_VARIANCE, mask));
    Ok(())
}

fn multi_scale(pair: &Pair, range: f64, scores: &mut Scores) -> Result<()> {
    let (a, b) = (pair.target.view(), pair.prediction.view());
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    let one = |a: ArrayView3<f32>, b: ArrayView3<f32>, mask: Option<ArrayView3<bool>>| match mask {
        None => ms_ssim(a, b, range),
        Some(mask) => ms_ssim_within(a, b, range, mask),
    };
    let detail = |axes: &str, found: &Similarity| {
        format!("{axes}, {} scales, Gaussian of {:?} taps, σ 1.5, range {range}", found.scales, found.taps)
    };
    let slices = 0..a.dim().0;
    // A slice that the mask leaves nothing of at some scale has no value.
    let found: Vec<Option<Similarity>> = slices
        .map(|slice| {
            let at = |view: ArrayView3<f32>| view.index_axis(Axis(0), slice).insert_axis(Axis(0)).to_owned();
            let mask = mask.map(|mask| mask.index_axis(Axis(0), slice).insert_axis(Axis(0)).to_owned());
            let found = one(at(a).view(), at(b).view(), mask.as_ref().map(|mask| mask.view()));
            if mask.is_some() { Ok(found.ok()) } else { found.map(Some) }
        })
        .collect::<Result<_>>()?;
    if let Some(first) = found.iter().flatten().next() {
        let values: Vec<_> = found.iter().map(|found| found.map(|found| found.value)).collect();
        scores.add_mean("MS-SSIM 2D", &values, "", &detail("2D", first));
    }
    if a.dim().0 > 1 {
        match one(a, b, mask) {
            Ok(whole) => scores.add("MS-SSIM 3D", whole.value, "", detail("3D", &whole)),
            Err(reason) => scores.notes.push(format!("MS-SSIM 3D is left out: {reason}")),
        }
    }
    Ok(())
}

/// Adds a measure of slices on a scale of 255: along the plan's axis, and the mean over those along all three.
fn perceptual(
    pair: &Pair,
    range: f64,
    scores: &mut Scores,
    name: &str,
    detail: &str,
    measure: impl Fn(ArrayView2<f64>, ArrayView2<f64>, Option<ArrayView2<bool>>) -> Option<f64> + Sync,
) {
    let (zero, factor) = (pair.target_extremes[0], 255.0 / range);
    let slices = |axis: GridAxis| -> Vec<Option<f64>> {
        let pair = pair.along(axis);
        (0..pair.target.dim().0)
            .into_par_iter()
            .map(|slice| {
                let scaled = |image: &ndarray::Array3<f32>| {
                    image.index_axis(Axis(0), slice).mapv(|value| (f64::from(value) - zero) * factor)
                };
                let mask = pair.mask.as_ref().map(|mask| mask.index_axis(Axis(0), slice));
                measure(scaled(&pair.target).view(), scaled(&pair.prediction).view(), mask)
            })
            .collect()
    };
    let along = GridAxis::ALL.map(slices);
    let chosen = &along[scores.plan.axis as usize];
    if chosen.iter().any(Option::is_some) {
        scores.add_mean(&format!("{name} 2D"), chosen, "", &format!("2D, {detail}"));
    } else {
        let needs = format!("no slice has a value (VIF needs {PIXELS_MIN}×{PIXELS_MIN} pixels)");
        scores.notes.push(format!("{name} 2D is left out: {needs}"));
    }
    let means = along.each_ref().map(|values| {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    });
    if let [Some(d), Some(h), Some(w)] = means {
        let detail = format!("mean of the slices' means along D, H and W, {detail}");
        scores.add(&format!("{name} 3D"), (d + h + w) / 3.0, "", detail);
    }
}
