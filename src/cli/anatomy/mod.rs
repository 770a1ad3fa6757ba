//! `voxgan anatomy`: structures of heads, their volumes, and whether a change preserves them.

mod check;
mod compare;
mod deface;
mod strip;
mod structures;
mod volumes;

use crate::error::Result;

/// Segment heads, measure structures, compare cohorts, and check that a change preserves anatomy.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    Volumes(volumes::Args),
    Strip(strip::Args),
    Deface(deface::Args),
    Compare(compare::Args),
    Check(check::Args),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command's own steps find wrong.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Volumes(args) => volumes::run(args),
            Self::Strip(args) => strip::run(args),
            Self::Deface(args) => deface::run(args),
            Self::Compare(args) => compare::run(args),
            Self::Check(args) => check::run(args),
        }
    }
}
