//! A verdict as text: as CSV, and in aligned columns.

use super::agreement::BlandAltman;
use super::verdict::{Failure, PairVerdict, Verdict};
use crate::csv;

/// What stands where there is no number in a table for people.
const NOTHING: &str = "–";
/// What stands where no limit is held against a region.
const NOT_JUDGED: &str = "not judged";

impl Verdict {
    /// CSV with a row for each pair and region: sides, volumes, changes, Dice, surface distances, whether limits are
    /// applied, whether all are met and the names of those that are not, separated by `;`. Cells without a value are
    /// empty.
    pub fn pairs_csv(&self) -> String {
        let mut csv = "pair,sides,region,before_ml,after_ml,change_ml,change_percent,dice,hausdorff95_mm,\
                       surface_distance_mm,judged,passed,failures\n"
            .to_string();
        for pair in &self.pairs {
            for region in &pair.regions {
                let change = &region.change;
                let measures = [
                    Some(change.before_ml),
                    Some(change.after_ml),
                    Some(change.change_ml),
                    change.change_percent,
                    change.dice,
                    change.hausdorff95_mm,
                    change.surface_distance_mm,
                ];
                let cells = [pair.name.clone(), pair.sides.found.to_string(), change.region.to_string()];
                let judged = change.not_judged.is_none().to_string();
                let verdict = [judged, region.failures.is_empty().to_string(), names(&region.failures)];
                push_row(&mut csv, cells, &measures, verdict);
            }
        }
        csv
    }

    /// CSV with a row for each region: Bland–Altman in ml and per cent, intraclass correlations and the within-subject
    /// coefficient of variation, each with the ends of its 95 % interval where it has one. No rows for fewer than two
    /// pairs.
    pub fn cohort_csv(&self) -> String {
        let estimate = |name: &str| format!("{name},{name}_low,{name}_high");
        let bland_altman = |unit: &str| {
            let columns =
                ["bias", "lower_limit", "upper_limit"].map(|name| estimate(&format!("{name}_{unit}")));
            format!("{},sd_{unit}", columns.join(","))
        };
        let columns = [
            "region".to_string(),
            bland_altman("ml"),
            bland_altman("percent"),
            estimate("icc_agreement"),
            estimate("icc_consistency"),
            "within_subject_cv_percent,passed,failures".to_string(),
        ];
        let mut csv = columns.join(",") + "\n";
        for region in &self.cohort {
            let mut cells = Vec::new();
            for change in [region.change_ml, region.change_percent] {
                cells.extend(change.map_or([None; 10], |change: BlandAltman| {
                    let BlandAltman { bias, lower_limit, upper_limit, sd, .. } = change;
                    let [a, b, c] = [bias, lower_limit, upper_limit].map(|one| (one.value, one.interval));
                    [a.0, a.1[0], a.1[1], b.0, b.1[0], b.1[1], c.0, c.1[0], c.1[1], sd].map(Some)
                }));
            }
            for icc in [region.icc.map(|icc| icc.agreement), region.icc.map(|icc| icc.consistency)] {
                cells.extend([
                    icc.map(|icc| icc.value),
                    icc.map(|icc| icc.interval[0]),
                    icc.map(|icc| icc.interval[1]),
                ]);
            }
            cells.push(region.within_subject_cv_percent);
            let verdict = [region.failures.is_empty().to_string(), names(&region.failures)];
            push_row(&mut csv, [region.region.to_string()], &cells, verdict);
        }
        csv
    }

