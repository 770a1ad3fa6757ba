//! Covariates of subjects: from texts in a table to columns of a linear model.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The columns of a table for one subject: texts by column name, without missing values.
pub type Known = BTreeMap<String, String>;

/// A covariate of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covariate {
    /// Name of its column in the table.
    pub name: String,
    /// The kind of its values.
    pub values: CovariateValues,
}

/// The kind of a covariate's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CovariateValues {
    Numbers,
    /// Categories, ascending. The first is the reference; each of the others has a column of zeros and ones.
    Levels(Vec<String>),
}

/// Covariates of all subjects, the real ones first.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariates {
    /// The covariates in the order of [`Covariates::of`]'s names.
    pub list: Vec<Covariate>,
    /// The columns of the model and their names; NaN where missing.
    pub(super) columns: Vec<(String, Vec<f64>)>,
    /// The covariates that each subject lacks.
    pub(super) missing: Vec<Vec<String>>,
}

impl Covariates {
    /// The covariates `names` of the subjects of both cohorts, in their order. Texts that are all numbers make a
    /// numeric covariate, texts that are all words a category.
    ///
    /// # Errors
    /// [`Error::Value`] for a covariate without a value, a category of one word, or a covariate of both numbers and
    /// words.
    pub fn of(names: &[String], real: &[Known], synthetic: &[Known]) -> Result<Self> {
        let subjects: Vec<&Known> = real.iter().chain(synthetic).collect();
        let mut covariates = Self { list: Vec::new(), columns: Vec::new(), missing: Vec::new() };
        for name in names {
            let texts: Vec<Option<&str>> =
                subjects.iter().map(|known| known.get(name).map(String::as_str)).collect();
            let values = values_of(name, &texts)?;
            match &values {
                CovariateValues::Numbers => {
                    let number = |text: &Option<&str>| text.and_then(number).unwrap_or(f64::NAN);
                    covariates.columns.push((name.clone(), texts.iter().map(number).collect()));
                }
                CovariateValues::Levels(levels) => {
                    for level in &levels[1..] {
                        let holds = |text: &Option<&str>| {
                            text.map_or(f64::NAN, |text| f64::from(u8::from(text == level)))
                        };
                        let column = texts.iter().map(holds).collect();
                        covariates.columns.push((format!("{name} = {level}"), column));
                    }
                }
            }
            covariates.list.push(Covariate { name: name.clone(), values });
        }
        let lacks =
            |known: &&Known| names.iter().filter(|name| !known.contains_key(*name)).cloned().collect();
        covariates.missing = subjects.iter().map(lacks).collect();
        Ok(covariates)
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn values_of(name: &str, texts: &[Option<&str>]) -> Result<CovariateValues> {
    let key = format!("covariate `{name}`");
    let (numbers, words): (Vec<&str>, Vec<&str>) =
        texts.iter().copied().flatten().partition(|text| number(text).is_some());
    match (numbers.first(), words.first()) {
        (None, None) => {
            let advice = "leave it out, or fill in its column";
            Err(Error::value(key, "a value for some subjects", "n/a for all of them", advice))
        }
        (Some(_), None) => Ok(CovariateValues::Numbers),
        (None, Some(word)) => {
            let levels: BTreeSet<&str> = words.iter().copied().collect();
            if levels.len() == 1 {
                let found = format!("one value, `{word}`, for all that have any");
                return Err(Error::value(key, "values that vary", found, "leave that covariate out"));
            }
            Ok(CovariateValues::Levels(levels.into_iter().map(str::to_string).collect()))
        }
        (Some(number), Some(word)) => {
            let advice = "write n/a where a number is missing, or words throughout for a category";
            let found = format!("both, as `{number}` and `{word}`");
            Err(Error::value(key, "numbers only, or words only", found, advice))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(pairs: &[(&str, &str)]) -> Known {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn of(names: &[&str], rows: &[Known]) -> Result<Covariates> {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        Covariates::of(&names, &rows[..1], &rows[1..])
    }

    #[test]
    fn numbers_are_columns_and_words_are_columns_of_zeros_and_ones() {
        let rows = [
            known(&[("age", "30.5"), ("site", "c")]),
            known(&[("age", "-2e1"), ("site", "a")]),
            known(&[("site", "b")]),
            known(&[("age", "7")]),
        ];
        let found = of(&["site", "age"], &rows).unwrap();
        let levels = CovariateValues::Levels(["a", "b", "c"].map(str::to_string).to_vec());
        assert_eq!(found.list[0], Covariate { name: "site".into(), values: levels });
        assert_eq!(found.list[1].values, CovariateValues::Numbers);
        let names: Vec<&str> = found.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["site = b", "site = c", "age"]);
        assert_eq!(found.columns[0].1[..3], [0.0, 0.0, 1.0]);
        assert_eq!(found.columns[1].1[..3], [1.0, 0.0, 0.0]);
        assert_eq!(found.columns[2].1[..2], [30.5, -20.0]);
        assert!(found.columns[0].1[3].is_nan() && found.columns[2].1[2].is_nan());
        assert_eq!(found.missing, [vec![], vec![], vec!["age".to_string()], vec!["site".to_string()]]);
    }

    #[test]
    fn columns_of_numbers_and_words_and_empty_ones_are_refused() {
        let rows = [known(&[("age", "30")]), known(&[("age", "90+")])];
        let message = of(&["age"], &rows).unwrap_err().to_string();
        assert!(["`age`", "`30`", "`90+`", "n/a"].iter().all(|word| message.contains(word)), "{message}");
        // What parses as a number but is none.
        let rows = [known(&[("age", "30")]), known(&[("age", "inf")])];
        assert!(of(&["age"], &rows).is_err());
        assert!(of(&["iq"], &rows).unwrap_err().to_string().contains("n/a for all"));
    }
}
