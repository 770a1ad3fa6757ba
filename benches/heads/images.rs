//! Heads that take images: super-resolution, in-painting, motion.

use std::path::Path;

use burn::backend::Flex;
use ndarray::{Array3, Array4, Axis, s};
use voxgan::acquisition::encoding::Encoding;
use voxgan::acquisition::operators::slice_profile::{SliceProfile, Sliced};
use voxgan::acquisition::sampling::Axis as Encoded;
use voxgan::acquisition::{Complex32, Operator};
use voxgan::config::{HeadRecipe, MotionRecipe as Moving};
use voxgan::correct::autofocus::{Autofocus, autofocus};
use voxgan::error::Result;
use voxgan::heads::{
    Case, Inpaint, Motion, Superres, blocks, complex, harmonic, interpolated, measure, restore,
};
use voxgan::io::nifti;
use voxgan::pretrained::TrainedRestorer;
use voxgan::random::{Purpose, stream};
use voxgan::recon::{TotalVariation, minimum_total_variation};
use voxgan::report::{Montage, write_png};
use voxgan::simulate::degrade::{RandomMotion, ShotOrder};
use voxgan::volume::intensity::{IntensityMap, Normalisation};
use voxgan::volume::orientation::to_ras;
use voxgan::volume::resample::Interpolation;
use voxgan::volume::{Volume, VoxelToWorld};

use crate::Place;
use crate::table::{Contest, head};

/// Scans at 1 mm that no training saw.
pub const SUBJECTS: [&str; 5] = ["22", "25", "26", "27", "28"];
/// λ, iterations and balance of total variation: the best of those tried, λ from 3e-4 to 1e-2 and balance from 0.005 to 10, on
/// parts of two scans of the training set.
const VARIATION: (f64, usize, f64) = (1e-3, 150, 0.005);

/// The test scans from 0 to 1, `[1, D, H, W]`, prepared as those of training are.
pub fn subjects(place: &Place) -> Result<Vec<(String, Array4<f32>)>> {
    let count = if place.quick { 2 } else { SUBJECTS.len() };
    let mut scans = Vec::new();
    for subject in &SUBJECTS[..count] {
        let path = place.data.join(format!("ds002748/T1w_1mm/sub-{subject}_T1w.nii.gz"));
        let (volume, _) = to_ras(nifti::read(&path)?);
        let map = IntensityMap::fit(&volume, &Normalisation::Percentile { low: 0.0, high: 99.9 })?;
        scans.push((format!("sub-{subject}"), map.apply(volume).data.mapv(|x| 0.5 * (x + 1.0))));
    }
    Ok(scans)
}

/// What a network makes of a case.
pub fn restored(trained: &TrainedRestorer<Flex>, case: &Case, weight: f64) -> Result<Array4<f32>> {
    Ok(restore(&trained.network, case, blocks(&trained.recipe), weight, &Default::default())?.image)
}

/// The middle planes of images of one subject, beside each other.
pub fn picture(place: &Place, name: &str, images: &[&Array4<f32>]) -> Result<()> {
    let Some(folder) = &place.pictures else { return Ok(()) };
    let volumes: Vec<Volume> =
        images.iter().map(|image| Volume::new((*image).clone(), VoxelToWorld::identity())).collect();
    let montage = Montage { window: (0.0, 1.0), columns: volumes.len(), ..Montage::fit(&volumes)? };
    write_png(&Path::new(folder).join(format!("{name}.png")), &montage.render(&volumes)?)
}

pub fn superres(place: &Place) -> Result<()> {
    let trained = place.network("superres")?;
    let HeadRecipe::Superres(recipe) = &trained.recipe.head else { panic!("weights of superres") };
    let superres = Superres::new(recipe);
    println!("{}\n\n{}", trained.name, head().trim_end());
    for (name, factor) in [("2x", [2, 2, 2]), ("4x", [4, 4, 4]), ("slices of 4 mm", [4, 1, 1])] {
        if !recipe.factors.contains(&factor) {
            println!("| {name} | not trained for | | | | |");
            continue;
        }
        let mut contest = Contest::default();
        for (subject, scan) in subjects(place)? {
            let truth = cut(&scan, factor);
            let profiles = superres.profiles(factor);
            let measured = measure(&truth, &profiles);
            let [linear, cubic] = [Interpolation::Linear, Interpolation::Cubic]
                .map(|interpolation| interpolated(&measured, factor, interpolation));
            let variation = variation(&truth, &measured, &profiles)?;
            let network = restored(&trained, &superres.case(&measured, factor)?, 1.0)?;
            contest.add("trilinear", &truth, &linear)?;
            contest.add("cubic", &truth, &cubic)?;
            contest.add("total variation", &truth, &variation)?;
            contest.add("network", &truth, &network)?;
            picture(place, &format!("superres-{subject}-{name}"), &[&cubic, &variation, &network, &truth])?;
        }
        print!("{}", contest.rows(name));
    }
    Ok(())
}

/// The part whose axes are multiples.
fn cut(image: &Array4<f32>, factor: [usize; 3]) -> Array4<f32> {
    let (_, d, h, w) = image.dim();
    let [d, h, w] = [d / factor[0] * factor[0], h / factor[1] * factor[1], w / factor[2] * factor[2]];
    image.slice(s![.., ..d, ..h, ..w]).to_owned()
}

