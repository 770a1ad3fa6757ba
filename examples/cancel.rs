//! A job that tells how far it is, and is cancelled after three samples: `cargo run --release --example cancel`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use voxgan::error::{Error, Result};
use voxgan::pipeline::generate::{Options, generate};
use voxgan::pipeline::{Event, Output, Progress};

fn main() -> Result<()> {
    let (written, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let tell = |event: Event| {
        if let Event::Wrote(path) = event {
            println!("{}", path.display());
            if written.fetch_add(1, Ordering::Relaxed) == 2 {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    let folder = std::env::temp_dir().join("voxgan-example");
    let output = Output { folder: Some(folder), ..Output::default() };
    let options = Options { seeds: (0..100).collect(), output, ..Options::default() };
    match generate(&options, &Progress::new(&tell).cancelled_by(&enough)) {
        Err(Error::Cancelled) => println!("cancelled after {}", written.load(Ordering::Relaxed)),
        other => drop(other?),
    }
    Ok(())
}
