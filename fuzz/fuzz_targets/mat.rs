//! MATLAB's files on arbitrary bytes: the reader of masks may refuse them, never panic.
//!
//! ```text
//! mkdir -p fuzz/corpus/mat && cp tests/fixtures/mri/raw/*.mat fuzz/corpus/mat/
//! cargo +nightly fuzz run mat -- -rss_limit_mb=512 -max_len=4096
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxgan::io::dc::DcPlace;
use voxgan::io::masks::{MaskOptions, read_with};

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::with_suffix(".mat").expect("a folder for temporary files");
    std::fs::write(file.path(), bytes).expect("space for a temporary file");
    for dc in [None, Some(DcPlace::Corner)] {
        if let Ok(mask) = read_with(file.path(), &MaskOptions { variable: None, dc }) {
            assert!(!mask.sampled.is_empty());
        }
    }
});
