//! The arrows between the modules of the library, read from the source: who may see whom, where `unsafe` may stand, how
//! long a file may be, and what no library code does.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module (a folder or a file of `src`) and the modules it may name: those above it alone, so that no arrows make a circle.
/// Every module may name itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("csv", &[]),
    ("error", &[]),
    ("random", &[]),
    ("warp", &[]),
    ("settings", &["error"]),
    ("stats", &["random"]),
    ("text", &["error"]),
    ("volume", &["error", "stats"]),
    ("acquisition", &["error", "random", "volume", "warp"]),
    ("ops", &["acquisition", "error", "warp"]),
    ("nn", &["ops", "random"]),
    ("anatomy", &["csv", "error", "settings", "stats", "volume"]),
    ("convert", &["error", "volume"]),
    ("io", &["error", "stats", "text", "volume"]),
    ("correct", &["acquisition", "error", "volume"]),
    ("evaluate", &["anatomy", "csv", "error", "random", "stats", "volume"]),
    ("recon", &["acquisition", "error", "random", "stats", "volume"]),
    ("report", &["error", "io", "stats", "volume"]),
    ("simulate", &["acquisition", "anatomy", "error", "random", "stats", "volume", "warp"]),
    ("config", &["acquisition", "error", "settings", "simulate", "text"]),
    ("gan", &["config", "error", "nn", "ops", "random", "stats", "warp"]),
    ("segment", &["anatomy", "config", "error", "nn", "ops", "random", "volume"]),
    (
        "heads",
        &[
            "acquisition",
            "anatomy",
            "config",
            "convert",
            "error",
            "gan",
            "nn",
            "ops",
            "random",
            "recon",
            "simulate",
            "stats",
            "volume",
        ],
    ),
    ("pretrained", &["anatomy", "config", "error", "gan", "heads", "nn", "ops", "segment", "volume"]),
    (
        "train",
        &[
            "anatomy",
            "config",
            "convert",
            "error",
            "evaluate",
            "gan",
            "heads",
            "io",
            "nn",
            "ops",
            "pretrained",
            "random",
            "report",
            "segment",
            "simulate",
            "stats",
            "volume",
        ],
    ),
    (
        "pipeline",
        &[
            "acquisition",
            "anatomy",
            "config",
            "convert",
            "correct",
            "csv",
            "error",
            "evaluate",
            "gan",
            "heads",
            "io",
            "nn",
            "ops",
            "pretrained",
            "random",
            "recon",
            "report",
            "segment",
            "simulate",
            "stats",
            "text",
            "train",
            "volume",
        ],
    ),
    ("cli", &["*"]),
    ("main", &["cli"]),
];
/// Modules on the device's side: the only ones that may name burn.
const MAY_NAME_BURN: [&str; 10] =
    ["ops", "nn", "gan", "pretrained", "convert", "segment", "heads", "train", "pipeline", "cli"];
/// Files beside the kernels that may hold `unsafe`: libraries that are looked up at run time, a driver's description of its cards.
const MAY_BE_UNSAFE: [&str; 3] = ["ops/cards.rs", "ops/cuda.rs", "train/group/mpi.rs"];
/// The file beside `main` that may end the process: where a rank is gone, the main thread waits in a collective for ever.
const MAY_EXIT: &str = "train/group/lifeline.rs";
/// Lines that a file may have.
const LINES_MAX: usize = 480;
/// Lines above an `unsafe` block among which its reason stands.
const SAFETY_WITHIN: usize = 3;
/// Macros that library code does not use, and the modules that may.
const MACROS: [(&str, &[&str]); 8] = [
    ("todo!", &[]),
    ("unimplemented!", &[]),
    ("dbg!", &[]),
    ("println!", &["cli"]),
    ("print!", &["cli"]),
    ("eprintln!", &["cli"]),
    ("eprint!", &[]),
    ("process::exit", &["main"]),
];

