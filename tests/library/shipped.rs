//! The volumes that ship, in `volumes/`: they are what their SOURCES.md says.

use std::path::{Path, PathBuf};

use ndarray::{Axis, s};
use voxgan::acquisition::coils::EspiritOptions;
use voxgan::acquisition::image::Part;
use voxgan::io::raw::{self, RawOptions};
use voxgan::io::scan::{self, ReadOptions};
use voxgan::recon::{CoilSettings, Maps, Measurement, Method, Sense};
use voxgan::volume::Volume;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("volumes").join(name)
}

fn read(name: &str) -> Volume {
    scan::read(shipped(name), &ReadOptions::default()).unwrap()
}

#[test]
fn phantoms_have_labels_on_their_grids_and_a_series_has_its_volume() {
    for mm in [2, 4] {
        let [head, labels] = ["", "_labels"].map(|what| read(&format!("phantom-{mm}mm{what}.nii.gz")));
        assert_eq!((head.dims(), head.affine), (labels.dims(), labels.affine));
        assert_eq!(head.spacing_mm(), [f64::from(mm); 3]);
        // White matter is the brightest tissue of T1.
        let mean = |numbers: &[f32]| {
            let inside = head.data.iter().zip(&labels.data).filter(|(_, label)| numbers.contains(label));
            let (sum, n) = inside.fold((0.0, 0.0), |(sum, n), (&x, _)| (sum + f64::from(x), n + 1.0));
            sum / n
        };
        assert!(
            mean(&[2.0, 41.0]) > 1.2 * mean(&[3.0, 42.0]) && mean(&[3.0, 42.0]) > 1.5 * mean(&[4.0, 43.0])
        );
    }
    // The series runs to the left and back, the volume to the right and front.
    let (head, series) = (read("phantom-4mm.nii.gz"), read("phantom-dicom"));
    let turned = series.data.slice(s![.., .., ..;-1, ..;-1]);
    let range = head.data.iter().copied().fold(0.0, f32::max);
    let most = (&head.data - &turned).into_iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    assert!(most <= range / 131_070.0 + range * f32::EPSILON, "{most} of {range}");
    assert!(scan::read_series(shipped("generated-4mm.nii.gz"), &ReadOptions::default()).is_ok());
}

#[test]
fn the_k_space_is_the_phantoms_slice() {
    let options = RawOptions { transformed: Some([false, true, true]), ..RawOptions::default() };
    let kspace = raw::read(&shipped("kspace-4coils.npy"), &options).unwrap();
    assert_eq!(kspace.coils(), 4);
    let maps = Maps::Espirit(EspiritOptions::default());
    let settings = CoilSettings { maps, whiten: false, compress: None };
    let measured = Measurement::new(kspace, &settings).unwrap();
    let image = measured.reconstruct(&Method::Sense(Sense::default()), Part::Magnitude).unwrap().volume;
    let head = read("phantom-2mm.nii.gz");
    let slice = head.data.index_axis(Axis(1), head.dims()[2] / 2);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let (a, b) = (image.data.iter().copied().collect::<Vec<_>>(), slice.iter().copied().collect::<Vec<_>>());
    let likeness = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    assert!(likeness > 0.99, "{likeness}");
}
