//! `voxgan mask`: a sampling pattern becomes a mask, a record of it and its figures.

use std::path::PathBuf;

use clap::ValueEnum;

use super::files::ForceArgs;
use super::numbers::{AxisName, two_or_three};
use super::raw::ImageArgs;
use crate::acquisition::sampling::{
    Angles, Axis, Caipi, Columns, End, FastMri, Gaussian, Mask, PartialFourier, Pattern, Poisson, Radial,
    Seed, Spiral, Spokes, Turns,
};
use crate::error::{Error, Result};
use crate::pipeline::Progress;
use crate::pipeline::mask::{Like, Options, mask};

/// Make a sampling mask of k-space.
///
/// Of several patterns the places that all of them measure are taken, such as `poisson partial-fourier`. The mask is
/// written with DC in the middle (index n/2), beside it a JSON record of the pattern, the seed and the figures that
/// are printed: real acceleration, fully sampled centre, side lobe of the point spread.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to sample
    #[arg(value_name = "PATTERN", required = true, value_enum)]
    patterns: Vec<PatternName>,
    /// Places of k-space along the columns, the rows and, in 3D, the slices, such as 256,256
    #[arg(long, value_name = "W,H[,D]", value_parser = two_or_three, required_unless_present = "like")]
    shape: Option<[usize; 3]>,
    /// Take shape and axes from raw data (fastMRI, ISMRMRD, .cfl, .npy): patterns act along its phase encoding
    #[arg(long, value_name = "FILE", conflicts_with = "shape")]
    like: Option<PathBuf>,
    #[command(flatten)]
    image: ImageArgs,
    /// Places over samples; fastMRI's kinds, radial, spiral and CAIPI report what they reach
    #[arg(short = 'R', long, value_name = "R", default_value_t = 4.0)]
    acceleration: f64,
    /// Width of the fully sampled centre along each axis of the pattern, one number for all or one each; by default
    /// fastMRI's share of the columns, 0.32 / R, at most 24 places along two axes, none for caipi
    #[arg(long, value_name = "N", value_delimiter = ',')]
    calibration: Vec<usize>,
    /// Axes that the pattern acts on: one of W, H and D, or two such as H,D; by default the phase encoding of --like, else columns,
    /// W, as fastMRI's files are encoded, or the plane, W,H. ISMRMRD and BART read out along W: take H
    #[arg(long, value_name = "AXES", value_delimiter = ',')]
    axes: Vec<AxisName>,
    /// The axes that a pattern acts on by default; the first is that of a pattern of one axis.
    #[arg(skip = [Axis::W, Axis::H])]
    default_axes: [Axis; 2],
    /// Where random draws start
    #[arg(long, value_name = "SEED", default_value_t = 0, conflicts_with = "name")]
    seed: u64,
    /// Seed from a file's name, as fastMRI does for each of its files
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// First column of the equispaced and magic kinds; drawn by default
    #[arg(long, value_name = "N")]
    offset: Option<usize>,
    /// Growth of a Poisson disc's radius from the centre to the ends of the axes
    #[arg(long, value_name = "GROWTH", default_value_t = 2.0)]
    falloff: f64,
    /// Let a Poisson disc fill the corners of the plane
    #[arg(long)]
    keep_corners: bool,
    /// Standard deviation of a Gaussian density, as a part of the axis
    #[arg(long, value_name = "PART", default_value_t = 0.2)]
    deviation: f64,
    /// Spokes, instead of as many as the acceleration asks for
    #[arg(long, value_name = "N")]
    spokes: Option<usize>,
    /// How spokes follow each other
    #[arg(long, value_enum, default_value_t = AnglesName::Golden)]
    angles: AnglesName,
    /// Spirals, turned against each other
    #[arg(long, value_name = "N", default_value_t = 8)]
    interleaves: usize,
    /// Power of the angle that a spiral's radius goes with; 1 is an even density
    #[arg(long, value_name = "POWER", default_value_t = 1.5)]
    exponent: f64,
    /// Steps of the CAIPI lattice along its axes, such as 2,2; by default those whose product is the acceleration
    #[arg(long, value_name = "N,N", value_delimiter = ',', num_args = 1)]
    steps: Vec<usize>,
    /// Shift of the CAIPI lattice along its first axis from row to row of the second
    #[arg(long, value_name = "N", default_value_t = 1)]
    shift: usize,
    /// Measured part of the axis for partial-fourier
    #[arg(long, value_name = "PART", default_value_t = 0.75)]
    fraction: f64,
    /// The end of the axis that partial-fourier measures
    #[arg(long, value_enum, default_value_t = EndName::High)]
    end: EndName,
    /// The mask: .npy (truth values [D, H, W]), .nii, .nii.gz (0 and 1) or .png (a plane)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum PatternName {
    /// fastMRI: columns by chance
    Random,
    /// fastMRI: every R-th column
    Equispaced,
    /// fastMRI: columns at equal steps that reach R
    EquispacedFraction,
    /// fastMRI: every R-th column, offset between the halves
    Magic,
    /// fastMRI: offset between the halves, near R
    MagicFraction,
    /// Columns with a Gaussian density
    GaussianColumns,
    /// Points with a Gaussian density
    GaussianPoints,
    /// Points at random, none close together
    Poisson,
    /// Spokes through the centre
    Radial,
    /// Interleaved spirals
    Spiral,
    /// A lattice of shifted rows
    Caipi,
    /// One part of an axis
    PartialFourier,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AnglesName {
    Golden,
    Uniform,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EndName {
    Low,
    High,
}

/// Makes the mask, and says what it really is.
///
/// # Errors
/// Those of [`mask`]; axes, widths and steps that do not fit the pattern.
pub fn run(args: Args) -> Result<()> {
    let force = args.force;
    let like = args.like.as_deref().map(|path| Like::read(path, &args.image.into())).transpose()?;
    let told = args.axes.is_empty() && like.is_none();
    let options = args.options(like.as_ref())?;
    force.check(&options)?;
    let made = make(&options)?;
    match like.map(|like| like.left(&made).to_string()) {
        Some(left) if !left.is_empty() => println!("{left}"),
        None if told && of_one_axis(&options.pattern) => println!("{DEFAULT_AXIS}"),
        _ => {}
    }
    Ok(())
}

/// What is said of a pattern of one axis that nobody chose.
const DEFAULT_AXIS: &str = "acts along W, the phase encoding of fastMRI's files; ISMRMRD and BART read out along W: give --like or --axes H";

/// Whether a pattern, or a part of it, acts on one axis.
fn of_one_axis(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::FastMri(_) | Pattern::PartialFourier(_) => true,
        Pattern::Gaussian(gaussian) => gaussian.axes.len() == 1,
        Pattern::And { patterns } => patterns.iter().any(of_one_axis),
        _ => false,
    }
}

