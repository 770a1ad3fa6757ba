//! Recipes whose kind is told by what they hold.

use super::{Recipe, RestorationRecipe, SegmentationRecipe, source};
use crate::error::Result;

/// A recipe of any kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnyRecipe {
    /// Of a generator.
    Generator(Box<Recipe>),
    /// Of a segmenter: it has a table `[segmenter]`.
    Segmenter(Box<SegmentationRecipe>),
    /// Of a restoration head: it has a table `[head]`.
    Head(Box<RestorationRecipe>),
}

impl AnyRecipe {
    /// The recipe `name_or_path`, as [`Recipe::open`] finds it.
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
