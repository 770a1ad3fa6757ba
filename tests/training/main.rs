//! Training, through the library and the program: whole runs on tiny grids.

mod augmentation;
mod cycle;
mod heads;
#[path = "../common/needs.rs"]
mod needs;
mod prepared;
#[path = "../common/program.rs"]
mod program;
mod ranks;
mod run_folder;
mod runs;
