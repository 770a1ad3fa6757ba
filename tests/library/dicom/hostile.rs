//! Files that are cut off, damaged, or lie: an error each, soon and in bounded memory.

use std::path::Path;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use proptest::prelude::*;
use voxgan::io::dicom::{list, read, series};
use voxgan::io::scan::ReadOptions;

use super::writer::{folder, grey, header, put, raw, slice, whole, write, write_as};

/// Reads everything that `path` has.
fn all(path: &Path) -> usize {
    let found = series(path).unwrap_or_default();
    found.iter().filter(|one| one.read_all().is_ok()).count()
}

fn error(path: &Path) -> String {
    read(path, &ReadOptions::default()).expect_err("refused").to_string()
}

#[test]
fn cut_off_anywhere() {
    let made = tempfile::tempdir().unwrap();
    let path = write(made.path(), "whole", &slice(0));
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(all(&path), 1);
    let cut = made.path().join("cut");
    for length in 0..whole.len() {
        std::fs::write(&cut, &whole[..length]).unwrap();
        assert!(read(&cut, &ReadOptions::default()).is_err(), "{length} of {} bytes", whole.len());
    }
    // One that is cut off takes its series with it, and no other.
    let made = folder((0..3).map(slice));
    std::fs::write(
        made.path().join("1.dcm"),
        &std::fs::read(made.path().join("1.dcm")).unwrap()[..whole.len() - 9],
    )
    .unwrap();
    let mut other = slice(0);
    put(&mut other, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.55");
    put(&mut other, tags::SERIES_NUMBER, VR::IS, "9");
    write(made.path(), "other", &other);
    let listed = list(made.path()).unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed[0].verdict.to_string().contains("1 of 3 files: the file ends before"),
        "{}",
        listed[0].verdict
    );
    assert!(listed[1].verdict.is_read());
}

