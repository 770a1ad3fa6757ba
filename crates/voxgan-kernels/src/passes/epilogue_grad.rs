//! The gradient of the epilogue from its output alone, without its input.

use super::epilogue::Terms;
use super::instances::instances;
use super::volumes::{Tile, Volumes, across};
use crate::lanes::{Isa, LANES, isa};
use crate::layout::Layout;
use crate::layout::{Shared, filled};
use crate::passes::epilogue::Epilogue;
use rayon::iter::ParallelIterator;

/// The gradients in the input and the parts of an [`Epilogue`]; `None` for parts that it does not have.
#[derive(Clone, Debug, Default)]
pub struct EpilogueGrad {
    /// The gradient in the epilogue's input, in the shape of its output.
    pub x: Vec<f32>,
    /// The gradient in the scale, `[N, O]`.
    pub scale: Option<Vec<f32>>,
    /// The gradient in the field, `[N, V]`.
    pub field: Option<Vec<f32>>,
    /// The gradient in the bias, `[O]`.
    pub bias: Option<Vec<f32>>,
}

/// The gradients of an [`Epilogue`] from its output `y` and the gradient `g` in its output, in one pass.
///
/// The input is recomputed from `y`, so that gain and scale must not be zero; the precision of the gradient in the
/// scale is limited by that of `y`. Where `y` is zero the slope is one.
///
/// # Panics
/// If a slice has the wrong number of elements.
pub fn epilogue_grad(shape: &Volumes, y: &[f32], g: &[f32], epilogue: &Epilogue) -> EpilogueGrad {
    epilogue_grad_on(isa(), shape, y, g, epilogue)
}

pub(crate) fn epilogue_grad_on(
    isa: Isa,
    shape: &Volumes,
    y: &[f32],
    g: &[f32],
    epilogue: &Epilogue,
) -> EpilogueGrad {
    shape.check("epilogue_grad: y", y.len(), shape.floats());
    shape.check("epilogue_grad: g", g.len(), shape.floats());
    epilogue.check(shape);
    let channels = shape.channels;
    let with_field = epilogue.field.is_some();
    let mut field_grad = Vec::new();
    // Sums over each tile: of m for every channel, then of m·z·scale for every channel.
    let mut sums: Vec<Vec<f64>> = Vec::new();
    let run = |out: Shared, field_out: Option<Shared>| -> Vec<Vec<f64>> {
        let of_tile = |tile: Tile| {
            let mut sums = vec![0.0; 2 * channels];
            let (m_sums, z_sums) = sums.split_at_mut(channels);
            // SAFETY: this range of the field's gradient is this job's alone; the first group writes all of it.
            let mut field_to = field_out.map(|out| unsafe { out.slice(shape.field(tile)) });
            for group in 0..shape.groups() {
                let range = shape.range(tile, group);
                // SAFETY: this range of the output is this job's alone, and all of it is written.
                let to = unsafe { out.slice(range.clone()) };
                let terms = Terms::new(shape, epilogue, tile.n, group);
                let Some(terms) = &terms else {
                    to.copy_from_slice(&g[range]);
                    continue;
                };
                let field = epilogue.field.map(|field| &field[shape.field(tile)]);
                let back = Back { terms, layout: shape.layout, field };
                let (mut m, mut z) = ([0.0; LANES], [0.0; LANES]);
                if group == 0
                    && let Some(field) = &mut field_to
                {
                    field.fill(0.0);
                }
                let to_sums = Sums { field: field_to.as_deref_mut(), m: &mut m, z: &mut z };
                back_through(isa, &back, &y[range.clone()], &g[range], to, to_sums);
                shape.gather(&m, group, m_sums);
                shape.gather(&z, group, z_sums);
            }
            sums
        };
        shape.tiles().map(of_tile).collect()
    };
    let mut fill = |out: Shared| {
        if with_field {
            // SAFETY: the tiles cover every voxel of the field.
            field_grad = unsafe { filled(shape.batch * shape.voxels, |field| sums = run(out, Some(field))) };
        } else {
            sums = run(out, None);
        }
    };
    // SAFETY: the tiles cover every voxel, the groups every channel.
    let x = unsafe { filled(y.len(), &mut fill) };
    let scale = epilogue.scale.map(|scale| {
        let by_volume = sums.chunks(shape.tiles_of_volume()).flat_map(|tiles| {
            (0..channels).map(|c| tiles.iter().map(|sums| sums[channels + c]).sum::<f64>())
        });
        by_volume.zip(scale).map(|(sum, scale)| (sum / f64::from(*scale)) as f32).collect()
    });
    let bias = epilogue
        .bias
        .map(|_| (0..channels).map(|c| sums.iter().map(|sums| sums[c]).sum::<f64>() as f32).collect());
    EpilogueGrad { x, scale, field: with_field.then_some(field_grad), bias }
}

