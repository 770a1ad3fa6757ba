//! `voxgan n4`: an image without its bias field.

use std::path::PathBuf;

use serde_json::Value;

use super::files::FileArgs;
use crate::correct::n4::N4Options;
use crate::error::Result;
use crate::pipeline::Progress;
use crate::pipeline::folder::Work;
use crate::pipeline::n4::{Options, correct};

/// Remove the bias field of a scan by N4.
///
/// The slow brightening towards the coil is estimated inside the mask (Tustison 2010) and divided out everywhere.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The corrected scan, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Tissue to fit the field to: voxels that are not zero, on the scan's grid; by default those above
    /// zero of a scan whose air is zero, else those brighter than Otsu's threshold
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// Also write the field: as an image (.nii, .nii.gz), or as a record with its options (.json)
    #[arg(long, value_name = "FIELD")]
    field: Option<PathBuf>,
    /// Fit to every N-th voxel along each axis
    #[arg(long, value_name = "N", default_value_t = N4Options::default().shrink)]
    shrink: usize,
    /// The most iterations of each level; every level halves the spline's spans
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = N4Options::default().iterations)]
    iterations: Vec<usize>,
    /// End a level when the field changes by less than this
    #[arg(long, value_name = "CV", default_value_t = N4Options::default().tolerance)]
    tolerance: f64,
    /// Length of the spline's spans in mm at the first level
    #[arg(long, value_name = "MM", default_value_t = N4Options::default().spline_mm)]
    spline_mm: f64,
    /// Full width at half maximum of the field's histogram, in natural logarithms
    #[arg(long, value_name = "WIDTH", default_value_t = N4Options::default().fwhm)]
    fwhm: f64,
    /// Bins of the histogram
    #[arg(long, value_name = "N", default_value_t = N4Options::default().bins)]
    bins: usize,
    /// Noise term of the filter that sharpens the histogram
    #[arg(long, value_name = "NOISE", default_value_t = N4Options::default().wiener)]
    wiener: f64,
    #[command(flatten)]
    files: FileArgs,
}

/// Corrects.
///
/// # Errors
/// Those of [`correct`] and of [`Work::run`].
pub fn run(args: Args) -> Result<()> {
    let Args { input, output, mask, field, files, .. } = args;
    let Args { shrink, iterations, tolerance, spline_mm, fwhm, bins, wiener, .. } = args;
    let fit = N4Options { shrink, iterations, tolerance, spline_mm, fwhm, bins, wiener };
    let job = Options { input, output, mask, field, fit, read: files.read.clone().into() };
    files.run(&Work { job: &job, with: Value::Null }, &mut |one| {
        let found = correct(one, &Progress::default())?;
        let iterations = found.iterations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        println!("{}: iterations a level {iterations}", one.output.display());
        Ok(())
    })
}
