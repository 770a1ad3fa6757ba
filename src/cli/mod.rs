//! The command line: one file a subcommand. Each turns its arguments into a validated plan and walks the way of a scan
//! once: file → volume → tensor → tensor → volume → file.

#[macro_use]
mod words;

mod anatomy;
mod convert;
mod demo;
mod evaluate;
mod export;
mod files;
mod generate;
mod info;
mod interpolate;
mod mask;
mod merge;
mod mix;
mod n4;
mod numbers;
mod packaging;
mod parity;
mod prepare;
mod raw;
mod recon;
mod report;
mod resample;
mod restore;
mod sampling;
mod score;
mod simulate;
mod train;

use std::ffi::OsString;
use std::io::IsTerminal;

/// The allocator that the program runs on.
pub use crate::ops::cpu::Blocks;
use clap::{ArgAction, Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::error::{Error, Result};

/// What the program's exit codes mean; [`exit_code`] gives them.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  an error
  2  wrong usage: an argument is unknown, missing or cannot be used
  3  a check failed (anatomy check, generate --check, parity)
  4  finished, but some inputs failed; they are listed (--strict stops at the first instead)";

/// Train 3D StyleGAN2 on brain MRI and generate synthetic volumes.
#[derive(Debug, Parser)]
#[command(name = "voxgan", version, about, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say on stderr which files are read and written; twice, also how methods converge and what they decide
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

/// The whole program: parses `args`, of which the first is its name, sets up logging, runs the command, and says on standard
/// error what went wrong. Returns the exit code; help and wrong usage end the process at once.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = Cli::parse_from(args);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Colours are for terminals; and where nobody listens there is nobody to tell.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .log_internal_errors(false)
        .with_timer(tracing_subscriber::fmt::time::uptime());
    let ours = Targets::new().with_target("voxgan", cli.log_level());
    tracing_subscriber::registry().with(layer.with_filter(ours)).init();
    match cli.run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            exit_code(&error)
        }
    }
}

/// The exit code of a program that ends with this error: 1, or 2 for an argument that cannot be used, 3 for a check that
/// failed, 4 where some of several inputs failed.
pub fn exit_code(error: &Error) -> u8 {
    match error {
        // The keys of arguments are their names.
        Error::Value { key, .. } if key.starts_with("--") => 2,
        Error::Check { .. } => 3,
        Error::Incomplete { of, failures, .. } if failures.len() < *of => 4,
        _ => 1,
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Prepare(prepare::Args),
    Merge(merge::Args),
    Train(train::Args),
    Generate(generate::Args),
    Mix(mix::Args),
    Interpolate(interpolate::Args),
    Evaluate(evaluate::Args),
    Demo(demo::Args),
    Recon(recon::Args),
    Superres(restore::superres::Args),
    Inpaint(restore::inpaint::Args),
    Motion(restore::motion::Args),
    Translate(restore::translate::Args),
    Progress(restore::progress::Args),
    Restore(restore::prior::Args),
    Simulate(simulate::Args),
    Mask(mask::Args),
    N4(n4::Args),
    Resample(resample::Args),
    Convert(convert::Args),
    Score(score::Args),
    #[command(subcommand)]
    Anatomy(anatomy::Command),
    Report(report::Args),
    Export(export::Args),
    Parity(parity::Args),
    Info(info::Args),
    Packaging(packaging::Args),
}

impl Cli {
    /// What is to be said beside results and errors.
    pub fn log_level(&self) -> LevelFilter {
        match self.verbose {
            0 => LevelFilter::WARN,
            1 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// What the command's own steps find wrong, and standard output that cannot be written.
    pub fn run(self) -> Result<()> {
        self.command.run()?;
        words::finish()
    }
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Command::Prepare(args) => prepare::run(args),
            Command::Merge(args) => merge::run(args),
            Command::Train(args) => train::run(args),
            Command::Generate(args) => generate::run(args),
            Command::Mix(args) => mix::run(args),
            Command::Interpolate(args) => interpolate::run(args),
            Command::Evaluate(args) => evaluate::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Recon(args) => recon::run(args),
            Command::Superres(args) => {
                let files = args.restore.files();
                restore::run(&args.into(), files)
            }
            Command::Inpaint(args) => {
                let files = args.restore.files();
                restore::run(&args.into(), files)
            }
            Command::Motion(args) => {
                let files = args.restore.files();
                restore::run(&args.into(), files)
            }
            Command::Translate(args) => {
                let files = args.restore.files();
                restore::run(&args.into(), files)
            }
            Command::Progress(args) => {
                let files = args.restore.files();
                restore::run(&args.into(), files)
            }
            Command::Restore(args) => restore::prior::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::Mask(args) => mask::run(args),
            Command::N4(args) => n4::run(args),
            Command::Resample(args) => resample::run(args),
            Command::Convert(args) => convert::run(args),
            Command::Score(args) => score::run(args),
            Command::Anatomy(command) => command.run(),
            Command::Report(args) => report::run(args),
            Command::Export(args) => export::run(args),
            Command::Parity(args) => parity::run(args),
            Command::Info(args) => info::run(args),
            Command::Packaging(args) => packaging::run(args),
        }
    }
}
