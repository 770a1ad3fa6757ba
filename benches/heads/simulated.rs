//! Heads that learn from simulated images: translation and progression, on label maps that no training saw.

use burn::backend::Flex;
use ndarray::{Array4, Axis};
use voxgan::config::HeadRecipe;
use voxgan::error::Result;
use voxgan::heads::{Progress, Translate};
use voxgan::io::nifti;
use voxgan::pretrained::segmenter;
use voxgan::segment::Segmenter;
use voxgan::simulate::synthesis::{LabelMap, View, synthesise_pair, synthesise_visits};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::Place;
use crate::images::{picture, restored};
use crate::table::{Contest, head, interval};

/// Maps that no training saw.
const KEPT: [&str; 4] = ["07", "17", "19", "20"];
/// Grid `[D, H, W]` in millimetres: a whole head.
const GRID: [usize; 3] = [208, 240, 192];
/// Seed of the images; those of training have others.
const SEED: u64 = 30_000;
/// Images of each map.
const DRAWS: u64 = 2;
/// Years between the visits.
const YEARS: f64 = 8.0;

fn maps(place: &Place) -> Result<Vec<LabelMap>> {
    let count = if place.quick { 1 } else { KEPT.len() };
    let open = |map: &&str| {
        LabelMap::new(map, nifti::read(place.data.join(format!("synthseg/training_seg_{map}.nii.gz")))?)
    };
    KEPT[..count].iter().map(open).collect()
}

pub fn translate(place: &Place) -> Result<()> {
    let trained = place.network("translate")?;
    let HeadRecipe::Translate(recipe) = &trained.recipe.head else { panic!("weights of translate") };
    let translate = Translate::new(recipe);
    println!(
        "{}\n\nThe line is fitted to each image itself: no other line is better.\n\n{}",
        trained.name,
        head().trim_end()
    );
    let mut contest = Contest::default();
    for map in maps(place)? {
        for draw in 0..DRAWS {
            let address = [SEED, draw, 0];
            let pair = synthesise_pair(&map, View::Centred(GRID), &recipe.synthesis, recipe.to, address);
            let [source, truth] = pair.map(|image| image.insert_axis(Axis(0)));
            let line = line(&source, &truth);
            let network = restored(&trained, &translate.case(source.clone()), 1.0)?;
            contest.add("a line of intensities", &truth, &line)?;
            contest.add("network", &truth, &network)?;
            let name = format!("translate-{}-{draw}", map.name);
            picture(place, &name, &[&source, &line, &network, &truth])?;
        }
    }
    print!("{}", contest.rows("T1 to T2, simulated"));
    Ok(())
}

/// The line of `source` that is nearest to `truth`, over voxels that are not background.
fn line(source: &Array4<f32>, truth: &Array4<f32>) -> Array4<f32> {
    let seen =
        || source.iter().zip(truth).filter(|(x, _)| **x > 0.05).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let count = seen().count() as f64;
    let sum = |f: &dyn Fn(f64, f64) -> f64| seen().map(|(x, y)| f(x, y)).sum::<f64>() / count;
    let (x, y) = (sum(&|x, _| x), sum(&|_, y| y));
    let slope = sum(&|a, b| (a - x) * (b - y)) / sum(&|a, _| (a - x).powi(2));
    source.mapv(|value| if value > 0.05 { (y + slope * (f64::from(value) - x)) as f32 } else { value })
}

pub fn progress(place: &Place) -> Result<()> {
    let trained = place.network("progress")?;
    let HeadRecipe::Progress(recipe) = &trained.recipe.head else { panic!("weights of progress") };
    let (progress, groups) = (Progress::new(recipe), &recipe.groups);
    let segmenter = segmenter::open::<Flex>(segmenter::EMBEDDED, &Default::default())?;
    println!("{}\n\n{YEARS} years, everyone at the group's pace.\n\n{}", trained.name, head().trim_end());
    let mut grown = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let mut contest = Contest::default();
        let mut growth: [Vec<f64>; 3] = Default::default();
        for map in maps(place)? {
            for draw in 0..DRAWS {
                let (ageing, address) = (progress.ageing(number, YEARS, 1.0), [SEED, draw, 0]);
                let visits = synthesise_visits(&map, View::Centred(GRID), &recipe.synthesis, ageing, address);
                let [now, later] = visits.map(|image| image.insert_axis(Axis(0)));
                let network =
                    restored(&trained, &progress.case(now.clone(), YEARS, Some(&group.name))?, 1.0)?;
                contest.add("no change", &later, &now)?;
                contest.add("network", &later, &network)?;
                if draw == 0 {
                    let [before, truth, found] =
                        [&now, &later, &network].map(|x| ventricles_ml(&segmenter, x));
                    let before = before?;
                    growth[0].push(100.0 * (ageing.ventricles - 1.0));
                    growth[1].push(100.0 * (truth? / before - 1.0));
                    growth[2].push(100.0 * (found? / before - 1.0));
                }
                let name = format!("progress-{}-{}-{draw}", group.name, map.name);
                let changes = [&later, &network].map(|image| (image - &now).mapv(|x| 0.5 + x));
                picture(place, &name, &[&now, &network, &later, &changes[0], &changes[1]])?;
            }
        }
        print!("{}", contest.rows(&format!("{}, simulated", group.name)));
        grown.push((&group.name, growth));
    }
    println!("\nGrowth of the lateral ventricles in %, as the segmenter measures it:\n");
    println!("| group | asked for | in the true later image | in the network's |\n|---|---|---|---|");
    for (group, [asked, truth, found]) in &grown {
        println!("| {group} | {} | {} | {} |", interval(asked, 1), interval(truth, 1), interval(found, 1));
    }
    Ok(())
}

fn ventricles_ml(segmenter: &Segmenter<Flex>, image: &Array4<f32>) -> Result<f64> {
    let volume = Volume::new(image.clone(), VoxelToWorld::identity());
    let region = voxgan::anatomy::REGIONS
        .iter()
        .find(|region| region.name == "lateral_ventricles")
        .expect("a region of this name");
    Ok(segmenter.segment(&volume)?.region_ml(region))
}
