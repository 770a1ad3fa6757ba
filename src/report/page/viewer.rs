//! The viewer: volumes with labels above them, shown by NiiVue inside the page.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::Picture;
use crate::error::{Error, Result};

/// NiiVue's program (see niivue/SOURCES.md) and its licence, which travels with it.
const NIIVUE: &[u8] = include_bytes!("niivue/niivue.umd.js.gz");
const LICENCE: &str = include_str!("niivue/LICENSE");
const SCRIPT: &str = include_str!("viewer.js");
/// What a file compressed with gzip begins with (RFC 1952).
const GZIP: &[u8] = b"\x1f\x8b";

/// A viewer of volumes by mouse, touch and keyboard. It needs WebGL 2; without it, and in print, the montage is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewer {
    /// Its caption.
    pub caption: String,
    /// Its volumes; the first is shown at the start.
    pub scans: Vec<Scan>,
    /// Names and colours of the numbers in the label maps; numbers that are not listed are not shown.
    pub labels: Vec<Label>,
    /// The montage that replaces it.
    pub montage: Picture,
}

/// A volume of a viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Its name in the list.
    pub name: String,
    /// The bytes of its file, `.nii.gz`.
    pub image: Vec<u8>,
    /// Intensities of black and white; `None` for NiiVue's default (2nd to 98th percentile).
    pub window: Option<(f32, f32)>,
    /// The bytes of its label map, `.nii.gz`, of integers from 0 (background) to 255, on any grid of the same world.
    pub labels: Option<Vec<u8>>,
}

/// A label of the label maps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// The number.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

impl Viewer {
    /// The viewer as HTML; `number` tells the viewers of a page apart.
    pub(super) fn html(&self, number: usize) -> Result<Markup> {
        if self.scans.is_empty() {
            return Err(Error::value("viewer", "at least one volume", "none", "give volumes to show"));
        }
        let mut files = Vec::new();
        for (index, scan) in self.scans.iter().enumerate() {
            for (kind, bytes) in [("image", Some(&scan.image)), ("labels", scan.labels.as_ref())] {
                let Some(bytes) = bytes else { continue };
                if !bytes.starts_with(GZIP) {
                    let found = format!("{} bytes that begin otherwise", bytes.len());
                    let (key, advice) = (format!("{kind} of {}", scan.name), "compress the volume with gzip");
                    return Err(Error::value(key, "the bytes of a .nii.gz", found, advice));
                }
                files.push((index, kind == "labels", STANDARD.encode(bytes)));
            }
        }
        // Read back with JSON.parse; an angle bracket could end the element that holds it.
        let labels = serde_json::to_string(&self.labels).unwrap_or_default().replace('<', "\\u003c");
        let montage = self.montage.image()?;
        let keys = format!("keys-{number}");
        let views = [(3, "three planes"), (0, "axial"), (1, "coronal"), (2, "sagittal"), (4, "rendering")];
        Ok(html! {
            figure.viewer {
                div.live hidden {
                    div.controls {
                        label {
                            "Volume "
                            select name="scan" {
                                @for (index, scan) in self.scans.iter().enumerate() {
                                    @let (low, high) = scan.window.unzip();
                                    option value=(index) data-low=[low] data-high=[high] { (scan.name) }
                                }
                            }
                        }
                        label {
                            "View "
                            select name="view" {
                                @for (value, name) in views { option value=(value) { (name) } }
                            }
                        }
                        label.overlay {
                            "Labels "
                            input type="range" name="opacity" min="0" max="100" step="5" value="50";
                        }
                    }
                    div.stage {
                        canvas tabindex="0" role="application" aria-label="Viewer of volumes" aria-describedby=(keys) {}
                    }
                    p.place { output aria-live="polite" {} }
                    @if !self.labels.is_empty() {
                        details {
                            summary { "Colours of the labels" }
                            ul.legend {
                                @for Label { name, colour: [r, g, b], .. } in &self.labels {
                                    li { i style={ "background:rgb(" (r) " " (g) " " (b) ")" } {} (name) }
                                }
                            }
                        }
                    }
                    p.keys id=(keys) {
                        "With the picture in focus: " kbd { "←" } " " kbd { "→" } " left and right, "
                        kbd { "↓" } " " kbd { "↑" } " posterior and anterior, "
                        kbd { "Page Down" } " " kbd { "Page Up" } " inferior and superior, ten voxels with "
                        kbd { "Shift" } "; " kbd { "Home" } " centre; "
                        kbd { "[" } " " kbd { "]" } " labels fainter and stronger; "
                        kbd { "V" } " next view; " kbd { "N" } " " kbd { "P" } " next and previous volume. "
                        "The subject's left is on the left. The mouse moves the crosshair, its wheel the slice, its right "
                        "button the contrast."
                    }
                }
                div.instead {
                    p.why {
                        "The viewer needs a browser with JavaScript and WebGL 2; a montage stands in for it."
                    }
                    (montage)
                }
                figcaption { (self.caption) }
                script type="application/json" { (PreEscaped(labels)) }
                @for (index, is_map, bytes) in &files {
                    script type="text/plain" data-image=[(!is_map).then_some(index)] data-labels=[is_map.then_some(index)] {
                        (PreEscaped(bytes))
                    }
                }
            }
        })
    }
}

