//! What tests need and a machine may lack: real data (`../shared/data`), programs of others.
//!
//! A test that lacks something passes, and is counted as skipped: its name goes to the terminal and to `target/tmp/skipped.txt`,
//! which `.ci/run` counts at the end. `VOXGAN_REQUIRE=data,bart,ismrmrd,chromium,tensorboard,dcm2niix,dicom3tools,dcmtk,openmpi,mpich,vulkan` makes it fail
//! where one of these is missing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// This file or folder of the real data.
#[allow(dead_code, reason = "not every binary needs data")]
pub fn data(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    found("data", path.exists().then_some(path))
}

/// The program `name`, where it can be run; `what` is what it belongs to.
#[allow(dead_code, reason = "not every binary needs a program")]
pub fn program(what: &str, name: &str) -> Option<Command> {
    found(what, Command::new(name).arg("-h").output().is_ok().then(|| Command::new(name)))
}

/// `it`, which is what the running test needs of `what`, or none.
pub fn found<T>(what: &str, it: Option<T>) -> Option<T> {
    if it.is_none() {
        let required = std::env::var("VOXGAN_REQUIRE").unwrap_or_default();
        assert!(required.split(',').all(|name| name.trim() != what), "{what} is required and missing");
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        let line = format!("skipped: {test} needs {what}\n");
        // Not by a macro, whose output is kept back where the test passes.
        std::io::stderr().write_all(line.as_bytes()).expect("a terminal");
        let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped.txt");
        let list = OpenOptions::new().create(true).append(true).open(list);
        list.and_then(|mut file| file.write_all(line.as_bytes())).expect("a line more");
    }
    it
}
