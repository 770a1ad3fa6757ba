//! The gradient of a convolution by its weights: correlations of the input with the output gradient.

use super::correlate::{Rows, Sums};
use crate::lanes::{Isa, LANES};
use crate::layout::Layout;
use crate::layout::{Shared, filled, from_blocked, parts};
use crate::passes::to_blocked;
use crate::shape::Conv3d;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Voxels that stay in cache while all taps of all channels use them.
const PANEL: usize = 512;
/// Independent jobs that a gradient is cut into, if it is large enough.
const JOBS: usize = 32;
/// Panels that a job takes at least: fewer would not repay sums of their own.
const CHUNK: usize = 4;

/// The gradient of [`super::conv3d_on`] by its weights, `[O, I, kd, kh, kw]`, from `x` `[N, I, D, H, W]` and `grad_out`
/// `[N, O, D', H', W']`, which lie as `shape` says. Channels of x are multiplied by `x_scale` `[N, I]`, those of
/// `grad_out` by `g_scale` `[N, O]`.
///
/// # Panics
/// If a slice does not have the number of elements that `shape` asks for.
pub fn conv3d_weight_grad_on(
    isa: Isa,
    shape: &Conv3d,
    x: &[f32],
    grad_out: &[f32],
    x_scale: Option<&[f32]>,
    g_scale: Option<&[f32]>,
) -> Vec<f32> {
    shape.check("x", x.len(), shape.input_len());
    shape.check("grad_out", grad_out.len(), shape.output_len());
    shape.check_scale("x_scale", x_scale, shape.in_channels);
    shape.check_scale("g_scale", g_scale, shape.out_channels);
    let shape = shape.folded();
    if let Some(swapped) = swapped(&shape) {
        let reversed = Correlation::new(isa, &swapped, grad_out, x, g_scale, x_scale).run();
        return unswap(&shape, &reversed);
    }
    Correlation::new(isa, &shape, x, grad_out, x_scale, g_scale).run()
}

/// Output channels become lanes, so they should fill them and, without a copy, lie in them already. The roles can be
/// exchanged at stride 1: the output gradient, with the complementary margin, is correlated with the input; taps come
/// out reversed, channels transposed.
fn swapped(shape: &Conv3d) -> Option<Conv3d> {
    let thin = shape.out_channels < LANES && shape.in_channels > shape.out_channels;
    let apart = shape.out_layout == Layout::Plain && shape.in_layout == Layout::Blocked;
    let fits = (0..3).all(|a| shape.stride[a] == 1 && shape.padding[a] < shape.kernel[a]);
    ((thin || apart) && fits).then(|| Conv3d {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        input: shape.output(),
        padding: std::array::from_fn(|a| shape.kernel[a] - 1 - shape.padding[a]),
        in_layout: shape.out_layout,
        out_layout: shape.in_layout,
        ..*shape
    })
}

/// `[I, O, taps reversed]` as `[O, I, taps]`.
fn unswap(shape: &Conv3d, reversed: &[f32]) -> Vec<f32> {
    let (inputs, outputs, taps) = (shape.in_channels, shape.out_channels, shape.taps());
    let mut w = Vec::with_capacity(reversed.len());
    for o in 0..outputs {
        for i in 0..inputs {
            w.extend(reversed[(i * outputs + o) * taps..][..taps].iter().rev());
        }
    }
    w
}

/// Taps along W that meet the same columns of x: every `stride`-th from `column` on.
struct Run {
    column: usize,
    /// Kernel indices, ascending.
    taps: Vec<usize>,
    /// Column of the gradient that the first tap pairs with `column`.
    first: isize,
}

/// Rows of one volume of the output gradient, numbered through its slices.
#[derive(Clone)]
struct Panel {
    n: usize,
    rows: Range<usize>,
}

struct Correlation<'a> {
    isa: Isa,
    shape: Conv3d,
    output: [usize; 3],
    x: &'a [f32],
    /// In the blocked layout.
    g: Cow<'a, [f32]>,
    x_scale: Option<&'a [f32]>,
    g_scale: Option<&'a [f32]>,
    runs: Vec<Run>,
    /// Stands for rows of x outside the grid.
    zeros: Vec<f32>,
}

