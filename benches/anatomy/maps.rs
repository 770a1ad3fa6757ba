//! Images made of label maps that no training saw: the truth is known.

use ndarray::Axis;
use voxgan::anatomy::Segmentation;
use voxgan::config::SynthesisRecipe;
use voxgan::error::Result;
use voxgan::io::nifti;
use voxgan::simulate::degrade::NoiseLevel;
use voxgan::simulate::synthesis::{Example, LabelMap, View, synthesise};
use voxgan::volume::resample::{Interpolation, resample_spacing};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::alterations::noisy;
use crate::found::csv;
use crate::peer;
use crate::place::Place;
use crate::score::{Case, part};
use crate::table::agreement;
use crate::targets::{ANY, Set, T1_1_MM, T1_2_MM, T1_SLICES};

/// Maps kept for testing, and for validation.
const TEST: [&str; 4] = ["07", "17", "19", "20"];
const VALIDATION: [&str; 2] = ["05", "13"];
/// Images of each map.
const DRAWS: u64 = 5;
/// Seed of the images; those of training have others.
const SEED: u64 = 20_000;
/// Grid `[D, H, W]` in millimetres: a whole head.
const GRID: [usize; 3] = [224, 256, 208];

/// How an image is made.
#[derive(Clone, Copy)]
enum Kind {
    Any,
    /// T1 contrast; voxels along `(i, j, k)` in millimetres.
    T1([f64; 3]),
}

const KINDS: [(&Set, Kind); 4] = [
    (&T1_1_MM, Kind::T1([1.0; 3])),
    (&T1_2_MM, Kind::T1([2.0; 3])),
    (&T1_SLICES, Kind::T1([1.0, 1.0, 4.0])),
    (&ANY, Kind::Any),
];

/// All kinds of images, compared at 1 mm whatever their voxels.
pub fn run(place: &Place, validation: bool) -> Result<()> {
    of_kinds(place, "maps", validation, &KINDS)
}

/// Those of any contrast alone: with and without `--no-refine`, what the refinement does where it knows least of the image.
pub fn of_any_contrast(place: &Place, validation: bool) -> Result<()> {
    of_kinds(place, "any-contrast", validation, &KINDS[3..])
}

fn of_kinds(place: &Place, name: &str, validation: bool, kinds: &[(&'static Set, Kind)]) -> Result<()> {
    let (maps, suffix): (&[&str], _) = if validation { (&VALIDATION, "-validation") } else { (&TEST, "") };
    let cases = maps.iter().flat_map(|map| {
        let draws = 0..if place.options.quick { 1 } else { DRAWS };
        draws.flat_map(move |draw| kinds.iter().map(move |&(set, kind)| case(place, set, kind, map, draw)))
    });
    let sets: Vec<_> = kinds.iter().map(|(set, _)| *set).collect();
    part(place, &format!("anatomy-{name}{suffix}.csv"), &sets, cases)
}

/// The peer on the images that it was made for: T1 contrast, 1 mm.
pub fn of_peer(place: &Place) -> Result<()> {
    let network = peer::open(place)?;
    let mut found = Vec::new();
    let images = TEST.into_iter().flat_map(|map| (0..DRAWS).map(move |draw| (map, draw)));
    for (map, draw) in images.take(place.options.only) {
        let Case { scan, truth, name, set } = case(place, &T1_1_MM, Kind::T1([1.0; 3]), map, draw)?;
        found.extend(peer::against(&truth, &network.segment(&scan)?, set.name, &name));
    }
    println!("{}", agreement(&found));
    place.write("anatomy-maps-peer.csv", &csv(&found));
    Ok(())
}

/// Image number `draw` of a map.
fn case(place: &Place, set: &'static Set, kind: Kind, map: &str, draw: u64) -> Result<Case> {
    let file = place.data(&format!("synthseg/training_seg_{map}.nii.gz"));
    let map = LabelMap::new(map, nifti::read(&file)?)?;
    let any = SynthesisRecipe::default();
    let noise = any.noise;
    let recipe = match kind {
        Kind::Any => any,
        Kind::T1(spacing) => SynthesisRecipe {
            t1_like: 1.0,
            coarse: 0.0,
            cut: 0.0,
            noise: if spacing == [1.0; 3] { any.noise } else { 0.0 },
            ..any
        },
    };
    let Example { image, target, .. } = synthesise(&map, View::Centred(GRID), &recipe, [SEED, draw, 0]);
    let image = Volume::new(image.insert_axis(Axis(0)), VoxelToWorld::identity());
    let truth = Segmentation::of_labels(target, image.affine);
    let scan = match kind {
        // A coarse scan is blurred to the size of its voxels, sampled, and gets its noise then.
        Kind::T1(spacing) if spacing != [1.0; 3] => {
            let coarse = resample_spacing(&image, spacing, Interpolation::Linear);
            noisy(&coarse, NoiseLevel::Sigma([1e-4, noise]), SEED + draw)?
        }
        _ => image,
    };
    Ok(Case { set, name: format!("{}-{draw}", map.name), scan, truth })
}
