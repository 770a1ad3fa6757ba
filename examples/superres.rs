//! A scan on a grid twice as fine: `cargo run --release --example superres -- scan.nii.gz fine.nii.gz`.

use voxgan::error::Result;
use voxgan::pipeline::restore::{Options, Problem, restore};
use voxgan::pipeline::{Event, Progress};

fn main() -> Result<()> {
    let mut paths = std::env::args().skip(1).map(Into::into);
    let (Some(input), Some(output)) = (paths.next(), paths.next()) else {
        println!("give a scan, and where its finer image goes");
        return Ok(());
    };
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
