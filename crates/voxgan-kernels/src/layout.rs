//! The layouts of volumes in memory: plain, and in blocks of sixteen channels.

use crate::lanes::LANES;

/// The layout of a volume's channels in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[N, C, D, H, W]`.
    Plain,
    /// `[N, ⌈C/16⌉, D, H, W, 16]`, zero in the lanes beyond C.
    Blocked,
}

/// Fewer channels than this are left as planes: most of the lanes would be idle.
const BLOCKED_CHANNELS_MIN: usize = 8;

impl Layout {
    /// The layout of networks for this number of channels.
    pub fn of(channels: usize) -> Self {
        if channels < BLOCKED_CHANNELS_MIN { Layout::Plain } else { Layout::Blocked }
    }

    /// Number of floats of `batch` volumes of `channels` channels and `voxels` voxels.
    pub fn len(self, batch: usize, channels: usize, voxels: usize) -> usize {
        match self {
            Layout::Plain => batch * channels * voxels,
            Layout::Blocked => batch * channels.next_multiple_of(LANES) * voxels,
        }
    }
}

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

    /// A range of the floats, to be written before it is read.
    ///
    /// # Safety
    /// The range must lie within the allocation, and no other job may touch it.
    pub unsafe fn slice<'a>(&self, range: std::ops::Range<usize>) -> &'a mut [f32] {
        // SAFETY: the caller vouches for it.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
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
pub(super) unsafe fn to_blocked(from: *const f32, stride: usize, lanes: usize, len: usize, to: *mut f32) {
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
pub(super) unsafe fn from_blocked(from: *const f32, lanes: usize, len: usize, to: *mut f32, stride: usize) {
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
