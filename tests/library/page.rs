//! The report as a reader meets it: opened in a headless Chromium. Without one, these tests say so and pass.

mod chromium;

use std::path::PathBuf;

use chromium::Tab;
use image::{Rgb, RgbImage};
use nalgebra::{Matrix4, Vector4};
use ndarray::{Array3, Array4, Axis, array};
use serde_json::json;
use voxgan::io::nifti;
use voxgan::report::page::{
    Block, Cell, Column, Figure, Label, Mark, Page, Picture, Scan, Section, Table, Viewer,
};
use voxgan::report::plots::{BlandAltman, Level, Panel, Sample, ecdf, heat_map, violins};
use voxgan::report::{Montage, png_bytes};
use voxgan::volume::Volume;

use crate::needs;

const WINDOW: (u32, u32) = (1280, 900);
/// Voxels `(i, j, k)` of the phantom, 2 mm each, the world's origin in their middle.
const DIMS: [usize; 3] = [48, 56, 40];
/// Half axes of the phantom's brain as a part of its field of view.
const BRAIN: [f64; 3] = [0.36, 0.40, 0.34];
const VENTRICLE: [u8; 3] = [230, 60, 200];

/// Where voxel `(i, j, k)` lies in the field of view, −0.5 to 0.5 along each axis.
fn place(voxel: [usize; 3]) -> [f64; 3] {
    [0, 1, 2].map(|axis| (voxel[axis] as f64 + 0.5) / DIMS[axis] as f64 - 0.5)
}

fn affine(spacing_mm: f64) -> Matrix4<f64> {
    let mut affine = Matrix4::from_diagonal(&Vector4::new(spacing_mm, spacing_mm, spacing_mm, 1.0));
    for axis in 0..3 {
        affine[(axis, 3)] = -spacing_mm * (DIMS[axis] as f64 - 1.0) / 2.0;
    }
    affine
}

/// A bright ellipsoid with a brighter right side, and a label in its left half.
fn phantom() -> (Volume, Array3<u8>) {
    let [w, h, d] = DIMS;
    let inside = |p: [f64; 3]| (0..3).map(|axis| (p[axis] / BRAIN[axis]).powi(2)).sum::<f64>() < 1.0;
    let labels = Array3::from_shape_fn((d, h, w), |(k, j, i)| {
        let [x, y, z] = place([i, j, k]);
        u8::from((-0.2..-0.1).contains(&x) && y.abs() < 0.15 && z.abs() < 0.15) * 4
    });
    let data = Array4::from_shape_fn((1, d, h, w), |(_, k, j, i)| {
        let p = place([i, j, k]);
        if !inside(p) {
            0.0
        } else if p[0] > 0.02 {
            200.0
        } else {
            120.0
        }
    });
    (Volume::new(data, voxgan::volume::VoxelToWorld::new(affine(2.0)).unwrap()), labels)
}

/// The bytes of a compressed NIfTI file.
fn file_bytes(volume: &Volume) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volume.nii.gz");
    nifti::write(&path, volume, &nifti::WriteOptions::default()).unwrap();
    std::fs::read(&path).unwrap()
}

fn montage(volume: &Volume, labels: &Array3<u8>, colours: &[(u8, [u8; 3])]) -> Picture {
    let one = std::slice::from_ref(volume);
    let layout = Montage { columns: 1, ..Montage::fit(one).unwrap() };
    let cuts = [[0.40; 3], [0.5; 3], [0.60; 3]];
    let picture = layout.outlined(volume, labels.view(), colours, &cuts).unwrap();
    let (alt, caption) =
        ("Three planes of the volume with outlines of its labels", "Cuts at 40, 50 and 60 %.");
    Picture { png: png_bytes(&picture).unwrap(), alt: alt.into(), caption: caption.into() }
}

