//! Reconstruction of the RefineGAN brain set: the mean PSNR of its validation slices for each mask and method.
//!
//! Peak 255, magnitude against the 8-bit image, mean of the slices' dB; k-space is that of the image, one coil, undersampled
//! by the set's own masks. The settings are the defaults, except those told on the line.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4, Axis};
use rayon::prelude::*;
use voxgan::acquisition::Complex32;
use voxgan::acquisition::fourier::fft;
use voxgan::error::{Error, Result};
use voxgan::io::masks;
use voxgan::io::slices::{self, Colour};
use voxgan::recon::{Acquired, Reconstruction};

const MASKS: [&str; 8] = [
    "radial_10.png",
    "radial_20.png",
    "radial_30.png",
    "radial_40.png",
    "cartes_10.tif",
    "cartes_20.tif",
    "cartes_30.tif",
    "cartes_40.tif",
];
const PEAK: f64 = 255.0;

/// A method.
pub type Solve<'a> = Box<dyn Fn(&Acquired<'_>) -> Result<Reconstruction> + Sync + 'a>;

/// Prints the table of `methods` for the first `most` slices of the set in `folder`.
///
/// # Errors
/// Where its files cannot be read.
pub fn run(folder: &Path, methods: &[(&str, Solve)], most: usize) -> Result<()> {
    let mut slices = slices(&folder.join("valid"))?;
    slices.truncate(most);
    let names: Vec<&str> = methods.iter().map(|(name, _)| *name).collect();
    println!("PSNR in dB, mean of {} slices\n\n| mask | sampled | {} |", slices.len(), names.join(" | "));
    println!("|---|---|{}", "---|".repeat(methods.len()));
    for mask in MASKS {
        let mask_sampled = masks::read(&folder.join("masks").join(mask))?.sampled;
        let share =
            mask_sampled.iter().filter(|&&sampled| sampled).count() as f64 / mask_sampled.len() as f64;
        let mut line = format!("| {mask} | {:.1} %", 100.0 * share);
        for (_, solve) in methods {
            line += &format!(" | {:.2}", mean_psnr(&slices, &mask_sampled, solve)?);
        }
        println!("{line} |");
    }
    Ok(())
}

fn slices(folder: &Path) -> Result<Vec<Array3<f32>>> {
    let fail = |source| Error::io(folder, "list this folder", source);
    let entries = std::fs::read_dir(folder).map_err(fail)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>().map_err(fail)?;
    paths.sort();
    paths
        .iter()
        .filter(|path| slices::is_slice(path))
        .map(|path| Ok(slices::read(path, Colour::Grey)?.data.index_axis_move(Axis(0), 0)))
        .collect()
}

fn mean_psnr(slices: &[Array3<f32>], mask: &Array3<bool>, solve: &Solve) -> Result<f64> {
    let scores: Vec<f64> = slices.par_iter().map(|slice| psnr(slice, mask, solve)).collect::<Result<_>>()?;
    Ok(scores.iter().sum::<f64>() / scores.len() as f64)
}

fn psnr(slice: &Array3<f32>, mask: &Array3<bool>, solve: &Solve) -> Result<f64> {
    let mut kspace = slice.mapv(Complex32::from).insert_axis(Axis(0)).into_dyn();
    fft(&mut kspace, &[2, 3]);
    let kspace = kspace.into_dimensionality().expect("one coil, one slice");
    let maps = Array4::ones(kspace.raw_dim());
    let acquired = Acquired::still(kspace.view(), mask.view(), maps.view(), &[2, 3]);
    let image = solve(&acquired)?.image;
    let error = |(found, truth): (&Complex32, &f32)| (f64::from(found.norm()) - f64::from(*truth)).powi(2);
    let mse = image.iter().zip(slice).map(error).sum::<f64>() / slice.len() as f64;
    Ok(20.0 * PEAK.log10() - 10.0 * mse.log10())
}
