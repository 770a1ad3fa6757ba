//! The transforms of lines of tiles and of weights, for any set of lanes: tensor products of F(2, 3)'s.
//!
//! All work on one frequency along D at a time, so sixteen frequencies (four along H by four along W) of sixteen
//! channels are in flight, which is what the registers hold.

#![allow(
    clippy::needless_range_loop,
    reason = "closures and iterators would be compiled without the instruction set, and called for each vector"
)]

use super::kernels::{Finish, Fold, Line};
use crate::lanes::{LANES, Lanes};

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover the line.
#[inline(always)]
unsafe fn column<L: Lanes, const R: usize, const SUM: bool, const SCALED: bool>(
    line: &Line<R>,
    column: usize,
    scale: L,
) -> [L; R] {
    // SAFETY: the caller vouches for the rows; columns outside (−1 has wrapped) are not read.
    unsafe {
        let mut out = [L::zero(); R];
        if column < line.width {
            for r in 0..R {
                let [a, b] = line.rows[r];
                let (a, b) = (L::load(a.add(column * LANES)), L::load(b.add(column * LANES)));
                let v = if SUM { a.add(b) } else { a.sub(b) };
                out[r] = if SCALED { v.mul(scale) } else { v };
            }
        }
        out
    }
}

/// `Bᵀ v` of F(2, 3).
///
/// # Safety
/// To be inlined into a function compiled for `L`.
#[inline(always)]
unsafe fn input_axis<L: Lanes>(v: [L; 4]) -> [L; 4] {
    // SAFETY: as the caller vouches.
    unsafe { [v[0].sub(v[2]), v[1].add(v[2]), v[2].sub(v[1]), v[1].sub(v[3])] }
}

/// `A v` of F(2, 3), the last frequency with the opposite sign.
///
/// # Safety
/// To be inlined into a function compiled for `L`.
#[inline(always)]
unsafe fn gradient_axis<L: Lanes>(v: [L; 2]) -> [L; 4] {
    // SAFETY: as the caller vouches.
    unsafe { [v[0], v[0].add(v[1]), v[0].sub(v[1]), v[1]] }
}

