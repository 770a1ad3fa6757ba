//! MPI, loaded at run time: a program that needs no MPI starts without it, and one program runs under Open MPI and under
//! MPICH with its kin (Intel MPI, Cray MPICH, MVAPICH), which share an ABI (<https://www.mpich.org/abi>).
//!
//! The functions are those of the MPI standard; what differs is the type of handles and the values of the predefined
//! ones. With Open MPI a handle is the address of a variable of the library, with MPICH a number.

#![allow(unsafe_code)] // A library that is looked up at run time.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use super::Engine;
use super::launcher::{LIBRARY, Launcher};
use crate::error::{Error, Result};

/// Names of the libraries of Open MPI, and of MPICH and its kin.
const OPEN_MPI: [&str; 2] = ["libmpi.so.40", "libmpi.40.dylib"];
const MPICH: [&str; 5] =
    ["libmpich.so.12", "libmpi.so.12", "libmpi_cray.so.12", "libmpi_gnu.so.12", "libmpi.12.dylib"];
/// Under which anything may be installed.
const ANY: [&str; 1] = ["libmpi.so"];

/// `MPI_THREAD_SERIALIZED`: one thread at a time calls MPI.
const THREAD_SERIALIZED: c_int = 2;
/// Values that one call takes: counts of MPI are of 32 bits.
const CHUNK: usize = 1 << 28;
/// More than `MPI_MAX_LIBRARY_VERSION_STRING` and `MPI_MAX_PROCESSOR_NAME` anywhere.
const TEXT: usize = 1 << 14;

/// What a process is after it has joined.
pub(super) struct Joined {
    pub rank: usize,
    pub size: usize,
    /// Name of the machine.
    pub host: String,
    /// Name and version of the library.
    pub about: String,
    pub engine: Box<dyn Engine>,
}

/// Loads the launcher's MPI, initialises it unless that is done, and joins its world.
///
/// # Errors
/// [`Error::Device`] without a library, or with one that does not know of the launcher's processes.
pub(super) fn join(launcher: &Launcher) -> Result<Joined> {
    let named = std::env::var(LIBRARY).ok();
    let of_open_mpi = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK"].iter().any(|key| std::env::var_os(key).is_some());
    let names: Vec<&str> = match &named {
        Some(name) => vec![name],
        None if of_open_mpi => OPEN_MPI.into_iter().chain(MPICH).chain(ANY).collect(),
        None => MPICH.into_iter().chain(OPEN_MPI).chain(ANY).collect(),
    };
    // Open MPI's plug-ins look for its symbols among those of the whole process.
    let (name, library) = names
        .iter()
        .find_map(|name| Some((*name, load(name, RTLD_NOW | RTLD_GLOBAL)?)))
        .ok_or_else(|| launcher.refused(format!("no MPI library was found ({})", names.join(", "))))?;
    let about = version(&library).map_or(name.to_string(), |version| format!("{version} ({name})"));
    let lacking = |symbol: &str| launcher.refused(format!("{name} has no {symbol}"));
    let own = initialise(&library).map_err(|problem| launcher.refused(format!("{name}: {problem}")))?;
    let joined = match address(&library, "ompi_mpi_comm_world") {
        Some(world) => {
            let of = |name: &str| address(&library, name).ok_or_else(|| lacking(name));
            let handles = Handles {
                world,
                single: of("ompi_mpi_float")?,
                double: of("ompi_mpi_double")?,
                byte: of("ompi_mpi_byte")?,
                sum: of("ompi_mpi_op_sum")?,
                in_place: 1,
            };
            World::join(library, handles, own, about).map_err(|symbol| lacking(&symbol))
        }
        None => {
            let handles: Handles<c_int> = Handles {
                world: 0x4400_0000,
                single: 0x4c00_040a,
                double: 0x4c00_080b,
                byte: 0x4c00_010d,
                sum: 0x5800_0003,
                in_place: usize::MAX,
            };
            World::join(library, handles, own, about).map_err(|symbol| lacking(&symbol))
        }
    }?;
    match joined.size == launcher.size {
        true => Ok(joined),
        false => Err(launcher.refused(format!("{} sees {} of them", joined.about, joined.size))),
    }
}

