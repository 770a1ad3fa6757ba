//! What `--help` says of every command, and what is made of it for packagers. `INSTA_UPDATE=always cargo test --test program help`
//! accepts new texts.

use std::fs;

use clap::{Command, CommandFactory};
use voxgan::cli::Cli;

use crate::program::printed;

/// The help of a command and of those below it, each after its name.
fn help(command: &mut Command, name: &str, texts: &mut Vec<(String, String)>) {
    texts.push((name.to_string(), command.render_long_help().to_string()));
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        let name = format!("{name}-{}", below.get_name());
        help(below, &name, texts);
    }
}

#[test]
fn help_is_what_was_agreed_on() {
    let mut command = Cli::command();
    command.build();
    let mut texts = Vec::new();
    help(&mut command, "voxgan", &mut texts);
    assert!(texts.len() > 25, "{}", texts.len());
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        for (name, text) in texts {
            insta::assert_snapshot!(name, text);
        }
    });
}

#[test]
fn packagers_get_completions_and_manual_pages() {
    let folder = tempfile::tempdir().unwrap();
    printed(&["packaging", folder.path().to_str().unwrap()]);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for completions in ["voxgan.bash", "_voxgan", "voxgan.fish", "_voxgan.ps1"] {
        let text = read(&format!("completions/{completions}"));
        assert!(text.contains("superres") && text.contains("seeds"), "{completions}");
    }
    assert!(read("man/voxgan.1").contains("voxgan\\-superres(1)"));
    let volumes = read("man/voxgan-anatomy-volumes.1");
    assert!(volumes.contains("\\-\\-refine") && volumes.contains("Measure the structures"), "{volumes}");
}
