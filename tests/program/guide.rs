//! The commands of the guide and of the README, as a reader gives them.
//!
//! Blocks of ```` ```console ```` are run, page after page in the order of SUMMARY.md, in one folder. What a command prints must be what
//! the page shows, where `⋮` stands for any lines and `…` for any part of a line; it must fail where `error:` is shown, and only there.
//! A comment above a block, which readers do not see, may begin with `guide:` and go on with
//! - `not run, WHY`, for what needs data of one's own, a key press or minutes;
//! - `numbers vary`, between processors or runs: then any numbers will do;
//! - `first`, followed by lines of commands that are run before the block; a comment of these alone needs no block.
//!
//! All commands of voxgan, also in blocks of ```` ```sh ```` and those not run, must be known with their options.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use snapbox::{Assert, IntoData};
use voxgan::cli::Cli;

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The pages of the guide in the order in which they are read.
fn pages() -> Vec<PathBuf> {
    let folder = root().join("docs/src");
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
    let links = summary.split("](").skip(1).filter_map(|link| link.split(')').next());
    links.map(|link| folder.join(link)).collect()
}

/// What the comment above a block says of it, without `guide:`.
#[derive(Default)]
struct Block {
    page: String,
    line: usize,
    language: String,
    note: String,
    lines: Vec<String>,
}

/// The blocks of a page; a comment with commands alone is a block of no lines.
fn blocks(path: &Path) -> Vec<Block> {
    let page = path.strip_prefix(root()).unwrap().display().to_string();
    let (mut blocks, mut note, mut open) = (Vec::new(), None::<String>, None::<Block>);
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(block) = &mut open {
            match line {
                "```" => blocks.extend(open.take()),
                _ => block.lines.push(line.into()),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let (page, note) = (page.clone(), note.take().unwrap_or_default());
            open = Some(Block { page, line: at + 1, language: language.into(), note, lines: Vec::new() });
        } else if let Some(start) = line.strip_prefix("<!-- guide:") {
            let mut said = vec![start];
            while !said.last().unwrap().ends_with("-->") {
                said.push(lines.next().expect("a comment that ends").1);
            }
            let said = said.join("\n").trim_end_matches("-->").trim().to_string();
            let alone = note.replace(said).map(|note| Block {
                page: page.clone(),
                line: at,
                note,
                ..Block::default()
            });
            blocks.extend(alone);
        } else if let (false, Some(note)) = (line.is_empty(), note.take()) {
            blocks.push(Block { page: page.clone(), line: at, note, ..Block::default() });
        }
    }
    blocks
}

impl Block {
    /// Commands that are run before it.
    fn first(&self) -> impl Iterator<Item = &str> {
        self.note.strip_prefix("first").map_or("", str::trim).lines()
    }

    /// Its commands, each with what is shown of its output.
    fn commands(&self) -> Vec<(String, Vec<String>)> {
        let mut commands: Vec<(String, Vec<String>)> = Vec::new();
        for line in &self.lines {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.into(), Vec::new())),
                (None, Some((_, shown))) => shown.push(line.clone()),
                // Goes on from a block above.
                (None, None) => {}
            }
        }
        commands
    }
}

/// A line in which all words with digits are alike.
fn without_numbers(line: &str) -> String {
    let plain = |word: &str| if word.contains(|c: char| c.is_ascii_digit()) { "0" } else { word }.to_string();
    line.split_whitespace().map(plain).collect::<Vec<_>>().join(" ") + "\n"
}

#[test]
fn commands_print_what_the_guide_shows() {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("tests"), place.path().join("tests")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_voxgan")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let run = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{{ {line}\n}} 2>&1")]).current_dir(place.path());
        let output = command.env("PATH", &path).env("NO_COLOR", "1").output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (mut ran, mut wrong) = (0, Vec::new());
    for block in pages().iter().flat_map(|page| blocks(page)) {
        for line in block.first() {
            let (success, text) = run(line);
            assert!(success, "{}:{}: {line}\n{text}", block.page, block.line);
        }
        if block.language != "console" || block.note.starts_with("not run,") {
            continue;
        }
        for (line, shown) in block.commands() {
            ran += 1;
            let (success, mut text) = run(&line);
            let name = format!("{}:{}: {line}", block.page, block.line);
            let mut expected = shown.iter().map(|line| format!("{line}\n")).collect::<String>();
            if success == expected.lines().any(|line| line.starts_with("error:")) {
                wrong.push(format!("{name}\nsucceeded: {success}\n{text}"));
                continue;
            }
            if block.note.contains("numbers vary") {
                [text, expected] = [text, expected].map(|text| text.lines().map(without_numbers).collect());
            }
            let expected = expected.replace('⋮', "...").replace('…', "[..]");
            let found = Assert::new().normalize_paths(false).try_eq(
                Some(&name),
                text.into_data(),
                expected.into_data(),
            );
            wrong.extend(found.err().map(|error| error.to_string()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran > 20, "{ran} commands");
}

/// The commands of voxgan in a line of a shell, without what surrounds them.
fn of_voxgan(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split(['|', ';', '>', '&']).map(str::trim);
    let mut commands = Vec::new();
    for part in parts {
        let part = part.trim_start_matches("do ").replace("cargo run --release -- ", "voxgan ");
        if part.starts_with("voxgan ") {
            commands.push(part.split_whitespace().map(|word| word.replace("$n", "1")).collect());
        }
    }
    commands
}

#[test]
fn commands_of_the_guide_are_known_with_their_options() {
    let (mut known, mut wrong) = (0, Vec::new());
    for block in pages().iter().chain([&root().join("README.md")]).flat_map(|page| blocks(page)) {
        let lines = match block.language.as_str() {
            "console" => block.commands().into_iter().map(|(line, _)| line).collect(),
            "sh" => block.lines.join("\n").replace("\\\n", " ").lines().map(String::from).collect(),
            _ => Vec::new(),
        };
        for words in lines.iter().flat_map(|line| of_voxgan(line)) {
            // A synopsis.
            if words.iter().any(|word| word.contains(['[', '…'])) {
                continue;
            }
            known += 1;
            match Cli::try_parse_from(&words) {
                Err(error) if error.use_stderr() => {
                    wrong.push(format!("{}:{}: {}\n{error}", block.page, block.line, words.join(" ")));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(known > 60, "{known} commands");
}
