//! Some layers of w from one seed, the rest from another.

use std::path::PathBuf;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::generate::MONTAGE;
use super::generator::{Generator, Output, Sampling};
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::report::{Montage, write_png};

/// What is mixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which generator, and how it is sampled.
    pub sampling: Sampling,
    /// Seeds that give the layers that are not chosen.
    pub rows: Vec<u64>,
    /// Seeds that give the chosen layers.
    pub columns: Vec<u64>,
    /// The chosen layers of w, from 0, the coarsest.
    pub layers: Vec<u64>,
    /// Where samples go.
    pub output: Output,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            rows: Vec::new(),
            columns: Vec::new(),
            layers: (0..4).collect(),
            output: Output::default(),
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// The NIfTI files, row by row.
    pub paths: Vec<PathBuf>,
    /// A picture with the columns' own samples in its first row and the rows' in its first column.
    pub montage: PathBuf,
}

/// Two lists of seeds → w's with layers exchanged → volumes → files.
///
/// # Errors
/// What is wrong with the seeds, the layers, the weights, the device or the disk.
pub fn mix(options: &Options, progress: &Progress) -> Result<Mixed> {
    let Options { sampling, rows, columns, layers, output } = options;
    for (key, seeds) in [("--rows", rows), ("--columns", columns)] {
        if seeds.is_empty() {
            return Err(Error::value(key, "a seed or more", "none", "give seeds"));
        }
    }
    let generator = Generator::open(sampling, &[])?;
    let num_ws = generator.num_ws();
    if let Some(layer) = layers.iter().find(|&&layer| layer >= num_ws as u64) {
        let expected = format!("layers from 0 to {}", num_ws - 1);
        return Err(Error::value("--layers", expected, layer.to_string(), "this generator has no more"));
    }
    let name = |row: u64, seed: u64| format!("row-{row:04}_column-{seed:04}.nii.gz");
    let names = rows.iter().flat_map(|&row| columns.iter().map(move |&seed| name(row, seed)));
    let folder = output.folder("mixed", names.chain([MONTAGE.to_string()]), progress)?;
    let styles = |seed: &u64| generator.styles(&generator.latent(*seed), *seed);
    let of_columns: Vec<Array2<f32>> = columns.iter().map(styles).collect();
    let own = |(ws, &seed): (&Array2<f32>, &u64)| generator.volume(ws, seed);
    let mut pictured: Vec<_> = of_columns.iter().zip(columns).map(own).collect();
    // The corner, where no seed stands, is air.
    let mut corner = pictured[0].clone();
    corner.data.fill(0.0);
    pictured.insert(0, corner);
    let mut paths = Vec::new();
    for &row in rows {
        let base = styles(&row);
        pictured.push(generator.volume(&base, row));
        for (column, &seed) in of_columns.iter().zip(columns) {
            progress.check()?;
            let mut ws = base.clone();
            for &layer in layers {
                ws.row_mut(layer as usize).assign(&column.row(layer as usize));
            }
            let volume = generator.volume(&ws, row);
            let path = folder.join(name(row, seed));
            let labels = generator.labels(seed);
            let details =
                json!({ "Seed": row, "MixSeed": seed, "MixLayers": layers, "MixConditions": labels });
            generator.write(&path, std::slice::from_ref(&volume), output.stored, row, details)?;
            progress.tell(Event::Wrote(&path));
            paths.push(path);
            pictured.push(volume);
        }
    }
    let montage = folder.join(MONTAGE);
    let layout = Montage { columns: columns.len() + 1, ..Montage::fit(&pictured)? };
    write_png(&montage, &layout.render(&pictured)?)?;
    progress.tell(Event::Wrote(&montage));
    Ok(Mixed { paths, montage })
}
