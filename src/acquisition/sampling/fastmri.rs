//! The masks of the fastMRI challenge (Zbontar 2018; Defazio 2019), bit for bit those of the PyPI package `fastmri`.
//!
//! Columns about DC are sampled fully, the others by the kind's rule; all draws are numpy's ([`Mersenne`]). Of the
//! kinds only the random and the equispaced-fraction one aim at their acceleration: see the mask's report.

use serde::{Deserialize, Serialize};

use super::mersenne::Mersenne;
use super::plane::{Plane, beyond_budget, centred};
use super::{Axis, Mask, Seed, code_points};
use crate::error::{Error, Result};

/// How columns outside the centre are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Columns {
    /// Each drawn at random, so that the expected number is N / R (`RandomMaskFunc`).
    Random,
    /// Every R-th (`EquiSpacedMaskFunc`).
    Equispaced,
    /// At equal steps, rounded, so that N / R are sampled with the centre (`EquispacedMaskFractionFunc`).
    EquispacedFraction,
    /// Every R-th, offset between the halves so that conjugate symmetry fills gaps (`MagicMaskFunc`; Defazio 2019).
    Magic,
    /// As `Magic`, with the step that leaves about N / R columns with the centre (`MagicMaskFractionFunc`).
    MagicFraction,
}

/// A mask of columns as fastMRI makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastMri {
    /// How columns outside the centre are chosen.
    pub columns: Columns,
    /// Share of the columns about DC that is sampled fully; of several, the seed chooses.
    pub centre_fractions: Vec<f64>,
    /// Acceleration: one for each centre fraction. Equispaced and magic masks take whole numbers.
    pub accelerations: Vec<f64>,
    /// Whether fraction and acceleration are chosen independently of each other.
    #[serde(default)]
    pub any_combination: bool,
    /// First column of the equispaced and magic kinds; drawn where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// The axis of the columns.
    #[serde(default = "columns_axis")]
    pub axis: Axis,
}

fn columns_axis() -> Axis {
    Axis::W
}

