//! Preparation of a training dataset from scans.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::deface::defaced;
use super::device::Device;
use super::segmenter::Segmenter;
use super::strip::stripped;
use crate::anatomy::Region;
use crate::correct::n4;
use crate::correct::n4::N4Options;
use crate::error::Result;
use crate::io::dataset::{self, Correction, Dataset, Plan, Progress, Report};
use crate::io::shard::Shard;
use crate::volume::Volume;

/// The scans and the steps of the preparation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The plan: scans, grid and intensities.
    pub plan: Plan,
    /// Whether each scan's bias field is removed first, by N4 with its defaults.
    pub bias_correct: bool,
    /// Whether face and ears are removed from each scan, after bias correction.
    pub deface: bool,
    /// Whether each scan is skull-stripped, after bias correction.
    pub strip: bool,
    /// The segmenter's device.
    pub device: Device,
    /// The part of the scans to prepare, into a folder of its own ([`super::merge`]); all by default.
    pub shard: Option<Shard>,
}

/// The result of a preparation.
#[derive(Debug)]
pub struct Prepared {
    /// The outcomes for all scans.
    pub report: Report,
    /// The dataset; `None` if no scan could be prepared.
    pub dataset: Option<Dataset>,
}

/// Scans → volumes in one space → the dataset in the folder `out`; `tell` is called for every scan, from several
/// threads. Once `cancelled` is set no other scan is begun, and the same call goes on later.
///
/// # Errors
/// As [`dataset::prepare()`] and, with `strip` or `deface`, [`Segmenter::embedded`].
pub fn prepare(
    options: &Options,
    out: &Path,
    cancelled: &AtomicBool,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Prepared> {
    // One scan at a time: a segmentation takes all cores by itself.
    let segmenter =
        if options.strip || options.deface { Some(Segmenter::embedded(options.device)?) } else { None };
    let name = segmenter.as_ref().map(|segmenter| segmenter.name.clone());
    let segmenter = segmenter.map(Mutex::new);
    let correct = |volume: Volume| {
        let volume =
            if options.bias_correct { n4::correct(&volume, None, &N4Options::default())?.0 } else { volume };
        match &segmenter {
            Some(segmenter) => {
                let segmenter = segmenter.lock().unwrap_or_else(PoisonError::into_inner);
                if !options.strip {
                    return Ok(defaced(volume, &segmenter)?.0);
                }
                // What is stripped has no face.
                let brain = Region::named("brain").expect("a region of the table");
                Ok(stripped(volume, &segmenter, brain)?.0.with_step("stripped to the brain"))
            }
            None => Ok(volume),
        }
    };
    let mut settings = serde_json::Map::new();
    if options.bias_correct {
        settings.insert("n4".into(), serde_json::json!(N4Options::default()));
    }
    if let Some(name) = name {
        settings.insert(if options.strip { "strip" } else { "deface" }.into(), name.into());
    }
    let correction = (!settings.is_empty())
        .then_some(Correction { settings: serde_json::Value::Object(settings), apply: &correct });
    let report =
        dataset::prepare_part(&options.plan, options.shard, correction.as_ref(), out, cancelled, tell)?;
    let place = options.shard.map(|shard| shard.folder(out));
    let out = place.as_deref().unwrap_or(out);
    let some = report.prepared + report.kept > 0;
    Ok(Prepared { dataset: some.then(|| Dataset::open(out)).transpose()?, report })
}
