//! Shell completions and manual pages, for those who package the program.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::error::{Error, Result};

const SHELLS: [Shell; 4] = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell];

/// Write shell completions and manual pages.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// Folder for them: completions/ and man/
    folder: PathBuf,
}

pub fn run(args: Args) -> Result<()> {
    let [completions, man] = ["completions", "man"].map(|name| args.folder.join(name));
    for folder in [&completions, &man] {
        fs::create_dir_all(folder).map_err(|error| Error::io(folder, "create the folder", error))?;
    }
    for shell in SHELLS {
        let written = clap_complete::generate_to(shell, &mut Cli::command(), "voxgan", &completions);
        let path = written.map_err(|error| Error::io(&completions, "write completions", error))?;
        println!("wrote {}", path.display());
    }
    clap_mangen::generate_to(Cli::command(), &man)
        .map_err(|error| Error::io(&man, "write manual pages", error))?;
    println!("wrote {}", man.display());
    Ok(())
}
