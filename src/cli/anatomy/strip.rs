//! `voxgan anatomy strip`: a scan without its skull.

use std::path::PathBuf;

use ndarray::{Array3, Axis, Zip};

use super::structures::SegmenterArgs;
use crate::anatomy::Region;
use crate::anatomy::brain::brain_mask;
use crate::anatomy::shape::whole;
use crate::config::in_file;
use crate::error::{Error, Result};
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::pipeline::Segmenter;
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};

/// Remove what is not brain from a scan.
///
/// The mask is one piece without holes; sheets and bridges thinner than 4 mm, and what hangs on them, are left out, such as dura
/// and eyes. Voxels outside it become zero; the others, the grid and the header's geometry stay as they are.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The brain alone, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Also write the mask
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// Keep the fluid around the brain
    #[arg(long)]
    csf: bool,
    #[command(flatten)]
    segmenter: SegmenterArgs,
}

/// Scan → structures → mask → scan.
///
/// # Errors
/// What is wrong with the files, the segmenter or the disk; a scan without a brain.
pub fn run(args: Args) -> Result<()> {
    let region =
        Region::named(if args.csf { "intracranial" } else { "brain" }).expect("a region of the table");
    let scan = nifti::read(&args.input)?;
    let (brain, mask) =
        stripped(scan, &args.segmenter.open()?, region).map_err(|e| in_file(e, &args.input))?;
    let description = format!("voxgan anatomy strip: {}", region.name);
    nifti::write(&args.output, &brain, &WriteOptions { description, ..WriteOptions::default() })?;
    println!("{}", args.output.display());
    if let Some(path) = &args.mask {
        let mask = mask.mapv(|inside| f32::from(u8::from(inside))).insert_axis(Axis(0));
        let description = format!("voxgan anatomy strip: mask of {}", region.name);
        let options = WriteOptions { data_type: DataType::U8, description };
        nifti::write(path, &Volume::new(mask, brain.affine), &options)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// `scan` with zero outside the mask `[D, H, W]` of a region of its structures ([`brain_mask`]), and that mask.
///
/// # Errors
/// What the segmenter finds wrong, and a scan without the region.
pub fn stripped(mut scan: Volume, segmenter: &Segmenter, region: &Region) -> Result<(Volume, Array3<bool>)> {
    let found = segmenter.segment(&scan)?;
    let mask = brain_mask(&found, region).mapv(|inside| f32::from(u8::from(inside))).insert_axis(Axis(0));
    let mask = resample(&Volume::new(mask, found.affine), &Grid::of(&scan), Interpolation::Nearest).data;
    // On a coarser grid what hung together may not.
    let mask = whole(&mask.index_axis(Axis(0), 0).mapv(|inside| inside > 0.5));
    if !mask.iter().any(|&inside| inside) {
        let advice = "check that this is a scan of a head, and its orientation";
        return Err(Error::value("voxels", "a brain", "none", advice));
    }
    for mut channel in scan.data.axis_iter_mut(Axis(0)) {
        Zip::from(&mut channel).and(&mask).for_each(|x, &inside| {
            if !inside {
                *x = 0.0;
            }
        });
    }
    Ok((scan, mask))
}