/// The scripts of all viewers of a page, in the order in which they run.
pub(super) fn scripts() -> Result<[String; 2]> {
    let mut niivue = format!("/*!\nNiiVue, @niivue/niivue 0.69.0\n\n{LICENCE}*/\n");
    let read = GzDecoder::new(NIIVUE).read_to_string(&mut niivue);
    read.map_err(|e| {
        Error::value("viewer", "NiiVue inside the program", e.to_string(), "build the program again")
    })?;
    Ok([niivue, SCRIPT.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn viewer() -> Viewer {
        let picture = image::GrayImage::new(1, 1);
        let montage = Picture {
            png: crate::report::png_bytes(&picture).unwrap(),
            alt: "a".into(),
            caption: "c".into(),
        };
        let image = vec![0x1f, 0x8b, 1, 2, 3];
        let scan = Scan { name: "sub-01".into(), image, window: Some((0.0, 250.0)), labels: None };
        let label = Label { number: 4, name: "</script>".into(), colour: [1, 2, 3] };
        Viewer { caption: String::new(), scans: vec![scan], labels: vec![label], montage }
    }

    #[test]
    fn niivue_is_the_file_that_its_sources_name_and_may_stand_in_a_page() {
        let [niivue, _] = scripts().unwrap();
        let released = niivue.split_once("*/\n").unwrap().1;
        let hash = Sha256::digest(released).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(include_str!("niivue/SOURCES.md").contains(&hash), "{hash}");
        // Either would end or swallow the rest of the script element.
        let small = niivue.to_ascii_lowercase();
        assert!(!small.contains("</script") && !small.contains("<!--"));
        assert!(niivue.contains("Copyright (c) 2021, Niivue"));
    }

    #[test]
    fn volumes_are_in_the_page_and_names_cannot_leave_their_place() {
        let html = viewer().html(1).unwrap().into_string();
        assert!(html.contains("<script type=\"text/plain\" data-image=\"0\">H4sBAgM=</script>"));
        assert!(html.contains("data-low=\"0\" data-high=\"250\""));
        assert!(!html.contains("data-labels"));
        assert_eq!(html.matches("</script>").count(), 2);
    }

    #[test]
    fn bytes_that_are_no_compressed_volume_are_an_error() {
        let mut none = viewer();
        none.scans.clear();
        assert!(none.html(1).unwrap_err().to_string().contains("at least one volume"));
        let mut bare = viewer();
        bare.scans[0].labels = Some(vec![0x5c, 1, 0, 0]);
        let message = bare.html(1).unwrap_err().to_string();
        assert!(message.starts_with("labels of sub-01") && message.contains(".nii.gz"), "{message}");
    }
}