/// The libraries that are here, by version and name.
pub(super) fn libraries() -> Vec<String> {
    let named = std::env::var(LIBRARY).ok();
    let others = OPEN_MPI.into_iter().chain(MPICH).filter(|name| named.as_deref() != Some(*name));
    let about = |name: &str| Some(format!("{} ({name})", version(&load(name, RTLD_NOW | RTLD_LOCAL)?)?));
    named.as_deref().into_iter().chain(others).filter_map(about).collect()
}

fn load(name: &str, flags: c_int) -> Option<Library> {
    // SAFETY: these are libraries of MPI, whose initialisers are made to be run by any program.
    unsafe { Library::open(Some(name), flags) }.ok()
}

/// The function `name` of the library.
///
/// # Safety
/// `F` is the type of this function.
unsafe fn function<F: Copy>(library: &Library, name: &str) -> Option<F> {
    // SAFETY: the caller's.
    unsafe { library.get::<F>(name.as_bytes()) }.ok().map(|symbol| *symbol)
}

/// The address of the variable `name` of the library.
fn address(library: &Library, name: &str) -> Option<usize> {
    // SAFETY: the address of a variable is taken, and nothing is read from it.
    unsafe { library.get::<*const c_void>(name.as_bytes()) }.ok().map(|symbol| symbol.into_raw() as usize)
}

/// The name and version of the library in a few words; allowed before MPI is initialised.
fn version(library: &Library) -> Option<String> {
    text(library, "MPI_Get_library_version")
}

/// The first line of what a function of MPI writes into a buffer, up to a comma.
fn text(library: &Library, name: &str) -> Option<String> {
    type Write = unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int;
    let mut bytes = vec![0u8; TEXT];
    let mut length = 0;
    // SAFETY: the functions that are asked for are of this type, and write less than the buffer holds.
    let status = unsafe { function::<Write>(library, name)?(bytes.as_mut_ptr().cast(), &mut length) };
    let text = String::from_utf8_lossy(&bytes[..usize::try_from(length).ok()?.min(TEXT)]).into_owned();
    let first = text.trim_end_matches('\0').lines().next()?.split(',').next()?;
    (status == 0).then(|| first.replace(" Version:", " ").split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Initialises MPI unless the process has done so; whether it was done here.
fn initialise(library: &Library) -> std::result::Result<bool, String> {
    type Ask = unsafe extern "C" fn(*mut c_int) -> c_int;
    type Init = unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char, c_int, *mut c_int) -> c_int;
    let (mut initialised, mut finalised, mut provided) = (0, 0, 0);
    // SAFETY: the types are those of the standard, and the numbers outlive the calls; MPI-2 and later take no arguments of
    // `main`.
    unsafe {
        let ask = |name: &str| function::<Ask>(library, name).ok_or(format!("there is no {name}"));
        ask("MPI_Initialized")?(&mut initialised);
        ask("MPI_Finalized")?(&mut finalised);
        if finalised != 0 {
            return Err(
                "MPI was left before in this process: one run a process, or initialise MPI outside".into()
            );
        }
        if initialised == 0 {
            let init: Init = function(library, "MPI_Init_thread").ok_or("there is no MPI_Init_thread")?;
            let null = std::ptr::null_mut();
            if init(null, std::ptr::null_mut(), THREAD_SERIALIZED, &mut provided) != 0 {
                return Err("MPI_Init_thread fails".into());
            }
        }
    }
    Ok(initialised == 0)
}

/// The predefined handles of a library.
struct Handles<H> {
    world: H,
    single: H,
    double: H,
    byte: H,
    sum: H,
    /// `MPI_IN_PLACE`.
    in_place: usize,
}

type AllReduce<H> = unsafe extern "C" fn(*const c_void, *mut c_void, c_int, H, H, H) -> c_int;
type Broadcast<H> = unsafe extern "C" fn(*mut c_void, c_int, H, c_int, H) -> c_int;

/// All processes of the job, and the functions of a library whose handles are of type `H`.
struct World<H: Copy> {
    handles: Handles<H>,
    all_reduce: AllReduce<H>,
    broadcast: Broadcast<H>,
    barrier: unsafe extern "C" fn(H) -> c_int,
    abort: unsafe extern "C" fn(H, c_int) -> c_int,
    finalize: unsafe extern "C" fn() -> c_int,
    /// Whether this is what has initialised MPI.
    own: bool,
    /// One thread at a time.
    turn: Mutex<()>,
    /// Never closed: MPI leaves threads and handlers behind.
    _library: std::mem::ManuallyDrop<Library>,
}

impl<H: Copy + Send + Sync + 'static> World<H> {
    /// The world, or the name of a function that is lacking.
    fn join(
        library: Library,
        handles: Handles<H>,
        own: bool,
        about: String,
    ) -> std::result::Result<Joined, String> {
        type Ask<H> = unsafe extern "C" fn(H, *mut c_int) -> c_int;
        let (mut rank, mut size) = (0, 0);
        // SAFETY: the types are those of the standard with the library's type of handles; the numbers outlive the calls.
        let world = unsafe {
            function::<Ask<H>>(&library, "MPI_Comm_rank").ok_or("MPI_Comm_rank")?(handles.world, &mut rank);
            function::<Ask<H>>(&library, "MPI_Comm_size").ok_or("MPI_Comm_size")?(handles.world, &mut size);
            Self {
                handles,
                all_reduce: function(&library, "MPI_Allreduce").ok_or("MPI_Allreduce")?,
                broadcast: function(&library, "MPI_Bcast").ok_or("MPI_Bcast")?,
                barrier: function(&library, "MPI_Barrier").ok_or("MPI_Barrier")?,
                abort: function(&library, "MPI_Abort").ok_or("MPI_Abort")?,
                finalize: function(&library, "MPI_Finalize").ok_or("MPI_Finalize")?,
                own,
                turn: Mutex::new(()),
                _library: std::mem::ManuallyDrop::new(library),
            }
        };
        let host = text(&world._library, "MPI_Get_processor_name").unwrap_or_default();
        Ok(Joined {
            rank: usize::try_from(rank).unwrap_or(0),
            size: usize::try_from(size).unwrap_or(0),
            host,
            about,
            engine: Box::new(world),
        })
    }

    fn sum<T>(&self, values: &mut [T], kind: H) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for values in values.chunks_mut(CHUNK) {
            let Handles { sum, world, in_place, .. } = self.handles;
            // SAFETY: the buffer holds as many values of `kind` as are said, and is given for reading and writing in place.
            let status = unsafe {
                let place = std::ptr::without_provenance(in_place);
                (self.all_reduce)(place, values.as_mut_ptr().cast(), values.len() as c_int, kind, sum, world)
            };
            done(status, "MPI_Allreduce")?;
        }
        Ok(())
    }
}