impl FastMri {
    /// Columns along W of one kind with one centre fraction and acceleration, at a drawn offset.
    pub fn new(columns: Columns, centre_fraction: f64, acceleration: f64) -> Self {
        Self {
            columns,
            centre_fractions: vec![centre_fraction],
            accelerations: vec![acceleration],
            any_combination: false,
            offset: None,
            axis: columns_axis(),
        }
    }

    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask).
    ///
    /// # Errors
    /// [`Error::Value`] as [`Pattern::mask`](super::Pattern::mask), and where fastmri fails or leaves its definition: a
    /// seed of 2³² or more, an acceleration that is not whole for the equispaced and magic kinds, a centre that is all
    /// the budget.
    pub fn mask(&self, shape: [usize; 3], seed: &Seed) -> Result<Mask> {
        let line = Plane::new(shape, &[self.axis])?;
        let n = line.extents[0];
        let mut rng = generator(seed)?;
        let (fraction, acceleration) = self.choose(&mut rng)?;
        line.budget(acceleration)?;
        let mut low = (n as f64 * fraction).round_ties_even() as usize;
        let mut sampled = match self.columns {
            Columns::Random => random(n, low, acceleration, &mut rng)?,
            Columns::Equispaced => {
                let step = whole(acceleration)?;
                every(n, self.offset(step, &mut rng), step)
            }
            Columns::EquispacedFraction => self.equispaced_fraction(n, low, acceleration, &mut rng)?,
            Columns::Magic => self.magic(n, whole(acceleration)?, &mut rng),
            Columns::MagicFraction => {
                let target = (n as f64 / acceleration).round_ties_even() as usize;
                low = low.min(target).max(1);
                if target <= low {
                    return Err(beyond_budget(low, target.saturating_sub(1)));
                }
                let step = (n as f64 / (target - low) as f64).round_ties_even() as usize;
                self.magic(n, step, &mut rng)
            }
        };
        sampled[centred(n, low)].fill(true);
        Ok(Mask { sampled: line.spread(&sampled), nominal: Some(acceleration) })
    }

    /// Fraction and acceleration, checked.
    fn choose(&self, rng: &mut Mersenne) -> Result<(f64, f64)> {
        let (fractions, accelerations) = (&self.centre_fractions, &self.accelerations);
        if fractions.is_empty() || accelerations.is_empty() {
            let advice = "give a centre fraction and an acceleration";
            return Err(Error::value("centre_fractions, accelerations", "at least one each", "none", advice));
        }
        if fractions.len() != accelerations.len() && !self.any_combination {
            let found = format!("{} and {}", fractions.len(), accelerations.len());
            let advice = "give as many of one as of the other, or allow any combination";
            return Err(Error::value("centre_fractions, accelerations", "pairs", found, advice));
        }
        if let Some(odd) = fractions.iter().find(|fraction| !(0.0..=1.0).contains(*fraction)) {
            let advice = "give the share of the columns that the centre has, such as 0.08";
            return Err(Error::value("centre_fractions", "0 to 1", odd.to_string(), advice));
        }
        let mut any = |values: &[f64]| rng.randint(values.len() as u32) as usize;
        let first = any(fractions);
        let second = if self.any_combination { any(accelerations) } else { first };
        Ok((fractions[first], accelerations[second]))
    }

    /// The offset asked for, or one below `high`.
    fn offset(&self, high: usize, rng: &mut Mersenne) -> usize {
        self.offset.unwrap_or_else(|| rng.randint(high as u32) as usize)
    }

    fn equispaced_fraction(&self, n: usize, low: usize, r: f64, rng: &mut Mersenne) -> Result<Vec<bool>> {
        let (columns, low_columns) = (n as f64, low as f64);
        if low_columns * r >= columns {
            return Err(beyond_budget(low, (columns / r).ceil() as usize - 1));
        }
        let step = (r * (low_columns - columns)) / (low_columns * r - columns);
        let start = self.offset(step.round_ties_even() as usize, rng) as f64;
        // numpy's arange: as many as fit, from the start in multiples of the step as the first two values differ.
        let count = ((columns - 1.0 - start) / step).ceil().max(0.0) as usize;
        let step = (start + step) - start;
        let mut sampled = vec![false; n];
        (0..count).for_each(|i| sampled[(start + i as f64 * step).round_ties_even() as usize] = true);
        Ok(sampled)
    }

    /// Offsets of the positive frequencies (from DC up) and of the negative ones (from DC down) that differ.
    fn magic(&self, n: usize, step: usize, rng: &mut Mersenne) -> Vec<bool> {
        let offset = self.offset(step, rng);
        let (positive, negative) =
            if offset.is_multiple_of(2) { (offset + 1, offset + 2) } else { (offset + 2, offset - 1) };
        let mut sampled = every(n / 2, negative, step);
        sampled.reverse();
        sampled.extend(every(n.div_ceil(2), positive, step));
        sampled
    }
}

/// The generator that numpy seeds so.
fn generator(seed: &Seed) -> Result<Mersenne> {
    match seed {
        Seed::Number(number) => u32::try_from(*number).map(Mersenne::from_number).map_err(|_| {
            let advice = "numpy's legacy generator, which these masks are drawn from, takes no larger one";
            Error::value("seed", "a number below 4294967296", number.to_string(), advice)
        }),
        Seed::Name(name) if name.is_empty() => {
            let advice = "give the name of the file that the mask is for";
            Err(Error::value("seed", "a name of at least one character", "an empty one", advice))
        }
        Seed::Name(name) => Ok(Mersenne::from_key(&code_points(name))),
    }
}

fn random(n: usize, low: usize, acceleration: f64, rng: &mut Mersenne) -> Result<Vec<bool>> {
    let target = n as f64 / acceleration;
    if low as f64 > target || low == n {
        return Err(beyond_budget(low, (target as usize).min(n - 1)));
    }
    let probability = (target - low as f64) / (n - low) as f64;
    Ok((0..n).map(|_| rng.random_sample() < probability).collect())
}

/// Of `n` columns every `step`-th from `first` on.
fn every(n: usize, first: usize, step: usize) -> Vec<bool> {
    let mut sampled = vec![false; n];
    sampled.iter_mut().skip(first).step_by(step).for_each(|column| *column = true);
    sampled
}

fn whole(acceleration: f64) -> Result<usize> {
    if acceleration.fract() == 0.0 {
        return Ok(acceleration as usize);
    }
    let advice = "round it, or take the random or the equispaced-fraction kind";
    Err(Error::value("acceleration", "a whole number", acceleration.to_string(), advice))
}
