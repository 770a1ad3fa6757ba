//! Files in and out: each format's reader returns a [`Volume`](crate::volume::Volume), each writer leaves either
//! a complete file or none.
//!
//! | Format | Read | Write | Where |
//! |---|---|---|---|
//! | NIfTI-1 `.nii`, `.nii.gz`, `.hdr`/`.img` | every data type, both byte orders | float32, int16, uint8, RGB24 | [`nifti`] |
//! | NIfTI-2 | every data type, both byte orders | – | [`nifti`] |
//! | ANALYZE 7.5 | refused: it does not say which side is left | – | [`nifti`] |
//! | PNG, TIFF slices | 8 and 16 bit, grey and RGB | – | [`slices`] |
//! | BIDS tree, `participants.tsv` | T1-weighted images, subject rows | – | [`bids`] |
//! | Prepared dataset (safetensors) | volume by volume | by `voxgan prepare` | [`dataset`] |

pub mod beside;
pub mod bids;
pub mod dataset;
pub mod nifti;
pub mod slices;

pub use beside::write_beside;
