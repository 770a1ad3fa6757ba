//! The innermost loop of the weight gradient, compiled once for each instruction set and register tile.

use super::tile::prefetch;
use crate::lanes::{Baseline, Isa, LANES, Lanes};

/// Rows of voxels to be correlated, and what they have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// The rows of x: for each row of g one pointer for each channel, or only one where channels touch.
    pub x: &'a [*const f32],
    /// Rows of g, each of `width` voxels of sixteen channels.
    pub g: &'a [*const f32],
    pub width: usize,
    /// Columns of x and the floats between them.
    pub count: usize,
    pub x_step: usize,
    /// The column of g that the first tap pairs with the first column of x; each further tap pairs it with the one
    /// before.
    pub first: isize,
}

/// Where sums go: `P` channels of x by `T` taps, each times sixteen channels of g.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums<'a> {
    pub to: *mut f32,
    /// Floats from `to` to each channel's sum, and from there to each tap's.
    pub channels: &'a [usize],
    pub taps: [usize; 3],
    /// Factors of the channels of x, and of the sixteen of g.
    pub x_scale: &'a [f32],
    pub g_scale: &'a [f32; LANES],
}

/// Adds `Σ x[p][column] · g[column + first − t][..16]`, scaled, to the sums of channels p and taps t, over rows and
/// columns; g is zero outside its rows.
pub(super) type CorrelateFn = unsafe fn(rows: &Rows<'_>, sums: &Sums<'_>);

/// Voxels outside a row of g.
static ZERO: [f32; LANES] = [0.0; LANES];

/// # Safety
/// To be inlined into a function compiled for `L`; each row of x must cover `count` columns (of sixteen channels where
/// channels touch), each row of g `width` voxels; there are `P` channels, whose sums lie within `to`.
#[inline(always)]
unsafe fn correlate<L: Lanes, const P: usize, const T: usize, const TOUCH: bool>(
    rows: &Rows<'_>,
    sums: &Sums<'_>,
) {
    // SAFETY: the pointers and offsets are those that the caller vouches for.
    unsafe {
        let mut tile = [[L::zero(); T]; P];
        // Columns that meet g for some tap.
        let begin = (-rows.first).max(0);
        let end = (rows.width as isize - rows.first + T as isize - 1).min(rows.count as isize);
        for (r, g) in rows.g.iter().enumerate() {
            let mut x: [*const f32; P] = std::array::from_fn(|p| match TOUCH {
                true => rows.x.get_unchecked(r).add(p),
                false => *rows.x.get_unchecked(r * P + p),
            });
            x = x.map(|x| x.wrapping_offset(begin * rows.x_step as isize));
            // The next row, which is asked for while this one is used; channels that touch share its lines.
            let mut next =
                rows.x.get(r + 1).map_or(x[0], |x| x.wrapping_offset(begin * rows.x_step as isize));
            for column in begin..end {
                if TOUCH {
                    prefetch(next, 1, 0);
                    next = next.wrapping_add(rows.x_step);
                }
                let factors: [L; T] = std::array::from_fn(|t| {
                    let at = (column + rows.first - t as isize) as usize;
                    L::load(if at < rows.width { g.add(at * LANES) } else { ZERO.as_ptr() })
                });
                for (x, row) in x.iter().zip(&mut tile) {
                    let x = L::splat(**x);
                    for (sum, factor) in row.iter_mut().zip(factors) {
                        *sum = sum.add_product(x, factor);
                    }
                }
                x = x.map(|x| x.wrapping_add(rows.x_step));
            }
        }
        let g_scale = L::load(sums.g_scale.as_ptr());
        for (p, row) in tile.iter().enumerate() {
            for (t, sum) in row.iter().enumerate() {
                let to = sums.to.add(sums.channels.get_unchecked(p) + sums.taps[t]);
                let scaled = L::zero().add_product(*sum, g_scale);
                L::load(to).add_scaled(sums.x_scale.as_ptr().add(p), scaled).store(to);
            }
        }
    }
}

/// Compiles the kernels for one instruction set: channels for each number of taps.
macro_rules! compile {
    ($set:ident, $lanes:ty, $(#[$feature:meta])?, $($taps:literal: $($channels:literal)+;)+) => {
        mod $set {
            use super::{CorrelateFn, Rows, Sums};
            #[allow(unused_imports, reason = "the portable set needs none")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::{__m256, __m512};

            $(#[$feature])?
            unsafe fn correlate<const P: usize, const T: usize, const TOUCH: bool>(
                rows: &Rows<'_>,
                sums: &Sums<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::correlate::<$lanes, P, T, TOUCH>(rows, sums) }
            }

            pub(super) fn correlate_of(channels: usize, taps: usize, touch: bool) -> CorrelateFn {
                match (channels, taps, touch) {
                    $($(
                        ($channels, $taps, true) => correlate::<$channels, $taps, true>,
                        ($channels, $taps, false) => correlate::<$channels, $taps, false>,
                    )+)+
                    _ => unreachable!("no {channels}×{taps} tile"),
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, __m512, #[target_feature(enable = "avx512f")],
    1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8;);

#[cfg(target_arch = "x86_64")]
compile!(avx2, [__m256; 2], #[target_feature(enable = "avx2,fma")], 1: 1 2 3 4;);

compile!(portable, super::Baseline, , 1: 1 2;);

impl Isa {
    /// Channels of x that one correlation takes at most with `taps` taps, up to [`Isa::touching`].
    pub(super) fn correlate_limit(self, taps: usize) -> usize {
        match (self, taps) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, 1) => 16,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, _) => 8,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => 4,
            (Isa::Portable, _) => 2,
        }
    }

    /// The kernel for `channels` within [`Isa::correlate_limit`]; whether they touch in x or have pointers of their
    /// own.
    pub(super) fn correlate(self, channels: usize, taps: usize, touch: bool) -> CorrelateFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::correlate_of(channels, taps, touch),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::correlate_of(channels, taps, touch),
            Isa::Portable => portable::correlate_of(channels, taps, touch),
        }
    }
}
