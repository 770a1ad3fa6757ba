//! `voxgan convert`: a scan in another format.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;

use super::files::FileArgs;
use crate::error::Result;
use crate::io::scan::DataType;
use crate::pipeline::convert::{Options, convert};
use crate::pipeline::folder::Work;
use crate::pipeline::{Event, Progress};

/// Write a scan in another format, with the same voxels in the same place.
///
/// Formats are told by content and name: NIfTI (.nii, .nii.gz), FreeSurfer's MGH (.mgh, .mgz), NRRD (.nrrd, .nhdr with voxels
/// beside it), MetaImage (.mha, .mhd with voxels beside it) and NumPy arrays (.npy, with the axes i, j, k and frames, which
/// have no place in the world). All frames of a time series are kept, unless --frame chooses one. Integers stay integers. The
/// axes stay as they are: the voxels are not turned, resampled or scaled.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan, or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The converted scan, whose name tells the format; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The format of the results of a folder
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
    let Args { input, output, to, data_type, uncompressed, nifti_2, files } = args;
    let ending = to.to_possible_value().map_or_else(String::new, |value| format!(".{}", value.get_name()));
    let (data_type, read) = (data_type.map(Into::into), files.read.clone().into());
    let job = Options { input, output, ending, data_type, uncompressed, nifti_2, read };
    files.run(&Work { job: &job, with: Value::Null }, &mut |one| {
        let made = convert(one, &NOTES)?;
        let frames = if made.frames > 1 { format!(", {} frames", made.frames) } else { String::new() };
        let channels =
            if made.channels > 1 { format!(", {} channels", made.channels) } else { String::new() };
        println!(
            "{}: {:?} voxels of {:.3?} mm{channels}{frames}, {}",
            one.output.display(),
            made.dims,
            made.spacing_mm,
            made.data_type.name()
        );
        Ok(())
    })
}
