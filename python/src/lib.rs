//! The native part of the Python package `voxgan`: jobs of the library on arrays. What users see, with its documentation, is
//! in `python/voxgan`; here arguments become options and results become arrays, and nothing else is done.

mod anatomy;
mod data;
mod dataset;
mod error;
mod files;
mod generator;
mod job;
mod log;
mod metrics;
mod operators;
mod raw;
mod restoration;
mod simulation;

use pyo3::prelude::*;
use voxgan::cli::Blocks;

/// Of the module's own memory; Python's and other libraries' stay as they are.
#[global_allocator]
static BLOCKS: Blocks = Blocks::new();

/// Jobs of voxgan on arrays, for the package around it.
#[pymodule]
mod _voxgan {
    use std::ffi::OsString;

    #[pymodule_export]
    use super::anatomy::{Segmenter, compare};
    #[pymodule_export]
    use super::dataset::{Dataset, export, prepare, recipe, report, train};
    #[pymodule_export]
    use super::files::{convert, dicom_series, read, read_series, to_dicom, write};
    #[pymodule_export]
    use super::generator::Generator;
    #[pymodule_export]
    use super::metrics::{ms_ssim, overlap, score, ssim};
    #[pymodule_export]
    use super::operators::LinearOperator;
    #[pymodule_export]
    use super::raw::{birdcage, espirit, mask, mask_report, recon, trajectory};
    #[pymodule_export]
    use super::restoration::{Prior, Restorer, n4_correct};
    #[pymodule_export]
    use super::simulation::{mask_runs, phantom, replay, simulate};
    use super::*;

    /// The version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// The program with these arguments, the first of which is its name; returns the exit code.
    #[pyfunction]
    fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
        py.detach(|| voxgan::cli::main(args))
    }
}
