//! Recipes of any kind, which is recognised by their tables.

use super::{Recipe, RestorationRecipe, SegmentationRecipe, preset, presets, source};
use crate::error::Result;

/// A recipe of any kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnyRecipe {
    /// The recipe of a generator.
    Generator(Box<Recipe>),
    /// The recipe of a segmenter, with a table `[segmenter]`.
    Segmenter(Box<SegmentationRecipe>),
    /// The recipe of a restoration head, with a table `[head]`.
    Head(Box<RestorationRecipe>),
}

impl AnyRecipe {
    /// Names of the recipes inside the program: of generators, of segmenters and of heads.
    pub fn preset_names() -> [Vec<&'static str>; 3] {
        presets::names()
    }

    /// The recipe `name` from inside the program as TOML, with its comments.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) if there is none of that name; it lists those there are.
    pub fn preset_text(name: &str) -> Result<&'static str> {
        preset(name).map(|(_, text)| text)
    }

    /// Opens the recipe `name_or_path`, a file or a preset; see [`Recipe::open`].
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn open(name_or_path: &str) -> Result<Self> {
        let (path, text) = source(name_or_path)?;
        let table = text.parse::<toml::Table>().unwrap_or_default();
        if table.contains_key("segmenter") {
            return Ok(Self::Segmenter(Box::new(SegmentationRecipe::from_toml(&text, &path)?)));
        }
        if table.contains_key("head") {
            return Ok(Self::Head(Box::new(RestorationRecipe::from_toml(&text, &path)?)));
        }
        Ok(Self::Generator(Box::new(Recipe::from_toml(&text, &path)?)))
    }
}
