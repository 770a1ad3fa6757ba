//! The filter along W: within a row.

use super::axis::{Residue, Residues, Sliding};
use crate::lanes::{Isa, LANES, Lanes};
use crate::passes::epilogue::combine;
use crate::passes::instances::instances;

/// Zeros to begin with, on a boundary of cache lines.
pub(super) struct Scratch {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Scratch {
    pub fn new(len: usize) -> Self {
        let data = vec![0.0; len + LANES];
        let start = data.as_ptr().align_offset(64).min(LANES);
        Self { data, start, len }
    }

    pub fn floats(&self) -> &[f32] {
        &self.data[self.start..][..self.len]
    }

    pub fn floats_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..][..self.len]
    }
}

/// A row between its margins.
pub(super) struct Margined {
    data: Scratch,
    front: usize,
    len: usize,
    cell: usize,
}

impl Margined {
    /// Room for a row of `len` floats, `cell` for each voxel.
    pub fn new(width: &Residues, len: usize, cell: usize) -> Self {
        Self { data: Scratch::new(width.size * cell), front: width.front * cell, len, cell }
    }

    /// The row within its margins.
    pub fn middle(&mut self) -> &mut [f32] {
        &mut self.data.floats_mut()[self.front..][..self.len]
    }
}

/// Filters a row into `to`.
pub(super) fn along(isa: Isa, width: &Residues, row: &Margined, to: &mut [f32]) {
    let Residues { period, step, count, residues, .. } = width;
    match (period, step, row.cell) {
        (1, 1, cell) => {
            // Neighbouring outputs sum neighbouring samples: four shifted rows.
            let Residue { base, taps } = residues[0];
            let mut sources = [(&[][..], 0.0); 4];
            for (k, source) in sources[..*count].iter_mut().enumerate() {
                *source = (&row.data.floats()[(base + k) * cell..][..to.len()], taps[k]);
            }
            combine(isa, &sources[..*count], to, None);
        }
        (_, _, LANES) => strided_lanes(isa, width, row.data.floats(), to),
        _ => strided(isa, width, row.data.floats(), to),
    }
}

instances! {
    /// Cells of sixteen floats.
    fn strided_lanes<L>(width: &Residues, row: &[f32], to: &mut [f32]) {
        assert!(row.len() >= width.size * LANES, "the row has no margins");
        let outputs = to.len() / LANES;
        for (r, residue) in width.residues.iter().enumerate() {
            // SAFETY: this is compiled for `L`. No output reads past the `size` of its row, nor are there more outputs
            // than `to` has cells.
            unsafe {
                let (from, to) = (row.as_ptr().add(residue.base * LANES), to.as_mut_ptr().add(r * LANES));
                let strides = (width.step * LANES, width.period * LANES);
                let count = (outputs - r).div_ceil(width.period);
                match width.count {
                    2 => cells::<L, 2>(from, to, strides, count, &residue.taps),
                    _ => cells::<L, 4>(from, to, strides, count, &residue.taps),
                }
            }
        }
    }
}

/// Writes `count` cells, each a sum over `K` touching cells.
///
/// # Safety
/// To be inlined into a function compiled for `L`; the pointers must cover all cells.
#[inline(always)]
unsafe fn cells<L: Lanes, const K: usize>(
    from: *const f32,
    to: *mut f32,
    (from_step, to_step): (usize, usize),
    count: usize,
    taps: &[f32; 4],
) {
    let taps = *taps;
    for q in 0..count {
        // SAFETY: the caller vouches for the cells.
        unsafe {
            let from = from.add(q * from_step);
            let mut sum = L::zero();
            for (k, tap) in taps[..K].iter().enumerate() {
                sum = sum.add_scaled(tap, L::load(from.add(k * LANES)));
            }
            sum.store(to.add(q * to_step));
        }
    }
}

instances! {
    /// Cells of one float.
    fn strided(width: &Residues, row: &[f32], to: &mut [f32]) {
        assert!(row.len() >= width.size, "the row has no margins");
        // With these as constants the compiler interleaves vectors.
        match (width.period, width.step, width.count) {
            (2, 1, 2) => floats((2, 1, 2), &width.residues, row, to),
            (1, 2, 4) => floats((1, 2, 4), &width.residues, row, to),
            others => floats(others, &width.residues, row, to),
        }
    }
}

#[inline(always)]
fn floats((period, step, count): (usize, usize, usize), residues: &[Residue], row: &[f32], to: &mut [f32]) {
    let one = |q: usize, residue: &Residue| {
        let from = residue.base + step * q;
        // SAFETY: no output reads past the `size` of its row.
        (0..count).map(|k| residue.taps[k] * unsafe { row.get_unchecked(from + k) }).sum::<f32>()
    };
    if let (2, [even, odd]) = (period, residues) {
        let (even, odd) = (*even, *odd);
        for (q, pair) in to.chunks_mut(2).enumerate() {
            pair[0] = one(q, &even);
            if let [_, second] = pair {
                *second = one(q, &odd);
            }
        }
    } else {
        for (r, residue) in residues.iter().enumerate() {
            let residue = *residue;
            for (q, to) in to[r..].iter_mut().step_by(period).enumerate() {
                *to = one(q, &residue);
            }
        }
    }
}

