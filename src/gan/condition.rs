//! Labels as the vector that conditions a network: classes one-hot, continuous covariates as several features.

use std::collections::BTreeMap;

use crate::config::{ClassCondition, ConditionsRecipe, Covariate, Encoding};
use crate::error::{Error, Result};

/// The conditions of a network, and the encoding of labels as its condition vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    recipe: ConditionsRecipe,
    extrapolates: bool,
}

impl Conditions {
    /// The conditions of a recipe that [`crate::config::Recipe::validate`] has accepted.
    pub fn new(recipe: &ConditionsRecipe) -> Self {
        Self { recipe: recipe.clone(), extrapolates: false }
    }

    /// These conditions with values outside the covariates' ranges accepted, which no network was trained on: Fourier
    /// features continue as sines, soft bins linearly by the two outermost bins.
    #[must_use]
    pub fn extrapolating(self) -> Self {
        Self { extrapolates: true, ..self }
    }

    /// Length of the condition vector; zero for a network without conditions.
    pub fn width(&self) -> usize {
        self.recipe.width()
    }

    /// The continuous labels, in the order of the vector.
    pub fn covariates(&self) -> &[Covariate] {
        &self.recipe.covariates
    }

    /// Names of the labels in the order of the vector: classes, then covariates.
    pub fn labels(&self) -> Vec<&str> {
        let classes = self.recipe.classes.iter().map(|class| class.label.as_str());
        classes.chain(self.recipe.covariates.iter().map(|covariate| covariate.label.as_str())).collect()
    }

    /// The vector for `labels` (name → text, as in a table of participants), `[width]`: each class one-hot, then each
    /// covariate's features ([`Encoding`]; for a Fourier encoding `sin, cos`, the lowest frequency first). Other labels
    /// are ignored.
    ///
    /// # Errors
    /// [`Error::Value`] naming the label if it is missing, its class is unknown, or its value is no number or, unless
    /// [`Conditions::extrapolating`], outside the covariate's range.
    pub fn encode(&self, labels: &BTreeMap<String, String>) -> Result<Vec<f32>> {
        let mut vector = Vec::with_capacity(self.width());
        for class in &self.recipe.classes {
            one_hot(class, self.value(labels, &class.label)?, &mut vector)?;
        }
        for covariate in &self.recipe.covariates {
            features(covariate, self.value(labels, &covariate.label)?, self.extrapolates, &mut vector)?;
        }
        Ok(vector)
    }

    /// Labels from a command line, `name=value` with commas between: "age_years=34,sex=F". Spaces around names and
    /// values are ignored; an empty text gives no labels.
    ///
    /// # Errors
    /// [`Error::Value`] for a part without `=`, a label that the network is not conditioned on, or a label given twice.
    /// Values are checked by [`Conditions::encode`].
    pub fn parse(&self, text: &str) -> Result<BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        if text.trim().is_empty() {
            return Ok(labels);
        }
        for part in text.split(',') {
            let Some((label, value)) =
                part.split_once('=').map(|(label, value)| (label.trim(), value.trim()))
            else {
                let advice = format!("write for instance `{}`", self.example());
                let found = format!("`{}`", part.trim());
                return Err(Error::value("conditions", "name=value with commas between", found, advice));
            };
            if !self.labels().contains(&label) {
                let expected = match &self.labels()[..] {
                    [] => "nothing, this network having no conditions".to_string(),
                    known => format!("one of {}", known.join(", ")),
                };
                return Err(Error::value(
                    "conditions",
                    expected,
                    format!("`{label}`"),
                    "correct or remove it",
                ));
            }
            if labels.insert(label.to_string(), value.to_string()).is_some() {
                return Err(Error::value(label, "one value", "two", "give it once"));
            }
        }
        Ok(labels)
    }

    fn value<'a>(&self, labels: &'a BTreeMap<String, String>, label: &str) -> Result<&'a str> {
        labels.get(label).map(|value| value.trim()).ok_or_else(|| {
            let expected = format!("a value for each of {}", self.labels().join(", "));
            Error::value(
                label,
                expected,
                "none",
                format!("give all of them, for instance `{}`", self.example()),
            )
        })
    }

    /// Labels as a command line would have them.
    fn example(&self) -> String {
        let classes = self.recipe.classes.iter();
        let classes =
            classes.map(|class| format!("{}={}", class.label, class.values.first().map_or("", |v| v)));
        let covariates = self.recipe.covariates.iter();
        let covariates = covariates.map(|c| format!("{}={}", c.label, (c.min + c.max) / 2.0));
        classes.chain(covariates).collect::<Vec<_>>().join(",")
    }
}

