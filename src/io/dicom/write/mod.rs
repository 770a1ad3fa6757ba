//! Volumes as MR series: a file a slice, new identifiers, and what tells that the image was derived.
//!
//! The standard: PS3.3 A.4 (MR Image IOD), C.7.6.1 (derivation), C.7.5.2 (contributing equipment); PS3.5 B.2 (UIDs from UUIDs).

mod elements;
mod pixels;
mod series;
mod source;

use std::path::{Path, PathBuf};

use dicom_dictionary_std::uids;
use dicom_object::FileMetaTableBuilder;
use nalgebra::Vector3;
use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::io::LPS_RAS;
use crate::volume::{Volume, VoxelToWorld};
use elements::uid;
use pixels::Pixels;
use series::Series;
use source::Source;

/// What the images of a series are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Derivation {
    /// Converted from another format.
    #[default]
    Converted,
    /// Made by a generative network: nobody was scanned.
    Synthetic(String),
    /// Made of a scan by a network; the text says how.
    Restored(String),
}

/// Options of [`write()`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What the images are.
    pub derivation: Derivation,
    /// Series description; by default what follows from the derivation.
    pub description: Option<String>,
    /// The series that the volume was made of: a file or folder whose images are referenced.
    pub source: Option<PathBuf>,
    /// Whether patient and study are those of `source`; otherwise nothing of them is written.
    pub keep_patient: bool,
}

/// Slices may lie so far, as a cosine, from right angles to each other.
const SKEW: f64 = 1e-3;

/// Writes `volume` `[1, D, H, W]` as a classic MR series into `folder`, which is new or empty: a file for each slice, `0001.dcm`
/// and so on, explicit little endian.
///
/// Values are stored in 16 bits: whole ones that fit as they are, others with the slope and intercept that use all of the range (half
/// a step, 1/131070 of the range, is the greatest error). Axes are flipped so that rows run to the patient's left or back, and columns
/// to the back or down, as they are displayed.
///
/// UIDs follow from the content and the derivation alone: the same volume gives the same series.
///
/// # Errors
/// [`Error::File`] for a volume of several channels, of more than 65535 voxels along an axis, or whose axes are not at right angles; for a
/// source that holds no images; [`Error::Io`] where it cannot be read or a file not written.
pub fn write(folder: &Path, volume: &Volume, options: &WriteOptions) -> Result<Vec<PathBuf>> {
    let wrong = |field: &str, expected: &str, found: String, advice: &str| {
        Error::file(folder, field, expected, found, advice)
    };
    if volume.channels() != 1 {
        return Err(wrong("channels", "one", volume.channels().to_string(), "write each channel by itself"));
    }
    let (data, affine) = displayed(volume);
    let (d, h, w) = data.dim();
    if h > usize::from(u16::MAX) || w > usize::from(u16::MAX) {
        return Err(wrong(
            "size",
            "65535 rows and columns at most",
            format!("{w} × {h}"),
            "crop or resample it",
        ));
    }
    let geometry = Geometry::of(&affine).ok_or_else(|| {
        let advice = "resample it to a grid with axes at right angles";
        wrong("axes", "at right angles to each other", "oblique ones".into(), advice)
    })?;
    let source = options.source.as_deref().map(|path| Source::read(path, &geometry, d)).transpose()?;
    let pixels = Pixels::of(&data);
    let kept = source.as_ref().filter(|_| options.keep_patient);
    let series = Series::new(volume, options, kept);
    let io = |source| Error::io(folder, "create this folder", source);
    if folder.read_dir().is_ok_and(|mut files| files.next().is_some()) {
        return Err(wrong("output", "a new or empty folder", "files in it".into(), "choose another folder"));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(io)?;
    // Beside its place, so that there is the whole series or none.
    let mut beside = tempfile::Builder::new();
    beside.prefix(".voxgan");
    // As for any new folder: the umask takes from it what it takes.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let beside = beside.tempdir_in(parent).map_err(io)?;
    let name = |k: usize| format!("{:04}.dcm", k + 1);
    (0..d).into_par_iter().try_for_each(|k| {
        let mut object = series.object(k, &geometry, source.as_ref());
        pixels.put(&mut object, data.index_axis(Axis(0), k).iter().copied(), [h, w]);
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .implementation_class_uid(uid("implementation of voxgan", 0))
            .implementation_version_name("VOXGAN");
        let report = |e: String| wrong("elements", "those of an MR image", e, "report this");
        let file = object.with_meta(meta).map_err(|e| report(e.to_string()))?;
        file.write_to_file(beside.path().join(name(k)))
            .map_err(|e| Error::io(&folder.join(name(k)), "write it", std::io::Error::other(e)))
    })?;
    let written = beside.keep();
    let _ = std::fs::remove_dir(folder);
    if let Err(source) = std::fs::rename(&written, folder) {
        let _ = std::fs::remove_dir_all(&written);
        return Err(io(source));
    }
    Ok((0..d).map(|k| folder.join(name(k))).collect())
}

/// The voxels `[D, H, W]` and their place with axes flipped and exchanged as images are displayed: rows to the left or back, columns to
/// the back or down.
fn displayed(volume: &Volume) -> (Array3<f32>, VoxelToWorld) {
    let mut data = volume.data.index_axis(Axis(0), 0).to_owned();
    let (mut steps, mut origin) = (volume.affine.steps_mm(), volume.affine.origin_mm());
    let main = |axis: nalgebra::Vector3<f64>| axis.iamax();
    // A row does not run up or down where a column could.
    if main(steps.column(0).into_owned()) == 2 && main(steps.column(1).into_owned()) != 2 {
        data.swap_axes(1, 2);
        steps.swap_columns(0, 1);
    }
    for axis in 0..2 {
        let step = steps.column(axis).into_owned();
        // The world's axes point to the right, the front and up; those of displays the other way.
        if step[main(step)] > 0.0 {
            let length = data.shape()[2 - axis];
            data.invert_axis(Axis(2 - axis));
            origin += step * (length as f64 - 1.0);
            steps.set_column(axis, &-step);
        }
    }
    let affine = VoxelToWorld::from_axes(&steps, &origin)
        .expect("axes flipped and exchanged can be inverted as before");
    (data.as_standard_layout().into_owned(), affine)
}

/// Where slices lie, in patient coordinates: x to the left, y to the back (PS3.3, C.7.6.2.1.1).
struct Geometry {
    row: Vector3<f64>,
    column: Vector3<f64>,
    spacing_mm: [f64; 3],
    step: Vector3<f64>,
    origin: Vector3<f64>,
}

impl Geometry {
    /// That of an affine, unless its axes are not at right angles.
    fn of(affine: &VoxelToWorld) -> Option<Self> {
        let steps = LPS_RAS * affine.steps_mm();
        let [i, j, k] = [0, 1, 2].map(|axis| steps.column(axis).into_owned());
        let [row, column, normal] = [i, j, k].map(|step| step.normalize());
        let square = [row.dot(&column), column.dot(&normal), normal.dot(&row)]
            .iter()
            .all(|cosine| cosine.abs() < SKEW);
        square.then(|| Self {
            row,
            column,
            spacing_mm: [i, j, k].map(|step| step.norm()),
            step: k,
            origin: LPS_RAS * affine.origin_mm(),
        })
    }

    fn position(&self, slice: usize) -> Vector3<f64> {
        self.origin + slice as f64 * self.step
    }
}
