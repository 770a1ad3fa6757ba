//! The cohort comparison on volumes of real brains.

use voxgan::evaluate::cohort::{
    AgeTrend, Aged, Cohort, Covariates, HeadMeasure, HeadSize, Known, Quantity, Settings, adjust, power,
    power_csv, power_table,
};
use voxgan::io::bids::Participants;

use crate::needs;

#[test]
fn real_volumes_have_the_power_that_their_spread_allows() {
    let Some(path) = needs::data("ds002748/volumes_meshnet18.csv") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let names = ["brain", "lateral_ventricles", "white_matter", "cortex"];
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0].to_string(), [2, 3, 5, 6].map(|column| fields[column].parse().unwrap()).to_vec())
    });
    let real = Cohort::new(names.map(|name| Quantity::new(name, "ml")).to_vec(), rows.collect()).unwrap();
    let scaled = |name: &'static str, factor: f64| {
        real.altered(move |of, value| if of.name == name { factor * value } else { value })
    };
    let alterations =
        [("ventricles x 1.2", scaled("lateral_ventricles", 1.2)), ("brain x 1.05", scaled("brain", 1.05))];
    let powers = power(&real, &alterations, 60, 60, &Settings::default()).unwrap();
    let [unaltered, ventricles, brain] = &powers[..] else { panic!("three rows") };
    assert!(unaltered.welch.estimate < 0.15 && unaltered.kolmogorov_smirnov.estimate < 0.15);
    // d = 0.63 and 0.5 at a quarter of α: 0.83 and 0.61 by the noncentral t.
    assert!((0.6..0.97).contains(&ventricles.quantities[1].welch.estimate), "{ventricles:?}");
    assert!((0.4..0.85).contains(&brain.quantities[0].welch.estimate), "{brain:?}");
    // Brain volumes that do not go with their parts show in the joint tests first.
    assert!(brain.correlations.estimate + brain.energy.estimate > 0.0);
    assert_eq!(power_csv(&powers).lines().count(), 1 + 3 * 5);
    assert!(power_table(&powers).contains("brain x 1.05"));
}

/// Men for real and women for synthetic ones of IXI, four of 159 without age and sex. statsmodels 0.15, `g`, `age` and `b`
/// being 1 for women, age and brain volume, and `v` the column: `sm.OLS(v, sm.add_constant(np.c_[g, age, b])).fit()`, for the
/// brain without `b`: `params[1]`, `pvalues[1]`, `df_resid`.
#[test]
fn men_and_women_at_equal_age_and_head_size_agree_with_statsmodels() {
    let Some(path) = needs::data("ixi/participants.tsv") else { return };
    let table = Participants::read(&path).unwrap();
    let of_sex = |sex: &str| -> Vec<(String, Known)> {
        let rows = table.rows.iter().filter(|(_, row)| row.get("sex").is_none_or(|of| of == sex));
        // Who has no sex counts among the men, and drops out.
        let rows = rows.filter(|(_, row)| row.contains_key("sex") || sex == "M");
        rows.map(|(subject, row)| (subject.clone(), row.clone())).collect()
    };
    let (men, women) = (of_sex("M"), of_sex("F"));
    let number = |row: &Known, column: &str| row[column].parse::<f64>().unwrap();
    let cohort = |list: &[(String, Known)]| {
        let names = ["lateral_ventricles", "third_ventricle", "brain"];
        let row = |row: &Known| names.map(|name| number(row, &format!("{name}_ml"))).to_vec();
        let rows = list.iter().map(|(subject, known)| (subject.clone(), row(known))).collect();
        Cohort::new(names.map(|name| Quantity::new(name, "ml")).to_vec(), rows).unwrap()
    };
    let heads =
        |list: &[(String, Known)]| list.iter().map(|(_, row)| Some(number(row, "brain_ml"))).collect();
    let head = HeadSize { measure: HeadMeasure::Brain, real: heads(&men), synthetic: heads(&women) };
    let known = |list: &[(String, Known)]| list.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>();
    let covariates = Covariates::of(&["age".into()], &known(&men), &known(&women)).unwrap();
    let settings = Settings { permutations: 199, splits: 50, ..Settings::default() };
    let found = adjust(&cohort(&men), &cohort(&women), &head, Some(&covariates), &settings).unwrap();
    assert_eq!((found.real_subjects + found.synthetic_subjects, found.dropped.len()), (155, 4));
    let expected = [
        ("lateral_ventricles", -0.978320338538964, 0.5998412910299519, 151.0),
        ("third_ventricle", -0.17245775939264413, 0.00944964230150151, 151.0),
        ("brain", -150.3502943713883, 2.0026202131692884e-14, 152.0),
    ];
    for (one, (name, difference, p, df)) in found.quantities.iter().zip(expected) {
        assert_eq!((one.quantity.name.as_str(), one.model.df), (name, df));
        assert!((one.model.difference.estimate / difference - 1.0).abs() < 1e-8, "{one:?}");
        assert!((one.model.p.p / p - 1.0).abs() < 1e-5, "{one:?}");
    }
    // Both ventricles over the brain: ages are alike, and so are the ratios.
    let ratios = found.wasserstein.unwrap();
    assert!(ratios.p > 0.01 && ratios.reference.unwrap().farther < 0.95, "{ratios:?}");
    // The interval of men holds about 95 % of women too.
    let aged = |list: &[(String, Known)]| {
        let one = |(subject, row): &(String, Known)| Aged {
            subject: subject.clone(),
            age: row.get("age").map(|age| age.parse().unwrap()),
            value: number(row, "lateral_ventricles_ml"),
        };
        list.iter().map(one).collect::<Vec<_>>()
    };
    let trend =
        AgeTrend::of(Quantity::new("lateral_ventricles", "ml"), aged(&men), aged(&women), 0.95).unwrap();
    let share = trend.synthetic_inside as f64 / trend.synthetic_within_ages as f64;
    assert!((0.88..=1.0).contains(&share), "{share}");
}