impl<'a> Correlation<'a> {
    fn new(
        isa: Isa,
        shape: &Conv3d,
        x: &'a [f32],
        g: &'a [f32],
        x_scale: Option<&'a [f32]>,
        g_scale: Option<&'a [f32]>,
    ) -> Self {
        let output = shape.output();
        let g = match shape.out_layout {
            Layout::Blocked => Cow::Borrowed(g),
            Layout::Plain => {
                Cow::Owned(to_blocked(shape.batch, shape.out_channels, output.iter().product(), g))
            }
        };
        let (stride, padding) = (shape.stride[2], shape.padding[2]);
        let mut runs = Vec::new();
        for column in 0..stride.min(shape.input[2]) {
            let taps: Vec<_> =
                (0..shape.kernel[2]).filter(|k| (column + padding + k) % stride == 0).collect();
            runs.extend(taps.chunks(isa.touching()).map(|taps| Run {
                column,
                taps: taps.to_vec(),
                first: ((column + padding) as isize - taps[0] as isize) / stride as isize,
            }));
        }
        Self { isa, shape: *shape, output, x, g, x_scale, g_scale, runs, zeros: vec![0.0; shape.input[2]] }
    }

    fn run(&self) -> Vec<f32> {
        let [depth, height, width] = self.output;
        let strips: Vec<_> = parts(depth * height, (PANEL / width).max(1)).collect();
        let panels = self.shape.batch * strips.len();
        let (inputs, outputs) =
            (self.shape.in_channels.div_ceil(LANES), self.shape.out_channels.div_ceil(LANES));
        // Chunks of panels have sums of their own, added in order at the end.
        let chunks = JOBS.div_ceil(inputs * outputs).min(panels.div_ceil(CHUNK));
        let len = self.shape.in_channels * self.shape.taps() * LANES;
        let fill = |sums: Shared| {
            (0..chunks * outputs * inputs).into_par_iter().for_each(|job| {
                let (input, pair) = (job % inputs, job / inputs);
                let (output, chunk) = (pair % outputs, pair / outputs);
                let members = LANES.min(self.shape.in_channels - input * LANES);
                let (taps, block) = (self.shape.taps(), input * LANES * self.shape.taps() * LANES);
                // SAFETY: these sums are this job's alone, zeroed before they are added to.
                let sums = unsafe {
                    let to = sums.at(pair * len + block);
                    to.write_bytes(0, members * taps * LANES);
                    to
                };
                for at in chunk * panels / chunks..(chunk + 1) * panels / chunks {
                    let (start, size) = strips[at % strips.len()];
                    let panel = &Panel { n: at / strips.len(), rows: start..start + size };
                    match self.shape.in_layout {
                        // SAFETY: the sums have room for this block of channels.
                        Layout::Blocked => unsafe { self.add_blocked(panel, input, output, sums) },
                        // SAFETY: as above.
                        Layout::Plain => unsafe { self.add_plain(panel, input, output, sums) },
                    }
                }
            });
        };
        // SAFETY: the jobs cover every chunk and pair of blocks.
        let sums = unsafe { filled(chunks * outputs * len, fill) };
        self.weights_of(&sums, chunks)
    }

    /// Where along D and H tap (kd, kh) meets x for a row of the output, if it lies inside.
    fn source(&self, row: usize, tap: [usize; 2]) -> Option<[usize; 2]> {
        let at = [row / self.output[1], row % self.output[1]];
        let position = |a: usize| {
            let position = at[a] * self.shape.stride[a] + tap[a];
            position.checked_sub(self.shape.padding[a]).filter(|z| *z < self.shape.input[a])
        };
        Some([position(0)?, position(1)?])
    }

    fn g_row(&self, panel: &Panel, output: usize, row: usize) -> *const f32 {
        let [depth, height, width] = self.output;
        let block = panel.n * self.shape.out_channels.div_ceil(LANES) + output;
        self.g[(block * depth * height + row) * width * LANES..].as_ptr()
    }

