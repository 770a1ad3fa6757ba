//! `voxgan parity`: proof that the networks compute what independent programs computed.

use std::path::PathBuf;

use burn::backend::Autodiff;
use serde_json::json;

use crate::error::{Error, Result};
use crate::pipeline::{Device, on_device};
use crate::pretrained::{Fixture, parity};

/// Compare the networks with fixtures of independent programs.
///
/// Prints the relative error of every pinned quantity, and fails if one is above its tolerance.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Fixtures: safetensors files with parameters, inputs, outputs and gradients
    #[arg(value_name = "FIXTURE", required = true)]
    fixtures: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Where to compute: cpu, auto, cuda, cuda:N, gpu, gpu:N, vulkan:NAME, metal:NAME
    #[arg(long, default_value_t)]
    device: Device,
}

/// Fixtures → networks → errors → table.
///
/// # Errors
/// A fixture that cannot be read, or a quantity above its tolerance.
pub fn run(args: Args) -> Result<()> {
    let mut failed = Vec::new();
    let mut document = serde_json::Map::new();
    for path in &args.fixtures {
        let fixture = Fixture::read(path)?;
        let rows = on_device!(args.device, |B, device| parity::check::<Autodiff<B>>(&fixture, &device))?;
        let name = path.display().to_string();
        failed.extend(rows.iter().filter(|row| !row.passes()).map(|row| format!("{name} {}", row.group)));
        if args.json {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    json!({ "group": row.group, "arrays": row.arrays, "error": row.error, "worst": row.worst,
                            "tolerance": row.tolerance, "passes": row.passes() })
                })
                .collect();
            document.insert(name, rows.into());
            continue;
        }
        println!("{name}");
        println!("  {:<20} {:>6}  {:>9}  {:>9}", "quantity", "arrays", "error", "tolerance");
        for row in &rows {
            let verdict = if row.passes() { "" } else { "  ABOVE" };
            println!(
                "  {:<20} {:>6}  {:>9.1e}  {:>9.0e}{verdict}",
                row.group, row.arrays, row.error, row.tolerance
            );
        }
    }
    if args.json {
        println!("{:#}", serde_json::Value::Object(document));
    }
    if failed.is_empty() {
        return Ok(());
    }
    let advice = "this device or this build computes something else; report it with the table";
    let problem = format!("relative errors above their tolerances: {}", failed.join(", "));
    Err(Error::Check { check: "parity".into(), problem, advice: advice.into() })
}
