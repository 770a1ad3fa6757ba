//! Raw data of any supported format, which is recognised by the file's content.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, Ix4};
use num_complex::Complex32;

pub use super::acquisition::RawOptions;
use super::acquisition::measured;
use super::dc::{DcPlace, from_corner};
use super::hdf5::Hdf5;
use super::{cfl, fastmri, hdf5, ismrmrd, npy, walk};
use crate::error::{Error, Result};
use crate::volume::{Axis as AlongAxis, ImageGrid, KSpace, Provenance};

/// Whether `path` is raw data by its content or, for BART's pairs, by its name: `.h5` of fastMRI or ISMRMRD, `.npy`,
/// `.cfl`/`.hdr`.
pub fn is_raw(path: &Path) -> bool {
    kind(path).is_some()
}

/// The raw data in a folder and in those below it, in the order of their names: `.h5`, `.npy`, and `.cfl` of pairs.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed; [`Error::File`] for one without raw data.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_raw = |path: &PathBuf| {
        let named = |ending: &str| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
        ["h5", "npy", "cfl"].into_iter().any(named)
    };
    let unlisted = |error: ignore::Error| {
        let cause = error.to_string();
        Error::io(folder, "list it", error.into_io_error().unwrap_or_else(|| io::Error::other(cause)))
    };
    let files = walk::files(folder).filter(|file| file.as_ref().map_or(true, is_raw));
    let found = files.collect::<std::result::Result<Vec<_>, _>>().map_err(unlisted)?;
    if found.is_empty() {
        let advice = "give the folder of the raw data, or a file";
        return Err(Error::file(folder, "folder", ".h5, .npy or .cfl files", "none", advice));
    }
    Ok(found)
}

/// The axis that this raw data was read out along: H for fastMRI, W for ISMRMRD and BART; none for arrays that say nothing but
/// their size, and for what is no raw data.
pub fn readout(path: &Path) -> Option<AlongAxis> {
    let is_fastmri = || Some(Hdf5::open(path).ok()?.find("kspace").ok()?.is_some());
    match kind(path)? {
        Kind::Hdf5 if is_fastmri().unwrap_or(false) => Some(AlongAxis::H),
        Kind::Hdf5 | Kind::Cfl => Some(AlongAxis::W),
        Kind::Npy => None,
    }
}

