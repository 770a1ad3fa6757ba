//! File formats: readers return a [`Volume`](crate::volume::Volume) or a [`KSpace`](crate::volume::KSpace); writers
//! leave either a complete file or none.
//!
//! [`scan::read`] reads a volume of any format.
//!
//! | Format | Read | Write | Where |
//! |---|---|---|---|
//! | NIfTI-1 `.nii[.gz]`, `.hdr`/`.img` | every data type and byte order | integers, float32, float64, RGB24 | [`nifti`] |
//! | NIfTI-2 | every data type, both byte orders | as NIfTI-1 | [`nifti`] |
//! | FreeSurfer `.mgh`, `.mgz` | every type but bitmaps and tensors | uint8, int16, int32, float32 | [`scan`] |
//! | NRRD `.nrrd`, `.nhdr` | raw, gzip, ascii | raw, gzip | [`scan`] |
//! | MetaImage `.mha`, `.mhd` | plain, compressed, text | plain, compressed | [`scan`] |
//! | ANALYZE 7.5 | refused: it does not say which side is left | – | [`nifti`] |
//! | PNG, TIFF slices | 8 and 16 bit, grey and RGB | – | [`slices`] |
//! | DICOM files, folders, DICOMDIR, zip | classic, enhanced, mosaic; most transfer syntaxes | – | [`dicom`] |
//! | BIDS tree, `participants.tsv` | T1-weighted images, subject rows | – | [`bids`] |
//! | fastMRI HDF5 `.h5` | k-space, mask, reference, header | – | [`fastmri`] |
//! | ISMRMRD HDF5 `.h5` | Cartesian; the C library's and Python's layout; noise | – | [`ismrmrd`] |
//! | BART `.cfl`/`.hdr` | complex64 | complex64 | [`cfl`] |
//! | NumPy `.npy` | every real and complex type, both orders, versions 1–3 | complex64, float32, bool; volumes by [`scan`] | [`npy`] |
//! | Masks: MATLAB `.mat` 5–7.3, `.npy`, PNG, TIFF | 0 and one other value; place of DC checked | – | [`masks`] |
//! | Prepared dataset (safetensors) | volume by volume | by `voxgan prepare` | [`dataset`] |

mod acquisition;
pub mod atomic;
pub mod bids;
pub mod cfl;
mod data_type;
pub mod dataset;
pub mod dc;
pub mod dicom;
mod elements;
pub mod fastmri;
pub mod hdf5;
pub mod ismrmrd;
pub mod lock;
pub mod masks;
mod mat;
mod metaimage;
mod mgh;
pub mod nifti;
pub mod npy;
mod nrrd;
pub mod raw;
pub mod scan;
pub mod shard;
pub mod slices;
mod stored;
mod stream;
mod values;
mod voxels;
mod walk;

pub use atomic::atomic_write;

/// From patient coordinates, whose x points to the left and y to the back (PS3.3 C.7.6.2.1.1; ITK), to the world's, and back.
const LPS_RAS: nalgebra::Matrix3<f64> = nalgebra::Matrix3::new(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0);
