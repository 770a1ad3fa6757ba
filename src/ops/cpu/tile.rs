//! The two innermost loops, compiled once for each instruction set and register tile.

use super::lanes::{Baseline, Isa, LANES, Lanes};

/// One tap of a gather, as offsets in floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// From the tile's first voxel to the voxel that the tap reads.
    pub x: usize,
    /// From a channel's first weight to the tap's sixteen.
    pub w: usize,
}

/// What all tiles of a gather share; distances in floats.
#[derive(Clone, Debug)]
pub(super) struct Gather<'a> {
    pub channels: usize,
    /// Between input channels of x, of w.
    pub x_channel: usize,
    pub w_channel: usize,
    /// Between the tile's rows of x, of y.
    pub x_row: usize,
    pub y_row: usize,
    /// Between the tile's columns of y; those of x touch.
    pub y_column: usize,
    pub taps: &'a [Tap],
}

/// Computes a tile of `R` rows by `N` columns of voxels for sixteen output channels; writes `y[r, n, 16]`.
pub(super) type GatherFn = unsafe fn(x: *const f32, w: *const f32, y: *mut f32, shared: &Gather<'_>);

/// Sixteen voxels in a row, as offsets in floats: where their first tap's position 0 lies in x, and where they go in y.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub x: usize,
    pub y: usize,
}

/// Computes `V` runs of sixteen voxels for `O` neighbouring output channels, `y_channel` floats apart: lanes are voxels
/// here, which suits fewer than sixteen channels. Runs may overhang their row; what they compute there is void.
pub(super) type SweepFn =
    unsafe fn(x: *const f32, w: *const f32, y: *mut f32, runs: &[Run], y_channel: usize, shared: &Gather<'_>);

/// One row of voxels in a correlation, as offsets in floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub x: usize,
    pub g: usize,
}

/// Adds `Σ x[offsets[p] + span.x + v + t] · g[span.g + 16·v ..][..16]` over spans and `v < width` to `sums[p, t, 16]`,
/// for `P` offsets and `T` touching taps.
pub(super) type CorrelateFn = unsafe fn(
    x: *const f32,
    offsets: *const usize,
    g: *const f32,
    spans: &[Span],
    width: usize,
    sums: *mut f32,
);