/// What one group of channels of a tile goes back through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back<'a> {
    terms: &'a Terms,
    layout: Layout,
    /// One number for each voxel of the tile.
    field: Option<&'a [f32]>,
}

/// Where one group's sums over a tile go.
pub(crate) struct Sums<'a> {
    /// One for each voxel of the tile: m is added up over lanes.
    field: Option<&'a mut [f32]>,
    /// Σ m and Σ m·z·scale over voxels, by lane.
    m: &'a mut [f64; LANES],
    z: &'a mut [f64; LANES],
}

instances! {
    /// With m = g·gain, times the slope where y is negative: `to = m·scale`, and m's sums.
    fn back_through(back: &Back<'_>, y: &[f32], g: &[f32], to: &mut [f32], sums: Sums<'_>) {
        let Sums { field: by_voxel, m, z } = sums;
        match (back.layout, back.field, by_voxel) {
            (Layout::Blocked, Some(field), Some(by_voxel)) => {
                let (field, by_voxel) = (&field[..to.len() / LANES], &mut by_voxel[..to.len() / LANES]);
                // SAFETY: cells are voxels in this layout.
                let field = |cell: usize, _: usize| unsafe { *field.get_unchecked(cell) };
                // SAFETY: as above.
                let add = |cell: usize, m: &[f32]| unsafe { *by_voxel.get_unchecked_mut(cell) += across(m) };
                back_over(back.terms, (y, g), to, (m, z), field, add);
            }
            (Layout::Plain, Some(field), Some(by_voxel)) => {
                let (field, by_voxel) = (&field[..to.len()], &mut by_voxel[..to.len()]);
                // SAFETY: voxels are floats in this layout.
                let field = |cell: usize, lane: usize| unsafe { *field.get_unchecked(cell * LANES + lane) };
                let add = |cell: usize, m: &[f32]| {
                    by_voxel[cell * LANES..][..m.len()].iter_mut().zip(m).for_each(|(sum, m)| *sum += m);
                };
                back_over(back.terms, (y, g), to, (m, z), field, add);
            }
            _ => back_over(back.terms, (y, g), to, (m, z), |_, _| 0.0, |_, _| ()),
        }
    }
}

#[inline(always)]
fn back_over(
    terms: &Terms,
    (y, g): (&[f32], &[f32]),
    to: &mut [f32],
    (m_sums, z_sums): (&mut [f64; LANES], &mut [f64; LANES]),
    field: impl Fn(usize, usize) -> f32,
    mut by_voxel: impl FnMut(usize, &[f32]),
) {
    let terms = *terms;
    let (up, down) = (terms.gain, terms.gain * terms.slope);
    let (mut m_lanes, mut z_lanes) = ([0f64; LANES], [0f64; LANES]);
    let one = |lane: usize, y: f32, g: f32, field: f32| {
        let m = g * if y < 0.0 { down } else { up };
        let before = y * if y < 0.0 { 1.0 / down } else { 1.0 / up };
        (m, before - terms.bias[lane] - field * terms.field[lane])
    };
    let ((y_cells, y_rest), (g_cells, g_rest)) = (y.as_chunks::<LANES>(), g.as_chunks::<LANES>());
    let (cells, rest) = to.as_chunks_mut::<LANES>();
    let whole = cells.len();
    for (cell, ((to, y), g)) in cells.iter_mut().zip(y_cells).zip(g_cells).enumerate() {
        let mut m = [0.0; LANES];
        let mut z = [0.0; LANES];
        for lane in 0..LANES {
            (m[lane], z[lane]) = one(lane, y[lane], g[lane], field(cell, lane));
        }
        for lane in 0..LANES {
            to[lane] = m[lane] * terms.scale[lane];
            m_lanes[lane] += f64::from(m[lane]);
            z_lanes[lane] += f64::from(m[lane]) * f64::from(z[lane]);
        }
        by_voxel(cell, &m);
    }
    let mut last = [0.0; LANES];
    for (lane, ((to, y), g)) in rest.iter_mut().zip(y_rest).zip(g_rest).enumerate() {
        let (m, z) = one(lane, *y, *g, field(whole, lane));
        *to = m * terms.scale[lane];
        m_lanes[lane] += f64::from(m);
        z_lanes[lane] += f64::from(m) * f64::from(z);
        last[lane] = m;
    }
    if !rest.is_empty() {
        by_voxel(whole, &last[..rest.len()]);
    }
    (*m_sums, *z_sums) = (m_lanes, z_lanes);
}
