//! How good the heads are beside their baselines: `cargo bench --bench heads -- PART… [--weights NAME=FILE] [--quick]`. The
//! parts are told in README.md beside this file; without any, nothing is run.

mod images;
mod kspace;
mod real;
mod refinegan;
mod simulated;
mod speed;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::backend::Flex;
use voxgan::error::Result;
use voxgan::pretrained::TrainedRestorer;

/// Where everything is.
pub struct Place {
    pub data: PathBuf,
    pub weights: BTreeMap<String, String>,
    pub pictures: Option<PathBuf>,
    pub quick: bool,
}

impl Place {
    /// The network of a head.
    pub fn network(&self, head: &str) -> Result<TrainedRestorer<Flex>> {
        TrainedRestorer::open(self.weights.get(head).map_or(head, String::as_str), &Default::default())
    }
}

fn main() {
    let mut place =
        Place { data: "../shared/data".into(), weights: BTreeMap::new(), pictures: None, quick: false };
    let mut parts = Vec::new();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("a value after {argument}"));
        match argument.as_str() {
            "--data" => place.data = value().into(),
            "--pictures" => place.pictures = Some(value().into()),
            "--quick" => place.quick = true,
            "--weights" => {
                let pair = value();
                let (head, file) =
                    pair.split_once('=').unwrap_or_else(|| panic!("NAME=FILE after --weights"));
                place.weights.insert(head.into(), file.into());
            }
            _ => parts.push(argument),
        }
    }
    if parts.is_empty() {
        println!(
            "give parts: superres, recon, motion, inpaint, translate, progress, ages, refinegan, speed (see README.md \
             beside this file)"
        );
        return;
    }
    if let [one] = &parts[..]
        && let Some(head) = one.strip_prefix("speed-")
    {
        speed::one(&place, head).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    for part in &parts {
        println!("\n## {part}\n");
        let done = match part.as_str() {
            "superres" => images::superres(&place),
            "inpaint" => images::inpaint(&place),
            "motion" => images::motion(&place),
            "translate" => simulated::translate(&place),
            "progress" => simulated::progress(&place),
            "ages" => real::progress(&place),
            "recon" => kspace::recon(&place),
            "refinegan" => kspace::refinegan(&place),
            "speed" => speed::all(&place),
            _ => panic!("{part} is no part of this bench"),
        };
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}
