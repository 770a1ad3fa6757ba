//! The loop nest that convolution and its input gradient share: every target voxel gathers taps of its neighbourhood.

use super::axes::{Axis, Phase, inside, stays_inside};
use super::finish::Finish;
use super::stage::Window;
use super::tile::{Gather, Group, prefetch};
use super::weights::Weights;
use crate::lanes::{Isa, LANES};
use crate::layout::Layout;
use crate::layout::{Shared, filled, from_blocked, parts};
use crate::passes::epilogue::Epilogue;
use crate::shape::Grid;
use rayon::prelude::*;
use std::ops::Range;

/// Target voxels that one job computes, about: their sums and what they read stay in the second-level cache.
const REGION: usize = 4096;
/// The same where each voxel is read once, so that nothing is gained by more than the first-level cache holds.
const SMALL: usize = 384;
/// Jobs that the work is cut into where it can be.
const JOBS: usize = 16;

/// One side of a gather.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub grid: Grid,
    pub layout: Layout,
}

/// A gather from the volumes of one side into those of the other.
pub(super) struct Nest<'a> {
    pub isa: Isa,
    pub batch: usize,
    pub source: Side,
    pub target: Side,
    pub axes: [Axis; 3],
    /// For all volumes, or for each.
    pub weights: Vec<Weights>,
    /// Factors of the source's channels, `[N, channels]`.
    pub scale: Option<&'a [f32]>,
    pub epilogue: Epilogue<'a>,
}

/// What one job computes: a box of target voxels of volume `n` for some blocks of channels.
struct Region {
    n: usize,
    blocks: Range<usize>,
    depth: Range<usize>,
    height: Range<usize>,
}

/// Columns of a row that are computed alike: `units` of `per` columns each, `step` apart, from `start` on.
struct Track {
    start: usize,
    step: usize,
    units: usize,
    /// Two where both parities of a transposed stride of two go together; the last may be missing at the row's end.
    per: usize,
    /// Rows and units of a tile at most.
    limits: (usize, usize),
    /// Whether all three taps are one group at a stride of two.
    joined: bool,
    /// The taps along W: `x` in columns, `w` in taps.
    runs: Vec<Group>,
}

/// Where sums lie: floats between blocks, slices and rows, counted from the region's first.
#[derive(Clone, Copy)]
struct Place {
    y: *mut f32,
    block: usize,
    slice: usize,
    row: usize,
}

