//! Sampling masks from other programs: MATLAB, NumPy, PNG and TIFF, with a check of the place of DC.

use std::path::Path;

use ndarray::{Array3, ArrayD, Axis, Ix3};

use super::dc::{DcPlace, from_corner};
use super::slices::{self, Colour};
use super::{hdf5, mat, npy};
use crate::error::{Error, Result};
use crate::volume::Provenance;

/// Options for masks whose file has several arrays or an ambiguous place of DC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskOptions {
    /// The name of the array in a `.mat` file that has several.
    pub variable: Option<String>,
    /// The place of DC in the file; `None` for the place where samples are densest.
    pub dc: Option<DcPlace>,
}

/// A mask with DC in the centre, and its place in the file.
#[derive(Clone, Debug)]
pub struct ForeignMask {
    /// Sampled places, `[D, H, W]`, with DC at ⌊n/2⌋; a row of columns is `[1, 1, W]`.
    pub sampled: Array3<bool>,
    /// The place of DC in the file.
    pub dc: DcPlace,
    /// The source of the mask.
    pub provenance: Provenance,
}

/// By how much more densely one of the places must be sampled to be taken for DC.
const CLEARLY: f64 = 0.2;

/// [`read_with`] default options.
///
/// # Errors
/// As [`read_with`].
pub fn read(path: &Path) -> Result<ForeignMask> {
    read_with(path, &MaskOptions::default())
}

/// The mask for `shape` `[D, H, W]`: that of the file, or its plane or row of columns repeated. Axes of length one are
/// ignored, so that a plane fits a k-space whose rows are along D.
///
/// # Errors
/// As [`read`], and [`Error::File`] for another shape.
pub fn read_for(path: &Path, shape: [usize; 3]) -> Result<Array3<bool>> {
    spread(read(path)?.sampled, shape).map_err(|error| error.in_file(path))
}

/// A mask for `shape` `[D, H, W]`: one of its own shape, or one of a plane or a row that is repeated.
///
/// # Errors
/// [`Error::Value`] for a mask of another shape.
pub fn spread(mask: Array3<bool>, shape: [usize; 3]) -> Result<Array3<bool>> {
    // BART's k-space of a plane is (1, N, M): axes of one place stand elsewhere.
    let long = |shape: &[usize]| shape.iter().copied().filter(|&n| n > 1).collect::<Vec<_>>();
    let mask = match mask.broadcast(shape).is_none() && long(mask.shape()) == long(&shape) {
        true => mask.into_shape_with_order(shape).expect("the same places in the same order"),
        false => mask,
    };
    let Some(spread) = mask.broadcast(shape) else {
        let expected = format!("{shape:?} places, or a plane or a row of them");
        let found = format!("{:?}", mask.dim());
        return Err(Error::value("shape", expected, found, "make one with `voxgan mask`"));
    };
    Ok(spread.to_owned())
}

/// Reads a mask of two values: zero for not sampled, and one other value for sampled.
///
/// A `.mat` array is (rows H, columns W\[, pages D\]), a `.npy` array (W), (H, W) or (D, H, W). DC is where samples are
/// denser, within n/32 of ⌊n/2⌋ or of index 0 along each axis; from the corner it is moved to the centre.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::File`] for another kind of file, a damaged one, several arrays
/// without [`MaskOptions::variable`], other values, and a mask whose place of DC is ambiguous.
pub fn read_with(path: &Path, options: &MaskOptions) -> Result<ForeignMask> {
    let (name, values) = values(path, options)?;
    let sampled = truth(path, values)?;
    let mut steps = vec![format!("read a mask{name}")];
    let dc = match options.dc {
        Some(dc) => dc,
        None => find_dc(path, &sampled)?,
    };
    let sampled = match dc {
        DcPlace::Centre => sampled,
        DcPlace::Corner => {
            steps.push("moved DC from the corner to the centre".to_string());
            from_corner(sampled, &[0, 1, 2])
        }
    };
    Ok(ForeignMask {
        sampled,
        dc,
        provenance: Provenance { source: path.display().to_string(), steps, ..Provenance::default() },
    })
}

