//! Series that the tests write themselves: voxels and places are known in closed form.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use proptest::prelude::*;
use voxgan::io::dicom::{Verdict, is_dicom, list, read, series};
use voxgan::io::scan::ReadOptions;
use voxgan::volume::{Volume, World};

use super::writer::{
    FIRST, Object, SIZE, SPACING, STEP, folder, grey, header, numbers, pixels, put, sequence, slice, value,
    whole, words, write, write_as,
};

fn volume(path: &std::path::Path) -> Volume {
    read(path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(path: &std::path::Path) -> String {
    let error = read(path, &ReadOptions::default()).expect_err("refused").to_string();
    let listed = list(path).unwrap();
    assert!(listed.iter().all(|info| !info.verdict.is_read()), "{listed:?}");
    error
}

/// Checks voxels and place of the series of [`slice`], scaled.
fn check(volume: &Volume, slices: usize, scaled: impl Fn(f64) -> f64) {
    assert_eq!(volume.data.dim(), (1, slices, SIZE[1], SIZE[0]));
    for ((_, k, j, i), &found) in volume.data.indexed_iter() {
        assert_eq!(found, scaled(value(i, j, k).into()) as f32, "voxel {i}, {j}, {k}");
    }
    // To the left and to the back is -x and -y in RAS.
    let [i, j, k] = [2.0, 3.0, 1.0];
    let expected = [-(FIRST[0] + i * SPACING[0]), -(FIRST[1] + j * SPACING[1]), FIRST[2] + k * STEP];
    let found = volume.world_mm([i, j, k]);
    assert!((0..3).all(|axis| (found[axis] - expected[axis]).abs() < 1e-9), "{found:?} {expected:?}");
    assert_eq!(volume.provenance.world, World::Scanner);
}

#[test]
fn a_classic_series_whatever_the_order_of_its_files() {
    let made = tempfile::tempdir().unwrap();
    for (place, n) in [3, 0, 4, 1, 2].into_iter().enumerate() {
        let mut slice = slice(n);
        // Neither names nor instance numbers follow the position.
        put(&mut slice, tags::INSTANCE_NUMBER, VR::IS, format!("{}", (n * 3) % 5));
        write(made.path(), &format!("sub/{place}"), &slice);
    }
    std::fs::write(made.path().join("notes.txt"), "not DICOM").unwrap();
    check(&volume(made.path()), 5, |value| value);
    let info = &list(made.path()).unwrap()[0];
    assert_eq!((info.name.as_str(), info.number, info.images), ("T1_made_7", Some(7), 5));
    assert_eq!((info.size, info.frames, info.channels), ([5, 4, 5], 1, 1));
    assert_eq!(info.spacing_mm, [SPACING[0], SPACING[1], STEP]);
    assert!(
        is_dicom(made.path().join("sub/0"))
            && !is_dicom(made.path().join("notes.txt"))
            && !is_dicom(made.path())
    );
}

#[test]
fn every_way_to_write_elements() {
    for syntax in [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let made = tempfile::tempdir().unwrap();
        (0..3).for_each(|n| drop(write_as(made.path(), &n.to_string(), &slice(n), syntax)));
        check(&volume(made.path()), 3, |value| value);
    }
}

#[test]
fn acquisition_in_the_units_of_bids_and_nothing_that_identifies() {
    let made = folder((0..3).map(slice));
    let series = series(made.path()).unwrap().remove(0);
    let acquisition = &series.acquisition;
    assert_eq!(acquisition.echo_time, Some(0.0045));
    assert_eq!(acquisition.repetition_time, Some(2.3));
    assert_eq!((acquisition.flip_angle, acquisition.magnetic_field_strength), (Some(9.0), Some(3.0)));
    let json = serde_json::to_string(acquisition).unwrap();
    assert!(json.contains("\"EchoTime\":0.0045") && json.contains("\"ProtocolName\":\"T1 made\""), "{json}");
    let told = format!(
        "{json} {} {:?} {:?}",
        serde_json::to_string(&series.info).unwrap(),
        series.info,
        series.read(None).unwrap().provenance
    );
    let mut broken = slice(1);
    numbers(&mut broken, tags::IMAGE_POSITION_PATIENT, &[0.0, 0.0, 1.0]);
    let refused = refusal(folder([slice(0), broken, slice(2)]).path());
    for secret in ["SECRET", "Secretive", "1961", "2001", "1.2.3"] {
        assert!(!told.contains(secret) && !refused.contains(secret), "{secret}: {told} {refused}");
    }
}

#[test]
fn one_series_of_several_is_chosen() {
    let made = folder((0..3).map(slice));
    for n in 0..4 {
        let mut other = slice(n);
        put(&mut other, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.5555");
        put(&mut other, tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.3.5.{n}"));
        put(&mut other, tags::SERIES_NUMBER, VR::IS, "12");
        put(&mut other, tags::SERIES_DESCRIPTION, VR::LO, "other");
        write(made.path(), &format!("other{n}"), &other);
    }
    let error = read(made.path(), &ReadOptions::default()).expect_err("two series").to_string();
    assert!(error.contains("T1_made_7, T1_made_12") && error.contains("--series"), "{error}");
    for (wanted, slices) in
        [("7", 3), ("12", 4), ("OTHER", 4), ("T1_made_7", 3), ("made head", 3), ("5555", 4)]
    {
        let options = ReadOptions { series: Some(wanted.into()), ..ReadOptions::default() };
        assert_eq!(read(made.path(), &options).unwrap().dims()[2], slices, "{wanted}");
    }
    let options = ReadOptions { series: Some("13".into()), ..ReadOptions::default() };
    assert!(read(made.path(), &options).expect_err("no such series").to_string().contains("a series \"13\""));
}

#[test]
fn slices_that_are_missing_doubled_or_uneven_are_refused() {
    let missing = refusal(folder([0, 1, 3, 4].map(slice)).path());
    assert!(
        missing.contains("series 7 \"made head\"") && missing.contains("100.0 % of their median of 2.000 mm"),
        "{missing}"
    );
    assert!(missing.contains("1 slice missing between them; give all slices"), "{missing}");

    let copied = refusal(folder([0, 1, 2, 1].map(slice)).path());
    assert!(copied.contains("1 of 4 files twice"), "{copied}");
    let mut doubled = slice(1);
    put(&mut doubled, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.99");
    let doubled = refusal(folder([slice(0), slice(1), slice(2), doubled]).path());
    assert!(
        doubled.contains("2 images at slice 2 of 3 (32.00 mm along the normal), where most have 1"),
        "{doubled}"
    );

    let moved = |shift: f64| {
        let mut slices = [0, 1, 2, 3].map(slice);
        numbers(
            &mut slices[2],
            tags::IMAGE_POSITION_PATIENT,
            &[FIRST[0], FIRST[1], FIRST[2] + 2.0 * STEP + shift],
        );
        folder(slices)
    };
    let uneven = refusal(moved(0.07).path());
    assert!(uneven.contains("differ by 3.5 % of their median"), "{uneven}");
    let made = moved(0.05);
    let accepted = volume(made.path());
    assert!((accepted.spacing_mm()[2] - STEP).abs() < 1e-9);
    assert!(
        accepted.provenance.steps.iter().any(|step| step.contains("1.950 to 2.050 mm are taken as 2.000 mm"))
    );

    let mut two = [0, 1].map(slice);
    assert_eq!(volume(folder(two.clone()).path()).dims()[2], 2);
    assert!(two.iter_mut().all(|slice| slice.remove_element(tags::SLICE_THICKNESS)));
    assert!(refusal(folder(two).path()).contains("two slices 2.000 mm apart"));
}

#[test]
fn tilted_gantries_and_mixed_orientations_are_refused() {
    let tilted = |n: usize| {
        let mut slice = slice(n);
        let at = n as f64;
        numbers(
            &mut slice,
            tags::IMAGE_POSITION_PATIENT,
            &[FIRST[0], FIRST[1] + 0.5 * at, FIRST[2] + STEP * at],
        );
        slice
    };
    let error = refusal(folder((0..4).map(tilted)).path());
    // atan(0.5 / 2)
    assert!(error.contains("14.0° beside their normal, by 0.500 mm a step of 2.000 mm"), "{error}");
    let turned = |n: usize| {
        let mut slice = slice(n);
        if n > 2 {
            numbers(&mut slice, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
        }
        slice
    };
    let error = refusal(folder((0..5).map(turned)).path());
    assert!(error.contains("2 orientations (3 + 2 slices)"), "{error}");
}

/// What is no scan is left out, and the scan beside it is read.
#[test]
fn other_objects_are_left_out() {
    let made = folder((0..3).map(slice));
    for (n, (class, words)) in [
        ("1.2.840.10008.5.1.4.1.1.88.11", "a structured report"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "a presentation state"),
        ("1.2.840.10008.5.1.4.1.1.7", "a secondary capture"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut other = slice(0);
        put(&mut other, tags::SOP_CLASS_UID, VR::UI, class);
        put(&mut other, tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.3.6.{n}"));
        put(&mut other, tags::SERIES_INSTANCE_UID, VR::UI, format!("1.2.3.7.{n}"));
        other.remove_element(tags::IMAGE_POSITION_PATIENT);
        write(made.path(), &format!("other{n}"), &other);
        let listed = list(made.path()).unwrap();
        let left_out =
            |verdict: &Verdict| matches!(verdict, Verdict::LeftOut(reason) if reason.found.contains(words));
        assert!(listed.iter().any(|info| left_out(&info.verdict)), "{words}: {listed:?}");
        check(&volume(made.path()), 3, |value| value);
    }
    let mut localiser = slice(0);
    put(&mut localiser, tags::IMAGE_TYPE, VR::CS, dicom_value!(Strs, ["ORIGINAL", "PRIMARY", "LOCALIZER"]));
    assert!(refusal(folder([localiser]).path()).contains("a localiser"));
}

#[test]
fn times_echoes_and_parts_of_the_complex_image() {
    // Three times of four slices; instance numbers go through time first, files are in no order.
    let at = |time: usize, n: usize| {
        let mut object = header(n);
        put(&mut object, tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.3.8.{time}.{n}"));
        put(&mut object, tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, format!("{}", time + 1));
        put(&mut object, tags::INSTANCE_NUMBER, VR::IS, format!("{}", 3 * n + time));
        words(&mut object, pixels(n).iter().map(|value| value + 1000 * time as u16).collect());
        object
    };
    let made = folder([2, 0, 1].into_iter().flat_map(|time| [3, 1, 0, 2].map(|n| at(time, n))));
    let error = read(made.path(), &ReadOptions::default()).expect_err("three frames").to_string();
    assert!(error.contains("3 frames") && error.contains("--frame"), "{error}");
    for time in 0..3 {
        let options = ReadOptions { frame: Some(time), ..ReadOptions::default() };
        check(&read(made.path(), &options).unwrap(), 4, |value| value + 1000.0 * time as f64);
    }
    assert_eq!(series(made.path()).unwrap()[0].read_all().unwrap().len(), 3);

    // A time that lacks a slice.
    let error = refusal(
        folder((0..2).flat_map(|time| (0..4 - time).map(move |n| (time, n))).map(|(t, n)| at(t, n))).path(),
    );
    assert!(error.contains("1 image at slice 4 of 4"), "{error}");

    // Two echoes, and magnitude beside phase.
    let made =
        folder((0..2).flat_map(|echo| (0..3).flat_map(move |n| ["M", "P"].map(|part| (echo, n, part)))).map(
            |(echo, n, part)| {
                let mut object = header(n);
                put(
                    &mut object,
                    tags::SOP_INSTANCE_UID,
                    VR::UI,
                    format!("1.2.3.8.{echo}.{n}.{}", part.len() + usize::from(part == "P")),
                );
                put(&mut object, tags::ECHO_TIME, VR::DS, format!("{}", 5 + 3 * echo));
                put(&mut object, tags::ECHO_NUMBERS, VR::IS, format!("{}", echo + 1));
                put(&mut object, tags::IMAGE_TYPE, VR::CS, dicom_value!(Strs, ["ORIGINAL", "PRIMARY", part]));
                words(&mut object, pixels(n));
                object
            },
        ));
    let mut names: Vec<String> = list(made.path()).unwrap().into_iter().map(|info| info.name).collect();
    names.sort();
    assert_eq!(names, ["T1_made_7", "T1_made_7_e2", "T1_made_7_e2_ph", "T1_made_7_ph"]);
}

#[test]
fn stored_bits_signs_and_scales() {
    let with = |allocated: u16, stored: u16, signed: bool, change: &dyn Fn(u16) -> u16| {
        folder((0..3).map(|n| {
            let mut object = header(n);
            grey(&mut object, allocated, stored, signed);
            words(&mut object, pixels(n).into_iter().map(change).collect());
            object
        }))
    };
    // Twelve bits in sixteen, with something else above them.
    check(&volume(with(16, 12, false, &|v| v | 0xa000).path()), 3, |value| value);
    // Two's complement of twelve bits.
    check(&volume(with(16, 12, true, &|v| v.wrapping_sub(150) & 0xfff).path()), 3, |value| value - 150.0);
    check(&volume(with(16, 16, true, &|v| v.wrapping_sub(150)).path()), 3, |value| value - 150.0);
    check(&volume(with(16, 16, false, &|v| v + 60_000).path()), 3, |value| value + 60_000.0);
    // Slope and intercept of each slice; MONOCHROME1 changes no value.
    let made = folder((0..3).map(|n| {
        let mut object = slice(n);
        put(&mut object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
        numbers(&mut object, tags::RESCALE_SLOPE, &[0.5 + n as f64]);
        numbers(&mut object, tags::RESCALE_INTERCEPT, &[-7.0 * n as f64]);
        object
    }));
    let scaled = volume(made.path());
    for ((_, k, j, i), &found) in scaled.data.indexed_iter() {
        assert_eq!(f64::from(found), f64::from(value(i, j, k)) * (0.5 + k as f64) - 7.0 * k as f64);
    }
    // The highest bit need not be the last that is stored (PS3.5, 8.1.1).
    let made = folder((0..3).map(|n| {
        let mut object = header(n);
        whole(&mut object, tags::HIGH_BIT, 15);
        words(&mut object, pixels(n).iter().map(|v| v << 4 | 0xb).collect());
        object
    }));
    check(&volume(made.path()), 3, |value| value);
    // Philips' scale slope: (stored · slope + intercept) / (slope · scale slope).
    let philips = |n: usize| {
        let mut object = slice(n);
        put(&mut object, tags::MANUFACTURER, VR::LO, "Philips Medical Systems");
        numbers(&mut object, tags::RESCALE_SLOPE, &[4.0]);
        numbers(&mut object, tags::RESCALE_INTERCEPT, &[12.0]);
        put(&mut object, Tag(0x2005, 0x0010), VR::LO, "Philips MR Imaging DD 001");
        put(&mut object, Tag(0x2005, 0x100e), VR::FL, dicom_value!(F32, [0.25]));
        object
    };
    // Implicit elements have no type, and private ones are in no dictionary.
    let implicit = tempfile::tempdir().unwrap();
    (0..3).for_each(|n| {
        drop(write_as(implicit.path(), &n.to_string(), &philips(n), uids::IMPLICIT_VR_LITTLE_ENDIAN));
    });
    check(&volume(implicit.path()), 3, |value| (value * 4.0 + 12.0) / (4.0 * 0.25));
    let made = folder((0..3).map(philips));
    let philips = volume(made.path());
    check(&philips, 3, |value| (value * 4.0 + 12.0) / (4.0 * 0.25));
    assert!(
        philips.provenance.steps.iter().any(|step| step.contains("scale slope")),
        "{:?}",
        philips.provenance
    );
    // 32 bits, and floats.
    let made = folder((0..3).map(|n| {
        let mut object = header(n);
        grey(&mut object, 32, 32, true);
        let long: Vec<u16> =
            pixels(n).iter().flat_map(|&v| [v.wrapping_sub(5), if v < 5 { 0xffff } else { 0 }]).collect();
        words(&mut object, long);
        object
    }));
    check(&volume(made.path()), 3, |value| value - 5.0);
    let made = folder((0..3).map(|n| {
        let mut object = header(n);
        let floats: Vec<f32> = pixels(n).iter().map(|&v| f32::from(v) / 8.0).collect();
        object.put(DataElement::new(tags::FLOAT_PIXEL_DATA, VR::OF, PrimitiveValue::F32(floats.into())));
        object
    }));
    check(&volume(made.path()), 3, |value| value / 8.0);
}

#[test]
fn colours_by_pixel_by_plane_and_by_luminance() {
    let rgb = |i: usize, j: usize, k: usize| [10 * i + k, 20 * j, 200 - 10 * i].map(|value| value as u8);
    let colour = |n: usize, kind: &str, planar: u16, bytes: Vec<u8>| {
        let mut object = header(n);
        grey(&mut object, 8, 8, false);
        whole(&mut object, tags::SAMPLES_PER_PIXEL, 3);
        whole(&mut object, tags::PLANAR_CONFIGURATION, planar);
        put(&mut object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, kind);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into())));
        object
    };
    let all = |n: usize| (0..SIZE[1]).flat_map(move |j| (0..SIZE[0]).map(move |i| rgb(i, j, n)));
    let by_pixel = folder((0..3).map(|n| colour(n, "RGB", 0, all(n).flatten().collect())));
    let by_plane = folder((0..3).map(|n| {
        colour(
            n,
            "RGB",
            1,
            (0..3).flat_map(|c| all(n).map(move |pixel| pixel[c]).collect::<Vec<_>>()).collect(),
        )
    }));
    for made in [by_pixel, by_plane] {
        let volume = volume(made.path());
        assert_eq!(volume.data.dim(), (3, 3, SIZE[1], SIZE[0]));
        for ((c, k, j, i), &found) in volume.data.indexed_iter() {
            assert_eq!(found, f32::from(rgb(i, j, k)[c]), "channel {c} of {i}, {j}, {k}");
        }
    }
    // BT.601 of red is (76, 85, 255) (PS3.3, C.7.6.3.1.2).
    let red = [76, 85, 255].repeat(SIZE[0] * SIZE[1]);
    let volume = volume(folder((0..3).map(|n| colour(n, "YBR_FULL", 0, red.clone()))).path());
    assert_eq!([0, 1, 2].map(|c| volume.data[[c, 1, 2, 3]]), [254.0, 0.0, 0.0]);
}

/// An enhanced file: frames in an order of its own, each with its scale, shared orientation and spacing, two times.
fn enhanced() -> Object {
    let mut object = header(0);
    for tag in
        [tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT, tags::PIXEL_SPACING, tags::ECHO_TIME]
    {
        object.remove_element(tag);
    }
    put(&mut object, tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_MR_IMAGE_STORAGE);
    put(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, "6");
    let with = |tag: Tag, fill: &dyn Fn(&mut Object)| {
        let (mut group, mut item) = (Object::new_empty(), Object::new_empty());
        fill(&mut item);
        sequence(&mut group, tag, vec![item]);
        group
    };
    let merge = |groups: Vec<Object>| {
        let mut all = Object::new_empty();
        groups.into_iter().flatten().for_each(|element| drop(all.put(element)));
        all
    };
    let shared = merge(vec![
        with(tags::PLANE_ORIENTATION_SEQUENCE, &|item| {
            numbers(item, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        }),
        with(tags::PIXEL_MEASURES_SEQUENCE, &|item| {
            numbers(item, tags::PIXEL_SPACING, &[SPACING[1], SPACING[0]]);
            numbers(item, tags::SLICE_THICKNESS, &[STEP]);
        }),
        with(tags::MR_ECHO_SEQUENCE, &|item| {
            put(item, tags::EFFECTIVE_ECHO_TIME, VR::FD, dicom_value!(F64, [4.5]));
        }),
    ]);
    sequence(&mut object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let frames = [(2, 0), (0, 1), (1, 0), (0, 0), (2, 1), (1, 1)];
    let own = frames.map(|(n, time)| {
        merge(vec![
            with(tags::PLANE_POSITION_SEQUENCE, &|item| {
                numbers(
                    item,
                    tags::IMAGE_POSITION_PATIENT,
                    &[FIRST[0], FIRST[1], FIRST[2] + STEP * n as f64],
                );
            }),
            with(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, &|item| {
                numbers(item, tags::RESCALE_SLOPE, &[1.0 / (n + 1) as f64]);
                numbers(item, tags::RESCALE_INTERCEPT, &[1000.0 * time as f64]);
            }),
            with(tags::FRAME_CONTENT_SEQUENCE, &|item| {
                put(item, tags::TEMPORAL_POSITION_INDEX, VR::UL, dicom_value!(U32, [time as u32 + 1]));
            }),
        ])
    });
    sequence(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, own.to_vec());
    let stored = frames.iter().flat_map(|&(n, _)| pixels(n).into_iter().map(move |v| v * (n + 1) as u16));
    words(&mut object, stored.collect());
    object
}

#[test]
fn enhanced_files_with_groups_for_all_and_for_each_frame() {
    for syntax in [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2"] {
        let made = tempfile::tempdir().unwrap();
        let path = write_as(made.path(), "enhanced", &enhanced(), syntax);
        for time in 0..2 {
            let options = ReadOptions { frame: Some(time), ..ReadOptions::default() };
            check(&read(&path, &options).unwrap(), 3, |value| value + 1000.0 * time as f64);
        }
        assert_eq!(series(&path).unwrap()[0].acquisition.echo_time, Some(0.0045));
    }
}

/// A CSA header with these tags, each with items of text.
fn csa(tags: &[(&str, &[&str])]) -> Vec<u8> {
    let mut bytes = b"SV10\x04\x03\x02\x01".to_vec();
    bytes.extend((tags.len() as u32).to_le_bytes());
    bytes.extend(77_u32.to_le_bytes());
    for (name, items) in tags {
        let mut field = name.as_bytes().to_vec();
        field.resize(64, 0);
        bytes.extend(field);
        [1, 0, 0, items.len() as u32, 77].iter().for_each(|word: &u32| bytes.extend(word.to_le_bytes()));
        for item in *items {
            let length = item.len() as u32;
            [length, length, 77, length].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes.extend(item.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

#[test]
fn mosaics_are_taken_apart() {
    let [w, h] = SIZE;
    // Five slices in 3 × 3 tiles, four of them empty; the slices go on along the normal, and against it.
    for direction in [1.0, -1.0] {
        let mut object = header(0);
        put(
            &mut object,
            tags::IMAGE_TYPE,
            VR::CS,
            dicom_value!(Strs, ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]),
        );
        whole(&mut object, tags::ROWS, 3 * h as u16);
        whole(&mut object, tags::COLUMNS, 3 * w as u16);
        // The header's position is that of a mosaic with the first slice's centre.
        let corner = [FIRST[0] - w as f64 * SPACING[0], FIRST[1] - h as f64 * SPACING[1]];
        let first = if direction > 0.0 { 0.0 } else { 4.0 * STEP };
        numbers(&mut object, tags::IMAGE_POSITION_PATIENT, &[corner[0], corner[1], FIRST[2] + first]);
        numbers(&mut object, tags::SPACING_BETWEEN_SLICES, &[STEP]);
        let normal = format!("{direction}");
        let header = csa(&[
            ("EchoLinePosition", &["2"]),
            ("NumberOfImagesInMosaic", &["5", ""]),
            ("SliceNormalVector", &["0.00000000", "0.0", &normal]),
        ]);
        put(&mut object, Tag(0x0029, 0x0010), VR::LO, "SIEMENS CSA HEADER");
        object.put(DataElement::new(Tag(0x0029, 0x1010), VR::OB, PrimitiveValue::U8(header.into())));
        let mut all = vec![0; 9 * w * h];
        for tile in 0..5 {
            let k = if direction > 0.0 { tile } else { 4 - tile };
            for (place, value) in pixels(k).into_iter().enumerate() {
                let (i, j) = (tile % 3 * w + place % w, tile / 3 * h + place / w);
                all[j * 3 * w + i] = value;
            }
        }
        words(&mut object, all);
        check(&volume(folder([object]).path()), 5, |value| value);
    }
}

/// As in the folders of DataLad, whose files are links.
#[cfg(unix)]
#[test]
fn links_to_files_are_files() {
    let (made, links) = (folder((0..3).map(slice)), tempfile::tempdir().unwrap());
    for n in 0..3 {
        let name = format!("{n}.dcm");
        std::os::unix::fs::symlink(made.path().join(&name), links.path().join(name)).unwrap();
    }
    // A folder is not entered through a link: it may lead back.
    std::os::unix::fs::symlink(links.path(), links.path().join("again")).unwrap();
    check(&volume(links.path()), 3, |value| value);
}

#[test]
fn archives_and_directories() {
    let made = folder((0..3).map(slice));
    let archive = made.path().join("scan.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for n in [2, 0, 1] {
        zip.start_file(format!("DICOM/IM{n}"), options).unwrap();
        let bytes = std::fs::read(made.path().join(format!("{n}.dcm"))).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.start_file("LIESMICH", options).unwrap();
    zip.finish().unwrap();
    check(&volume(&archive), 3, |value| value);
    // One file of many is one slice.
    assert_eq!(volume(&made.path().join("1.dcm")).dims(), [SIZE[0], SIZE[1], 1]);
}

/// A frame of HTJ2K (dicom-toolkit-jpeg2000 0.5.0 made it, lossless) whose pixel `(i, j)` is `37 i + 101 j + i j`, modulo 4096.
#[test]
fn htj2k_is_a_feature() {
    let mut object = header(0);
    whole(&mut object, tags::COLUMNS, 32);
    whole(&mut object, tags::ROWS, 24);
    let frame = include_bytes!("../../fixtures/dicom/htj2k_32x24_12bit.j2c").to_vec();
    let fragments = dicom_core::value::PixelFragmentSequence::new_fragments(vec![frame]);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
    let made = tempfile::tempdir().unwrap();
    let path = write_as(made.path(), "frame", &object, uids::HTJ2K_LOSSLESS);
    if !cfg!(feature = "htj2k") {
        let error = refusal(&path);
        assert!(error.contains("build it with --features htj2k"), "{error}");
        return;
    }
    for ((_, _, j, i), &found) in volume(&path).data.indexed_iter() {
        assert_eq!(found, ((37 * i + 101 * j + i * j) % 4096) as f32, "{i}, {j}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Oblique series of any direction, in any order of files: voxels and world agree with the headers'.
    #[test]
    fn oblique_series(angles in prop::array::uniform3(-3.0..3.0f64), slices in 1_usize..6, turn in any::<prop::sample::Index>()) {
        let rotation = nalgebra::Rotation3::from_euler_angles(angles[0], angles[1], angles[2]);
        let (row, column) = (rotation * nalgebra::Vector3::x(), rotation * nalgebra::Vector3::y());
        let position = |n: usize| nalgebra::Vector3::from(FIRST) + rotation * nalgebra::Vector3::z() * (STEP * n as f64);
        let first = turn.index(slices);
        let made = folder((0..slices).map(|n| (n + first) % slices).map(|n| {
            let mut object = slice(n);
            numbers(&mut object, tags::IMAGE_POSITION_PATIENT, position(n).as_slice());
            let axes: Vec<f64> = row.iter().chain(column.iter()).copied().collect();
            numbers(&mut object, tags::IMAGE_ORIENTATION_PATIENT, &axes);
            object
        }));
        let volume = volume(made.path());
        prop_assert_eq!(volume.dims(), [SIZE[0], SIZE[1], slices]);
        for ((_, k, j, i), &found) in volume.data.indexed_iter() {
            prop_assert_eq!(found, f32::from(value(i, j, k)));
            let lps = position(k) + row * (SPACING[0] * i as f64) + column * (SPACING[1] * j as f64);
            let ras = volume.world_mm([i, j, k].map(|n| n as f64));
            prop_assert!((ras[0] + lps.x).abs() < 1e-9 && (ras[1] + lps.y).abs() < 1e-9 && (ras[2] - lps.z).abs() < 1e-9);
        }
    }
}
