//! The definitions of five projects, each as its own code has it. Numbers of different profiles are not comparable.

use std::fmt;

use ndarray::{ArrayView3, Axis, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::beyond::beyond;
use super::fidelity::{Deviation, deviation_of_slices};
use super::score::{Pair, Plan, Score, Scores};
use super::ssim::{Dimensions, Window, ssim_of_slices, ssim_under};
use super::vif::{PIXELS_MIN, vif};
use crate::error::{Error, Result};

/// Whose measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// fastMRI's leaderboard (`fastmri/evaluate.py`): MSE, NMSE and PSNR of the whole volume, SSIM of its slices
    /// (scikit-image's default: uniform 7 × 7, sample covariance, border 3 left out), all with the maximum of the target
    /// volume as range. Agrees with PyPI's `fastmri` 0.3 to rounding. (On float32 arrays that code itself is off: SSIM by
    /// some 1e-7, NMSE by up to 1e-4 of its value on a large volume. Sums are in float64 here.) The evaluation first
    /// crops both to the target's size, which here is the caller's part.
    FastMri,
    /// MONAI (`monai/metrics/regression.py`): MAE, RMSE, PSNR, and SSIM under a Gaussian of 11 taps and σ 1.5, without
    /// padding, in slices and in the volume. MONAI leaves the range to its user (1 by default); here it is `data_range`,
    /// or else the target's maximum − minimum.
    Monai,
    /// Calgary-Campinas, multi-coil challenge (Beauferris et al. 2022, `MC-MRI-Rec`): SSIM (scikit-image's default), PSNR
    /// and VIF (σₙ² = 0.4) of each slice after both are divided by the maximum of the target's slice, with the joint
    /// maximum − minimum of the slice as range; means over the slices. The division is in its pre-submission script and
    /// matters to VIF alone; one version of the final script lacks it. One scores 156 slices of a volume, the other 256:
    /// which, is the caller's part. Slices without a positive voxel have no value there and are left out here.
    Calgary,
    /// DAGAN (Yang et al. 2018, `tensorlayer/DAGAN`): on both divided by the maximum of the target volume, slices of which
    /// at least a tenth is not zero: "NMSE" ‖g − p‖/‖g‖ (not squared), PSNR with range 1, and SSIM with range 2, which is
    /// what scikit-image of that time assumed of any floats; means over the slices. The network's output is in −1 to 1 and
    /// comes to 0 to 1 before; nothing is clipped. (PSNR had range 2 for a slice with negative voxels; here too.)
    Dagan,
    /// Sanchez and Vilaplana 2018 (`imatge-upc/3D-GAN-superresolution`): both multiplied by the brain's mask, then PSNR
    /// over the whole volume, zeros included, and SSIM in 3D (uniform 7 × 7 × 7, sample covariance); range: joint maximum −
    /// minimum before masking. This is what its code does: voxels outside count, as equal ones.
    Sanchez,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::FastMri => "fastmri",
            Self::Monai => "monai",
            Self::Calgary => "calgary",
            Self::Dagan => "dagan",
            Self::Sanchez => "sanchez",
        })
    }
}

/// Share of voxels that are not zero which a slice needs for DAGAN's test set.
const DAGAN_SHARE: f64 = 0.1;
/// The observer's noise variance of the Calgary challenge, on slices from 0 to 1.
const CALGARY_NOISE_VARIANCE: f64 = 0.4;

impl Profile {
    /// Adds the scores of the plan that `scores` carries.
    pub(super) fn measure(self, pair: &Pair, scores: &mut Scores) -> Result<()> {
        let Plan { data_range, all, axis, .. } = scores.plan.clone();
        if let (Some(range), true) = (data_range, self != Self::Monai) {
            let advice = "leave it out, or use --profile monai";
            let found = format!("{range} for {self}");
            return Err(Error::value(
                "data range",
                "none but for monai: the others have theirs",
                found,
                advice,
            ));
        }
        let [low, high] = pair.target_extremes;
        if high <= low || (high <= 0.0 && self != Self::Monai && self != Self::Sanchez) {
            let expected = "intensities that differ, some of them positive";
            let found = format!("{low} to {high}");
            return Err(Error::value("target", expected, found, "check that the target comes first"));
        }
        if scores.mask_voxels.is_some() && self != Self::Sanchez {
            scores.notes.push(format!("{self} has no mask: these are its measures within yours"));
        }
        let turned = pair.along(axis);
        match self {
            Self::FastMri => fastmri(&turned, scores)?,
            Self::Monai => monai(&turned, data_range.unwrap_or(high - low), scores)?,
            Self::Calgary => calgary(&turned, scores)?,
            Self::Dagan => dagan(&turned, scores)?,
            Self::Sanchez => sanchez(&turned, scores)?,
        }
        if all {
            beyond(pair, data_range.unwrap_or(high - low), scores)?;
        }
        Ok(())
    }
}

