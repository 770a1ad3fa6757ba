//! Recipes by name: files, and presets inside the program.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::text::read_text;

/// The recipes of generators inside the program: name and text.
const GENERATORS: [(&str, &str); 6] = [
    ("brain-2mm", include_str!("../../configs/brain-2mm.toml")),
    ("brain-4mm", include_str!("../../configs/brain-4mm.toml")),
    ("cube-64", include_str!("../../configs/cube-64.toml")),
    ("slab", include_str!("../../configs/slab.toml")),
    ("slice-2d", include_str!("../../configs/slice-2d.toml")),
    ("tiny", include_str!("../../configs/tiny.toml")),
];
/// Those of the segmenter.
const SEGMENTERS: [(&str, &str); 2] = [
    ("anatomy", include_str!("../../configs/anatomy.toml")),
    ("anatomy-detail", include_str!("../../configs/anatomy-detail.toml")),
];
/// Those of heads.
const HEADS: [(&str, &str); 7] = [
    ("inpaint", include_str!("../../configs/inpaint.toml")),
    ("motion", include_str!("../../configs/motion.toml")),
    ("progress", include_str!("../../configs/progress.toml")),
    ("recon", include_str!("../../configs/recon.toml")),
    ("superres", include_str!("../../configs/superres.toml")),
    ("translate", include_str!("../../configs/translate.toml")),
    ("translate-unpaired", include_str!("../../configs/translate-unpaired.toml")),
];

/// Names of the recipes of generators, of segmenters and of heads.
pub(super) fn names() -> [Vec<&'static str>; 3] {
    [&GENERATORS[..], &SEGMENTERS, &HEADS].map(|kind| kind.iter().map(|(name, _)| *name).collect())
}

/// The text of the recipe `name_or_path`, a file or a preset, and the path to name in errors.
pub(super) fn source(name_or_path: &str) -> Result<(PathBuf, Cow<'static, str>)> {
    let path = Path::new(name_or_path);
    if path.is_file() || path.extension().is_some_and(|extension| extension == "toml") {
        Ok((path.to_path_buf(), read(path)?.into()))
    } else {
        preset(name_or_path).map(|(path, text)| (path, text.into()))
    }
}

pub(super) fn read(path: &Path) -> Result<String> {
    read_text(path, "read the recipe")
}

pub(super) fn preset(name: &str) -> Result<(PathBuf, &'static str)> {
    let presets = || GENERATORS.iter().chain(&SEGMENTERS).chain(&HEADS);
    let found = presets().find(|(preset, _)| *preset == name);
    let (_, text) = found.ok_or_else(|| {
        let names: Vec<&str> = presets().map(|(name, _)| *name).collect();
        let expected = format!("a recipe file (.toml) or one of {}", names.join(", "));
        Error::value("recipe", expected, format!("`{name}`"), "check the name or give the file's path")
    })?;
    Ok((format!("{name}.toml").into(), text))
}
