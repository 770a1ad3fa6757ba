//! `voxgan demo`: a head at work on a phantom, by the same commands that a user gives.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use ndarray::{Array3, Array4, Axis, s};

use super::Cli;
use crate::error::{Error, Result};
use crate::io::nifti::{self, WriteOptions};
use crate::io::npy;
use crate::metrics::{Plan, Profile, score};
use crate::mri::Complex32;
use crate::mri::fourier::fft;
use crate::report::{Montage, write_png};
use crate::volume::Volume;

/// Show a head at work on a phantom of a brain whose truth is known.
///
/// Every step is a command of this program, printed as it is given: repeat them with your own scans. A phantom is no brain: the
/// scores say that a head works, not how well it does on people.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to restore
    #[arg(value_name = "HEAD", value_enum)]
    head: HeadName,
    /// The folder for all files, new or empty
    #[arg(long, value_name = "FOLDER", default_value = "demo")]
    out: PathBuf,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder; by default the one
    /// inside
    #[arg(long, value_name = "NAME|FILE|RUN")]
    weights: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HeadName {
    /// Voxels of 2 mm to 1 mm
    Superres,
    /// A slice from a quarter of its k-space
    Recon,
    /// A head that moved twice
    Motion,
    /// Two holes
    Inpaint,
    /// T1 to T2
    Translate,
    /// Eight years later
    Progress,
}

/// Phantom → what was measured of it → the head's command → scores and a picture.
///
/// # Errors
/// As the commands, and a folder that holds something.
pub fn run(args: Args) -> Result<()> {
    let out = &args.out;
    std::fs::create_dir_all(out).map_err(|e| Error::io(out, "make this folder", e))?;
    let mut entries = std::fs::read_dir(out).map_err(|e| Error::io(out, "list this folder", e))?;
    if entries.next().is_some() {
        let advice = "give another --out, or remove what is there";
        return Err(Error::file(out, "folder", "a new or empty folder", "files", advice));
    }
    let demo = Demo { out, weights: args.weights.as_deref() };
    let truth = match args.head {
        HeadName::Superres => demo.superres(),
        HeadName::Recon => demo.recon(),
        HeadName::Motion => demo.motion(),
        HeadName::Inpaint => demo.inpaint(),
        HeadName::Translate => demo.translate(),
        HeadName::Progress => demo.progress(),
    }?;
    demo.show(&truth)
}

struct Demo<'a> {
    out: &'a Path,
    weights: Option<&'a str>,
}

/// Voxels and their size along W, H and D.
const SHAPE: &str = "160,192,160";
/// Of a phantom's slice.
const SLICE: &str = "192,192,1";

