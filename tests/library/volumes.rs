//! Volumes and plausibility of the label maps of real heads, whole and broken.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, s};
use voxgan::anatomy::Segmentation;
use voxgan::anatomy::volumes::{Flag, Volumes};
use voxgan::io::nifti;
use voxgan::volume::Volume;
use voxgan::volume::orientation::to_ras;

use crate::needs;

/// The sixteen label maps of SynthSeg, where they are there.
const SUBJECTS: [&str; 16] =
    ["01", "02", "03", "05", "06", "07", "08", "10", "11", "12", "13", "14", "15", "17", "19", "20"];

fn data() -> Option<PathBuf> {
    needs::data("synthseg")?;
    needs::data("")
}

fn map(folder: &Path, subject: &str) -> Volume {
    to_ras(nifti::read(folder.join(format!("synthseg/training_seg_{subject}.nii.gz"))).unwrap()).0
}

/// Volumes that were computed from the files by other means, in ml to two digits. Their choroid plexus is that of the
/// ventricles' bodies (136, 163), that of the temporal horns (137, 164) counts for the horns, and their fluid is label 24
/// alone; ours have all of the plexus, and vessels, fifth ventricle and chiasm (30, 62, 72, 85) with the fluid.
#[test]
fn volumes_of_real_heads_are_those_known_and_none_is_flagged() {
    let Some(folder) = data() else { return };
    let known = std::fs::read_to_string(folder.join("label_volumes.csv")).unwrap();
    for subject in SUBJECTS {
        let row = known.lines().find(|line| line.contains(&format!("training_seg_{subject}.nii"))).unwrap();
        let known: Vec<f64> = row.split(',').skip(5).map(|field| field.parse().unwrap()).collect();
        // Their sum of ventricles and plexus is of rounded numbers; its parts are compared.
        let known = [0, 1, 2, 4, 5, 6].map(|column| known[column]);
        let map = map(&folder, subject);
        let of_numbers = |numbers: &[f32]| {
            map.data.iter().filter(|number| numbers.contains(*number)).count() as f64 / 1000.0
        };
        let (temporal_plexus, not_fluid) =
            (of_numbers(&[137.0, 164.0]), of_numbers(&[30.0, 62.0, 72.0, 85.0]));
        let found = Volumes::of(subject, &Segmentation::of_numbers(&map).unwrap(), None);
        let ml = |name: &str| found.region(name).unwrap().volume_ml;
        let ours = [
            ml("brain"),
            ml("lateral_ventricles"),
            ml("choroid_plexus") - temporal_plexus,
            ml("inferior_lateral_ventricles") + temporal_plexus,
            ml("third_ventricle") + ml("fourth_ventricle"),
            ml("csf") - not_fluid,
        ];
        for (n, (ours, known)) in ours.into_iter().zip(known).enumerate() {
            // The table rounds to 0.01 ml.
            assert!((ours - known).abs() < 0.0051, "subject {subject}, column {n}: {ours} {known}");
        }
        assert_eq!(found.flags, [], "subject {subject}");
        assert_eq!(found.quality, 1.0);
        assert_eq!(found.measure("brain_components"), Some(1.0));
        // Numbers of scikit-image 0.26, `euler_number(mask, connectivity=3)`.
        let euler = match subject {
            "01" => (-799.0, 0.0),
            "13" => (474.0, 8.0),
            "17" => (-1586.0, 12.0),
            "20" => (622.0, 6.0),
            _ => continue,
        };
        let measure = |name: &str| found.measure(name).unwrap();
        assert_eq!((measure("brain_euler_number"), measure("ventricles_euler_number")), euler, "{subject}");
    }
}

/// Each way of breaking a head raises its flag in every subject.
#[test]
fn broken_heads_are_flagged() {
    let Some(folder) = data() else { return };
    for subject in ["05", "07", "14"] {
        let whole = Segmentation::of_numbers(&map(&folder, subject)).unwrap();
        let flags = |labels: Array3<u8>| {
            let found = Volumes::of(subject, &Segmentation::of_labels(labels, whole.affine), None);
            found.flags.iter().map(Flag::name).collect::<Vec<_>>()
        };
        let flipped = |axis: usize| {
            let mut labels = whole.labels.clone();
            labels.invert_axis(Axis(axis));
            labels.as_standard_layout().into_owned()
        };
        assert_eq!(flags(flipped(2)), ["mirrored"], "{subject}");
        assert_eq!(flags(flipped(1)), ["wrong_axes"], "{subject}");
        assert_eq!(flags(flipped(0)), ["wrong_axes"], "{subject}");

        let brain: Vec<usize> = (0..256)
            .filter(|&k| whole.labels.index_axis(Axis(0), k).iter().any(|&label| label > 2))
            .collect();
        let top = brain[brain.len() - 20];
        let cut = whole.labels.slice(s![..top, .., ..]).to_owned();
        assert!(flags(cut).contains(&"cut_off"), "{subject}");
        let mut padded = whole.labels.clone();
        padded.slice_mut(s![top.., .., ..]).fill(0);
        assert!(flags(padded).contains(&"cut_off"), "{subject}");

        let erased = flags(whole.labels.mapv(|label| if (3..=10).contains(&label) { 13 } else { label }));
        assert!(erased.contains(&"missing") && erased.contains(&"out_of_range"), "{subject}: {erased:?}");
        let mut pieces = whole.labels.clone();
        let middle = brain[0] + 2 * brain.len() / 3;
        pieces.slice_mut(s![middle..middle + 2, .., ..]).mapv_inplace(|label| label.min(2));
        assert!(flags(pieces).contains(&"brain_disconnected"), "{subject}");
        let two = Array3::from_shape_fn((256, 256, 256), |(k, j, i)| whole.labels[[k, j, 2 * i % 256]]);
        assert!(flags(two).contains(&"two_brains"), "{subject}");
        let stripped = whole.labels.mapv(|label| if label < 3 { 0 } else { label });
        assert_eq!(flags(stripped), ["no_outer_fluid"], "{subject}");
    }
}