    /// Scales of a volume's channels from `first` on, ones where there are none, zeros beyond the last.
    fn scales(scale: Option<&[f32]>, n: usize, channels: usize, first: usize) -> [f32; LANES] {
        let lanes = LANES.min(channels - first);
        let mut scales = [0.0; LANES];
        match scale {
            Some(scale) => scales[..lanes].copy_from_slice(&scale[n * channels + first..][..lanes]),
            None => scales[..lanes].fill(1.0),
        }
        scales
    }

    /// Adds a panel's part of one pair of blocks to `sums` `[taps, channels, 16]`, x in the blocked layout.
    ///
    /// # Safety
    /// `sums` must be as long as that.
    unsafe fn add_blocked(&self, panel: &Panel, input: usize, output: usize, sums: *mut f32) {
        let Conv3d { in_channels, input: [depth, height, width], kernel, stride, .. } = self.shape;
        let members = LANES.min(in_channels - input * LANES);
        let block = panel.n * in_channels.div_ceil(LANES) + input;
        let x_scale = Self::scales(self.x_scale, panel.n, in_channels, input * LANES);
        let g_scale = Self::scales(self.g_scale, panel.n, self.shape.out_channels, output * LANES);
        let channels: [usize; LANES] = std::array::from_fn(|i| i * LANES);
        let (mut xs, mut gs) = (Vec::with_capacity(panel.rows.len()), Vec::with_capacity(panel.rows.len()));
        let mut shifted = Vec::with_capacity(panel.rows.len());
        for kd in 0..kernel[0] {
            for kh in 0..kernel[1] {
                xs.clear();
                gs.clear();
                for row in panel.rows.clone() {
                    if let Some([z, y]) = self.source(row, [kd, kh]) {
                        xs.push(self.x[((block * depth + z) * height + y) * width * LANES..].as_ptr());
                        gs.push(self.g_row(panel, output, row));
                    }
                }
                for run in &self.runs {
                    for (first, size) in parts(members, self.isa.correlate_limit(run.taps.len())) {
                        let offset = run.column * LANES + first;
                        shifted.clear();
                        shifted.extend(xs.iter().map(|x| x.wrapping_add(offset)));
                        let tap = (kd * kernel[1] + kh) * kernel[2];
                        // SAFETY: the instruction set was found on this processor; rows lie within x and g, the
                        // sums of all taps of all channels within `sums`.
                        unsafe {
                            let sums = Sums {
                                to: sums.add((tap * members + first) * LANES),
                                channels: &channels[..size],
                                taps: [0; 3],
                                x_scale: &x_scale[first..],
                                g_scale: &g_scale,
                            };
                            self.correlate(
                                run,
                                (&shifted, LANES * stride[2], true),
                                &gs,
                                &sums,
                                members * LANES,
                            );
                        }
                    }
                }
            }
        }
    }

