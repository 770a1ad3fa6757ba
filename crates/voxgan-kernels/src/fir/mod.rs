//! Up- and downsampling with four-tap filters along up to three axes (upfirdn), in one pass over memory.
//!
//! A job has some rows of some slices of one group of channels. For each row of input that an output row needs it
//! filters along D, from up to four slices, and along W, into one of four buffered rows; with the rows for an output
//! row complete it filters along H, applies the epilogue and writes the output. So the intermediate data is a few rows
//! in the first-level cache, and the four slices stay in the second.

mod axis;
mod rows;
#[cfg(test)]
mod tests;

use crate::lanes::{Isa, LANES, isa};
use crate::layout::Layout;
use crate::layout::{Shared, filled, parts};
use crate::passes::epilogue::Epilogue;
use crate::passes::epilogue::{Finish, Terms, combine};
use crate::passes::volumes::Volumes;
use axis::{Residues, Sliding, Window, windows};
use rayon::prelude::*;
use rows::Scratch;
use std::ops::Range;

/// A pass along one axis: each sample is followed by `up − 1` zeros, `pad.0` zeros are added in front and `pad.1`
/// behind (negative numbers crop), and `y[o] = Σ_t taps[t] · z[o·down + t]`.
///
/// The length becomes `⌊(len·up + pad.0 + pad.1 − 4) / down⌋ + 1`. The adjoint is a pass with `up` and `down`
/// exchanged, the taps reversed, `3 − pad.0` in front, and the padding behind that restores the length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    /// 2, 3 or 4: D, H or W.
    pub axis: usize,
    /// Samples after zero-insertion for each one before.
    pub up: usize,
    /// Samples before decimation for each one after.
    pub down: usize,
    /// Zeros in front and behind.
    pub pad: (isize, isize),
    /// The filter, in the order in which it meets the samples.
    pub taps: [f32; 4],
}

impl Pass {
    /// Length along the axis after the pass.
    ///
    /// # Panics
    /// If fewer than four samples are left after padding.
    pub fn output(&self, len: usize) -> usize {
        let room = (len * self.up) as isize + self.pad.0 + self.pad.1 - 4;
        assert!(room >= 0, "fir: {len} samples leave nothing after {self:?}");
        room as usize / self.down + 1
    }
}

/// Resamples `x` of size `dims` `[N, C, D, H, W]` along the axes of `passes`, at most one pass for each axis, and
/// applies `epilogue` to the result; returns the result, in the same layout, and its size.
///
/// # Panics
/// If `x` or a part of the epilogue has the wrong number of elements, an axis is not 2, 3 or 4 or is repeated, a factor
/// is zero, or as [`Pass::output`].
pub fn fir(
    x: &[f32],
    layout: Layout,
    dims: [usize; 5],
    passes: &[Pass],
    epilogue: &Epilogue,
) -> (Vec<f32>, [usize; 5]) {
    fir_on(isa(), x, layout, dims, passes, epilogue)
}

pub(super) fn fir_on(
    isa: Isa,
    x: &[f32],
    layout: Layout,
    dims: [usize; 5],
    passes: &[Pass],
    epilogue: &Epilogue,
) -> (Vec<f32>, [usize; 5]) {
    let mut by_axis: [Option<Pass>; 3] = [None; 3];
    for pass in passes {
        assert!((2..5).contains(&pass.axis) && pass.up > 0 && pass.down > 0, "fir: {pass:?}");
        assert!(
            by_axis[pass.axis - 2].replace(*pass).is_none(),
            "fir: two passes along one axis: {passes:?}"
        );
    }
    let [batch, channels, ..] = dims;
    let input = [dims[2], dims[3], dims[4]];
    let output: [usize; 3] =
        std::array::from_fn(|a| by_axis[a].map_or(input[a], |pass| pass.output(input[a])));
    let shape = |grid: [usize; 3]| Volumes { layout, batch, channels, voxels: grid.iter().product() };
    let (source, target) = (shape(input), shape(output));
    source.check("fir: x", x.len(), source.floats());
    epilogue.check(&target);
    let plan = Plan {
        isa,
        cell: source.cell(),
        input,
        output,
        depth: windows(by_axis[0], input[0], output[0]),
        height: windows(by_axis[1], input[1], output[1]),
        width: by_axis[2].map(|pass| Residues::new(pass, input[2], output[2])),
    };
    let groups = batch * source.groups();
    let [slices, rows] = plan.pieces(groups);
    let jobs = groups * slices.len() * rows.len();
    let fill = |out: Shared| {
        (0..jobs).into_par_iter().for_each(|job| {
            let (group, job) = (job / (rows.len() * slices.len()), job % (rows.len() * slices.len()));
            let (rows, slices) = (rows[job % rows.len()].clone(), slices[job / rows.len()].clone());
            let (n, of_volume) = (group / source.groups(), group % source.groups());
            let terms = Terms::new(&target, epilogue, n, of_volume);
            let size = source.voxels * source.cell();
            let to = Target {
                out,
                start: group * target.voxels * target.cell(),
                terms: terms.as_ref(),
                layout,
                field: epilogue.field.map(|field| &field[n * target.voxels..][..target.voxels]),
            };
            plan.run(&x[group * size..][..size], &to, slices, rows);
        });
    };
    // SAFETY: the jobs cover every row of every slice of every group.
    let y = unsafe { filled(target.floats(), fill) };
    (y, [batch, channels, output[0], output[1], output[2]])
}

