//! Records of degradations beside a volume.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::simulate::degrade::{Applied, Motion, Record};
use crate::text::read_text;

/// The degradations of a record, in order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Records {
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

impl Records {
    /// Reads the records of a JSON file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::File`] if it is no such record.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "read the record")?;
        serde_json::from_str(&text).map_err(|error| {
            let advice = "give the .json beside a volume that `voxgan simulate` wrote";
            Error::file(path, "record", "what was applied, as JSON", error.to_string(), advice)
        })
    }

    /// The only motion of the records in `path`.
    ///
    /// # Errors
    /// As [`Self::read`], and [`Error::File`] without a motion or with several.
    pub fn motion(path: &Path) -> Result<Motion> {
        let mut motions: Vec<Motion> = Self::read(path)?
            .records
            .into_iter()
            .filter_map(|record| match record.applied {
                Applied::Motion(motion) => Some(motion),
                _ => None,
            })
            .collect();
        match motions.len() {
            1 => Ok(motions.remove(0)),
            count => {
                let advice = "give the record of `voxgan simulate motion`, or one written like it";
                Err(Error::file(path, "Records", "one motion", format!("{count}"), advice))
            }
        }
    }
}