impl Nest<'_> {
    /// Gathers `x` in the source's layout into a new volume in the target's.
    pub fn run(&self, x: &[f32]) -> Vec<f32> {
        let [depth, height, width] = self.target.grid.dims;
        // Rows of a region: about as many slices as rows of each. Strides reach further into the source.
        let reach = self.axes[0].stride * self.axes[1].stride;
        let voxels = if self.axes.iter().all(|axis| axis.is_single()) { SMALL } else { REGION / reach };
        let blocks = self.weights[0].targets;
        let fair = (self.batch * blocks * depth * height).div_ceil(JOBS);
        let rows = (voxels / width).min(fair).clamp(1, depth * height);
        let across = (rows.isqrt().max(rows / depth)).clamp(1, height);
        let slabs: Vec<_> = parts(depth, (rows / across).clamp(1, depth)).collect();
        let strips: Vec<_> = parts(height, across).collect();
        let boxes = self.batch * slabs.len() * strips.len();
        // All blocks of a box share what is read; without boxes enough they become jobs of their own.
        let groups: Vec<_> = parts(blocks, blocks.div_ceil(JOBS.div_ceil(boxes))).collect();
        let lane_blocks = self.target.grid.channels.div_ceil(LANES);
        let fill = |out: Shared| {
            let buffers = || (Vec::new(), Vec::new());
            (0..boxes * groups.len()).into_par_iter().for_each_init(buffers, |(window, sums), job| {
                let (group, job) = (groups[job % groups.len()], job / groups.len());
                let (strip, job) = (strips[job % strips.len()], job / strips.len());
                let (slab, n) = (slabs[job % slabs.len()], job / slabs.len());
                let region = Region {
                    n,
                    blocks: group.0..group.0 + group.1,
                    depth: slab.0..slab.0 + slab.1,
                    height: strip.0..strip.0 + strip.1,
                };
                let (block, row) = (depth * height * width * LANES, width * LANES);
                if self.target.layout == Layout::Blocked {
                    let at = (n * lane_blocks + group.0) * block + (slab.0 * height + strip.0) * row;
                    // SAFETY: the region's first voxel lies within the output.
                    let y = unsafe { out.at(at) };
                    // SAFETY: these rows of these blocks are this job's alone.
                    unsafe { self.region(x, &region, Place { y, block, slice: height * row, row }, window) };
                } else {
                    let (block, slice) = (slab.1 * strip.1 * row, strip.1 * row);
                    sums.resize(group.1 * block, 0.0);
                    // SAFETY: the buffer has room for the region; its rows in the output are this job's alone.
                    unsafe {
                        self.region(x, &region, Place { y: sums.as_mut_ptr(), block, slice, row }, window);
                        self.write_planes(&region, sums, out);
                    }
                }
            });
        };
        // SAFETY: the regions cover every voxel of every block.
        unsafe {
            filled(
                self.target.layout.len(self.batch, self.target.grid.channels, depth * height * width),
                fill,
            )
        }
    }

    /// Whether columns must be reordered for a stride of two; lanes can be read at any step.
    fn splits(&self) -> bool {
        self.axes[2].stride == 2 && self.source.layout == Layout::Plain
    }

    /// Whether jobs can read the source where it lies: nothing is scaled or reordered, taps stay inside.
    fn reads_in_place(&self) -> bool {
        self.scale.is_none() && !self.splits() && stays_inside(&self.axes, self.source.grid, self.target.grid)
    }

    /// Computes a region, finished where the target is blocked or gathered into blocks.
    ///
    /// # Safety
    /// `place` must hold the region.
    unsafe fn region(&self, x: &[f32], region: &Region, place: Place, buffer: &mut Vec<f32>) {
        let Grid { channels, dims } = self.source.grid;
        let in_place = self.reads_in_place();
        let window = if in_place {
            Window::whole(self.source.grid)
        } else {
            let reach = [&region.depth, &region.height, &(0..self.target.grid.dims[2])];
            let reach: [_; 3] = std::array::from_fn(|a| self.axes[a].sources(reach[a]));
            Window { low: reach.map(|r| r.0), size: reach.map(|r| r.1), split: self.splits() }
        };
        let voxels: usize = dims.iter().product();
        let blocks = channels.div_ceil(LANES);
        for block in 0..blocks {
            let members = LANES.min(channels - block * LANES);
            let side = (self.source.layout, self.source.grid, x);
            let x = if in_place {
                match self.source.layout {
                    Layout::Blocked => &x[(region.n * blocks + block) * voxels * LANES..],
                    Layout::Plain => &x[(region.n * channels + block * LANES) * voxels..],
                }
            } else {
                let len = window.len(self.source.layout, members);
                if buffer.len() < len {
                    buffer.resize(len, 0.0);
                }
                let scale = self.scale.map(|s| &s[region.n * channels..][..channels]);
                window.fill(self.isa, side, region.n, block, scale, &mut buffer[..len]);
                &buffer[..len]
            };
            for (i, target) in region.blocks.clone().enumerate() {
                // SAFETY: the place has room for each of the region's blocks.
                let place = Place { y: unsafe { place.y.add(i * place.block) }, ..place };
                let finish = (block + 1 == blocks && !self.weights[0].reduce && !self.epilogue.is_empty())
                    .then(|| {
                        let first = target * LANES;
                        let lanes = LANES.min(self.target.grid.channels - first);
                        Finish::new(&self.epilogue, region.n, self.target.grid, first, lanes)
                    });
                // SAFETY: as above.
                unsafe { self.add_block(x, &window, region, (target, block), place, finish.as_ref()) };
            }
        }
    }

    /// Adds what source block `block` gives to target block `target`.
    ///
    /// # Safety
    /// `place` must hold the region.
    unsafe fn add_block(
        &self,
        x: &[f32],
        window: &Window,
        region: &Region,
        (target, block): (usize, usize),
        place: Place,
        finish: Option<&Finish<'_>>,
    ) {
        let [axis_d, axis_h, axis_w] = &self.axes;
        let [_, height, width] = self.target.grid.dims;
        let planes = self.source.layout == Layout::Plain;
        let column = if planes { 1 } else { LANES };
        let step = if window.split { 1 } else { axis_w.stride };
        let row = window.row() * column;
        let slice = window.size[1] * row;
        let members = LANES.min(self.source.grid.channels - block * LANES);
        let weights = &self.weights[region.n % self.weights.len()];
        let w = weights.block(target, block);
        let tracks = self.tracks(window, step);
        let mut groups = Vec::with_capacity(27);
        for phase_d in &axis_d.phases {
            for jd in phase_d.within(&region.depth) {
                let d = phase_d.start + jd * phase_d.step;
                for phase_h in &axis_h.phases {
                    let js = phase_h.within(&region.height);
                    for track in &tracks {
                        for (start, rows) in parts(js.len(), track.limits.0) {
                            let jh = js.start + start;
                            groups.clear();
                            for (kd, z) in inside(phase_d, axis_d, jd..jd + 1, self.source.grid.dims[0]) {
                                for (kh, y) in
                                    inside(phase_h, axis_h, jh..jh + rows, self.source.grid.dims[1])
                                {
                                    let x = (z - window.low[0]) as usize * slice
                                        + (y - window.low[1]) as usize * row;
                                    groups.extend(track.runs.iter().map(|run| Group {
                                        x: x + run.x * column,
                                        w: run.w.map(|kw| weights.tap([kd, kh, kw], members)),
                                        taps: run.taps,
                                    }));
                                }
                            }
                            let h = phase_h.start + jh * phase_h.step;
                            let at = (d - region.depth.start) * place.slice
                                + (h - region.height.start) * place.row;
                            for (jw, units) in parts(track.units, track.limits.1) {
                                let columns = units * track.per;
                                let v = track.start + jw * track.per * track.step;
                                let short = v + (columns - 1) * track.step >= width;
                                let shared = Gather {
                                    channels: members,
                                    x_channel: if planes { window.size[0] * slice } else { 1 },
                                    x_row: axis_h.stride * row,
                                    y_row: phase_h.step * place.row,
                                    y_column: track.step * LANES,
                                    fresh: block == 0,
                                    short,
                                    groups: &groups,
                                };
                                let kernel = match (weights.reduce, track.joined) {
                                    (true, _) => self.isa.reduce(rows, columns),
                                    (_, true) => self
                                        .isa
                                        .gather_joined(rows, columns, track.per == 2)
                                        .expect("tracks are joined where there are kernels"),
                                    _ => self.isa.gather(rows, columns, step * column),
                                };
                                if let [only] = &groups[..] {
                                    // Soon done with, so that memory would be waited for: ask for what comes after next.
                                    let ahead = only.x + (jw + 2 * units) * step * column;
                                    prefetch(
                                        x.as_ptr().wrapping_add(ahead),
                                        units * column / LANES,
                                        step * LANES,
                                    );
                                }
                                // SAFETY: the instruction set was found on this processor; the window holds every
                                // tap of every voxel, the weights every tap of every channel, the place the tile.
                                unsafe {
                                    let y = place.y.add(at + v * LANES);
                                    kernel(x.as_ptr().add(jw * step * column), w.as_ptr(), y, &shared);
                                    if let Some(finish) = finish {
                                        let len = ((columns - 1 - short as usize) * track.step + 1) * LANES;
                                        for r in 0..rows {
                                            let y =
                                                std::slice::from_raw_parts_mut(y.add(r * shared.y_row), len);
                                            let h = h + r * phase_h.step;
                                            let voxel = (d * height + h) * width + v;
                                            finish.lanes(self.isa, y, voxel, track.step);
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The columns of a row, by the phases along W: three taps at a stride of two go together, where registers suffice,
    /// and so do both phases of the transposed one.
    fn tracks(&self, window: &Window, step: usize) -> Vec<Track> {
        let axis = &self.axes[2];
        let able = self.source.layout == Layout::Blocked
            && !self.weights[0].reduce
            && self.isa.gather_joined(1, 2, true).is_some();
        let track = |phase: &Phase, joined: bool, per: usize, runs: Vec<Group>| {
            let limits =
                if per == 2 { twin_limits(phase.count) } else { self.isa.gather_limits(phase.count) };
            Track {
                start: phase.start,
                step: phase.step / per,
                units: phase.count,
                per,
                limits,
                joined,
                runs,
            }
        };
        let run = |position: isize, w: [usize; 3]| vec![Group { x: window.column(position), w, taps: 3 }];
        match (&axis.phases[..], axis.stride) {
            ([even, odd], 1) if able && odd.count <= even.count && even.count <= odd.count + 1 => {
                if let ([(a, low), (b, next)], [(c, only)]) = (&even.taps[..], &odd.taps[..])
                    && *next == low + 1
                    && only == next
                {
                    return vec![track(even, true, 2, run(*low, [*a, *b, *c]))];
                }
            }
            ([phase], 2) if able => {
                if let [(a, low), (b, next), (c, last)] = &phase.taps[..]
                    && *next == low + 1
                    && *last == low + 2
                {
                    return vec![track(phase, true, 1, run(*low, [*a, *b, *c]))];
                }
            }
            _ => (),
        }
        axis.phases.iter().map(|phase| track(phase, false, 1, self.runs(phase, window, step))).collect()
    }

    /// The taps of a phase along W, together those that are `step` columns of the window apart; `x` in columns, `w` in
    /// taps.
    fn runs(&self, phase: &Phase, window: &Window, step: usize) -> Vec<Group> {
        let mut taps: Vec<_> = phase.taps.iter().map(|(k, at)| (window.column(*at), *k)).collect();
        taps.sort_unstable_by_key(|(x, _)| (x % step, *x));
        let mut runs: Vec<Group> = Vec::new();
        for (x, k) in taps {
            match runs.last_mut() {
                Some(run) if run.taps < self.isa.touching() && run.x + run.taps * step == x => {
                    run.w[run.taps] = k;
                    run.taps += 1;
                }
                _ => runs.push(Group { x, w: [k, 0, 0], taps: 1 }),
            }
        }
        runs
    }

    /// Writes a region of sums `[blocks, slices, rows, W, 16]` into planes.
    ///
    /// # Safety
    /// The region's rows of its channels in `out` must be the caller's.
    unsafe fn write_planes(&self, region: &Region, sums: &[f32], out: Shared) {
        let Grid { channels, dims: [depth, height, width] } = self.target.grid;
        let per = if self.weights[0].reduce { 1 } else { LANES };
        let mut rows = sums.chunks_exact(width * LANES);
        for target in region.blocks.clone() {
            let lanes = per.min(channels - target * per);
            let finish = self.weights[0].reduce.then(|| {
                let (first, lane) = (target / LANES * LANES, target % LANES);
                let lanes = LANES.min(channels - first);
                (Finish::new(&self.epilogue, region.n, self.target.grid, first, lanes), lane)
            });
            for d in region.depth.clone() {
                for h in region.height.clone() {
                    let voxel = (d * height + h) * width;
                    let at = (region.n * channels + target * per) * depth * height * width + voxel;
                    let sums = rows.next().expect("the sums hold every row");
                    // SAFETY: this row of these channels lies within the output; the caller vouches that it is ours.
                    unsafe {
                        match &finish {
                            Some((finish, lane)) => {
                                let to = std::slice::from_raw_parts_mut(out.at(at), width);
                                to.fill(0.0);
                                finish.reduced(self.isa, sums, *lane, voxel, to);
                            }
                            None => {
                                from_blocked(sums.as_ptr(), lanes, width, out.at(at), depth * height * width);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rows and pairs of columns that one tile takes at most, where the grid's rows have `pairs`.
fn twin_limits(pairs: usize) -> (usize, usize) {
    let width = pairs.div_ceil(pairs.div_ceil(12).max(1)).max(1);
    ((12 / width).clamp(1, 3), width)
}
