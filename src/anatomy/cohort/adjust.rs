//! Accounting for head size and covariates: from two cohorts to what [`Adjusted`] says.

use super::adjusted::{Adjusted, AdjustedQuantity, Contrast, Dropped, GroupEffect};
use super::compare::{LeftOut, Matched};
use super::covariates::Covariates;
use super::head::HeadSize;
use super::hypothesis::{PValue, adjust as adjust_p};
use super::linear::{Design, Unsolvable, bounded};
use super::sample::Sample;
use super::wasserstein::Transport;
use super::{Cohort, Quantity, Settings, complete};
use crate::error::{Error, Result};

/// The subjects that count: values of the quantities, head sizes and columns of the covariates, the real ones first.
struct Counted {
    /// Whether each subject is synthetic, as 0 and 1.
    group: Vec<f64>,
    head: Vec<f64>,
    covariates: Vec<(String, Vec<f64>)>,
    /// The values of each quantity.
    columns: Vec<Vec<f64>>,
}

/// Compares the cohorts with head size and covariates accounted for. Both must be in the order of the cohorts'
/// subjects. A subject without head size or a covariate does not count.
///
/// # Errors
/// [`Error::Value`] as [`compare`](super::compare()); for covariates that are constant or follow from one another or from
/// the cohort, and for fewer subjects than the model needs.
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
            Ok(adjusted) => quantities.push(adjusted),
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

    /// # Errors
    /// Why there is no model.
    fn adjusted(
        &self,
        quantity: &Quantity,
        column: &[f64],
        by_head_size: bool,
        settings: &Settings,
    ) -> std::result::Result<AdjustedQuantity, String> {
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
        let unsolvable = |why: Unsolvable| match why {
            Unsolvable::Dependent(which) => {
                let list: Vec<&str> = which.iter().map(|&index| names[index].as_str()).collect();
                format!("constant or following from one another: {}", list.join(", "))
            }
            Unsolvable::TooFew { subjects, coefficients } => {
                format!("{subjects} subjects for {coefficients} coefficients")
            }
        };
        let fit = Design::of(&columns).map_err(unsolvable)?.fit(&values);
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
        if by_head_size {
            let split = |values: &[f64]| {
                [0.0, 1.0].map(|of| {
                    let pairs = group.iter().zip(values).filter(|(group, _)| **group == of);
                    pairs.map(|(_, &value)| value).collect::<Vec<f64>>()
                })
            };
            let [real_head, real_values] = [&head, &values].map(|column| split(column)[0].clone());
            let mean = Sample::of(real_head.iter().copied()).mean;
            let design = Design::of(&[real_head]).map_err(|why| match why {
                Unsolvable::Dependent(_) => "one head size in all real subjects".to_string(),
                Unsolvable::TooFew { subjects, .. } => format!("{subjects} real subjects for the slope"),
            })?;
            let slope = design.fit(&real_values).coefficients[0];
            let derived = |value: &dyn Fn(f64, f64) -> f64| {
                let column: Vec<f64> = values.iter().zip(&head).map(|(&v, &h)| value(v, h)).collect();
                let [real, synthetic] = split(&column);
                Contrast::of(&real, &synthetic, settings.alpha)
            };
            adjusted.ratio = Some(derived(&|volume, head| volume / head));
            adjusted.residual = Some(derived(&|volume, head| volume - slope * (head - mean)));
            adjusted.slope = Some(slope);
        }
        Ok(adjusted)
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
mod tests {
    use super::super::{HeadMeasure, Known};
    use super::*;

    /// Fourteen real and eleven synthetic subjects of arithmetic: sex, age, head size and a volume of them. In numpy,
    /// with `i = np.arange(25)`: `g = i >= 14`, `age = 20 + i * 17 % 53`, `m = i % 3 != 0`, `head = 1300 + i * 37 % 101 * 4`,
    /// `v = 5 + 0.02 * head + 0.3 * age + 2 * m + i * 29 % 23 * 0.4 - 1.5 * g`.
    struct Subjects {
        real: Cohort,
        synthetic: Cohort,
        head: HeadSize,
        known: [Vec<Known>; 2],
    }

    fn subjects() -> Subjects {
        let row = |i: u32| {
            let (group, age, male) = (f64::from(u8::from(i >= 14)), f64::from(20 + i * 17 % 53), i % 3 != 0);
            let head = f64::from(1300 + i * 37 % 101 * 4);
            let rest = f64::from(i * 29 % 23) * 0.4 - 1.5 * group;
            let volume = 5.0 + 0.02 * head + 0.3 * age + 2.0 * f64::from(u8::from(male)) + rest;
            let known = [("age", age.to_string()), ("sex", if male { "M" } else { "F" }.to_string())];
            let known = known.map(|(name, value)| (name.to_string(), value)).into();
            ((format!("sub-{i}"), vec![volume, 0.5 + volume / 1000.0]), head, known)
        };
        let cohort = |range: std::ops::Range<u32>| {
            let quantities = vec![Quantity::new("cortex", "ml"), Quantity::new("ratio", "")];
            let rows = range.clone().map(|i| row(i).0).collect();
            let heads: Vec<Option<f64>> = range.clone().map(|i| Some(row(i).1)).collect();
            let known: Vec<Known> = range.map(|i| row(i).2).collect();
            (Cohort::new(quantities, rows).unwrap(), heads, known)
        };
        let ((real, real_head, known), (synthetic, synthetic_head, others)) = (cohort(0..14), cohort(14..25));
        let head =
            HeadSize { measure: HeadMeasure::Intracranial, real: real_head, synthetic: synthetic_head };
        Subjects { real, synthetic, head, known: [known, others] }
    }

    impl Subjects {
        fn adjusted(&self, covariates: &[&str]) -> Result<Adjusted> {
            let names: Vec<String> = covariates.iter().map(|name| name.to_string()).collect();
            let read = Covariates::of(&names, &self.known[0], &self.known[1])?;
            let asked = Some(&read).filter(|_| !names.is_empty());
            let quick = Settings { permutations: 99, splits: 5, ..Settings::default() };
            adjust(&self.real, &self.synthetic, &self.head, asked, &quick)
        }
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-8 * expected.abs(), "{found} {expected}");
    }

    /// statsmodels 0.15: `sm.OLS(v, sm.add_constant(np.c_[g, age, m, head])).fit()`: `params[1]`, `conf_int()[1]`,
    /// `tvalues[1]`, `pvalues[1]`, `t**2 / (t**2 + df_resid)`, `params[1] / np.sqrt(scale)`.
    #[test]
    fn the_model_agrees_with_statsmodels() {
        let found = subjects().adjusted(&["age", "sex"]).unwrap();
        let [cortex, ratio] = &found.quantities[..] else { panic!("{found:?}") };
        let model = &cortex.model;
        close(model.difference.estimate, -0.46204931116920694);
        close(model.difference.low, -2.95450495);
        close(model.difference.high, 2.03040633);
        close(model.t, -0.3866941336836466);
        close(model.p.p, 0.7030662648454191);
        close(model.partial_r2, 0.007421132679681989);
        close(model.standardised, -0.15801029585720935);
        assert_eq!((model.df, cortex.by_head_size), (20.0, true));
        // Without head size in the model there is a degree more; both p are one family.
        assert_eq!((ratio.model.df, ratio.by_head_size, &ratio.ratio), (21.0, false, &None));
        let smaller = model.p.p.min(ratio.model.p.p);
        close(model.p.holm.min(ratio.model.p.holm), (2.0 * smaller).min(1.0));
    }

    /// numpy and scipy: `b = np.polyfit(head[:14], v[:14], 1)[0]`, `x = v - b * (head - head[:14].mean())`, and `v / head`;
    /// `stats.ttest_ind(x[14:], x[:14], equal_var=False)`, `std(ddof=1)`.
    #[test]
    fn ratio_and_residual_agree_with_scipy() {
        let found = subjects().adjusted(&[]).unwrap();
        let [cortex] = &found.quantities[..] else { panic!("a ratio has nothing to account for: {found:?}") };
        close(cortex.slope.unwrap(), 0.014237412482380985);
        let (ratio, residual) = (cortex.ratio.unwrap(), cortex.residual.unwrap());
        let expected = [
            (ratio, [0.03647553081346885, 0.004659279575650462, 0.035166361496758135, 0.0032778571926666746]),
            (residual, [53.87857142857143, 5.8556605905198245, 52.453803180898404, 4.652519725053187]),
        ];
        for (of, [real_mean, real_sd, synthetic_mean, synthetic_sd]) in expected {
            close(of.real_mean, real_mean);
            close(of.real_sd, real_sd);
            close(of.synthetic_mean, synthetic_mean);
            close(of.synthetic_sd, synthetic_sd);
        }
        close(ratio.welch.t, -0.8234919841820598);
        close(ratio.welch.p.p, 0.41876521081990603);
        close(residual.welch.t, -0.6779224881333674);
        close(residual.welch.p.p, 0.504587474299556);
        assert_eq!((found.real_subjects, found.synthetic_subjects, found.dropped.len()), (14, 11, 0));
    }

    #[test]
    fn subjects_that_lack_something_are_named_and_do_not_count() {
        let mut subjects = subjects();
        subjects.known[0][3].remove("age");
        subjects.known[1][2].remove("sex");
        subjects.head.synthetic[2] = None;
        let found = subjects.adjusted(&["age", "sex"]).unwrap();
        assert_eq!((found.real_subjects, found.synthetic_subjects), (13, 10));
        assert_eq!(found.quantities[0].model.df, 18.0);
        let [real, synthetic] = &found.dropped[..] else { panic!("{:?}", found.dropped) };
        assert_eq!(real.to_words(), "sub-3 (real), without age");
        assert_eq!(synthetic.to_words(), "sub-16 (synthetic), without sex, intracranial volume");
        let table = found.to_table(0.95);
        assert!(
            table.contains("13 real and 10 synthetic subjects count") && table.contains("sex (F, M)"),
            "{table}"
        );
        // Only what is asked for makes subjects drop out.
        assert_eq!(subjects.adjusted(&[]).unwrap().dropped.len(), 1);
    }

    #[test]
    fn covariates_that_say_nothing_new_are_refused() {
        let mut subjects = subjects();
        for row in subjects.known.iter_mut().flatten() {
            let age: f64 = row["age"].parse().unwrap();
            row.insert("months".into(), (12.0 * age + 3.0).to_string());
            row.insert("scanner".into(), "A".into());
        }
        for (row, site) in [(0, "x"), (1, "y")] {
            subjects.known[row].iter_mut().for_each(|row| {
                row.insert("site".into(), site.into());
            });
        }
        for (covariates, words) in [
            (vec!["age", "sex", "months"], ["`age`, `months`", "leave one of them out"]),
            (vec!["site"], ["`cohort`, `site = y`", "same words"]),
            (vec!["scanner", "age"], ["`scanner`", "one value"]),
        ] {
            let message = subjects.adjusted(&covariates);
            let message = message.err().map_or_else(String::new, |error| error.to_string());
            assert!(words.iter().all(|word| message.contains(word)), "{covariates:?}: {message}");
        }
        for (at, row) in subjects.known.iter_mut().flatten().enumerate() {
            row.insert("name".into(), format!("n{at}"));
        }
        let message = subjects.adjusted(&["name"]).unwrap_err().to_string();
        assert!(message.contains("26 coefficients") && message.contains("25 subjects"), "{message}");
    }

    #[test]
    fn the_head_itself_is_not_adjusted_for_its_size_and_equal_heads_leave_a_reason() {
        let mut subjects = subjects();
        subjects.head.measure = HeadMeasure::Brain;
        let rename = |cohort: &Cohort| {
            let mut renamed = cohort.clone();
            renamed.quantities[0].name = "brain".into();
            renamed
        };
        let of_brain =
            Subjects { real: rename(&subjects.real), synthetic: rename(&subjects.synthetic), ..subjects };
        let found = of_brain.adjusted(&["age"]).unwrap();
        assert!(found.quantities.iter().all(|one| !one.by_head_size && one.ratio.is_none()), "{found:?}");
        assert!(of_brain.adjusted(&[]).unwrap().quantities.is_empty());
        let mut equal = self::subjects();
        equal.head.real.iter_mut().chain(&mut equal.head.synthetic).for_each(|head| *head = Some(1400.0));
        let found = equal.adjusted(&[]).unwrap();
        assert!(found.left_out[0].reason.contains("head size"), "{found:?}");
        equal.head.synthetic.iter_mut().for_each(|head| *head = None);
        let found = equal.adjusted(&[]).unwrap();
        assert_eq!((found.synthetic_subjects, found.head_synthetic_mean_ml), (0, None));
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Adjusted>(&text).unwrap(), found);
        assert!(!found.to_table(0.95).contains("NaN"));
    }

    #[test]
    fn tables_have_a_line_for_each_quantity() {
        let found = subjects().adjusted(&["age"]).unwrap();
        let csv = found.to_csv();
        let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{csv}");
        let column = |name: &str| lines[0].iter().position(|one| *one == name).unwrap();
        assert_eq!(lines[1][column("head_size")], "intracranial");
        assert_eq!(lines[2][column("residual_slope")], "");
        assert_eq!(lines[1][column("model_df")], "21");
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Adjusted>(&text).unwrap(), found);
    }
}
