//! Real scans with label maps, for the training of a segmenter on intensities that the simulation does not cover.

use ndarray::{Array3, Axis};
use rand::RngExt;

use super::SynthesisRecipe;
use super::contrast::Shown;
use super::labels::bounds;
use super::space::Space;
use super::{Example, NOISE, ONCE, View, acquired, shade};
use crate::anatomy::{APART, Classes};
use crate::anatomy::{STRUCTURES, Segmentation, Structure};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::volume::Volume;
use crate::volume::orientation::to_ras;

/// How far a voxel may be from a cube, as a part of its edge.
const CUBE: f64 = 0.02;
/// Structures that protocols count as part of another: choroid plexus as its ventricle.
const UNIONS: [(Structure, Structure); 2] = [
    (Structure::LeftChoroidPlexus, Structure::LeftLateralVentricle),
    (Structure::RightChoroidPlexus, Structure::RightLateralVentricle),
];

/// A skull-stripped scan with its label map, on one RAS+ grid of isotropic voxels.
#[derive(Clone, Debug)]
pub struct LabelledScan {
    /// Name of the scan's file.
    pub name: String,
    /// Intensities, `[D, H, W]`.
    image: Array3<f32>,
    /// Index of each voxel's [`Structure`], `[D, H, W]`.
    labels: Array3<u8>,
    voxel_mm: f64,
    /// Middle of the brain's bounding box in voxels, `[D, H, W]`.
    centre: [f64; 3],
    classes: Classes,
}

impl LabelledScan {
    /// The scan and its label map with FreeSurfer's numbers. A structure that the map does not have, and that some
    /// protocols count as part of another (choroid plexus as part of its ventricle), is of the other's class.
    ///
    /// # Errors
    /// [`Error::Value`] for several channels, different grids, anisotropic voxels, unknown numbers or a map without a
    /// brain.
    pub fn new(name: &str, scan: Volume, labels: &Volume) -> Result<Self> {
        if scan.channels() != 1 {
            let found = format!("{} of them", scan.channels());
            return Err(Error::value(format!("channels of {name}"), "one", found, "give one image"));
        }
        if scan.data.dim() != labels.data.dim() || (*scan.affine - *labels.affine).abs().max() > 1e-3 {
            let (expected, found) = (format!("{:?}", scan.dims()), format!("{:?}", labels.dims()));
            let advice = "give a label map on the grid of its scan";
            return Err(Error::value(format!("grid of the label map of {name}"), expected, found, advice));
        }
        let [scan, labels] = [scan, labels.clone()].map(|volume| to_ras(volume).0);
        let spacing = scan.spacing_mm();
        let voxel_mm = spacing.iter().sum::<f64>() / 3.0;
        if spacing.iter().any(|mm| (mm / voxel_mm - 1.0).abs() > CUBE) {
            let advice = "resample scan and label map to cubes first";
            return Err(Error::value(
                format!("voxels of {name}"),
                "cubes",
                format!("{spacing:?} mm"),
                advice,
            ));
        }
        let labels = Segmentation::of_numbers(&labels)?.labels;
        let labels = labels.as_standard_layout().into_owned();
        let csf = Structure::Csf.index();
        let Some(brain) = bounds(&labels, |label| usize::from(label) > csf) else {
            let advice = "check the numbers of the label map";
            return Err(Error::value(format!("labels of {name}"), "a brain", "none", advice));
        };
        let mut present = [false; STRUCTURES];
        labels.iter().for_each(|&label| present[usize::from(label)] = true);
        let mut classes = APART;
        for (part, whole) in UNIONS {
            if !present[part.index()] {
                classes[part.index()] = whole.index() as u8;
            }
        }
        Ok(Self {
            name: name.into(),
            image: scan.data.index_axis(Axis(0), 0).as_standard_layout().into_owned(),
            labels,
            voxel_mm,
            centre: brain.map(|[first, last]| (first + last) as f64 / 2.0),
            classes,
        })
    }

