//! `voxgan anatomy volumes`: scans become label maps and tables of volumes.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::structures::StructuresArgs;
use crate::anatomy::volumes::{DerivativeNames, Volumes, csv, definitions_csv, label_table, lookup_table};
use crate::error::{Error, Result};
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::{bids, write_beside};
use crate::volume::resample::Grid;

/// Measure the structures of heads in millilitres.
///
/// For each scan a label map on its own grid, with FreeSurfer's numbers, and a JSON file of volumes with their
/// definitions, ratios, asymmetries, surfaces, plausibility flags and a quality from 0 to 1; volumes.csv has one row a
/// scan.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Scans, folders of scans or BIDS trees
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// The folder for label maps and tables
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    structures: StructuresArgs,
}

/// Scans → structures → volumes → tables.
///
/// # Errors
/// What is wrong with the files, the segmenter or the disk.
pub fn run(args: Args) -> Result<()> {
    let mut paths = Vec::new();
    for input in &args.inputs {
        paths.extend(bids::volumes(input)?);
    }
    std::fs::create_dir_all(&args.out).map_err(|e| Error::io(&args.out, "make the folder", e))?;
    let write =
        |name: &str, text: &str| write_beside(&args.out.join(name), |file| file.write_all(text.as_bytes()));
    let mut table: Vec<Volumes> = Vec::with_capacity(paths.len());
    args.structures.each(&paths, |path, scan, segmentation| {
        let names = DerivativeNames::of(path);
        let grid = Grid::of(scan);
        let volumes = Volumes::of(subject(path), &segmentation, Some(&grid));
        let labels = args.out.join(&names.labels);
        let options =
            WriteOptions { data_type: DataType::I16, description: "voxgan anatomy: structures".into() };
        nifti::write(&labels, &segmentation.on(&grid).to_volume(), &options)?;
        write(&names.label_table, &label_table())?;
        let json = serde_json::to_string_pretty(&volumes).map_err(|e| {
            Error::file(&labels, "volumes", "values that JSON holds", e.to_string(), "report this")
        })?;
        write(&names.volumes, &json)?;
        println!("{}\n{volumes}", labels.display());
        table.push(volumes);
        Ok(())
    })?;
    write("volumes.csv", &csv(&table))?;
    if let Some(first) = table.first() {
        write("definitions.csv", &definitions_csv(first))?;
    }
    write("FreeSurferColorLUT.txt", &lookup_table())?;
    println!("{}", args.out.join("volumes.csv").display());
    Ok(())
}

/// A scan's file name without its extension.
fn subject(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".gz").trim_end_matches(".nii").to_string()
}
