//! Progression beside people: the ages of ds002748, and a patient who was scanned twice.

use burn::backend::Flex;
use ndarray::Array4;
use statrs::distribution::{ContinuousCDF, StudentsT};
use voxgan::anatomy::REGIONS;
use voxgan::config::HeadRecipe;
use voxgan::error::{Error, Result};
use voxgan::heads::Progress;
use voxgan::io::nifti;
use voxgan::pretrained::segmenter;
use voxgan::segment::Segmenter;
use voxgan::volume::Volume;
use voxgan::volume::intensity::{IntensityMap, Normalisation};
use voxgan::volume::orientation::to_ras;
use voxgan::volume::resample::{Interpolation, resample_spacing};

use crate::Place;
use crate::images::{SUBJECTS, restored};
use crate::table::interval;

/// What the network is asked for.
const YEARS: f64 = 10.0;

/// The lateral ventricles as a part of the brain: by age across people, by what the network makes of the test subjects ten
/// years later, and in both visits of a patient.
pub fn progress(place: &Place) -> Result<()> {
    let trained = place.network("progress")?;
    let HeadRecipe::Progress(recipe) = &trained.recipe.head else { panic!("weights of progress") };
    let head = Progress::new(recipe);
    let segmenter = segmenter::open::<Flex>(segmenter::EMBEDDED, &Default::default())?;
    println!("{}\n\nLateral ventricles over brain.\n", trained.name);

    let mut people = ages(place)?;
    if place.quick {
        people.truncate(4);
    }
    let (mut age, mut share) = (Vec::new(), Vec::new());
    let mut later: Vec<Vec<f64>> = vec![Vec::new(); recipe.groups.len()];
    for (subject, years) in &people {
        let path = place.data.join(format!("ds002748/T1w_1mm/{subject}_T1w.nii.gz"));
        let scan = scan(nifti::read(&path)?)?;
        let now = ventricles(&segmenter, &scan)?;
        age.push(*years);
        share.push(now.ln());
        if SUBJECTS.iter().any(|kept| subject.ends_with(kept)) {
            for (group, later) in recipe.groups.iter().zip(&mut later) {
                let case = head.case(scan.data.clone(), YEARS, Some(&group.name))?;
                let aged = Volume { data: restored(&trained, &case, 1.0)?, ..scan.clone() };
                later.push(100.0 * ((ventricles(&segmenter, &aged)? / now).powf(1.0 / YEARS) - 1.0));
            }
        }
    }
    let (slope, half) = slope(&age, &share);
    println!("| | change in a year, % |\n|---|---|");
    println!(
        "| {} people of {:.0} to {:.0} years, across ages | {:.2} ± {:.2} |",
        people.len(),
        age.iter().copied().fold(f64::INFINITY, f64::min),
        age.iter().copied().fold(0.0, f64::max),
        100.0 * slope,
        100.0 * half
    );
    for (group, later) in recipe.groups.iter().zip(&later) {
        println!("| recipe, {} | {:.2} |", group.name, 100.0 * group.ventricles);
        println!("| network, {}, {} test subjects | {} |", group.name, later.len(), interval(later, 2));
    }

    println!("\n| patient of two visits | lateral ventricles over brain, % |\n|---|---|");
    let visit = |number: usize| {
        scan(nifti::read(place.data.join(format!("open_ms_data/patient01_study{number}_T1W.nii.gz")))?)
    };
    let [first, second] = [visit(1)?, visit(2)?];
    println!("| first visit | {:.3} |", 100.0 * ventricles(&segmenter, &first)?);
    for years in [0.0, 1.0, 5.0] {
        let case = head.case(first.data.clone(), years, None)?;
        let aged = Volume { data: restored(&trained, &case, 1.0)?, ..first.clone() };
        println!(
            "| network, {years} years after the first | {:.3} |",
            100.0 * ventricles(&segmenter, &aged)?
        );
    }
    println!("| second visit | {:.3} |", 100.0 * ventricles(&segmenter, &second)?);
    Ok(())
}

/// Subjects with scans at 1 mm, and their ages.
fn ages(place: &Place) -> Result<Vec<(String, f64)>> {
    let path = place.data.join("ds002748/participants.tsv");
    let text = std::fs::read_to_string(&path).map_err(|source| Error::io(&path, "read the ages", source))?;
    let person = |line: &str| {
        let mut fields = line.split('\t');
        Some((fields.next()?.to_string(), fields.next()?.parse().ok()?))
    };
    let scanned = |(subject, _): &(String, f64)| {
        place.data.join(format!("ds002748/T1w_1mm/{subject}_T1w.nii.gz")).exists()
    };
    Ok(text.lines().skip(1).filter_map(person).filter(scanned).collect())
}

/// A scan at 1 mm, the brightest tissue one.
fn scan(volume: Volume) -> Result<Volume> {
    let (volume, _) = to_ras(volume);
    let map = IntensityMap::fit(&volume, &Normalisation::Percentile { low: 0.0, high: 99.9 })?;
    let volume = map.apply(volume);
    let from_zero: Array4<f32> = volume.data.mapv(|x| 0.5 * (x + 1.0));
    Ok(resample_spacing(&Volume { data: from_zero, ..volume }, [1.0; 3], Interpolation::Cubic))
}

/// Lateral ventricles as a part of the brain.
fn ventricles(segmenter: &Segmenter<Flex>, volume: &Volume) -> Result<f64> {
    let found = segmenter.segment(volume)?;
    let [ventricles, brain] = ["lateral_ventricles", "brain"].map(|name| {
        let region = REGIONS.iter().find(|region| region.name == name).expect("a region of this name");
        found.region_ml(region)
    });
    Ok(ventricles / brain)
}

/// The slope of the line of y over x, and half of its 95 % interval.
fn slope(x: &[f64], y: &[f64]) -> (f64, f64) {
    let count = x.len() as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(x), mean(y));
    let spread: f64 = x.iter().map(|x| (x - x_mean).powi(2)).sum();
    let slope = x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
    let left: f64 = x.iter().zip(y).map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2)).sum();
    let student = StudentsT::new(0.0, 1.0, count - 2.0).expect("more than two people");
    (slope, student.inverse_cdf(0.975) * (left / (count - 2.0) / spread).sqrt())
}
