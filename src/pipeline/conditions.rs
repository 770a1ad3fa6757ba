//! Conditions from a command line: values, ranges to draw from, and people's values.

use std::collections::BTreeMap;

use rand::RngExt;

use crate::config::Covariate;
use crate::error::{Error, Result};
use crate::gan::{Conditions, Population};
use crate::random::{Purpose, stream};

/// Values of labels by their names.
pub type Labels = BTreeMap<String, String>;

/// The conditions of a generator's samples, drawn by seed.
#[derive(Clone, Debug)]
pub struct Drawn {
    conditions: Conditions,
    /// Values that all samples have.
    fixed: Labels,
    /// Covariates that are drawn uniformly, each with its number among those of the network.
    ranges: Vec<(usize, String, [f64; 2])>,
    /// Where the rest comes from.
    rest: Rest,
}

/// Where a sample has what is neither fixed nor drawn from a range.
#[derive(Clone, Debug)]
enum Rest {
    /// There is nothing left, or nothing to have it from.
    None,
    /// One of these people.
    People(Vec<Labels>),
    /// Drawn as it is among the people of the training.
    Population(Population),
}

/// Phases of draws: of a person or of what the population has, and of the covariates behind.
const PERSON: u64 = 0;
const COVARIATES: u64 = 1;

