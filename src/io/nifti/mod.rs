//! NIfTI-1 and NIfTI-2: volumes with their place in the world.
//!
//! | | Read | Write |
//! |---|---|---|
//! | Containers | `.nii`, `.nii.gz`, `.hdr`+`.img`, the pair gzipped; several gzip members | `.nii`, `.nii.gz` |
//! | Versions, byte orders | NIfTI-1 and NIfTI-2, little and big endian | NIfTI-1, NIfTI-2 where an extent is over 32767 or it is asked for; little endian |
//! | Integers | uint8, int8, uint16, int16, uint32, int32, uint64, int64 | the same, scaled |
//! | Reals | float32, float64, float128 (IEEE 754 binary128) | float32, float64 |
//! | Complex | complex64, complex128, complex256, as magnitude | – |
//! | Colours | RGB24 and RGBA32, as 3 and 4 channels | RGB24 |
//! | Place | sform, else qform, else voxel sizes about the centre (x to the left, as in ANALYZE) | sform and qform |
//! | Units | metres, millimetres, micrometres (unknown counts as millimetres) | millimetres |
//! | Time series | one frame, chosen | 4D |
//!
//! Files without NIfTI's magic, such as ANALYZE 7.5, are refused: ANALYZE does not define left and right, and a guess
//! could mirror brains without notice.
//!
//! The formats: <https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h>,
//! <https://nifti.nimh.nih.gov/pub/dist/doc/nifti2.h>.

mod head;
mod header;
mod read;
mod write;

pub(in crate::io) use read::read_wanted;
pub use read::{files, is_nifti, read, read_bytes, read_frame, read_with};
pub use write::{WriteOptions, to_bytes, write, write_series};

pub use crate::io::data_type::DataType;