fn one_hot(class: &ClassCondition, value: &str, vector: &mut Vec<f32>) -> Result<()> {
    if !class.values.iter().any(|known| known == value) {
        let expected = format!("one of {}", class.values.join(", "));
        return Err(Error::value(&class.label, expected, format!("`{value}`"), "choose one of these"));
    }
    vector.extend(class.values.iter().map(|known| if known == value { 1.0 } else { 0.0 }));
    Ok(())
}

fn features(covariate: &Covariate, value: &str, extrapolates: bool, vector: &mut Vec<f32>) -> Result<()> {
    let Covariate { label, min, max, encoding } = covariate;
    let known = |number: &f64| (*min..=*max).contains(number) || (extrapolates && number.is_finite());
    let number: Option<f64> = value.parse().ok().filter(known);
    let Some(number) = number else {
        let with_point = value.replace(',', ".");
        let advice = match (value.parse::<f64>().is_ok_and(f64::is_finite), with_point.parse::<f64>()) {
            (false, Ok(number)) if value.contains(',') => format!("write {number}, with a point"),
            (false, _) => "give a number, or n/a in a table where it is not known".into(),
            (true, _) => "the network has learned this range only; --extrapolate of `generate` and `evaluate` goes beyond".into(),
        };
        return Err(Error::value(
            label,
            format!("a number from {min} to {max}"),
            format!("`{value}`"),
            advice,
        ));
    };
    let t = (number - min) / (max - min);
    match *encoding {
        Encoding::Fourier { frequencies } => {
            for k in 0..frequencies {
                let angle = f64::from(1u32 << k) * std::f64::consts::PI * t / 2.0;
                vector.extend([angle.sin() as f32, angle.cos() as f32]);
            }
        }
        Encoding::SoftBins { bins } => {
            let place = t * (bins - 1) as f64;
            let below = place.floor().clamp(0.0, bins as f64 - 2.0);
            let weights = [1.0 - (place - below), place - below];
            let of = |bin: usize| weights.get(bin.wrapping_sub(below as usize)).copied().unwrap_or(0.0);
            vector.extend((0..bins).map(|bin| of(bin) as f32));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions() -> Conditions {
        let covariate =
            |label: &str, max, encoding| Covariate { label: label.into(), min: 20.0, max, encoding };
        Conditions::new(&ConditionsRecipe {
            classes: vec![ClassCondition { label: "sex".into(), values: vec!["F".into(), "M".into()] }],
            covariates: vec![
                covariate("age_years", 60.0, Encoding::Fourier { frequencies: 2 }),
                covariate("ventricles_ml", 40.0, Encoding::SoftBins { bins: 5 }),
            ],
        })
    }

    #[test]
    fn numbers_that_are_none_are_told_how_to_be_written() {
        let message = |age: &str| {
            let mut labels = conditions().parse("sex=F,ventricles_ml=45").expect("labels");
            labels.insert("age_years".into(), age.into());
            conditions().encode(&labels).unwrap_err().to_string()
        };
        assert!(message("34,5").contains("write 34.5"), "{}", message("34,5"));
        for age in ["89+", "-", "1e400", "inf", "NaN"] {
            assert!(message(age).contains(age) && message(age).contains("n/a"), "{}", message(age));
        }
        assert!(message("500").contains("--extrapolate"));
    }

    #[test]
    fn a_vector_is_one_hot_then_fourier_then_bins() {
        let conditions = conditions();
        // A third of the range: angles π/6 and π/3; 23 ml is 0.15·4 = 0.6 bins up.
        let age = (20.0 + 40.0 / 3.0).to_string();
        let labels =
            conditions.parse(&format!(" sex = M, age_years={age} ,ventricles_ml=23")).expect("labels");
        let vector = conditions.encode(&labels).expect("a vector");
        let half_root_three = 0.75f32.sqrt();
        let expected = [0.0, 1.0, 0.5, half_root_three, half_root_three, 0.5, 0.4, 0.6, 0.0, 0.0, 0.0];
        assert_eq!(vector.len(), conditions.width());
        for (found, expected) in vector.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{vector:?}");
        }
    }

    #[test]
    fn the_ends_of_a_range_are_in_it_and_bins_sum_to_one() {
        let conditions = conditions();
        let bins = |ml: &str| {
            let labels = conditions.parse(&format!("sex=F,age_years=60,ventricles_ml={ml}")).expect("labels");
            conditions.encode(&labels).expect("a vector")[6..].to_vec()
        };
        assert_eq!(bins("20"), [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(bins("40"), [0.0, 0.0, 0.0, 0.0, 1.0]);
        for ml in ["20.1", "27.77", "33", "39.999"] {
            assert!((bins(ml).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn beyond_their_ranges_features_go_on() {
        let labels = conditions().parse("sex=F,age_years=80,ventricles_ml=45").expect("labels");
        assert!(conditions().encode(&labels).expect_err("beyond").to_string().contains("--extrapolate"));
        let vector = conditions().extrapolating().encode(&labels).expect("a vector");
        // Half beyond the range of ages: angles 3π/4 and 3π/2. A quarter beyond that of volumes: one bin more.
        let half = 0.5f32.sqrt();
        for (found, expected) in vector[2..].iter().zip([half, -half, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 2.0]) {
            assert!((found - expected).abs() < 1e-6, "{vector:?}");
        }
        let labels = conditions().parse("sex=F,age_years=NaN,ventricles_ml=45").expect("labels");
        assert!(conditions().extrapolating().encode(&labels).is_err());
    }

    #[test]
    fn errors_name_the_label_and_what_exists() {
        let conditions = conditions();
        let parse = |text: &str| conditions.parse(text).map(drop).map_err(|e| e.to_string());
        let encode = |text: &str| {
            let labels = conditions.parse(text)?;
            conditions.encode(&labels).map(drop)
        };
        let encode = |text: &str| encode(text).map_err(|e| e.to_string());
        let error = |text: &str| format!("{text:?}");
        for (result, parts) in [
            (parse("height=180"), vec!["`height`", "one of sex, age_years, ventricles_ml"]),
            (parse("sex"), vec!["name=value", "`sex`", "sex=F,age_years=40,ventricles_ml=30"]),
            (parse("sex=F,sex=M"), vec!["sex: expected one value"]),
            (encode("sex=F,age_years=34"), vec!["ventricles_ml: expected a value", "found none"]),
            (encode("sex=x,age_years=34,ventricles_ml=30"), vec!["sex: expected one of F, M, found `x`"]),
            (
                encode("sex=F,age_years=61,ventricles_ml=30"),
                vec!["age_years: expected a number from 20 to 60, found `61`"],
            ),
            (encode("sex=F,age_years=NaN,ventricles_ml=30"), vec!["age_years", "`NaN`"]),
            (encode("sex=F,age_years=old,ventricles_ml=30"), vec!["age_years", "`old`"]),
        ] {
            let message = result.expect_err("bad labels");
            parts.iter().for_each(|part| assert!(message.contains(part), "{} lacks {part}", error(&message)));
        }
    }

    #[test]
    fn a_network_without_conditions_has_an_empty_vector() {
        let conditions = Conditions::new(&ConditionsRecipe::default());
        assert_eq!((conditions.width(), conditions.encode(&BTreeMap::new()).expect("nothing")), (0, vec![]));
        assert!(conditions.parse("").expect("no labels").is_empty());
        assert!(conditions.parse("sex=F").expect_err("unknown").to_string().contains("no conditions"));
    }
}
