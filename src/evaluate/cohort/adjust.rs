//! The comparison of two cohorts adjusted for head size and covariates.

use super::adjusted::{Adjusted, AdjustedQuantity, Contrast, Dropped, GroupEffect};
use super::compare::{LeftOut, Matched};
use super::covariates::Covariates;
use super::head::HeadSize;
use super::hypothesis::{PValue, adjust as adjust_p};
use super::linear::{Design, Unsolvable, bounded};
use super::wasserstein::Transport;
use super::{Cohort, Quantity, Settings, complete};
use crate::error::{Error, Result};
use crate::stats::Sample;

/// The subjects that count: values of the quantities, head sizes and columns of the covariates, the real ones first.
struct Counted {
    /// Whether each subject is synthetic, as 0 and 1.
    group: Vec<f64>,
    head: Vec<f64>,
    covariates: Vec<(String, Vec<f64>)>,
    /// The values of each quantity.
    columns: Vec<Vec<f64>>,
}

/// Compares the cohorts adjusted for head size and covariates, both in the order of the cohorts' subjects. Subjects
/// without head size or a covariate are left out.
///
/// # Errors
/// [`Error::Value`] if no quantity can be compared or units differ; for covariates that are constant or linearly
/// dependent on one another or on the cohort, and for fewer subjects than the model needs.
pub fn adjust(
    real: &Cohort,
    synthetic: &Cohort,
    head: &HeadSize,
    covariates: Option<&Covariates>,
    settings: &Settings,
) -> Result<Adjusted> {
    let matched = Matched::of(real, synthetic)?;
    let (counted, dropped) = Counted::of(real, synthetic, &matched, head, covariates);
    let (real_subjects, synthetic_subjects) = (counted.count(0.0), counted.count(1.0));
    counted.check(covariates.is_some())?;
    let mut quantities = Vec::new();
    let mut left_out = Vec::new();
    for (quantity, column) in matched.quantities.iter().zip(&counted.columns) {
        let by_head_size = quantity.unit == "ml" && quantity.name != head.measure.region();
        if !by_head_size && covariates.is_none() {
            continue;
        }
        match counted.adjusted(quantity, column, by_head_size, settings) {
            Ok((adjusted, without)) => {
                quantities.push(adjusted);
                left_out.extend(without.map(|reason| LeftOut { quantity: quantity.name.clone(), reason }));
            }
            Err(reason) => left_out.push(LeftOut { quantity: quantity.name.clone(), reason }),
        }
    }
    adjust_p(quantities.iter_mut().map(|one| &mut one.model.p));
    adjust_p(quantities.iter_mut().filter_map(|one| Some(&mut one.ratio.as_mut()?.welch.p)));
    adjust_p(quantities.iter_mut().filter_map(|one| Some(&mut one.residual.as_mut()?.welch.p)));
    let mean = |group: f64| {
        Some(Sample::of(counted.part(&counted.head, group)).mean).filter(|mean| mean.is_finite())
    };
    Ok(Adjusted {
        head: head.measure,
        head_real_mean_ml: mean(0.0),
        head_synthetic_mean_ml: mean(1.0),
        covariates: covariates.map_or_else(Vec::new, |covariates| covariates.list.clone()),
        real_subjects,
        synthetic_subjects,
        dropped,
        wasserstein: counted.transport(&matched, &quantities, settings),
        quantities,
        left_out,
    })
}

impl Counted {
    fn of(
        real: &Cohort,
        synthetic: &Cohort,
        matched: &Matched,
        head: &HeadSize,
        covariates: Option<&Covariates>,
    ) -> (Self, Vec<Dropped>) {
        let sizes: Vec<Option<f64>> = head.real.iter().chain(&head.synthetic).copied().collect();
        let subjects = real.subjects().iter().chain(synthetic.subjects());
        let first_synthetic = real.subjects().len();
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (index, subject) in subjects.enumerate() {
            let mut lacks = covariates.map_or_else(Vec::new, |known| known.missing[index].clone());
            if sizes[index].is_none() {
                lacks.push(format!("{} volume", head.measure.region()));
            }
            if lacks.is_empty() {
                kept.push(index);
            } else {
                let synthetic = index >= first_synthetic;
                dropped.push(Dropped { synthetic, subject: subject.clone(), lacks });
            }
        }
        let of_kept = |column: &[f64]| kept.iter().map(|&index| column[index]).collect::<Vec<f64>>();
        let pooled = matched.real.iter().zip(&matched.synthetic);
        let covariates = covariates.into_iter().flat_map(|known| &known.columns);
        let counted = Self {
            group: kept.iter().map(|&index| f64::from(u8::from(index >= first_synthetic))).collect(),
            head: kept.iter().filter_map(|&index| sizes[index]).collect(),
            covariates: covariates.map(|(name, column)| (name.clone(), of_kept(column))).collect(),
            columns: pooled.map(|(real, synthetic)| of_kept(&[&real[..], synthetic].concat())).collect(),
        };
        (counted, dropped)
    }

    fn count(&self, group: f64) -> usize {
        self.group.iter().filter(|&&of| of == group).count()
    }

    /// The values of one cohort.
    fn part(&self, column: &[f64], group: f64) -> Vec<f64> {
        self.group.iter().zip(column).filter(|(of, _)| **of == group).map(|(_, &value)| value).collect()
    }

