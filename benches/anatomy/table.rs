//! Dice and volumes of regions over many images, beside what is asked.

use std::fmt::Write;

use crate::found::{Found, mean_dice};
use crate::statistics::{correlation, median};
use crate::targets::{GROUPS, PARTS, Set, Target};

/// The mean over the single structures that the truth has.
pub const STRUCTURES_MEAN: &str = "mean over structures";

/// Mean Dice, median error of volume.
struct Row {
    images: usize,
    dice: f64,
    lowest: f64,
    error: f64,
    signed: f64,
    label_signed: f64,
    correlation: f64,
}

impl Row {
    fn of(found: &[Found], region: &str) -> Option<Self> {
        let rows: Vec<&Found> =
            found.iter().filter(|one| one.region == region && one.dice.is_some()).collect();
        if rows.is_empty() {
            return None;
        }
        let dice = rows.iter().filter_map(|one| one.dice);
        Some(Self {
            images: rows.len(),
            dice: mean_dice(rows.iter().copied()),
            lowest: dice.fold(f64::NAN, f64::min),
            error: median(rows.iter().filter_map(|one| one.signed_percent()).map(f64::abs)),
            signed: median(rows.iter().filter_map(|one| one.signed_percent())),
            label_signed: median(rows.iter().filter_map(|one| one.label_signed_percent())),
            correlation: correlation(
                &rows.iter().map(|one| (one.truth_ml, one.found_ml)).collect::<Vec<_>>(),
            ),
        })
    }
}

/// The groups of a set beside what is asked, their parts, and what is missed; `before` is an earlier run.
pub fn print(set: &Set, found: &[Found], before: &[Found]) {
    let of_set = |all: &[Found]| all.iter().filter(|one| one.set == set.name).cloned().collect::<Vec<_>>();
    let (found, before) = (of_set(found), of_set(before));
    if found.is_empty() {
        return;
    }
    println!("### {}\n\n{}", set.name, lines(set, &found, &before, &GROUPS));
    let parts: Vec<&str> = PARTS.into_iter().chain([STRUCTURES_MEAN]).collect();
    // Where plexus is not told apart, its ventricle holds it and stands above.
    let parts: Vec<&str> =
        parts.into_iter().filter(|part| set.plexus_apart || *part != "lateral_ventricles").collect();
    println!("{}", lines(set, &found, &before, &parts));
    println!("{}", missed(set, &found));
}

/// A table of agreement with labels of which nothing is asked.
pub fn agreement(found: &[Found]) -> String {
    let mut regions: Vec<&str> = Vec::new();
    for one in found {
        if !regions.contains(&one.region.as_str()) {
            regions.push(&one.region);
        }
    }
    let set = Set { name: "", dice: None, errors: [None; 2], plexus_apart: true };
    lines(&set, found, &[], &regions)
}

fn lines(set: &Set, found: &[Found], before: &[Found], regions: &[&str]) -> String {
    let mut text = String::from(
        "| region | n | Dice, mean | asked | lowest | volume error, median % | asked | signed, median % \
         | of labels, signed % | correlation |",
    );
    let mut rule = String::from("|---|---|---|---|---|---|---|---|---|---|");
    if !before.is_empty() {
        text += " Dice before | error before % | signed before % |";
        rule += "---|---|---|";
    }
    text = format!("{text}\n{rule}\n");
    for &region in regions {
        let Some(row) = Row::of(found, region) else { continue };
        let Target { dice, error } = set.target(region);
        let asked = |number: Option<f64>| number.map_or_else(|| "–".to_string(), |x| format!("{x}"));
        let number = |x: f64, text: String| if x.is_finite() { text } else { "–".into() };
        let percent = |x: f64| number(x, format!("{x:.1}"));
        let signed = |x: f64| number(x, format!("{x:+.1}"));
        let _ = write!(
            text,
            "| {region} | {} | {:.3} | {} | {:.3} | {} | {} | {} | {} | {} |",
            row.images,
            row.dice,
            asked(dice),
            row.lowest,
            percent(row.error),
            asked(error),
            signed(row.signed),
            signed(row.label_signed),
            number(row.correlation, format!("{:.3}", row.correlation)),
        );
        if !before.is_empty() {
            let _ = match Row::of(before, region) {
                Some(row) => {
                    write!(text, " {:.3} | {} | {} |", row.dice, percent(row.error), signed(row.signed))
                }
                None => write!(text, " – | – | – |"),
            };
        }
        text.push('\n');
    }
    text
}

/// What is asked and not reached, in one line.
fn missed(set: &Set, found: &[Found]) -> String {
    let (mut asked, mut missed) = (0, Vec::new());
    for region in GROUPS {
        let Some(row) = Row::of(found, region) else { continue };
        let target = set.target(region);
        if let Some(dice) = target.dice {
            asked += 1;
            if row.dice < dice {
                missed.push(format!("Dice of {region} {:.3} ({dice})", row.dice));
            }
        }
        if let Some(error) = target.error {
            asked += 1;
            if row.error > error {
                missed.push(format!("volume of {region} {:.1} % ({error} %)", row.error));
            }
        }
    }
    match (asked, missed.len()) {
        (0, _) => "Nothing is asked here.\n".into(),
        (_, 0) => format!("All {asked} targets are reached.\n"),
        (_, n) => format!("Missed {n} of {asked}: {}.\n", missed.join("; ")),
    }
}