/// What is wrong with the file `path` (relative to `src`) of this content, each as `path:line: what`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("src/{path}:1: the module `{module}` is not in the table of arrows")];
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut report = |line: usize, what: String| found.push(format!("src/{path}:{}: {what}", line + 1));
    if lines.len() > LINES_MAX {
        report(LINES_MAX, format!("{} lines, of at most {LINES_MAX}", lines.len()));
    }
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for seen in modules_named(&lines, number).into_iter().chain(modules_above(path, code)) {
            if seen != module && !allowed.contains(&seen.as_str()) && !allowed.contains(&"*") {
                report(number, format!("`{module}` may not see `{seen}`"));
            }
        }
        if words(code).any(|word| word == "burn" || word.starts_with("burn_"))
            && !code.contains('"')
            && !MAY_NAME_BURN.contains(&module)
        {
            report(number, format!("`{module}` may not name burn"));
        }
        for (name, modules) in MACROS {
            let whole = code.find(name).is_some_and(|at| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"')
            });
            let exits = name == "process::exit" && path == MAY_EXIT;
            if whole && !modules.contains(&module) && !exits {
                report(number, format!("`{name}` in `{module}`"));
            }
        }
        // A content security policy has keywords such as 'unsafe-inline'.
        if is_unsafe(code) && !MAY_BE_UNSAFE.contains(&path) {
            report(number, format!("`unsafe` outside crates/voxgan-kernels and {MAY_BE_UNSAFE:?}"));
        }
        if lacks_reason(&lines, number) {
            report(number, format!("`unsafe` without `// SAFETY:` in the {SAFETY_WITHIN} lines before it"));
        }
    }
    found
}

/// Whether the word stands there as code.
fn is_unsafe(code: &str) -> bool {
    words(code).any(|word| word == "unsafe") && !code.contains("unsafe_code") && !code.contains("'unsafe-")
}

/// Whether an `unsafe` block or implementation on line `number` has no reason above it.
fn lacks_reason(lines: &[&str], number: usize) -> bool {
    let code = lines[number].split("//").next().unwrap_or("");
    let needs = is_unsafe(code) && (code.contains("unsafe {") || code.contains("unsafe impl"));
    let above = &lines[number.saturating_sub(SAFETY_WITHIN)..=number];
    needs && !above.iter().any(|line| line.contains("// SAFETY:"))
}

/// Modules named on line `number` as `crate::module` or, where the brace opens on it, `crate::{module::…, other}`.
fn modules_named(lines: &[&str], number: usize) -> Vec<String> {
    let code = |line: &str| line.split("//").next().unwrap_or("").to_string();
    let first = code(lines[number]);
    let mut modules = Vec::new();
    let names = ["crate::", "voxgan::"];
    for (at, name) in names.iter().flat_map(|name| first.match_indices(name)) {
        if first[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &first[at + name.len()..];
        if !rest.starts_with('{') {
            modules.extend(words(rest).next().map(str::to_string));
            continue;
        }
        let text = rest.to_string() + &lines[number + 1..].iter().map(|line| code(line)).collect::<String>();
        let (mut depth, mut item) = (0, String::new());
        for letter in text.chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    modules.extend(words(&std::mem::take(&mut item)).next().map(str::to_string))
                }
                _ if depth == 1 => item.push(letter),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        modules.extend(words(&item).next().map(str::to_string));
    }
    modules
}

