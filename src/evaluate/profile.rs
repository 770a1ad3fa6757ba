//! The definitions of five projects, each as in its code. Numbers of different profiles are not comparable.

use ndarray::{ArrayView3, Axis, Zip};
use rayon::prelude::*;

use super::beyond::beyond;
use super::fidelity::{Deviation, deviation_of_slices};
use super::pair::Pair;
use super::plan::{Plan, Profile};
use super::scores::Scores;
use super::ssim::{Dimensions, Window, ssim_of_slices, ssim_under};
use super::vif::{PIXELS_MIN, vif};
use crate::error::{Error, Result};

/// Share of voxels that are not zero which a slice needs for DAGAN's test set.
const DAGAN_SHARE: f64 = 0.1;
/// The observer's noise variance of the Calgary challenge, on slices from 0 to 1.
const CALGARY_NOISE_VARIANCE: f64 = 0.4;

/// Adds the scores of the plan that `scores` carries.
pub(super) fn measure(pair: &Pair, scores: &mut Scores) -> Result<()> {
    let Plan { profile, data_range, all, axis } = scores.plan.clone();
    if let (Some(range), true) = (data_range, profile != Profile::Monai) {
        let advice = "leave it out, or use --profile monai";
        let found = format!("{range} for {profile}");
        return Err(Error::value("data range", "none but for monai: the others have theirs", found, advice));
    }
    let [low, high] = pair.target_extremes;
    if high <= low || (high <= 0.0 && profile != Profile::Monai && profile != Profile::Sanchez) {
        let expected = "intensities that differ, some of them positive";
        let found = format!("{low} to {high}");
        return Err(Error::value("target", expected, found, "check that the target comes first"));
    }
    if scores.mask_voxels.is_some() && profile != Profile::Sanchez {
        scores.notes.push(format!("{profile} has no mask: these are its measures within yours"));
    }
    let turned = pair.along(axis);
    match profile {
        Profile::FastMri => fastmri(&turned, scores)?,
        Profile::Monai => monai(&turned, data_range.unwrap_or(high - low), scores)?,
        Profile::Calgary => calgary(&turned, scores)?,
        Profile::Dagan => dagan(&turned, scores)?,
        Profile::Sanchez => sanchez(&turned, scores)?,
    }
    if all {
        beyond(pair, data_range.unwrap_or(high - low), scores)?;
    }
    Ok(())
}

fn fastmri(pair: &Pair, scores: &mut Scores) -> Result<()> {
    let range = pair.target_extremes[1];
    let (deviation, region) = pair.whole()?;
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    let (a, b) = (pair.target.view(), pair.prediction.view());
    let ssim = ssim_under(a, b, range, Window::Uniform7, Dimensions::Slices, mask)?;
    let range = format!("range {range} = maximum of the target");
    scores.add("MSE", deviation.mse(), "", region);
    scores.add("NMSE", deviation.nmse(), "", format!("‖target − prediction‖²/‖target‖², {region}"));
    scores.add("PSNR", deviation.psnr_db(pair.target_extremes[1]), "dB", format!("{region}, {range}"));
    scores.add("SSIM", ssim, "", format!("{}, {range}", kernel(Window::Uniform7, Dimensions::Slices)));
    Ok(())
}

fn monai(pair: &Pair, range: f64, scores: &mut Scores) -> Result<()> {
    let (deviation, region) = pair.whole()?;
    let asked = if scores.plan.data_range.is_some() { "as given" } else { "target's maximum − minimum" };
    let said = format!("range {range}, {asked}");
    scores.add("MAE", deviation.mae(), "", region);
    scores.add("RMSE", deviation.rmse(), "", region);
    scores.add("PSNR", deviation.psnr_db(range), "dB", format!("{region}, {said}"));
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    for (name, dimensions) in [("SSIM 2D", Dimensions::Slices), ("SSIM 3D", Dimensions::Volume)] {
        let depth = pair.target.dim().0;
        if dimensions == Dimensions::Volume && depth < Window::Gaussian11.taps() {
            scores.notes.push(format!("SSIM 3D is left out: its window has 11 slices, the volume {depth}"));
            continue;
        }
        let (a, b) = (pair.target.view(), pair.prediction.view());
        let value = ssim_under(a, b, range, Window::Gaussian11, dimensions, mask)?;
        scores.add(name, value, "", format!("{}, {said}", kernel(Window::Gaussian11, dimensions)));
    }
    Ok(())
}

