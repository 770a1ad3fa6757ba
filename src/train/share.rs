//! The samples of a generator's step that a rank takes.
//!
//! What a step computes depends on its batch alone: not on how many samples are processed at once, nor on how many ranks
//! share them. Only the discriminator's minibatch deviation ties samples together, those of a group: sample j with
//! j + N/G, j + 2N/G, … of a batch of N in groups of G. So groups are what is dealt out, to ranks and to their micro-batches,
//! and in each of these the samples stand in such an order that its groups are the batch's.

use std::ops::Range;

use super::group::Group;
use crate::config::Recipe;
use crate::error::{Error, Result};
use crate::random::Samples;

/// The numbers of the samples that a rank takes of a batch in which nothing ties samples together: as many as any other.
///
/// # Errors
/// [`Error::Value`] for a batch that the ranks cannot share evenly.
pub(super) fn neighbours(batch: usize, group: &Group) -> Result<Range<u64>> {
    let (rank, ranks) = (group.rank(), group.size());
    if !batch.is_multiple_of(ranks) {
        let (expected, advice) =
            (format!("a multiple of {ranks} ranks"), "start another number of ranks, or change this key");
        return Err(Error::value("training.batch", expected, batch.to_string(), advice));
    }
    let own = (batch / ranks) as u64;
    Ok(rank as u64 * own..(rank as u64 + 1) * own)
}

/// The micro-batches of a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Number of samples of each.
    pub micro: usize,
    /// The numbers of their samples within the step.
    pub batches: Vec<Samples>,
}

impl Share {
    /// The share of rank `rank` of `ranks`, under a valid recipe.
    ///
    /// # Errors
    /// [`Error::Value`] for a batch whose groups cannot be dealt out evenly.
    pub(super) fn new(recipe: &Recipe, rank: usize, ranks: usize) -> Result<Self> {
        let batch = recipe.training.batch;
        let at_once = recipe.training.micro_batch.unwrap_or(batch);
        let group = recipe.network.minibatch_group.min(at_once);
        let groups = batch / group;
        if !groups.is_multiple_of(ranks) {
            return Err(Error::value(
                "training.batch",
                format!("a multiple of {}: {ranks} ranks with groups of {group} samples", ranks * group),
                batch.to_string(),
                format!(
                    "start another number of ranks, at most {groups}, or set training.micro_batch or \
                     network.minibatch_group to a smaller number, which is another training"
                ),
            ));
        }
        let own = groups / ranks;
        let together = (1..=own.min(at_once / group)).rev().find(|n| own.is_multiple_of(*n)).unwrap_or(1);
        let first = |batch: usize| (rank * own + batch * together) as u64;
        let (run, stride) = (together as u64, groups as u64);
        let batches = (0..own / together).map(|batch| Samples { first: first(batch), run, stride });
        Ok(Self { micro: together * group, batches: batches.collect() })
    }

    /// The numbers of all samples, batch after batch.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.batches.iter().flat_map(|samples| samples.numbers(self.micro)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(batch: usize, micro: Option<usize>, group: usize) -> Recipe {
        let mut recipe = Recipe::preset("tiny").unwrap();
        recipe.training.batch = batch;
        recipe.training.micro_batch = micro;
        recipe.network.minibatch_group = group;
        recipe.validate().unwrap();
        recipe
    }

    /// Groups of a batch whose samples have these numbers, by the definition of the minibatch deviation.
    fn groups(numbers: &[u64], group: usize) -> Vec<Vec<u64>> {
        let groups = numbers.len() / group;
        (0..groups).map(|j| (0..group).map(|k| numbers[j + k * groups]).collect()).collect()
    }

    #[test]
    fn groups_are_the_batchs_however_it_is_divided() {
        for (batch, group) in [(8, 4), (16, 4), (24, 4), (12, 3), (8, 1), (4, 4)] {
            let whole: Vec<u64> = (0..batch as u64).collect();
            let mut expected = groups(&whole, group);
            expected.sort();
            let micros = (1..=batch).filter(|m| batch % m == 0 && m % group == 0);
            for (micro, ranks) in
                micros.flat_map(|micro| (1..=batch / group).map(move |ranks| (micro, ranks)))
            {
                let recipe = recipe(batch, Some(micro), group);
                let shares: Result<Vec<_>> =
                    (0..ranks).map(|rank| Share::new(&recipe, rank, ranks)).collect();
                if batch / group % ranks != 0 {
                    assert!(shares.is_err());
                    continue;
                }
                let shares = shares.unwrap();
                let of = |share: &Share| {
                    let batches = share.batches.iter();
                    batches.map(|s| s.numbers(share.micro).collect::<Vec<_>>()).collect::<Vec<_>>()
                };
                let batches: Vec<Vec<u64>> = shares.iter().flat_map(of).collect();
                let mut found: Vec<Vec<u64>> =
                    batches.iter().flat_map(|numbers| groups(numbers, group)).collect();
                found.sort();
                assert_eq!(
                    found, expected,
                    "{batch} samples in groups of {group}, {micro} at once, {ranks} ranks"
                );
                assert!(
                    shares.iter().all(|share| share.micro <= micro && share.numbers().len() == batch / ranks)
                );
                assert!(batches.iter().all(|numbers| numbers.is_sorted()));
            }
        }
    }

    #[test]
    fn one_rank_and_one_micro_batch_have_the_batch_in_its_order() {
        let share = Share::new(&recipe(8, None, 4), 0, 1).unwrap();
        assert!(share.numbers().into_iter().eq(0..8) && share.micro == 8);
    }

    #[test]
    fn what_cannot_be_dealt_out_is_refused() {
        let error = Share::new(&recipe(8, None, 4), 0, 4).unwrap_err().to_string();
        assert!(error.contains("training.batch") && error.contains("at most 2"), "{error}");
        // Groups of two, as in micro-batches of two.
        assert_eq!(Share::new(&recipe(8, Some(2), 4), 3, 4).unwrap().numbers(), [3, 7]);
    }
}
