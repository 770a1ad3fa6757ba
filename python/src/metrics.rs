//! Measures: scores of restored images, similarity, and the overlap of label maps.

use std::collections::BTreeMap;

use numpy::PyReadonlyArray3;
use pyo3::prelude::*;
use voxgan::anatomy::overlap::{RegionOverlap, region_overlaps};
use voxgan::anatomy::{REGIONS, Segmentation};
use voxgan::evaluate::{self, Plan, Similarity};
use voxgan::volume::check_grids;
use voxgan::volume::orientation::to_ras;

use crate::data::{Scan, options, record, truth};
use crate::job;

/// The scores of a prediction by a plan; grids are compared unless `ignore_geometry`.
#[pyfunction]
pub fn score<'py>(
    py: Python<'py>,
    target: Scan,
    prediction: Scan,
    mask: Option<Scan>,
    plan: &Bound<'py, PyAny>,
    ignore_geometry: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let plan: Plan = options(plan)?;
    let scores = job::run(py, None, |_| {
        let (target, prediction) = (target.volume()?, prediction.volume()?);
        let mask = mask.map(Scan::volume).transpose()?;
        if !ignore_geometry {
            for other in [Some(&prediction), mask.as_ref()].into_iter().flatten() {
                check_grids(&target, other)?;
            }
        }
        evaluate::score(&target, &prediction, mask.as_ref(), &plan)
    })?;
    record(py, &scores)
}

/// SSIM of two images `[D, H, W]`.
#[pyfunction]
pub fn ssim(
    py: Python<'_>,
    a: PyReadonlyArray3<'_, f32>,
    b: PyReadonlyArray3<'_, f32>,
    data_range: f64,
) -> PyResult<f64> {
    let (a, b) = (a.as_array().to_owned(), b.as_array().to_owned());
    let Similarity { value, .. } = job::run(py, None, |_| evaluate::ssim(a.view(), b.view(), data_range))?;
    Ok(value)
}

/// MS-SSIM of two images `[D, H, W]`, over the positions of a mask where there is one.
#[pyfunction]
pub fn ms_ssim(
    py: Python<'_>,
    a: PyReadonlyArray3<'_, f32>,
    b: PyReadonlyArray3<'_, f32>,
    data_range: f64,
    mask: Option<PyReadonlyArray3<'_, bool>>,
) -> PyResult<f64> {
    let (a, b, mask) = (a.as_array().to_owned(), b.as_array().to_owned(), truth(mask));
    let Similarity { value, .. } = job::run(py, None, |_| match &mask {
        None => evaluate::ms_ssim(a.view(), b.view(), data_range),
        Some(mask) => evaluate::ms_ssim_within(a.view(), b.view(), data_range, mask.view()),
    })?;
    Ok(value)
}

/// Dice, 95 % Hausdorff distance and mean surface distance of a region.
type Agreement = (Option<f64>, Option<f64>, Option<f64>);

/// The agreement of two label maps, by the names of regions.
#[pyfunction]
pub fn overlap(py: Python<'_>, before: Scan, after: Scan) -> PyResult<BTreeMap<&'static str, Agreement>> {
    let found = job::run(py, None, |_| {
        let (before, after) = (before.volume()?, after.volume()?);
        let [before, after] = [before, after].map(|map| Segmentation::of_numbers(&to_ras(map).0));
        Ok(region_overlaps(&before?, &after?, &REGIONS))
    })?;
    let of = |RegionOverlap { dice, distance }: RegionOverlap| {
        (dice, distance.map(|mm| mm.hausdorff95_mm), distance.map(|mm| mm.mean_mm))
    };
    Ok(REGIONS.iter().map(|region| region.name).zip(found.into_iter().map(of)).collect())
}
