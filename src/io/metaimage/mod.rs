//! MetaImage volumes, of ITK and its programs: `.mha`, and `.mhd` with the voxels in a file beside it.
//!
//! | | Read | Write |
//! |---|---|---|
//! | Voxels | binary, plain or compressed (zlib, gzip); text | binary, compressed by zlib or plain |
//! | Types | integers of 8 to 64 bits, float, double; both byte orders | the same, little endian |
//! | Place | `TransformMatrix`, `Offset`, `ElementSpacing` and their synonyms, in LPS as in ITK | the same |
//! | Channels | `ElementNumberOfChannels` | the same |
//! | Fourth dimension | frames | frames |
//!
//! The format: <https://itk.org/Wiki/ITK/MetaIO/Documentation>.

mod read;
mod write;

pub(super) use read::{read, voxels_of};
pub(super) use write::{voxels_beside, write};

use super::data_type::DataType;

/// Whether a file that begins so is a MetaImage.
pub(super) fn begins(start: &[u8]) -> bool {
    [&b"ObjectType"[..], b"NDims"].iter().any(|field| start.starts_with(field))
}

/// The types of numbers. `MET_LONG` has four bytes on every machine.
const TYPES: [(&str, DataType); 12] = [
    ("MET_UCHAR", DataType::U8),
    ("MET_CHAR", DataType::I8),
    ("MET_USHORT", DataType::U16),
    ("MET_SHORT", DataType::I16),
    ("MET_UINT", DataType::U32),
    ("MET_INT", DataType::I32),
    ("MET_ULONG_LONG", DataType::U64),
    ("MET_LONG_LONG", DataType::I64),
    ("MET_FLOAT", DataType::F32),
    ("MET_DOUBLE", DataType::F64),
    ("MET_ULONG", DataType::U32),
    ("MET_LONG", DataType::I32),
];