/// A report on the phantom and its mirror image, with a little of everything.
fn phantom_page() -> Page {
    let (volume, labels) = phantom();
    let mut mirrored = volume.clone();
    mirrored.data.invert_axis(Axis(3));
    let map = file_bytes(&Volume::new(labels.mapv(f32::from).insert_axis(Axis(0)), volume.affine));
    let scan = |name: &str, volume: &Volume, labels: Option<&Vec<u8>>| Scan {
        name: name.into(),
        image: file_bytes(volume),
        window: Some((0.0, 250.0)),
        labels: labels.cloned(),
    };
    let montage = montage(&volume, &labels, &[(4, VENTRICLE)]);
    let viewer = Viewer {
        caption: "A phantom.".into(),
        scans: vec![scan("phantom", &volume, Some(&map)), scan("mirrored", &mirrored, None)],
        labels: vec![Label { number: 4, name: "Left-Lateral-Ventricle".into(), colour: VENTRICLE }],
        montage: montage.clone(),
    };
    let row = |name: &str, value: &str, mark| vec![name.into(), Cell::marked(mark, value)];
    let table = Table {
        caption: "Change of each volume".into(),
        columns: vec![Column::text("structure"), Column::number("change in %")],
        rows: vec![
            row("brain", "0.4", Mark::Pass),
            row("ventricles", "\u{2212}19.8", Mark::Fail),
            row("cortex", "3.5", Mark::Caution),
        ],
    };
    let sample = |name: &str, shift: f64| Sample {
        name: name.into(),
        values: (0..40).map(|i| shift + 4.0 * (f64::from(i) * 2.4).sin() + 0.1 * f64::from(i)).collect(),
    };
    let samples = vec![sample("real", 20.0), sample("synthetic", 22.0)];
    let figure =
        |svg: String, alt: &str| Block::Figure(Figure { svg, alt: alt.into(), caption: format!("{alt}.") });
    let level = |value: f64| Level { value, interval: (value - 0.8, value + 0.8) };
    let agreement = BlandAltman {
        pairs: (0..40)
            .map(|i| (20.0 + 0.3 * f64::from(i), 20.4 + 0.3 * f64::from(i) + (f64::from(i) * 1.7).sin()))
            .collect(),
        names: ("before".into(), "after".into()),
        unit: "ml".into(),
        bias: level(0.4),
        lower: level(-1.0),
        upper: level(1.8),
    };
    let titles = [
        "brain (ml)",
        "lateral ventricles (ml)",
        "lateral ventricles with inferior horns (ml)",
        "cortex (ml)",
        "brain stem (ml)",
    ];
    let panels: Vec<Panel> =
        titles.map(|title| Panel { title: title.into(), samples: samples.clone() }).into();
    let names = ["brain", "cortex", "ventricles"].map(String::from);
    let correlations = array![[1.0, 0.82, -0.31], [0.82, 1.0, -0.12], [-0.31, -0.12, 1.0]];
    let section = |title: &str, blocks: Vec<Block>| Section { title: title.into(), blocks };
    Page {
        title: "Is it still a brain? <phantom>".into(),
        subtitle: "A report on a phantom, with a little of everything.".into(),
        sections: vec![
            section(
                "Outcome",
                vec![
                    Block::Verdict(Mark::Fail, "The ventricles changed by more than 8 %.".into()),
                    Block::Prose("Made of an ellipsoid. Run `voxgan report` again for another.".into()),
                    Block::Table(table),
                ],
            ),
            section(
                "Distributions",
                vec![
                    figure(violins(&panels).unwrap(), "Violins of five volumes in two cohorts"),
                    figure(ecdf("volume in ml", &samples).unwrap(), "Cumulative distributions"),
                    figure(agreement.plot().unwrap(), "Bland–Altman plot"),
                    figure(heat_map(&names, correlations.view()).unwrap(), "Correlations"),
                ],
            ),
            section("Viewer", vec![Block::Viewer(viewer)]),
            section("Montage", vec![Block::Picture(montage)]),
        ],
        colophon: "voxgan, seed 7".into(),
    }
}

