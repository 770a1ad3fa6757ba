//! Writing MetaImage: in one file, or a `.mhd` with its voxels beside it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::TYPES;
use crate::error::{Error, Result};
use crate::io::atomic::atomic_write;
use crate::io::data_type::Order;
use crate::io::scan::WriteOptions;
use crate::io::stored::write_voxels;
use crate::volume::Volume;

/// The file of the voxels of a header `path`; none where they are in one file with it.
pub fn voxels_beside(path: &Path, options: &WriteOptions) -> Option<PathBuf> {
    let detached = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("mhd"));
    detached.then(|| path.with_extension(if options.uncompressed { "raw" } else { "zraw" }))
}

/// Writes frames as `.mha` or `.mhd`, in LPS as ITK does.
///
/// # Errors
/// [`Error::File`] for a type that the format lacks and a name that the header cannot hold; [`Error::Io`].
pub fn write(path: &Path, frames: &[Volume], options: &WriteOptions) -> Result<()> {
    let plain = |out: &mut dyn Write| {
        let code = (options.data_type, Order::Little);
        frames.iter().try_for_each(|frame| write_voxels(out, frame, code, f64::from))
    };
    // The header holds the number of compressed bytes.
    let packed = || -> io::Result<Vec<u8>> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        plain(&mut zlib)?;
        zlib.finish()
    };
    let packed =
        (!options.uncompressed).then(packed).transpose().map_err(|e| Error::io(path, "compress", e))?;
    let beside = voxels_beside(path, options);
    let header = header(path, frames, options, packed.as_ref().map(Vec::len), beside.as_deref())?;
    let fill = |out: &mut dyn Write| match &packed {
        Some(bytes) => out.write_all(bytes),
        None => plain(out),
    };
    match beside {
        // The header comes last: where it is, its voxels are.
        Some(voxels) => {
            atomic_write(&voxels, |out| fill(out))?;
            atomic_write(path, |out| out.write_all(header.as_bytes()))
        }
        None => atomic_write(path, |out| {
            out.write_all(header.as_bytes())?;
            fill(out)
        }),
    }
}

fn header(
    path: &Path,
    frames: &[Volume],
    options: &WriteOptions,
    packed: Option<usize>,
    voxels: Option<&Path>,
) -> Result<String> {
    let volume = &frames[0];
    let [w, h, d] = volume.dims();
    let sizes: Vec<usize> = [w, h, d].into_iter().chain((frames.len() > 1).then_some(frames.len())).collect();
    let dimensions = sizes.len();
    let number = TYPES.iter().find(|(_, number)| *number == options.data_type).map(|(name, _)| *name);
    let number = number.ok_or_else(|| {
        let found = options.data_type.name();
        Error::file(path, "ElementType", "a type that the format has", found, "choose float32")
    })?;
    let name = match voxels {
        None => "LOCAL",
        Some(voxels) => {
            let name = voxels.file_name().and_then(|name| name.to_str());
            name.filter(|name| !name.contains(['\n', '%'])).ok_or_else(|| {
                let found = voxels.display().to_string();
                let expected = "a name in UTF-8 without line feed and %";
                Error::file(path, "name", expected, found, "choose another name")
            })?
        }
    };
    let (steps, origin, spacing) =
        (volume.affine.steps_mm(), volume.affine.origin_mm(), volume.affine.spacing_mm());
    // RAS to LPS; 0 − x is no −0.
    let flipped = |row: usize, value: f64| if row < 2 { 0.0 - value } else { value };
    let direction = |axis: usize, row: usize| match (axis, row) {
        (0..3, 0..3) => flipped(row, steps[(row, axis)] / spacing[axis]),
        _ => f64::from(u8::from(axis == row)),
    };
    let each = |value: &dyn Fn(usize) -> f64| join((0..dimensions).map(value));
    let matrix = join(
        (0..dimensions)
            .flat_map(|axis| (0..dimensions).map(move |row| (axis, row)))
            .map(|(a, r)| direction(a, r)),
    );
    let mut lines = vec![
        "ObjectType = Image".to_string(),
        format!("NDims = {dimensions}"),
        "BinaryData = True".into(),
        "BinaryDataByteOrderMSB = False".into(),
        format!("CompressedData = {}", if packed.is_some() { "True" } else { "False" }),
    ];
    lines.extend(packed.map(|bytes| format!("CompressedDataSize = {bytes}")));
    lines.extend([
        format!("TransformMatrix = {matrix}"),
        format!("Offset = {}", each(&|axis| if axis < 3 { flipped(axis, origin[axis]) } else { 0.0 })),
        format!("CenterOfRotation = {}", each(&|_| 0.0)),
        format!("ElementSpacing = {}", each(&|axis| spacing.get(axis).copied().unwrap_or(1.0))),
        format!("DimSize = {}", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")),
    ]);
    lines.extend((volume.channels() > 1).then(|| format!("ElementNumberOfChannels = {}", volume.channels())));
    lines.extend([format!("ElementType = {number}"), format!("ElementDataFile = {name}")]);
    Ok(lines.join("\n") + "\n")
}

fn join(numbers: impl Iterator<Item = f64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}
