//! Brain masks from a segmentation, without dura and eyes.

use ndarray::{Array3, Zip};

use super::overlap::distance_transform_mm;
use super::segmentation::Segmentation;
use super::shape::{Connectivity, components, whole};
use super::structures::Region;

/// Sheets and bridges of up to twice this thickness are no brain: dura, the optic nerve, the walls of vessels. Gyri are
/// thicker, two sheets of cortex and the white matter between.
const THIN_MM: f32 = 2.0;
/// How far the surface is left standing beyond what a ball of [`THIN_MM`] rounds off: edges of gyri.
const EDGE_MM: f32 = 1.5;
/// Thick components of less are knots of sheets, in cubic millimetres.
const KNOT_MM3: f64 = 50.0;
/// Thick components beyond bridges belong to the brain if they reach no further from the main one: eyes and muscle do.
const NEAR_MM: f32 = 8.0;

/// The mask `[D, H, W]` of the region `brain` or `intracranial`, on the grid of the labels: one connected component
/// without holes, without thin sheets and structures behind thin bridges, which are often mislabelled as brain.
///
/// It is a morphological opening by a ball of 2 mm, with another 1.5 mm of the region around the result, which
/// preserves edges. A region without any part that thick is reduced to [`whole`] only.
pub fn brain_mask(segmentation: &Segmentation, region: &Region) -> Array3<bool> {
    let mask = whole(&segmentation.mask(region));
    let spacing_mm = segmentation.spacing_mm();
    let depth = distance_transform_mm(mask.mapv(|inside| !inside).view(), spacing_mm);
    let thick = depth.mapv(|depth| depth > THIN_MM);
    let components = components(&thick, Connectivity::Faces);
    if components.components.is_empty() {
        return mask;
    }
    let far = distance_transform_mm(components.mask(0).view(), spacing_mm);
    let labels = components.labels();
    let mut reach_mm = vec![0f32; components.components.len() + 1];
    Zip::from(&labels).and(&far).for_each(|&component, &far| {
        reach_mm[component as usize] = reach_mm[component as usize].max(far);
    });
    let voxel_mm3 = 1000.0 * segmentation.voxel_ml();
    let belongs: Vec<bool> = std::iter::once(false)
        .chain(components.components.iter().zip(&reach_mm[1..]).map(|(component, &reach_mm)| {
            reach_mm <= NEAR_MM && (reach_mm == 0.0 || component.voxels as f64 * voxel_mm3 >= KNOT_MM3)
        }))
        .collect();
    let kept = labels.mapv(|component| belongs[component as usize]);
    let near = distance_transform_mm(kept.view(), spacing_mm);
    whole(&Zip::from(&mask).and(&near).map_collect(|&inside, &near| inside && near <= THIN_MM + EDGE_MM))
}

#[cfg(test)]
mod tests {
    use crate::volume::VoxelToWorld;

    use super::super::structures::Structure;
    use super::*;

    /// Labels of cortex where `inside` says so, on a grid of 1 mm.
    fn cortex(inside: impl Fn([f64; 3]) -> bool) -> Segmentation {
        let label = Structure::LeftCerebralCortex.index() as u8;
        let labels = Array3::from_shape_fn((64, 72, 64), |(z, y, x)| {
            if inside([x as f64 - 31.0, y as f64 - 33.0, z as f64 - 31.0]) { label } else { 0 }
        });
        Segmentation::of_labels(labels, VoxelToWorld::identity())
    }

    fn radius([x, y, z]: [f64; 3]) -> f64 {
        (x * x + y * y + z * z).sqrt()
    }

    fn mask(inside: impl Fn([f64; 3]) -> bool) -> Array3<bool> {
        brain_mask(&cortex(inside), Region::named("brain").unwrap())
    }

    fn share(a: &Array3<bool>, b: &Array3<bool>) -> f64 {
        let differ = a.iter().zip(b).filter(|(a, b)| a != b).count();
        differ as f64 / b.iter().filter(|&&inside| inside).count() as f64
    }

    #[test]
    fn a_ball_stays_as_it_is_and_holes_are_filled() {
        let ball = cortex(|p| radius(p) <= 20.0).labels.mapv(|label| label > 0);
        assert_eq!(mask(|p| radius(p) <= 20.0), ball);
        assert_eq!(mask(|p| radius(p) <= 20.0 && !(2.0..4.0).contains(&radius(p))), ball);
    }

    /// A sheet of 3 mm over the vertex on a bridge, an eye of 24 mm on its nerve of 4 mm.
    #[test]
    fn dura_and_eyes_go() {
        let ball = cortex(|p| radius(p) <= 20.0).labels.mapv(|label| label > 0);
        let sheet = |p: [f64; 3]| (24.0..27.0).contains(&radius(p)) && p[2] > 12.0;
        let bridge = |p: [f64; 3]| p[0].abs() < 1.6 && p[1].abs() < 1.6 && (18.0..25.0).contains(&p[2]);
        let found = mask(|p| radius(p) <= 20.0 || sheet(p) || bridge(p));
        assert!(share(&found, &ball) < 0.001, "{}", share(&found, &ball));
        let eye = |[x, y, z]: [f64; 3]| radius([x, y - 30.0, z + 4.0]) <= 8.0;
        let nerve = |[x, y, z]: [f64; 3]| x.hypot(z + 4.0) <= 2.0 && (15.0..26.0).contains(&y);
        let found = mask(|p| radius(p) <= 14.0 || eye(p) || nerve(p));
        let brain = cortex(|p| radius(p) <= 14.0).labels.mapv(|label| label > 0);
        assert!(share(&found, &brain) < 0.005, "{}", share(&found, &brain));
    }

    /// Folds of 6 mm with gaps of 3 mm between them, as of a shrunken brain, on a core that all of them reach.
    #[test]
    fn gyri_stay() {
        let fold = |p: [f64; 3]| {
            let fold = p[0].abs() < 13.0 && (p[0] + 100.0).rem_euclid(9.0) < 6.0;
            radius(p) <= 16.0 || (fold && radius(p) <= 28.0)
        };
        let plain = cortex(fold).labels.mapv(|label| label > 0);
        assert!(share(&mask(fold), &plain) < 0.02, "{}", share(&mask(fold), &plain));
    }
}