/// Makes the mask of options, and says what it really is.
///
/// # Errors
/// Those of [`mask`].
pub fn make(options: &Options) -> Result<Mask> {
    let mask = mask(options, &Progress::default())?;
    println!("{}", mask.report());
    Ok(mask)
}

impl Args {
    pub(super) fn options(mut self, like: Option<&Like>) -> Result<Options> {
        if let Some(like) = like {
            let (d, h, w) = like.measured.dim();
            (self.shape, self.default_axes) = (Some([w, h, d]), like.axes);
        }
        let [w, h, d] = self.grid_shape();
        let mut patterns =
            self.patterns.iter().map(|&name| self.pattern(name)).collect::<Result<Vec<_>>>()?;
        let pattern = if patterns.len() == 1 { patterns.remove(0) } else { Pattern::And { patterns } };
        let seed = self.name.map_or(Seed::Number(self.seed), Seed::Name);
        Ok(Options { pattern, shape: [d, h, w], seed, output: self.output })
    }

    /// Places along W, H and D.
    fn grid_shape(&self) -> [usize; 3] {
        self.shape.unwrap_or([1; 3])
    }
}

impl Args {
    fn pattern(&self, name: PatternName) -> Result<Pattern> {
        let columns = |columns| -> Result<Pattern> {
            let axis = self.axes(1)?[0];
            let n = self.places(axis);
            let share = match self.calibration[..] {
                [] => 0.32 / self.acceleration,
                _ => self.calibration(1)?[0] as f64 / n as f64,
            };
            let new = FastMri::new(columns, share, self.acceleration);
            Ok(Pattern::FastMri(FastMri { offset: self.offset, axis, ..new }))
        };
        Ok(match name {
            PatternName::Random => columns(Columns::Random)?,
            PatternName::Equispaced => columns(Columns::Equispaced)?,
            PatternName::EquispacedFraction => columns(Columns::EquispacedFraction)?,
            PatternName::Magic => columns(Columns::Magic)?,
            PatternName::MagicFraction => columns(Columns::MagicFraction)?,
            PatternName::GaussianColumns => self.gaussian(1)?,
            PatternName::GaussianPoints => self.gaussian(2)?,
            PatternName::Poisson => Pattern::Poisson(Poisson {
                acceleration: self.acceleration,
                calibration: pair(&self.calibration(2)?),
                falloff: self.falloff,
                crop_corners: !self.keep_corners,
                axes: pair(&self.axes(2)?),
            }),
            PatternName::Radial => Pattern::Radial(Radial {
                spokes: self.spokes.map_or(Spokes::Acceleration(self.acceleration), Spokes::Number),
                angles: match self.angles {
                    AnglesName::Golden => Angles::Golden,
                    AnglesName::Uniform => Angles::Uniform,
                },
                start_deg: None,
                axes: pair(&self.axes(2)?),
            }),
            PatternName::Spiral => Pattern::Spiral(Spiral {
                turns: Turns::Acceleration(self.acceleration),
                interleaves: self.interleaves,
                exponent: self.exponent,
                start_deg: None,
                axes: pair(&self.axes(2)?),
            }),
            PatternName::Caipi => Pattern::Caipi(Caipi {
                steps: self.steps()?,
                shift: self.shift % self.steps()?[1].max(1),
                calibration: if self.calibration.is_empty() { [0; 2] } else { pair(&self.calibration(2)?) },
                axes: pair(&self.axes(2)?),
            }),
            PatternName::PartialFourier => Pattern::PartialFourier(PartialFourier {
                fraction: self.fraction,
                end: match self.end {
                    EndName::Low => End::Low,
                    EndName::High => End::High,
                },
                axis: self.axes(1)?[0],
            }),
        })
    }

