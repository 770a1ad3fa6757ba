//! What is told of a series.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A series, or a part of it that is one volume or time series: what `voxgan info` lists. It holds nothing that tells who was scanned,
/// when or where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesInfo {
    /// A name for files, one of its own among those listed together: protocol (or else description) and number as dcm2niix's `%p_%s`,
    /// and what tells the parts of a series apart (`_e2` for the second echo, `_ph`, `_real`, `_imaginary`, a letter).
    pub name: String,
    /// Series Number.
    pub number: Option<i64>,
    /// Series Description.
    pub description: String,
    /// Protocol Name.
    pub protocol: String,
    /// Modality, and what the scanner calls the sequence.
    pub sequence: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// How pixels are stored: transfer syntaxes in words.
    pub stored: String,
    /// Images: files, frames of a file, or tiles of a mosaic.
    pub images: usize,
    /// Voxels along columns, rows and slices `[W, H, D]`.
    pub size: [usize; 3],
    /// Millimetres between them.
    pub spacing_mm: [f64; 3],
    /// Volumes in time.
    pub frames: usize,
    /// 1, or 3 for colours.
    pub channels: usize,
    /// Whether it can be read.
    pub verdict: Verdict,
    /// What was made of headers that are not quite in order.
    pub notes: Vec<String>,
}

/// Whether a series can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It can.
    #[default]
    Read,
    /// It is no scan of a volume: a localiser, a report, a picture of the screen.
    LeftOut(Reason),
    /// It should be a volume, and something is wrong.
    Refused(Reason),
}

impl Verdict {
    /// Whether it can.
    pub fn is_read(&self) -> bool {
        *self == Self::Read
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Read => write!(f, "ok"),
            Self::LeftOut(reason) => write!(f, "left out: {reason}"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

/// Why a series cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What was found.
    pub found: String,
    /// What to do.
    pub advice: String,
}

impl Reason {
    pub(super) fn new(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { found: found.into(), advice: advice.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}; {}", self.found, self.advice)
    }
}

impl SeriesInfo {
    /// Number and description, as errors name it.
    pub fn title(&self) -> String {
        let words = [&self.description, &self.protocol].into_iter().find(|text| !text.is_empty());
        match (self.number, words) {
            (Some(number), Some(words)) => format!("series {number} {words:?}"),
            (Some(number), None) => format!("series {number}"),
            (None, Some(words)) => format!("series {words:?}"),
            (None, None) => "a series without number and description".into(),
        }
    }

    /// Whether `wanted` is its number, name, description or protocol (in any case of letters).
    pub(super) fn is(&self, wanted: &str) -> bool {
        let same = |text: &str| !text.is_empty() && text.eq_ignore_ascii_case(wanted.trim());
        same(&self.name)
            || same(&self.description)
            || same(&self.protocol)
            || self.number.is_some_and(|number| number.to_string() == wanted.trim())
    }
}
