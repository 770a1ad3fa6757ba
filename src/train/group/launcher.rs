//! The launcher that has started this process, as its environment tells.

use crate::error::{Error, Result};

/// The environment variable that names the library of MPI to load.
pub(super) const LIBRARY: &str = "VOXGAN_MPI";

/// Launchers, and the variables by which they tell how many processes they started and which this one is.
const LAUNCHERS: [(&str, [&str; 2]); 3] = [
    ("mpirun of Open MPI", ["OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"]),
    ("srun", ["SLURM_STEP_NUM_TASKS", "SLURM_PROCID"]),
    ("mpirun of MPICH or its kin", ["PMI_SIZE", "PMI_RANK"]),
];

/// What has started several processes, of which this is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// Its name in words.
    pub name: &'static str,
    /// Number of processes.
    pub size: usize,
    /// Number of this one.
    pub rank: usize,
}

impl Launcher {
    /// The launcher that this process's environment tells of; none if it is the only process.
    ///
    /// # Errors
    /// [`Error::Value`] for variables of a launcher that are no numbers.
    pub fn of_environment() -> Result<Option<Self>> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        for (name, keys) in LAUNCHERS {
            let [Some(size), Some(rank)] = keys.map(&variable) else { continue };
            let number = |key: &str, text: &str| {
                let advice = "start through the launcher, or remove the variable";
                text.trim().parse::<usize>().map_err(|_| Error::value(key, "a whole number", text, advice))
            };
            let (size, rank) = (number(keys[0], &size)?, number(keys[1], &rank)?);
            return Ok((size > 1).then_some(Self { name, size, rank }));
        }
        Ok(None)
    }

    /// Why the processes cannot work together, as an error.
    pub(super) fn refused(&self, problem: String) -> Error {
        Error::Device {
            device: format!("{} processes of {}", self.size, self.name),
            problem,
            advice: format!(
                "install the launcher's MPI library or name it in {LIBRARY} (with srun also --mpi, see `srun --mpi=list`), or \
                 start one process"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Launcher>> {
        let get =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        Launcher::of(get)
    }

    #[test]
    fn launchers_are_known_by_their_variables() {
        let found = of(&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3")]).unwrap().unwrap();
        assert_eq!((found.size, found.rank), (4, 3));
        // A step of SLURM has PMI's variables too.
        let srun =
            [("PMI_SIZE", "2"), ("PMI_RANK", "1"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "1")];
        assert_eq!(of(&srun).unwrap().unwrap().name, "srun");
        assert_eq!(of(&srun[..2]).unwrap().unwrap().name, "mpirun of MPICH or its kin");
    }

    #[test]
    fn one_process_has_none() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("PMI_SIZE", "1"), ("PMI_RANK", "0")]).unwrap(), None);
        // A batch script of SLURM knows how many tasks it may start, and is none of them.
        assert_eq!(of(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")]).unwrap(), None);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let error = of(&[("PMI_SIZE", "two"), ("PMI_RANK", "0")]).unwrap_err().to_string();
        assert!(error.contains("PMI_SIZE") && error.contains("two"), "{error}");
    }
}
