//! The innermost loops of a gather whose three taps along W meet its voxels at a stride of two, in one group.
#![cfg_attr(not(target_arch = "x86_64"), allow(unused, reason = "only AVX-512 has registers enough"))]

use super::tile::{Gather, GatherFn, begin, choose, finish, prefetch, unroll};
use crate::lanes::{Isa, LANES, Lanes};

/// How three taps that touch along W meet the columns of a tile.
const STRIDED: u8 = 0;
/// Pairs of columns with the taps of a transposed stride of two: source column j gives to target columns 2j to 2j + 2.
const TWINS: u8 = 1;

/// Where source column `n` goes with tap `t`, by the rule `HOW`.
const fn joined(how: u8, n: usize, t: usize) -> Option<usize> {
    match (how, t) {
        (STRIDED, _) if n >= t && (n - t).is_multiple_of(2) => Some((n - t) / 2),
        (TWINS, 0) => Some(2 * n),
        (TWINS, _) if n >= 1 => Some(2 * (n - 1) + (t - 1)),
        _ => None,
    }
}

/// As a gather for groups of three taps at a stride of two: `STRIDED`, or transposed as `TWINS`, whose taps are in the
/// order 2, 0, 1.
///
/// # Safety
/// To be inlined into a function compiled for `L`; x must cover every tap of every voxel of the tile in every channel,
/// w every tap of every channel, y the tile.
#[inline(always)]
unsafe fn gather_joined<L: Lanes, const R: usize, const N: usize, const HOW: u8>(
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    shared: &Gather<'_>,
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut sums = begin::<L, R, N>(y, shared);
        let columns = const { if HOW == STRIDED { 2 * N + 1 } else { N / 2 + 1 } };
        for (i, group) in shared.groups.iter().enumerate() {
            if let (STRIDED, Some(next)) = (HOW, shared.groups.get(i + 2)) {
                // Rows that are read where they lie come from far away.
                for r in 0..R {
                    prefetch(x.wrapping_add(next.x + r * shared.x_row), columns, LANES);
                }
            }
            let mut x = x.add(group.x);
            let mut w: [*const f32; 3] = std::array::from_fn(|t| w.add(group.w[t]));
            for _ in 0..shared.channels {
                let weights: [L; 3] = std::array::from_fn(|t| L::load(w[t]));
                unroll!(R, columns, |r, n| {
                    let voxel = L::splat(*x.add(r * shared.x_row + n * LANES));
                    for (t, weight) in weights.iter().enumerate() {
                        if let Some(at) = joined(HOW, n, t)
                            && at < N
                        {
                            sums[r][at] = sums[r][at].add_product(voxel, *weight);
                        }
                    }
                });
                x = x.wrapping_add(1);
                w = w.map(|w| w.wrapping_add(LANES));
            }
        }
        finish(&sums, y, shared);
    }
}

/// Three taps at once at a stride of two, where registers suffice.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Gather, GatherFn, STRIDED, TWINS, choose};
    use std::arch::x86_64::__m512;

    #[target_feature(enable = "avx512f")]
    unsafe fn strided<const R: usize, const N: usize>(
        x: *const f32,
        w: *const f32,
        y: *mut f32,
        shared: &Gather<'_>,
    ) {
        // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
        unsafe { super::gather_joined::<__m512, R, N, STRIDED>(x, w, y, shared) }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn twins<const R: usize, const N: usize>(
        x: *const f32,
        w: *const f32,
        y: *mut f32,
        shared: &Gather<'_>,
    ) {
        // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
        unsafe { super::gather_joined::<__m512, R, N, TWINS>(x, w, y, shared) }
    }

    pub(super) fn strided_of(rows: usize, columns: usize) -> GatherFn {
        choose!(strided, rows, columns,
            1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; 2: 1 2 3 4 5 6 7 8 9 10 11 12; 3: 1 2 3 4 5 6 7 8;)
    }

    pub(super) fn twins_of(rows: usize, columns: usize) -> GatherFn {
        choose!(twins, rows, columns, 1: 2 4 6 8 10 12 14 16 18 20 22 24; 2: 2 4 6 8 10 12; 3: 2 4 6 8;)
    }
}

impl Isa {
    /// As [`Isa::gather`] for groups of three taps at a stride of two, if the set has such kernels. Where `twins`, the
    /// stride is the target's, and `columns` those of both parities.
    pub(super) fn gather_joined(self, rows: usize, columns: usize, twins: bool) -> Option<GatherFn> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if twins => Some(avx512::twins_of(rows, columns)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Some(avx512::strided_of(rows, columns)),
            _ => None,
        }
    }
}
