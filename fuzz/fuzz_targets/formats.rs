//! The readers of MGH, NRRD and MetaImage on arbitrary bytes: they may refuse them, never panic, and what they accept is finite.
//!
//! ```text
//! mkdir -p fuzz/corpus/formats && cp tests/fixtures/formats/* fuzz/corpus/formats/
//! cargo +nightly fuzz run formats -- -rss_limit_mb=512 -max_len=65536
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxgan::io::scan::{ReadOptions, read};

fuzz_target!(|bytes: &[u8]| {
    for ending in [".mgh", ".mgz", ".nrrd", ".mha"] {
        let mut named = tempfile::Builder::new();
        let file = named.suffix(ending).tempfile().expect("a folder for temporary files");
        std::fs::write(file.path(), bytes).expect("space for a temporary file");
        if let Ok(volume) = read(file.path(), &ReadOptions { frame: Some(0), ..ReadOptions::default() }) {
            assert!(volume.data.iter().all(|value| value.is_finite()));
            assert!(volume.affine.iter().all(|value| value.is_finite()));
        }
    }
});
