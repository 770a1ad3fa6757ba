//! Writing NRRD: in one file, or a `.nhdr` with its voxels beside it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::{Error, Result};
use crate::io::atomic::atomic_write;
use crate::io::data_type::{DataType, Order};
use crate::io::scan::WriteOptions;
use crate::io::stored::write_voxels;
use crate::volume::Volume;

/// The file of the voxels of a header `path`; none where they are in one file with it.
pub fn voxels_beside(path: &Path, options: &WriteOptions) -> Option<PathBuf> {
    let detached = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("nhdr"));
    detached.then(|| path.with_extension(if options.uncompressed { "raw" } else { "raw.gz" }))
}

/// Writes frames as `.nrrd` or `.nhdr`, in LPS as ITK and Slicer do.
///
/// # Errors
/// [`Error::File`] for a name that the header cannot hold; [`Error::Io`].
pub fn write(path: &Path, frames: &[Volume], options: &WriteOptions) -> Result<()> {
    let beside = voxels_beside(path, options);
    let header = header(path, frames, options, beside.as_deref())?;
    let fill = |out: &mut BufWriter<File>| -> io::Result<()> {
        let write = |out: &mut dyn Write| {
            frames
                .iter()
                .try_for_each(|frame| write_voxels(out, frame, (options.data_type, Order::Little), f64::from))
        };
        if options.uncompressed {
            return write(out);
        }
        let mut gz = GzEncoder::new(out, Compression::default());
        write(&mut gz)?;
        gz.finish().map(drop)
    };
    match beside {
        // The header comes last: where it is, its voxels are.
        Some(voxels) => {
            atomic_write(&voxels, fill)?;
            atomic_write(path, |out| out.write_all(header.as_bytes()))
        }
        None => atomic_write(path, |out| {
            out.write_all(header.as_bytes())?;
            fill(out)
        }),
    }
}

fn header(path: &Path, frames: &[Volume], options: &WriteOptions, voxels: Option<&Path>) -> Result<String> {
    let volume = &frames[0];
    let (channels, [w, h, d]) = (volume.channels(), volume.dims());
    let mut axes: Vec<(usize, String, &str)> = Vec::new();
    match channels {
        1 => {}
        3 => axes.push((channels, "none".into(), "RGB-color")),
        4 => axes.push((channels, "none".into(), "RGBA-color")),
        _ => axes.push((channels, "none".into(), "vector")),
    }
    // RAS to LPS.
    let vector = |v: nalgebra::Vector3<f64>| format!("({},{},{})", 0.0 - v.x, 0.0 - v.y, v.z);
    for (axis, size) in [w, h, d].into_iter().enumerate() {
        axes.push((size, vector(volume.affine.step_mm(axis)), "domain"));
    }
    if frames.len() > 1 {
        axes.push((frames.len(), "none".into(), "list"));
    }
    let list =
        |part: &dyn Fn(&(usize, String, &str)) -> String| axes.iter().map(part).collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        "NRRD0004".to_string(),
        "# Written by voxgan; see https://teem.sourceforge.net/nrrd/format.html".into(),
        format!("type: {}", name(options.data_type)),
        format!("dimension: {}", axes.len()),
        "space: left-posterior-superior".into(),
        format!("sizes: {}", list(&|axis| axis.0.to_string())),
        format!("space directions: {}", list(&|axis| axis.1.clone())),
        format!("kinds: {}", list(&|axis| axis.2.to_string())),
        "endian: little".into(),
        format!("encoding: {}", if options.uncompressed { "raw" } else { "gzip" }),
        format!("space origin: {}", vector(volume.affine.origin_mm())),
    ];
    if let Some(voxels) = voxels {
        let name =
            voxels.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(['\n', '%']));
        let name = name.ok_or_else(|| {
            let found = voxels.display().to_string();
            Error::file(path, "name", "a name in UTF-8 without line feed and %", found, "choose another name")
        })?;
        lines.push(format!("data file: {name}"));
    }
    Ok(lines.join("\n") + if voxels.is_some() { "\n" } else { "\n\n" })
}

/// NRRD's name of a type.
fn name(number: DataType) -> &'static str {
    match number {
        DataType::F32 => "float",
        DataType::F64 | DataType::F128 => "double",
        integer => integer.name(),
    }
}
