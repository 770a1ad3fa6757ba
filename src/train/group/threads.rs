//! Ranks that are threads of one process, for tests.

use std::sync::{Arc, Barrier, Mutex};

use super::{Engine, Group};
use crate::error::Result;

/// What the ranks share: a place for the values of each.
struct Shared {
    barrier: Barrier,
    places: Mutex<Vec<Vec<u8>>>,
}

/// A rank among threads.
struct Member {
    rank: usize,
    shared: Arc<Shared>,
}

impl Member {
    /// The bytes of every rank.
    fn exchanged(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        self.shared.places.lock().unwrap()[self.rank] = own;
        self.shared.barrier.wait();
        let all = self.shared.places.lock().unwrap().clone();
        // Nobody writes anew before all have read.
        self.shared.barrier.wait();
        all
    }
}

/// Sums in the order of the ranks.
macro_rules! sum {
    ($member:expr, $values:expr, $number:ty) => {{
        let all = $member.exchanged($values.iter().flat_map(|value| value.to_le_bytes()).collect());
        let size = size_of::<$number>();
        for (i, sum) in $values.iter_mut().enumerate() {
            let of =
                |bytes: &Vec<u8>| <$number>::from_le_bytes(bytes[i * size..][..size].try_into().unwrap());
            *sum = all.iter().map(of).sum();
        }
        Ok(())
    }};
}

impl Engine for Member {
    fn sum_singles(&self, values: &mut [f32]) -> Result<()> {
        sum!(self, values, f32)
    }

    fn sum_doubles(&self, values: &mut [f64]) -> Result<()> {
        sum!(self, values, f64)
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<()> {
        bytes.copy_from_slice(&self.exchanged(bytes.to_vec())[root]);
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        self.shared.barrier.wait();
        Ok(())
    }
}

/// What `work` gives on each of `size` ranks, in their order.
pub(super) fn on_threads<T: Send>(size: usize, work: impl Fn(&Group) -> T + Sync) -> Vec<T> {
    let shared = Arc::new(Shared { barrier: Barrier::new(size), places: Mutex::new(vec![Vec::new(); size]) });
    let member = |rank| {
        let engine = Box::new(Member { rank, shared: Arc::clone(&shared) });
        Group::new(rank, size, "threads".into(), Some(engine))
    };
    std::thread::scope(|threads| {
        let work = &work;
        let ranks = (0..size).map(member).map(|group| threads.spawn(move || work(&group)));
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}