instances! {
    /// Along D and along W at once, for one output slice or two: `to[b]` filters, along W, the sum of the rows
    /// `sources[b + k]` with `taps[k]`. What lies between the two stays in registers.
    fn slide<L>(sources: &[&[f32]], taps: &[f32; 4], width: &Sliding, to: [&mut [f32]; 2], pair: bool) {
        match (sources, pair) {
            (&[a, b, c, d, e], true) => slid::<L, 5, 4, 2>([a, b, c, d, e], taps, width, to),
            (&[a, b, c, d], false) => slid::<L, 4, 4, 1>([a, b, c, d], taps, width, first(to)),
            (&[a, b, c], false) => slid::<L, 3, 3, 1>([a, b, c], taps, width, first(to)),
            (&[a, b], false) => slid::<L, 2, 2, 1>([a, b], taps, width, first(to)),
            (&[a], false) => slid::<L, 1, 1, 1>([a], taps, width, first(to)),
            ([], false) => first(to)[0].fill(0.0),
            _ => unreachable!("one window of up to four samples, or two of four"),
        }
    }
}

#[inline(always)]
fn first([first, _]: [&mut [f32]; 2]) -> [&mut [f32]; 1] {
    [first]
}

/// `S` sources, of which each of `B` outputs sums `K`.
#[inline(always)]
fn slid<L: Lanes, const S: usize, const K: usize, const B: usize>(
    sources: [&[f32]; S],
    taps: &[f32; 4],
    width: &Sliding,
    to: [&mut [f32]; B],
) {
    let (taps, along, shift) = (*taps, width.taps, width.shift);
    let (len, outputs) = (sources[0].len() / LANES, to[0].len() / LANES);
    let mut from = [std::ptr::null(); S];
    for s in 0..S {
        from[s] = sources[s][..len * LANES].as_ptr();
    }
    let mut rows = [std::ptr::null_mut(); B];
    for (row, to) in rows.iter_mut().zip(to) {
        *row = to[..outputs * LANES].as_mut_ptr();
    }
    // Output o needs samples o + shift to o + shift + 3; step j takes in sample j + shift, where there is one.
    let steps = outputs + 3;
    let bound = |sample: isize| (sample - shift).clamp(0, steps as isize) as usize;
    let (begin, end) = (bound(0), bound(len as isize));
    // SAFETY: this is compiled for `L`; samples are below `len`, outputs below `outputs`.
    unsafe {
        let mut windows = [[L::zero(); 3]; B];
        for j in 0..begin {
            step::<L, B>(&mut windows, [L::zero(); B], &along, &rows, j);
        }
        for j in begin..end {
            let at = (j as isize + shift) as usize * LANES;
            let mut samples = [L::zero(); S];
            for s in 0..S {
                // The newest slices come from afar; the older ones are in the cache.
                if s >= S - B {
                    prefetch(from[s].wrapping_add(at + len * LANES));
                }
                samples[s] = L::load(from[s].add(at));
            }
            let mut values = [L::zero(); B];
            for b in 0..B {
                for k in 0..K {
                    values[b] = values[b].add_scaled(&taps[k], samples[b + k]);
                }
            }
            step::<L, B>(&mut windows, values, &along, &rows, j);
        }
        for j in end..steps {
            step::<L, B>(&mut windows, [L::zero(); B], &along, &rows, j);
        }
    }
}

/// Takes one more value into each window and, once there are four, writes their sum.
///
/// # Safety
/// To be inlined into a function compiled for `L`; the rows must have cell `j − 3`.
#[inline(always)]
unsafe fn step<L: Lanes, const B: usize>(
    windows: &mut [[L; 3]; B],
    values: [L; B],
    taps: &[f32; 4],
    rows: &[*mut f32; B],
    j: usize,
) {
    for b in 0..B {
        let [p, q, r] = windows[b];
        windows[b] = [q, r, values[b]];
        if j >= 3 {
            // SAFETY: the caller vouches for the set and the cell.
            unsafe {
                let sum = L::zero().add_scaled(&taps[0], p).add_scaled(&taps[1], q);
                let sum = sum.add_scaled(&taps[2], r).add_scaled(&taps[3], values[b]);
                sum.store(rows[b].add((j - 3) * LANES));
            }
        }
    }
}

/// Asks for a cache line that the next row of a slice will need; an address outside the slice does no harm.
#[inline(always)]
fn prefetch(from: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}
