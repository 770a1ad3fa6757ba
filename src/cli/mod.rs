//! The command line: one file a subcommand. Each turns its arguments into a validated plan and walks the way of a scan
//! once: file → volume → tensor → tensor → volume → file.

mod anatomy;
mod demo;
mod evaluate;
mod export;
mod generate;
mod info;
mod interpolate;
mod mask;
mod mix;
mod n4;
mod numbers;
mod parity;
mod prepare;
mod recon;
mod records;
mod report;
mod restore;
mod sampling;
mod score;
mod simulate;
mod train;

/// The allocator that the program runs on.
pub use crate::ops::cpu::Blocks;
use clap::{Parser, Subcommand};

use crate::error::Result;

/// Train 3D StyleGAN2 on brain MRI and generate synthetic volumes.
#[derive(Debug, Parser)]
#[command(name = "voxgan", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Prepare(prepare::Args),
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
    Score(score::Args),
    #[command(subcommand)]
    Anatomy(anatomy::Command),
    Report(report::Args),
    Export(export::Args),
    Parity(parity::Args),
    Info(info::Args),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command's own steps find wrong.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Prepare(args) => prepare::run(args),
            Command::Train(args) => train::run(args),
            Command::Generate(args) => generate::run(args),
            Command::Mix(args) => mix::run(args),
            Command::Interpolate(args) => interpolate::run(args),
            Command::Evaluate(args) => evaluate::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Recon(args) => recon::run(args),
            Command::Superres(args) => restore::superres::run(args),
            Command::Inpaint(args) => restore::inpaint::run(args),
            Command::Motion(args) => restore::motion::run(args),
            Command::Translate(args) => restore::translate::run(args),
            Command::Progress(args) => restore::progress::run(args),
            Command::Restore(args) => restore::prior::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::Mask(args) => mask::run(args),
            Command::N4(args) => n4::run(args),
            Command::Score(args) => score::run(args),
            Command::Anatomy(command) => command.run(),
            Command::Report(args) => report::run(args),
            Command::Export(args) => export::run(args),
            Command::Parity(args) => parity::run(args),
            Command::Info(args) => info::run(args),
        }
    }
}