/// The scores of a profile as they come up.
pub(super) fn add(scores: &mut Scores, name: &str, value: f64, unit: &str, detail: impl Into<String>) {
    scores.scores.push(Score { name: name.into(), value, unit: unit.into(), detail: detail.into() });
}

/// The sums over all voxels of both, or those of the mask, and what to call that.
pub(super) fn whole(pair: &Pair) -> Result<(Deviation, &'static str)> {
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    let slices = deviation_of_slices(pair.target.view(), pair.prediction.view(), mask)?;
    Ok((slices.into_iter().sum(), if mask.is_some() { "voxels of the mask" } else { "whole volume" }))
}

fn fastmri(pair: &Pair, scores: &mut Scores) -> Result<()> {
    let range = pair.target_extremes[1];
    let (deviation, region) = whole(pair)?;
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    let (a, b) = (pair.target.view(), pair.prediction.view());
    let ssim = ssim_under(a, b, range, Window::Uniform7, Dimensions::Slices, mask)?;
    let range = format!("range {range} = maximum of the target");
    add(scores, "MSE", deviation.mse(), "", region);
    add(scores, "NMSE", deviation.nmse(), "", format!("‖target − prediction‖²/‖target‖², {region}"));
    add(scores, "PSNR", deviation.psnr_db(pair.target_extremes[1]), "dB", format!("{region}, {range}"));
    add(scores, "SSIM", ssim, "", format!("{}, {range}", kernel(Window::Uniform7, Dimensions::Slices)));
    Ok(())
}

fn monai(pair: &Pair, range: f64, scores: &mut Scores) -> Result<()> {
    let (deviation, region) = whole(pair)?;
    let asked = if scores.plan.data_range.is_some() { "as given" } else { "target's maximum − minimum" };
    let said = format!("range {range}, {asked}");
    add(scores, "MAE", deviation.mae(), "", region);
    add(scores, "RMSE", deviation.rmse(), "", region);
    add(scores, "PSNR", deviation.psnr_db(range), "dB", format!("{region}, {said}"));
    let mask = pair.mask.as_ref().map(|mask| mask.view());
    for (name, dimensions) in [("SSIM 2D", Dimensions::Slices), ("SSIM 3D", Dimensions::Volume)] {
        let depth = pair.target.dim().0;
        if dimensions == Dimensions::Volume && depth < Window::Gaussian11.taps() {
            scores.notes.push(format!("SSIM 3D is left out: its window has 11 slices, the volume {depth}"));
            continue;
        }
        let (a, b) = (pair.target.view(), pair.prediction.view());
        let value = ssim_under(a, b, range, Window::Gaussian11, dimensions, mask)?;
        add(scores, name, value, "", format!("{}, {said}", kernel(Window::Gaussian11, dimensions)));
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
    mean_of_slices(scores, "SSIM", &ssim, "", &format!("{kernel}, {range}"));
    mean_of_slices(scores, "PSNR", &psnr, "dB", range);
    let detail = format!(
        "2D, pixel domain, 4 scales, σₙ² {CALGARY_NOISE_VARIANCE} on slices divided by the target's maximum"
    );
    if vif.iter().all(Option::is_none) {
        scores.notes.push(format!("VIF is left out: it needs slices of {PIXELS_MIN}×{PIXELS_MIN} or more"));
    } else {
        mean_of_slices(scores, "VIF", &vif, "", &detail);
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
    mean_of_slices(scores, "NMSE", &nmse, "", "‖target − prediction‖/‖target‖, not squared");
    mean_of_slices(scores, "PSNR", &psnr, "dB", &format!("range 1 {divided}"));
    mean_of_slices(scores, "SSIM", &ssim, "", &format!("{kernel}, range 2 {divided}"));
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
    add(scores, "PSNR", deviation.psnr_db(range), "dB", format!("whole volume, {said}"));
    add(scores, "SSIM", ssim, "", format!("{}, {said}", kernel(Window::Uniform7, Dimensions::Volume)));
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

/// Adds the mean of those slices that have a value, and their standard deviation.
pub(super) fn mean_of_slices(
    scores: &mut Scores,
    name: &str,
    values: &[Option<f64>],
    unit: &str,
    detail: &str,
) {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    if known.is_empty() {
        scores.notes.push(format!("{name} is left out: no slice has a value"));
        return;
    }
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    let deviation = (known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let of = if known.len() == values.len() { String::new() } else { format!(" of {}", values.len()) };
    let spread = format!("mean of {}{of} slices, their SD {deviation:.4}", known.len());
    add(scores, name, mean, unit, format!("{detail}; {spread}"));
}
