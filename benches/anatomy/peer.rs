//! The peer: brainchop's network of eighteen classes.

use burn::backend::Flex;
use ndarray::Array3;
use voxgan::anatomy::Segmentation;
use voxgan::anatomy::overlap::dice;
use voxgan::anatomy::{REGIONS, Region};
use voxgan::error::Result;
use voxgan::volume::Volume;

use crate::found::Found;
use crate::meshnet::{ClassUnion, MeshNet, UNIONS_18};
use crate::place::Place;

/// Opens it.
pub fn open(place: &Place) -> Result<MeshNet<Flex>> {
    MeshNet::open(&place.data("brainchop/models/model18cls/model.json"), &Default::default())
}

/// Its classes against the truth, region by region.
pub fn against(truth: &Segmentation, classes: &Volume, set: &str, image: &str) -> Vec<Found> {
    let of_union = |union: &ClassUnion| {
        let region = Region::named(union.region).expect("a region of the table");
        let mask = union.mask(classes);
        let voxels = mask.iter().filter(|&&inside| inside).count();
        let found_ml = voxels as f64 * truth.voxel_ml();
        Found {
            set: set.into(),
            image: image.into(),
            region: region.name.into(),
            dice: dice(truth.mask(region).view(), mask.view()),
            truth_ml: truth.region_ml(region),
            found_ml,
            label_ml: found_ml,
        }
    };
    UNIONS_18.iter().map(of_union).collect()
}

/// Ours against its classes, region by region: it takes the place of the truth.
pub fn as_reference(classes: &Volume, ours: &Segmentation, image: &str) -> Vec<Found> {
    let voxel_ml = classes.spacing_mm().iter().product::<f64>() / 1000.0;
    let of_union = |union: &ClassUnion| {
        let region = REGIONS.iter().find(|region| region.name == union.region).expect("a region");
        let mask = union.mask(classes);
        let ours_there = ours.mask(region);
        let ml = |mask: &Array3<bool>| mask.iter().filter(|&&inside| inside).count() as f64 * voxel_ml;
        Found {
            set: "labels of the peer".into(),
            image: image.into(),
            region: region.name.into(),
            dice: dice(mask.view(), ours_there.view()),
            truth_ml: ml(&mask),
            found_ml: ours.region_ml(region),
            label_ml: ml(&ours_there),
        }
    };
    UNIONS_18.iter().map(of_union).collect()
}
