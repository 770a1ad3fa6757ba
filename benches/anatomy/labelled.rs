//! Real scans with label maps: drawn by people (OASIS), or made by a network (IXI).

use voxgan::anatomy::Segmentation;
use voxgan::error::Result;
use voxgan::io::nifti;
use voxgan::volume::Volume;
use voxgan::volume::orientation::to_ras;

use crate::neuromorphometrics::segmentation;
use crate::place::Place;
use crate::score::{Case, part};
use crate::targets::{IXI, SEEN, Set, UNSEEN};

/// Scans with manual labels that a trial of a refinement had already looked at.
pub const SEEN_SCANS: [&str; 5] = ["1000", "1006", "1017", "1101", "1122"];
/// Those that nothing was chosen on.
pub const UNSEEN_SCANS: [&str; 5] = ["1002", "1010", "1036", "1107", "1113"];

/// A volume of the data, in RAS+.
pub fn open(place: &Place, path: &str) -> Result<Volume> {
    Ok(to_ras(nifti::read(place.data(path))?).0)
}

/// Manual labels. Nothing may be chosen on them.
pub fn manual(place: &Place) -> Result<()> {
    let of = |set: &'static Set| {
        move |name: &&str| -> Result<Case> {
            let scan = open(place, &format!("oasis_manual/{name}_SS.nii.gz"))?;
            let map = open(place, &format!("oasis_manual/{name}_glm.nii.gz"))?;
            Ok(Case { set, name: name.to_string(), scan, truth: segmentation(&map, |_| None) })
        }
    };
    let cases = SEEN_SCANS.iter().map(|name| of(&SEEN)(name));
    let cases = cases.chain(UNSEEN_SCANS.iter().map(|name| of(&UNSEEN)(name)));
    part(place, "anatomy-manual.csv", &[&SEEN, &UNSEEN], cases)
}

/// People of a split of IXI, compared on the scan's own grid of 2 mm.
pub fn ixi(place: &Place, split: &str) -> Result<()> {
    let file = if split == "test" { "anatomy-ixi.csv".into() } else { format!("anatomy-ixi-{split}.csv") };
    let cases = people(place, split).into_iter().map(|name| {
        let scan = open(place, &format!("ixi/T1w_2mm/{name}_T1w.nii.gz"))?;
        let map = open(place, &format!("ixi/dseg_2mm/{name}_dseg.nii.gz"))?;
        Ok(Case { set: &IXI, truth: Segmentation::of_numbers(&map)?, scan, name })
    });
    part(place, &file, &[&IXI], cases)
}

/// The people of a split.
pub fn people(place: &Place, split: &str) -> Vec<String> {
    let table =
        std::fs::read_to_string(place.data("ixi/participants.tsv")).expect("ixi/participants.tsv is there");
    let fields = |line: &str| line.split('\t').map(str::to_string).collect::<Vec<_>>();
    let mut lines = table.lines().map(fields);
    let header = lines.next().expect("a header");
    let column = |name: &str| header.iter().position(|field| field == name).expect("a column");
    let [id, of] = ["participant_id", "split"].map(column);
    lines.filter(|line| line[of] == split).map(|line| line[id].clone()).collect()
}