    fn gaussian(&self, count: usize) -> Result<Pattern> {
        let (acceleration, deviation) = (self.acceleration, self.deviation);
        let (calibration, axes) = (self.calibration(count)?, self.axes(count)?);
        Ok(Pattern::Gaussian(Gaussian { acceleration, calibration, deviation, axes }))
    }

    /// `count` axes in the order of memory, that is the printed order reversed: by default columns, rows. A pattern of
    /// one axis takes the first that is named.
    fn axes(&self, count: usize) -> Result<Vec<Axis>> {
        let asked: Vec<Axis> = self.axes.iter().map(|&name| name.into()).collect();
        let named = if asked.is_empty() { &self.default_axes[..] } else { &asked };
        if named.len() < count || named.len() > 2 {
            let found = format!("{} axes", named.len());
            return Err(Error::value("--axes", format!("{count} axes"), found, "name them such as W,H"));
        }
        Ok(named[..count].iter().rev().copied().collect())
    }

    fn places(&self, axis: Axis) -> usize {
        self.grid_shape()[2 - axis as usize]
    }

    /// Widths of the centre in the order of [`Args::axes`].
    fn calibration(&self, count: usize) -> Result<Vec<usize>> {
        let extents: Vec<usize> = self.axes(count)?.into_iter().map(|axis| self.places(axis)).collect();
        match self.calibration[..] {
            [] => {
                let share = (0.32 / self.acceleration).powf(1.0 / count as f64);
                let most = if count == 1 { usize::MAX } else { 24 };
                Ok(extents.iter().map(|&n| ((n as f64 * share) as usize).min(most)).collect())
            }
            [one] => Ok(vec![one; count]),
            ref each if each.len() == count => Ok(each.iter().rev().copied().collect()),
            ref each => {
                let expected = format!("one number, or {count}");
                let advice = "give a width for each axis of the pattern";
                Err(Error::value("--calibration", expected, format!("{each:?}"), advice))
            }
        }
    }

