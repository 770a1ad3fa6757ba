//! The samples of each output, as tables of one axis.

use super::Pass;
use std::ops::Range;

/// The touching samples that one output sums, none outside the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    first: usize,
    count: usize,
    /// The tap of each sample; zeros after them.
    pub taps: [f32; 4],
}

impl Window {
    pub fn samples(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Whether the next output sums as many samples, one further on, with the same taps.
    pub fn slides_to(&self, next: &Window) -> bool {
        next.first == self.first + 1 && next.count == self.count && self.count == 4 && next.taps == self.taps
    }
}

/// The windows of all outputs; without a pass, each output is its sample.
pub(super) fn windows(pass: Option<Pass>, len: usize, out_len: usize) -> Vec<Window> {
    let Some(pass) = pass else {
        return (0..len).map(|first| Window { first, count: 1, taps: [1.0, 0.0, 0.0, 0.0] }).collect();
    };
    let window = |o: usize| {
        let mut window = Window { first: 0, count: 0, taps: [0.0; 4] };
        for (sample, tap) in terms(&pass, o) {
            if (0..len as isize).contains(&sample) {
                if window.count == 0 {
                    window.first = sample as usize;
                }
                window.taps[window.count] = tap;
                window.count += 1;
            }
        }
        window
    };
    (0..out_len).map(window).collect()
}

/// The samples, inside the input or not, that output `o` sums, each with its tap: those among four positions of the
/// zero-stuffed row that hold one, so they touch.
fn terms(pass: &Pass, o: usize) -> impl Iterator<Item = (isize, f32)> {
    let (up, start) = (pass.up as isize, (o * pass.down) as isize - pass.pad.0);
    let hits = (0..4).zip(pass.taps).filter(move |(t, _)| (start + t).rem_euclid(up) == 0);
    hits.map(move |(t, tap)| ((start + t).div_euclid(up), tap))
}

/// All outputs of a row: output `period·q + r` sums `count` samples from `bases[r] + step·q` on, counted with `front`
/// zeros before the row.
#[derive(Clone, Debug)]
pub(super) struct Residues {
    pub period: usize,
    pub step: usize,
    /// Samples that each output sums at most; unused taps are zero.
    pub count: usize,
    pub residues: Vec<Residue>,
    /// Zeros before the row, and samples of the row with all its margins.
    pub front: usize,
    pub size: usize,
}

/// Every `period`-th output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Residue {
    pub base: usize,
    pub taps: [f32; 4],
}

impl Residues {
    pub fn new(pass: Pass, len: usize, out_len: usize) -> Self {
        let Pass { up, down, .. } = pass;
        let (period, step) = if up == down { (1, 1) } else { (up, down) };
        let count = 4usize.div_ceil(up);
        let found: Vec<(isize, [f32; 4])> = (0..period.min(out_len))
            .map(|r| {
                let mut taps = [0.0; 4];
                terms(&pass, r).zip(&mut taps).for_each(|((_, tap), to)| *to = tap);
                (terms(&pass, r).next().map_or(0, |(sample, _)| sample), taps)
            })
            .collect();
        let front = found.iter().map(|(base, _)| -base).max().unwrap_or(0).max(0) as usize;
        let residues: Vec<Residue> = found
            .into_iter()
            .map(|(base, taps)| Residue { base: (base + front as isize) as usize, taps })
            .collect();
        let reach =
            |(r, residue): (usize, &Residue)| residue.base + (out_len - r - 1) / period * step + count;
        let reach = residues.iter().enumerate().map(reach).max().unwrap_or(0);
        Self { period, step, count, residues, front, size: reach.max(front + len) }
    }

    /// The same where each output sums four samples, one further on than the output before.
    pub fn sliding(&self) -> Option<Sliding> {
        let [residue] = self.residues[..] else { return None };
        let one = self.period == 1 && self.step == 1 && self.count == 4;
        one.then(|| Sliding { shift: residue.base as isize - self.front as isize, taps: residue.taps })
    }
}

/// Output o sums samples `o + shift ..` with four taps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sliding {
    pub shift: isize,
    pub taps: [f32; 4],
}

impl Sliding {
    /// The same for the outputs from `column` on.
    pub fn from(self, column: usize) -> Self {
        Self { shift: self.shift + column as isize, ..self }
    }
}