/// Writes the page and opens it; nothing where there is no browser.
fn open(page: &Page, webgl: bool) -> Option<(Tab, tempfile::TempDir)> {
    let program = chromium::find()?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, page.render().unwrap()).unwrap();
    let mut tab = Tab::open(&program, WINDOW, webgl);
    tab.navigate(&file);
    if webgl {
        tab.wait("document.querySelector('.viewer canvas').dataset.scan === '0'");
    }
    Some((tab, folder))
}

/// Leaves a screenshot in the folder that `PAGE_SCREENSHOTS` names, if it does.
fn keep(picture: &RgbImage, name: &str) {
    if let Some(folder) = std::env::var_os("PAGE_SCREENSHOTS") {
        picture.save(PathBuf::from(folder).join(name)).unwrap();
    }
}

fn select(tab: &mut Tab, name: &str, value: &str) {
    tab.evaluate(&format!(
        "{{ const s = document.querySelector('[name={name}]'); s.value = '{value}'; s.dispatchEvent(new Event('change')); }}"
    ));
}

/// The crosshair's place in millimetres.
fn crosshair(tab: &mut Tab) -> [f64; 3] {
    let text = tab.evaluate("document.querySelector('canvas').dataset.millimetres");
    let numbers: Vec<f64> = text.as_str().unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

fn grey(Rgb([r, g, b]): Rgb<u8>) -> u8 {
    r.max(g).max(b)
}

#[test]
fn the_page_asks_for_nothing_and_shows_the_brain_where_it_is() {
    let Some((mut tab, _folder)) = open(&phantom_page(), true) else { return };
    keep(&tab.screenshot(true), "phantom.png");
    select(&mut tab, "view", "0");
    let picture = tab.screenshot_of("canvas");
    keep(&picture, "phantom-axial.png");
    let (width, height) = picture.dimensions();
    assert!(width > 400 && height > 300, "{width} × {height}");
    // The slice fills the canvas along one side; left is left, anterior up.
    let fov = [0, 1].map(|axis| DIMS[axis] as f64);
    let pixels = (f64::from(width) / fov[0]).min(f64::from(height) / fov[1]);
    let (mut agree, mut all, mut tinted, mut label) = (0, 0, 0, 0);
    let mut sides = [(0u64, 0u64); 2];
    for (x, y, &pixel) in picture.enumerate_pixels() {
        let across = (f64::from(x) + 0.5 - f64::from(width) / 2.0) / (pixels * fov[0]);
        let up = (f64::from(height) / 2.0 - f64::from(y) - 0.5) / (pixels * fov[1]);
        // The crosshair and the letters of the sides are no voxels.
        if across.abs() < 0.03 || up.abs() < 0.03 || across.abs() > 0.45 || up.abs() > 0.45 {
            continue;
        }
        let inside = (across / BRAIN[0]).powi(2) + (up / BRAIN[1]).powi(2) < 1.0;
        all += 1;
        agree += usize::from(inside == (grey(pixel) > 40));
        // More than a voxel from the label's border, where its colour fades.
        if (-0.18..-0.13).contains(&across) && up.abs() < 0.12 {
            label += 1;
            // Half the label's colour over grey 122.
            let near = |channel: usize| {
                (f64::from(pixel.0[channel]) - (122.0 + f64::from(VENTRICLE[channel])) / 2.0).abs() < 12.0
            };
            tinted += usize::from((0..3).all(near));
        } else if inside && up > 0.2 && (across / BRAIN[0]).powi(2) + (up / BRAIN[1]).powi(2) < 0.8 {
            let side = &mut sides[usize::from(across > 0.0)];
            *side = (side.0 + u64::from(grey(pixel)), side.1 + 1);
        }
    }
    assert!(agree * 100 > all * 98, "{agree} of {all} pixels are as bright as the phantom says");
    assert!(tinted * 100 > label * 95, "{tinted} of {label} pixels have the label's colour");
    let [left, right] = sides.map(|(sum, count)| sum as f64 / count as f64);
    assert!((left - 122.0).abs() < 6.0 && (right - 204.0).abs() < 6.0, "left {left}, right {right}");
    // All five views draw something.
    for view in ["3", "1", "2", "4"] {
        select(&mut tab, "view", view);
        let picture = tab.screenshot_of("canvas");
        keep(&picture, &format!("phantom-view-{view}.png"));
        assert!(picture.pixels().filter(|pixel| grey(**pixel) > 80).count() > 10_000, "view {view}");
    }
    assert_eq!(tab.fetched(), Vec::<String>::new());
    assert_eq!(tab.complaints(), Vec::<String>::new());
    // What the page does not do by itself, its policy forbids.
    let forbidden = "fetch('http://127.0.0.1:9/').then(() => 'allowed', () => 'forbidden')";
    assert_eq!(tab.evaluate(forbidden), json!("forbidden"));
    assert!(tab.complaints().iter().any(|complaint| complaint.contains("Content Security Policy")));
}

#[test]
fn keys_move_the_crosshair_fade_the_labels_and_change_the_volume() {
    let Some((mut tab, _folder)) = open(&phantom_page(), true) else { return };
    tab.evaluate("document.querySelector('canvas').focus()");
    let start = crosshair(&mut tab);
    for (key, axis, step_mm) in [
        ("ArrowRight", 0, 2.0),
        ("ArrowLeft", 0, -2.0),
        ("ArrowUp", 1, 2.0),
        ("ArrowDown", 1, -2.0),
        ("PageUp", 2, 2.0),
        ("PageDown", 2, -2.0),
    ] {
        let before = crosshair(&mut tab);
        tab.press(key);
        let after = crosshair(&mut tab);
        let moved = [0, 1, 2].map(|i| after[i] - before[i]);
        let expected = [0, 1, 2].map(|i| if i == axis { step_mm } else { 0.0 });
        assert!((0..3).all(|i| (moved[i] - expected[i]).abs() < 0.02), "{key}: {moved:?}");
    }
    assert_eq!(crosshair(&mut tab), start);
    let before = tab.screenshot_of("canvas");
    // To the middle of the label, 14 mm to the left.
    (0..7).for_each(|_| tab.press("ArrowLeft"));
    assert_eq!(
        tab.evaluate("document.querySelector('canvas').dataset.label"),
        json!("Left-Lateral-Ventricle")
    );
    let words = tab.evaluate("document.querySelector('.place output').textContent");
    let words = words.as_str().unwrap();
    assert!(
        words.contains("mm left")
            && words.contains("intensity 120")
            && words.contains("Left-Lateral-Ventricle"),
        "{words}"
    );
    assert!(before != tab.screenshot_of("canvas"), "the crosshair is drawn where it was");
    // The label is purple, the brain grey, the crosshair yellow.
    let purple = |picture: &RgbImage| picture.pixels().filter(|p| p.0[2] > p.0[1].saturating_add(25)).count();
    let shown = purple(&tab.screenshot_of("canvas"));
    (0..6).for_each(|_| tab.press("["));
    assert_eq!(tab.evaluate("document.querySelector('[name=opacity]').value"), json!("0"));
    let hidden = purple(&tab.screenshot_of("canvas"));
    assert!(shown > 3_000 && hidden == 0, "{shown} purple pixels, {hidden} without labels");
    tab.press("n");
    tab.wait("document.querySelector('canvas').dataset.scan === '1'");
    let place = tab.evaluate("document.querySelector('.place output').textContent");
    assert!(
        place.as_str().unwrap().contains("intensity 200"),
        "the mirrored phantom is bright here: {place}"
    );
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

#[test]
fn themes_tables_and_small_windows() {
    let Some((mut tab, _folder)) = open(&phantom_page(), true) else { return };
    let paper = |tab: &mut Tab| grey(*tab.screenshot(false).get_pixel(3, 300));
    assert!(paper(&mut tab) > 240);
    tab.theme("dark", "screen");
    assert!(paper(&mut tab) < 40);
    keep(&tab.screenshot(true), "phantom-dark.png");
    // The reader's choice, by keyboard: the skip link comes first, then the button.
    tab.press("Tab");
    tab.press("Tab");
    assert_eq!(tab.evaluate("document.activeElement.id"), json!("theme"));
    for (key, light) in [("Enter", true), (" ", false), ("Enter", true)] {
        tab.press(key);
        assert_eq!(paper(&mut tab) > 240, light, "{key}");
        assert_eq!(
            tab.evaluate("document.activeElement.getAttribute('aria-pressed')"),
            json!((!light).to_string())
        );
    }
    // Letters, marks and plots can be read in both themes (WCAG 2.2: 4.5 to 1).
    let contrast = "(() => {
        const ink = (element, property) => {
            const pen = document.createElement('canvas').getContext('2d');
            pen.fillStyle = getComputedStyle(element)[property];
            pen.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        const paper = ink(document.body, 'backgroundColor');
        const ratio = (element, property) => {
            const own = ink(element, property);
            return Math.max(own, paper) / Math.min(own, paper);
        };
        const all = (selector) => [...document.querySelectorAll(selector)];
        return [...all('p, th, td, a, caption, figcaption, .mark').map((e) => ratio(e, 'color')),
            ...all('.plot text[fill=\"#000000\"]').map((e) => ratio(e, 'fill'))].reduce((a, b) => Math.min(a, b));
    })()";
    for theme in ["light", "dark"] {
        tab.evaluate(&format!("document.documentElement.dataset.theme = '{theme}'"));
        let least = tab.evaluate(contrast).as_f64().unwrap();
        assert!(least >= 4.5, "{theme}: {least}");
    }
    // A heading sorts by value, and back.
    let order = "[...document.querySelectorAll('tbody th')].map((cell) => cell.textContent).join()";
    tab.evaluate("document.querySelectorAll('thead button')[1].focus()");
    for expected in ["ventricles,brain,cortex", "cortex,brain,ventricles"] {
        tab.press("Enter");
        assert_eq!(tab.evaluate(order), json!(expected));
    }
    // Every control and picture has a name.
    let nameless = "[...document.querySelectorAll('button, select, input, img, canvas, [role=img], [role=region]')]
        .filter((e) => !(e.getAttribute('aria-label') || e.alt || e.labels?.[0]?.textContent || e.textContent).trim())
        .map((e) => e.outerHTML)";
    assert_eq!(tab.evaluate(nameless), json!([]));
    // Nothing is wider than a telephone.
    for width in [360, 768, 1920] {
        tab.size(width, 800);
        keep(&tab.screenshot(true), &format!("phantom-{width}.png"));
        let wide = tab.evaluate("document.scrollingElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide} of {width}");
    }
    // On paper the montage stands in for the viewer.
    tab.theme("dark", "print");
    let display = |tab: &mut Tab, selector: &str| {
        tab.evaluate(&format!("getComputedStyle(document.querySelector('{selector}')).display"))
    };
    assert_eq!(display(&mut tab, ".viewer .live"), json!("none"));
    assert_eq!(display(&mut tab, ".viewer .instead"), json!("block"));
    assert_eq!(tab.complaints(), Vec::<String>::new());
    assert_eq!(tab.fetched(), Vec::<String>::new());
}

#[test]
fn without_webgl_the_page_says_so_and_shows_the_montage() {
    let Some((mut tab, _folder)) = open(&phantom_page(), false) else { return };
    tab.wait("document.querySelector('.why').textContent.includes('no WebGL 2')");
    let picture = tab.screenshot_of(".viewer .instead img");
    keep(&picture, "phantom-without-webgl.png");
    assert!(picture.pixels().filter(|pixel| grey(**pixel) > 80).count() > 5_000);
    assert!(picture.pixels().any(|pixel| pixel.0 == VENTRICLE));
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

/// The tests above can fail: a page that asks for something and breaks is seen to.
#[test]
fn requests_and_complaints_are_seen() {
    let Some(program) = chromium::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.html");
    let bad = "<img src=\"http://127.0.0.1:9/a.png\"><script>console.error('bad'); nothing();</script>";
    std::fs::write(&file, bad).unwrap();
    let mut tab = Tab::open(&program, WINDOW, false);
    tab.navigate(&file);
    assert_eq!(tab.fetched(), ["http://127.0.0.1:9/a.png"]);
    let complaints = tab.complaints().join("\n");
    for word in ["bad", "nothing is not defined", "127.0.0.1:9"] {
        assert!(complaints.contains(word), "{word}: {complaints}");
    }
}

/// A real scan at 2 mm with its label map, where the data are at hand.
#[test]
fn a_real_scan_is_shown() {
    let Some(data) = needs::data("ds002748") else { return };
    let name = |number: u8| match number {
        1 => "Cerebral-White-Matter",
        2 => "Cerebral-Cortex",
        3 => "Lateral-Ventricle",
        4 => "Inferior-Lateral-Ventricle",
        _ => "Other",
    };
    let colour = |number: u8| match number {
        1 => [235, 235, 235],
        2 => [205, 75, 75],
        3 => VENTRICLE,
        _ => [40, 130 + 7 * number, 250 - 11 * number],
    };
    let labels: Vec<Label> =
        (1..=17).map(|number| Label { number, name: name(number).into(), colour: colour(number) }).collect();
    let scans: Vec<Scan> = ["01", "02", "03"]
        .map(|subject| Scan {
            name: format!("sub-{subject}"),
            image: std::fs::read(data.join(format!("T1w_2mm/sub-{subject}_T1w.nii.gz"))).unwrap(),
            window: None,
            labels: Some(std::fs::read(data.join(format!("seg18_2mm/sub-{subject}_seg18.nii.gz"))).unwrap()),
        })
        .into();
    let volume = nifti::read(data.join("T1w_2mm/sub-01_T1w.nii.gz")).unwrap();
    let map = nifti::read(data.join("seg18_2mm/sub-01_seg18.nii.gz")).unwrap();
    let numbers = map.data.index_axis(Axis(0), 0).mapv(|number| number as u8);
    let montage = montage(&volume, &numbers, &[1, 2, 3].map(|number| (number, colour(number))));
    let caption = "Three of sixty T1-weighted brains of OpenNeuro ds002748 at 2 mm, with pseudo-labels.";
    let viewer = Viewer { caption: caption.into(), scans, labels, montage: montage.clone() };
    let mut page = phantom_page();
    page.title = "Real brains at 2 mm".into();
    page.subtitle = "Sixty T1-weighted volumes of OpenNeuro ds002748, skull-stripped.".into();
    page.sections[2].blocks = vec![Block::Viewer(viewer)];
    page.sections[3].blocks = vec![Block::Picture(montage)];
    let Some((mut tab, folder)) = open(&page, true) else { return };
    if let Some(kept) = std::env::var_os("PAGE_SCREENSHOTS") {
        std::fs::copy(folder.path().join("report.html"), PathBuf::from(kept).join("real.html")).unwrap();
    }
    for theme in ["light", "dark"] {
        tab.theme(theme, "screen");
        keep(&tab.screenshot(true), &format!("real-{theme}.png"));
        tab.evaluate("document.querySelector('.viewer').scrollIntoView({ behavior: 'instant' })");
        keep(&tab.screenshot(false), &format!("real-viewer-{theme}.png"));
    }
    let picture = tab.screenshot_of("canvas");
    assert!(picture.pixels().filter(|pixel| grey(**pixel) > 60).count() > 40_000);
    select(&mut tab, "view", "4");
    keep(&tab.screenshot_of("canvas"), "real-rendering.png");
    assert_eq!(tab.fetched(), Vec::<String>::new());
    assert_eq!(tab.complaints(), Vec::<String>::new());
}