    /// Steps of a lattice: those asked for, or the most equal ones whose product is the acceleration.
    fn steps(&self) -> Result<[usize; 2]> {
        match self.steps[..] {
            [first, second] => Ok([second, first]),
            [] if self.acceleration >= 1.0 && self.acceleration.fract() == 0.0 => {
                let product = self.acceleration as usize;
                let rows =
                    (1..=product.isqrt()).rev().find(|rows| product.is_multiple_of(*rows)).unwrap_or(1);
                Ok([rows, product / rows])
            }
            [] => {
                let found = self.acceleration.to_string();
                Err(Error::value("--acceleration", "a whole number for caipi", found, "or give --steps"))
            }
            ref other => {
                let found = format!("{other:?}");
                Err(Error::value("--steps", "two numbers", found, "give a step along each axis, such as 2,2"))
            }
        }
    }
}

/// The first two of a list that has been made with two.
fn pair<T: Copy>(list: &[T]) -> [T; 2] {
    [list[0], list[1]]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::io::nifti;
    use crate::io::raw::RawOptions;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Args {
        Program::parse_from(std::iter::once("mask").chain(line.split(' '))).args
    }

    #[test]
    fn printed_order_is_the_order_of_memory_reversed() {
        let args = parse("poisson --shape 40,30,20 --calibration 8,6 --axes H,D -R 5 -o a.png");
        let Pattern::Poisson(poisson) = args.options(None).unwrap().pattern else { unreachable!() };
        assert_eq!((poisson.axes, poisson.calibration), ([Axis::D, Axis::H], [6, 8]));
        let args = parse("caipi --shape 40,30 -R 6 -o a.png");
        let Pattern::Caipi(caipi) = args.options(None).unwrap().pattern else { unreachable!() };
        assert_eq!((caipi.steps, caipi.shift, caipi.axes), ([2, 3], 1, [Axis::H, Axis::W]));
        let args = parse("random --shape 368,640 -R 8 -o a.npy");
        let expected = FastMri::new(Columns::Random, 0.04, 8.0);
        assert_eq!(args.options(None).unwrap().pattern, Pattern::FastMri(expected));
    }

    /// A plane in BART's usual layout (1, N, M, coils) is D and H; a slice in rows is H before W.
    #[test]
    fn raw_data_gives_shape_and_axes() {
        let folder = tempfile::tempdir().unwrap();
        let (raw, out) = (folder.path().join("k.npy"), folder.path().join("m.npy"));
        let made = |shape: [usize; 4]| {
            let kspace = ndarray::ArrayD::from_elem(shape.to_vec(), num_complex::Complex32::new(1.0, 0.0));
            crate::io::npy::write_complex(&raw, kspace.view()).unwrap();
            let line = |words: &str| format!("{words} --like {} -o {}", raw.display(), out.display());
            let like = Some(Like::read(&raw, &RawOptions::default()).unwrap());
            let options = |words| parse(&line(words)).options(like.as_ref()).unwrap();
            let (poisson, random) =
                (options("poisson --calibration 6 -R 2"), options("random --calibration 6 -R 2"));
            run(parse(&line("poisson --calibration 6 -R 2 --force"))).unwrap();
            let mask = crate::io::masks::read_for(&out, [shape[1], shape[2], shape[3]]).unwrap();
            assert!(mask.iter().any(|&on| !on), "{shape:?}");
            (poisson, random)
        };
        let (poisson, random) = made([2, 40, 30, 1]);
        let Pattern::Poisson(pattern) = poisson.pattern else { unreachable!() };
        assert_eq!((poisson.shape, pattern.axes), ([40, 30, 1], [Axis::D, Axis::H]));
        let Pattern::FastMri(pattern) = random.pattern else { unreachable!() };
        assert_eq!(pattern.axis, Axis::H);
        let (poisson, random) = made([2, 1, 40, 30]);
        let Pattern::Poisson(pattern) = poisson.pattern else { unreachable!() };
        assert_eq!((poisson.shape, pattern.axes), ([1, 40, 30], [Axis::W, Axis::H]));
        let Pattern::FastMri(pattern) = random.pattern else { unreachable!() };
        assert_eq!(pattern.axis, Axis::H);
    }

    /// The phase encoding of a file: columns for fastMRI, rows for ISMRMRD and BART.
    #[test]
    fn the_readout_of_a_file_is_left_whole() {
        let folder = tempfile::tempdir().unwrap();
        for (file, axis) in [("fastmri_new.h5", Axis::W), ("py_slices.h5", Axis::H), ("c_full.h5", Axis::H)] {
            let path = format!("{}/tests/fixtures/mri/raw/{file}", env!("CARGO_MANIFEST_DIR"));
            let (like, out) =
                (Like::read(path.as_ref(), &RawOptions::default()).unwrap(), folder.path().join("m.npy"));
            let options = |axes: &str| {
                let line =
                    format!("equispaced -R 2 --calibration 2{axes} --like {path} -o {}", out.display());
                parse(&line).options(Some(&like)).unwrap()
            };
            let Pattern::FastMri(pattern) = options("").pattern else { unreachable!() };
            assert_eq!(pattern.axis, axis, "{file}");
            let left = |options: &Options| like.left(&mask(options, &Progress::default()).unwrap());
            assert_eq!(left(&options("")).cut_readout, None, "{file}");
            let readout = if axis == Axis::W { Axis::H } else { Axis::W };
            assert_eq!(left(&options(&format!(" --axes {readout:?}"))).cut_readout, Some(readout), "{file}");
        }
    }

    #[test]
    fn every_pattern_becomes_every_kind_of_file_and_a_record_that_makes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        for name in PatternName::value_variants() {
            let word = name.to_possible_value().unwrap().get_name().to_string();
            for ending in [".png", ".npy", ".nii.gz"] {
                let path = folder.path().join(word.clone() + ending);
                let line = format!("{word} --shape 96,64,2 --seed 3 -o {}", path.display());
                run(parse(&line)).unwrap();
                let record = std::fs::read_to_string(folder.path().join(word.clone() + ".json")).unwrap();
                let record: serde_json::Value = serde_json::from_str(&record).unwrap();
                let pattern: Pattern = serde_json::from_value(record["Pattern"].clone()).unwrap();
                let seed: Seed = serde_json::from_value(record["Seed"].clone()).unwrap();
                let mask = pattern.mask([2, 64, 96], &seed).unwrap();
                assert_eq!(record["Report"], serde_json::to_value(mask.report()).unwrap());
                let on = |[d, h, w]: [usize; 3]| mask.sampled[(d, h, w)];
                match ending {
                    ".png" => {
                        let image = image::open(&path).unwrap().into_luma8();
                        assert_eq!(image.dimensions(), (96, 64));
                        assert!(
                            image
                                .enumerate_pixels()
                                .all(|(x, y, p)| (p.0[0] == 255) == on([0, y as usize, x as usize]))
                        );
                    }
                    ".npy" => {
                        let bytes = std::fs::read(&path).unwrap();
                        let tail = &bytes[bytes.len() - 2 * 64 * 96..];
                        assert!(tail.iter().zip(&mask.sampled).all(|(byte, on)| (*byte == 1) == *on));
                    }
                    _ => {
                        let volume = nifti::read(&path).unwrap();
                        assert_eq!(volume.dims(), [96, 64, 2]);
                        assert!(volume.data.iter().zip(&mask.sampled).all(|(x, on)| (*x == 1.0) == *on));
                    }
                }
            }
        }
    }

    #[test]
    fn patterns_combine_and_bad_names_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("both.png");
        run(parse(&format!("poisson partial-fourier --shape 64,64 -o {}", path.display()))).unwrap();
        let image = image::open(&path).unwrap().into_luma8();
        assert!(image.enumerate_pixels().all(|(x, _, p)| x >= 16 || p.0[0] == 0));
        let message = run(parse("poisson --shape 64,64 -o mask.bmp")).unwrap_err().to_string();
        assert!(message.contains("mask.bmp") && message.contains(".nii.gz"), "{message}");
        let message = run(parse("poisson --shape 64,64 --axes W -o mask.png")).unwrap_err().to_string();
        assert!(message.starts_with("--axes"), "{message}");
    }
}