    /// Whether the cohort and the covariates make a model.
    fn check(&self, asked: bool) -> Result<()> {
        if !asked {
            return Ok(());
        }
        let named = std::iter::once(("cohort", &self.group))
            .chain(self.covariates.iter().map(|(name, column)| (name.as_str(), column)));
        let (names, columns): (Vec<&str>, Vec<Vec<f64>>) =
            named.map(|(name, column)| (name, column.clone())).unzip();
        let Err(unsolvable) = Design::of(&columns) else { return Ok(()) };
        Err(match unsolvable {
            Unsolvable::Dependent(which) if which.len() == 1 => {
                let found = format!("one value of `{}` in all subjects that count", names[which[0]]);
                let advice = "leave that covariate out, or fill in what is missing";
                Error::value("covariates", "values that vary", found, advice)
            }
            Unsolvable::Dependent(which) => {
                let list: Vec<String> = which.iter().map(|&index| format!("`{}`", names[index])).collect();
                let found = format!("{} that follow from one another", list.join(", "));
                let advice =
                    "leave one of them out; a category must have the same words in both cohorts' tables";
                Error::value("covariates", "columns that each say something new", found, advice)
            }
            Unsolvable::TooFew { subjects, coefficients } => {
                let expected = format!("more subjects than the {coefficients} coefficients of the model");
                let advice = "ask for fewer covariates, or for numbers instead of categories of many words";
                Error::value("covariates", expected, format!("{subjects} subjects with all of them"), advice)
            }
        })
    }

    /// The quantity adjusted, and why it has no residual where it has none.
    ///
    /// # Errors
    /// Why there is no model.
    fn adjusted(
        &self,
        quantity: &Quantity,
        column: &[f64],
        by_head_size: bool,
        settings: &Settings,
    ) -> std::result::Result<(AdjustedQuantity, Option<String>), String> {
        let whole: Vec<usize> = (0..column.len()).filter(|&subject| !column[subject].is_nan()).collect();
        let at = |column: &[f64]| whole.iter().map(|&subject| column[subject]).collect::<Vec<f64>>();
        let (values, group, head) = (at(column), at(&self.group), at(&self.head));
        let mut names = vec!["cohort".to_string()];
        let mut columns = vec![group.clone()];
        for (name, covariate) in &self.covariates {
            names.push(name.clone());
            columns.push(at(covariate));
        }
        if by_head_size {
            names.push("head size".into());
            columns.push(head.clone());
        }
        let reason = |why: Unsolvable, first: usize| match why {
            Unsolvable::Dependent(which) => {
                let list: Vec<&str> = which.iter().map(|&index| names[first + index].as_str()).collect();
                format!("constant or following from one another: {}", list.join(", "))
            }
            Unsolvable::TooFew { subjects, coefficients } => {
                format!("{subjects} subjects for {coefficients} coefficients")
            }
        };
        let fit = Design::of(&columns).map_err(|why| reason(why, 0))?.fit(&values);
        let t = fit.t(0);
        let model = GroupEffect {
            difference: fit.interval(0, settings.confidence),
            t,
            df: fit.df,
            p: PValue::alone(fit.p(0)),
            partial_r2: 1.0 / (1.0 + fit.df / (t * t)),
            standardised: bounded(fit.coefficients[0] / fit.residual_sd.max(f64::MIN_POSITIVE)),
        };
        let mut adjusted = AdjustedQuantity {
            quantity: quantity.clone(),
            by_head_size,
            model,
            ratio: None,
            residual: None,
            slope: None,
        };
        let split = |values: &[f64]| {
            [0.0, 1.0].map(|of| {
                let pairs = group.iter().zip(values).filter(|(group, _)| **group == of);
                pairs.map(|(_, &value)| value).collect::<Vec<f64>>()
            })
        };
        let contrast = |values: &[f64]| {
            let [real, synthetic] = split(values);
            Contrast::of(&real, &synthetic, settings.alpha)
        };
        if by_head_size {
            let ratios: Vec<f64> = values.iter().zip(&head).map(|(volume, head)| volume / head).collect();
            adjusted.ratio = Some(contrast(&ratios));
        }
        // The cohort is the first column; what it is compared at are the others, as the real subjects alone have them.
        let real: Vec<Vec<f64>> = columns[1..].iter().map(|column| split(column)[0].clone()).collect();
        match Design::of(&real) {
            Ok(design) => {
                let slopes = design.fit(&split(&values)[0]).coefficients;
                let mut residuals = values.clone();
                for ((column, real), slope) in columns[1..].iter().zip(&real).zip(&slopes) {
                    let mean = Sample::of(real.iter().copied()).mean;
                    residuals.iter_mut().zip(column).for_each(|(value, x)| *value -= slope * (x - mean));
                }
                adjusted.residual = Some(contrast(&residuals));
                adjusted.slope = slopes.last().copied().filter(|_| by_head_size);
                Ok((adjusted, None))
            }
            Err(why) => {
                Ok((adjusted, Some(format!("no residual: in the real cohort alone, {}", reason(why, 1)))))
            }
        }
    }

    /// The Wasserstein distance of those volumes over head size that have a ratio.
    fn transport(
        &self,
        matched: &Matched,
        quantities: &[AdjustedQuantity],
        settings: &Settings,
    ) -> Option<Transport> {
        let volumes = matched.quantities.iter().zip(&self.columns).filter(|(quantity, _)| {
            quantities.iter().any(|one| one.ratio.is_some() && one.quantity.name == quantity.name)
        });
        let (names, ratios): (Vec<&str>, Vec<Vec<f64>>) = volumes
            .map(|(quantity, column)| {
                let ratios = column.iter().zip(&self.head).map(|(volume, head)| volume / head);
                (quantity.name.as_str(), ratios.collect::<Vec<f64>>())
            })
            .unzip();
        if names.len() < 2 {
            return None;
        }
        let of = |group| complete(&ratios.iter().map(|column| self.part(column, group)).collect::<Vec<_>>());
        Transport::of(&of(0.0), &of(1.0), &names, settings, 1)
    }
}

#[cfg(test)]
mod tests;
