//! Comparison of the anatomy of two groups of brains, real and synthetic.
//!
//! A [`Cohort`] is a table of measured quantities (volumes, ratios) of subjects. [`compare`] compares two cohorts:
//! quantity by quantity, jointly, and against the differences between halves of the real cohort. [`power`] estimates
//! the power of such a comparison for a number of subjects. Differences are always synthetic minus real. The result
//! depends on the seed and not on the number of threads.

mod adjust;
mod adjusted;
mod adjusted_table;
mod age;
mod asked;
mod compare;
mod covariates;
mod head;
mod hypothesis;
mod joint;
mod linear;
mod power;
mod reference;
mod settings;
mod table;
mod transport;
mod wasserstein;

use serde::{Deserialize, Serialize};

pub use adjust::adjust;
pub use adjusted::{Adjusted, AdjustedQuantity, Contrast, Dropped, GroupEffect};
pub use age::{AgeTrend, Aged, TrendPoint};
pub use asked::Asked;
pub use compare::{Comparison, LeftOut, QuantityComparison, compare};
pub use covariates::{Covariate, CovariateValues, Covariates, Known};
pub use head::{HeadMeasure, HeadSize};
pub use hypothesis::{Equivalence, KolmogorovSmirnov, PValue, Verdict, Welch};
pub use joint::{Correlations, Energy, Joint, PairDiscrepancy};
pub use power::{Power, QuantityPower, power};
pub use reference::{JointReference, QuantityReference, Reference};
pub use settings::{Margin, Settings};
pub use table::{Rows, power_csv, power_table};
pub use wasserstein::Transport;

pub use crate::stats::{Interval, Summary};

use crate::anatomy::volumes::Volumes;
use crate::error::{Error, Result};

/// What is drawn: the phase of its [`Draws`](crate::stats::Draws).
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Bootstrap = 0,
    Correlation = 1,
    Energy = 2,
    Split = 3,
    JointSplit = 4,
    Repeat = 5,
    Transport = 6,
    TransportSplit = 7,
}

/// The default quantities of a comparison: the volumes of structures, both sides together, and the ventricle-to-brain
/// ratio. The fluid around the brain is not among them, as skull-stripped scans do not contain all of it.
pub const QUANTITIES: [&str; 12] = [
    "brain",
    "lateral_ventricles",
    "third_ventricle",
    "fourth_ventricle",
    "cerebral_cortex",
    "cerebral_white_matter",
    "deep_grey",
    "hippocampus_amygdala",
    "cerebellum",
    "brain_stem",
    "ventricle_brain_ratio",
    "lateral_ventricle_asymmetry",
];

/// A measured quantity: its name and unit (`"ml"`, `"mm"`, or `""` for ratios and counts).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    pub name: String,
    pub unit: String,
}

impl Quantity {
    /// The quantity of this name and unit.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { name: name.into(), unit: unit.into() }
    }
}

/// A table of subjects × quantities. A missing value (the structure was not found, the ratio has no denominator) is
/// NaN: each quantity is compared by the subjects that have it, the joint tests by those that have all.
#[derive(Clone, Debug)]
pub struct Cohort {
    subjects: Vec<String>,
    quantities: Vec<Quantity>,
    /// A column for each quantity, a value for each subject.
    columns: Vec<Vec<f64>>,
}

impl Cohort {
    /// The table of `quantities`, with a row of values in their order for each subject.
    ///
    /// # Errors
    /// [`Error::Value`] for a row of another length, an infinite value, or two quantities of one name.
    pub fn new(quantities: Vec<Quantity>, rows: Vec<(String, Vec<f64>)>) -> Result<Self> {
        for (index, quantity) in quantities.iter().enumerate() {
            if quantities[..index].iter().any(|other| other.name == quantity.name) {
                let found = format!("`{}` twice", quantity.name);
                return Err(Error::value(
                    "quantities of the cohort",
                    "one of each name",
                    found,
                    "rename one",
                ));
            }
        }
        for (subject, row) in &rows {
            if row.len() != quantities.len() || row.iter().any(|value| value.is_infinite()) {
                let expected = format!("{} finite numbers (NaN where missing)", quantities.len());
                let advice = "give each subject a value for each quantity";
                return Err(Error::value(format!("row of {subject}"), expected, format!("{row:?}"), advice));
            }
        }
        let columns =
            (0..quantities.len()).map(|column| rows.iter().map(|(_, row)| row[column]).collect()).collect();
        Ok(Self { subjects: rows.into_iter().map(|(subject, _)| subject).collect(), quantities, columns })
    }

