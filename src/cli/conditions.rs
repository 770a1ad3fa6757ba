//! Conditions from a command line: values, ranges to draw from, and those of people.

use rand::RngExt;

use super::sampler::Labels;
use crate::config::{ConditionsRecipe, Covariate};
use crate::error::{Error, Result};
use crate::gan::Conditions;
use crate::random::{Purpose, stream};

/// What samples of a generator are conditioned on, seed by seed.
#[derive(Clone, Debug)]
pub struct Drawn {
    conditions: Conditions,
    /// Values that all samples have.
    fixed: Labels,
    /// Covariates that are drawn uniformly, each with its number among those of the network.
    ranges: Vec<(usize, String, [f64; 2])>,
    /// People, one of whom gives a sample what is neither fixed nor drawn.
    people: Vec<Labels>,
}

/// Phases of draws: of a person, and of the covariates behind.
const PERSON: u64 = 0;
const COVARIATES: u64 = 1;

impl Drawn {
    /// Of `text`, such as "sex=F,age=20-70": a covariate may have a range of values, both ends included. What is left out
    /// is that of one of `people`, of a table of participants.
    ///
    /// # Errors
    /// As [`Conditions::parse`] and [`Conditions::encode`], of either end of a range and of every person too.
    pub fn new(recipe: &ConditionsRecipe, text: Option<&str>, people: &[(&str, &Labels)]) -> Result<Self> {
        let conditions = Conditions::new(recipe);
        let mut fixed = conditions.parse(text.unwrap_or(""))?;
        let mut ranges = Vec::new();
        for (number, Covariate { label, .. }) in recipe.covariates.iter().enumerate() {
            if let Some(range) = fixed.get(label).and_then(|text| range_of(text)) {
                fixed.remove(label);
                ranges.push((number, label.clone(), range));
            }
        }
        let people: &[_] = if conditions.width() == 0 { &[] } else { people };
        let drawn = Self {
            conditions,
            fixed,
            ranges,
            people: people.iter().map(|(_, labels)| (*labels).clone()).collect(),
        };
        for end in 0..2 {
            let at_end = |range: [f64; 2]| range[end];
            if drawn.people.is_empty() {
                drawn.encode(&drawn.with(Labels::new(), |_, range| at_end(range)))?;
            }
            for (name, labels) in people {
                let labels = drawn.with((*labels).clone(), |_, range| at_end(range));
                drawn.encode(&labels).map_err(|e| match e {
                    Error::Value { key, expected, found, advice } => {
                        Error::value(format!("{key} of {name}"), expected, found, advice)
                    }
                    other => other,
                })?;
            }
        }
        match drawn.ranges.iter().find(|(_, _, [low, high])| low > high) {
            Some((_, label, [low, high])) => {
                let found = format!("`{low}-{high}`");
                Err(Error::value(label.as_str(), "a range that goes upwards", found, "exchange its ends"))
            }
            None => Ok(drawn),
        }
    }

    /// Whether all samples have the same.
    pub fn is_fixed(&self) -> bool {
        self.ranges.is_empty() && self.people.is_empty()
    }

    /// The labels of the sample of `seed`.
    pub fn labels(&self, seed: u64) -> Labels {
        let person = match self.people.len() {
            0 => Labels::new(),
            count => {
                let mut rng = stream(seed, 0, PERSON, 0, Purpose::Labels);
                let known = self.conditions.labels();
                let person = self.people[rng.random_range(0..count)].clone();
                person.into_iter().filter(|(label, _)| known.contains(&label.as_str())).collect()
            }
        };
        self.with(person, |number, [low, high]| {
            let part: f64 = stream(seed, 0, COVARIATES, number as u64, Purpose::Labels).random();
            low + part * (high - low)
        })
    }

    /// The vector of the sample of `seed`; none for a network without conditions.
    ///
    /// # Errors
    /// As [`Conditions::encode`].
    pub fn vector(&self, seed: u64) -> Result<Option<Vec<f32>>> {
        if self.conditions.width() == 0 {
            return Ok(None);
        }
        self.encode(&self.labels(seed)).map(Some)
    }

    /// `labels` with what is fixed, and of each range what `draw` makes of its covariate's number and its ends.
    fn with(&self, mut labels: Labels, draw: impl Fn(usize, [f64; 2]) -> f64) -> Labels {
        labels.extend(self.fixed.clone());
        let drawn = self.ranges.iter().map(|(number, label, range)| (label, draw(*number, *range)));
        labels.extend(drawn.map(|(label, value)| (label.clone(), value.to_string())));
        labels
    }

    fn encode(&self, labels: &Labels) -> Result<Vec<f32>> {
        self.conditions.encode(labels)
    }
}

