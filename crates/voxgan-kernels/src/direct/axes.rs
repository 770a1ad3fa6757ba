//! The source positions of each target position of a gather, along one axis.

use crate::shape::Grid;
use std::ops::Range;

/// Target positions `start + step·j`, `j < count`, along one axis, which all have the same taps.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub start: usize,
    pub step: usize,
    pub count: usize,
    /// Kernel index, and the source position (perhaps outside the grid) that it meets for `j = 0`.
    pub taps: Vec<(usize, isize)>,
}

impl Phase {
    /// The `j` whose positions lie in `targets`.
    pub fn within(&self, targets: &Range<usize>) -> Range<usize> {
        let until = |position: usize| position.saturating_sub(self.start).div_ceil(self.step).min(self.count);
        until(targets.start)..until(targets.end)
    }
}

/// How one axis of the target gathers from the source.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Source positions between j and j + 1.
    pub stride: usize,
    /// One phase for each residue of the target position by `step`, in order.
    pub phases: Vec<Phase>,
}

impl Axis {
    /// Whether each target position meets one tap.
    pub fn is_single(&self) -> bool {
        self.phases.iter().all(|phase| phase.taps.len() == 1)
    }

    /// First source position that `targets` gather from, and how many there are to the last one.
    pub fn sources(&self, targets: &Range<usize>) -> (isize, usize) {
        let (mut low, mut high) = (isize::MAX, isize::MIN);
        for phase in &self.phases {
            let js = phase.within(targets);
            if !js.is_empty() {
                for (_, shift) in &phase.taps {
                    low = low.min((js.start * self.stride) as isize + shift);
                    high = high.max(((js.end - 1) * self.stride) as isize + shift);
                }
            }
        }
        if low > high { (0, 0) } else { (low, (high - low) as usize + 1) }
    }
}

/// Whether no target position gathers from outside the source's grid.
pub(super) fn stays_inside(axes: &[Axis; 3], source: Grid, target: Grid) -> bool {
    (0..3).all(|a| {
        let (low, size) = axes[a].sources(&(0..target.dims[a]));
        low >= 0 && low as usize + size <= source.dims[a]
    })
}

/// The taps of a phase that meet the source's `len` positions for some of `js`, and the position of each for the first.
pub(super) fn inside<'a>(
    phase: &'a Phase,
    axis: &'a Axis,
    js: Range<usize>,
    len: usize,
) -> impl Iterator<Item = (usize, isize)> + Clone + 'a {
    phase.taps.iter().filter_map(move |(k, shift)| {
        let first = (js.start * axis.stride) as isize + shift;
        let last = ((js.end - 1) * axis.stride) as isize + shift;
        (first < len as isize && last >= 0).then_some((*k, first))
    })
}