impl Demo<'_> {
    /// The path of a file of the demo.
    fn file(&self, name: &str) -> String {
        self.out.join(name).to_string_lossy().into_owned()
    }

    /// Gives a command; what stands after `@` is a file of the demo.
    fn call(&self, line: &str) -> Result<()> {
        let mut words: Vec<String> = line
            .split_whitespace()
            .map(|word| word.strip_prefix('@').map_or_else(|| word.to_string(), |name| self.file(name)))
            .collect();
        let restores = !matches!(words[0].as_str(), "simulate" | "mask");
        if let (true, Some(weights)) = (restores, self.weights) {
            words.extend(["--weights".to_string(), weights.to_string()]);
        }
        println!("\n$ voxgan {}", words.join(" "));
        let command = std::iter::once("voxgan".to_string()).chain(words);
        Cli::try_parse_from(command).expect("a demo gives valid commands").run()
    }

    fn superres(&self) -> Result<String> {
        self.call(&format!("simulate phantom @phantom.nii.gz --shape {SHAPE}"))?;
        self.call("simulate phantom @measured.nii.gz --shape 80,96,80 --spacing-mm 2,2,2")?;
        self.call("superres @measured.nii.gz @restored.nii.gz --factor 2")?;
        Ok(self.file("phantom.nii.gz"))
    }

    fn recon(&self) -> Result<String> {
        self.call(&format!("simulate phantom @phantom.nii.gz --shape {SLICE}"))?;
        let phantom = nifti::read(self.file("phantom.nii.gz"))?;
        let mut kspace = phantom.data.mapv(|x| Complex32::new(x, 0.0)).into_dyn();
        fft(&mut kspace, &[2, 3]);
        let path = self.out.join("kspace.npy");
        npy::write_complex(&path, kspace.view())?;
        println!("\n{}: the k-space of the phantom, one coil", path.display());
        self.call("mask radial --shape 192,192 -R 4 -o @mask.npy")?;
        self.call(
            "recon @kspace.npy @restored.nii.gz --method network --mask @mask.npy --axes hw --spacing-mm 1,1,1",
        )?;
        // The image takes its place from raw data that has none.
        let restored = nifti::read(self.file("restored.nii.gz"))?;
        let truth = Volume { affine: restored.affine, ..phantom };
        nifti::write(self.file("truth.nii.gz"), &truth, &WriteOptions::default())?;
        Ok(self.file("truth.nii.gz"))
    }

    fn motion(&self) -> Result<String> {
        self.call(&format!("simulate phantom @phantom.nii.gz --shape {SHAPE}"))?;
        self.call(
            "simulate motion @phantom.nii.gz @measured.nii.gz --rotation-deg=-3,3 --translation-mm=-3,3 --axes h",
        )?;
        self.call("motion @measured.nii.gz @restored.nii.gz")?;
        Ok(self.file("phantom.nii.gz"))
    }

    fn inpaint(&self) -> Result<String> {
        self.call(&format!("simulate phantom @phantom.nii.gz --shape {SHAPE}"))?;
        let phantom = nifti::read(self.file("phantom.nii.gz"))?;
        let missing = holes(&phantom);
        nifti::write(self.file("missing.nii.gz"), &missing, &WriteOptions::default())?;
        println!("\n{}: two balls of 16 mm", self.file("missing.nii.gz"));
        let mut measured = phantom.clone();
        measured.data.zip_mut_with(&missing.data, |x, &missing| *x *= 1.0 - missing);
        nifti::write(self.file("measured.nii.gz"), &measured, &WriteOptions::default())?;
        self.call("inpaint @measured.nii.gz @missing.nii.gz @restored.nii.gz")?;
        Ok(self.file("phantom.nii.gz"))
    }

    fn translate(&self) -> Result<String> {
        self.call(&format!("simulate phantom @measured.nii.gz --shape {SHAPE}"))?;
        self.call(&format!("simulate phantom @phantom.nii.gz --contrast t2 --shape {SHAPE}"))?;
        self.call("translate @measured.nii.gz @restored.nii.gz")?;
        Ok(self.file("phantom.nii.gz"))
    }

    /// What is true some years later nobody knows: the scan itself stands in its place, to see what has changed.
    fn progress(&self) -> Result<String> {
        self.call(&format!("simulate phantom @measured.nii.gz --shape {SHAPE}"))?;
        self.call("progress @measured.nii.gz @restored.nii.gz --years 8 --group alzheimers")?;
        Ok(self.file("measured.nii.gz"))
    }

    /// Scores of the floor and of the result, and a picture of both beside the truth.
    fn show(&self, truth: &str) -> Result<()> {
        let truth = nifti::read(truth)?;
        let [floor, restored] = ["restored_floor.nii.gz", "restored.nii.gz"].map(|name| self.file(name));
        let (floor, restored) = (nifti::read(floor)?, nifti::read(restored)?);
        println!();
        for (name, image) in [("floor", &floor), ("restored", &restored)] {
            let scores = score(&truth, image, None, &Plan::new(Profile::FastMri))?;
            let of = |name: &str| scores.get(name).map_or(f64::NAN, |score| score.value);
            println!("{name:9} against the truth: PSNR {:.2} dB, SSIM {:.4}", of("PSNR"), of("SSIM"));
        }
        let volumes = [floor, restored, truth];
        let path = self.out.join("picture.png");
        let montage = Montage { columns: volumes.len(), ..Montage::fit(&volumes)? };
        write_png(&path, &montage.render(&volumes)?)?;
        println!("{}: floor, restored, truth", path.display());
        Ok(())
    }
}

/// 1 in two balls of 16 mm in the white matter of either side, 0 elsewhere.
fn holes(phantom: &Volume) -> Volume {
    let image: Array3<f32> = phantom.data.slice(s![0, .., .., ..]).to_owned();
    let centres = [[0.55, 0.4, 0.36], [0.5, 0.6, 0.66]];
    let balls = Array3::from_shape_fn(image.raw_dim(), |(z, y, x)| {
        let within = centres.iter().any(|centre| {
            let at = [z, y, x];
            let far =
                (0..3).map(|axis| (at[axis] as f64 - centre[axis] * image.shape()[axis] as f64).powi(2));
            far.sum::<f64>() <= 64.0
        });
        f32::from(u8::from(within))
    });
    let data: Array4<f32> = balls.insert_axis(Axis(0));
    Volume::new(data, phantom.affine)
}
