//! `voxgan n4`: an image without its bias field.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};

use crate::error::{Error, Result};
use crate::io::nifti::{self, WriteOptions};
use crate::io::write_beside;
use crate::mri::n4::{self, Field, N4Options};
use crate::volume::{Volume, check_grids};

/// Remove the bias field of a scan by N4.
///
/// The slow brightening towards the coil is estimated inside the mask (Tustison 2010) and divided out everywhere.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (.nii, .nii.gz, .hdr with .img)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The corrected scan, .nii or .nii.gz
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
}

/// Scan and mask → field → corrected scan.
///
/// # Errors
/// What is wrong with the files or the options; see [`n4::correct`].
pub fn run(args: Args) -> Result<()> {
    let volume = nifti::read(&args.input)?;
    let mask = args.mask.as_ref().map(|path| read_mask(path, &volume)).transpose()?;
    let options = N4Options {
        shrink: args.shrink,
        iterations: args.iterations,
        tolerance: args.tolerance,
        spline_mm: args.spline_mm,
        fwhm: args.fwhm,
        bins: args.bins,
        wiener: args.wiener,
    };
    let (corrected, field) = n4::correct(&volume, mask.as_ref(), &options)?;
    nifti::write(&args.output, &corrected, &describe("voxgan n4, bias field removed"))?;
    if let Some(path) = &args.field {
        write_field(path, &field, &volume)?;
    }
    println!("{}: iterations a level {:?}", args.output.display(), field.iterations);
    Ok(())
}

/// The voxels of `path` that are not zero; its grid must be the scan's.
fn read_mask(path: &Path, volume: &Volume) -> Result<Array3<bool>> {
    let mask = nifti::read(path)?;
    check_grids(volume, &mask)?;
    Ok(mask.data.index_axis(Axis(0), 0).mapv(|value| value != 0.0))
}

fn write_field(path: &Path, field: &Field, volume: &Volume) -> Result<()> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        let text = serde_json::to_string(field)
            .map_err(|error| Error::io(path, "write the field as JSON", error.into()))?;
        return write_beside(path, |file| writeln!(file, "{text}"));
    }
    let image = Volume::new(field.evaluate(volume.dims()).insert_axis(Axis(0)), volume.affine);
    nifti::write(path, &image, &describe("voxgan n4, bias field"))
}

fn describe(text: &str) -> WriteOptions {
    WriteOptions { description: text.into(), ..WriteOptions::default() }
}
