//! The ISMRMRD reader on arbitrary bytes: it may refuse them, never panic, and what it accepts is finite.
//!
//! ```text
//! mkdir -p fuzz/corpus/ismrmrd && cp tests/fixtures/mri/raw/{c,py}_*.h5 fuzz/corpus/ismrmrd/
//! cargo +nightly fuzz run ismrmrd -- -rss_limit_mb=512 -max_len=65536
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxgan::io::raw::{RawOptions, read};

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::with_suffix(".h5").expect("a folder for temporary files");
    std::fs::write(file.path(), bytes).expect("space for a temporary file");
    let one = RawOptions { repetition: Some(1), calibration: Some(true), ..RawOptions::default() };
    for options in [RawOptions::default(), one] {
        if let Ok(kspace) = read(file.path(), &options) {
            assert!(kspace.data.iter().all(|value| value.re.is_finite() && value.im.is_finite()));
            assert!(kspace.image.affine.iter().all(|value| value.is_finite()));
        }
    }
});
