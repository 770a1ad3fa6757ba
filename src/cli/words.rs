//! All that the program prints goes through the `println!`, `print!` and `eprintln!` of this file, which stand in the way of
//! std's: those panic where a pipe is closed or a disk is full, often before a result is on the disk.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// Why standard output took no more, if it didn't; the rest of the words is dropped.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints to standard output, if it can still be written to; [`finish`] tells of what was lost.
pub fn print(words: Arguments) {
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    if lost.is_none() {
        *lost = written(&mut io::stdout().lock(), words).err();
    }
}

/// Prints to standard error, if anybody listens.
pub fn eprint(words: Arguments) {
    let _ = io::stderr().lock().write_fmt(words);
}

/// Whether all words were printed; a pipe that a reader has closed, as `| head` does, is no error.
///
/// # Errors
/// [`Error::Io`] where standard output could not be written, as on a full disk.
pub fn finish() -> Result<()> {
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io(
            Path::new("standard output"),
            "write all words (results in files are complete)",
            error,
        )),
        _ => Ok(()),
    }
}

fn written(out: &mut impl Write, words: Arguments) -> io::Result<()> {
    out.write_fmt(words)?;
    out.flush()
}

macro_rules! println {
    () => { crate::cli::words::print(format_args!("\n")) };
    ($($words:tt)*) => { crate::cli::words::print(format_args!("{}\n", format_args!($($words)*))) };
}

macro_rules! print {
    ($($words:tt)*) => { crate::cli::words::print(format_args!($($words)*)) };
}

macro_rules! eprintln {
    ($($words:tt)*) => { crate::cli::words::eprint(format_args!("{}\n", format_args!($($words)*))) };
}
