//! The program, run.

use assert_cmd::Command;

/// The program with arguments.
pub fn voxgan(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("voxgan").expect("the program is built");
    command.args(arguments);
    command
}

/// What a command prints, after it has succeeded.
pub fn printed(arguments: &[&str]) -> String {
    let output = voxgan(arguments).assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("text")
}

/// What a command says when it fails.
pub fn refused(arguments: &[&str]) -> String {
    let output = voxgan(arguments).assert().failure().get_output().stderr.clone();
    String::from_utf8(output).expect("text")
}
