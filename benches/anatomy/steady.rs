//! How far volumes move between a scan and copies of it that hold the same anatomy.

use std::collections::BTreeMap;
use std::fmt::Write;

use voxgan::anatomy::REGIONS;
use voxgan::error::Result;
use voxgan::volume::Volume;

use crate::copies::{Copy, odds, repeats, tilts};
use crate::labelled::{SEEN_SCANS, UNSEEN_SCANS, open, people};
use crate::place::Place;
use crate::scans::AT_1_MM;
use crate::statistics::{median, quantile};
use crate::targets::{GROUPS, PARTS};

/// Scans at 2 mm that may be looked at while something is chosen.
const VALIDATION: [&str; 4] = ["55", "57", "58", "59"];

/// Change of a region's volume in per cent.
struct Change {
    scan: String,
    copy: String,
    region: &'static str,
    before_ml: f64,
    after_ml: f64,
}

impl Change {
    fn percent(&self) -> f64 {
        100.0 * (self.after_ml / self.before_ml - 1.0)
    }
}

/// Greatest median change in per cent that is asked for, of a region in a copy.
type Asked = fn(region: &str, copy: &str) -> Option<f64>;

/// Copies of a scan as a second one of the same day would be.
pub fn repeat(place: &Place, validation: bool) -> Result<()> {
    let asked: Asked = |region, _| match region {
        "brain" => Some(0.5),
        "ventricles" | "lateral_ventricles_with_choroid" => Some(1.5),
        _ => None,
    };
    let scans = if validation { of_validation(place) } else { with_manual_labels(of_test()) };
    run(place, &name("repeat", validation), scans, &repeats(), asked)
}

/// Heads that lie crooked.
pub fn tilt(place: &Place, validation: bool) -> Result<()> {
    let asked: Asked = |_, copy| Some(if copy.starts_with("10") { 3.0 } else { 8.0 });
    run(place, &name("tilt", validation), with_a_head(place, validation), &tilts(), asked)
}

/// Values that no scanner should give.
pub fn odd(place: &Place, validation: bool) -> Result<()> {
    run(place, &name("odd", validation), with_a_head(place, validation), &odds(), |_, _| None)
}

fn name(part: &str, validation: bool) -> String {
    format!("anatomy-{part}{}.csv", if validation { "-validation" } else { "" })
}

fn of_test() -> Vec<String> {
    AT_1_MM.iter().map(|subject| format!("ds002748/T1w_1mm/sub-{subject}_T1w.nii.gz")).collect()
}

fn with_manual_labels(mut scans: Vec<String>) -> Vec<String> {
    let manual = SEEN_SCANS.iter().chain(&UNSEEN_SCANS);
    scans.extend(manual.map(|name| format!("oasis_manual/{name}_SS.nii.gz")));
    scans
}

fn of_validation(place: &Place) -> Vec<String> {
    let subjects = VALIDATION.iter().map(|subject| format!("ds002748/T1w_2mm/sub-{subject}_T1w.nii.gz"));
    let people = people(place, "validation").into_iter();
    subjects.chain(people.take(4).map(|name| format!("ixi/T1w_2mm/{name}_T1w.nii.gz"))).collect()
}

/// Stripped scans and a head with its skull.
fn with_a_head(place: &Place, validation: bool) -> Vec<String> {
    if validation {
        return of_validation(place);
    }
    of_test().into_iter().chain(["brainchop/t1_crop.nii.gz".to_string()]).collect()
}

/// Measures every copy of every scan.
fn run(place: &Place, file: &str, scans: Vec<String>, copies: &[Copy], asked: Asked) -> Result<()> {
    let mut changes = Vec::new();
    for path in scans.iter().take(place.options.only) {
        let scan = open(place, path)?;
        let before = volumes(place, &scan)?;
        for copy in copies {
            let after = volumes(place, &(copy.make)(&scan)?)?;
            eprintln!("{path}, {}", copy.name);
            for (region, before_ml) in &before {
                changes.push(Change {
                    scan: path.clone(),
                    copy: copy.name.clone(),
                    region,
                    before_ml: *before_ml,
                    after_ml: after[region],
                });
            }
        }
    }
    println!("{}", table(&changes, copies, asked));
    let mut text = String::from("scan,copy,region,before_ml,after_ml\n");
    for Change { scan, copy, region, before_ml, after_ml } in &changes {
        let _ = writeln!(text, "{scan},\"{copy}\",{region},{before_ml:.4},{after_ml:.4}");
    }
    place.write(file, &text);
    Ok(())
}

/// Volume of every region in millilitres.
fn volumes(place: &Place, scan: &Volume) -> Result<BTreeMap<&'static str, f64>> {
    let found = place.segmenter.segment(scan)?;
    Ok(REGIONS.iter().map(|region| (region.name, found.region_ml(region))).collect())
}

/// Median absolute change of each region in each copy, with the median signed one behind it; over all copies last.
fn table(changes: &[Change], copies: &[Copy], asked: Asked) -> String {
    let scans: std::collections::BTreeSet<&str> = changes.iter().map(|change| change.scan.as_str()).collect();
    let mut text = format!(
        "Change of volume in per cent over {} scans: median of its size, (median with its sign); more than asked is bold.\n\n| region |",
        scans.len()
    );
    copies.iter().for_each(|copy| text += &format!(" {} |", copy.name));
    text += " all: median | all: greatest | asked |\n|---|";
    text += &"---|".repeat(copies.len() + 3);
    text.push('\n');
    for region in GROUPS.into_iter().chain(PARTS) {
        let of = |copy: Option<&str>| {
            let chosen = changes.iter().filter(move |change| {
                // Of next to nothing, nothing can be said in per cent.
                change.region == region
                    && change.before_ml > 0.01
                    && copy.is_none_or(|copy| change.copy == copy)
            });
            chosen.map(Change::percent).collect::<Vec<_>>()
        };
        if of(None).is_empty() {
            continue;
        }
        let mut limits = Vec::new();
        let _ = write!(text, "| {region} |");
        for copy in copies {
            let values = of(Some(&copy.name));
            let size = median(values.iter().copied().map(f64::abs));
            let cell = format!("{size:.2} ({:+.2})", median(values));
            let limit = asked(region, &copy.name);
            limits.extend(limit);
            let missed = limit.is_some_and(|limit| size > limit);
            let _ = write!(text, " {} |", if missed { format!("**{cell}**") } else { cell });
        }
        limits.dedup();
        let limits: Vec<String> = limits.iter().map(|limit| format!("{limit}")).collect();
        let mut all: Vec<f64> = of(None).into_iter().map(f64::abs).collect();
        let _ = writeln!(
            text,
            " {:.2} | {:.1} | {} |",
            quantile(&mut all, 0.5),
            quantile(&mut all, 1.0),
            if limits.is_empty() { "–".into() } else { limits.join(", ") }
        );
    }
    text
}
