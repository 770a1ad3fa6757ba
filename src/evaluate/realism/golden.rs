//! What independent implementations measure on small random features (tests/fixtures/realism/make.py).

use std::collections::HashMap;

use ndarray::Array2;
use serde::Deserialize;

use super::Features;

/// Two sets and the expected numbers.
pub(super) struct Case {
    pub name: String,
    pub synthetic: Features,
    pub real: Features,
    pub expected: HashMap<String, f64>,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    synthetic: Vec<Vec<f64>>,
    real: Vec<Vec<f64>>,
    class_probabilities: Vec<Vec<f64>>,
    expected: HashMap<String, f64>,
}

/// All cases; the real sets' class probabilities are equal for all classes.
pub(super) fn golden() -> Vec<Case> {
    let stored: Vec<Stored> =
        serde_json::from_str(include_str!("../../../tests/fixtures/realism/features.json")).unwrap();
    let matrix =
        |rows: Vec<Vec<f64>>| Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap();
    let case = |stored: Stored| {
        let probabilities = matrix(stored.class_probabilities);
        let classes = probabilities.ncols();
        let uniform = Array2::from_elem((stored.real.len(), classes), 1.0 / classes as f64);
        let of = |rows, probabilities| {
            Features::new("random sha256:0", matrix(rows), Some(probabilities)).unwrap()
        };
        Case {
            name: stored.name,
            synthetic: of(stored.synthetic, probabilities),
            real: of(stored.real, uniform),
            expected: stored.expected,
        }
    };
    stored.into_iter().map(case).collect()
}
