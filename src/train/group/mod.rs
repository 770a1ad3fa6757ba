//! The processes ("ranks") that train one network together: who they are, and what they tell one another.
//!
//! Every rank runs the same program on its share of each step's samples. What they compute together is a sum over
//! ranks ([`Group::sum`], [`Group::sum_gradients`]); what may fail on one of them is agreed on ([`Group::agree`]), so
//! that no rank waits for one that has ended. A group is a single process ([`Group::alone`]) or the ranks that a launcher
//! (`mpirun`, `srun`) has started, which exchange through MPI ([`Group::of_launcher`]).

mod gradients;
mod launcher;
mod lifeline;
#[cfg(unix)]
mod mpi;
#[cfg(test)]
mod threads;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use launcher::Launcher;
use lifeline::Lifeline;

use crate::error::{Error, Result};

/// The collective operations of ranks: all of them call the same ones in the same order.
trait Engine: Send + Sync {
    /// Replaces `values` by their sums over all ranks, the same on all of them.
    fn sum_singles(&self, values: &mut [f32]) -> Result<()>;

    /// As [`Self::sum_singles`], in double precision.
    fn sum_doubles(&self, values: &mut [f64]) -> Result<()>;

    /// Replaces `bytes` by those of rank `root`, which are as many.
    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<()>;

    /// Waits until all ranks are here.
    fn barrier(&self) -> Result<()>;
}

/// The ranks of a run, seen from one of them.
pub struct Group {
    rank: usize,
    size: usize,
    local_rank: usize,
    /// What the ranks exchange through, in words.
    about: String,
    /// Before the engine, so that it is let go of first.
    lifeline: Option<Lifeline>,
    /// None of a single process.
    engine: Option<Box<dyn Engine>>,
    /// Nanoseconds that were spent with sums of gradients.
    exchanging: AtomicU64,
}

impl Group {
    /// A single process.
    pub fn alone() -> Self {
        Self::new(0, 1, "one process".into(), None)
    }

    fn new(rank: usize, size: usize, about: String, engine: Option<Box<dyn Engine>>) -> Self {
        Self { rank, size, local_rank: 0, about, lifeline: None, engine, exchanging: AtomicU64::new(0) }
    }

    /// The ranks that a launcher has started, or a single process if none has. MPI is loaded at run time and left
    /// when the group is dropped; it can be joined once in a process, unless the process has initialised MPI itself.
    ///
    /// From then on, a rank that ends without the others (killed, out of memory) is noticed by all: they say so and end
    /// their processes with exit code 1.
    ///
    /// # Errors
    /// [`Error::Device`] without an MPI library, or with one that is not the launcher's.
    #[cfg(unix)]
    pub fn of_launcher() -> Result<Self> {
        let Some(launcher) = Launcher::of_environment()? else { return Ok(Self::alone()) };
        let mpi::Joined { rank, size, host, about, engine } = mpi::join(&launcher)?;
        let mut group = Self::new(rank, size, about, Some(engine));
        let hosts = group.gather(host.as_bytes())?;
        group.local_rank = hosts[..rank].iter().filter(|other| *other == host.as_bytes()).count();
        group.lifeline = Some(Lifeline::tie(&group, &hosts)?);
        Ok(group)
    }

    /// A single process: MPI is loaded on Unix alone.
    ///
    /// # Errors
    /// [`Error::Device`] if a launcher has started several.
    #[cfg(not(unix))]
    pub fn of_launcher() -> Result<Self> {
        match Launcher::of_environment()? {
            None => Ok(Self::alone()),
            Some(launcher) => Err(launcher.refused("MPI is not used on this system".into())),
        }
    }

    /// The libraries of MPI that are here, by name and version.
    pub fn libraries() -> Vec<String> {
        #[cfg(unix)]
        return mpi::libraries();
        #[cfg(not(unix))]
        Vec::new()
    }

    /// Number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of ranks.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Number of this rank among those on its machine, from 0.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Whether this rank writes files and tells of the run.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Replaces `values` by their sums over all ranks.
    ///
    /// # Errors
    /// [`Error::Device`] where MPI fails.
    pub fn sum(&self, values: &mut [f64]) -> Result<()> {
        self.engine.as_ref().map_or(Ok(()), |engine| engine.sum_doubles(values))
    }

    /// The time that was spent with sums of gradients, waiting for other ranks included, since this was last asked.
    pub fn exchanged(&self) -> Duration {
        Duration::from_nanos(self.exchanging.swap(0, Ordering::Relaxed))
    }

    /// What `work` gives; it is one of the sums whose time is counted.
    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.exchanging.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        done
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// As [`Self::sum`].
    pub fn barrier(&self) -> Result<()> {
        self.engine.as_ref().map_or(Ok(()), |engine| engine.barrier())
    }

