//! The DICOM reader on arbitrary bytes: it may refuse them, never panic, and what it accepts is finite.
//!
//! ```text
//! mkdir -p fuzz/corpus/dicom && find ../shared/data/dicom -name '*.dcm' -size -40k -exec cp {} fuzz/corpus/dicom/ \;
//! cargo +nightly fuzz run dicom -- -rss_limit_mb=1024 -max_len=65536
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxgan::io::dicom::series;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a folder for temporary files");
    std::fs::write(file.path(), bytes).expect("space for a temporary file");
    for one in series(file.path()).unwrap_or_default() {
        if let Ok(volumes) = one.read_all() {
            for volume in volumes {
                assert!(volume.data.iter().all(|value| value.is_finite()));
                assert!(volume.affine.iter().all(|value| value.is_finite()));
            }
        }
    }
});