/// The ends of a range such as "20-70", "-1.5-2" or "1e-3-1"; none of a single number.
fn range_of(text: &str) -> Option<[f64; 2]> {
    if text.parse::<f64>().is_ok() {
        return None;
    }
    let ends =
        |(at, _): (usize, &str)| Some([text[..at].trim().parse().ok()?, text[at + 1..].trim().parse().ok()?]);
    text.match_indices('-').find_map(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClassCondition, Encoding};

    fn recipe() -> ConditionsRecipe {
        let encoding = Encoding::Fourier { frequencies: 2 };
        let covariate = |label: &str| Covariate { label: label.into(), min: 20.0, max: 80.0, encoding };
        ConditionsRecipe {
            classes: vec![ClassCondition { label: "sex".into(), values: vec!["F".into(), "M".into()] }],
            covariates: vec![covariate("age"), covariate("weight")],
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(label, value)| (label.to_string(), value.to_string())).collect()
    }

    fn number(labels: &Labels, label: &str) -> f64 {
        labels[label].parse().expect("a number")
    }

    #[test]
    fn a_range_is_two_numbers() {
        for (text, range) in [
            ("20-70", Some([20.0, 70.0])),
            ("1e-3-1", Some([1e-3, 1.0])),
            ("-1.5 - 2", Some([-1.5, 2.0])),
            ("-3--1", Some([-3.0, -1.0])),
            ("1e-3", None),
            ("-5", None),
            ("20-", None),
            ("a-b", None),
        ] {
            assert_eq!(range_of(text), range, "{text}");
        }
    }

    #[test]
    fn draws_are_uniform_independent_and_of_their_seed() {
        let drawn = Drawn::new(&recipe(), Some("sex=F,age=20-70,weight=40-80"), &[]).expect("conditions");
        assert!(!drawn.is_fixed());
        let found: Vec<[f64; 2]> = (0..2000)
            .map(|seed| {
                let labels = drawn.labels(seed);
                assert_eq!((labels["sex"].as_str(), &labels), ("F", &drawn.labels(seed)));
                [number(&labels, "age"), number(&labels, "weight")]
            })
            .collect();
        assert!(
            found.iter().all(|[age, weight]| (20.0..=70.0).contains(age) && (40.0..=80.0).contains(weight))
        );
        // Of 2000 uniform draws: the mean within five of its standard errors, a fifth of them in a fifth of the range.
        let mean = found.iter().map(|[age, _]| age).sum::<f64>() / 2000.0;
        assert!((mean - 45.0).abs() < 5.0 * 50.0 / 12f64.sqrt() / 2000f64.sqrt(), "{mean}");
        let fifth = found.iter().filter(|[age, _]| *age < 30.0).count() as f64 / 2000.0;
        assert!((fifth - 0.2).abs() < 5.0 * (0.16 / 2000.0f64).sqrt(), "{fifth}");
        let together =
            found.iter().filter(|[age, weight]| *age < 45.0 && *weight < 60.0).count() as f64 / 2000.0;
        assert!((together - 0.25).abs() < 5.0 * (0.1875 / 2000.0f64).sqrt(), "{together}");
    }

    #[test]
    fn what_is_left_out_is_a_persons() {
        let table = [
            labels(&[("sex", "F"), ("age", "30"), ("weight", "50"), ("hand", "left")]),
            labels(&[("sex", "M"), ("age", "60"), ("weight", "70")]),
        ];
        let people: Vec<(&str, &Labels)> = ["a", "b"].into_iter().zip(&table).collect();
        let drawn = Drawn::new(&recipe(), None, &people).expect("conditions");
        let found: Vec<Labels> = (0..200).map(|seed| drawn.labels(seed)).collect();
        let women = found.iter().filter(|labels| **labels == labels_without(&table[0])).count();
        let men = found.iter().filter(|labels| **labels == table[1]).count();
        assert!(women + men == 200 && (60..140).contains(&women), "{women}, {men}");
        // What is given counts instead.
        let drawn = Drawn::new(&recipe(), Some("age=25"), &people).expect("conditions");
        assert!((0..20).all(|seed| drawn.labels(seed)["age"] == "25"));
        let broken = labels(&[("sex", "F"), ("age", "19"), ("weight", "50")]);
        let error = Drawn::new(&recipe(), None, &[("sub-7", &broken)]).expect_err("too young").to_string();
        assert!(error.contains("age of sub-7") && error.contains("`19`"), "{error}");
    }

    fn labels_without(labels: &Labels) -> Labels {
        labels.iter().filter(|(label, _)| *label != "hand").map(|(a, b)| (a.clone(), b.clone())).collect()
    }

    #[test]
    fn both_ends_of_a_range_must_be_known() {
        let error = |text| Drawn::new(&recipe(), Some(text), &[]).expect_err(text).to_string();
        assert!(error("sex=F,age=10-70,weight=50").contains("`10`"));
        assert!(error("sex=F,age=20-90,weight=50").contains("`90`"));
        assert!(error("sex=F,age=70-20,weight=50").contains("upwards"));
        assert!(error("sex=F-M,age=20,weight=50").contains("`F-M`"));
        assert!(error("age=20-70,weight=50").contains("sex"));
    }

    #[test]
    fn a_network_without_conditions_draws_none() {
        let someone = labels(&[("age", "30")]);
        let drawn = Drawn::new(&ConditionsRecipe::default(), None, &[("a", &someone)]).expect("nothing");
        assert!(
            drawn.is_fixed() && drawn.vector(1).expect("nothing").is_none() && drawn.labels(1).is_empty()
        );
    }
}
