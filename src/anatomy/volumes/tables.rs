//! Measurements as text: CSV with a row for each subject, the definitions of its columns, and a table for reading.

use std::fmt::{self, Write};

use super::Volumes;
use crate::csv::push_row;

/// A column of the table of subjects.
struct Column<'a> {
    name: String,
    unit: &'a str,
    definition: String,
    value: String,
}

impl Volumes {
    fn columns(&self) -> Vec<Column<'_>> {
        let text = |value: Option<f64>| value.map_or("n/a".into(), |value| value.to_string());
        let column = |name: String, unit, definition: String, value| Column { name, unit, definition, value };
        let names: Vec<&str> = self.flags.iter().map(|flag| flag.name()).collect();
        let mut columns = vec![
            column(
                "subject".into(),
                "",
                "the subject, or the file it was measured in".into(),
                self.subject.clone(),
            ),
            column(
                "quality".into(),
                "1",
                "mean confidence of the brain's structures times 1 - penalty of each flag, 0 to 1".into(),
                self.quality.to_string(),
            ),
            column("flags".into(), "", "reasons for doubt, separated by spaces".into(), names.join(" ")),
        ];
        for region in &self.regions {
            let volume = format!("{}, with partial volumes", region.definition);
            columns.push(column(format!("{}_ml", region.name), "ml", volume, region.volume_ml.to_string()));
        }
        for region in self.regions.iter().filter(|region| region.name != "intracranial") {
            columns.push(column(
                format!("{}_per_intracranial", region.name),
                "1",
                format!("{}, over the intracranial volume", region.definition),
                text(region.intracranial_fraction),
            ));
        }
        columns.extend(self.measures.iter().map(|measure| {
            column(measure.name.clone(), &measure.unit, measure.definition.clone(), text(measure.value))
        }));
        columns
    }
}

/// CSV with a row for each subject below a row of column names, which end in their units; `n/a` where a number is
/// undefined. Columns are the same in every table. Empty without subjects.
pub fn csv(subjects: &[Volumes]) -> String {
    let mut text = String::new();
    if let Some(first) = subjects.first() {
        push_row(&mut text, first.columns().iter().map(|column| column.name.as_str()));
    }
    for subject in subjects {
        push_row(&mut text, subject.columns().iter().map(|column| column.value.as_str()));
    }
    text
}

/// CSV with name, unit and definition of each column of [`csv()`].
pub fn definitions_csv(volumes: &Volumes) -> String {
    let mut text = "column,unit,definition\n".to_string();
    for column in volumes.columns() {
        push_row(&mut text, [column.name.as_str(), column.unit, &column.definition]);
    }
    text
}

/// A table to read: volumes and measures with their definitions, the quality, and the flags as sentences.
impl fmt::Display for Volumes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let ([w, h, d], [x, y, z]) = (self.dims, self.spacing_mm);
        writeln!(f, "{}  ({w} x {h} x {d} voxels of {x:.3} x {y:.3} x {z:.3} mm)", self.subject)?;
        writeln!(f, "\n{:<34}{:>10}{:>8}  definition", "region", "ml", "% ICV")?;
        for region in &self.regions {
            let share =
                region.intracranial_fraction.map_or("n/a".into(), |part| format!("{:.2}", 100.0 * part));
            writeln!(f, "{:<34}{:>10.2}{share:>8}  {}", region.name, region.volume_ml, region.definition)?;
        }
        writeln!(f, "\n{:<42}{:>12}  definition", "measure", "value")?;
        for measure in &self.measures {
            let value = match (measure.value, measure.unit.as_str()) {
                (None, _) => "n/a".into(),
                (Some(value), "1") if value.fract() != 0.0 => format!("{value:.4}"),
                (Some(value), _) => format!("{value:.0}"),
            };
            writeln!(f, "{:<42}{value:>12}  {}", measure.name, measure.definition)?;
        }
        writeln!(
            f,
            "\nquality {:.2} of 1 (mean confidence of structures, less for each flag)",
            self.quality
        )?;
        let mut flags = String::new();
        self.flags.iter().try_for_each(|flag| writeln!(flags, "  {}: {flag}", flag.name()))?;
        if flags.is_empty() { writeln!(f, "no flags") } else { write!(f, "flags\n{flags}") }
    }
}
