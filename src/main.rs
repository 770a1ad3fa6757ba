//! Parse, set up logging, call the library, map an error to an exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use voxgan::cli::{Blocks, Cli, exit_code, say};

#[global_allocator]
static BLOCKS: Blocks = Blocks::new();

fn main() -> ExitCode {
    let cli = Cli::parse();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Colours are for terminals; and where nobody listens there is nobody to tell.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .log_internal_errors(false)
        .with_timer(tracing_subscriber::fmt::time::uptime());
    let ours = Targets::new().with_target("voxgan", cli.log_level());
    tracing_subscriber::registry().with(layer.with_filter(ours)).init();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}
