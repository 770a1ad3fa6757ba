//! The command line: one file a subcommand. Each turns its arguments into a validated plan and walks the way of a scan
//! once: file → volume → tensor → tensor → volume → file.

mod device;
mod prepare;
mod train;

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
        }
    }
}