/// The values `[D, H, W]` and, of several arrays, the name in words.
fn values(path: &Path, options: &MaskOptions) -> Result<(String, Array3<f32>)> {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase()).unwrap_or_default();
    let (name, mut array) = if extension == "npy" {
        (String::new(), npy::read_real(path)?)
    } else if extension == "mat" || hdf5::is_hdf5(path) {
        let (name, array) = variable(path, options)?;
        let pages_first = if array.ndim() == 3 { array.permuted_axes(vec![2, 0, 1]) } else { array }; // [D, H, W]
        (format!(", {name}"), pages_first)
    } else if slices::is_slice(path) && !path.is_dir() {
        let slice = slices::read(path, Colour::Grey)?.data; // [1, 1, H, W]
        (String::new(), slice.index_axis_move(Axis(0), 0).into_dyn())
    } else {
        let advice = "save the mask as one of them";
        let found = extension.display().to_string();
        return Err(Error::file(path, "name", "a file named .mat, .npy, .png or .tif", found, advice));
    };
    let shape = array.shape().to_vec();
    while array.ndim() < 3 {
        array = array.insert_axis(Axis(0));
    }
    let array = array.into_dimensionality::<Ix3>().ok().filter(|array| !array.is_empty());
    let array = array.ok_or_else(|| {
        let found = format!("{shape:?}");
        Error::file(path, "shape", "one to three axes", found, "save a mask for one coil and one time")
    })?;
    Ok((name, array))
}

/// The array meant of those in a `.mat` file.
fn variable(path: &Path, options: &MaskOptions) -> Result<(String, ArrayD<f32>)> {
    let mut arrays = mat::read(path)?;
    let names: Vec<String> = arrays.iter().map(|(name, _)| name.clone()).collect();
    let meant = match &options.variable {
        Some(wanted) => names.iter().position(|name| name == wanted),
        // Numbers beside the mask are no choice.
        None => {
            let mut large = (0..arrays.len()).filter(|&index| arrays[index].1.len() > 1);
            large.next().filter(|_| large.next().is_none())
        }
    };
    meant.map(|index| arrays.swap_remove(index)).ok_or_else(|| {
        let expected = options.variable.as_ref().map_or("one numeric array".to_string(), String::clone);
        let found = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        Error::file(path, "arrays", expected, found, "name the variable that is the mask")
    })
}

/// Which values are not zero, if they are all the same.
fn truth(path: &Path, values: Array3<f32>) -> Result<Array3<bool>> {
    let one = values.iter().copied().find(|value| *value != 0.0).unwrap_or(f32::NAN);
    if let Some(other) = values.iter().find(|value| **value != 0.0 && **value != one) {
        let advice = "a mask is 0 or 1: threshold weights, and save pictures without compression losses";
        let found = format!("{one} and {other} besides 0");
        return Err(Error::file(path, "values", "0 and one other", found, advice));
    }
    if one.is_nan() {
        return Err(Error::file(path, "values", "0 and one other", "nothing but 0", "check the file"));
    }
    Ok(values.mapv(|value| value != 0.0))
}

/// Where samples are densest.
fn find_dc(path: &Path, sampled: &Array3<bool>) -> Result<DcPlace> {
    if sampled.iter().all(|&sampled| sampled) {
        return Ok(DcPlace::Centre);
    }
    let shape = [sampled.dim().0, sampled.dim().1, sampled.dim().2];
    let [centre, corner] = [shape.map(|n| n / 2), [0; 3]].map(|middle| density(sampled, shape, middle));
    if centre - corner > CLEARLY {
        Ok(DcPlace::Centre)
    } else if corner - centre > CLEARLY {
        Ok(DcPlace::Corner)
    } else {
        Err(Error::file(
            path,
            "place of DC",
            "the centre or the corner more densely sampled than the other",
            format!("{:.0} % at the centre, {:.0} % at the corner", 100.0 * centre, 100.0 * corner),
            "say it: dc = centre or corner",
        ))
    }
}

/// The part that is sampled of a box about `middle`, which reaches around the ends.
fn density(sampled: &Array3<bool>, shape: [usize; 3], middle: [usize; 3]) -> f64 {
    let mut box_of = sampled.clone();
    for axis in 0..3 {
        let n = shape[axis];
        let reach = if n == 1 { 0 } else { (n / 32).max(1) };
        let width = (2 * reach + 1).min(n);
        let places: Vec<usize> = (0..width).map(|place| (middle[axis] + n + place - reach) % n).collect();
        box_of = box_of.select(Axis(axis), &places);
    }
    let count = box_of.iter().filter(|&&sampled| sampled).count();
    count as f64 / box_of.len() as f64
}
