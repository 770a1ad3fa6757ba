//! The joint distribution of the training people's conditions, from which missing conditions are drawn.
//!
//! A Gaussian copula: the number of people of each combination of classes; the quantiles of each covariate over all
//! people, which turn values into normal scores; the scores' means within each combination, and one covariance about
//! them. Only these summaries are stored. A combination of fewer than five
//! people takes the mean of all people, so that no mean is that of one person.

use std::collections::BTreeMap;

use nalgebra::{Cholesky, DMatrix, DVector};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::config::ConditionsRecipe;
use crate::stats::quantile;

/// Quantiles that are kept: at (k + ½)/N.
const QUANTILES: usize = 20;
/// Added to the variances of scores, so that few people, or constants, leave a distribution.
const RIDGE: f64 = 0.01;
/// People of a combination of classes from which on it has a mean of its own.
const PEOPLE_MIN: usize = 5;

/// The joint distribution of people's conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// Labels of the classes, in the recipe's order.
    classes: Vec<String>,
    /// Labels of the covariates, in the recipe's order.
    covariates: Vec<String>,
    /// Combinations of classes that occur.
    cells: Vec<Cell>,
    /// Quantiles of each covariate, ascending.
    quantiles: Vec<Vec<f64>>,
    /// Covariance of the scores within cells, by rows.
    covariance: Vec<Vec<f64>>,
}

/// People who share their classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cell {
    /// Their values of the classes.
    values: Vec<String>,
    /// Number of them.
    people: usize,
    /// Mean of their scores.
    mean: Vec<f64>,
}

impl Population {
    /// The distribution of the labels of `people`; `None` without conditions or people, or where a label is missing or
    /// a covariate is no number.
    pub fn of(recipe: &ConditionsRecipe, people: &[&BTreeMap<String, String>]) -> Option<Self> {
        let classes: Vec<String> = recipe.classes.iter().map(|class| class.label.clone()).collect();
        let covariates: Vec<String> = recipe.covariates.iter().map(|one| one.label.clone()).collect();
        if people.is_empty() || classes.len() + covariates.len() == 0 {
            return None;
        }
        let number =
            |person: &BTreeMap<String, String>, label: &String| person.get(label)?.trim().parse().ok();
        let values: Vec<Vec<f64>> = people
            .iter()
            .map(|person| covariates.iter().map(|label| number(person, label)).collect())
            .collect::<Option<_>>()?;
        let quantiles: Vec<Vec<f64>> =
            (0..covariates.len()).map(|at| quantiles(values.iter().map(|row| row[at]).collect())).collect();
        let mut cells: BTreeMap<Vec<String>, Vec<Vec<f64>>> = BTreeMap::new();
        for (person, row) in people.iter().zip(&values) {
            let class = classes.iter().map(|label| Some(person.get(label)?.trim().to_string()));
            let scores = row.iter().zip(&quantiles).map(|(&value, quantiles)| score(quantiles, value));
            cells.entry(class.collect::<Option<_>>()?).or_default().push(scores.collect());
        }
        let size = covariates.len();
        let mean = |rows: &[&Vec<f64>]| -> Vec<f64> {
            (0..size).map(|at| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64).collect()
        };
        let of_all = mean(&cells.values().flatten().collect::<Vec<_>>());
        let mut covariance = DMatrix::<f64>::identity(size, size) * RIDGE;
        let cells = cells.into_iter().map(|(values, rows)| {
            let own = rows.len() >= PEOPLE_MIN;
            let mean = if own { mean(&rows.iter().collect::<Vec<_>>()) } else { of_all.clone() };
            for row in &rows {
                let from_mean = DVector::from_iterator(size, row.iter().zip(&mean).map(|(x, mean)| x - mean));
                covariance += &from_mean * from_mean.transpose() / people.len() as f64;
            }
            Cell { values, people: rows.len(), mean }
        });
        let cells = cells.collect();
        let covariance = covariance.row_iter().map(|row| row.iter().copied().collect()).collect();
        Some(Self { classes, covariates, cells, quantiles, covariance })
    }

