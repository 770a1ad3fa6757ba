//! Commands of the heads: a file and trained weights become a restored image, with baseline, null-space component and record.

pub mod inpaint;
pub mod motion;
pub mod prior;
pub mod progress;
pub mod superres;
pub mod translate;

use std::path::PathBuf;

use serde_json::Value;

use super::files::FileArgs;
use crate::error::Result;
use crate::pipeline::folder::Work;
use crate::pipeline::restore::{Change, Options, Outcome, Problem, restore};
use crate::pipeline::{Device, Event, Progress};

/// What all restoration asks for.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    /// Where to compute: cpu, auto, cuda, cuda:N, gpu, gpu:N, vulkan:NAME, metal:NAME
    #[arg(long, default_value_t)]
    device: Device,
    /// Data consistency: exact, none, or a number v that weighs v samples of the measurement
    /// against one of the network, for noisy ones
    #[arg(long, value_name = "exact|none|V", default_value = "exact", value_parser = parse_consistency)]
    consistency: f64,
    /// Do not compare the brain's volumes before and after
    #[arg(long)]
    no_anatomy: bool,
    #[command(flatten)]
    pub(super) files: FileArgs,
}

/// What the heads ask for that have a network of their own.
#[derive(Clone, Debug, clap::Args)]
pub struct NetworkArgs {
    #[command(flatten)]
    restore: RestoreArgs,
    /// Show the network the scan's own voxels, whatever size it learned on; by default others are resampled to that size
    #[arg(long)]
    keep_spacing: bool,
}

impl NetworkArgs {
    /// What is asked about files.
    pub(in crate::cli) fn files(&self) -> FileArgs {
        self.restore.files.clone()
    }

    fn options(self, input: PathBuf, output: PathBuf, problem: Problem, weights: String) -> Options {
        let Self { restore: RestoreArgs { device, consistency, no_anatomy, files }, keep_spacing } = self;
        Options {
            input,
            output,
            problem,
            weights: Some(weights),
            keep_spacing,
            like: None,
            consistency,
            anatomy: !no_anatomy,
            device,
            read: files.read.clone().into(),
        }
    }
}

/// Restores a scan, or those of a folder, and says what the result rests on.
///
/// # Errors
/// Those of [`restore`] and of [`Work::run`].
pub fn run(options: &Options, files: FileArgs) -> Result<()> {
    files.run(&Work { job: options, with: Value::Null }, &mut |one| {
        print(&one.output, &restore(one, &PRINTED_NOTES)?);
        Ok(())
    })
}

/// Notes alone: the image is told of with its shape.
pub(super) const PRINTED_NOTES: Progress<'static> = Progress::new(&|event| {
    if let Event::Note(text) = event {
        eprintln!("{text}");
    }
});

/// What a result rests on.
fn print(output: &std::path::Path, found: &Outcome) {
    println!("null-space component: {:.2} % of the image's norm", 100.0 * found.null_space_share);
    if let Some([baseline, made, result]) = found.residuals {
        println!("data residual: baseline {baseline:.2e}, {} {made:.2e}, result {result:.2e}", found.maker);
    }
    changed(&found.changes);
    println!("{}: {:?} voxels of {:.3?} mm", output.display(), found.dims, found.spacing_mm);
}

/// The brain's volumes before and after.
pub(super) fn changed(changes: &[Change]) {
    for Change { region, baseline_ml, restored_ml } in changes {
        println!("{region}: {baseline_ml:.1} ml in the baseline, {restored_ml:.1} ml restored");
    }
}

/// How far results go towards the measurement: `exact`, `none`, or v as v/(1 + v).
pub fn parse_consistency(text: &str) -> std::result::Result<f64, String> {
    match text {
        "exact" => Ok(1.0),
        "none" => Ok(0.0),
        _ => match text.parse::<f64>() {
            Ok(v) if v >= 0.0 && v.is_finite() => Ok(v / (1.0 + v)),
            _ => Err("expected exact, none or a number of 0 or more".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consistency_is_a_weight() {
        assert_eq!(parse_consistency("exact"), Ok(1.0));
        assert_eq!(parse_consistency("none"), Ok(0.0));
        assert_eq!(parse_consistency("3"), Ok(0.75));
        assert!(parse_consistency("-1").is_err() && parse_consistency("much").is_err());
    }
}
