//! The inner loops, compiled once for each instruction set: the products between the transforms, and what all loops
//! take.

#![allow(
    clippy::needless_range_loop,
    reason = "closures and iterators would be compiled without the instruction set, and called for each vector"
)]

use crate::lanes::{Baseline, Isa, LANES, Lanes};

/// Frequencies along H and W together.
pub(super) const PLANE: usize = 16;

/// Two rows along D for each of `R` rows along H, as pointers to their column 0, combined into one frequency along D.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<const R: usize> {
    /// Sixteen lanes a column, `width` columns.
    pub rows: [[*const f32; 2]; R],
    /// The sum of each two rows, or else their difference.
    pub sum: bool,
    pub width: usize,
    /// First tile along W, and how many.
    pub first: usize,
    pub tiles: usize,
    /// Sixteen factors of the lanes, or null for none.
    pub scale: *const f32,
    /// Floats between two frequencies of the result.
    pub frequency: usize,
}

/// Writes the sixteen frequencies of a line of tiles, `to[frequency][tile, 16]`.
pub(super) type LineFn<const R: usize> = unsafe fn(line: &Line<R>, to: *mut f32);

/// Distances in floats within one frequency's matrix product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// Terms of each sum: input channels.
    pub channels: usize,
    /// Between blocks of sixteen channels of the factors that are broadcast, `[channels / 16][tile, 16]`.
    pub x_block: usize,
    /// Between blocks of the vectors, `[block][channels, 16]`, and of the result.
    pub u_block: usize,
    pub m_block: usize,
}

/// `m[block][tile, 16] = Σ x[channel, tile] · u[block][channel, 16]` for the kernel's number of blocks and tiles.
pub(super) type ProductFn = unsafe fn(x: *const f32, u: *const f32, m: *mut f32, shared: &Product);

/// `sums[block][channel, 16] += Σ x[tile, channel] · z[block][tile, 16]` over `tiles`, for the kernel's number of
/// blocks and channels; blocks of z and of the sums are `z_block` and `sum_block` floats apart.
pub(super) type CorrelateFn = unsafe fn(x: *const f32, z: *const f32, sums: *mut f32, shared: &Correlation);

/// See [`CorrelateFn`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Correlation {
    pub tiles: usize,
    pub z_block: usize,
    pub sum_block: usize,
    /// The sums have no value yet: they are set instead of added to.
    pub fresh: bool,
}

/// What is done to a line of results; all per lane of one block of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    /// Sixteen factors, or null.
    pub scale: *const f32,
    /// Sixteen terms, or null.
    pub bias: *const f32,
    /// The field at column 0 of each of the four rows `[d][h]`, or null.
    pub field: [*const f32; 4],
    /// One in the lanes that the field is added to.
    pub lanes: *const f32,
    /// Gain after the leaky ReLU, if there is one.
    pub lrelu: Option<f32>,
    /// The output at column 0 of each row `[d][h]`; null where the row is outside.
    pub rows: [*mut f32; 4],
    pub width: usize,
}

/// A line of tiles on their way back from frequencies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold<'a> {
    /// Frequency along D, 0 to 3.
    pub depth: usize,
    /// Floats between frequencies of the products.
    pub frequency: usize,
    pub first: usize,
    pub tiles: usize,
    pub finish: &'a Finish,
}

/// Transforms products `m[frequency][tile, 16]` back along H and W and adds them to `y[tile, 8, 16]`; writes the output
/// after the last frequency along D.
pub(super) type FoldFn = unsafe fn(m: *const f32, y: *mut f32, fold: &Fold<'_>);

/// Transforms the weights `taps[27, 16]`, and writes frequency `[fd][f]` to `to + fd·depth + f·frequency`.
pub(super) type WeightsFn = unsafe fn(taps: *const f32, to: *mut f32, depth: usize, frequency: usize);

/// The transpose of [`WeightsFn`], frequencies summed over `chunks`, which are `chunk` floats apart.
pub(super) type WeightsBackFn =
    unsafe fn(from: *const f32, strides: [usize; 3], chunks: usize, taps: *mut f32);

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`ProductFn`] says.
#[inline(always)]
unsafe fn product<L: Lanes, const B: usize, const N: usize>(
    x: *const f32,
    u: *const f32,
    m: *mut f32,
    shared: &Product,
) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        let mut sums = [[L::zero(); N]; B];
        let mut first = 0;
        while first < shared.channels {
            let x = x.add(first / LANES * shared.x_block);
            let u = u.add(first * LANES);
            for i in 0..LANES.min(shared.channels - first) {
                let mut factors = [L::zero(); B];
                for b in 0..B {
                    factors[b] = L::load(u.add(b * shared.u_block + i * LANES));
                }
                for n in 0..N {
                    let x = x.add(n * LANES + i);
                    for b in 0..B {
                        sums[b][n] = sums[b][n].add_scaled(x, factors[b]);
                    }
                }
            }
            first += LANES;
        }
        for (b, row) in sums.iter().enumerate() {
            for (n, sum) in row.iter().enumerate() {
                sum.store(m.add(b * shared.m_block + n * LANES));
            }
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`CorrelateFn`] says.
#[inline(always)]
unsafe fn correlate<L: Lanes, const B: usize, const N: usize>(
    x: *const f32,
    z: *const f32,
    to: *mut f32,
    shared: &Correlation,
) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        let mut sums = [[L::zero(); N]; B];
        for tile in 0..shared.tiles {
            let x = x.add(tile * LANES);
            let mut factors = [L::zero(); B];
            for b in 0..B {
                factors[b] = L::load(z.add(b * shared.z_block + tile * LANES));
            }
            for n in 0..N {
                for b in 0..B {
                    sums[b][n] = sums[b][n].add_scaled(x.add(n), factors[b]);
                }
            }
        }
        for (b, row) in sums.iter().enumerate() {
            for (n, sum) in row.iter().enumerate() {
                let to = to.add(b * shared.sum_block + n * LANES);
                let sum = if shared.fresh { *sum } else { sum.add(L::load(to)) };
                sum.store(to);
            }
        }
    }
}

