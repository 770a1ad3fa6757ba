//! Inception score of a set of volumes.

use ndarray::Array2;

use super::Features;
use crate::error::{Error, Result};

/// Inception score (Salimans 2016, <https://arxiv.org/abs/1606.03498>, section 4): exp of the mean Kullback–Leibler
/// divergence of each volume's class probabilities from the set's mean ones; its mean and its standard deviation (1/n)
/// over `splits` runs of consecutive volumes, each with its own mean (10 in the paper). From 1 to the number of
/// classes, higher where each volume has a clear class and the classes vary. It does not depend on real volumes:
/// compare it with their score. It depends on the number of volumes in a split.
///
/// # Errors
/// [`Error::Value`] if the extractor does not classify, or there are fewer than two volumes for each split.
pub fn inception_score(features: &Features, splits: usize) -> Result<[f64; 2]> {
    let Some(probabilities) = features.class_probabilities() else {
        let advice = "take an extractor that classifies";
        return Err(Error::value("class probabilities", "those of each volume", "none", advice));
    };
    let volumes = features.volumes();
    check_splits(volumes, splits)?;
    Ok(score(probabilities, &(0..volumes).collect::<Vec<_>>(), splits))
}

/// Refuses what leaves a split with fewer than two volumes.
pub(super) fn check_splits(volumes: usize, splits: usize) -> Result<()> {
    if (1..=volumes / 2).contains(&splits) {
        return Ok(());
    }
    let expected = format!("1 to {} for {volumes} volumes", volumes / 2);
    Err(Error::value("splits", expected, splits.to_string(), "give fewer splits or more volumes"))
}

/// Mean and standard deviation over the splits of the volumes `set`.
pub(super) fn score(probabilities: &Array2<f64>, set: &[usize], splits: usize) -> [f64; 2] {
    let bound = |split: usize| split * set.len() / splits;
    let scores: Vec<f64> =
        (0..splits).map(|split| of_split(probabilities, &set[bound(split)..bound(split + 1)])).collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / splits as f64;
    [mean, variance.sqrt()]
}

fn of_split(probabilities: &Array2<f64>, set: &[usize]) -> f64 {
    let classes = 0..probabilities.ncols();
    let mean =
        classes.map(|class| set.iter().map(|&i| probabilities[[i, class]]).sum::<f64>() / set.len() as f64);
    let mean: Vec<f64> = mean.collect();
    // Of 0 · ln 0 the limit is 0.
    let information = |p: f64, mean: f64| if p > 0.0 { p * (p / mean).ln() } else { 0.0 };
    let divergence = |&i: &usize| {
        probabilities.row(i).iter().zip(&mean).map(|(&p, &mean)| information(p, mean)).sum::<f64>()
    };
    (set.iter().map(divergence).sum::<f64>() / set.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn agrees_with_torch_fidelity() {
        for case in golden() {
            for splits in [1, 3] {
                let [mean, deviation] = inception_score(&case.synthetic, splits).unwrap();
                let expected =
                    ["mean", "deviation"].map(|n| case.expected[&format!("inception_{n}_{splits}")]);
                assert!(
                    (mean - expected[0]).abs() < 1e-12 && (deviation - expected[1]).abs() < 1e-12,
                    "{}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn as_many_as_classes_at_most_and_one_at_least() {
        let of = |probabilities: Array2<f64>| {
            let values = Array2::zeros((probabilities.nrows(), 1));
            inception_score(&Features::new("net", values, Some(probabilities)).unwrap(), 1).unwrap()[0]
        };
        let clear = Array2::from_shape_fn((8, 4), |(i, class)| f64::from(u8::from(i % 4 == class)));
        assert!((of(clear) - 4.0).abs() < 1e-12);
        assert!((of(Array2::from_elem((8, 4), 0.25)) - 1.0).abs() < 1e-12);
        let without = Features::new("net", Array2::zeros((8, 1)), None).unwrap();
        assert!(inception_score(&without, 1).is_err());
        let with =
            Features::new("net", Array2::zeros((8, 1)), Some(Array2::from_elem((8, 4), 0.25))).unwrap();
        assert!(inception_score(&with, 0).is_err() && inception_score(&with, 5).is_err());
    }
}
