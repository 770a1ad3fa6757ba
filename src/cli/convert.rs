//! `voxgan convert`: a scan in another format.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::Value;

use super::files::FileArgs;
use super::sampling::PRINTED;
use crate::error::Result;
use crate::io::scan::{DataType, Format, ReadOptions};
use crate::pipeline::convert::{Converted, Options, convert, convert_series};
use crate::pipeline::folder::Work;
use crate::pipeline::to_dicom::{self, to_dicom};
use crate::pipeline::{Event, Progress};

/// Write a scan in another format, with the same voxels in the same place.
///
/// Formats are told by content and name: NIfTI (.nii, .nii.gz), FreeSurfer's MGH (.mgh, .mgz), NRRD (.nrrd, .nhdr with voxels
/// beside it), MetaImage (.mha, .mhd with voxels beside it) and NumPy arrays (.npy, with the axes i, j, k and frames, which
/// have no place in the world). All frames of a time series are kept, unless --frame chooses one. Integers stay integers. The
/// axes stay as they are: the voxels are not turned, resampled or scaled.
///
/// DICOM is read from files, folders, a DICOMDIR or a zip archive: one series where OUT is a file, all of them where it is a folder, named
/// by protocol and number, as NIfTI with a sidecar of BIDS. With --to dicom, OUT is a new folder with a classic MR series; a synthetic or
/// restored scan says so there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan, or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The converted scan, whose name tells the format; of a folder, of many series, and with --to dicom, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The format of results in a folder
    #[arg(long, value_enum, default_value_t = Ending::NiiGz)]
    to: Ending,
    /// The type of the numbers; if left out, that of IN where the format has it, else float32
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    data_type: Option<TypeName>,
    /// Leave the voxels of NRRD and MetaImage uncompressed; in other formats the name tells
    #[arg(long)]
    uncompressed: bool,
    /// Write NIfTI-2, also where no axis has more than the 32767 voxels of NIfTI-1
    #[arg(long)]
    nifti_2: bool,
    /// With --to dicom: the DICOM series that the scan was made of, whose images are referenced
    #[arg(long, value_name = "DICOM")]
    source: Option<PathBuf>,
    /// With --source: write the patient and the study that it names; by default nothing of them is written
    #[arg(long, requires = "source")]
    keep_patient: bool,
    /// With --to dicom: series description
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    files: FileArgs,
}

/// Formats by the endings of their names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ending {
    #[value(name = "nii.gz")]
    NiiGz,
    Nii,
    Mgz,
    Mgh,
    Nrrd,
    Nhdr,
    Mha,
    Mhd,
    Npy,
    Dicom,
}

/// Types of numbers by their names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypeName {
    Uint8,
    Int8,
    Uint16,
    Int16,
    Uint32,
    Int32,
    Uint64,
    Int64,
    Float32,
    Float64,
}

impl From<TypeName> for DataType {
    fn from(name: TypeName) -> Self {
        match name {
            TypeName::Uint8 => Self::U8,
            TypeName::Int8 => Self::I8,
            TypeName::Uint16 => Self::U16,
            TypeName::Int16 => Self::I16,
            TypeName::Uint32 => Self::U32,
            TypeName::Int32 => Self::I32,
            TypeName::Uint64 => Self::U64,
            TypeName::Int64 => Self::I64,
            TypeName::Float32 => Self::F32,
            TypeName::Float64 => Self::F64,
        }
    }
}

/// Prints what a conversion changes.
const NOTES: Progress<'static> = Progress::new(&|event| {
    if let Event::Note(text) = event {
        println!("{text}");
    }
});

/// Converts.
///
/// # Errors
/// Those of [`convert()`] and of [`Work::run`].
pub fn run(args: Args) -> Result<()> {
    let Args {
        input,
        output,
        to,
        data_type,
        uncompressed,
        nifti_2,
        files,
        source,
        keep_patient,
        description,
    } = args;
    let read: ReadOptions = files.read.clone().into();
    if let Ending::Dicom = to {
        let job = to_dicom::Options { input, output, source, keep_patient, description, read };
        return files.run(&Work { job: &job, with: Value::Null }, &mut |one| {
            let made = to_dicom(one, &NOTES)?;
            println!("{}: {} images", one.output.display(), made.len());
            Ok(())
        });
    }
    let ending = to.to_possible_value().map_or_else(String::new, |value| format!(".{}", value.get_name()));
    let data_type = data_type.map(Into::into);
    let job = Options { input, output, ending, data_type, uncompressed, nifti_2, read };
    if Format::of(&job.input) == Format::Dicom && Format::of_name(&job.output).is_none() {
        let made = convert_series(&job, files.force.force, files.strict.strict, &PRINTED)?;
        made.iter().for_each(|(path, made)| say(path, made));
        return Ok(());
    }
    files.run(&Work { job: &job, with: Value::Null }, &mut |one| {
        say(&one.output, &convert(one, &NOTES)?);
        Ok(())
    })
}

fn say(path: &Path, made: &Converted) {
    let several = |n: usize, what: &str| if n > 1 { format!(", {n} {what}") } else { String::new() };
    println!(
        "{}: {:?} voxels of {:.3?} mm{}{}, {}",
        path.display(),
        made.dims,
        made.spacing_mm,
        several(made.channels, "channels"),
        several(made.frames, "frames"),
        made.data_type.name()
    );
}