    /// The bytes of rank `root`; those of others are not looked at.
    ///
    /// # Errors
    /// As [`Self::sum`].
    pub fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
        let Some(engine) = &self.engine else { return Ok(bytes) };
        let mut length = (bytes.len() as u64).to_le_bytes();
        engine.broadcast(&mut length, root)?;
        let mut bytes = bytes;
        bytes.resize(u64::from_le_bytes(length) as usize, 0);
        engine.broadcast(&mut bytes, root)?;
        Ok(bytes)
    }

    /// The bytes of every rank, in order.
    ///
    /// # Errors
    /// As [`Self::sum`].
    pub fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let of = |rank| self.broadcast(if rank == self.rank { bytes.to_vec() } else { Vec::new() }, rank);
        (0..self.size).map(of).collect()
    }

    /// `found`, if no rank has an error.
    ///
    /// # Errors
    /// This rank's own, or [`Error::Rank`] with that of the first rank that has one.
    pub fn agree<T>(&self, found: Result<T>) -> Result<T> {
        if self.size == 1 {
            return found;
        }
        let mut failed = [if found.is_err() { 1.0 } else { 0.0 }];
        self.sum(&mut failed)?;
        if failed[0] == 0.0 {
            return found;
        }
        let own = found.as_ref().err().map_or(String::new(), Error::to_string);
        let errors = self.gather(own.as_bytes())?;
        let of_another = |(rank, problem): (usize, &Vec<u8>)| {
            let problem = String::from_utf8_lossy(problem).into_owned();
            (!problem.is_empty()).then_some(Error::Rank { rank, of: self.size, problem })
        };
        let first = errors.iter().enumerate().find_map(of_another);
        found.and_then(|found| first.map_or(Ok(found), Err))
    }

    /// Whether `flag` is set on any rank.
    ///
    /// # Errors
    /// As [`Self::sum`].
    pub fn any(&self, flag: bool) -> Result<bool> {
        let mut set = [if flag { 1.0 } else { 0.0 }];
        self.sum(&mut set)?;
        Ok(set[0] > 0.0)
    }

    /// What `make` makes on the first rank, which the others wait for.
    ///
    /// # Errors
    /// That of `make`, on all ranks.
    pub fn first(&self, make: impl FnOnce() -> Result<()>) -> Result<()> {
        self.agree(if self.is_first() { make() } else { Ok(()) })
    }

    /// Whether all ranks have the same of everything that `own` names: a list of names and values.
    ///
    /// # Errors
    /// [`Error::Value`] on a rank that has something else than the first, with the first line that differs; [`Error::Rank`] on
    /// the others.
    pub fn alike(&self, own: &[(&str, &str)]) -> Result<()> {
        for (name, value) in own {
            let first = self.broadcast(value.as_bytes().to_vec(), 0)?;
            let first = String::from_utf8_lossy(&first);
            self.agree(if first == *value {
                Ok(())
            } else {
                let mut lines = first.lines().zip(value.lines());
                let (theirs, own) =
                    lines.find(|(theirs, own)| theirs != own).unwrap_or(("less", "more or less"));
                let expected = format!("that of the first rank, {theirs}");
                let advice = "start all ranks with one program, recipe and dataset, on machines of one kind";
                Err(Error::value(format!("{name} of rank {}", self.rank), expected, own, advice))
            })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            1 => write!(f, "{}", self.about),
            size => write!(f, "rank {} of {size} through {}", self.rank, self.about),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::threads::on_threads;
    use super::*;

    #[test]
    fn one_process_has_what_it_gives() {
        let group = Group::alone();
        let mut values = [1.0, -2.5];
        group.sum(&mut values).unwrap();
        group.barrier().unwrap();
        assert_eq!((values, group.size(), group.is_first()), ([1.0, -2.5], 1, true));
        assert_eq!(group.gather(b"own").unwrap(), [b"own"]);
        assert!(group.any(true).unwrap() && !group.any(false).unwrap());
        assert!(group.agree::<()>(Err(Error::Cancelled)).is_err());
    }

    #[test]
    fn ranks_sum_gather_and_broadcast() {
        let found = on_threads(3, |group| {
            let rank = group.rank() as f64;
            let mut values = [rank, 10.0 * rank];
            group.sum(&mut values).unwrap();
            let from_last = group.broadcast(vec![group.rank() as u8; group.rank()], 2).unwrap();
            (values, from_last, group.gather(&[group.rank() as u8]).unwrap())
        });
        for one in found {
            assert_eq!(one, ([3.0, 30.0], vec![2, 2], vec![vec![0], vec![1], vec![2]]));
        }
    }

    #[test]
    fn an_error_of_one_rank_is_an_error_of_all() {
        let found = on_threads(3, |group| {
            let own = if group.rank() == 1 { Err(Error::Cancelled) } else { Ok(group.rank()) };
            group.agree(own).map_err(|error| error.to_string())
        });
        let own = Error::Cancelled.to_string();
        let told = format!("rank 1 of 3: {own}");
        assert_eq!(found, [Err(told.clone()), Err(own), Err(told)]);
    }

    #[test]
    fn a_rank_with_something_else_is_named() {
        let found = on_threads(2, |group| {
            let recipe = if group.rank() == 1 { "b" } else { "a" };
            group.alike(&[("version", "1"), ("recipe", recipe)]).unwrap_err().to_string()
        });
        assert!(
            found.iter().all(|text| text.contains("recipe of rank 1") && text.contains("found b")),
            "{found:?}"
        );
    }

    #[test]
    fn a_flag_of_one_rank_is_seen_by_all() {
        assert_eq!(on_threads(4, |group| group.any(group.rank() == 2).unwrap()), [true; 4]);
    }
}
