//! The fastMRI reader on arbitrary bytes: it may refuse them, never panic, and what it accepts is finite.
//!
//! ```text
//! mkdir -p fuzz/corpus/fastmri && cp tests/fixtures/mri/raw/fastmri_*.h5 fuzz/corpus/fastmri/
//! cargo +nightly fuzz run fastmri -- -rss_limit_mb=512 -max_len=16384
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxgan::io::raw::{RawOptions, read};

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::with_suffix(".h5").expect("a folder for temporary files");
    std::fs::write(file.path(), bytes).expect("space for a temporary file");
    for slice in [None, Some(0), Some(1)] {
        let options = RawOptions { slice, ..RawOptions::default() };
        if let Ok(kspace) = read(file.path(), &options) {
            assert!(kspace.data.iter().all(|value| value.re.is_finite() && value.im.is_finite()));
            assert!(kspace.image.affine.iter().all(|value| value.is_finite()));
        }
    }
});
