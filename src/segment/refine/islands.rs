//! Fluid of sulci that was labelled as ventricle.

use ndarray::Array3;

use super::groups::group;
use crate::anatomy::Group;
use crate::anatomy::shape::{Connectivity, components};
use crate::anatomy::{STRUCTURES, Structure};

/// Resets the connected components of ventricle and plexus without a voxel of the network's ventricle or plexus to the
/// labels of `network`, and moves their volume in `voxels`.
pub fn remove(labels: &mut Array3<u8>, network: &[u8], voxels: &mut [f64; STRUCTURES]) {
    let ventricle = Structure::ALL.map(|s| matches!(group(s), Group::Ventricles | Group::ChoroidPlexus));
    let found = components(&labels.mapv(|label| ventricle[usize::from(label)]), Connectivity::Corners);
    let components = found.labels();
    let mut known = vec![false; found.components.len() + 1];
    known[0] = true;
    for (&component, &label) in components.iter().zip(network) {
        known[component as usize] |= ventricle[usize::from(label)];
    }
    for ((label, &component), &network) in labels.iter_mut().zip(&components).zip(network) {
        if !known[component as usize] {
            let from = &mut voxels[usize::from(*label)];
            let moved = from.min(1.0);
            *from -= moved;
            voxels[usize::from(network)] += moved;
            *label = network;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pieces_that_the_network_knows_stay() {
        let [ventricle, cortex] =
            [Structure::LeftLateralVentricle, Structure::LeftCerebralCortex].map(|s| s.index() as u8);
        let mut labels = Array3::from_elem((6, 6, 12), cortex);
        labels.slice_mut(ndarray::s![1..4, 1..4, 1..4]).fill(ventricle);
        labels.slice_mut(ndarray::s![1..3, 1..3, 8..10]).fill(ventricle);
        let mut network = vec![cortex; labels.len()];
        network[(2 * 6 + 2) * 12 + 2] = ventricle;
        let mut voxels = [0.0; STRUCTURES];
        (voxels[usize::from(ventricle)], voxels[usize::from(cortex)]) = (35.0, 397.0);
        remove(&mut labels, &network, &mut voxels);
        assert_eq!(labels.iter().filter(|&&label| label == ventricle).count(), 27);
        assert_eq!((voxels[usize::from(ventricle)], voxels[usize::from(cortex)]), (27.0, 405.0));
    }
}
