//! Images made of the label maps kept for testing: the truth is known.

use nalgebra::Matrix4;
use ndarray::Axis;
use voxgan::anatomy::overlap::Overlap;
use voxgan::anatomy::synthesis::{Example, LabelMap, View, synthesise};
use voxgan::anatomy::{REGIONS, Segmentation, Structure};
use voxgan::config::SynthesisRecipe;
use voxgan::error::Result;
use voxgan::io::nifti;
use voxgan::volume::Volume;

use crate::Place;
use crate::peer;
use crate::table::{Found, correlation, csv, mean, quantile, table};

/// Maps that no training saw.
pub const KEPT: [&str; 4] = ["07", "17", "19", "20"];
/// Images of each map.
const DRAWS: u64 = 5;
/// Seed of the images; those of training have others.
const SEED: u64 = 20_000;
/// Grid `[D, H, W]` in millimetres: a whole head.
const GRID: [usize; 3] = [224, 256, 208];

/// Both kinds of images, and the peer on the second.
pub fn run(place: &Place) -> Result<()> {
    let any = SynthesisRecipe::default();
    // What the peer was made for: T1 contrast, 1 mm.
    let t1 = SynthesisRecipe { t1_like: 1.0, coarse: 0.0, cut: 0.0, ..any.clone() };
    for (name, recipe, with_peer) in [("any", &any, false), ("t1", &t1, true)] {
        let (mut ours, mut theirs, mut means) = (Vec::new(), Vec::new(), Vec::new());
        for map in KEPT {
            let file = place.data.join(format!("synthseg/training_seg_{map}.nii.gz"));
            let map = LabelMap::new(map, nifti::read(&file)?)?;
            for draw in 0..if place.quick { 1 } else { DRAWS } {
                let Example { image, target, .. } =
                    synthesise(&map, View::Centred(GRID), recipe, [SEED, draw, 0]);
                let image = Volume::new(image.insert_axis(Axis(0)), Matrix4::identity());
                let truth = Segmentation::of_labels(target, image.affine);
                let label = format!("{}-{draw}", map.name);
                let found = place.segmenter.segment(&image)?;
                let overlap = Overlap::of(&truth, &found)?;
                ours.extend(REGIONS.iter().map(|region| Found {
                    image: label.clone(),
                    region: region.name,
                    dice: overlap.dice(region),
                    truth_ml: truth.region_ml(region),
                    found_ml: found.region_ml(region),
                }));
                means.push(of_structures(&truth, &found));
                if with_peer && !place.quick {
                    let classes = peer::open(place)?.segment(&image)?;
                    theirs.extend(peer::against(&truth, &classes, &label));
                }
                eprintln!("{name} {label}: mean Dice {:.3}", means[means.len() - 1]);
            }
        }
        println!("### {name}: ours\n\n{}", table(&ours));
        targets(&ours, &mut means);
        write(place, &format!("anatomy-maps-{name}.csv"), &csv(&ours));
        if with_peer && !place.quick {
            println!("### {name}: the peer on the same images\n\n{}", table(&theirs));
            write(place, &format!("anatomy-maps-{name}-peer.csv"), &csv(&theirs));
        }
    }
    Ok(())
}

/// Mean Dice over the structures that the truth has, air and head left out.
fn of_structures(truth: &Segmentation, found: &Segmentation) -> f64 {
    let dice: Vec<f64> = (Structure::Csf.index()..Structure::ALL.len())
        .filter_map(|k| {
            let [mut both, mut sum, mut true_voxels] = [0u64; 3];
            for (&a, &b) in truth.labels.iter().zip(&found.labels) {
                let (a, b) = (usize::from(a) == k, usize::from(b) == k);
                both += u64::from(a && b);
                sum += u64::from(a) + u64::from(b);
                true_voxels += u64::from(a);
            }
            (true_voxels > 0).then(|| 2.0 * both as f64 / sum as f64)
        })
        .collect();
    mean(&dice)
}

/// What is asked for, and what was found.
fn targets(found: &[Found], means: &mut [f64]) {
    let of = |region: &'static str| found.iter().filter(move |one| one.region == region);
    let dice = |region| mean(&of(region).filter_map(|one| one.dice).collect::<Vec<_>>());
    let error = |region| quantile(&mut of(region).filter_map(Found::error_percent).collect::<Vec<_>>(), 0.5);
    let ventricles: Vec<(f64, f64)> =
        of("lateral_ventricles").map(|one| (one.truth_ml, one.found_ml)).collect();
    println!("Dice of the brain {:.3} (asked for: 0.95)", dice("brain"));
    println!("Dice of the lateral ventricles {:.3} (0.90)", dice("lateral_ventricles"));
    println!(
        "mean Dice of the structures {:.3} (0.85), lowest image {:.3}",
        mean(means),
        quantile(means, 0.0)
    );
    println!(
        "median error of volume: brain {:.1} % (3), lateral ventricles {:.1} % (8)",
        error("brain"),
        error("lateral_ventricles")
    );
    println!("correlation of the lateral ventricles' volume {:.3} (0.97)\n", correlation(&ventricles));
}

/// Writes a table of results.
pub fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.out.join(name), text).expect("results can be written");
}
