//! The names of a scan's BIDS derivatives, and the lookup tables of label maps.

use std::fmt::Write;
use std::path::Path;

use super::super::structures::Structure;

/// File names of the derivatives of one scan (BIDS derivatives: entities of the source, `space`, `desc`, suffix).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivativeNames {
    /// The label map, `…_space-orig_desc-voxgan_dseg.nii.gz`.
    pub labels: String,
    /// The names of its labels, `…_space-orig_desc-voxgan_dseg.tsv` ([`label_table`]).
    pub label_table: String,
    /// The brain mask, `…_space-orig_desc-brain_mask.nii.gz`.
    pub brain_mask: String,
    /// The measurements, `…_space-orig_desc-voxgan_volumes.json`.
    pub volumes: String,
}

impl DerivativeNames {
    /// The names for the scan at `path`, from its file name. Its suffix (`T1w`) is left out where it has entities
    /// (`sub-01`), its `desc` is replaced, and its `space`, if it has one, stays. Of a name that is not of BIDS only
    /// the extension is left out.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
        let is_bids = stem.starts_with("sub-") && stem.contains('_');
        let mut parts: Vec<&str> = stem.split('_').collect();
        if is_bids {
            parts.retain(|part| part.contains('-') && !part.starts_with("desc-"));
        }
        if !parts.iter().any(|part| part.starts_with("space-")) {
            parts.push("space-orig");
        }
        let start = parts.join("_");
        Self {
            labels: format!("{start}_desc-voxgan_dseg.nii.gz"),
            label_table: format!("{start}_desc-voxgan_dseg.tsv"),
            brain_mask: format!("{start}_desc-brain_mask.nii.gz"),
            volumes: format!("{start}_desc-voxgan_volumes.json"),
        }
    }
}

/// The structures as a lookup table in FreeSurfer's form (`FreeSurferColorLUT.txt`), which Freeview, FSLeyes and
/// ITK-SNAP read: number, name, red, green, blue, and an alpha of 0, which there means opaque.
pub fn lookup_table() -> String {
    let mut text = "#No. Label Name:                          R   G   B   A\n".to_string();
    for structure in in_order() {
        let [r, g, b] = structure.colour();
        let _ = writeln!(text, "{:<5}{:<36}{r:>4}{g:>4}{b:>4}{:>4}", structure.number(), structure.name(), 0);
    }
    text
}

/// The structures as the `dseg.tsv` of BIDS: index, name, colour.
pub fn label_table() -> String {
    let mut text = "index\tname\tcolor\n".to_string();
    for structure in in_order() {
        let [r, g, b] = structure.colour();
        let _ = writeln!(text, "{}\t{}\t#{r:02x}{g:02x}{b:02x}", structure.number(), structure.name());
    }
    text
}

/// By their numbers in files.
fn in_order() -> Vec<Structure> {
    let mut structures = Structure::ALL.to_vec();
    structures.sort_by_key(|structure| structure.number());
    structures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_bids() {
        let labels = |path: &str| DerivativeNames::of(Path::new(path)).labels;
        assert_eq!(
            DerivativeNames::of(Path::new("ds/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz")),
            DerivativeNames {
                labels: "sub-01_ses-1_space-orig_desc-voxgan_dseg.nii.gz".into(),
                label_table: "sub-01_ses-1_space-orig_desc-voxgan_dseg.tsv".into(),
                brain_mask: "sub-01_ses-1_space-orig_desc-brain_mask.nii.gz".into(),
                volumes: "sub-01_ses-1_space-orig_desc-voxgan_volumes.json".into(),
            }
        );
        assert_eq!(
            labels("sub-2_run-1_space-MNI152_desc-preproc_T1w.nii"),
            "sub-2_run-1_space-MNI152_desc-voxgan_dseg.nii.gz"
        );
        assert_eq!(labels("t1_crop.nii.gz"), "t1_crop_space-orig_desc-voxgan_dseg.nii.gz");
        assert_eq!(labels("scan.v2.mgz"), "scan.v2_space-orig_desc-voxgan_dseg.nii.gz");
        assert_eq!(labels("sub-07.nii"), "sub-07_space-orig_desc-voxgan_dseg.nii.gz");
        assert_eq!(labels("head"), "head_space-orig_desc-voxgan_dseg.nii.gz");
    }

    #[test]
    fn tables_of_labels_are_in_order_and_read_back() {
        let table = lookup_table();
        let rows: Vec<Vec<&str>> = table
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), Structure::ALL.len());
        assert_eq!(rows[0], ["0", "Background", "0", "0", "0", "0"]);
        assert!(rows.contains(&vec!["4", "Left-Lateral-Ventricle", "230", "60", "200", "0"]));
        let numbers: Vec<i32> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
        assert!(numbers.is_sorted());
        for row in &rows {
            let structure = Structure::of_label(row[0].parse().unwrap()).unwrap();
            assert_eq!((structure.name(), row.len()), (row[1], 6));
        }
        assert!(label_table().starts_with(
            "index\tname\tcolor\n0\tBackground\t#000000\n2\tLeft-Cerebral-White-Matter\t#ebebeb\n"
        ));
        assert_eq!(label_table().lines().count(), 1 + Structure::ALL.len());
    }
}
