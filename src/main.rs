//! Parse, set up logging, call the library, map an error to an exit code.

use std::process::ExitCode;

use clap::Parser;
use voxgan::cli::{Blocks, Cli};

#[global_allocator]
static BLOCKS: Blocks = Blocks::new();

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