/// The image of least total variation that explains what was measured.
fn variation(truth: &Array4<f32>, measured: &Array4<f32>, profiles: &[SliceProfile]) -> Result<Array4<f32>> {
    let (_, d, h, w) = truth.dim();
    let (first, others) = profiles.split_first().expect("a coarser axis");
    let mut shape = [d, h, w];
    let mut sliced = Operator::new(Sliced::new(shape, first)?);
    shape = first.output(shape);
    for profile in others {
        sliced = &Operator::new(Sliced::new(shape, profile)?) * &sliced;
        shape = profile.output(shape);
    }
    let y = measured.index_axis(Axis(0), 0).mapv(|x| Complex32::new(x, 0.0)).into_dyn();
    let (lambda, iterations, balance) = VARIATION;
    let settings = TotalVariation { lambda, iterations, balance, ..TotalVariation::default() };
    Ok(minimum_total_variation(&sliced, y, &settings)?.image.mapv(|z| z.re).insert_axis(Axis(0)))
}

pub fn inpaint(place: &Place) -> Result<()> {
    let trained = place.network("inpaint")?;
    let HeadRecipe::Inpaint(recipe) = &trained.recipe.head else { panic!("weights of inpaint") };
    let inpaint = Inpaint::new(recipe);
    println!(
        "{}\n\nPSNR inside the holes, of the brightest tissue; no SSIM.\n\n{}",
        trained.name,
        head().trim_end()
    );
    for name in ["holes of 16 mm", "three missing slices"] {
        let mut contest = Contest::default();
        for (subject, scan) in subjects(place)? {
            let (_, d, h, w) = scan.dim();
            let known = Array3::from_shape_fn((d, h, w), |(z, y, x)| match name {
                "holes of 16 mm" => [[0.5, 0.35, 0.35], [0.45, 0.6, 0.68]].iter().all(|centre| {
                    let far = [(z, d), (y, h), (x, w)]
                        .iter()
                        .zip(centre)
                        .map(|(&(at, length), c)| (at as f64 - c * length as f64).powi(2))
                        .sum::<f64>();
                    far > 64.0
                }),
                _ => !(d / 2..d / 2 + 3).contains(&z),
            });
            let case = inpaint.case(&scan, &known)?;
            let baseline = harmonic(&scan, &known);
            let network = restored(&trained, &case, 1.0)?;
            let inside = |image: &Array4<f32>| {
                let errors = image.iter().zip(&scan).zip(&known).filter(|(_, known)| !**known);
                let squares: Vec<f64> = errors.map(|((a, b), _)| f64::from(a - b).powi(2)).collect();
                -10.0 * (squares.iter().sum::<f64>() / squares.len() as f64).log10()
            };
            contest.push("harmonic", [inside(&baseline), f64::NAN]);
            contest.push("network", [inside(&network), f64::NAN]);
            picture(place, &format!("inpaint-{subject}-{name}"), &[&baseline, &network, &scan])?;
        }
        print!("{}", contest.rows(name));
    }
    Ok(())
}

pub fn motion(place: &Place) -> Result<()> {
    let trained = place.network("motion")?;
    let HeadRecipe::Motion(recipe) = &trained.recipe.head else { panic!("weights of motion") };
    let head_of = Motion::new(recipe);
    println!("{}\n\n{}", trained.name, head().trim_end());
    let (mut contest, mut known) = (Contest::default(), Contest::default());
    let random = RandomMotion {
        moves: 2,
        rotation_deg: [-3.0, 3.0],
        translation_mm: [-3.0, 3.0],
        axes: vec![Encoded::H],
        order: ShotOrder::Sequential,
        ..RandomMotion::default()
    };
    for (number, (subject, scan)) in subjects(place)?.into_iter().enumerate() {
        let truth = Volume::new(scan.clone(), VoxelToWorld::identity());
        let mut rng = stream(7, 0, 0, number as u64, Purpose::Degradation);
        let motion = random.draw(&truth, &mut rng)?;
        let corrupted = motion.apply(&truth)?.volume.data;
        let measured = corrupted.index_axis(Axis(0), 0).mapv(|x| Complex32::new(x, 0.0));
        let focused = autofocus(&measured, [1.0; 3], &Autofocus { rounds: 3, ..Autofocus::new(Encoded::H) })?;
        let focused = focused.image.mapv(|z| z.norm()).insert_axis(Axis(0));
        let network = restored(&trained, &head_of.unknown(corrupted.clone()), 1.0)?;
        contest.add("as measured", &scan, &corrupted)?;
        contest.add("autofocus", &scan, &focused)?;
        contest.add("network", &scan, &network)?;
        // Known shots: what the same motion leaves where the samples and the poses are at hand.
        let [_, d, h, w] = [0, 1, 2, 3].map(|axis| scan.shape()[axis]);
        let shots = Some(motion.shots([d, h, w])?);
        let encoding = Encoding { shots, ..Encoding::full([d, h, w], [1.0; 3]) };
        let samples = motion.kspace(&truth)?.into_dyn();
        let moving = Moving { known: true, ..recipe.clone() };
        let solved = complex(&Motion::new(&moving).known(encoding, samples)?.initial);
        let solved = solved.mapv(|z| z.norm()).insert_axis(Axis(0));
        known.add("as measured", &scan, &corrupted)?;
        known.add("least squares", &scan, &solved)?;
        let images = [&corrupted, &focused, &network, &solved, &scan];
        picture(place, &format!("motion-{subject}"), &images)?;
    }
    print!("{}{}", contest.rows("two moves"), known.rows("two moves, known"));
    Ok(())
}