/// Voxels of a row that are done together where the filter slides along it.
const STRIP: usize = 64;

/// What all jobs share.
struct Plan {
    isa: Isa,
    /// Floats of a voxel.
    cell: usize,
    input: [usize; 3],
    output: [usize; 3],
    /// The samples that each output along D and H sums.
    depth: Vec<Window>,
    height: Vec<Window>,
    /// None if W stays as it is.
    width: Option<Residues>,
}

/// Where a job writes.
struct Target<'a> {
    out: Shared,
    /// Offset of the group's first voxel.
    start: usize,
    terms: Option<&'a Terms>,
    layout: Layout,
    /// One number for each voxel of the volume.
    field: Option<&'a [f32]>,
}

impl Plan {
    /// Output slices and output rows of the jobs: rows such that four slices of what they need stay
    /// in the second-level cache, slices such that there is work for many threads.
    fn pieces(&self, groups: usize) -> [Vec<Range<usize>>; 2] {
        const CACHED: usize = 1 << 17;
        const FEWEST_SLICES: usize = 4;
        let threads = rayon::current_num_threads();
        let wanted = if threads == 1 { 1 } else { 8 * threads };
        let cached_rows = (CACHED / (4 * self.input[2].min(STRIP + 3) * self.cell).max(1)).max(8);
        let ranges =
            |len, limit| parts(len, limit).map(|(start, size)| start..start + size).collect::<Vec<_>>();
        let rows = ranges(self.output[1], (cached_rows * self.output[1]).div_ceil(self.input[1]));
        let slices = (self.output[0] * rows.len() * groups / wanted).max(FEWEST_SLICES);
        [ranges(self.output[0], slices), rows]
    }

    /// Computes a piece of one group, `x` its floats.
    fn run(&self, x: &[f32], to: &Target<'_>, slices: Range<usize>, rows: Range<usize>) {
        match self.width.as_ref().and_then(Residues::sliding) {
            Some(sliding) if self.cell == LANES => {
                for (start, size) in parts(self.output[2], STRIP) {
                    let columns = start..start + size;
                    self.strip(x, to, slices.clone(), rows.clone(), columns, &sliding.from(start));
                }
            }
            _ => self.whole_rows(x, to, slices, rows),
        }
    }

    /// Computes some columns of a piece where the filter slides along W: two slices at a time where it slides along D
    /// as well, so that they share what they read.
    fn strip(
        &self,
        x: &[f32],
        to: &Target<'_>,
        slices: Range<usize>,
        rows: Range<usize>,
        columns: Range<usize>,
        sliding: &Sliding,
    ) {
        let mut kept = Kept::new(columns.len() * self.cell);
        let mut d = slices.start;
        while d < slices.end {
            let depth = &self.depth[d];
            let pair = d + 1 < slices.end && depth.slides_to(&self.depth[d + 1]);
            let count = if pair { 2 } else { 1 };
            let filter = |i: usize, kept: &mut Kept| {
                let samples = depth.samples().start..depth.samples().end + count - 1;
                let mut sources = [&[][..]; 5];
                let sources = &mut sources[..samples.len()];
                sources.iter_mut().zip(samples).for_each(|(to, s)| *to = self.row(x, s, i));
                rows::slide(self.isa, sources, &depth.taps, sliding, kept.pair(i), pair);
            };
            self.slices(d..d + count, rows.clone(), columns.clone(), to, &mut kept, filter);
            d += count;
        }
    }