fn calgary(pair: &Pair, scores: &mut Scores) -> Result<()> {
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    let (a, b) = (pair.target.view(), pair.prediction.view());
    let extreme = |view: ArrayView3<f32>, pick: fn(f32, f32) -> f32| -> Vec<f64> {
        view.outer_iter().map(|slice| f64::from(slice.iter().copied().fold(f32::NAN, pick))).collect()
    };
    let peaks = extreme(a, f32::max);
    let (tops, lows) = (extreme(b, f32::max), [extreme(a, f32::min), extreme(b, f32::min)]);
    // Dividing by the slice's maximum changes neither SSIM nor PSNR, whose range is divided too; a range of zero says
    // that the slice has no value.
    let range = |slice: usize| peaks[slice].max(tops[slice]) - lows[0][slice].min(lows[1][slice]);
    let ranges: Vec<f64> =
        (0..peaks.len()).map(|slice| if peaks[slice] > 0.0 { range(slice) } else { 0.0 }).collect();
    let ssim = ssim_of_slices(a, b, &ranges, Window::Uniform7, mask)?;
    let deviations = deviation_of_slices(a, b, mask)?;
    let psnr: Vec<Option<f64>> = deviations
        .iter()
        .zip(&ranges)
        .map(|(deviation, range)| (*range > 0.0 && deviation.count > 0).then(|| deviation.psnr_db(*range)))
        .collect();
    let vif: Vec<Option<f64>> = (0..peaks.len())
        .into_par_iter()
        .map(|slice| {
            let scaled = |view: ArrayView3<f32>| {
                view.index_axis(Axis(0), slice).mapv(|value| f64::from(value) / peaks[slice])
            };
            let mask = mask.as_ref().map(|mask| mask.index_axis(Axis(0), slice));
            (peaks[slice] > 0.0)
                .then(|| vif(scaled(a).view(), scaled(b).view(), CALGARY_NOISE_VARIANCE, mask))
                .flatten()
        })
        .collect();
    let range = "range: the slice's joint maximum − minimum";
    let kernel = kernel(Window::Uniform7, Dimensions::Slices);
    scores.add_mean("SSIM", &ssim, "", &format!("{kernel}, {range}"));
    scores.add_mean("PSNR", &psnr, "dB", range);
    let detail = format!(
        "2D, pixel domain, 4 scales, σₙ² {CALGARY_NOISE_VARIANCE} on slices divided by the target's maximum"
    );
    if vif.iter().all(Option::is_none) {
        scores.notes.push(format!("VIF is left out: it needs slices of {PIXELS_MIN}×{PIXELS_MIN} or more"));
    } else {
        scores.add_mean("VIF", &vif, "", &detail);
    }
    Ok(())
}

fn dagan(pair: &Pair, scores: &mut Scores) -> Result<()> {
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    let peak = pair.target_extremes[1];
    let kept: Vec<bool> = pair
        .target
        .outer_iter()
        .map(|slice| {
            let bright = slice.iter().filter(|value| **value != 0.0).count();
            bright as f64 >= DAGAN_SHARE * slice.len() as f64
        })
        .collect();
    // Dividing by the maximum and a range of 1 or 2 is the same as multiplying the range.
    let ranges: Vec<f64> = kept.iter().map(|kept| if *kept { 2.0 * peak } else { 0.0 }).collect();
    let (a, b) = (pair.target.view(), pair.prediction.view());
    let ssim = ssim_of_slices(a, b, &ranges, Window::Uniform7, mask)?;
    let deviations = deviation_of_slices(a, b, mask)?;
    let of = |measure: &dyn Fn(usize, &Deviation) -> f64| -> Vec<Option<f64>> {
        deviations
            .iter()
            .enumerate()
            .map(|(slice, deviation)| {
                (kept[slice] && deviation.energy > 0.0).then(|| measure(slice, deviation))
            })
            .collect()
    };
    let psnr = of(&|slice, deviation| {
        let negative = a.index_axis(Axis(0), slice).iter().any(|value| *value < 0.0);
        deviation.psnr_db(if negative { 2.0 * peak } else { peak })
    });
    let divided = format!("on both divided by {peak}, the target's maximum");
    let kernel = kernel(Window::Uniform7, Dimensions::Slices);
    let nmse = of(&|_, deviation| deviation.nrmse());
    scores.add_mean("NMSE", &nmse, "", "‖target − prediction‖/‖target‖, not squared");
    scores.add_mean("PSNR", &psnr, "dB", &format!("range 1 {divided}"));
    scores.add_mean("SSIM", &ssim, "", &format!("{kernel}, range 2 {divided}"));
    Ok(())
}

fn sanchez(pair: &Pair, scores: &mut Scores) -> Result<()> {
    let Some(mask) = &pair.mask else {
        let advice = "give --mask; where the target is skull-stripped it is its own mask";
        return Err(Error::value("mask", "the brain's mask, as sanchez has it", "none", advice));
    };
    let masked = |image: &ndarray::Array3<f32>| {
        Zip::from(image).and(mask).map_collect(|value, inside| if *inside { *value } else { 0.0 })
    };
    let (a, b) = (masked(&pair.target), masked(&pair.prediction));
    let ([low_a, high_a], [low_b, high_b]) = (pair.target_extremes, pair.prediction_extremes);
    let range = high_a.max(high_b) - low_a.min(low_b);
    let deviation: Deviation = deviation_of_slices(a.view(), b.view(), None)?.into_iter().sum();
    let ssim = ssim_under(a.view(), b.view(), range, Window::Uniform7, Dimensions::Volume, None)?;
    let said = format!("both multiplied by the mask, range {range} = joint maximum − minimum before that");
    scores.add("PSNR", deviation.psnr_db(range), "dB", format!("whole volume, {said}"));
    scores.add("SSIM", ssim, "", format!("{}, {said}", kernel(Window::Uniform7, Dimensions::Volume)));
    Ok(())
}

/// What an SSIM is computed with.
fn kernel(window: Window, dimensions: Dimensions) -> String {
    let (shape, covariance) = match window {
        Window::Gaussian11 => ("Gaussian 11, σ 1.5", "weighted"),
        Window::Uniform7 if dimensions == Dimensions::Slices => ("uniform 7×7", "sample"),
        Window::Uniform7 => ("uniform 7×7×7", "sample"),
    };
    let axes = if dimensions == Dimensions::Slices { "2D" } else { "3D" };
    let border = window.taps() / 2;
    format!("{axes}, {shape}, {covariance} covariance, K 0.01 0.03, border {border} left out")
}
