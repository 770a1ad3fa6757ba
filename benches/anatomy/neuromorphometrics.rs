//! Label maps drawn by people, in the numbers of Neuromorphometrics' protocol (MICCAI 2012 challenge, OASIS scans).

use std::collections::BTreeSet;

use ndarray::{Array3, Axis};
use voxgan::anatomy::Segmentation;
use voxgan::anatomy::Structure::{self, *};
use voxgan::volume::Volume;

/// The structure that a number belongs to, sides as the file of names has them.
///
/// Choroid plexus is not drawn: it lies in its ventricle. The vermis has no side, and counts to the left; compare both sides of the
/// cerebellum together. Basal forebrain counts to the ventral diencephalon, as in the label maps of IXI; vessels, the optic
/// chiasm and the cavity of the septum to the fluid, as in those of FreeSurfer; lesions to white matter; "exterior" to the
/// cortex, which is what it is between named parts.
pub fn structure(number: i32) -> Option<Structure> {
    Some(match number {
        0 | 1 | 74 => Background,
        4 => ThirdVentricle,
        11 => FourthVentricle,
        15 | 46 | 63 | 64 | 69 => Csf,
        23 => RightAccumbens,
        30 => LeftAccumbens,
        31 | 33 => RightAmygdala,
        32 | 34 => LeftAmygdala,
        35 => BrainStem,
        36 => RightCaudate,
        37 => LeftCaudate,
        38 => RightCerebellarCortex,
        39 | 71..=73 => LeftCerebellarCortex,
        40 => RightCerebellarWhiteMatter,
        41 => LeftCerebellarWhiteMatter,
        42 => RightCerebralCortex,
        43 => LeftCerebralCortex,
        44 | 53 => RightCerebralWhiteMatter,
        45 | 54 => LeftCerebralWhiteMatter,
        47 => RightHippocampus,
        48 => LeftHippocampus,
        49 => RightInferiorLateralVentricle,
        50 => LeftInferiorLateralVentricle,
        51 => RightLateralVentricle,
        52 => LeftLateralVentricle,
        55 => RightPallidum,
        56 => LeftPallidum,
        57 => RightPutamen,
        58 => LeftPutamen,
        59 => RightThalamus,
        60 => LeftThalamus,
        61 | 76 => RightVentralDiencephalon,
        62 | 75 => LeftVentralDiencephalon,
        // Insula, operculum and the named parts of the cortex.
        65..=68 | 100..=207 => {
            if number % 2 == 0 {
                RightCerebralCortex
            } else {
                LeftCerebralCortex
            }
        }
        _ => return None,
    })
}

/// A label map, `but` for numbers that are read in another way.
///
/// # Panics
/// If it has an unknown number.
pub fn segmentation(map: &Volume, but: impl Fn(i32) -> Option<Structure>) -> Segmentation {
    let mut unknown = BTreeSet::new();
    let numbers = map.data.index_axis(Axis(0), 0);
    let labels: Array3<u8> = numbers.mapv(|number| {
        let number = number.round() as i32;
        but(number).or_else(|| structure(number)).map_or_else(
            || {
                unknown.insert(number);
                0
            },
            |structure| structure.index() as u8,
        )
    });
    assert!(unknown.is_empty(), "unknown numbers {unknown:?} in {}", map.provenance.source);
    Segmentation::of_labels(labels, map.affine)
}
