//! Precision and recall, density and coverage: overlap of the sets' manifolds in feature space.
//!
//! Each volume's ball reaches to its k-th nearest neighbour of its own set; the union of the balls approximates the
//! set's manifold.

use ndarray::Array2;

use super::Features;
use super::kernel::{pooled, squared_distances};
use crate::error::{Error, Result};

/// Improved precision and recall (Kynkäänniemi 2019, <https://arxiv.org/abs/1904.06991>, equations 1 and 2; k = 3
/// there): the share of synthetic volumes in a real one's ball, and of real volumes in a synthetic one's.
///
/// # Errors
/// [`Error::Value`] if different extractors made the features, or a set has no k neighbours.
pub fn precision_recall(synthetic: &Features, real: &Features, k: usize) -> Result<[f64; 2]> {
    all_of(synthetic, real, k).map(|[precision, recall, _, _]| [precision, recall])
}

/// Density and coverage (Naeem 2020, <https://arxiv.org/abs/2002.09797>, equations 3 and 4; k = 5 there): the mean
/// number of real balls about a synthetic volume, over k (it may exceed one), and the share of real volumes with a
/// synthetic one in their ball.
///
/// # Errors
/// As [`precision_recall`].
pub fn density_coverage(synthetic: &Features, real: &Features, k: usize) -> Result<[f64; 2]> {
    all_of(synthetic, real, k).map(|[_, _, density, coverage]| [density, coverage])
}

fn all_of(synthetic: &Features, real: &Features, k: usize) -> Result<[f64; 4]> {
    let fewest = synthetic.volumes().min(real.volumes());
    if k == 0 || k >= fewest {
        let expected = format!("1 to {}, one less than the volumes", fewest - 1);
        return Err(Error::value(
            "neighbours",
            expected,
            k.to_string(),
            "give more volumes or fewer neighbours",
        ));
    }
    let distances = squared_distances(pooled(synthetic, real)?.view());
    let indices: Vec<usize> = (0..distances.nrows()).collect();
    let (a, b) = indices.split_at(synthetic.volumes());
    let ([precision, recall], [density, coverage]) =
        (shares_inside(&distances, a, b, k), density_and_coverage(&distances, a, b, k));
    Ok([precision, recall, density, coverage])
}

/// Precision and recall of volumes `a` against volumes `b`, from all (squared) distances.
pub(super) fn shares_inside(distances: &Array2<f64>, a: &[usize], b: &[usize], k: usize) -> [f64; 2] {
    let share = |queries: &[usize], set: &[usize]| {
        let radii = radii(distances, set, k);
        let inside =
            |query: usize| set.iter().zip(&radii).any(|(&centre, &r)| distances[[query, centre]] <= r);
        queries.iter().filter(|query| inside(**query)).count() as f64 / queries.len() as f64
    };
    [share(a, b), share(b, a)]
}

/// Density and coverage of volumes `a` against volumes `b`, from all (squared) distances. Balls are open, so that a set
/// has density one against itself.
pub(super) fn density_and_coverage(distances: &Array2<f64>, a: &[usize], b: &[usize], k: usize) -> [f64; 2] {
    let inside = |(&centre, radius): (&usize, f64)| {
        a.iter().filter(|query| distances[[**query, centre]] < radius).count()
    };
    let counts: Vec<usize> = b.iter().zip(radii(distances, b, k)).map(inside).collect();
    let density = counts.iter().sum::<usize>() as f64 / (k * a.len()) as f64;
    [density, counts.iter().filter(|count| **count > 0).count() as f64 / b.len() as f64]
}

/// For each volume of a set, the (squared) distance to its k-th nearest other one.
fn radii(distances: &Array2<f64>, set: &[usize], k: usize) -> Vec<f64> {
    let radius = |&centre: &usize| {
        let others = set.iter().filter(|other| **other != centre);
        let mut to_others: Vec<f64> = others.map(|&other| distances[[centre, other]]).collect();
        *to_others.select_nth_unstable_by(k - 1, f64::total_cmp).1
    };
    set.iter().map(radius).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::super::golden::golden;
    use super::*;

    #[test]
    fn agree_with_prdc() {
        for case in golden() {
            for k in [3, 5] {
                let [precision, recall] = precision_recall(&case.synthetic, &case.real, k).unwrap();
                let [density, coverage] = density_coverage(&case.synthetic, &case.real, k).unwrap();
                let all = [
                    ("precision", precision),
                    ("recall", recall),
                    ("density", density),
                    ("coverage", coverage),
                ];
                for (name, found) in all {
                    let expected = case.expected[&format!("{name}_{k}")];
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "{}: {name}, k = {k}: {found}, {expected}",
                        case.name
                    );
                }
            }
        }
    }

    /// Reals at 0, 1, 2, 3 with k = 1 have balls of radius 1; synthetic ones at 0.25, 4 and 9.
    #[test]
    fn by_hand() {
        let of = |values| Features::new("net", values, None).unwrap();
        let (a, b) = (of(array![[0.25], [4.0], [9.0]]), of(array![[0.0], [1.0], [2.0], [3.0]]));
        // 4 lies on the border of 3's ball: inside for precision, outside for density. Synthetic balls have radii 3.75,
        // 3.75 and 5.
        assert_eq!(precision_recall(&a, &b, 1).unwrap(), [2.0 / 3.0, 1.0]);
        assert_eq!(density_coverage(&a, &b, 1).unwrap(), [2.0 / 3.0, 2.0 / 4.0]);
        assert!(precision_recall(&a, &b, 3).is_err() && density_coverage(&a, &b, 0).is_err());
    }

    #[test]
    fn all_of_an_equal_set_and_none_of_a_far_one() {
        for case in golden() {
            let set = &case.real;
            let far = Features::new(set.extractor(), set.values() + 1e3, set.class_probabilities().cloned())
                .unwrap();
            assert_eq!(precision_recall(set, set, 3).unwrap(), [1.0, 1.0]);
            assert_eq!(density_coverage(set, set, 5).unwrap(), [1.0, 1.0]);
            assert_eq!(precision_recall(&far, set, 3).unwrap(), [0.0, 0.0]);
            assert_eq!(density_coverage(&far, set, 5).unwrap(), [0.0, 0.0]);
        }
    }

    /// One real volume over and over: precise, but it covers little. What it covers is where its copies lie.
    #[test]
    fn a_collapsed_set_is_precise_and_covers_little() {
        let case = &golden()[0];
        let reals = case.real.values();
        let copies = Array2::from_shape_fn((30, reals.ncols()), |(_, j)| reals[[4, j]]);
        let collapsed = Features::new(case.real.extractor(), copies, None).unwrap();
        let reals = Features::new(case.real.extractor(), reals.clone(), None).unwrap();
        let [precision, recall] = precision_recall(&collapsed, &reals, 3).unwrap();
        assert_eq!((precision, recall), (1.0, 1.0 / 36.0));
        assert!(density_coverage(&collapsed, &reals, 5).unwrap()[1] < 0.5);
    }
}
