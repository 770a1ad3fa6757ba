//! Convolution, and its input gradient, which is the transposed convolution.

use super::axes::{Axis, Phase, stays_inside};
use super::gather::{Nest, Side};
use super::weights::Weights;
use crate::lanes::{Isa, LANES};
use crate::layout::Layout;
use crate::passes::epilogue::Epilogue;
use crate::passes::volumes::Volumes;
use crate::shape::{Conv3d, Grid};

/// How many times the weights of all volumes must go into the source if its factors are to be theirs.
const FOLD: usize = 8;

/// Cross-correlates `x` `[N, I, D, H, W]` with `w` `[O, I, kd, kh, kw]` into `[N, O, D', H', W']`, zeros around the
/// input; x and the result lie as `shape` says. Channels of x are multiplied by `in_scale` `[N, I]` as they are read,
/// and `epilogue` is applied to the result.
///
/// # Panics
/// If a slice does not have the number of elements that `shape` asks for.
pub fn conv3d_on(
    isa: Isa,
    shape: &Conv3d,
    x: &[f32],
    w: &[f32],
    in_scale: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    shape.check("x", x.len(), shape.input_len());
    shape.check("w", w.len(), shape.weight_len());
    let shape = shape.folded();
    let output = shape.output();
    let axes = std::array::from_fn(|a| {
        let taps = (0..shape.kernel[a]).map(|k| (k, k as isize - shape.padding[a] as isize)).collect();
        Axis { stride: shape.stride[a], phases: vec![Phase { start: 0, step: 1, count: output[a], taps }] }
    });
    let source = Side { grid: shape.input_grid(), layout: shape.in_layout };
    let target = Side { grid: shape.output_grid(), layout: shape.out_layout };
    run(isa, &shape, (source, x), target, axes, (w, false), in_scale, epilogue)
}

/// The gradient of [`conv3d_on`] by its input, `[N, I, D, H, W]`, from `grad_out` `[N, O, D', H', W']`: the transposed
/// convolution. With a stride of two each of the eight parities of the input position gathers its own subset of taps.
/// Channels of `grad_out` are multiplied by `in_scale` `[N, O]` as they are read; `epilogue` is over the result's I
/// channels and the input's grid.
///
/// # Panics
/// If a slice does not have the number of elements that `shape` asks for.
pub fn conv3d_input_grad_on(
    isa: Isa,
    shape: &Conv3d,
    grad_out: &[f32],
    w: &[f32],
    in_scale: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    shape.check("grad_out", grad_out.len(), shape.output_len());
    shape.check("w", w.len(), shape.weight_len());
    let shape = shape.folded();
    let axes = std::array::from_fn(|a| {
        transposed_axis(shape.input[a], shape.kernel[a], shape.stride[a], shape.padding[a])
    });
    let source = Side { grid: shape.output_grid(), layout: shape.out_layout };
    let target = Side { grid: shape.input_grid(), layout: shape.in_layout };
    run(isa, &shape, (source, grad_out), target, axes, (w, true), in_scale, epilogue)
}

#[allow(clippy::too_many_arguments, reason = "the operands of a convolution")]
fn run(
    isa: Isa,
    shape: &Conv3d,
    (source, x): (Side, &[f32]),
    target: Side,
    axes: [Axis; 3],
    (w, transposed): (&[f32], bool),
    scale: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    shape.check_scale("in_scale", scale, source.grid.channels);
    let Grid { channels, dims } = target.grid;
    let voxels = dims.iter().product();
    epilogue.check(&Volumes { layout: target.layout, batch: shape.batch, channels, voxels });
    let reduce = axes[2].stride == 1 && reduces(source, target, shape.taps());
    let batch = shape.batch;
    let apart = source.layout == Layout::Plain && axes[2].stride == 2;
    let light = FOLD * batch * w.len() <= x.len();
    let (weights, scale) = match scale {
        // Where nothing else asks for a copy of the source, its factors go into the weights.
        Some(scale) if light && !apart && stays_inside(&axes, source.grid, target.grid) => {
            let each = scale.chunks_exact(source.grid.channels).map(|scale| {
                let scaled = scaled(shape, w, transposed, scale);
                Weights::pack(shape, &scaled, transposed, reduce)
            });
            (each.collect(), None)
        }
        _ => (vec![Weights::pack(shape, w, transposed, reduce)], scale),
    };
    Nest { isa, batch, source, target, axes, weights, scale, epilogue: *epilogue }.run(x)
}

/// `w` `[O, I, taps]` times a factor for each source channel: I, or O where `transposed`.
fn scaled(shape: &Conv3d, w: &[f32], transposed: bool, scale: &[f32]) -> Vec<f32> {
    let mut scaled = w.to_vec();
    for (at, taps) in scaled.chunks_exact_mut(shape.taps()).enumerate() {
        let channel = if transposed { at / shape.in_channels } else { at % shape.in_channels };
        taps.iter_mut().for_each(|w| *w *= scale[channel]);
    }
    scaled
}

/// Whether few target channels are computed sooner one by one, source channels in the lanes, than sixteen at a time.
fn reduces(source: Side, target: Side, taps: usize) -> bool {
    // Summing the lanes at the end takes about as long as ten products.
    let one_by_one = target.grid.channels * (source.grid.channels.div_ceil(LANES) * taps + 10);
    let together = target.grid.channels.div_ceil(LANES) * source.grid.channels * taps;
    source.layout == Layout::Blocked && target.layout == Layout::Plain && one_by_one < together
}

/// How input position i gathers from outputs o: tap k where `i + padding = o·stride + k`.
fn transposed_axis(input: usize, kernel: usize, stride: usize, padding: usize) -> Axis {
    // For position start + stride·j, tap k meets output j + shift.
    let phase = |start: usize| {
        let at = start + padding;
        let meets = (0..kernel).rev().filter(|k| k % stride == at % stride);
        let taps = meets.map(|k| (k, (at as isize - k as isize) / stride as isize)).collect();
        Phase { start, step: stride, count: input.saturating_sub(start).div_ceil(stride), taps }
    };
    Axis { stride: 1, phases: (0..stride).map(phase).collect() }
}
