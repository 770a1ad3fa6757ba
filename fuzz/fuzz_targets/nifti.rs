//! The NIfTI reader on arbitrary bytes: it may refuse them, never panic, and what it accepts is finite.
//!
//! ```text
//! mkdir -p fuzz/corpus/nifti && cp tests/fixtures/nifti/*.nii* fuzz/corpus/nifti/
//! cargo +nightly fuzz run nifti -- -rss_limit_mb=512 -max_len=4096
//! ```
//!
//! What it finds goes to tests/fixtures/nifti/fuzz, which tests/nifti.rs reads.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use voxgan::io::nifti::read_bytes;
use voxgan::io::scan::ReadOptions;

fuzz_target!(|bytes: &[u8]| {
    for (frame, nan_to_zero) in [(None, false), (Some(0), true), (Some(1), true)] {
        let options = ReadOptions { frame, nan_to_zero, series: None };
        if let Ok(volume) = read_bytes(Path::new("fuzz.nii"), bytes, &options) {
            assert!(volume.data.iter().all(|value| value.is_finite()));
            assert!(volume.affine.iter().all(|value| value.is_finite()));
        }
    }
});