    /// `given` completed by drawing the other labels from their distribution among people with the given values. If no
    /// person has the given combination of classes, the given classes are ignored in the draw.
    pub fn draw(&self, given: &BTreeMap<String, String>, rng: &mut impl Rng) -> BTreeMap<String, String> {
        let known: Vec<Option<f64>> = self
            .covariates
            .iter()
            .zip(&self.quantiles)
            .map(|(label, quantiles)| Some(score(quantiles, given.get(label)?.trim().parse().ok()?)))
            .collect();
        let fits = |cell: &&Cell| {
            self.classes
                .iter()
                .zip(&cell.values)
                .all(|(label, own)| given.get(label).is_none_or(|value| value == own))
        };
        let mut cells: Vec<&Cell> = self.cells.iter().filter(fits).collect();
        if cells.is_empty() {
            cells = self.cells.iter().collect();
        }
        let split = Split::of(&self.covariance, &known);
        let weights: Vec<f64> =
            cells.iter().map(|cell| (cell.people as f64).ln() + split.log_density(&cell.mean)).collect();
        let greatest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = weights.into_iter().map(|weight| (weight - greatest).exp()).collect();
        let mut place = rng.random::<f64>() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            place -= weight;
            place < 0.0
        });
        let cell = cells[chosen.unwrap_or(cells.len() - 1)];
        let mut labels = given.clone();
        for (label, value) in self.classes.iter().zip(&cell.values) {
            labels.entry(label.clone()).or_insert_with(|| value.clone());
        }
        for (at, score) in split.draw(&cell.mean, rng) {
            let value = || value(&self.quantiles[at], score).to_string();
            labels.entry(self.covariates[at].clone()).or_insert_with(value);
        }
        labels
    }
}

/// Normal scores of which some are known: how likely these are, and what the others are like then.
struct Split {
    /// Positions and values of those that are known.
    known: Vec<(usize, f64)>,
    free: Vec<usize>,
    /// Of the covariance of the known ones.
    of_known: Option<Cholesky<f64, nalgebra::Dyn>>,
    /// Covariance of free ones (rows) with known ones.
    across: DMatrix<f64>,
    /// Lower factor of the covariance of the free ones where the others are known.
    factor: DMatrix<f64>,
}

impl Split {
    fn of(covariance: &[Vec<f64>], scores: &[Option<f64>]) -> Self {
        let known: Vec<(usize, f64)> =
            scores.iter().enumerate().filter_map(|(at, score)| Some((at, (*score)?))).collect();
        let free: Vec<usize> = (0..scores.len()).filter(|&at| scores[at].is_none()).collect();
        let part = |rows: &[usize], columns: &[usize]| {
            DMatrix::from_fn(rows.len(), columns.len(), |i, j| covariance[rows[i]][columns[j]])
        };
        let places: Vec<usize> = known.iter().map(|(at, _)| *at).collect();
        let of_known = if known.is_empty() { None } else { Cholesky::new(part(&places, &places)) };
        let across = part(&free, &places);
        let mut rest = part(&free, &free);
        if let Some(of_known) = &of_known {
            rest -= &across * of_known.solve(&across.transpose());
        }
        let factor = Cholesky::new(rest).map_or(DMatrix::zeros(free.len(), free.len()), |factor| factor.l());
        Self { known, free, of_known, across, factor }
    }

    /// The known scores' distances from `mean`.
    fn departure(&self, mean: &[f64]) -> DVector<f64> {
        DVector::from_iterator(self.known.len(), self.known.iter().map(|(at, score)| score - mean[*at]))
    }

    /// Up to a constant.
    fn log_density(&self, mean: &[f64]) -> f64 {
        let Some(of_known) = &self.of_known else { return 0.0 };
        let from_mean = self.departure(mean);
        -0.5 * from_mean.dot(&of_known.solve(&from_mean))
    }