impl Drawn {
    /// The conditions of `text`, such as "sex=F,age=20-70": a covariate can have a range of values, both ends included.
    /// Missing labels are those of one of `people` (names and labels), drawn by seed; without people they are drawn
    /// from the `population`.
    ///
    /// # Errors
    /// As [`Conditions::parse`] and [`Conditions::encode`], also for both ends of ranges and every person;
    /// [`Error::Value`] for a descending range.
    pub fn new(
        conditions: Conditions,
        text: Option<&str>,
        people: &[(&str, &Labels)],
        population: Option<&Population>,
    ) -> Result<Self> {
        let mut fixed = conditions.parse(text.unwrap_or(""))?;
        let mut ranges = Vec::new();
        for (number, Covariate { label, .. }) in conditions.covariates().iter().enumerate() {
            if let Some(range) = fixed.get(label).and_then(|text| range_of(text)) {
                fixed.remove(label);
                ranges.push((number, label.clone(), range));
            }
        }
        let people: &[_] = if conditions.width() == 0 { &[] } else { people };
        let complete = fixed.len() + ranges.len() == conditions.labels().len();
        let rest = match population {
            _ if !people.is_empty() => {
                Rest::People(people.iter().map(|(_, labels)| (*labels).clone()).collect())
            }
            Some(population) if !complete => Rest::Population(population.clone()),
            _ => Rest::None,
        };
        let drawn = Self { conditions, fixed, ranges, rest };
        for end in 0..2 {
            if people.is_empty() {
                drawn.encode(&drawn.completed(drawn.with(Labels::new(), |_, range| range[end]), 0))?;
            }
            for (name, labels) in people {
                let labels = drawn.with((*labels).clone(), |_, range| range[end]);
                drawn.encode(&labels).map_err(|error| error.with_key(|key| format!("{key} of {name}")))?;
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

    /// Names of the labels.
    pub fn names(&self) -> Vec<&str> {
        self.conditions.labels()
    }

    /// The labels of the sample of `seed`.
    pub fn labels(&self, seed: u64) -> Labels {
        let person = match &self.rest {
            Rest::People(people) => {
                let mut rng = stream(seed, 0, PERSON, 0, Purpose::Labels);
                let known = self.conditions.labels();
                let person = people[rng.random_range(0..people.len())].clone();
                person.into_iter().filter(|(label, _)| known.contains(&label.as_str())).collect()
            }
            Rest::Population(_) | Rest::None => Labels::new(),
        };
        let labels = self.with(person, |number, [low, high]| {
            let part: f64 = stream(seed, 0, COVARIATES, number as u64, Purpose::Labels).random();
            low + part * (high - low)
        });
        self.completed(labels, seed)
    }

    /// `labels` with what the population has beside them, drawn by `seed`.
    fn completed(&self, labels: Labels, seed: u64) -> Labels {
        match &self.rest {
            Rest::Population(population) => {
                population.draw(&labels, &mut stream(seed, 0, PERSON, 0, Purpose::Labels))
            }
            Rest::People(_) | Rest::None => labels,
        }
    }

    /// The condition vector of the sample of `seed`; `None` for a network without conditions.
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
    use crate::config::{ClassCondition, ConditionsRecipe, Encoding};

    fn recipe() -> ConditionsRecipe {
        let encoding = Encoding::Fourier { frequencies: 2 };
        let covariate = |label: &str| Covariate { label: label.into(), min: 20.0, max: 80.0, encoding };
        ConditionsRecipe {
            classes: vec![ClassCondition { label: "sex".into(), values: vec!["F".into(), "M".into()] }],
            covariates: vec![covariate("age"), covariate("weight")],
        }
    }

    fn drawn_of(text: Option<&str>, people: &[(&str, &Labels)]) -> Result<Drawn> {
        Drawn::new(Conditions::new(&recipe()), text, people, None)
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
        let drawn = drawn_of(Some("sex=F,age=20-70,weight=40-80"), &[]).expect("conditions");
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
        let drawn = drawn_of(None, &people).expect("conditions");
        let found: Vec<Labels> = (0..200).map(|seed| drawn.labels(seed)).collect();
        let women = found.iter().filter(|labels| **labels == labels_without(&table[0])).count();
        let men = found.iter().filter(|labels| **labels == table[1]).count();
        assert!(women + men == 200 && (60..140).contains(&women), "{women}, {men}");
        // What is given counts instead.
        let drawn = drawn_of(Some("age=25"), &people).expect("conditions");
        assert!((0..20).all(|seed| drawn.labels(seed)["age"] == "25"));
        let broken = labels(&[("sex", "F"), ("age", "19"), ("weight", "50")]);
        let error = drawn_of(None, &[("sub-7", &broken)]).expect_err("too young").to_string();
        assert!(error.contains("age of sub-7") && error.contains("`19`"), "{error}");
    }

    fn labels_without(labels: &Labels) -> Labels {
        labels.iter().filter(|(label, _)| *label != "hand").map(|(a, b)| (a.clone(), b.clone())).collect()
    }

    #[test]
    fn both_ends_of_a_range_must_be_known() {
        let error = |text| drawn_of(Some(text), &[]).expect_err(text).to_string();
        assert!(error("sex=F,age=10-70,weight=50").contains("`10`"));
        assert!(error("sex=F,age=20-90,weight=50").contains("`90`"));
        assert!(error("sex=F,age=70-20,weight=50").contains("upwards"));
        assert!(error("sex=F-M,age=20,weight=50").contains("`F-M`"));
        assert!(error("age=20-70,weight=50").contains("sex"));
    }

    #[test]
    fn what_is_left_out_is_drawn_from_the_population() {
        let table: Vec<Labels> = (20..80)
            .map(|age| (age.to_string(), (40 + age / 2).to_string()))
            .map(|(age, weight)| labels(&[("sex", "F"), ("age", &age), ("weight", &weight)]))
            .collect();
        let population = Population::of(&recipe(), &table.iter().collect::<Vec<_>>()).expect("people");
        let new = |text| Drawn::new(Conditions::new(&recipe()), Some(text), &[], Some(&population));
        let drawn = new("age=60-70").expect("conditions");
        for seed in 0..50 {
            let found = drawn.labels(seed);
            assert_eq!((found["sex"].as_str(), &found), ("F", &drawn.labels(seed)));
            assert!((60.0..=70.0).contains(&number(&found, "age")));
            assert!((65.0..=80.0).contains(&number(&found, "weight")), "{found:?}");
            assert_eq!(drawn.vector(seed).expect("a vector").map(|vector| vector.len()), Some(10));
        }
        for (text, part) in [("age=x", "`x`"), ("sex=Q", "`Q`"), ("age=90", "`90`"), ("height=2", "`height`")]
        {
            let error = new(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
        let beyond = Conditions::new(&recipe()).extrapolating();
        let drawn = Drawn::new(beyond, Some("age=90"), &[], Some(&population)).expect("extrapolated");
        assert_eq!(drawn.labels(0)["age"], "90");
    }

    #[test]
    fn a_network_without_conditions_draws_none() {
        let (someone, none) = (labels(&[("age", "30")]), ConditionsRecipe::default());
        let drawn = Drawn::new(Conditions::new(&none), None, &[("a", &someone)], None).expect("nothing");
        assert!(drawn.vector(1).expect("nothing").is_none() && drawn.labels(1).is_empty());
    }
}
