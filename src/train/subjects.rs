//! What heads learn from, and the order in which it comes up.

use crate::anatomy::synthesis::LabelMap;
use crate::error::Result;
use crate::heads::Subject;
use crate::io::dataset::Dataset;
use crate::random::{Purpose, permutation, stream};

/// What a head learns from.
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

/// The subject of example number `n` of a run, of `count` subjects: each comes up once in a round, and every round has an order
/// of its own. `ahead` says by how many places of the same round to look ahead, beyond whose end its beginning follows; orders
/// of another `phase` are independent.
pub(super) fn turn(seed: u64, phase: u64, n: u64, ahead: u64, count: usize) -> usize {
    let length = count as u64;
    let order = permutation(&mut stream(seed, n / length, phase, 0, Purpose::Order), count);
    order[((n + ahead) % length) as usize]
}

#[cfg(test)]
mod tests {
    use super::turn;

    #[test]
    fn a_round_has_every_subject_once_and_never_beside_itself() {
        for round in 0..20 {
            let of = |ahead| (0..5).map(move |place| turn(3, 0, round * 5 + place, ahead, 5));
            let mut seen: Vec<usize> = of(0).collect();
            assert!(of(1).zip(&seen).all(|(beside, &own)| beside != own));
            for mut numbers in [of(1).collect::<Vec<_>>(), std::mem::take(&mut seen)] {
                numbers.sort_unstable();
                assert_eq!(numbers, [0, 1, 2, 3, 4]);
            }
        }
        assert_eq!(turn(3, 0, 7, 1, 1), 0);
    }
}
