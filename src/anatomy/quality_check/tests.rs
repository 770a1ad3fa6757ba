//! The quality check on records with known changes.

use std::path::Path;

use super::*;
use crate::anatomy::structures::Region;

const LIMITS: &str = "
    mirrored_allowed = false
    cohort_pairs_min = 3
    [regions.brain]
    change_max_percent = 2.0
    dice_min = 0.95
    hausdorff95_max_mm = 2.0
    cohort = { bias_max_percent = 1.0, agreement_max_percent = 2.0, icc_min = 0.9 }
    [regions.third_ventricle]
    change_max_percent = 10.0
    change_tolerance_ml = 0.3
    hausdorff95_max_mm = 2.0
";

fn check() -> QualityCheck {
    QualityCheck::from_toml(LIMITS, Path::new("limits.toml")).unwrap()
}

fn kept() -> SidesCheck {
    SidesCheck { found: Sides::Kept, kept: 0.98, mirrored: 0.6, exchanged: 0.3, flipped: 0.3 }
}

/// A pair whose regions are all as they were but for one.
fn record(name: &str, region: &str, volumes_ml: [f64; 2], dice: Option<f64>, mm: Option<f64>) -> PairRecord {
    let change = |one: &Region| {
        let ([before_ml, after_ml], dice, mm) =
            if one.name == region { (volumes_ml, dice, mm) } else { ([100.0; 2], Some(1.0), Some(0.0)) };
        let change_ml = after_ml - before_ml;
        RegionChange {
            region: one.name.into(),
            before_ml,
            after_ml,
            change_ml,
            change_percent: (before_ml > 0.0).then(|| 100.0 * change_ml / before_ml),
            dice,
            hausdorff95_mm: mm,
            surface_distance_mm: mm,
            not_judged: None,
        }
    };
    PairRecord {
        name: name.into(),
        sides: kept(),
        grids: None,
        regions: REGIONS.iter().map(change).collect(),
    }
}

fn failed(record: PairRecord) -> Vec<Limit> {
    let verdict = check().judge(vec![record]);
    let failures = verdict.pairs[0].regions.iter().flat_map(|region| &region.failures);
    let failures: Vec<Limit> =
        failures.chain(&verdict.pairs[0].sides_failure).map(|failure| failure.limit).collect();
    assert_eq!(verdict.passed, failures.is_empty());
    failures
}

#[test]
fn each_limit_is_applied_at_its_value_and_not_below() {
    use Limit::*;
    for (region, volumes_ml, dice, mm, expected) in [
        ("brain", [1000.0, 1020.0], Some(0.95), Some(2.0), vec![]),
        ("brain", [1000.0, 980.0], Some(0.95), Some(2.0), vec![]),
        ("brain", [1000.0, 1020.1], Some(0.95), Some(2.0), vec![VolumeChange]),
        ("brain", [1000.0, 979.9], Some(0.949), Some(2.01), vec![VolumeChange, Dice, Hausdorff95]),
        ("brain", [1000.0, f64::NAN], Some(1.0), Some(0.0), vec![VolumeChange]),
        // What no limit is set on may do as it likes.
        ("cerebellum", [100.0, 50.0], Some(0.2), Some(40.0), vec![]),
        ("third_ventricle", [1.0, 1.29], Some(0.1), Some(2.0), vec![]),
        ("third_ventricle", [1.0, 1.31], Some(0.1), Some(2.0), vec![VolumeChange]),
        ("third_ventricle", [4.0, 4.39], Some(0.1), Some(2.0), vec![]),
        // Gone, appeared, never there.
        ("third_ventricle", [1.0, 0.0], Some(0.0), None, vec![VolumeChange, Hausdorff95]),
        ("third_ventricle", [0.0, 0.2], Some(0.0), None, vec![Hausdorff95]),
        ("third_ventricle", [0.0, 1.0], Some(0.0), None, vec![VolumeChange, Hausdorff95]),
        ("third_ventricle", [0.0, 0.0], None, None, vec![]),
    ] {
        assert_eq!(failed(record("a", region, volumes_ml, dice, mm)), expected, "{region} {volumes_ml:?}");
    }
}

#[test]
fn sides_may_change_only_where_it_is_allowed() {
    let mut mirrored = record("a", "brain", [1000.0; 2], Some(1.0), Some(0.0));
    mirrored.sides = SidesCheck { found: Sides::Mirrored, kept: 0.6, mirrored: 0.97, ..kept() };
    assert_eq!(failed(mirrored.clone()), [Limit::Sides]);
    let allowed = QualityCheck { mirrored_allowed: true, ..check() }.judge(vec![mirrored]);
    assert!(allowed.passed && allowed.pairs[0].sides.found == Sides::Mirrored);
}

/// Pairs that pass one by one but change together.
fn cohort(percent: [f64; 4]) -> Verdict {
    let pairs = percent.iter().zip([900.0, 1100.0, 1300.0, 1500.0]).enumerate();
    check().judge(
        pairs
            .map(|(i, (percent, ml))| {
                record(&format!("sub-{i}"), "brain", [ml, ml * (1.0 + percent / 100.0)], Some(1.0), Some(0.0))
            })
            .collect(),
    )
}

