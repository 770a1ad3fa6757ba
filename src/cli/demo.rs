//! `voxgan demo`: a head at work on a phantom, by the jobs of the commands that a user gives.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ndarray::{Array3, Array4, Axis, s};

use super::files::FileArgs;
use crate::acquisition::Complex32;
use crate::acquisition::fourier::fft;
use crate::acquisition::sampling::{Angles, Pattern, Radial, Spokes};
use crate::error::{Error, Result};
use crate::evaluate::{Plan, Profile, score};
use crate::io::nifti::{self, WriteOptions};
use crate::io::npy;
use crate::io::raw::RawOptions;
use crate::pipeline::restore::Problem;
use crate::pipeline::{mask, phantom, recon, restore, simulate};
use crate::report::{Montage, write_png};
use crate::simulate::degrade::{Degradation, RandomMotion};
use crate::simulate::phantom::Contrast;
use crate::volume::{Axis as GridAxis, Volume};

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
    let (steps, truth) = demo.steps(args.head);
    for step in steps {
        match step {
            Step::Command(line, job) => {
                println!("\n$ voxgan {line}");
                job.run()?;
            }
            Step::Other(make) => make(&demo)?,
        }
    }
    demo.show(truth)
}

struct Demo<'a> {
    out: &'a Path,
    weights: Option<&'a str>,
}

/// A part of a demo.
enum Step {
    /// A command as a user gives it, and its job.
    Command(String, Job),
    /// What no command does.
    Other(fn(&Demo) -> Result<()>),
}

/// The job of a command.
#[derive(Debug, PartialEq)]
enum Job {
    Phantom(phantom::Options),
    Degrade(simulate::Options),
    Mask(mask::Options),
    Recon(Box<recon::Options>),
    Restore(Box<restore::Options>),
}

impl Job {
    fn run(&self) -> Result<()> {
        match self {
            Self::Phantom(options) => super::simulate::make(options),
            Self::Degrade(options) => super::simulate::degrade(options),
            Self::Mask(options) => super::mask::make(options).map(drop),
            Self::Recon(options) => super::recon::reconstruct(options),
            Self::Restore(options) => super::restore::run(options, FileArgs::default()),
        }
    }
}

/// Places along the axes of a phantom's slice.
const SIDE: usize = 192;