    /// Positions and values of the free scores.
    fn draw(&self, mean: &[f64], rng: &mut impl Rng) -> Vec<(usize, f64)> {
        let normal =
            DVector::from_iterator(self.free.len(), (0..self.free.len()).map(|_| rng.sample(StandardNormal)));
        let mut scores = &self.factor * normal;
        if let Some(of_known) = &self.of_known {
            scores += &self.across * of_known.solve(&self.departure(mean));
        }
        self.free.iter().zip(scores.iter()).map(|(&at, score)| (at, mean[at] + score)).collect()
    }
}

/// [`QUANTILES`] of `values`, ascending.
fn quantiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    (0..QUANTILES).map(|k| quantile(&values, probability(k as f64))).collect()
}

fn probability(k: f64) -> f64 {
    (k + 0.5) / QUANTILES as f64
}

/// The normal score of a value between quantiles; beyond them that of the outermost.
fn score(quantiles: &[f64], value: f64) -> f64 {
    let above = quantiles.partition_point(|quantile| *quantile < value);
    let k = if above == 0 {
        0.0
    } else if above == QUANTILES {
        QUANTILES as f64 - 1.0
    } else {
        let (low, high) = (quantiles[above - 1], quantiles[above]);
        above as f64 - 1.0 + (value - low) / (high - low)
    };
    Normal::standard().inverse_cdf(probability(k))
}

