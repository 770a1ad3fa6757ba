//! BART's pairs on arbitrary bytes, the header up to the first zero byte and then the samples: the reader may refuse
//! them, never panic, and keeps to their length.
//!
//! ```text
//! mkdir -p fuzz/corpus/cfl && (cat tests/fixtures/mri/raw/bart.hdr; printf '\0'; cat tests/fixtures/mri/raw/bart.cfl) > fuzz/corpus/cfl/bart
//! cargo +nightly fuzz run cfl -- -rss_limit_mb=512 -max_len=4096
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxgan::io::cfl::read;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let samples = bytes.get(end + 1..).unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("a.cfl");
    std::fs::write(path.with_extension("hdr"), &bytes[..end]).expect("space for a temporary file");
    std::fs::write(&path, samples).expect("space for a temporary file");
    if let Ok(array) = read(&path) {
        assert_eq!(8 * array.len(), samples.len());
    }
});
