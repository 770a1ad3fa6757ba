//! The innermost loops of the gather, compiled once for each instruction set and register tile.

use crate::lanes::{Baseline, Isa, LANES, Lanes};

/// Taps that touch along W, as offsets in floats. They share what is loaded of x.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    /// From the tile's first voxel to the one that the first tap reads.
    pub x: usize,
    /// From the block's first weight to each tap's.
    pub w: [usize; 3],
    /// How many, 1 to [`Isa::touching`].
    pub taps: usize,
}

/// What the tiles of a gather share; distances in floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather<'a> {
    /// Source channels of this block, at most sixteen.
    pub channels: usize,
    /// Between channels of x; those of w are sixteen apart.
    pub x_channel: usize,
    /// Between the tile's rows of x, of y.
    pub x_row: usize,
    pub y_row: usize,
    /// Between the tile's columns of y.
    pub y_column: usize,
    /// Whether sums start at zero rather than at y.
    pub fresh: bool,
    /// Whether the tile's last column is left out of y.
    pub short: bool,
    pub groups: &'a [Group],
}

/// Adds a tile of rows by columns of voxels to `y[row, column, 16]`.
pub(super) type GatherFn = unsafe fn(x: *const f32, w: *const f32, y: *mut f32, shared: &Gather<'_>);

/// Writes `to[v·16 + lane] = from[v·16 + lane] · scale[lane]` for `v < voxels`.
pub(super) type ScaleFn = unsafe fn(from: *const f32, voxels: usize, scale: *const f32, to: *mut f32);

/// Writes the body out for every `r` below `$rows` and `n` below `$columns` (at most 3 and 33): a loop that the
/// compiler leaves rolled would keep the sums in memory.
macro_rules! unroll {
    ($rows:expr, $columns:expr, |$r:ident, $n:ident| $body:block) => {
        unroll!(@row $rows, $columns, 0, |$r, $n| $body);
        unroll!(@row $rows, $columns, 1, |$r, $n| $body);
        unroll!(@row $rows, $columns, 2, |$r, $n| $body);
    };
    (@row $rows:expr, $columns:expr, $row:literal, |$r:ident, $n:ident| $body:block) => {
        if $row < $rows {
            unroll!(@all $columns, $row, |$r, $n| $body,
                0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
        }
    };
    (@all $columns:expr, $row:literal, |$r:ident, $n:ident| $body:block, $($column:literal)+) => {
        $(if $column < $columns {
            let ($r, $n) = ($row, $column);
            $body
        })+
    };
}

pub(super) use unroll;

/// A tile for sixteen target channels, one per lane: `R` rows of `N` voxels, columns of x `C` floats apart.
///
/// # Safety
/// To be inlined into a function compiled for `L`; x must cover every tap of every voxel of the tile in every channel,
/// w every tap of every channel, y the tile.
#[inline(always)]
unsafe fn gather<L: Lanes, const R: usize, const N: usize, const C: usize, const FUSE: bool>(
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    shared: &Gather<'_>,
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut sums = begin::<L, R, N>(y, shared);
        for group in shared.groups {
            let x = x.add(group.x);
            match group.taps {
                3 if FUSE => gather_group::<L, R, N, C, 3>(x, w, group, shared, &mut sums),
                2 if FUSE => gather_group::<L, R, N, C, 2>(x, w, group, shared, &mut sums),
                _ => gather_group::<L, R, N, C, 1>(x, w, group, shared, &mut sums),
            }
        }
        finish(&sums, y, shared);
    }
}

/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn gather_group<L: Lanes, const R: usize, const N: usize, const C: usize, const T: usize>(
    x: *const f32,
    w: *const f32,
    group: &Group,
    shared: &Gather<'_>,
    sums: &mut [[L; N]; R],
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut x = x;
        let mut w: [*const f32; T] = std::array::from_fn(|t| w.add(group.w[t]));
        for _ in 0..shared.channels {
            let weights: [L; T] = std::array::from_fn(|t| L::load(w[t]));
            // Source voxel n serves target voxels n, n − 1, n − 2: each is broadcast once.
            unroll!(R, N + T - 1, |r, n| {
                let voxel = L::splat(*x.add(r * shared.x_row + n * C));
                for (t, weight) in weights.iter().enumerate() {
                    if n >= t && n - t < N {
                        sums[r][n - t] = sums[r][n - t].add_product(voxel, *weight);
                    }
                }
            });
            x = x.wrapping_add(shared.x_channel);
            w = w.map(|w| w.wrapping_add(LANES));
        }
    }
}

