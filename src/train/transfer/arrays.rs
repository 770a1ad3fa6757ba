//! Arrays of an old network in those of a new one, which may be wider.

use crate::error::Result;
use crate::pretrained::Weights;

/// A range of input channels that the new array takes from the old one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Its first channel in the old array.
    pub from: usize,
    /// Its first channel in the new one.
    pub to: usize,
    /// Number of channels.
    pub count: usize,
    /// Factor of their weights.
    pub gain: f64,
}

impl Run {
    /// The first `count` channels, as they are.
    pub fn first(count: usize) -> [Self; 1] {
        [Self { from: 0, to: 0, count, gain: 1.0 }]
    }
}

/// The arrays of an old and a new network; the new ones start with the new network's initial values.
pub struct Pair<'a> {
    /// The file of the old network.
    pub old: &'a Weights,
    /// Prefixes of its names, of which the first with an array is taken.
    pub from: &'a [&'a str],
    /// The arrays of the new networks.
    pub new: &'a mut Weights,
    /// Prefix of its names among them.
    pub to: &'a str,
}

impl Pair<'_> {
    /// The old array `name`.
    ///
    /// # Errors
    /// [`crate::error::Error::File`] if there is none.
    pub fn old(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>)> {
        let names: Vec<String> = self.from.iter().map(|prefix| format!("{prefix}{name}")).collect();
        let found = names.iter().find_map(|name| self.old.arrays.get(name));
        found.map_or_else(|| self.old.array(&names[0]), Ok)
    }

    /// The new array `name`.
    ///
    /// # Panics
    /// If the new network has none of that name.
    pub fn fresh(&mut self, name: &str) -> &mut (Vec<usize>, Vec<f32>) {
        let name = format!("{}{name}", self.to);
        self.new.arrays.get_mut(&name).unwrap_or_else(|| panic!("the new network has no {name}"))
    }

    /// Copies the old weight `name`, `[o, i, taps]`, into the new one, `[O, I, taps]`: the first `o` rows take the
    /// input channels of `runs`, times `gain`; their other inputs are `rest` times the initial value. Rows from `o` on
    /// keep their initial values.
    ///
    /// # Errors
    /// As [`Self::old`].
    pub fn weight(&mut self, name: &str, taps: usize, runs: &[Run], gain: f64, rest: f64) -> Result<()> {
        let old = self.old(name)?.clone();
        self.place(name, &old, taps, runs, gain, rest);
        Ok(())
    }

    /// [`Self::weight`] with the shape and values of `old` instead of the old array.
    pub fn place(
        &mut self,
        name: &str,
        (shape, old): &(Vec<usize>, Vec<f32>),
        taps: usize,
        runs: &[Run],
        gain: f64,
        rest: f64,
    ) {
        let old_row = old.len() / shape[0];
        let (shape, new) = self.fresh(name);
        let new_row = new.len() / shape[0];
        for (old, new) in old.chunks(old_row).zip(new.chunks_mut(new_row)) {
            new.iter_mut().for_each(|value| *value *= rest as f32);
            for run in runs {
                let factor = (gain * run.gain) as f32;
                let old = &old[run.from * taps..][..run.count * taps];
                let new = &mut new[run.to * taps..][..run.count * taps];
                new.iter_mut().zip(old).for_each(|(new, old)| *new = old * factor);
            }
        }
    }

    /// Copies the old vector `name`, a bias or a mean, to the beginning of the new one, times `gain`.
    ///
    /// # Errors
    /// As [`Self::old`].
    pub fn vector(&mut self, name: &str, gain: f64) -> Result<()> {
        let old = self.old(name)?.1.clone();
        self.fresh(name).1.iter_mut().zip(old).for_each(|(new, old)| *new = old * gain as f32);
        Ok(())
    }

    /// Sets the rows of the new array `name` from number `first` on to zero.
    pub fn clear(&mut self, name: &str, first: usize) {
        let (shape, values) = self.fresh(name);
        let row = values.len() / shape[0];
        values[first * row..].fill(0.0);
    }
}

/// `x`, channels on a grid, on another grid over the same field of view: linear along each axis, constant beyond the
/// outermost voxels.
///
/// # Shapes
/// `[N, d, h, w]` → `[N, D, H, W]`, both flat
pub fn stretched(x: &[f32], from: [usize; 3], to: [usize; 3]) -> Vec<f32> {
    let mut x = x.to_vec();
    for axis in 0..3 {
        let (n, m) = (from[axis], to[axis]);
        let inner = from[axis + 1..].iter().product::<usize>();
        let line = |i: usize| {
            let at = ((i as f32 + 0.5) * n as f32 / m as f32 - 0.5).clamp(0.0, (n - 1) as f32);
            let low = at as usize;
            (low, (low + 1).min(n - 1), at - low as f32)
        };
        let stretch = |block: &[f32]| -> Vec<f32> {
            let value = |i: usize, k: usize| {
                let (low, high, part) = line(i);
                block[low * inner + k] * (1.0 - part) + block[high * inner + k] * part
            };
            (0..m).flat_map(|i| (0..inner).map(move |k| (i, k))).map(|(i, k)| value(i, k)).collect()
        };
        // Axes before this one have their new length already, and count as channels.
        x = x.chunks(n * inner).flat_map(stretch).collect();
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear field sampled at voxel centres is the same field on the other grid, but where a voxel lies outside.
    #[test]
    fn a_linear_field_stays_one() {
        let field = |grid: [usize; 3]| -> Vec<f32> {
            let at = |i: usize, axis: usize| (i as f32 + 0.5) / grid[axis] as f32;
            (0..grid.iter().product())
                .map(|v| {
                    let (z, y, x) = (v / (grid[1] * grid[2]), v / grid[2] % grid[1], v % grid[2]);
                    3.0 * at(z, 0) - 2.0 * at(y, 1) + 5.0 * at(x, 2)
                })
                .collect()
        };
        let (from, to) = ([4, 4, 4], [5, 6, 4]);
        let (found, expected) = (stretched(&field(from), from, to), field(to));
        assert_eq!(found.len(), expected.len());
        for (v, (a, b)) in found.iter().zip(&expected).enumerate() {
            let (z, y) = (v / 24, v / 4 % 6);
            let inside = (1..4).contains(&z) && (1..5).contains(&y);
            assert!(!inside || (a - b).abs() < 1e-5, "voxel {v}: {a} for {b}");
        }
        assert_eq!(stretched(&field(from), from, from), field(from));
    }
}
