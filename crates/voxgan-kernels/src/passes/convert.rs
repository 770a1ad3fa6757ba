//! Conversion between the layouts.

use super::volumes::Volumes;
use crate::lanes::LANES;
use crate::layout::Layout;
use crate::layout::{Shared, filled, parts};
use rayon::prelude::*;

/// Voxels of one job.
const PIECE: usize = 2048;

/// `x` `[N, C, V]` (V voxels) as `[N, ⌈C/16⌉, V, 16]`, zero in the lanes beyond C.
///
/// # Panics
/// If `x` has the wrong number of elements.
pub fn to_blocked(batch: usize, channels: usize, voxels: usize, x: &[f32]) -> Vec<f32> {
    let planes = Volumes { layout: Layout::Plain, batch, channels, voxels };
    planes.check("to_blocked: x", x.len(), planes.floats());
    convert(batch, channels, voxels, Layout::Blocked.len(batch, channels, voxels), |job, out| {
        // SAFETY: the piece's rows lie within x, its cells within the output, where they are this job's alone.
        unsafe {
            let (from, to) = (x.as_ptr().add(job.plane), out.at(job.cell));
            if job.lanes < LANES {
                to.write_bytes(0, job.voxels * LANES);
            }
            tiles(job.voxels, job.lanes, |voxel, lane, square| {
                let (from, to) = (from.add(lane * voxels + voxel), to.add(voxel * LANES + lane));
                if square { transpose(from, voxels, to, LANES) } else { *to = *from }
            });
        }
    })
}

/// `x` `[N, ⌈C/16⌉, V, 16]` as `[N, C, V]` (V voxels).
///
/// # Panics
/// If `x` has the wrong number of elements.
pub fn to_plain(batch: usize, channels: usize, voxels: usize, x: &[f32]) -> Vec<f32> {
    let lanes = Volumes { layout: Layout::Blocked, batch, channels, voxels };
    lanes.check("to_plain: x", x.len(), lanes.floats());
    convert(batch, channels, voxels, batch * channels * voxels, |job, out| {
        // SAFETY: the piece's cells lie within x, its rows within the output, where they are this job's alone.
        unsafe {
            let (from, to) = (x.as_ptr().add(job.cell), out.at(job.plane));
            tiles(job.voxels, job.lanes, |voxel, lane, square| {
                let (from, to) = (from.add(voxel * LANES + lane), to.add(lane * voxels + voxel));
                if square { transpose(from, LANES, to, voxels) } else { *to = *from }
            });
        }
    })
}

/// Voxels of one block of one volume.
struct Job {
    /// Offset of the first channel's first voxel in `[N, C, V]`, and of the block's first voxel in `[N, C/16, V, 16]`.
    plane: usize,
    cell: usize,
    /// Channels of the block.
    lanes: usize,
    voxels: usize,
}

/// A vector of `len` floats, which `write` fills piece by piece.
fn convert(
    batch: usize,
    channels: usize,
    voxels: usize,
    len: usize,
    write: impl Fn(Job, Shared) + Sync,
) -> Vec<f32> {
    let blocks = channels.div_ceil(LANES);
    let pieces: Vec<_> = parts(voxels, PIECE).collect();
    let fill = |out: Shared| {
        (0..batch * blocks * pieces.len()).into_par_iter().for_each(|i| {
            let ((voxel, size), block, n) =
                (pieces[i % pieces.len()], i / pieces.len() % blocks, i / pieces.len() / blocks);
            let job = Job {
                plane: (n * channels + block * LANES) * voxels + voxel,
                cell: ((n * blocks + block) * voxels + voxel) * LANES,
                lanes: LANES.min(channels - block * LANES),
                voxels: size,
            };
            write(job, out);
        });
    };
    // SAFETY: the pieces cover every voxel of every block; both writers above fill theirs.
    unsafe { filled(len, fill) }
}

/// Visits squares of four voxels by four lanes, then single numbers where no square fits. Sixteen voxels at a time,
/// a cache line of each plane.
#[inline(always)]
fn tiles(voxels: usize, lanes: usize, mut visit: impl FnMut(usize, usize, bool)) {
    let (whole_voxels, whole_lanes) = (voxels / 4 * 4, lanes / 4 * 4);
    for first in (0..whole_voxels).step_by(LANES) {
        for lane in (0..whole_lanes).step_by(4) {
            for voxel in (first..whole_voxels.min(first + LANES)).step_by(4) {
                visit(voxel, lane, true);
            }
        }
    }
    for voxel in 0..voxels {
        for lane in if voxel < whole_voxels { whole_lanes } else { 0 }..lanes {
            visit(voxel, lane, false);
        }
    }
}

/// `to[c·to_row + r] = from[r·from_row + c]` for r and c below four.
///
/// # Safety
/// The pointers must be good for these elements, four floats each time.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
    // SAFETY: SSE belongs to the architecture; the caller vouches for the pointers.
    unsafe {
        let row = |r: usize| _mm_loadu_ps(from.add(r * from_row));
        let (mut a, mut b, mut c, mut d) = (row(0), row(1), row(2), row(3));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (r, row) in [a, b, c, d].into_iter().enumerate() {
            _mm_storeu_ps(to.add(r * to_row), row);
        }
    }
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    for r in 0..4 {
        for c in 0..4 {
            // SAFETY: the caller vouches for the pointers.
            unsafe { *to.add(c * to_row + r) = *from.add(r * from_row + c) };
        }
    }
}