/// The inner loops of one instruction set.
pub(super) struct Kernels {
    pub input_line: LineFn<4>,
    pub gradient_line: LineFn<2>,
    pub fold: FoldFn,
    pub weights: WeightsFn,
    pub weights_back: WeightsBackFn,
    /// `[blocks − 1][tiles − 1]`.
    pub products: [&'static [ProductFn]; 2],
    /// `[blocks − 1][channels − 1]`.
    pub correlations: [&'static [CorrelateFn]; 2],
}

impl Kernels {
    /// Blocks of sixteen channels that one product or correlation takes at most.
    pub fn blocks(&self) -> usize {
        if self.products[1].is_empty() { 1 } else { 2 }
    }
}

/// Compiles the kernels for one instruction set.
macro_rules! compile {
    ($set:ident, $lanes:ty, $(#[$feature:meta])?, product { $($one:literal)+; $($two:literal)* } correlate { $($first:literal)+; $($second:literal)* }) => {
        mod $set {
            use super::super::transforms;
            use super::{Correlation, Fold, Kernels, Line, Product};
            #[allow(unused_imports, reason = "the portable set needs none")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::{__m256, __m512};

            $(#[$feature])?
            unsafe fn input_line(line: &Line<4>, to: *mut f32) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe {
                    match (line.sum, line.scale.is_null()) {
                        (false, true) => transforms::input_line::<$lanes, false, false>(line, to),
                        (false, false) => transforms::input_line::<$lanes, false, true>(line, to),
                        (true, true) => transforms::input_line::<$lanes, true, false>(line, to),
                        (true, false) => transforms::input_line::<$lanes, true, true>(line, to),
                    }
                }
            }

            $(#[$feature])?
            unsafe fn gradient_line(line: &Line<2>, to: *mut f32) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe {
                    match (line.sum, line.scale.is_null()) {
                        (false, true) => transforms::gradient_line::<$lanes, false, false>(line, to),
                        (false, false) => transforms::gradient_line::<$lanes, false, true>(line, to),
                        (true, true) => transforms::gradient_line::<$lanes, true, false>(line, to),
                        (true, false) => transforms::gradient_line::<$lanes, true, true>(line, to),
                    }
                }
            }

            $(#[$feature])?
            unsafe fn fold(m: *const f32, y: *mut f32, fold: &Fold<'_>) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe {
                    match fold.depth {
                        0 => transforms::fold::<$lanes, 0>(m, y, fold),
                        1 => transforms::fold::<$lanes, 1>(m, y, fold),
                        2 => transforms::fold::<$lanes, 2>(m, y, fold),
                        _ => transforms::fold::<$lanes, 3>(m, y, fold),
                    }
                }
            }

            $(#[$feature])?
            unsafe fn weights(taps: *const f32, to: *mut f32, depth: usize, frequency: usize) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { transforms::weights::<$lanes>(taps, to, depth, frequency) }
            }

            $(#[$feature])?
            unsafe fn weights_back(from: *const f32, strides: [usize; 3], chunks: usize, taps: *mut f32) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { transforms::weights_back::<$lanes>(from, strides, chunks, taps) }
            }

            $(#[$feature])?
            unsafe fn product<const B: usize, const N: usize>(x: *const f32, u: *const f32, m: *mut f32, shared: &Product) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::product::<$lanes, B, N>(x, u, m, shared) }
            }

            $(#[$feature])?
            unsafe fn correlate<const B: usize, const N: usize>(x: *const f32, z: *const f32, sums: *mut f32, shared: &Correlation) {
                // SAFETY: this function is compiled for the set; the caller vouches for the pointers.
                unsafe { super::correlate::<$lanes, B, N>(x, z, sums, shared) }
            }

            pub(super) static KERNELS: Kernels = Kernels {
                input_line,
                gradient_line,
                fold,
                weights,
                weights_back,
                products: [&[$(product::<1, $one>),+], &[$(product::<2, $two>),*]],
                correlations: [&[$(correlate::<1, $first>),+], &[$(correlate::<2, $second>),*]],
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, __m512, #[target_feature(enable = "avx512f")],
    product { 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; 1 2 3 4 5 6 7 8 9 10 11 12 }
    correlate { 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; 1 2 3 4 5 6 7 8 }
);

#[cfg(target_arch = "x86_64")]
compile!(avx2, [__m256; 2], #[target_feature(enable = "avx2,fma")], product { 1 2 3 4 5 6; } correlate { 1 2 3 4 5 6; });

compile!(portable, super::Baseline, , product { 1 2 3; } correlate { 1 2 3; });

/// The inner loops for an instruction set.
pub(super) fn kernels(isa: Isa) -> &'static Kernels {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &avx512::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &avx2::KERNELS,
        Isa::Portable => &portable::KERNELS,
    }
}
