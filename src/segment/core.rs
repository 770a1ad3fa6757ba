//! The core of a brain: its largest connected component after erosion, without muscle, marrow or fat that is
//! mislabelled as brain.

use ndarray::{Array3, Axis};

use crate::anatomy::Structure;
use crate::anatomy::overlap::distance_transform_mm;
use crate::anatomy::shape::{Connectivity, components};

/// Depth in millimetres below the brain's surface at which the core begins: bridges of less than twice that are cut.
const DEPTH_MM: f32 = 3.0;

/// The core of the brain in labels `[D, H, W]` at 1 mm; `None` if the erosion leaves nothing.
pub fn core(labels: &Array3<u8>) -> Option<Array3<bool>> {
    let csf = Structure::Csf.index() as u8;
    let depth = distance_transform_mm(labels.mapv(|label| label <= csf).view(), [1.0; 3]);
    let deep = depth.mapv(|depth| depth > DEPTH_MM);
    let components = components(&deep, Connectivity::Faces);
    (!components.components.is_empty()).then(|| components.mask(0))
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