#[test]
fn a_cohort_is_held_to_its_own_limits() {
    let found = |verdict: &Verdict| -> Vec<Limit> {
        assert!(verdict.pairs.iter().all(|pair| pair.passed));
        verdict.cohort.iter().flat_map(|region| &region.failures).map(|failure| failure.limit).collect()
    };
    let fine = cohort([0.2, -0.1, 0.1, 0.0]);
    assert!(fine.passed && found(&fine).is_empty());
    let biased = cohort([1.2, 1.1, 1.3, 1.2]);
    assert!(!biased.passed);
    assert_eq!(found(&biased), [Limit::Bias]);
    let scattered = cohort([1.9, -1.9, 1.8, -1.8]);
    assert_eq!(found(&scattered), [Limit::LimitsOfAgreement]);
    let brain = &biased.cohort[REGIONS.iter().position(|region| region.name == "brain").unwrap()];
    assert!((brain.change_percent.unwrap().bias.value - 1.2).abs() < 1e-9);
    assert!(brain.icc.unwrap().agreement.value > 0.99 && brain.judged && brain.failures.len() == 1);
    // The same volumes before, so that all the spread is error.
    let alike = [985.0, 1015.0, 1000.0];
    let pairs = alike.map(|ml| record("a", "brain", [1000.0, ml], Some(1.0), Some(0.0)));
    assert!(found(&check().judge(pairs.to_vec())).contains(&Limit::IntraclassCorrelation));
    // Two pairs are measured but too few to be judged together; none do not pass.
    let few = check().judge(pairs[..2].to_vec());
    assert!(few.passed && few.cohort[1].change_ml.is_some() && !few.cohort[1].judged);
    assert!(few.table().contains("not judged"));
    assert!(!check().judge(Vec::new()).passed);
}

/// What rounds to its bound is told from it.
#[test]
fn sentences_show_the_breach() {
    let pair = |dice, percent: f64, mm| {
        let record = record("a", "brain", [1000.0, 1000.0 + 10.0 * percent], Some(dice), Some(mm));
        let verdict = check().judge(vec![record]).pairs.remove(0);
        let failures = verdict.regions.into_iter().flat_map(|region| region.failures);
        failures.map(|failure| failure.sentence).collect::<Vec<_>>().join("\n")
    };
    let text = pair(0.94971, -2.004, 2.0009);
    for expected in ["Dice of 0.9497; at least 0.95 is", "by -2.004 %", "moved by 2.001 mm"] {
        assert!(text.contains(expected), "{text}");
    }
    let biased = cohort([1.0021, 1.0022, 1.0019, 1.0022]);
    let region = biased.cohort.iter().find(|region| region.region == "brain").unwrap();
    assert!(region.failures[0].sentence.contains("changed by +1.002 % on average"), "{region:?}");
    let mut mirrored = record("a", "brain", [1000.0; 2], Some(1.0), Some(0.0));
    mirrored.sides = SidesCheck { found: Sides::Mirrored, kept: 0.97, mirrored: 0.97004, ..kept() };
    let verdict = check().judge(vec![mirrored]);
    let sentence = &verdict.pairs[0].sides_failure.as_ref().unwrap().sentence;
    assert!(sentence.contains("0.97004") && sentence.contains("0.97000"), "{sentence}");
}

/// Neither a pair nor a cohort is held to the limits of what says nothing.
#[test]
fn what_is_not_judged_fails_nothing_and_is_said() {
    let pairs: Vec<PairRecord> = (0..4)
        .map(|i| {
            let mut pair = record(&format!("sub-{i}"), "brain", [1000.0, 1500.0], Some(0.1), Some(20.0));
            let brain = pair.regions.iter_mut().find(|region| region.region == "brain").unwrap();
            brain.not_judged = Some("the scan after is cut".into());
            pair
        })
        .collect();
    let verdict = check().judge(pairs.clone());
    assert!(verdict.passed, "{}", verdict.table());
    let brain = verdict.cohort.iter().find(|region| region.region == "brain").unwrap();
    assert!(!brain.judged && brain.change_ml.is_none());
    assert!(
        verdict.table().contains("sub-2: not judged: brain, as the scan after is cut"),
        "{}",
        verdict.table()
    );
    assert!(verdict.pairs_csv().contains("0.1,20,20,false,true,\n"), "{}", verdict.pairs_csv());
    let judged = pairs.into_iter().map(|mut pair| {
        pair.regions.iter_mut().for_each(|region| region.not_judged = None);
        pair
    });
    assert!(!check().judge(judged.collect()).passed);
}

#[test]
fn tables_say_what_failed() {
    let mut pairs = vec![
        record("sub-1", "brain", [1000.0, 1052.0], Some(0.94), Some(1.0)),
        record("a \"b\", c", "third_ventricle", [0.0, 1.0], Some(0.0), None),
    ];
    pairs[1].sides = SidesCheck { found: Sides::Mirrored, kept: 0.6, mirrored: 0.97, ..kept() };
    let verdict = check().judge(pairs);
    let csv = verdict.pairs_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * REGIONS.len());
    assert!(lines.contains(&"sub-1,kept,brain,1000,1052,52,5.2,0.94,1,1,true,false,volume;dice"), "{csv}");
    let quoted = "\"a \"\"b\"\", c\",mirrored,third_ventricle,0,1,1,,0,,,true,false,volume;hausdorff95";
    assert!(lines.contains(&quoted), "{csv}");
    let csv = verdict.cohort_csv();
    let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
    assert!(columns.len() == 1 + REGIONS.len() && columns.iter().all(|&n| n == columns[0]), "{csv}");
    let table = verdict.table();
    for expected in [
        "sub-1: brain changed by +5.2 %, from 1000.00 to 1052.00 ml; at most ±2 % may be",
        "third_ventricle changed from nothing",
        "after is the mirror image of before",
        "FAILED: 2 of 2 pairs failed",
    ] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["pairs"][0]["regions"][1]["failures"][0]["limit"], "volume_change");
    assert_eq!(json["pairs"][1]["sides"]["found"], "mirrored");
}