/// The value of a normal score, within the outermost quantiles.
fn value(quantiles: &[f64], score: f64) -> f64 {
    let place = Normal::standard().cdf(score) * QUANTILES as f64 - 0.5;
    let place = place.clamp(0.0, QUANTILES as f64 - 1.0);
    let below = place.floor() as usize;
    let above = (below + 1).min(QUANTILES - 1);
    quantiles[below] + (quantiles[above] - quantiles[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClassCondition, Covariate, Encoding};
    use crate::random::{Purpose, stream};

    fn recipe() -> ConditionsRecipe {
        let encoding = Encoding::Fourier { frequencies: 2 };
        let covariate = |label: &str| Covariate { label: label.into(), min: 0.0, max: 100.0, encoding };
        ConditionsRecipe {
            classes: vec![ClassCondition { label: "sex".into(), values: vec!["F".into(), "M".into()] }],
            covariates: vec![covariate("age"), covariate("ventricles_ml")],
        }
    }

    type Labels = BTreeMap<String, String>;

    /// Ages are uniform from 20 to 80; ventricles are a third of them and 5 ml larger in men, give or take 2 ml.
    fn people() -> Vec<Labels> {
        (0..400)
            .map(|person| {
                let mut rng = stream(5, 0, 0, person, Purpose::Labels);
                let age = 20.0 + 60.0 * rng.random::<f64>();
                let man = rng.random::<f64>() < 0.25;
                let noise: f64 = rng.sample(StandardNormal);
                let ventricles = age / 3.0 + if man { 5.0 } else { 0.0 } + 2.0 * noise;
                let sex = if man { "M" } else { "F" };
                [
                    ("sex", sex.to_string()),
                    ("age", age.to_string()),
                    ("ventricles_ml", ventricles.to_string()),
                ]
                .map(|(label, value)| (label.to_string(), value))
                .into()
            })
            .collect()
    }

    fn drawn(given: &[(&str, &str)]) -> Vec<Labels> {
        let people = people();
        let population = Population::of(&recipe(), &people.iter().collect::<Vec<_>>()).expect("people");
        let text = serde_json::to_string(&population).expect("JSON");
        assert_eq!(serde_json::from_str::<Population>(&text).expect("JSON"), population);
        let given: Labels = given.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        (0..1000).map(|seed| population.draw(&given, &mut stream(seed, 0, 0, 0, Purpose::Labels))).collect()
    }

    fn mean(all: &[Labels], label: &str) -> f64 {
        all.iter().map(|labels| labels[label].parse::<f64>().expect("a number")).sum::<f64>()
            / all.len() as f64
    }

    #[test]
    fn without_anything_given_draws_are_like_the_people() {
        let (found, people) = (drawn(&[]), people());
        let men =
            |all: &[Labels]| all.iter().filter(|one| one["sex"] == "M").count() as f64 / all.len() as f64;
        // Five standard errors of a share of a quarter.
        assert!((men(&found) - men(&people)).abs() < 5.0 * (0.1875f64 / 1000.0).sqrt());
        assert!((mean(&found, "age") - mean(&people, "age")).abs() < 5.0 * 17.3 / 1000f64.sqrt());
        let slope = |all: &[Labels]| {
            let (age, ml) = (mean(all, "age"), mean(all, "ventricles_ml"));
            let pairs = all.iter().map(|one| {
                (one["age"].parse::<f64>().unwrap() - age, one["ventricles_ml"].parse::<f64>().unwrap() - ml)
            });
            pairs.fold([0.0, 0.0], |[xy, xx], (x, y)| [xy + x * y, xx + x * x])
        };
        let ([xy, xx], [other_xy, other_xx]) = (slope(&found), slope(&people));
        assert!((xy / xx - other_xy / other_xx).abs() < 0.03, "{} {}", xy / xx, other_xy / other_xx);
    }

    #[test]
    fn what_is_given_draws_the_rest_with_it() {
        let found = drawn(&[("age", "70"), ("sex", "F")]);
        assert!(found.iter().all(|one| one["age"] == "70" && one["sex"] == "F"));
        let ml = mean(&found, "ventricles_ml");
        assert!((ml - 70.0 / 3.0).abs() < 1.0, "{ml}");
        // Of people of thirty, those with 16 ml are men.
        let found = drawn(&[("age", "30"), ("ventricles_ml", "16")]);
        let men = found.iter().filter(|one| one["sex"] == "M").count();
        assert!(men > 700, "{men}");
        let young = mean(&drawn(&[("ventricles_ml", "12")]), "age");
        assert!((25.0..42.0).contains(&young), "{young}");
    }

    #[test]
    fn scores_and_values_are_inverse_within_the_quantiles() {
        let quantiles = quantiles((0..101).map(f64::from).collect());
        for x in [2.5, 10.0, 33.3, 97.5] {
            assert!((value(&quantiles, score(&quantiles, x)) - x).abs() < 1e-6, "{x}");
        }
        assert_eq!((value(&quantiles, score(&quantiles, -9.0)), value(&quantiles, 9.0)), (2.5, 97.5));
        assert!(score(&quantiles, 50.0).abs() < 1e-9);
    }

    /// A woman alone among men: what is stored of her combination is the mean of everyone.
    #[test]
    fn the_mean_of_few_people_is_that_of_all() {
        let mut people = people();
        people.retain(|person| person["sex"] == "M");
        let mut woman = people[0].clone();
        woman.insert("sex".into(), "F".into());
        woman.insert("age".into(), "79.5".into());
        people.push(woman);
        let population = Population::of(&recipe(), &people.iter().collect::<Vec<_>>()).expect("people");
        let [women, men] = &population.cells[..] else { panic!("two combinations") };
        assert_eq!((women.people, men.people), (1, people.len() - 1));
        let all = (women.mean[0] - men.mean[0]).abs();
        assert!(all < 0.05, "the mean of all is nearly that of the men: {all}");
    }

    #[test]
    fn few_people_and_constants_have_a_distribution() {
        let one: Labels = [("sex", "F"), ("age", "30"), ("ventricles_ml", "12")]
            .map(|(label, value)| (label.to_string(), value.to_string()))
            .into();
        let population = Population::of(&recipe(), &[&one]).expect("a person");
        let found = population.draw(&Labels::new(), &mut stream(1, 0, 0, 0, Purpose::Labels));
        assert_eq!(found, one);
        assert!(Population::of(&recipe(), &[]).is_none());
        assert!(Population::of(&ConditionsRecipe::default(), &[&one]).is_none());
    }
}
