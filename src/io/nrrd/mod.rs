//! NRRD volumes: `.nrrd`, and `.nhdr` with the voxels in a file beside it.
//!
//! | | Read | Write |
//! |---|---|---|
//! | Encodings | raw, gzip, ascii | gzip, raw |
//! | Types | integers of 8 to 64 bits, float, double; both byte orders | the same, little endian |
//! | Space | RAS, LAS and LPS under both names; others, and none, as LPS, with a word | LPS |
//! | Place | `space directions` and `space origin`; `spacings` alone about the origin | directions and origin |
//! | Fourth axis | `list` and `time` as frames, other kinds as channels; `complex` as magnitude | frames last, channels first |
//!
//! The format: <https://teem.sourceforge.net/nrrd/format.html>.

mod read;
mod write;

pub(super) use read::{read, voxels_of};
pub(super) use write::{voxels_beside, write};

/// What every NRRD file begins with, before a number for its version.
pub(super) const MAGIC: &[u8] = b"NRRD000";