/// `Aᵀ m` of F(2, 3).
///
/// # Safety
/// To be inlined into a function compiled for `L`.
#[inline(always)]
unsafe fn output_axis<L: Lanes>(m: [L; 4]) -> [L; 2] {
    // SAFETY: as the caller vouches.
    unsafe { [m[0].add(m[1].add(m[2])), m[1].sub(m[2]).sub(m[3])] }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover the line and its frequencies.
#[inline(always)]
pub(super) unsafe fn input_line<L: Lanes, const SUM: bool, const SCALED: bool>(line: &Line<4>, to: *mut f32) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        let scale = if SCALED { L::load(line.scale) } else { L::zero() };
        let first = 2 * line.first;
        let mut c0 = input_axis(column::<L, 4, SUM, SCALED>(line, first.wrapping_sub(1), scale));
        let mut c1 = input_axis(column::<L, 4, SUM, SCALED>(line, first, scale));
        for tile in 0..line.tiles {
            let c2 = input_axis(column::<L, 4, SUM, SCALED>(line, first + 2 * tile + 1, scale));
            let c3 = input_axis(column::<L, 4, SUM, SCALED>(line, first + 2 * tile + 2, scale));
            for h in 0..4 {
                let to = to.add(4 * h * line.frequency + tile * LANES);
                let row = input_axis([c0[h], c1[h], c2[h], c3[h]]);
                for f in 0..4 {
                    row[f].store(to.add(f * line.frequency));
                }
            }
            (c0, c1) = (c2, c3);
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover the line and its frequencies.
#[inline(always)]
pub(super) unsafe fn gradient_line<L: Lanes, const SUM: bool, const SCALED: bool>(
    line: &Line<2>,
    to: *mut f32,
) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        let scale = if SCALED { L::load(line.scale) } else { L::zero() };
        for tile in 0..line.tiles {
            let first = 2 * (line.first + tile);
            let c0 = gradient_axis(column::<L, 2, SUM, SCALED>(line, first, scale));
            let c1 = gradient_axis(column::<L, 2, SUM, SCALED>(line, first + 1, scale));
            for h in 0..4 {
                let to = to.add(4 * h * line.frequency + tile * LANES);
                let row = gradient_axis([c0[h], c1[h]]);
                for f in 0..4 {
                    row[f].store(to.add(f * line.frequency));
                }
            }
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`FoldFn`] says.
#[inline(always)]
pub(super) unsafe fn fold<L: Lanes, const DEPTH: usize>(m: *const f32, y: *mut f32, fold: &Fold<'_>) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        for tile in 0..fold.tiles {
            let m = m.add(tile * LANES);
            let mut lines = [[L::zero(); 2]; 4];
            for h in 0..4 {
                let mut line = [L::zero(); 4];
                for w in 0..4 {
                    line[w] = L::load(m.add((4 * h + w) * fold.frequency));
                }
                lines[h] = output_axis(line);
            }
            let y = y.add(tile * 8 * LANES);
            for w in 0..2 {
                let column = output_axis([lines[0][w], lines[1][w], lines[2][w], lines[3][w]]);
                for h in 0..2 {
                    let v = column[h];
                    let near = y.add((2 * h + w) * LANES);
                    let far = near.add(4 * LANES);
                    match DEPTH {
                        0 => v.store(near),
                        1 => {
                            L::load(near).add(v).store(near);
                            v.store(far);
                        }
                        2 => {
                            L::load(near).add(v).store(near);
                            L::load(far).sub(v).store(far);
                        }
                        _ => {
                            let column = 2 * (fold.first + tile) + w;
                            finish(L::load(near), fold.finish, h, column);
                            finish(L::load(far).sub(v), fold.finish, 2 + h, column);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the rows must cover the column unless it or they are outside.
#[inline(always)]
unsafe fn finish<L: Lanes>(mut v: L, finish: &Finish, row: usize, column: usize) {
    // SAFETY: the caller vouches for the pointers; null ones and columns outside are not followed.
    unsafe {
        let to = finish.rows[row];
        if to.is_null() || column >= finish.width {
            return;
        }
        if !finish.scale.is_null() {
            v = v.mul(L::load(finish.scale));
        }
        if !finish.field[row].is_null() {
            v = v.add_scaled(finish.field[row].add(column), L::load(finish.lanes));
        }
        if !finish.bias.is_null() {
            v = v.add(L::load(finish.bias));
        }
        if let Some(gain) = finish.lrelu {
            v = v.max(v.mul(L::splat(0.2))).mul(L::splat(gain));
        }
        v.store(to.add(column * LANES));
    }
}

/// `G w` of F(2, 3).
///
/// # Safety
/// To be inlined into a function compiled for `L`.
#[inline(always)]
unsafe fn weights_axis<L: Lanes>(w: [L; 3]) -> [L; 4] {
    // SAFETY: as the caller vouches.
    unsafe {
        let half = L::splat(0.5);
        let (ends, middle) = (w[0].add(w[2]).mul(half), w[1].mul(half));
        [w[0], ends.add(middle), ends.sub(middle), w[2]]
    }
}

/// `Gᵀ u` of F(2, 3), the last frequency with the opposite sign.
///
/// # Safety
/// To be inlined into a function compiled for `L`.
#[inline(always)]
unsafe fn weights_back_axis<L: Lanes>(u: [L; 4]) -> [L; 3] {
    // SAFETY: as the caller vouches.
    unsafe {
        let half = L::splat(0.5);
        let (sum, difference) = (u[1].add(u[2]).mul(half), u[1].sub(u[2]).mul(half));
        [u[0].add(sum), difference, sum.sub(u[3])]
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`WeightsFn`] says.
#[inline(always)]
pub(super) unsafe fn weights<L: Lanes>(taps: *const f32, to: *mut f32, depth: usize, frequency: usize) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        // Along D first, then H, then W.
        let mut planes = [[L::zero(); 9]; 4];
        for t in 0..9 {
            let [a, b, c] = [taps.add(t * LANES), taps.add((9 + t) * LANES), taps.add((18 + t) * LANES)];
            let v = weights_axis([L::load(a), L::load(b), L::load(c)]);
            for d in 0..4 {
                planes[d][t] = v[d];
            }
        }
        for d in 0..4 {
            let p = planes[d];
            let (a, b, c) = (
                weights_axis([p[0], p[3], p[6]]),
                weights_axis([p[1], p[4], p[7]]),
                weights_axis([p[2], p[5], p[8]]),
            );
            for h in 0..4 {
                let row = weights_axis([a[h], b[h], c[h]]);
                for w in 0..4 {
                    row[w].store(to.add(d * depth + (4 * h + w) * frequency));
                }
            }
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover what [`WeightsBackFn`] says.
#[inline(always)]
pub(super) unsafe fn weights_back<L: Lanes>(
    from: *const f32,
    [depth, frequency, chunk]: [usize; 3],
    chunks: usize,
    taps: *mut f32,
) {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        let mut planes = [[L::zero(); 9]; 4];
        for d in 0..4 {
            let mut rows = [[L::zero(); 3]; 4];
            for h in 0..4 {
                let mut row = [L::zero(); 4];
                for w in 0..4 {
                    let from = from.add(d * depth + (4 * h + w) * frequency);
                    row[w] = L::load(from);
                    for c in 1..chunks {
                        row[w] = row[w].add(L::load(from.add(c * chunk)));
                    }
                }
                rows[h] = weights_back_axis(row);
            }
            for w in 0..3 {
                let v = weights_back_axis([rows[0][w], rows[1][w], rows[2][w], rows[3][w]]);
                for h in 0..3 {
                    planes[d][3 * h + w] = v[h];
                }
            }
        }
        for t in 0..9 {
            let v = weights_back_axis([planes[0][t], planes[1][t], planes[2][t], planes[3][t]]);
            for d in 0..3 {
                v[d].store(taps.add((9 * d + t) * LANES));
            }
        }
    }
}