    /// A table of the regions with limits, pair by pair and over all pairs, then the notes on pairs
    /// ([`PairVerdict::notes`]), a sentence for each limit that is not met, and the verdict.
    pub fn table(&self) -> String {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or(NOTHING.to_string(), |value| format!("{value:.digits$}"))
        };
        let mark = |failures: &[Failure]| if failures.is_empty() { "ok" } else { "FAILED" }.to_string();
        let mut rows = vec![
            ["pair", "region", "before ml", "after ml", "change %", "Dice", "HD95 mm", ""]
                .map(str::to_string),
        ];
        let mut sentences = Vec::new();
        for pair in &self.pairs {
            let failures = pair.sides_failure.iter().chain(pair.regions.iter().flat_map(|one| &one.failures));
            sentences.extend(failures.map(|failure| format!("{}: {}", pair.name, failure.sentence)));
            rows.extend(pair.regions.iter().filter(|region| region.limited).map(|region| {
                let change = &region.change;
                [
                    pair.name.clone(),
                    change.region.to_string(),
                    format!("{:.2}", change.before_ml),
                    format!("{:.2}", change.after_ml),
                    change.change_percent.map_or(NOTHING.to_string(), |percent| format!("{percent:+.2}")),
                    number(change.dice, 3),
                    number(change.hausdorff95_mm, 2),
                    if change.not_judged.is_none() { mark(&region.failures) } else { NOT_JUDGED.to_string() },
                ]
            }));
        }
        let mut text = aligned(&rows, 2);
        let limited: Vec<&str> = self.pairs.first().map_or_else(Vec::new, |pair| {
            pair.regions
                .iter()
                .filter(|region| region.limited)
                .map(|region| region.change.region.as_str())
                .collect()
        });
        let mut rows = vec![
            ["region", "bias %", "95 % limits of agreement", "ICC(2,1)", "wCV %", ""].map(str::to_string),
        ];
        for region in self.cohort.iter().filter(|region| limited.contains(&region.region.as_str())) {
            sentences
                .extend(region.failures.iter().map(|failure| format!("all pairs: {}", failure.sentence)));
            let change = region.change_percent;
            let limits = change.map(|change| [change.lower_limit.value, change.upper_limit.value]);
            rows.push([
                region.region.to_string(),
                change.map_or(NOTHING.to_string(), |change| format!("{:+.2}", change.bias.value)),
                limits.map_or(NOTHING.to_string(), |[low, high]| format!("{low:+.2} … {high:+.2}")),
                number(region.icc.map(|icc| icc.agreement.value), 3),
                number(region.within_subject_cv_percent, 2),
                if region.judged { mark(&region.failures) } else { NOT_JUDGED.to_string() },
            ]);
        }
        if rows.len() > 1 {
            text += &format!("\n{} pairs together\n{}", self.pairs.len(), aligned(&rows, 1));
        }
        let noted = |pair: &PairVerdict| {
            pair.notes().into_iter().map(|note| format!("{}: {note}", pair.name)).collect::<Vec<_>>()
        };
        let notes: Vec<String> = self.pairs.iter().flat_map(noted).collect();
        if !notes.is_empty() {
            text += &format!("\n{}\n", notes.join("\n"));
        }
        if !sentences.is_empty() {
            text += &format!("\n{}\n", sentences.join("\n"));
        }
        let failed = self.pairs.iter().filter(|pair| !pair.passed).count();
        let passed = if self.passed { "passed" } else { "FAILED" };
        text + &format!("\n{passed}: {failed} of {} pairs failed\n", self.pairs.len())
    }
}

impl PairVerdict {
    /// Notes on the pair as sentences: the difference between its grids, and the regions with limits that are not
    /// judged, with the reason.
    pub fn notes(&self) -> Vec<String> {
        let limited = || self.regions.iter().filter(|region| region.limited).map(|region| &region.change);
        let mut reasons: Vec<&String> = limited().filter_map(|change| change.not_judged.as_ref()).collect();
        reasons.dedup();
        let not_judged = reasons.into_iter().map(|reason| {
            let regions = limited().filter(|change| change.not_judged.as_ref() == Some(reason));
            let names: Vec<&str> = regions.map(|change| change.region.as_str()).collect();
            format!("{NOT_JUDGED}: {}, as {reason}", names.join(" and "))
        });
        self.grids.iter().map(ToString::to_string).chain(not_judged).collect()
    }
}

/// Rows as lines of columns, the first `left` of them and the last flush left, the others flush right.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]], left: usize) -> String {
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column < left || column + 1 == COLUMNS {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Adds a row: cells, numbers (empty where there is none), cells.
fn push_row<const N: usize, const M: usize>(
    text: &mut String,
    first: [String; N],
    numbers: &[Option<f64>],
    last: [String; M],
) {
    let numbers = numbers.iter().map(|number| number.map_or(String::new(), rounded));
    csv::push_row(text, first.into_iter().chain(numbers).chain(last));
}

/// A number to six decimals, without those that are zero: more than a volume or a distance is known to.
fn rounded(number: f64) -> String {
    // Zero has no sign here.
    ((number * 1e6).round() / 1e6 + 0.0).to_string()
}

/// The names of the limits, with `;` between them.
fn names(failures: &[Failure]) -> String {
    failures.iter().map(|failure| failure.limit.to_string()).collect::<Vec<_>>().join(";")
}
