//! Measures of realism as a table for reading and as CSV.

use std::fmt::{self, Display, Write};

use super::{Better, Estimate, Metric, Realism, Row};
use crate::csv::push_row;

/// The columns of [`Realism::csv`].
const COLUMNS: &str = "extractor,view,metric,better,parameters,synthetic_volumes,real_volumes,value,interval_low,\
    interval_high,of_real,volumes_a_side,matched_mean,matched_sd,reference_mean,reference_sd,reference_low,reference_high";

impl Realism {
    /// CSV with a head, one line for each measure.
    pub fn csv(&self) -> String {
        let mut csv = format!("{COLUMNS}\n");
        for row in &self.rows {
            let Estimate { value, interval: [low, high], volumes_a_side, matched, reference } = row.estimate;
            let texts = [self.extractor(), &row.view, row.metric.key(), better(row), &row.parameters];
            let counts = [row.synthetic_volumes, row.real_volumes].map(|count| count.to_string());
            let of_real = row.of_real.map_or_else(String::new, |value| value.to_string());
            let reference = [reference.mean, reference.standard_deviation, reference.low, reference.high]
                .map(|x| x.to_string());
            let [matched, interval] = [[matched.mean, matched.standard_deviation], [low, high]]
                .map(|pair| pair.map(|x| x.to_string()));
            let fields = texts.map(str::to_owned).into_iter().chain(counts).chain([value.to_string()]);
            let fields = fields.chain(interval).chain([of_real, volumes_a_side.to_string()]);
            push_row(&mut csv, fields.chain(matched).chain(reference));
        }
        csv
    }
}

/// The table, with a head that says what its columns are.
impl Display for Realism {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let repeats = self.protocol.repeats;
        let real = self.rows.iter().filter(|row| row.is_as_real()).count();
        write!(f, "Realism: {real} of {} measures are as among real volumes, or better", self.rows.len())?;
        if let Some(row) = self.rows.iter().find(|row| row.metric == Metric::FrechetDistance) {
            let Estimate { matched, reference, .. } = row.estimate;
            let times = matched.mean / reference.mean;
            write!(f, "; Fréchet distance ({}) {times:.1} times that among real volumes", row.view)?;
        }
        writeln!(f, ".\n\nFeatures of {}", self.extractor)?;
        writeln!(
            f,
            "[…]: 95 % interval from {repeats} random three quarters of both sets. Matched: synthetic against real, reference: real"
        )?;
        writeln!(
            f,
            "against real, with the same number of volumes a side, mean ± SD over {repeats} draws. Compare these two."
        )?;
        let head = [
            "view",
            "measure",
            "value",
            "[95 % interval]",
            "real",
            "a side",
            "matched ± SD",
            "reference ± SD",
            "better",
        ];
        let lines: Vec<[String; 9]> =
            std::iter::once(head.map(str::to_owned)).chain(self.rows.iter().map(cells)).collect();
        let widths: [usize; 9] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        });
        for line in &lines {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                // Words to the left, numbers to the right.
                match column {
                    0 | 1 | 8 => write!(text, "{cell:<width$}  ")?,
                    _ => write!(text, "{cell:>width$}  ")?,
                }
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

impl Row {
    /// Whether what is found with as many volumes a side is within the 95 % range of the reference, or better.
    fn is_as_real(&self) -> bool {
        let Estimate { matched, reference, .. } = self.estimate;
        let (not_above, not_below) = (matched.mean <= reference.high, matched.mean >= reference.low);
        match self.metric.better() {
            Better::Lower => not_above,
            Better::Higher => not_below,
            Better::AsReal => not_above && not_below,
        }
    }
}

fn cells(row: &Row) -> [String; 9] {
    let Estimate { value, interval: [low, high], volumes_a_side, matched, reference } = row.estimate;
    [
        row.view.clone(),
        format!("{} ({})", row.metric.name(), row.parameters),
        format!("{value:.4}"),
        format!("[{low:.4}, {high:.4}]"),
        row.of_real.map_or_else(String::new, |value| format!("{value:.4}")),
        volumes_a_side.to_string(),
        format!("{:.4} ± {:.4}", matched.mean, matched.standard_deviation),
        format!("{:.4} ± {:.4}", reference.mean, reference.standard_deviation),
        better(row).to_owned(),
    ]
}

fn better(row: &Row) -> &'static str {
    match row.metric.better() {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::AsReal => "as real",
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::super::{Features, Protocol};
    use super::*;

    #[test]
    fn the_table_and_the_csv_name_one_extractor_and_have_a_line_for_each_measure() {
        let case = &golden()[0];
        let name = "encoder, \"v1\" sha256:00ff";
        let of = |set: &Features| Features::new(name, set.values().clone(), None).unwrap();
        let mut realism = Realism::new(name, Protocol { repeats: 10, ..Protocol::default() });
        for view in ["volume", "axial"] {
            realism.compare(view, &of(&case.synthetic), &of(&case.real)).unwrap();
        }
        let (table, csv) = (realism.to_string(), realism.csv());
        assert_eq!(table.matches("sha256:00ff").count(), 1);
        assert_eq!(table.lines().count(), 2 + 3 + 1 + 14);
        let as_real = realism.rows().iter().filter(|row| row.is_as_real()).count();
        assert!(table.starts_with(&format!("Realism: {as_real} of 14 measures")), "{table}");
        // These sets are apart in every view.
        let frechet = &realism.rows()[0];
        assert!(frechet.estimate.matched.mean > frechet.estimate.reference.high && !frechet.is_as_real());
        assert!(table.contains("Fréchet distance (16 features)") && table.contains("3.9307"), "{table}");
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 14);
        assert!(lines[1].starts_with(
            "\"encoder, \"\"v1\"\" sha256:00ff\",volume,frechet_distance,lower,16 features,40,36,3.93"
        ));
        // One comma more, which is in the name.
        assert!(
            lines[1..].iter().all(|line| line.matches(',').count() == COLUMNS.matches(',').count() + 1),
            "{csv}"
        );
    }
}
