//! TOML in and out, with errors that name file and key.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The value of the TOML `text`; `path` is for errors. The caller checks the ranges of its numbers.
///
/// # Errors
/// [`Error::File`] with the line, or the path of the key that is unknown, missing or of another type.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    let syntax = |e: &toml::de::Error| {
        let line = e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        Error::file(path, format!("line {line}"), "valid TOML", e.message(), "correct this line")
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|e| syntax(&e))?;
    serde_path_to_error::deserialize(deserializer).map_err(|e| {
        let key = e.path().to_string();
        let message = e.inner().message().trim();
        if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            let key = if key == "." { name.to_string() } else { format!("{key}.{name}") };
            return Error::file(path, key, "a value, there being no default", "nothing", "add this key");
        }
        let (found, expected) = message.split_once(", expected ").unwrap_or((message, "another value"));
        Error::file(path, key, expected, found, "correct or remove this key")
    })
}

/// `value` as TOML.
///
/// # Errors
/// [`Error::Value`] if a number does not fit TOML (a seed above 2⁶³ − 1).
pub fn to_toml(value: &impl Serialize) -> Result<String> {
    toml::to_string_pretty(value)
        .map_err(|e| Error::value("recipe", "values that TOML can hold", e.to_string(), "change this value"))
}
