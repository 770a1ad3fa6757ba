//! Style mixing: some layers of w from one seed, the others from another.

use std::path::PathBuf;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::generate::MONTAGE;
use super::generator::{Generator, Output, Sampling};
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::report::{Montage, write_png};

/// The seeds and layers that are mixed, and the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The generator and its sampling.
    pub sampling: Sampling,
    /// Seeds of the other layers.
    pub rows: Vec<u64>,
    /// Seeds of the layers in `layers`.
    pub columns: Vec<u64>,
    /// The layers of w that are taken from `columns`, from 0, the coarsest.
    pub layers: Vec<u64>,
    /// The output folder and file type.
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

/// The written files.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// The NIfTI files, row by row.
    pub paths: Vec<PathBuf>,
    /// A picture with the samples of `columns` in its first row and those of `rows` in its first column.
    pub montage: PathBuf,
}

/// Two lists of seeds → w's with layers exchanged → volumes → files.
///
/// # Errors
/// [`Error::Value`] without seeds or for layers that the generator does not have; as [`Generator::open`]; [`Error::Io`]
/// or [`Error::File`] for the output; [`Error::Cancelled`].
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