/// Reads the k-space of a fastMRI or ISMRMRD file (HDF5), of a BART pair (`.cfl`, `.hdr` or their bare name) or of
/// an array (`.npy`).
///
/// BART's dimensions x, y, z and coil are W, H, D and coils; any other must be 1. Arrays are (H, W), (coils, H, W)
/// or (coils, D, H, W).
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::File`] for other kinds of file, damaged ones, samples that
/// are not finite, and where the file has several images of which `options` select none; [`Error::Value`] for an option
/// out of its range.
pub fn read(path: &Path, options: &RawOptions) -> Result<KSpace> {
    let kspace = match kind(path) {
        Some(Kind::Hdf5) => hdf5(path, options)?,
        Some(Kind::Npy) => plain(path, npy::read_complex(path)?, "npy", options)?,
        Some(Kind::Cfl) => plain(path, cfl::read(path)?, "cfl", options)?,
        None => {
            File::open(path).map_err(|source| Error::io(path, "read the raw data", source))?;
            let advice = "convert the scanner's file to ISMRMRD, for instance with siemens_to_ismrmrd";
            let expected = "fastMRI or ISMRMRD (HDF5), .npy, or BART's .cfl beside its .hdr";
            return Err(Error::file(path, "content", expected, "another kind of file", advice));
        }
    };
    finite(path, kspace)
}

/// The k-space of an array in memory, laid out as one of a `.npy` file ([`read`]).
///
/// # Errors
/// [`Error::File`], with `k-space` for the file, for other shapes and samples that are not finite; [`Error::Value`] for an option out
/// of its range.
pub fn of_array(array: ArrayD<Complex32>, options: &RawOptions) -> Result<KSpace> {
    let path = Path::new("k-space");
    finite(path, plain(path, array, "array", options)?)
}

/// K-space whose samples, and those of its noise, are all finite.
fn finite(path: &Path, kspace: KSpace) -> Result<KSpace> {
    let finite = |value: &Complex32| value.re.is_finite() && value.im.is_finite();
    let samples = kspace.data.iter().chain(kspace.noise.iter().flatten());
    let damaged = samples.filter(|value| !finite(value)).count();
    if damaged > 0 {
        let found = format!("{damaged} that are NaN, infinite or beyond float32");
        let advice = "repair or convert the raw data again";
        return Err(Error::file(path, "samples", "finite numbers", found, advice));
    }
    Ok(kspace)
}

impl RawOptions {
    /// The voxel size given, or 1 mm with a note of it.
    pub(crate) fn spacing_or_unit(&self, steps: &mut Vec<String>) -> [f64; 3] {
        self.spacing_mm.unwrap_or_else(|| {
            steps.push("no voxel size in the file: 1 mm assumed".to_string());
            [1.0; 3]
        })
    }

    /// Refuses options that mean nothing.
    fn check(&self) -> Result<()> {
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        if let Some(spacing_mm) = self.spacing_mm.filter(|spacing_mm| !spacing_mm.iter().all(positive)) {
            let found = format!("{spacing_mm:?}");
            return Err(Error::value(
                "spacing_mm",
                "three positive lengths",
                found,
                "give it in millimetres",
            ));
        }
        if let Some(factor) = self.readout_oversampling.filter(|factor| !(1.0..=16.0).contains(factor)) {
            let advice = "give encoded by reconstructed field of view";
            return Err(Error::value("readout_oversampling", "1 to 16", factor.to_string(), advice));
        }
        Ok(())
    }
}

/// Kinds of file.
enum Kind {
    Hdf5,
    Npy,
    Cfl,
}

fn kind(path: &Path) -> Option<Kind> {
    let mut start = [0; 6];
    let begins = File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok();
    if begins && start == npy::MAGIC {
        Some(Kind::Npy)
    } else if cfl::is_pair(path) {
        Some(Kind::Cfl)
    } else {
        hdf5::is_hdf5(path).then_some(Kind::Hdf5)
    }
}

/// A file of fastMRI or ISMRMRD.
fn hdf5(path: &Path, options: &RawOptions) -> Result<KSpace> {
    options.check()?;
    let file = Hdf5::open(path)?;
    if file.find("kspace")?.is_some() {
        return fastmri::read(path, &file, options);
    }
    if let Some(group) = ismrmrd::group(path, &file)? {
        return ismrmrd::read(path, &file, &group, options);
    }
    let (groups, tables) = file.names()?;
    let mut found = [groups, tables].concat();
    found.truncate(8);
    let expected = "fastMRI's kspace, or ISMRMRD's xml and data in a group";
    let advice = "check that this is raw data; images are read elsewhere";
    Err(Error::file(path, "content", expected, format!("{found:?}"), advice))
}

/// An array that says nothing but its size.
fn plain(path: &Path, array: ArrayD<Complex32>, format: &str, options: &RawOptions) -> Result<KSpace> {
    options.check()?;
    let shape = array.shape().to_vec();
    let array = match (format, array.ndim()) {
        // Trailing dimensions were dropped, so three are z, y, x.
        ("cfl", 3) => array.insert_axis(Axis(0)), // [1, D, H, W]
        ("npy" | "array", 2) => array.insert_axis(Axis(0)).insert_axis(Axis(0)),
        ("npy" | "array", 3) => array.insert_axis(Axis(1)), // [coils, 1, H, W]
        _ => array,
    };
    let whole = array.into_dimensionality::<Ix4>().ok().filter(|array| !array.is_empty());
    let mut data = whole.ok_or_else(|| {
        let expected = match format {
            "cfl" => "x, y, z and coil (here reversed), all other dimensions 1",
            _ => "(H, W), (coils, H, W) or (coils, D, H, W)",
        };
        let advice = "select one map, echo or time, and save that";
        Error::file(path, "shape", expected, format!("{shape:?}"), advice)
    })?;

    let mut steps = vec![format!("read {format}, shape {shape:?}")];
    if let Some(slice) = options.slice {
        let slices = data.dim().1;
        if slice >= slices {
            let expected = format!("0 to {}", slices - 1);
            return Err(Error::value("slice", expected, slice.to_string(), "choose one that the file has"));
        }
        data = data.slice_move(ndarray::s![.., slice..slice + 1, .., ..]);
        steps.push(format!("took slice {slice} of {slices}"));
    }
    let lengths = [data.dim().1, data.dim().2, data.dim().3];
    let transformed = options.transformed.unwrap_or(lengths.map(|length| length > 1));
    if options.dc == DcPlace::Corner {
        let axes: Vec<usize> = (1..4).filter(|&axis| transformed[axis - 1]).collect();
        data = from_corner(data, &axes);
        steps.push("moved DC from the corner to the centre".to_string());
    }

    let spacing_mm = options.spacing_or_unit(&mut steps);
    steps.push("no geometry in the file: upright about the world's origin".to_string());
    let [d, h, w] = lengths;
    let columns = (w as f64 / options.readout_oversampling.unwrap_or(1.0)).round().max(1.0) as usize;
    let mut image = ImageGrid::upright([columns, h, d], spacing_mm)?;
    image.encoded_fov_mm[0] = w as f64 * spacing_mm[0];
    Ok(KSpace {
        sampled: measured(&data),
        data: if data.is_standard_layout() { data } else { data.as_standard_layout().into_owned() },
        transformed,
        noise: None,
        image,
        reference: None,
        provenance: Provenance { source: path.display().to_string(), steps, ..Provenance::default() },
    })
}
