//! The cohort comparison on volumes of real brains.

use std::path::Path;

use voxgan::anatomy::cohort::{Cohort, Quantity, Settings, power, power_csv, power_table};

#[test]
fn real_volumes_have_the_power_that_their_spread_allows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ds002748/volumes_meshnet18.csv");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("no ../shared/data: not tested on real volumes");
        return;
    };
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
