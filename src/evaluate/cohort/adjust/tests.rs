//! Fourteen real and eleven synthetic subjects of arithmetic, held against statsmodels and scipy.

use super::*;
use crate::evaluate::cohort::{HeadMeasure, Known};

/// Fourteen real and eleven synthetic subjects of arithmetic: sex, age, head size and a volume of them. In numpy, with
/// `i = np.arange(25)`: `g = i >= 14`, `age = 20 + i * 17 % 53`, `m = i % 3 != 0`, `head = 1300 + i * 37 % 101 * 4`,
/// `v = 5 + 0.02 * head + 0.3 * age + 2 * m + i * 29 % 23 * 0.4 - 1.5 * g`.
struct Subjects {
    real: Cohort,
    synthetic: Cohort,
    head: HeadSize,
    known: [Vec<Known>; 2],
}

fn subjects() -> Subjects {
    let row = |i: u32| {
        let (group, age, male) =
            (f64::from(u8::from(i >= 14)), f64::from(20 + i * 17 % 53), !i.is_multiple_of(3));
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
    let head = HeadSize { measure: HeadMeasure::Intracranial, real: real_head, synthetic: synthetic_head };
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

/// numpy: `X = np.c_[head, age, m]`, `r = X[:14]`, `b = lstsq(np.c_[ones, r], v[:14])[0][1:]`,
/// `x = v - (X - r.mean(0)) @ b`, then as above.
#[test]
fn residuals_of_covariates_agree_with_scipy_and_need_a_real_cohort_that_tells_them() {
    let mut subjects = subjects();
    let found = subjects.adjusted(&["age", "sex"]).unwrap();
    let (cortex, ratio) = (&found.quantities[0], &found.quantities[1]);
    close(cortex.slope.unwrap(), 0.006483086626248889);
    let residual = cortex.residual.unwrap();
    close(residual.real_sd, 2.2110646002225427);
    close(residual.synthetic_mean, 53.79648123603231);
    close(residual.welch.t, -0.05931776425597389);
    close(residual.welch.p.p, 0.9535140308146651);
    assert!(ratio.residual.is_some() && ratio.slope.is_none());
    for row in &mut subjects.known[0] {
        row.insert("sex".into(), "M".into());
    }
    let found = subjects.adjusted(&["age", "sex"]).unwrap();
    assert!(found.quantities.iter().all(|one| one.residual.is_none() && one.slope.is_none()), "{found:?}");
    assert!(found.quantities[0].ratio.is_some());
    assert!(found.left_out[0].reason.contains("sex = M"), "{:?}", found.left_out);
    let rows = found.contrasts().rows;
    assert!(rows.iter().all(|row| row.len() == found.contrasts().head.len()), "{rows:?}");
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
