//! Where everything is and goes, and the segmenter that is measured.

use std::path::PathBuf;

use burn::backend::Flex;
use voxgan::error::Result;
use voxgan::pretrained::segmenter;
use voxgan::segment::Segmenter;

/// What the command line says.
pub struct Options {
    /// The segmenter: the one inside the program, or a file.
    pub weights: String,
    /// Label maps, scans and the peer's networks.
    pub data: PathBuf,
    /// Tables.
    pub out: PathBuf,
    /// Pictures: they show people who must not go into the repository.
    pub pictures: PathBuf,
    /// Tables of an earlier run to print beside those of this one.
    pub against: Option<PathBuf>,
    /// The first scans of each part only.
    pub only: usize,
    /// One image of each map only, to compare weights.
    pub quick: bool,
    /// Whether labels are refined by the scan itself.
    pub refine: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            weights: segmenter::EMBEDDED.into(),
            data: "../shared/data".into(),
            out: "benches/results".into(),
            pictures: "target/anatomy".into(),
            against: None,
            only: usize::MAX,
            quick: false,
            refine: true,
        }
    }
}

impl Options {
    /// The segmenter that all parts use.
    pub fn segmenter(&self) -> Result<Segmenter<Flex>> {
        Ok(segmenter::open::<Flex>(&self.weights, &Default::default())?.refining(self.refine))
    }
}

/// The segmenter, and everything else.
pub struct Place {
    pub segmenter: Segmenter<Flex>,
    pub options: Options,
}

impl Place {
    /// Opens the segmenter and makes the folders.
    pub fn new(options: Options) -> Result<Self> {
        for folder in [&options.out, &options.pictures] {
            std::fs::create_dir_all(folder).expect("a folder for the results");
        }
        Ok(Self { segmenter: options.segmenter()?, options })
    }

    /// A file or folder of the data.
    pub fn data(&self, path: &str) -> PathBuf {
        self.options.data.join(path)
    }

    /// Writes a table of results.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.options.out.join(name), text).expect("results can be written");
    }
}
