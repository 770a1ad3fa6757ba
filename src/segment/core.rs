//! The core of a brain: the connected component after erosion that has the most structures, without muscle, marrow or fat that is
//! mislabelled as brain, and without what a network sees in the noise of wide air.

use ndarray::{Array3, Axis};

use crate::anatomy::overlap::distance_transform_mm;
use crate::anatomy::shape::{Connectivity, components};
use crate::anatomy::{STRUCTURES, Structure};

/// Depth in millimetres below the brain's surface at which the core begins: bridges of less than twice that are cut.
const DEPTH_MM: f32 = 3.0;

/// Voxels of a structure from which on a component has it.
const VOXELS_MIN: u32 = 100;

/// The core of the brain in labels `[D, H, W]` at 1 mm: the component with the most structures, of those the largest; `None` if
/// the erosion leaves nothing.
pub fn core(labels: &Array3<u8>) -> Option<Array3<bool>> {
    let csf = Structure::Csf.index() as u8;
    let depth = distance_transform_mm(labels.mapv(|label| label <= csf).view(), [1.0; 3]);
    let deep = depth.mapv(|depth| depth > DEPTH_MM);
    let found = components(&deep, Connectivity::Faces);
    let mut voxels = vec![[0u32; STRUCTURES]; found.components.len()];
    for (&number, &label) in found.labels().iter().zip(labels).filter(|(number, _)| **number > 0) {
        voxels[number as usize - 1][usize::from(label)] += 1;
    }
    let structures = |at: &usize| voxels[*at].iter().filter(|&&n| n >= VOXELS_MIN).count();
    // The largest comes first; of equal ones `max_by_key` takes the last.
    let core = (0..found.components.len()).rev().max_by_key(structures)?;
    Some(found.mask(core))
}

/// First, median and last plane of a mask's voxels along each axis; `None` for an empty mask.
pub fn extent(mask: &Array3<bool>) -> Option<[[usize; 3]; 3]> {
    let along = |axis: usize| {
        let counts: Vec<usize> =
            mask.axis_iter(Axis(axis)).map(|plane| plane.iter().filter(|&&inside| inside).count()).collect();
        let first = counts.iter().position(|&count| count > 0)?;
        let last = counts.iter().rposition(|&count| count > 0)?;
        let half = counts.iter().sum::<usize>() / 2;
        let mut seen = 0;
        let middle = counts.iter().position(|count| {
            seen += count;
            seen > half
        });
        Some([first, middle?, last])
    };
    Some([along(0)?, along(1)?, along(2)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A larger ball of white matter alone, as a network sees one in noise, beside a smaller brain.
    #[test]
    fn what_has_the_structures_of_a_brain_is_its_core() {
        let far = |[z, y, x]: [usize; 3], cx: f32| {
            ((z as f32 - 15.0).powi(2) + (y as f32 - 15.0).powi(2) + (x as f32 - cx).powi(2)).sqrt()
        };
        let labels = Array3::from_shape_fn((30, 30, 60), |(z, y, x)| {
            let structure = if far([z, y, x], 15.0) < 13.0 {
                Structure::LeftCerebralWhiteMatter
            } else if far([z, y, x], 44.0) >= 12.0 {
                Structure::Background
            } else if z < 15 {
                Structure::RightCerebralWhiteMatter
            } else {
                Structure::RightCerebralCortex
            };
            structure.index() as u8
        });
        let [.., [x0, x, x1]] = extent(&core(&labels).unwrap()).unwrap();
        assert!(x0 > 30 && x == 44 && x1 < 57, "{x0} {x} {x1}");
    }

    /// A ball of brain, a thin bridge, and a smaller ball beyond it.
    #[test]
    fn what_hangs_on_a_thin_bridge_is_no_core() {
        let brain = Structure::LeftCerebralWhiteMatter.index() as u8;
        let labels = Array3::from_shape_fn((30, 30, 60), |(z, y, x)| {
            let far = |cx: f32| {
                ((z as f32 - 15.0).powi(2) + (y as f32 - 15.0).powi(2) + (x as f32 - cx).powi(2)).sqrt()
            };
            let bridge = (z as i32 - 15).abs() < 2 && (y as i32 - 15).abs() < 2 && x > 15 && x < 50;
            if far(15.0) < 12.0 || far(48.0) < 8.0 || bridge { brain } else { 0 }
        });
        let core = core(&labels).unwrap();
        let [[z0, z, z1], _, [x0, x, x1]] = extent(&core).unwrap();
        assert_eq!((z0, z, z1, x), (7, 15, 23, 15));
        assert!(x0 >= 6 && x1 <= 25, "{x0} {x1}");
        assert!(
            super::core(&Array3::zeros((8, 8, 8))).is_none()
                && extent(&Array3::from_elem((2, 2, 2), false)).is_none()
        );
    }
}
