//! The training data of restoration heads, and its order.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::heads::Subject;
use crate::io::dataset::Dataset;
use crate::pretrained::ImageSpace;
use crate::random::{Purpose, permutation, stream};
use crate::simulate::synthesis::LabelMap;
use crate::volume::intensity::Normalisation;

/// The training data of a restoration head.
#[derive(Clone, Copy, Debug)]
pub enum Subjects<'a> {
    /// True images.
    Scans(&'a Dataset),
    /// Label maps of whole heads.
    Maps(&'a [LabelMap]),
}

impl Subjects<'_> {
    /// How many there are.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Scans(dataset) => dataset.len(),
            Self::Maps(maps) => maps.len(),
        }
    }

    /// What says which they are: the content of a dataset, the names of maps.
    pub(super) fn identity(self) -> String {
        match self {
            Self::Scans(dataset) => dataset.content_sha256(),
            Self::Maps(maps) => maps.iter().map(|map| map.name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }

    /// What the images of these subjects are.
    ///
    /// # Errors
    /// [`Error::Value`] for images that no head learns from: of several channels, or whose air and brightest tissue are
    /// not −1 and 1.
    pub(super) fn space(self) -> Result<ImageSpace> {
        let Self::Scans(dataset) = self else { return Ok(ImageSpace::of_1_mm()) };
        let refused = |expected: &str, found: String, advice: &str| {
            let expected = format!("{expected} in {}", dataset.folder.display());
            Err(Error::value("--data", expected, found, advice))
        };
        let (channels, normalisation) = (dataset.shape()[0], dataset.manifest.settings.normalisation);
        if channels != 1 {
            return refused("images of one channel", channels.to_string(), "prepare images of one channel");
        }
        if !matches!(normalisation, Normalisation::Percentile { .. }) {
            let (expected, advice) =
                ("values from -1 (air) to 1 (the brightest tissue)", "prepare with --normalise percentile");
            return refused(expected, "values normalised to mean 0 and deviation 1".into(), advice);
        }
        Ok(ImageSpace { normalisation, spacing_mm: Some(dataset.spacing_mm()), channels })
    }

    /// What `make` makes of subject number `index`, its brightest tissue one.
    ///
    /// # Errors
    /// Those of the dataset and of `make`.
    pub(super) fn with<T>(self, index: usize, make: impl FnOnce(Subject) -> Result<T>) -> Result<T> {
        match self {
            Self::Scans(dataset) => {
                // Prepared volumes go from −1 to 1.
                let image = dataset.volume(index)?.data.mapv(|x| 0.5 * (x + 1.0));
                make(Subject::Scan(&image))
            }
            Self::Maps(maps) => make(Subject::Labels(&maps[index])),
        }
    }
}

/// The order in which `count` subjects come up: each once in a round, and every round has an order of its own. The
/// order of the round at hand is kept, so that it is drawn once a round.
#[derive(Debug)]
pub(super) struct Rounds {
    seed: u64,
    phase: u64,
    count: usize,
    /// A round and its order.
    kept: Mutex<(u64, Arc<[usize]>)>,
}

impl Rounds {
    /// Orders of another `phase` are independent.
    pub(super) fn new(seed: u64, phase: u64, count: usize) -> Self {
        let kept = Mutex::new((0, order(seed, phase, 0, count)));
        Self { seed, phase, count, kept }
    }

    /// The subject of example number `n` of a run.
    pub(super) fn at(&self, n: u64) -> usize {
        self.ahead(n, 0)
    }

    /// The subject `ahead` places later in the same round, beyond whose end its beginning follows.
    pub(super) fn ahead(&self, n: u64, ahead: u64) -> usize {
        let length = self.count as u64;
        let round = n / length;
        let order = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.0 != round {
                *kept = (round, order(self.seed, self.phase, round, self.count));
            }
            Arc::clone(&kept.1)
        };
        order[((n + ahead) % length) as usize]
    }
}

fn order(seed: u64, phase: u64, round: u64, count: usize) -> Arc<[usize]> {
    permutation(&mut stream(seed, round, phase, 0, Purpose::Order), count).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_every_subject_once_and_never_beside_itself() {
        let rounds = Rounds::new(3, 0, 5);
        for round in 0..20 {
            let of = |ahead| (0..5).map(move |place| (round * 5 + place, ahead));
            let of = |ahead| of(ahead).map(|(n, ahead)| rounds.ahead(n, ahead)).collect::<Vec<_>>();
            let [seen, beside] = [of(0), of(1)];
            assert!(seen.iter().zip(&beside).all(|(own, beside)| beside != own));
            for mut numbers in [seen, beside] {
                numbers.sort_unstable();
                assert_eq!(numbers, [0, 1, 2, 3, 4]);
            }
        }
        assert_eq!(Rounds::new(3, 0, 1).ahead(7, 1), 0);
    }

    #[test]
    fn an_order_that_is_kept_is_the_one_that_is_drawn() {
        let (kept, seed) = (Rounds::new(9, 1, 7), 9);
        // Back and forth, as a run does that is resumed.
        for n in [0, 6, 7, 20, 3, 700, 13] {
            let drawn = permutation(&mut stream(seed, n / 7, 1, 0, Purpose::Order), 7);
            assert_eq!(kept.at(n), drawn[(n % 7) as usize], "{n}");
        }
    }
}
