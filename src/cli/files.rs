//! Which files a command reads and writes, in the same words for all commands: how scans are read, what may be replaced, and
//! how folders are gone through.

use super::sampling::PRINTED;
use crate::error::Result;
use crate::io::scan::ReadOptions;
use crate::io::shard::Shard;
use crate::pipeline::folder::{OfScan, Work};
use crate::pipeline::outputs::Writes;

/// How scans are read.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReadArgs {
    /// The frame to take from 4D scans, from 0
    #[arg(long, value_name = "N")]
    frame: Option<usize>,
    /// Read voxels that are NaN, infinite or beyond float32 as 0, instead of refusing the scan
    #[arg(long)]
    nan_to_zero: bool,
    /// The series to take from DICOM, where several can be read: its number, name, or the end of its UID; `voxgan info IN` lists them
    #[arg(long, value_name = "N|NAME|UID")]
    series: Option<String>,
}

impl From<ReadArgs> for ReadOptions {
    fn from(ReadArgs { frame, nan_to_zero, series }: ReadArgs) -> Self {
        Self { frame, nan_to_zero, series }
    }
}

/// What happens to files that are there already.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ForceArgs {
    /// Replace files that are there; a record that voxgan did not write is kept with .orig behind its name
    #[arg(long)]
    pub force: bool,
}

impl ForceArgs {
    /// Whether the files of a job may be written; see [`Files::check`](crate::pipeline::outputs::Files::check).
    ///
    /// # Errors
    /// Those.
    pub fn check(self, job: &impl Writes) -> Result<()> {
        job.files().check(self.force)
    }
}

/// How a folder of scans is gone through.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct StrictArgs {
    /// Stop at the first input that fails, instead of going on and listing it at the end
    #[arg(long)]
    pub strict: bool,
}

/// Which scans of a folder.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ShardArgs {
    /// Take only part I of N of a folder's scans, all of a subject in the same, into OUT/shards: for array jobs, whose parts
    /// `voxgan merge OUT` joins
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// All four, of commands that make an image of a scan.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FileArgs {
    #[command(flatten)]
    pub read: ReadArgs,
    #[command(flatten)]
    pub force: ForceArgs,
    #[command(flatten)]
    pub strict: StrictArgs,
    #[command(flatten)]
    pub shard: ShardArgs,
}

impl FileArgs {
    /// See [`Work::run`].
    ///
    /// # Errors
    /// Those.
    pub fn run<J: OfScan>(&self, work: &Work<J>, one: &mut dyn FnMut(&J) -> Result<()>) -> Result<()> {
        work.run(self.force.force, self.strict.strict, self.shard.shard, &PRINTED, one)
    }
}
