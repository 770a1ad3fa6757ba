//! Which of the images in a raw data file is read, in the same words for all commands.

use crate::io::raw::RawOptions;

/// Which of a file's images.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ImageArgs {
    /// The only slice to read, from 0
    #[arg(long, value_name = "N")]
    slice: Option<usize>,
    /// ISMRMRD: the repetition to read of several
    #[arg(long, value_name = "N")]
    repetition: Option<usize>,
    /// ISMRMRD: the contrast (echo) to read of several
    #[arg(long, value_name = "N")]
    contrast: Option<usize>,
    /// ISMRMRD: the cardiac phase to read of several
    #[arg(long, value_name = "N")]
    phase: Option<usize>,
    /// ISMRMRD: which of the header's encodings to read, from 0; by default the first with an image
    #[arg(long, value_name = "N")]
    encoding: Option<usize>,
    /// ISMRMRD: the set to read of several
    #[arg(long, value_name = "N")]
    set: Option<usize>,
}

impl From<ImageArgs> for RawOptions {
    fn from(ImageArgs { slice, repetition, contrast, phase, encoding, set }: ImageArgs) -> Self {
        Self { slice, repetition, contrast, phase, encoding, set, ..Self::default() }
    }
}