    /// As [`Correlation::add_blocked`], x in planes: rows of several channels and taps go together.
    ///
    /// # Safety
    /// As there.
    unsafe fn add_plain(&self, panel: &Panel, input: usize, output: usize, sums: *mut f32) {
        let Conv3d { in_channels, input: [depth, height, width], kernel, stride, .. } = self.shape;
        let members = LANES.min(in_channels - input * LANES);
        let x_scale = Self::scales(self.x_scale, panel.n, in_channels, input * LANES);
        let g_scale = Self::scales(self.g_scale, panel.n, self.shape.out_channels, output * LANES);
        let mut rows = Vec::with_capacity(members * kernel[0] * kernel[1]);
        for kd in 0..kernel[0] {
            for kh in 0..kernel[1] {
                rows.extend((0..members).map(|member| (member, kd, kh)));
            }
        }
        let gs: Vec<_> = panel.rows.clone().map(|row| self.g_row(panel, output, row)).collect();
        let mut xs = Vec::with_capacity(panel.rows.len() * LANES);
        for run in &self.runs {
            for (first, size) in parts(rows.len(), self.isa.correlate_limit(run.taps.len())) {
                let together = &rows[first..first + size];
                xs.clear();
                for row in panel.rows.clone() {
                    xs.extend(together.iter().map(|&(member, kd, kh)| {
                        let row = match self.source(row, [kd, kh]) {
                            Some([z, y]) => {
                                let plane = panel.n * in_channels + input * LANES + member;
                                &self.x[((plane * depth + z) * height + y) * width..][..width]
                            }
                            None => &self.zeros[..],
                        };
                        row[run.column..].as_ptr()
                    }));
                }
                let mut channels = [0; LANES];
                let mut scales = [0.0; LANES];
                for (i, &(member, kd, kh)) in together.iter().enumerate() {
                    channels[i] = ((kd * kernel[1] + kh) * kernel[2] * members + member) * LANES;
                    scales[i] = x_scale[member];
                }
                // SAFETY: as in `add_blocked`; rows outside the grid are zeros of the same width.
                unsafe {
                    let sums = Sums {
                        to: sums,
                        channels: &channels[..size],
                        taps: [0; 3],
                        x_scale: &scales,
                        g_scale: &g_scale,
                    };
                    self.correlate(run, (&xs, stride[2], false), &gs, &sums, members * LANES);
                }
            }
        }
    }

    /// Correlates rows of x with rows of g for the taps of a run, which lie `tap` floats apart in the sums.
    ///
    /// # Safety
    /// The rows and sums must be what [`super::correlate::CorrelateFn`] needs.
    unsafe fn correlate(
        &self,
        run: &Run,
        (x, x_step, touch): (&[*const f32], usize, bool),
        g: &[*const f32],
        sums: &Sums<'_>,
        tap: usize,
    ) {
        let count = (self.shape.input[2] - run.column).div_ceil(self.shape.stride[2]);
        let rows = Rows { x, g, width: self.output[2], count, x_step, first: run.first };
        let mut sums = *sums;
        for (at, k) in sums.taps.iter_mut().zip(&run.taps) {
            *at = k * tap;
        }
        let kernel = self.isa.correlate(sums.channels.len(), run.taps.len(), touch);
        // SAFETY: the instruction set was found on this processor; the caller vouches for the rest.
        unsafe { kernel(&rows, &sums) }
    }

    /// Adds the chunks of `sums` `[chunks, O/16, I/16, taps, 16 or fewer i, 16 o]` in order into `[O, I, taps]`.
    fn weights_of(&self, sums: &[f32], chunks: usize) -> Vec<f32> {
        let (inputs, outputs, taps) = (self.shape.in_channels, self.shape.out_channels, self.shape.taps());
        let blocks = outputs.div_ceil(LANES);
        let fill = |out: Shared| {
            (0..blocks * inputs).into_par_iter().for_each_init(
                || vec![0.0; taps * LANES],
                |total, job| {
                    let (block, i) = (job / inputs, job % inputs);
                    let members = LANES.min(inputs - i / LANES * LANES);
                    total.fill(0.0);
                    for chunk in 0..chunks {
                        let start = (chunk * blocks + block) * inputs + i / LANES * LANES;
                        let from = &sums[start * taps * LANES..][..members * taps * LANES];
                        for (tap, total) in total.chunks_exact_mut(LANES).enumerate() {
                            let from = &from[(tap * members + i % LANES) * LANES..][..LANES];
                            total.iter_mut().zip(from).for_each(|(total, from)| *total += from);
                        }
                    }
                    let lanes = LANES.min(outputs - block * LANES);
                    // SAFETY: these taps of the block's outputs are this job's alone.
                    unsafe {
                        let to = out.at((block * LANES * inputs + i) * taps);
                        from_blocked(total.as_ptr(), lanes, taps, to, inputs * taps);
                    }
                },
            );
        };
        // SAFETY: the jobs cover every input channel of every block.
        unsafe { filled(outputs * inputs * taps, fill) }
    }
}
