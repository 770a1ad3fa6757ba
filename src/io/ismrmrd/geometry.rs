//! The affine of an ISMRMRD image, from the positions and directions of its readouts.

use nalgebra::{Matrix3, Vector3};

use super::acquisitions::Readout;
use super::xml::Encoding;
use crate::error::Result;
use crate::volume::{ImageGrid, VoxelToWorld};

/// Slices in their order along the slice direction, and the grid of their image.
pub struct Placed {
    /// The counters of the slices, one for each place along `D`; one for a slab.
    pub slices: Vec<usize>,
    /// The grid.
    pub image: ImageGrid,
    /// Notes on the geometry, one line each.
    pub notes: Vec<String>,
}

/// Cosines between directions that are meant to be at right angles, and errors of their lengths, up to which the
/// file is believed.
const TOLERANCE: f64 = 1e-3;

/// Positions beyond this, or that are no numbers, are not believed.
const FARTHEST_MM: f64 = 1e5;

/// The grid of the image of `readouts` (all of [`Role::Imaging`](super::acquisitions::Role::Imaging), at least one), of
/// a slab if `three_d`, of slices otherwise.
///
/// ISMRMRD gives the centre of each slice or slab and the directions of its axes in LPS. That centre is the point
/// which the gradients do not turn, so it is voxel ⌊n/2⌋ along a transformed axis. Slices are sorted by where they
/// lie; their spacing is that of their positions.
pub fn place(readouts: &[&Readout], encoding: &Encoding, three_d: bool) -> Result<Placed> {
    let mut slices: Vec<(usize, Vector3<f64>)> = Vec::new();
    for readout in readouts {
        if !slices.iter().any(|(slice, _)| *slice == readout.slice) {
            slices.push((readout.slice, to_ras(readout.position_mm)));
        }
    }
    slices.sort_by_key(|(slice, _)| *slice);

    let (encoded, recon) = (&encoding.encoded, &encoding.recon);
    let count = slices.len();
    let dims = [recon.matrix[0], recon.matrix[1], if three_d { recon.matrix[2] } else { count }];
    let spacing_mm = {
        let along = |axis: usize| recon.fov_mm[axis] / recon.matrix[axis] as f64;
        // Of slices, matrixSize.z is 1 and the field of view is their thickness.
        [along(0), along(1), if three_d { along(2) } else { recon.fov_mm[2] }]
    };
    let mut notes = Vec::new();
    let mut image = ImageGrid::upright(dims, spacing_mm)?;
    let placed = slices.iter().all(|(_, place)| place.iter().all(|mm| mm.abs() < FARTHEST_MM));
    match axes(readouts[0]).filter(|_| placed) {
        None => notes.push("no geometry in the file: upright about the world's origin".to_string()),
        Some([x, y, z]) => {
            slices.sort_by(|a, b| a.1.dot(&z).total_cmp(&b.1.dot(&z)));
            let mut step = z * spacing_mm[2];
            if !three_d && count > 1 {
                match between(&slices, &mut notes) {
                    Some(apart) => step = apart,
                    None => notes.push("all slices at one place: set apart by their thickness".to_string()),
                }
            }
            let columns = [x * spacing_mm[0], y * spacing_mm[1], step];
            let middle = [dims[0] / 2, dims[1] / 2, if three_d { dims[2] / 2 } else { 0 }];
            let mut origin = slices[0].1;
            for (column, middle) in columns.iter().zip(middle) {
                origin -= column * middle as f64;
            }
            image.affine = VoxelToWorld::from_axes(&Matrix3::from_columns(&columns), &origin)?;
        }
    }
    let depth_mm = image.affine.spacing_mm()[2] * dims[2] as f64;
    image.fov_mm = [recon.fov_mm[0], recon.fov_mm[1], depth_mm];
    image.encoded_fov_mm =
        [encoded.fov_mm[0], encoded.fov_mm[1], if three_d { encoded.fov_mm[2] } else { depth_mm }];
    Ok(Placed { slices: slices.into_iter().map(|(slice, _)| slice).collect(), image, notes })
}

/// The step from slice to slice: that of the first to the last, shared out evenly; `None` if they coincide.
fn between(slices: &[(usize, Vector3<f64>)], notes: &mut Vec<String>) -> Option<Vector3<f64>> {
    let (first, last) = (slices.first()?.1, slices.last()?.1);
    let step = (last - first) / (slices.len() - 1) as f64;
    let worst = slices.windows(2).map(|pair| (pair[1].1 - pair[0].1 - step).norm()).fold(0.0, f64::max);
    if step.norm() < TOLERANCE {
        return None;
    }
    if worst > 0.01 * step.norm() {
        notes.push(format!("slices are unevenly spaced, by up to {worst:.2} mm: placed evenly"));
    }
    Some(step)
}

/// The axes of a readout's image in RAS, if the file gives three at right angles.
fn axes(readout: &Readout) -> Option<[Vector3<f64>; 3]> {
    let axes = readout.directions.map(to_ras);
    let unit = axes.iter().all(|axis| (axis.norm() - 1.0).abs() < TOLERANCE);
    let square = (0..3).all(|axis| axes[axis].dot(&axes[(axis + 1) % 3]).abs() < TOLERANCE);
    (unit && square).then_some(axes)
}

/// From x to the patient's left and y to the back, to x right and y front.
fn to_ras(lps: Vector3<f64>) -> Vector3<f64> {
    Vector3::new(-lps.x, -lps.y, lps.z)
}
