//! From the complex image on the encoded grid to a volume: oversampling cut off, voxels of the protocol's size, and a
//! voxel-to-world affine.

use ndarray::{Array4, Axis, Slice};

use super::fourier::{fft, ifft};
use super::operators::crop::centred;
use super::{Complex32, ComplexArray};
use crate::error::{Error, Result};
use crate::volume::{KSpace, Volume};

/// The real quantity that is taken of a complex image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// `|z|`.
    #[default]
    Magnitude,
    /// The angle in radians, −π to π.
    Phase,
    /// The real part.
    Real,
    /// The imaginary part.
    Imaginary,
}

impl Part {
    fn of(self, z: Complex32) -> f32 {
        match self {
            Self::Magnitude => z.norm(),
            Self::Phase => z.arg(),
            Self::Real => z.re,
            Self::Imaginary => z.im,
        }
    }
}

/// The `part` of `image` (`[D, H, W]`, on the encoded grid of `kspace`) on the grid that `kspace.image` describes.
///
/// Along each axis the middle of the encoded field of view is kept; where that leaves another number of voxels than
/// asked for, k-space is padded with zeros or cut (Fourier interpolation), which scales no intensity.
///
/// # Errors
/// [`Error::Value`] where the two grids do not belong together: a field of view that is not above zero, or other voxels
/// along an axis that is not in k-space.
///
/// # Panics
/// If `image` has another shape than `kspace` without its coils.
pub fn to_volume(image: ComplexArray, kspace: &KSpace, part: Part) -> Result<Volume> {
    assert_eq!(image.shape(), &kspace.data.shape()[1..], "an image on the encoded grid");
    let grid = &kspace.image;
    let mut image = image;
    for axis in 0..3 {
        let n = image.shape()[axis];
        let voxel_axis = 2 - axis;
        let [encoded, kept] = [grid.encoded_fov_mm, grid.fov_mm].map(|fov| fov[voxel_axis]);
        let dims = grid.dims[voxel_axis];
        if !(encoded > 0.0 && kept > 0.0 && dims > 0) {
            let found = format!("{kept} mm of {encoded} mm, {dims} voxels along axis {voxel_axis}");
            let advice = "check the header, or give the voxel size";
            return Err(Error::value("field of view", "lengths and voxels above zero", found, advice));
        }
        if !kspace.transformed[axis] {
            if n != dims {
                let advice = "slices are neither cut nor interpolated: check the header";
                return Err(Error::value("slices", n.to_string(), dims.to_string(), advice));
            }
            continue;
        }
        let within = ((n as f64 * kept / encoded).round() as usize).max(1);
        let shape = with_length(image.shape(), axis, within);
        if grid.low_crop && n > within {
            let first = (n - within) / 2;
            image.slice_axis_inplace(Axis(axis), Slice::from(first..first + within));
        }
        image = centred(image, &shape);
        if within != dims {
            fft(&mut image, &[axis]);
            let shape = with_length(image.shape(), axis, dims);
            image = centred(image, &shape);
            ifft(&mut image, &[axis]);
            let scale = (dims as f32 / within as f32).sqrt();
            image.mapv_inplace(|z| z * scale);
        }
    }
    let shape = (1, image.shape()[0], image.shape()[1], image.shape()[2]);
    let values = image.iter().map(|&z| part.of(z)).collect();
    let data = Array4::from_shape_vec(shape, values).expect("a value for every voxel");
    Ok(Volume { data, affine: grid.affine, provenance: kspace.provenance.clone() })
}

/// `shape` with `n` places along `axis`.
fn with_length(shape: &[usize], axis: usize, n: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    shape[axis] = n;
    shape
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4};

    use super::*;
    use crate::volume::{ImageGrid, Provenance};

    /// A band-limited object on an oversampled grid of 1 × 12 × 32 voxels (readout oversampled by two).
    fn kspace(dims: [usize; 3]) -> (KSpace, ComplexArray) {
        let image = ComplexArray::from_shape_fn(vec![1, 12, 32], |at| {
            let (y, x) = (at[1] as f32 - 6.0, at[2] as f32 - 16.0);
            Complex32::from((-(x * x / 18.0 + y * y / 8.0)).exp())
        });
        let mut image_grid = ImageGrid::upright(dims, [2.0 * 16.0 / dims[0] as f64, 3.0, 5.0]).unwrap();
        image_grid.encoded_fov_mm[0] = 64.0;
        let kspace = KSpace {
            data: Array4::zeros((2, 1, 12, 32)),
            transformed: [false, true, true],
            sampled: Array3::from_elem((1, 12, 32), true),
            noise: None,
            image: image_grid,
            reference: None,
            provenance: Provenance::default(),
        };
        (kspace, image)
    }

    #[test]
    fn oversampling_is_cut_off_about_the_centre() {
        let (kspace, image) = kspace([16, 12, 1]);
        let volume = to_volume(image.clone(), &kspace, Part::Magnitude).unwrap();
        assert_eq!((volume.dims(), volume.spacing_mm()), ([16, 12, 1], [2.0, 3.0, 5.0]));
        for ((_, d, h, w), value) in volume.data.indexed_iter() {
            assert_eq!(*value, image[[d, h, w + 8]].re);
        }
        assert!(to_volume(image, &kspace, Part::Imaginary).unwrap().data.iter().all(|&v| v == 0.0));
    }

    /// Of 12 voxels 9 are kept: from the third, so that DC stays in the middle, or as fastMRI does from the second.
    #[test]
    fn an_odd_difference_is_cut_off_as_the_file_has_it() {
        let (mut kspace, image) = kspace([16, 9, 1]);
        kspace.image.encoded_fov_mm[1] = 36.0;
        for (low_crop, first) in [(false, 2), (true, 1)] {
            kspace.image.low_crop = low_crop;
            let volume = to_volume(image.clone(), &kspace, Part::Real).unwrap();
            for ((_, d, h, w), value) in volume.data.indexed_iter() {
                assert_eq!(*value, image[[d, h + first, w + 8]].re);
            }
        }
    }

    #[test]
    fn finer_voxels_interpolate_and_keep_intensities() {
        let (kspace, image) = kspace([32, 12, 1]);
        let volume = to_volume(image, &kspace, Part::Magnitude).unwrap();
        for ((_, _, h, w), value) in volume.data.indexed_iter() {
            // Two voxels of 1 mm for one of 2 mm, the centres on one another.
            let (y, x) = (h as f32 - 6.0, (w as f32 - 16.0) / 2.0);
            // The Gaussian at the cut edge, 8 voxels out, is 0.03: what rings.
            let expected = (-(x * x / 18.0 + y * y / 8.0)).exp();
            if x.abs() < 5.0 {
                assert!((value - expected).abs() < 0.01, "{h}, {w}: {value} is not {expected}");
            }
        }
    }

    #[test]
    fn grids_that_do_not_belong_together_are_refused() {
        let (mut kspace, image) = kspace([16, 12, 2]);
        assert!(
            to_volume(image.clone(), &kspace, Part::Magnitude).unwrap_err().to_string().contains("slices")
        );
        kspace.image.encoded_fov_mm[1] = f64::NAN;
        assert!(to_volume(image, &kspace, Part::Magnitude).is_err());
    }
}
