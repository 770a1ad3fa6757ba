//! Labels on a coarser grid: the voxels of the fine one vote.

use ndarray::Array3;
use voxgan::anatomy::{STRUCTURES, Segmentation, Structure};
use voxgan::volume::resample::Grid;

/// `found` on a grid whose voxels hold several of its own: each takes the label that most of them have. Taken by the nearest voxel,
/// labels at 1 mm move by half a millimetre along every axis of a grid of 2 mm, whose centres lie between voxels.
pub fn voted(found: &Segmentation, grid: &Grid) -> Segmentation {
    let fine_mm = found.spacing_mm();
    let coarse_mm = [0, 1, 2].map(|axis| grid.affine.fixed_view::<3, 1>(0, axis).norm());
    let voters = [0, 1, 2].map(|axis| (coarse_mm[axis] / fine_mm[axis]).round().max(1.0) as usize);
    if voters == [1; 3] {
        return found.on(grid);
    }
    let fine = found.on(&grid.with_spacing([0, 1, 2].map(|axis| coarse_mm[axis] / voters[axis] as f64)));
    let [w, h, d] = grid.dims;
    let labels = Array3::from_shape_fn((d, h, w), |(z, y, x)| {
        let mut votes = [0u32; STRUCTURES];
        // The voxels just around vote where those within are at odds: together they weigh less than one of them.
        let reach = |axis: usize, at: usize| {
            let (first, n) = ((at * voters[axis]) as isize, voters[axis] as isize);
            (first - 1..=first + n).map(move |place| (place, (first..first + n).contains(&place)))
        };
        let around: u32 = voters.iter().map(|&n| n as u32 + 2).product();
        for (k, k_within) in reach(2, z) {
            for (j, j_within) in reach(1, y) {
                for (i, i_within) in reach(0, x) {
                    // Beyond the first voxel a place wraps to one far beyond the last.
                    if let Some(&label) = fine.labels.get((k as usize, j as usize, i as usize)) {
                        let within = k_within && j_within && i_within;
                        votes[usize::from(label)] += if within { around } else { 1 };
                    }
                }
            }
        }
        (0..STRUCTURES).rev().max_by_key(|&label| votes[label]).expect("structures") as u8
    });
    Segmentation { labels, affine: grid.affine, ..found.clone() }
}

/// Choroid plexus counted to its ventricle, as protocols do that do not tell it apart.
pub fn with_plexus_as_ventricle(mut segmentation: Segmentation) -> Segmentation {
    for (part, whole) in [
        (Structure::LeftChoroidPlexus, Structure::LeftLateralVentricle),
        (Structure::RightChoroidPlexus, Structure::RightLateralVentricle),
    ] {
        let [part, whole] = [part.index(), whole.index()];
        segmentation
            .labels
            .mapv_inplace(|label| if usize::from(label) == part { whole as u8 } else { label });
        segmentation.volume_ml[whole] += std::mem::take(&mut segmentation.volume_ml[part]);
    }
    segmentation
}