impl Demo<'_> {
    /// The path of a file of the demo.
    fn file(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// What is done in order, and the file of the truth.
    fn steps(&self, head: HeadName) -> (Vec<Step>, &'static str) {
        let whole = "--shape 160,192,160";
        let phantom = |name, line: &str| self.phantom(name, line, phantom::Options::default());
        let steps = match head {
            HeadName::Superres => {
                let shape = phantom::Options {
                    shape: [80, 96, 80],
                    spacing_mm: [2.0; 3],
                    ..phantom::Options::default()
                };
                vec![
                    phantom("phantom.nii.gz", whole),
                    self.phantom("measured.nii.gz", "--shape 80,96,80 --spacing-mm 2,2,2", shape),
                    self.restore("@measured.nii.gz @restored.nii.gz --factor 2", Problem::Superres([2; 3])),
                ]
            }
            HeadName::Recon => {
                let slice = phantom::Options { shape: [SIDE, SIDE, 1], ..phantom::Options::default() };
                return (
                    vec![
                        self.phantom("phantom.nii.gz", &format!("--shape {SIDE},{SIDE},1"), slice),
                        Step::Other(|demo| demo.sample()),
                        self.mask(),
                        self.recon(),
                        Step::Other(|demo| demo.place()),
                    ],
                    "truth.nii.gz",
                );
            }
            HeadName::Motion => vec![
                phantom("phantom.nii.gz", whole),
                self.moved(),
                self.restore("@measured.nii.gz @restored.nii.gz", Problem::Motion),
            ],
            HeadName::Inpaint => {
                let missing = self.file("missing.nii.gz");
                vec![
                    phantom("phantom.nii.gz", whole),
                    Step::Other(|demo| demo.cut()),
                    self.restore(
                        "@measured.nii.gz @missing.nii.gz @restored.nii.gz",
                        Problem::Inpaint(missing),
                    ),
                ]
            }
            HeadName::Translate => {
                let t2 = phantom::Options { contrast: Contrast::T2, ..phantom::Options::default() };
                vec![
                    phantom("measured.nii.gz", whole),
                    self.phantom("phantom.nii.gz", &format!("--contrast t2 {whole}"), t2),
                    self.restore("@measured.nii.gz @restored.nii.gz", Problem::Translate { backward: false }),
                ]
            }
            HeadName::Progress => {
                let later = Problem::Progress { years: 8.0, group: Some("alzheimers".into()) };
                let line = "@measured.nii.gz @restored.nii.gz --years 8 --group alzheimers";
                let steps = vec![phantom("measured.nii.gz", whole), self.restore(line, later)];
                // What is true some years later nobody knows: the scan itself stands in its place, to see what has changed.
                return (steps, "measured.nii.gz");
            }
        };
        (steps, "phantom.nii.gz")
    }

    /// A command; what stands after `@` in its line is a file of the demo.
    fn command(&self, line: &str, job: Job) -> Step {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.file(name).to_string_lossy().into_owned(),
            None => word.into(),
        };
        let mut words: Vec<String> = line.split_whitespace().map(word).collect();
        if let (Job::Recon(_) | Job::Restore(_), Some(weights)) = (&job, self.weights) {
            words.extend(["--weights".to_string(), weights.to_string()]);
        }
        Step::Command(words.join(" "), job)
    }

    fn phantom(&self, name: &str, line: &str, options: phantom::Options) -> Step {
        let job = Job::Phantom(phantom::Options { output: self.file(name), ..options });
        self.command(&format!("simulate phantom @{name} {line}"), job)
    }

    /// The head's command on what was measured.
    fn restore(&self, line: &str, problem: Problem) -> Step {
        let (line, weights) = (format!("{} {line}", problem.head()), self.weights.unwrap_or(problem.head()));
        let options = restore::Options {
            input: self.file("measured.nii.gz"),
            output: self.file("restored.nii.gz"),
            weights: Some(weights.into()),
            problem,
            ..restore::Options::default()
        };
        self.command(&line, Job::Restore(Box::new(options)))
    }

    fn moved(&self) -> Step {
        let motion = RandomMotion {
            rotation_deg: [-3.0, 3.0],
            translation_mm: [-3.0, 3.0],
            axes: vec![GridAxis::H],
            ..RandomMotion::default()
        };
        let options = simulate::Options {
            input: self.file("phantom.nii.gz"),
            output: self.file("measured.nii.gz"),
            cascade: vec![Degradation::Motion(motion)],
            ..simulate::Options::default()
        };
        let line = "simulate motion @phantom.nii.gz @measured.nii.gz --rotation-deg=-3,3 --translation-mm=-3,3 --axes h";
        self.command(line, Job::Degrade(options))
    }

    fn mask(&self) -> Step {
        let (spokes, axes) = (Spokes::Acceleration(4.0), [GridAxis::H, GridAxis::W]);
        let pattern = Pattern::Radial(Radial { spokes, angles: Angles::Golden, start_deg: None, axes });
        let (shape, output) = ([1, SIDE, SIDE], self.file("mask.npy"));
        let options = mask::Options { pattern, shape, output, ..mask::Options::default() };
        self.command(&format!("mask radial --shape {SIDE},{SIDE} -R 4 -o @mask.npy"), Job::Mask(options))
    }

    fn recon(&self) -> Step {
        let mut network = recon::Network::default();
        network.weights = self.weights.map_or(network.weights, Into::into);
        let options = recon::Options {
            input: self.file("kspace.npy"),
            output: self.file("restored.nii.gz"),
            raw: RawOptions {
                transformed: Some([false, true, true]),
                spacing_mm: Some([1.0; 3]),
                ..RawOptions::default()
            },
            mask: Some(self.file("mask.npy")),
            method: recon::Method::Network(network),
            ..recon::Options::default()
        };
        let line = "recon @kspace.npy @restored.nii.gz --method network --mask @mask.npy --axes hw --spacing-mm 1,1,1";
        self.command(line, Job::Recon(options.into()))
    }

    /// The k-space of the phantom.
    fn sample(&self) -> Result<()> {
        let phantom = nifti::read(self.file("phantom.nii.gz"))?;
        let mut kspace = phantom.data.mapv(|x| Complex32::new(x, 0.0)).into_dyn();
        fft(&mut kspace, &[2, 3]);
        let path = self.file("kspace.npy");
        npy::write_complex(&path, kspace.view())?;
        println!("\n{}: the k-space of the phantom, one coil", path.display());
        Ok(())
    }

    /// The truth where the image of raw data lies, which has no place of its own.
    fn place(&self) -> Result<()> {
        let restored = nifti::read(self.file("restored.nii.gz"))?;
        let truth = Volume { affine: restored.affine, ..nifti::read(self.file("phantom.nii.gz"))? };
        nifti::write(self.file("truth.nii.gz"), &truth, &WriteOptions::default())
    }

    /// The phantom with two holes.
    fn cut(&self) -> Result<()> {
        let phantom = nifti::read(self.file("phantom.nii.gz"))?;
        let missing = holes(&phantom);
        let path = self.file("missing.nii.gz");
        nifti::write(&path, &missing, &WriteOptions::default())?;
        println!("\n{}: two balls of 16 mm", path.display());
        let mut measured = phantom;
        measured.data.zip_mut_with(&missing.data, |x, &missing| *x *= 1.0 - missing);
        nifti::write(self.file("measured.nii.gz"), &measured, &WriteOptions::default())
    }

    /// Scores of the baseline and of the result, and a picture of both beside the truth.
    fn show(&self, truth: &str) -> Result<()> {
        let truth = nifti::read(self.file(truth))?;
        let [baseline, restored] =
            ["restored_baseline.nii.gz", "restored.nii.gz"].map(|name| self.file(name));
        let (baseline, restored) = (nifti::read(baseline)?, nifti::read(restored)?);
        println!();
        for (name, image) in [("baseline", &baseline), ("restored", &restored)] {
            let scores = score(&truth, image, None, &Plan::new(Profile::FastMri))?;
            let of = |name: &str| scores.get(name).map_or(f64::NAN, |score| score.value);
            println!("{name:9} against the truth: PSNR {:.2} dB, SSIM {:.4}", of("PSNR"), of("SSIM"));
        }
        let volumes = [baseline, restored, truth];
        let path = self.out.join("picture.png");
        let montage = Montage { columns: volumes.len(), ..Montage::fit(&volumes)? };
        write_png(&path, &montage.render(&volumes)?)?;
        println!("{}: baseline, restored, truth", path.display());
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::simulate::Kind;
    use crate::cli::{Cli, Command};

    /// Commands are what a user gives for the jobs that run.
    #[test]
    fn commands_mean_their_jobs() {
        for weights in [None, Some("a.safetensors")] {
            let demo = Demo { out: Path::new("demo"), weights };
            for head in HeadName::value_variants() {
                let commands = demo.steps(*head).0.into_iter().filter_map(|step| match step {
                    Step::Command(line, job) => Some((line, job)),
                    Step::Other(_) => None,
                });
                for (line, job) in commands {
                    let words = std::iter::once("voxgan").chain(line.split(' '));
                    let parsed = match Cli::try_parse_from(words).unwrap().command {
                        Command::Simulate(args) => match args.kind {
                            Kind::Phantom(args) => Job::Phantom(args.into()),
                            Kind::Degrade(args) => Job::Degrade(args.options().unwrap()),
                            Kind::Replay(_) => panic!("{line}"),
                        },
                        Command::Mask(args) => Job::Mask(args.options(None).unwrap()),
                        Command::Recon(args) => Job::Recon(args.options().unwrap().into()),
                        Command::Superres(args) => Job::Restore(Box::new(args.into())),
                        Command::Inpaint(args) => Job::Restore(Box::new(args.into())),
                        Command::Motion(args) => Job::Restore(Box::new(args.into())),
                        Command::Translate(args) => Job::Restore(Box::new(args.into())),
                        Command::Progress(args) => Job::Restore(Box::new(args.into())),
                        other => panic!("{line}: {other:?}"),
                    };
                    assert_eq!(parsed, job, "{line}");
                }
            }
        }
    }
}
