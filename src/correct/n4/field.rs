//! The fitted field: a record that can be stored, and evaluated on any grid over the same field of view.

use ndarray::{Array3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::N4Options;
use super::bspline::{Lattice, Taps};
use crate::volume::Volume;

/// A bias field: the exponential of a cubic B-spline over the image's field of view.
///
/// It is plain data: after serialisation (such as JSON) it corrects an image to the same bits ([`Field::remove`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The options of the fit.
    pub options: N4Options,
    /// Number of iterations of each level.
    pub iterations: Vec<usize>,
    /// The field of view in millimetres, from edge to edge, along the voxel axes `(i, j, k)`.
    pub extent_mm: [f64; 3],
    /// Length of the finest level's spans in millimetres; they are centred on the field of view.
    pub span_mm: f64,
    /// Control points of the field's logarithm, `[D, H, W]`.
    pub log_lattice: Lattice,
}

impl Field {
    /// A field of one over `volume`'s field of view, with spans of `options.spline_mm`.
    pub(super) fn flat(volume: &Volume, options: &N4Options) -> Self {
        let (dims, spacing) = (volume.dims(), volume.spacing_mm());
        let spans = [2, 1, 0].map(|axis| {
            let domain_mm = (dims[axis] as f64 - 1.0) * spacing[axis];
            (domain_mm / options.spline_mm).ceil().max(1.0) as usize
        });
        Self {
            options: options.clone(),
            iterations: Vec::new(),
            extent_mm: [0, 1, 2].map(|axis| dims[axis] as f64 * spacing[axis]),
            span_mm: options.spline_mm,
            log_lattice: Lattice::zeros(spans),
        }
    }

    /// Voxels of `volume` along (D, H, W) by which the spans of this field reach beyond its outermost voxels.
    pub(super) fn padding(&self, volume: &Volume) -> [usize; 3] {
        let (dims, spacing, spans) = (volume.dims(), volume.spacing_mm(), self.log_lattice.spans());
        [2, 1, 0].map(|axis| {
            let lattice = spans[2 - axis] as f64 * self.span_mm / spacing[axis];
            (lattice - (dims[axis] as f64 - 1.0)).round().max(0.0) as usize
        })
    }

    /// Halves the spans without changing the field.
    pub(super) fn refine(&mut self) {
        self.log_lattice = self.log_lattice.refined();
        self.span_mm /= 2.0;
    }

    /// The B-splines at these voxels of an axis of `(D, H, W)` that has `length` voxels.
    pub(super) fn taps(&self, axis: usize, length: usize, voxels: impl Iterator<Item = usize>) -> Taps {
        let spans = self.log_lattice.spans()[axis];
        let extent = self.extent_mm[2 - axis] / self.span_mm;
        let from_middle = move |voxel: usize| (voxel as f64 + 0.5) / length as f64 - 0.5;
        Taps::new(voxels.map(|voxel| spans as f64 / 2.0 + from_middle(voxel) * extent), spans)
    }

    /// The field `[D, H, W]`, which multiplied the image, on a grid of `dims` = `(i, j, k)` voxels over the same field
    /// of view.
    ///
    /// With the image's [`Volume::dims`] it is the field at its voxels.
    pub fn evaluate(&self, dims: [usize; 3]) -> Array3<f32> {
        let [w, h, d] = dims;
        let mut field = Array3::zeros((d, h, w));
        self.for_rows(&mut field, |value, log| *value = (log as f32).exp());
        field
    }

    /// `volume` with every voxel, air included, divided by the field.
    pub fn remove(&self, mut volume: Volume) -> Volume {
        if !volume.data.is_standard_layout() {
            volume.data = volume.data.as_standard_layout().into_owned();
        }
        for mut channel in volume.data.outer_iter_mut() {
            let mut voxels = channel.to_owned();
            self.for_rows(&mut voxels, |value, log| *value /= (log as f32).exp());
            channel.assign(&voxels);
        }
        volume
    }

    /// Calls `act` with each value of `[D, H, W]` and the logarithm of the field there.
    fn for_rows(&self, values: &mut Array3<f32>, act: impl Fn(&mut f32, f64) + Sync) {
        let (d, h, w) = values.dim();
        let [td, th, tw] = [(0, d), (1, h), (2, w)].map(|(axis, length)| self.taps(axis, length, 0..length));
        values.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(d, mut plane)| {
            self.log_lattice.rows([&td, &th, &tw], d, |h, line| {
                let row = plane.row_mut(h).into_iter().enumerate();
                row.for_each(|(w, value)| act(value, tw.value(w, line)));
            });
        });
    }
}