/// Modules of the table that the file `path` names by going up to the crate itself, as `super::super::module`.
fn modules_above(path: &str, code: &str) -> Vec<String> {
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let up = "super::".repeat(depth);
    code.match_indices(&up)
        .filter_map(|(at, _)| words(&code[at + up.len()..]).next())
        .filter(|word| ARROWS.iter().any(|(name, _)| name == word))
        .map(str::to_string)
        .collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Every `.rs` file below `folder`, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn the_source_keeps_to_the_architecture() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src);
    assert!(files.len() > 50, "only {} files below {}", files.len(), src.display());
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            violations(&name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// In the other crates too, every `unsafe` has its reason, and files stay short.
#[test]
fn kernels_and_bindings_say_why_they_are_sound() {
    let mut found = Vec::new();
    for folder in ["crates/voxgan-kernels/src", "python/src"] {
        let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        assert!(!files.is_empty(), "{folder} has no sources");
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let name = path.display();
            found.extend(
                (0..lines.len()).filter(|&n| lacks_reason(&lines, n)).map(|n| format!("{name}:{}", n + 1)),
            );
            found.extend((lines.len() > LINES_MAX).then(|| format!("{name}: {} lines", lines.len())));
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// A module sees those above it in the table alone: no arrows make a circle.
#[test]
fn arrows_point_one_way() {
    for (place, (module, seen)) in ARROWS.iter().enumerate() {
        let above: Vec<_> = ARROWS[..place].iter().map(|(name, _)| *name).collect();
        for name in seen.iter().filter(|name| **name != "*") {
            assert!(above.contains(name), "`{module}` stands above `{name}`, which it sees");
        }
    }
}

/// The reader finds what it is there to find, and nothing in what is allowed.
#[test]
fn violations_are_seen() {
    for (path, text, expected) in [
        (
            "volume/crop.rs",
            "use crate::error::Error;\nuse crate::io::nifti;\n",
            Some("src/volume/crop.rs:2: `volume` may not see `io`"),
        ),
        (
            "gan/loss.rs",
            "fn f() {\n    crate::io::bids::read();\n}\n",
            Some("src/gan/loss.rs:2: `gan` may not see `io`"),
        ),
        (
            "nn/conv.rs",
            "use crate::{\n    ops::{Fir, fir},\n    gan::Mapping,\n};\n",
            Some("src/nn/conv.rs:1: `nn` may not see `gan`"),
        ),
        (
            "gan/augment/draw.rs",
            "use super::super::super::io::bids;\n",
            Some("src/gan/augment/draw.rs:1: `gan` may not see `io`"),
        ),
        ("gan/augment/mod.rs", "use super::super::condition;\n", None),
        ("gan/loss.rs", "use crate::{nn::{Conv, Noise}, ops, random::stream};\n", None),
        ("io/mod.rs", "use burn::tensor::Tensor;\n", Some("src/io/mod.rs:1: `io` may not name burn")),
        (
            "report/plot.rs",
            "type T = burn::tensor::Tensor<B, 1>;\n",
            Some("src/report/plot.rs:1: `report` may not name burn"),
        ),
        ("io/mod.rs", "// no burn here\n//! [`crate::gan`]\n", None),
        ("ops/cuda.rs", "// SAFETY: in bounds.\n\n\nunsafe { f() }\n", None),
        (
            "ops/cuda.rs",
            "// SAFETY: in bounds.\n\n\n\nunsafe { f() }\n",
            Some("src/ops/cuda.rs:5: `unsafe` without"),
        ),
        ("ops/cuda.rs", "unsafe impl Send for P {}\n", Some("src/ops/cuda.rs:1: `unsafe` without")),
        (
            "train/run.rs",
            "// SAFETY: sure.\nunsafe { f() }\n",
            Some("src/train/run.rs:2: `unsafe` outside crates/voxgan-kernels"),
        ),
        ("train/run.rs", "    println!(\"step\");\n", Some("src/train/run.rs:1: `println!` in `train`")),
        ("train/run.rs", "    writeln!(file, \"step\")?;\n", None),
        (
            "cli/train.rs",
            "    println!(\"step\");\n    dbg!(x);\n",
            Some("src/cli/train.rs:2: `dbg!` in `cli`"),
        ),
        ("main.rs", "use voxgan::cli::Cli;\n", None),
        ("main.rs", "use voxgan::train::run;\n", Some("src/main.rs:1: `main` may not see `train`")),
        ("helpers/mod.rs", "\n", Some("src/helpers/mod.rs:1: the module `helpers` is not in the table")),
    ] {
        let found = violations(path, text);
        match expected {
            None => assert!(found.is_empty(), "{text}: {found:?}"),
            Some(expected) => {
                assert_eq!(found.len(), 1, "{text}: {found:?}");
                assert!(found[0].starts_with(expected), "{text}: {found:?}");
            }
        }
    }
    let long = "\n".repeat(LINES_MAX + 1);
    assert_eq!(violations("nn/conv.rs", &long), ["src/nn/conv.rs:481: 481 lines, of at most 480"]);
}
