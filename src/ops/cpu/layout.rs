//! Margins around volumes, lanes of sixteen channels, and back: the copies before and after the arithmetic.

use super::lanes::LANES;
use rayon::prelude::*;
use std::borrow::Cow;

/// A pointer that parallel jobs share, each for elements that no other job touches.
#[derive(Clone, Copy)]
pub(super) struct Shared(*mut f32);

// SAFETY: whoever dereferences it answers for disjoint accesses; the pointer itself is a number.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The pointer, `at` floats on.
    ///
    /// # Safety
    /// `at` must lie within the allocation.
    pub unsafe fn at(&self, at: usize) -> *mut f32 {
        // SAFETY: the caller vouches for it.
        unsafe { self.0.add(at) }
    }
}

/// A vector of `len` floats that `fill` writes in full through the shared pointer.
///
/// # Safety
/// `fill` must write every element and read none before it is written.
pub(super) unsafe fn filled(len: usize, fill: impl FnOnce(Shared)) -> Vec<f32> {
    let mut data: Vec<f32> = Vec::with_capacity(len);
    fill(Shared(data.as_mut_ptr()));
    // SAFETY: the capacity is `len` and the caller vouches that all of it is written.
    unsafe { data.set_len(len) };
    data
}

/// Cuts `0..len` into the fewest parts of at most `limit`, as equal as can be: start and size of each.
pub(super) fn parts(len: usize, limit: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = len.div_ceil(limit);
    (0..count).map(move |i| (i * len / count, (i + 1) * len / count - i * len / count))
}

/// Writes `to[16·k + lane] = from[stride·lane + k]` for `k < len`, zero in lanes from `lanes` on.
///
/// # Safety
/// `from` must cover `lanes` rows of `len` at `stride`, `to` 16·`len` floats.
pub(super) unsafe fn to_lanes(from: *const f32, stride: usize, lanes: usize, len: usize, to: *mut f32) {
    // SAFETY: the caller vouches for both ranges.
    unsafe {
        if lanes < LANES {
            to.write_bytes(0, len * LANES);
        }
        for (start, size) in parts(len, LANES) {
            for lane in 0..lanes {
                let from = from.add(lane * stride + start);
                let to = to.add(start * LANES + lane);
                for k in 0..size {
                    *to.add(k * LANES) = *from.add(k);
                }
            }
        }
    }
}

/// Writes `to[stride·lane + k] = from[16·k + lane]` for `k < len` and `lane < lanes`.
///
/// # Safety
/// `from` must cover 16·`len` floats, `to` `lanes` rows of `len` at `stride`.
pub(super) unsafe fn from_lanes(from: *const f32, lanes: usize, len: usize, to: *mut f32, stride: usize) {
    // SAFETY: the caller vouches for both ranges.
    unsafe {
        for (start, size) in parts(len, LANES) {
            for lane in 0..lanes {
                let from = from.add(start * LANES + lane);
                let to = to.add(lane * stride + start);
                for k in 0..size {
                    *to.add(k) = *from.add(k * LANES);
                }
            }
        }
    }
}

/// `x[B, C, L]` as `[B, C/16, L, 16]`, lanes beyond C zero.
pub(super) fn blocked(x: &[f32], batch: usize, channels: usize, len: usize) -> Vec<f32> {
    const PIECE: usize = 1024;
    let (blocks, pieces) = (channels.div_ceil(LANES), len.div_ceil(PIECE));
    let size = batch * blocks * len * LANES;
    let fill = |out: Shared| {
        (0..batch * blocks * pieces).into_par_iter().for_each(|job| {
            let (piece, block, n) = (job % pieces * PIECE, job / pieces % blocks, job / pieces / blocks);
            let from = (n * channels + block * LANES) * len + piece;
            let (lanes, size) = (LANES.min(channels - block * LANES), PIECE.min(len - piece));
            // SAFETY: the piece lies within its row in x, and within its block in the output, which is its own.
            unsafe {
                let to = out.at(((n * blocks + block) * len + piece) * LANES);
                to_lanes(x[from..].as_ptr(), len, lanes, size, to);
            }
        });
    };
    // SAFETY: the pieces cover every row of every block.
    unsafe { filled(size, fill) }
}