#[test]
fn sizes_and_bits_that_cannot_be() {
    let with = |change: &dyn Fn(&mut super::writer::Object)| {
        folder((0..3).map(|n| {
            let mut object = slice(n);
            change(&mut object);
            object
        }))
    };
    for (made, words) in [
        (with(&|o| whole(o, tags::ROWS, 0)), "5 × 0 pixels"),
        (
            with(&|o| {
                whole(o, tags::ROWS, 65_535);
                whole(o, tags::COLUMNS, 65_535);
            }),
            "65535 × 65535 pixels",
        ),
        (with(&|o| whole(o, tags::ROWS, 8_000)), "40 bytes of pixels: 80000 are needed"),
        (with(&|o| grey(o, 7, 7, false)), "of 7 allocated"),
        (with(&|o| grey(o, 16, 0, false)), "0 bits stored"),
        (with(&|o| grey(o, 16, 17, false)), "17 bits stored of 16"),
        (with(&|o| whole(o, tags::SAMPLES_PER_PIXEL, 65_535)), "pixels of 65535 samples"),
        (with(&|o| put(o, tags::NUMBER_OF_FRAMES, VR::IS, "2000000000")), "2000000000 frames"),
        (with(&|o| put(o, tags::PIXEL_SPACING, VR::DS, "0\\1")), "without position, orientation or spacing"),
        (
            with(&|o| put(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\0\\0\\0\\0\\0")),
            "without position, orientation",
        ),
        (
            with(&|o| put(o, tags::IMAGE_POSITION_PATIENT, VR::DS, "nan\\0\\0")),
            "without position, orientation",
        ),
    ] {
        let error = error(made.path());
        assert!(error.contains(words) && error.contains("series 7"), "{words}: {error}");
    }
}

#[test]
fn lengths_that_lie_and_sequences_without_end() {
    let made = tempfile::tempdir().unwrap();
    let path = made.path().join("lie");
    let check = |elements: &[u8], syntax: &str, words: &str| {
        std::fs::write(&path, raw(elements, syntax)).unwrap();
        let error = error(&path);
        assert!(error.contains(words), "{words}: {error}");
    };
    // A text of four gigabytes; a sequence whose item is longer than itself; items within items without end.
    check(b"\x08\x00\x3e\x10\xf0\xff\xff\xffabc", uids::IMPLICIT_VR_LITTLE_ENDIAN, "the end of the file");
    check(
        b"\x00\x52\x29\x92SQ\0\0\x08\0\0\0\xfe\xff\0\xe0\xf0\xff\xff\x7f",
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        "sequence",
    );
    let nested = b"\x00\x52\x29\x92SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff".repeat(100_000);
    check(&nested, uids::EXPLICIT_VR_LITTLE_ENDIAN, "nested at most 16 deep");
    let nested = b"\x00\x52\x29\x92\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff".repeat(100_000);
    check(&nested, uids::IMPLICIT_VR_LITTLE_ENDIAN, "nested at most 16 deep");
}

/// Data that inflate to far more than they are.
#[test]
fn bombs_are_not_inflated() {
    let made = tempfile::tempdir().unwrap();
    // 64 MB of one private element, then pixels: as deflated data set, and in an archive.
    let mut object = slice(0);
    let zeros = PrimitiveValue::U8(vec![0; 64 << 20].into());
    object.put(DataElement::new(dicom_object::Tag(0x0009, 0x1010), VR::OB, zeros));
    let path = write_as(made.path(), "bomb", &object, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN);
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
    assert_eq!(all(&path), 1);
    // A frame of JPEG-LS, RLE or JPEG 2000 that states pixels which its bytes cannot hold.
    for (syntax, words) in [
        (uids::RLE_LOSSLESS, "RLE"),
        (uids::JPEG_LOSSLESS_SV1, "JPEG"),
        (uids::JPEGLS_LOSSLESS, "JPEG-LS"),
        (uids::JPEG2000_LOSSLESS, "JPEG 2000"),
    ] {
        let mut object = header(0);
        whole(&mut object, tags::ROWS, 8_000);
        whole(&mut object, tags::COLUMNS, 8_000);
        let fragments = dicom_core::value::PixelFragmentSequence::new_fragments(vec![vec![1_u8; 40]]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
        let path = write_as(made.path(), "frame", &object, syntax);
        let error = error(&path);
        assert!(error.contains(words) || error.contains("40 bytes for 1 slices"), "{words}: {error}");
    }
    assert!(
        error(&{
            let path = made.path().join("cut.zip");
            std::fs::write(&path, b"PK\x03\x04 and nothing").unwrap();
            path
        })
        .contains("zip archive")
    );
}

/// A DICOMDIR that names files elsewhere.
#[test]
fn directories_stay_in_their_folder() {
    let made = folder((0..3).map(slice));
    let inside = made.path().join("disc");
    std::fs::create_dir(&inside).unwrap();
    for (names, count) in [(vec!["..", "0.dcm"], 0), (vec!["/etc", "passwd"], 0), (vec!["SUB", "A"], 1)] {
        write(&inside, "SUB/A", &slice(0));
        let mut record = super::writer::Object::new_empty();
        record.put(DataElement::new(
            tags::REFERENCED_FILE_ID,
            VR::CS,
            PrimitiveValue::Strs(names.iter().map(|n| n.to_string()).collect()),
        ));
        let mut directory = super::writer::Object::new_empty();
        put(&mut directory, tags::SOP_CLASS_UID, VR::UI, uids::MEDIA_STORAGE_DIRECTORY_STORAGE);
        put(&mut directory, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.1");
        super::writer::sequence(&mut directory, tags::DIRECTORY_RECORD_SEQUENCE, vec![record]);
        let path = write(&inside, "DICOMDIR", &directory);
        assert_eq!(all(&path), count, "{names:?}");
        let outside = list(&path)
            .unwrap()
            .iter()
            .any(|info| info.verdict.to_string().contains("outside of the folder"));
        assert_eq!(outside, count == 0, "{names:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Damaged bytes: an error or a volume of finite values, and no panic.
    #[test]
    fn damaged_anywhere(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), kind in 0_usize..4) {
        let syntaxes = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2",
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN];
        let made = tempfile::tempdir().unwrap();
        let path = write_as(made.path(), "file", &slice(0), syntaxes[kind]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        std::fs::write(&path, bytes).unwrap();
        for one in series(&path).unwrap_or_default() {
            if let Ok(volumes) = one.read_all() {
                prop_assert!(volumes.iter().all(|volume| volume.data.iter().all(|value| value.is_finite())));
            }
        }
    }
}