/// # Safety
/// To be inlined into a function compiled for `L`; x must cover every tap of every voxel of the tile in every channel,
/// w every tap in every channel, y the tile.
#[inline(always)]
unsafe fn gather<L: Lanes, const R: usize, const N: usize>(
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    shared: &Gather<'_>,
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut sums = [[L::zero(); N]; R];
        for channel in 0..shared.channels {
            let (x, w) = (x.add(channel * shared.x_channel), w.add(channel * shared.w_channel));
            for tap in shared.taps {
                let (x, weights) = (x.add(tap.x), L::load(w.add(tap.w)));
                for (r, row) in sums.iter_mut().enumerate() {
                    let x = x.add(r * shared.x_row);
                    for (n, sum) in row.iter_mut().enumerate() {
                        *sum = sum.add_scaled(x.add(n), weights);
                    }
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (n, sum) in row.iter().enumerate() {
                sum.store(y.add(r * shared.y_row + n * shared.y_column));
            }
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; there are `V` runs; x must cover every tap of every run in every
/// channel, w every tap of `O` outputs, y the runs in `O` channels.
#[inline(always)]
unsafe fn sweep<L: Lanes, const O: usize, const V: usize>(
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    runs: &[Run],
    y_channel: usize,
    shared: &Gather<'_>,
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut sums = [[L::zero(); V]; O];
        for channel in 0..shared.channels {
            let (x, w) = (x.add(channel * shared.x_channel), w.add(channel * shared.w_channel));
            let rows: [*const f32; V] = std::array::from_fn(|v| x.add(runs.get_unchecked(v).x));
            for tap in shared.taps {
                let voxels: [L; V] = std::array::from_fn(|v| L::load(rows[v].add(tap.x)));
                for (o, row) in sums.iter_mut().enumerate() {
                    for (sum, voxels) in row.iter_mut().zip(voxels) {
                        *sum = sum.add_scaled(w.add(tap.w + o), voxels);
                    }
                }
            }
        }
        for (o, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                sum.store(y.add(o * y_channel + runs.get_unchecked(v).y));
            }
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`CorrelateFn`] says.
#[inline(always)]
unsafe fn correlate<L: Lanes, const P: usize, const T: usize>(
    x: *const f32,
    offsets: *const usize,
    g: *const f32,
    spans: &[Span],
    width: usize,
    out: *mut f32,
) {
    // SAFETY: the offsets are those that the caller vouches for.
    unsafe {
        let mut sums = [[L::zero(); T]; P];
        for span in spans {
            let rows: [*const f32; P] = std::array::from_fn(|p| x.add(*offsets.add(p) + span.x));
            let g = g.add(span.g);
            for v in 0..width {
                let factor = L::load(g.add(v * LANES));
                for (x, row) in rows.iter().zip(&mut sums) {
                    for (t, sum) in row.iter_mut().enumerate() {
                        *sum = sum.add_scaled(x.add(v + t), factor);
                    }
                }
            }
        }
        for (p, row) in sums.iter().enumerate() {
            for (t, sum) in row.iter().enumerate() {
                let to = out.add((p * T + t) * LANES);
                sum.add(L::load(to)).store(to);
            }
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

/// Compiles the kernels for one instruction set.
macro_rules! compile {
    ($set:ident, $lanes:ty, $(#[$feature:meta])?, gather { $($gather:tt)+ } sweep { $($sweep:tt)+ } correlate { $($correlate:tt)+ }) => {
        mod $set {
            use super::{CorrelateFn, Gather, GatherFn, Run, Span, SweepFn};
            #[allow(unused_imports, reason = "the portable set needs none")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::{__m256, __m512};

            $(#[$feature])?
            unsafe fn gather<const R: usize, const N: usize>(
                x: *const f32,
                w: *const f32,
                y: *mut f32,
                shared: &Gather<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::gather::<$lanes, R, N>(x, w, y, shared) }
            }

            $(#[$feature])?
            unsafe fn sweep<const O: usize, const V: usize>(
                x: *const f32,
                w: *const f32,
                y: *mut f32,
                runs: &[Run],
                y_channel: usize,
                shared: &Gather<'_>,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::sweep::<$lanes, O, V>(x, w, y, runs, y_channel, shared) }
            }

            $(#[$feature])?
            unsafe fn correlate<const P: usize, const T: usize>(
                x: *const f32,
                offsets: *const usize,
                g: *const f32,
                spans: &[Span],
                width: usize,
                sums: *mut f32,
            ) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::correlate::<$lanes, P, T>(x, offsets, g, spans, width, sums) }
            }

            pub(super) fn gather_of(rows: usize, columns: usize) -> GatherFn {
                choose!(gather, rows, columns, $($gather)+)
            }

            pub(super) fn sweep_of(outputs: usize, runs: usize) -> SweepFn {
                choose!(sweep, outputs, runs, $($sweep)+)
            }

            pub(super) fn correlate_of(taps: usize, offsets: usize) -> CorrelateFn {
                choose!(correlate, offsets, taps, $($correlate)+)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, __m512, #[target_feature(enable = "avx512f")],
    gather {
        1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24;
        2: 1 2 3 4 5 6 7 8 9 10 11 12;
        3: 1 2 3 4 5 6 7 8;
        4: 1 2 3 4 5 6;
        5: 1 2 3 4;
        6: 1 2 3 4;
        7: 1 2 3;
        8: 1 2 3;
    }
    sweep { 1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6; 4: 1 2 3 4 5; }
    correlate { 1: 1 3; 2: 1 3; 3: 1 3; 4: 1 3; 5: 1 3; 6: 1 3; 7: 1 3; 8: 1 3; 9: 1; 10: 1; 11: 1; 12: 1; }
);

#[cfg(target_arch = "x86_64")]
compile!(avx2, [__m256; 2], #[target_feature(enable = "avx2,fma")],
    gather { 1: 1 2 3 4 5 6; 2: 1 2 3; 3: 1 2; 4: 1; 5: 1; 6: 1; }
    sweep { 1: 1 2 3 4; 2: 1 2 3; 3: 1 2; 4: 1; }
    correlate { 1: 1 3; 2: 1 3; 3: 1; 4: 1; 5: 1; 6: 1; }
);

compile!(portable, super::Baseline, ,
    gather { 1: 1 2 3; 2: 1; 3: 1; }
    sweep { 1: 1 2; 2: 1; }
    correlate { 1: 1 3; 2: 1; 3: 1; }
);

impl Isa {
    /// Rows and columns that one tile takes at most, where the grid's rows have `columns` voxels.
    pub(super) fn gather_limits(self, columns: usize) -> (usize, usize) {
        let (voxels, rows) = match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => (24, 8),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (6, 6),
            Isa::Portable => (3, 3),
        };
        let width = columns.div_ceil(columns.div_ceil(voxels).max(1)).max(1);
        ((voxels / width).min(rows), width)
    }

    /// The kernel for a tile of `rows` × `columns` voxels within [`Isa::gather_limits`].
    pub(super) fn gather(self, rows: usize, columns: usize) -> GatherFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::gather_of(rows, columns),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::gather_of(rows, columns),
            Isa::Portable => portable::gather_of(rows, columns),
        }
    }

    /// Output channels that one sweep takes at most, and runs that it takes with `outputs` of them.
    pub(super) fn sweep_limits(self, outputs: usize) -> (usize, usize) {
        let (registers, most, longest) = match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => (20, 4, 8),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (6, 4, 4),
            Isa::Portable => (2, 2, 2),
        };
        (most, (registers / outputs.clamp(1, most)).clamp(1, longest))
    }

    /// The kernel for `outputs` and `runs` within [`Isa::sweep_limits`].
    pub(super) fn sweep(self, outputs: usize, runs: usize) -> SweepFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::sweep_of(outputs, runs),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::sweep_of(outputs, runs),
            Isa::Portable => portable::sweep_of(outputs, runs),
        }
    }

    /// Offsets that one correlation takes at most with `taps` (1 or 3) touching taps.
    pub(super) fn correlate_limit(self, taps: usize) -> usize {
        match (self, taps) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, 1) => 12,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, _) => 8,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, 1) => 6,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => 2,
            (Isa::Portable, 1) => 3,
            (Isa::Portable, _) => 1,
        }
    }

    /// The kernel for `offsets` within [`Isa::correlate_limit`] and `taps` of 1 or 3.
    pub(super) fn correlate(self, taps: usize, offsets: usize) -> CorrelateFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::correlate_of(taps, offsets),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::correlate_of(taps, offsets),
            Isa::Portable => portable::correlate_of(taps, offsets),
        }
    }
}