/// A tile for one target channel, source channels in the lanes, whose sum is left to the caller.
///
/// # Safety
/// To be inlined into a function compiled for `L`; x must cover sixteen channels of every tap of every voxel of the
/// tile, w sixteen weights of every tap, y the tile.
#[inline(always)]
unsafe fn reduce<L: Lanes, const R: usize, const N: usize, const FUSE: bool>(
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    shared: &Gather<'_>,
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut sums = begin::<L, R, N>(y, shared);
        for group in shared.groups {
            let x = x.add(group.x);
            match group.taps {
                3 if FUSE => reduce_group::<L, R, N, 3>(x, w, group, shared, &mut sums),
                2 if FUSE => reduce_group::<L, R, N, 2>(x, w, group, shared, &mut sums),
                _ => reduce_group::<L, R, N, 1>(x, w, group, shared, &mut sums),
            }
        }
        finish(&sums, y, shared);
    }
}

/// # Safety
/// As for [`reduce`].
#[inline(always)]
unsafe fn reduce_group<L: Lanes, const R: usize, const N: usize, const T: usize>(
    x: *const f32,
    w: *const f32,
    group: &Group,
    shared: &Gather<'_>,
    sums: &mut [[L; N]; R],
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let weights: [L; T] = std::array::from_fn(|t| L::load(w.add(group.w[t])));
        unroll!(R, N + T - 1, |r, n| {
            let voxel = L::load(x.add(r * shared.x_row + n * LANES));
            for (t, weight) in weights.iter().enumerate() {
                if n >= t && n - t < N {
                    sums[r][n - t] = sums[r][n - t].add_product(voxel, *weight);
                }
            }
        });
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; y must cover the tile.
#[inline(always)]
pub(super) unsafe fn begin<L: Lanes, const R: usize, const N: usize>(
    y: *const f32,
    shared: &Gather<'_>,
) -> [[L; N]; R] {
    // SAFETY: the caller vouches for the tile.
    unsafe {
        let mut sums = [[L::zero(); N]; R];
        if shared.fresh {
            for r in 0..R {
                prefetch(y.add(r * shared.y_row), N, shared.y_column);
            }
        } else {
            for (r, row) in sums.iter_mut().enumerate() {
                for (n, sum) in row.iter_mut().enumerate() {
                    if shared.short && n + 1 == N {
                        break;
                    }
                    *sum = L::load(y.add(r * shared.y_row + n * shared.y_column));
                }
            }
        }
        sums
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; y must cover the tile.
#[inline(always)]
pub(super) unsafe fn finish<L: Lanes, const R: usize, const N: usize>(
    sums: &[[L; N]; R],
    y: *mut f32,
    shared: &Gather<'_>,
) {
    for (r, row) in sums.iter().enumerate() {
        for (n, sum) in row.iter().enumerate() {
            if shared.short && n + 1 == N {
                break;
            }
            // SAFETY: the caller vouches for the tile.
            unsafe { sum.store(y.add(r * shared.y_row + n * shared.y_column)) };
        }
    }
}

/// Asks for `count` lines `step` floats apart, so that they have come when they are needed.
#[inline(always)]
pub(super) fn prefetch(from: *const f32, count: usize, step: usize) {
    #[cfg(target_arch = "x86_64")]
    for i in 0..count {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction belongs to the architecture and reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(i * step).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, count, step);
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`ScaleFn`] says.
#[inline(always)]
unsafe fn scale<L: Lanes>(from: *const f32, voxels: usize, scale: *const f32, to: *mut f32) {
    // SAFETY: the caller vouches for the voxels.
    unsafe {
        let scale = L::load(scale);
        for v in 0..voxels {
            L::zero().add_product(L::load(from.add(v * LANES)), scale).store(to.add(v * LANES));
        }
    }
}

/// Chooses among the instances of a kernel by two run-time sizes.
macro_rules! choose {
    ($kernel:ident, $a:expr, $b:expr, $($first:literal: $($second:literal)+;)+) => {
        match ($a, $b) {
            $($(($first, $second) => $kernel::<$first, $second>,)+)+
            (a, b) => unreachable!("no {a}×{b} tile"),
        }
    };
}

pub(super) use choose;

/// Compiles the kernels for one instruction set. `$fuse` says whether registers suffice for the weights of several
/// taps.
macro_rules! compile {
    ($set:ident, $lanes:ty, $fuse:literal, $(#[$feature:meta])?, $($sizes:tt)+) => {
        mod $set {
            use super::{Gather, GatherFn};
            #[allow(unused_imports, reason = "the portable set needs none")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::{__m256, __m512};

            $(#[$feature])?
            unsafe fn lanes<const R: usize, const N: usize>(
                x: *const f32,
                w: *const f32,
                y: *mut f32,
                shared: &Gather<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::gather::<$lanes, R, N, 16, $fuse>(x, w, y, shared) }
            }

            $(#[$feature])?
            unsafe fn planes<const R: usize, const N: usize>(
                x: *const f32,
                w: *const f32,
                y: *mut f32,
                shared: &Gather<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::gather::<$lanes, R, N, 1, $fuse>(x, w, y, shared) }
            }

            $(#[$feature])?
            unsafe fn pairs<const R: usize, const N: usize>(
                x: *const f32,
                w: *const f32,
                y: *mut f32,
                shared: &Gather<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::gather::<$lanes, R, N, 32, $fuse>(x, w, y, shared) }
            }

            $(#[$feature])?
            unsafe fn reduce<const R: usize, const N: usize>(
                x: *const f32,
                w: *const f32,
                y: *mut f32,
                shared: &Gather<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::reduce::<$lanes, R, N, $fuse>(x, w, y, shared) }
            }

            $(#[$feature])?
            pub(super) unsafe fn scale(from: *const f32, voxels: usize, scale: *const f32, to: *mut f32) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::scale::<$lanes>(from, voxels, scale, to) }
            }

            pub(super) fn gather_of(rows: usize, columns: usize, step: usize) -> GatherFn {
                match step {
                    1 => choose!(planes, rows, columns, $($sizes)+),
                    16 => choose!(lanes, rows, columns, $($sizes)+),
                    _ => choose!(pairs, rows, columns, $($sizes)+),
                }
            }

            pub(super) fn reduce_of(rows: usize, columns: usize) -> GatherFn {
                choose!(reduce, rows, columns, $($sizes)+)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, __m512, true, #[target_feature(enable = "avx512f")],
    1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16;
    2: 1 2 3 4 5 6 7 8 9 10 11 12;
    3: 1 2 3 4 5 6 7 8;
);

#[cfg(target_arch = "x86_64")]
compile!(avx2, [__m256; 2], false, #[target_feature(enable = "avx2,fma")],
    1: 1 2 3 4 5 6; 2: 1 2 3; 3: 1 2;);

compile!(portable, super::Baseline, false, , 1: 1 2 3; 2: 1; 3: 1;);

impl Isa {
    /// Rows and columns that one tile takes at most, where the grid's rows have `columns` voxels.
    pub(super) fn gather_limits(self, columns: usize) -> (usize, usize) {
        let (voxels, longest) = match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => (24, 16),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (6, 6),
            Isa::Portable => (3, 3),
        };
        let width = columns.div_ceil(columns.div_ceil(longest).max(1)).max(1);
        ((voxels / width).clamp(1, 3), width)
    }

    /// Taps that a [`Group`] may have.
    pub(super) fn touching(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 3,
            _ => 1,
        }
    }

    /// The kernel for a tile of `rows` × `columns` voxels within [`Isa::gather_limits`], sixteen target channels in the
    /// lanes; columns of x are `step` floats apart: 1, 16 or 32.
    pub(super) fn gather(self, rows: usize, columns: usize, step: usize) -> GatherFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::gather_of(rows, columns, step),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::gather_of(rows, columns, step),
            Isa::Portable => portable::gather_of(rows, columns, step),
        }
    }

    /// As [`Isa::gather`] for one target channel, sixteen source channels in the lanes.
    pub(super) fn reduce(self, rows: usize, columns: usize) -> GatherFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::reduce_of(rows, columns),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::reduce_of(rows, columns),
            Isa::Portable => portable::reduce_of(rows, columns),
        }
    }

    /// The kernel that scales voxels of sixteen channels.
    pub(super) fn scale(self) -> ScaleFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::scale,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::scale,
            Isa::Portable => portable::scale,
        }
    }
}
