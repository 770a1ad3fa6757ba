//! fastMRI's HDF5 files (Zbontar et al. 2018; Knoll et al. 2020): slices of k-space, single- or multi-coil.

use std::path::Path;

use ndarray::{Array3, Array4, Axis, Ix3};
use num_complex::Complex32;

use super::acquisition::{RawOptions, measured};
use super::hdf5::Hdf5;
use super::ismrmrd::xml;
use crate::error::{Error, Result};
use crate::volume::{ImageGrid, KSpace, Provenance};

/// Reads `kspace` (slices\[, coils\], H, W) of an open file as `[coils, D = slices, H, W]`.
///
/// The axes stay as the file has them, since masks and reconstructions count on it: H is the readout (the header's
/// x), W the phase encoding (y). `mask` says which columns were measured; without it, those that are not zero were.
/// The file's `reconstruction_rss` or `reconstruction_esc` becomes the reference. The files say nothing of the
/// patient's position: the image is upright about the world's origin.
///
/// # Errors
/// [`Error::File`] for data sets that are damaged or do not fit each other.
pub(crate) fn read(path: &Path, file: &Hdf5, options: &RawOptions) -> Result<KSpace> {
    let mut steps = vec!["read fastMRI HDF5".to_string()];
    let data = kspace(path, file, options, &mut steps)?;
    let (coils, slices, h, w) = data.dim();

    let sampled = match file.find("mask")? {
        None => measured(&data),
        Some(mask) => {
            let columns = mask.real(None)?;
            if columns.len() != w {
                let advice = "the mask belongs to another file, or one of them is damaged";
                let found = columns.len().to_string();
                return Err(Error::file(path, "mask", format!("{w} columns as kspace"), found, advice));
            }
            let columns: Vec<bool> = columns.iter().map(|&value| value != 0.0).collect();
            steps.push(format!("mask of {} columns", columns.iter().filter(|&&column| column).count()));
            Array3::from_shape_fn((slices, h, w), |(_, _, column)| columns[column])
        }
    };
    let reference = reference(path, file, options, slices, &mut steps)?;
    steps.push(format!("{coils} coils; no position in the file: upright about the world's origin"));
    let image =
        ImageGrid { low_crop: true, ..grid(path, file, options, &data, reference.as_ref(), &mut steps)? };
    Ok(KSpace {
        image,
        data,
        transformed: [false, true, true],
        sampled,
        noise: None,
        reference,
        provenance: Provenance { source: path.display().to_string(), steps, ..Provenance::default() },
    })
}

/// The samples as `[coils, slices, H, W]`.
fn kspace(
    path: &Path,
    file: &Hdf5,
    options: &RawOptions,
    steps: &mut Vec<String>,
) -> Result<Array4<Complex32>> {
    let table = file.table("kspace")?;
    let data = table.complex(options.slice)?;
    if let Some(slice) = options.slice {
        steps.push(format!("took slice {slice} of {}", table.shape()[0]));
    }
    let data = if data.ndim() == 3 { data.insert_axis(Axis(1)) } else { data }; // [slices, coils, H, W]
    let shape = data.shape().to_vec();
    let whole = data.into_dimensionality::<ndarray::Ix4>().ok().filter(|data| !data.is_empty());
    let data = whole.ok_or_else(|| {
        let advice = "this is not a file of fastMRI's knee or brain k-space";
        Error::file(path, "kspace", "(slices[, coils], H, W)", format!("{shape:?}"), advice)
    })?;
    if data.dim().1 == 1 {
        return Ok(data.permuted_axes([1, 0, 2, 3])); // [1, slices, H, W]
    }
    Ok(data.permuted_axes([1, 0, 2, 3]).as_standard_layout().into_owned()) // [coils, slices, H, W]
}

/// The file's own reconstruction, `[D, h, w]`.
fn reference(
    path: &Path,
    file: &Hdf5,
    options: &RawOptions,
    slices: usize,
    steps: &mut Vec<String>,
) -> Result<Option<Array3<f32>>> {
    for name in ["reconstruction_rss", "reconstruction_esc"] {
        let Some(table) = file.find(name)? else { continue };
        let image = table.real(options.slice)?;
        let shape = image.shape().to_vec();
        let image = image.into_dimensionality::<Ix3>().ok().filter(|image| image.dim().0 == slices);
        steps.push(format!("reference {name}"));
        return image.map(Some).ok_or_else(|| {
            let advice = "the file is damaged: copy it again";
            Error::file(path, name, format!("{slices} slices as kspace"), format!("{shape:?}"), advice)
        });
    }
    Ok(None)
}

/// The image's grid: the header's reconstructed space, or the reference's size, or k-space's.
fn grid(
    path: &Path,
    file: &Hdf5,
    options: &RawOptions,
    data: &Array4<Complex32>,
    reference: Option<&Array3<f32>>,
    steps: &mut Vec<String>,
) -> Result<ImageGrid> {
    let (_, slices, h, w) = data.dim();
    let Some(header) = file.find("ismrmrd_header")? else {
        let (rows, columns) = reference.map_or((h, w), |image| (image.dim().1, image.dim().2));
        let spacing_mm = options.spacing_or_unit(steps);
        let mut image = ImageGrid::upright([columns, rows, slices], spacing_mm)?;
        image.encoded_fov_mm = [w as f64 * spacing_mm[0], h as f64 * spacing_mm[1], image.fov_mm[2]];
        return Ok(image);
    };
    let encodings = xml::parse(path, "ismrmrd_header", &header.text()?)?;
    let (encoded, recon) = (&encodings[0].encoded, &encodings[0].recon);
    let [x, y, _] = encoded.matrix;
    if x != y && [h, w] == [y, x] {
        let expected =
            format!("(…, {x}, {y}), the header's encoded matrix along x (readout) and y (phase encoding)");
        let advice = "the axes are exchanged: swap the last two axes of kspace";
        return Err(Error::file(path, "kspace", expected, format!("(…, {h}, {w})"), advice));
    }
    let mut note = |text: String| {
        tracing::warn!("{}: {text}", path.display());
        steps.push(text);
    };
    if h != x {
        note(format!("kspace has {h} places along the readout, the header's encoded matrix {x}"));
    }
    if let Some((_, rows, columns)) = reference.map(|image| image.dim())
        && [rows, columns] != [recon.matrix[0], recon.matrix[1]]
    {
        let [x, y, _] = recon.matrix;
        note(format!(
            "the file's own image has {rows} × {columns} voxels, the header's reconstructed matrix {x} × {y}"
        ));
    }
    // What z has is not used: slices are counted.
    xml::refuse_too_fine(path, "ismrmrd_header", recon, [h, w, recon.matrix[2]])?;
    let [x, y, _] = recon.matrix;
    let spacing_mm =
        [recon.fov_mm[1] / y as f64, recon.fov_mm[0] / x as f64, recon.fov_mm[2] / recon.matrix[2] as f64];
    let mut image = ImageGrid::upright([y, x, slices], spacing_mm)?; // (i, j, k) = (W, H, D) = (y, x, slice)
    image.encoded_fov_mm = [encoded.fov_mm[1], encoded.fov_mm[0], image.fov_mm[2]];
    Ok(image)
}
