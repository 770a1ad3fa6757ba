//! A scan on a grid twice as fine: `cargo run --release --example superres -- scan.nii.gz fine.nii.gz`, without a scan of the phantom
//! that ships.

use voxgan::error::Result;
use voxgan::pipeline::restore::{Options, Problem, restore};
use voxgan::pipeline::{Event, Progress};

fn main() -> Result<()> {
    let mut paths = std::env::args().skip(1).map(Into::into);
    let input = paths.next().unwrap_or("volumes/phantom-4mm.nii.gz".into());
    let output = paths.next().unwrap_or("finer.nii.gz".into());
    let options = Options { input, output, problem: Problem::Superres([2; 3]), ..Options::default() };
    let tell = |event: Event| println!("{event:?}");
    let outcome = restore(&options, &Progress::new(&tell))?;
    println!("{:.1} % of the image's norm was not measured", 100.0 * outcome.null_space_share);
    for change in outcome.changes {
        println!(
            "{}: {:.1} ml before, {:.1} ml after",
            change.region, change.baseline_ml, change.restored_ml
        );
    }
    Ok(())
}