/// Errors of MPI end the job unless its handler was changed; this is for the case that it was.
fn done(status: c_int, what: &str) -> Result<()> {
    if status == 0 {
        return Ok(());
    }
    let (device, problem) = ("MPI".into(), format!("{what} fails with error {status}"));
    Err(Error::Device { device, problem, advice: "see what the launcher says, and start again".into() })
}

impl<H: Copy + Send + Sync + 'static> Engine for World<H> {
    fn sum_singles(&self, values: &mut [f32]) -> Result<()> {
        self.sum(values, self.handles.single)
    }

    fn sum_doubles(&self, values: &mut [f64]) -> Result<()> {
        self.sum(values, self.handles.double)
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for bytes in bytes.chunks_mut(CHUNK) {
            let Handles { byte, world, .. } = self.handles;
            let (length, root) = (bytes.len() as c_int, root as c_int);
            // SAFETY: the buffer holds as many bytes as are said.
            done(
                unsafe { (self.broadcast)(bytes.as_mut_ptr().cast(), length, byte, root, world) },
                "MPI_Bcast",
            )?;
        }
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: a handle of this library's.
        done(unsafe { (self.barrier)(self.handles.world) }, "MPI_Barrier")
    }
}

impl<H: Copy> Drop for World<H> {
    /// Leaves MPI if it was initialised here. A process that panics leaves alone: the launcher ends the others.
    fn drop(&mut self) {
        if self.own {
            // SAFETY: MPI is initialised, and no other thread calls it: this has no other owner.
            unsafe {
                if std::thread::panicking() {
                    (self.abort)(self.handles.world, 1);
                }
                (self.finalize)();
            }
        }
    }
}
