//! The program is the library's; here it gets its allocator.

use std::process::ExitCode;

use voxgan::cli::Blocks;

#[global_allocator]
static BLOCKS: Blocks = Blocks::new();

fn main() -> ExitCode {
    ExitCode::from(voxgan::cli::main(std::env::args_os()))
}