    /// Computes a piece slice by slice.
    fn whole_rows(&self, x: &[f32], to: &Target<'_>, slices: Range<usize>, rows: Range<usize>) {
        let mut kept = Kept::new(self.output[2] * self.cell);
        let mut margined = self.width.as_ref().map(|width| {
            let row = self.input[2] * self.cell;
            (width, rows::Margined::new(width, row, self.cell))
        });
        for d in slices {
            let depth = &self.depth[d];
            let filter = |i: usize, kept: &mut Kept| match &mut margined {
                Some((width, margined)) => {
                    depth.sum(self.isa, |s| self.row(x, s, i), margined.middle(), None);
                    rows::along(self.isa, width, margined, kept.pair(i)[0]);
                }
                None => depth.sum(self.isa, |s| self.row(x, s, i), kept.pair(i)[0], None),
            };
            self.slices(d..d + 1, rows.clone(), 0..self.output[2], to, &mut kept, filter);
        }
    }

    /// Row `i` of slice `s` of a group's floats.
    fn row<'a>(&self, x: &'a [f32], s: usize, i: usize) -> &'a [f32] {
        let row = self.input[2] * self.cell;
        &x[(s * self.input[1] + i) * row..][..row]
    }

    /// Computes one output slice, or two; `filter(i, kept)` puts row `i`, filtered along D and W, into what is kept.
    fn slices(
        &self,
        slices: Range<usize>,
        rows: Range<usize>,
        columns: Range<usize>,
        to: &Target<'_>,
        kept: &mut Kept,
        mut filter: impl FnMut(usize, &mut Kept),
    ) {
        let mut next = 0;
        for h in rows {
            let height = &self.height[h];
            for i in height.samples().filter(|i| *i >= next) {
                filter(i, kept);
            }
            next = next.max(height.samples().end);
            for (of_pair, d) in slices.clone().enumerate() {
                let voxel = (d * self.output[1] + h) * self.output[2] + columns.start;
                let start = to.start + voxel * self.cell;
                // SAFETY: this piece of a row of the output is this job's alone, and all of it is written.
                let out = unsafe { to.out.slice(start..start + columns.len() * self.cell) };
                let field = to.field.map(|field| &field[voxel..][..columns.len()]);
                let finish = to.terms.map(|terms| Finish { terms, layout: to.layout, field });
                height.sum(self.isa, |i| kept.row(of_pair, i), out, finish);
            }
        }
    }
}

/// The last four rows that were filtered along D and W, for one or two neighbouring output slices.
struct Kept {
    rows: Scratch,
    len: usize,
}

impl Kept {
    /// Rows of `len` floats.
    fn new(len: usize) -> Self {
        Self { rows: Scratch::new(2 * 4 * len), len }
    }

    /// Row `i` of the first slice or the second.
    fn row(&self, slice: usize, i: usize) -> &[f32] {
        &self.rows.floats()[(slice * 4 + i % 4) * self.len..][..self.len]
    }

    /// Row `i` of both slices.
    fn pair(&mut self, i: usize) -> [&mut [f32]; 2] {
        let (first, second) = self.rows.floats_mut().split_at_mut(4 * self.len);
        [first, second].map(|rows| &mut rows[i % 4 * self.len..][..self.len])
    }
}

impl Window {
    /// `to = Σ taps[k] · row(first + k)`, then `finish`.
    fn sum<'a>(
        &self,
        isa: Isa,
        row: impl Fn(usize) -> &'a [f32],
        to: &mut [f32],
        finish: Option<Finish<'_>>,
    ) {
        let mut sources = [(&[][..], 0.0); 4];
        for ((source, i), tap) in sources.iter_mut().zip(self.samples()).zip(self.taps) {
            *source = (row(i), tap);
        }
        combine(isa, &sources[..self.samples().len()], to, finish);
    }
}
