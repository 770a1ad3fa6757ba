//! File formats: readers return a [`Volume`](crate::volume::Volume) or a [`KSpace`](crate::volume::KSpace); writers
//! leave either a complete file or none.
//!
//! | Format | Read | Write | Where |
//! |---|---|---|---|
//! | NIfTI-1 `.nii[.gz]`, `.hdr`/`.img` | every data type and byte order | float32, int16, uint8, RGB24 | [`nifti`] |
//! | NIfTI-2 | every data type, both byte orders | – | [`nifti`] |
//! | ANALYZE 7.5 | refused: it does not say which side is left | – | [`nifti`] |
//! | PNG, TIFF slices | 8 and 16 bit, grey and RGB | – | [`slices`] |
//! | DICOM files, folders, DICOMDIR, zip | classic, enhanced, mosaic; most transfer syntaxes | – | [`dicom`] |
//! | BIDS tree, `participants.tsv` | T1-weighted images, subject rows | – | [`bids`] |
//! | fastMRI HDF5 `.h5` | k-space, mask, reference, header | – | [`fastmri`] |
//! | ISMRMRD HDF5 `.h5` | Cartesian; the C library's and Python's layout; noise | – | [`ismrmrd`] |
//! | BART `.cfl`/`.hdr` | complex64 | complex64 | [`cfl`] |
//! | NumPy `.npy` | every real and complex type, both orders, versions 1–3 | complex64, float32, bool | [`npy`] |
//! | Masks: MATLAB `.mat` 5–7.3, `.npy`, PNG, TIFF | 0 and one other value; place of DC checked | – | [`masks`] |
//! | Prepared dataset (safetensors) | volume by volume | by `voxgan prepare` | [`dataset`] |

mod acquisition;
pub mod atomic;
pub mod bids;
pub mod cfl;
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
pub mod nifti;
pub mod npy;
pub mod raw;
pub mod slices;

pub use atomic::atomic_write;