    /// The example at the address (seed, step, sample): rotated, scaled, deformed and possibly mirrored like a
    /// simulated image ([`super::synthesise`]), with a further bias field, coarser voxels and noise, and possibly
    /// without the fluid around the brain.
    pub fn example(&self, view: View, recipe: &SynthesisRecipe, [seed, step, sample]: [u64; 3]) -> Example {
        let rng = |phase| stream(seed, step, phase, sample, Purpose::Synthesis);
        let once = &mut rng(ONCE);
        let space = Space::draw(self.centre, self.voxel_mm, view, recipe, once);
        let shape = space.shape;
        let shown =
            if once.random::<f64>() < recipe.stripped_to_brain { Shown::Brain } else { Shown::Intracranial };
        let told = |label: u8| {
            let structure = Structure::ALL[usize::from(label)];
            shown.target(if space.mirrored { structure.mirrored() } else { structure }).index() as u8
        };
        let background = Structure::Background.index() as u8;
        let mut target = space.likeliest(&self.labels, background);
        let mut image = space.linear(&self.image);
        for (label, x) in target.iter_mut().zip(&mut image) {
            *label = told(*label);
            if shown == Shown::Brain && *label == background {
                *x = 0.0;
            }
        }
        shade(&mut image, shape, recipe.bias, once);
        let image = acquired(image, &mut target, shape, self.voxel_mm, shown, recipe, once, &rng(NOISE));
        let whole = "the grid's voxels";
        Example {
            image: Array3::from_shape_vec(shape, image).expect(whole),
            target: Array3::from_shape_vec(shape, target).expect(whole),
            classes: self.classes,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::super::tests::still;
    use super::*;
    use crate::volume::VoxelToWorld;

    /// A head of 2 mm: a ball of white matter whose left half is at low x, a ventricle in its middle, fluid around it.
    fn scan() -> (Volume, Volume) {
        let number = |z: usize, y: usize, x: usize| {
            let p = [z, y, x].map(|c| c as f64 - 15.5);
            let r = p.iter().map(|c| c * c).sum::<f64>().sqrt();
            match r {
                ..4.0 => {
                    if p[2] < 0.0 {
                        4.0
                    } else {
                        43.0
                    }
                }
                ..12.0 => {
                    if p[2] < 0.0 {
                        2.0
                    } else {
                        41.0
                    }
                }
                ..14.0 => 24.0,
                _ => 0.0,
            }
        };
        let labels = Array4::from_shape_fn((1, 32, 32, 32), |(_, z, y, x)| number(z, y, x));
        let image = labels.mapv(|number| match number as u8 {
            2 | 41 => 200.0,
            4 | 43 => 40.0,
            24 => 30.0,
            _ => 0.0,
        });
        let affine = (0..3).fold(VoxelToWorld::identity(), |affine, axis| affine.stretched(axis, 2.0));
        (Volume::new(image, affine), Volume::new(labels, affine))
    }

    /// Nothing moves, nothing is coarse, nothing is cut away.
    fn whole() -> SynthesisRecipe {
        SynthesisRecipe { stripped_to_brain: 0.0, ..still() }
    }

    #[test]
    fn a_scan_of_2_mm_keeps_its_volumes_at_1_mm_and_its_image_fits_its_labels() {
        let (image, labels) = scan();
        let scan = LabelledScan::new("s", image, &labels).unwrap();
        let Example { image, target, classes } = scan.example(View::Centred([64; 3]), &whole(), [0; 3]);
        let ball = |r: f64| 4.0 / 3.0 * std::f64::consts::PI * r.powi(3);
        let voxels = |structure: Structure| {
            target.iter().filter(|label| usize::from(**label) == structure.index()).count()
        };
        let expected = [
            (Structure::LeftLateralVentricle, ball(8.0) / 2.0, 0.08),
            (Structure::RightCerebralWhiteMatter, (ball(24.0) - ball(8.0)) / 2.0, 0.02),
        ];
        for (structure, expected, within) in expected {
            let found = voxels(structure) as f64;
            assert!((found / expected - 1.0).abs() < within, "{structure:?}: {found} {expected}");
        }
        let mean = |structure: Structure| {
            let seen: Vec<f32> = image
                .iter()
                .zip(&target)
                .filter(|(_, label)| usize::from(**label) == structure.index())
                .map(|(x, _)| *x)
                .collect();
            seen.iter().sum::<f32>() / seen.len() as f32
        };
        assert!(
            mean(Structure::LeftCerebralWhiteMatter) > 0.9 && mean(Structure::LeftLateralVentricle) < 0.4
        );
        // The map has no choroid plexus: it is not told apart from its ventricle.
        assert_eq!(
            classes[Structure::LeftChoroidPlexus.index()],
            Structure::LeftLateralVentricle.index() as u8
        );
        assert_eq!(classes[Structure::LeftThalamus.index()], Structure::LeftThalamus.index() as u8);
    }

    #[test]
    fn mirrored_and_without_fluid() {
        let (image, labels) = scan();
        let scan = LabelledScan::new("s", image, &labels).unwrap();
        let recipe = SynthesisRecipe { mirrored: 1.0, stripped_to_brain: 1.0, ..whole() };
        let Example { image, target, .. } = scan.example(View::Centred([64; 3]), &recipe, [0; 3]);
        let left = Structure::LeftCerebralWhiteMatter.index();
        let columns = target.indexed_iter().filter(|(_, label)| usize::from(**label) == left);
        assert!(columns.map(|((_, _, x), _)| x).all(|x| x < 33));
        for (x, &label) in image.iter().zip(&target) {
            assert_ne!(usize::from(label), Structure::Csf.index());
            assert!(label != 0 || *x == 0.0);
        }
    }

    #[test]
    fn another_grid_is_refused() {
        let (image, mut labels) = scan();
        labels.affine = labels.affine.with_origin_at([0.5, 0.0, 0.0]);
        let error = LabelledScan::new("sub-01", image, &labels).unwrap_err().to_string();
        assert!(error.contains("sub-01") && error.contains("grid"), "{error}");
    }
}