/// A grid's margins and how its rows are ordered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Margins {
    /// Zeros before and after, along D, H, W.
    pub front: [usize; 3],
    pub back: [usize; 3],
    /// Even columns first, then odd ones, so that a stride of two along W becomes one of one.
    pub split: bool,
}

/// Volumes `[planes, D, H, W]` within their margins, with [`LANES`] floats to spare at the end where they were copied.
pub(super) struct Padded<'a> {
    pub data: Cow<'a, [f32]>,
    /// Floats between neighbours along plane, D, H.
    pub plane: usize,
    pub depth: usize,
    pub row: usize,
    /// Where the odd columns begin, if they are split off.
    half: Option<usize>,
}

impl<'a> Padded<'a> {
    /// Copies `x` `[planes, D, H, W]` into its margins; borrows it where there is nothing to add.
    pub fn new(x: &'a [f32], planes: usize, dims: [usize; 3], margins: Margins) -> Self {
        let size: [usize; 3] = std::array::from_fn(|a| margins.front[a] + dims[a] + margins.back[a]);
        if size == dims && !margins.split {
            let (depth, row) = (dims[1] * dims[2], dims[2]);
            return Self { data: Cow::Borrowed(x), plane: dims[0] * depth, depth, row, half: None };
        }
        let half = margins.split.then(|| size[2].div_ceil(2));
        let row = half.map_or(size[2], |h| 2 * h);
        let depth = size[1] * row;
        // An odd number of cache lines, so that channels do not compete for the same cache sets.
        let plane = ((size[0] * depth).div_ceil(LANES) | 1) * LANES;
        let jobs = planes * size[0];
        let fill = |out: Shared| {
            (0..jobs).into_par_iter().for_each(|job| {
                let (p, z) = (job / size[0], job % size[0]);
                // The last slice takes the slack up to the next plane along.
                let slack = if job + 1 == jobs { LANES } else { 0 };
                let len = if z + 1 == size[0] { plane - z * depth + slack } else { depth };
                // SAFETY: this slice of the output is this job's alone, and rows stay within it.
                let slice = unsafe {
                    let to = out.at(p * plane + z * depth);
                    to.write_bytes(0, len);
                    std::slice::from_raw_parts_mut(to, len)
                };
                let Some(d) = z.checked_sub(margins.front[0]).filter(|d| *d < dims[0]) else { return };
                let from = (p * dims[0] + d) * dims[1] * dims[2];
                for (h, from) in x[from..from + dims[1] * dims[2]].chunks_exact(dims[2]).enumerate() {
                    let to = &mut slice[(h + margins.front[1]) * row..][..row];
                    match half {
                        None => to[margins.front[2]..][..dims[2]].copy_from_slice(from),
                        Some(half) => split_columns(from, margins.front[2], to, half),
                    }
                }
            });
        };
        // SAFETY: each job zeroes its slice before it writes; the slices cover every plane.
        let data = unsafe { filled(planes * plane + LANES, fill) };
        Self { data: Cow::Owned(data), plane, depth, row, half }
    }

    /// Offset of column `position` (counted with its margin) within a row.
    pub fn column(&self, position: usize) -> usize {
        self.half.map_or(position, |half| position % 2 * half + position / 2)
    }
}

/// Puts a row that begins at column `front` into a row of even columns followed, at `half`, by odd ones.
pub(super) fn split_columns(from: &[f32], front: usize, to: &mut [f32], half: usize) {
    let (even, odd) = to.split_at_mut(half);
    let (first, second) = if front.is_multiple_of(2) {
        (&mut even[front / 2..], &mut odd[front / 2..])
    } else {
        (&mut odd[front / 2..], &mut even[front / 2 + 1..])
    };
    let pairs = from.chunks_exact(2);
    if let [last] = pairs.remainder() {
        first[from.len() / 2] = *last;
    }
    for ((pair, a), b) in pairs.zip(first).zip(second) {
        (*a, *b) = (pair[0], pair[1]);
    }
}
