//! The program, run.

mod anatomy;
mod cli;
mod dicom;
mod guide;
mod help;
mod lost;
mod n4;
#[path = "../common/needs.rs"]
mod needs;
mod prior;
#[path = "../common/program.rs"]
mod program;
mod scanner;
mod score;
mod shards;