    /// The regions and measures `names` of each subject.
    ///
    /// # Errors
    /// [`Error::Value`] for a name that is neither a region nor a measure.
    pub fn of_volumes(subjects: &[Volumes], names: &[&str]) -> Result<Self> {
        let unit = |name: &str| {
            let Some(first) = subjects.first() else { return Some(String::new()) };
            let measure = || first.measures.iter().find(|measure| measure.name == name);
            first.region(name).map(|_| "ml".to_string()).or_else(|| Some(measure()?.unit.replace('1', "")))
        };
        let mut quantities = Vec::with_capacity(names.len());
        for &name in names {
            let Some(unit) = unit(name) else {
                let expected = "a region or measure of `voxgan anatomy volumes`";
                return Err(Error::value("quantity", expected, name, "see definitions.csv for their names"));
            };
            quantities.push(Quantity::new(name, unit));
        }
        let value = |volumes: &Volumes, name: &str| {
            volumes.region(name).map(|region| region.volume_ml).or_else(|| volumes.measure(name))
        };
        let row = |volumes: &Volumes| {
            names.iter().map(|name| value(volumes, name).unwrap_or(f64::NAN)).collect::<Vec<_>>()
        };
        Self::new(quantities, subjects.iter().map(|one| (one.subject.clone(), row(one))).collect())
    }

    /// The names of the subjects.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The quantities, in the order of the columns.
    pub fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    /// The values of the quantity `name`, one for each subject, NaN where missing; `None` for another name.
    pub fn values(&self, name: &str) -> Option<&[f64]> {
        self.quantities.iter().position(|quantity| quantity.name == name).map(|i| &self.columns[i][..])
    }

    /// The cohort with the quantities `names` alone, in this order.
    ///
    /// # Errors
    /// [`Error::Value`] for a name that the cohort does not have.
    pub fn select(&self, names: &[&str]) -> Result<Self> {
        let mut selected =
            Self { subjects: self.subjects.clone(), quantities: Vec::new(), columns: Vec::new() };
        for name in names {
            let Some(index) = self.quantities.iter().position(|quantity| quantity.name == *name) else {
                let known: Vec<_> = self.quantities.iter().map(|quantity| quantity.name.as_str()).collect();
                let expected = format!("one of {}", known.join(", "));
                return Err(Error::value("quantity", expected, *name, "choose what both cohorts have"));
            };
            selected.quantities.push(self.quantities[index].clone());
            selected.columns.push(self.columns[index].clone());
        }
        Ok(selected)
    }

    /// The cohort with each value changed, as for an alteration (ventricles × 1.2). Values that become infinite are
    /// missing.
    #[must_use]
    pub fn altered(&self, change: impl Fn(&Quantity, f64) -> f64) -> Self {
        let mut altered = self.clone();
        for (quantity, column) in altered.quantities.iter().zip(&mut altered.columns) {
            for value in column {
                *value = Some(change(quantity, *value)).filter(|value| value.is_finite()).unwrap_or(f64::NAN);
            }
        }
        altered
    }
}

/// The rows in which no value is missing, as columns.
fn complete(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rows = columns.first().map_or(0, Vec::len);
    let whole: Vec<usize> =
        (0..rows).filter(|&row| columns.iter().all(|column| !column[row].is_nan())).collect();
    at(columns, &whole)
}

/// The rows at these indices, in this order, as columns.
fn at(columns: &[Vec<f64>], rows: &[usize]) -> Vec<Vec<f64>> {
    columns.iter().map(|column| rows.iter().map(|&row| column[row]).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cohort() -> Cohort {
        let quantities = vec![Quantity::new("brain", "ml"), Quantity::new("ratio", "")];
        let rows = [("a", [1000.0, 0.02]), ("b", [1100.0, f64::NAN]), ("c", [900.0, 0.01])];
        Cohort::new(quantities, rows.map(|(name, row)| (name.to_string(), row.to_vec())).to_vec()).unwrap()
    }

    #[test]
    fn a_table_is_read_by_names() {
        let cohort = cohort();
        assert_eq!(cohort.subjects(), ["a", "b", "c"]);
        assert_eq!(cohort.values("brain").unwrap(), [1000.0, 1100.0, 900.0]);
        assert_eq!(cohort.values("spleen"), None);
        assert_eq!(cohort.select(&["ratio"]).unwrap().quantities(), [Quantity::new("ratio", "")]);
        assert!(cohort.select(&["spleen"]).unwrap_err().to_string().contains("brain, ratio"));
        assert_eq!(complete(&cohort.columns), [vec![1000.0, 900.0], vec![0.02, 0.01]]);
        let altered = cohort.altered(|of, value| if of.unit == "ml" { value * 1.05 } else { value / 0.0 });
        assert_eq!(altered.values("brain").unwrap(), [1050.0, 1155.0, 945.0]);
        assert!(altered.values("ratio").unwrap().iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_table_with_holes_or_doubles_is_refused() {
        let table = |names: &[&str], row: &[f64]| {
            let quantities = names.iter().map(|name| Quantity::new(*name, "ml")).collect();
            Cohort::new(quantities, vec![("a".to_string(), row.to_vec())]).map_err(|error| error.to_string())
        };
        assert!(table(&["brain", "ratio"], &[1.0]).unwrap_err().contains("row of a"));
        assert!(table(&["brain"], &[f64::INFINITY]).is_err());
        assert!(table(&["brain", "brain"], &[1.0, 2.0]).unwrap_err().contains("twice"));
    }
}
