//! Foreign masks: the same one in every format, with DC in the centre or the corner, and the RefineGAN set's.

use ndarray::Array3;
use voxgan::io::dc::DcPlace;
use voxgan::io::masks::{self, MaskOptions};

use crate::{expected, fixture, needs, refused};

#[test]
fn masks_of_every_format() {
    let rows: Vec<String> = serde_json::from_value(expected("mask")).unwrap();
    let wanted = Array3::from_shape_fn((1, 15, 18), |(_, y, x)| rows[y].as_bytes()[x] == b'#');
    for name in ["centre_v5.mat", "corner_v7.mat", "corner_v73.mat", "corner.npy", "corner.png", "centre.tif"]
    {
        let mask = masks::read(&fixture(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(mask.sampled, wanted, "{name}");
        let place = if name.starts_with("corner") { DcPlace::Corner } else { DcPlace::Centre };
        assert_eq!(mask.dc, place, "{name}");
    }
    refused(masks::read(&fixture("two.mat")), &["two.mat", "first, second", "name the variable"]);
    for (name, place) in [("first", DcPlace::Centre), ("second", DcPlace::Corner)] {
        let options = MaskOptions { variable: Some(name.to_string()), dc: None };
        let mask = masks::read_with(&fixture("two.mat"), &options).unwrap();
        assert_eq!((mask.sampled, mask.dc), (wanted.clone(), place));
    }

    refused(masks::read(&fixture("regular.npy")), &["place of DC", "dc = centre or corner"]);
    let options = MaskOptions { dc: Some(DcPlace::Corner), ..MaskOptions::default() };
    let mask = masks::read_with(&fixture("regular.npy"), &options).unwrap();
    assert_eq!(mask.sampled.dim(), (1, 1, 16));
    assert!(mask.sampled[[0, 0, 8]] && mask.sampled[[0, 0, 0]] && !mask.sampled[[0, 0, 9]]);
    refused(masks::read(&fixture("f8_version3.npy")), &["values", "0 and one other"]);
    refused(masks::read(&fixture("make.py")), &["make.py", ".mat"]);
}

#[test]
fn masks_of_the_refinegan_set_have_dc_in_the_corner() {
    let Some(folder) = needs::data("refinegan/masks") else { return };
    // Samples, and sums of the row and column numbers of the fftshifted mask, from NumPy and Pillow.
    for (name, wanted) in [
        ("cartes_10.tif", [6656, 848_640, 791_808]),
        ("cartes_20.tif", [13056, 1_664_640, 1_726_208]),
        ("cartes_30.tif", [19712, 2_513_280, 2_589_696]),
        ("cartes_40.tif", [26112, 3_329_280, 3_200_000]),
        ("radial_10.png", [6695, 856_960, 856_960]),
        ("radial_20.png", [13233, 1_693_824, 1_693_824]),
        ("radial_30.png", [19789, 2_532_992, 2_532_992]),
        ("radial_40.png", [26273, 3_362_944, 3_362_944]),
    ] {
        let mask = masks::read(&folder.join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(mask.dc, DcPlace::Corner, "{name}");
        let mut found = [0; 3];
        for ((_, y, x), _) in mask.sampled.indexed_iter().filter(|(_, sampled)| **sampled) {
            for (sum, term) in found.iter_mut().zip([1, y, x]) {
                *sum += term;
            }
        }
        assert_eq!(found, wanted, "{name}");
    }
}
