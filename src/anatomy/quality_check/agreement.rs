//! Agreement of two measurements of the same subjects: limits of agreement, intraclass correlation, and the variation
//! within a subject.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, FisherSnedecor, StudentsT};

/// Confidence of every interval here.
const CONFIDENCE: f64 = 0.95;
/// The standard normal quantile that 95 % lie within.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// A value and its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower and upper end of the interval.
    pub interval: [f64; 2],
}

/// Bias and limits of agreement (Bland & Altman 1986, "Statistical methods for assessing agreement between two
/// methods of clinical measurement"), in the unit of the differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlandAltman {
    /// Number of differences.
    pub n: usize,
    /// Mean of the differences.
    pub bias: Estimate,
    /// Standard deviation of the differences.
    pub sd: f64,
    /// `bias − 1.96 sd`.
    pub lower_limit: Estimate,
    /// `bias + 1.96 sd`.
    pub upper_limit: Estimate,
}

impl BlandAltman {
    /// Bias and limits of `differences`, one a subject; `None` with fewer than two.
    ///
    /// A limit's standard error is `sd·√(1/n + 1.96²/(2(n − 1)))` (Bland & Altman 1999, "Measuring agreement in
    /// method comparison studies", section 2.1); intervals are of Student's t with n − 1 degrees of freedom.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let n = differences.len();
        if n < 2 {
            return None;
        }
        let count = n as f64;
        let bias = differences.iter().sum::<f64>() / count;
        let squares = differences.iter().map(|difference| (difference - bias).powi(2)).sum::<f64>();
        let sd = (squares / (count - 1.0)).sqrt();
        let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?.inverse_cdf((1.0 + CONFIDENCE) / 2.0);
        let about =
            |value: f64, error: f64| Estimate { value, interval: [value - t * error, value + t * error] };
        let limit_error = sd * (1.0 / count + NORMAL_95.powi(2) / (2.0 * (count - 1.0))).sqrt();
        Some(Self {
            n,
            bias: about(bias, sd / count.sqrt()),
            sd,
            lower_limit: about(bias - NORMAL_95 * sd, limit_error),
            upper_limit: about(bias + NORMAL_95 * sd, limit_error),
        })
    }
}

/// Intraclass correlation of single measurements in a two-way layout without replication. It relates the error to the
/// variance between subjects, and so is lower in a cohort of similar subjects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntraclassCorrelation {
    /// Absolute agreement, ICC(2,1) of Shrout & Fleiss 1979, "Intraclass correlations: uses in assessing rater
    /// reliability"; ICC(A,1) of McGraw & Wong 1996. A bias lowers it.
    pub agreement: Estimate,
    /// Consistency, ICC(3,1), ICC(C,1): a bias does not lower it.
    pub consistency: Estimate,
}

impl IntraclassCorrelation {
    /// The correlation of `rows`, one a subject, of `K` measurements each; `None` with fewer than two subjects or
    /// measurements, and if all measurements are equal.
    ///
    /// Intervals are those of McGraw & Wong 1996, "Forming inferences about some intraclass correlation
    /// coefficients", table 7; that of absolute agreement is an approximation by Satterthwaite's degrees of freedom.
    pub fn of<const K: usize>(rows: &[[f64; K]]) -> Option<Self> {
        if rows.len() < 2 || K < 2 {
            return None;
        }
        let (n, k) = (rows.len() as f64, K as f64);
        let grand = rows.iter().flatten().sum::<f64>() / (n * k);
        let row_means: Vec<f64> = rows.iter().map(|row| row.iter().sum::<f64>() / k).collect();
        let column_means: [f64; K] = std::array::from_fn(|j| rows.iter().map(|row| row[j]).sum::<f64>() / n);
        let spread = |means: &[f64]| means.iter().map(|mean| (mean - grand).powi(2)).sum::<f64>();
        let subjects = k * spread(&row_means) / (n - 1.0);
        let measurements = n * spread(&column_means) / (k - 1.0);
        let residual = |i: usize, j: usize| rows[i][j] - row_means[i] - column_means[j] + grand;
        let cells = (0..rows.len()).flat_map(|i| (0..K).map(move |j| (i, j)));
        let (free, error_free) = (n - 1.0, (n - 1.0) * (k - 1.0));
        let error = cells.map(|(i, j)| residual(i, j).powi(2)).sum::<f64>() / error_free;
        if subjects + error == 0.0 {
            return None;
        }
        let consistency = (subjects - error) / (subjects + (k - 1.0) * error);
        let agreement = (subjects - error) / (subjects + (k - 1.0) * error + k * (measurements - error) / n);

        let ratio = |f: f64| (f - 1.0) / (f + k - 1.0);
        let f = subjects / error;
        let consistency_interval = if error == 0.0 {
            [1.0; 2]
        } else {
            [ratio(f / f_quantile(free, error_free)?), ratio(f * f_quantile(error_free, free)?)]
        };
        // McGraw and Wong's a and b, both times n(1 − ICC), which the degrees of freedom do not depend on.
        let [a, b] = [k * agreement, n * (1.0 - agreement) + k * agreement * (n - 1.0)];
        let (am, be) = (a * measurements, b * error);
        let agreement_interval = if am == 0.0 && be == 0.0 {
            [agreement; 2]
        } else {
            let freedom = (am + be).powi(2) / (am.powi(2) / (k - 1.0) + be.powi(2) / error_free);
            let rest = k * measurements + (k * n - k - n) * error;
            let [low, high] = [f_quantile(free, freedom)?, f_quantile(freedom, free)?];
            let lower = n * (subjects - low * error) / (low * rest + n * subjects);
            [lower, n * (high * subjects - error) / (rest + n * high * subjects)]
        };
        Some(Self {
            agreement: Estimate { value: agreement, interval: agreement_interval },
            consistency: Estimate { value: consistency, interval: consistency_interval },
        })
    }
}

/// Upper 2.5 % point of F; none for degrees of freedom that are none.
fn f_quantile(numerator: f64, denominator: f64) -> Option<f64> {
    Some(FisherSnedecor::new(numerator, denominator).ok()?.inverse_cdf((1.0 + CONFIDENCE) / 2.0))
}

/// Within-subject coefficient of variation of pairs of measurements: the root of the mean over subjects of `(d²/2) /
/// m²`, `d` being a subject's difference and `m` its mean (Raunig et al. 2015, "Quantitative imaging biomarkers: a
/// review of statistical methods for technical performance assessment"). `None` without pairs, or if a mean is zero.
pub fn within_subject_cv(pairs: &[[f64; 2]]) -> Option<f64> {
    let squared = |[one, other]: &[f64; 2]| 2.0 * ((one - other) / (one + other)).powi(2);
    let mean = pairs.iter().map(squared).sum::<f64>() / pairs.len() as f64;
    Some(mean.sqrt()).filter(|cv| cv.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peak expiratory flow in l/min by two meters, of Bland & Altman 1986, table 1 (first readings).
    const WRIGHT: [f64; 17] = [
        494., 395., 516., 434., 476., 557., 413., 442., 650., 433., 417., 656., 267., 478., 178., 423., 427.,
    ];
    const MINI_WRIGHT: [f64; 17] = [
        512., 430., 520., 428., 500., 600., 364., 380., 658., 445., 432., 626., 260., 477., 259., 350., 451.,
    ];

    fn near(estimate: Estimate, value: f64, interval: [f64; 2], tolerance: f64) {
        let pairs = [
            (estimate.value, value),
            (estimate.interval[0], interval[0]),
            (estimate.interval[1], interval[1]),
        ];
        assert!(
            pairs.iter().all(|(a, b)| (a - b).abs() < tolerance),
            "{estimate:?} for {value} {interval:?}"
        );
    }

    fn meters() -> Vec<[f64; 2]> {
        WRIGHT.into_iter().zip(MINI_WRIGHT).map(|(one, other)| [one, other]).collect()
    }

    /// Published: bias −2.1, standard deviation 38.8, bias from −22.0 to 17.8 l/min; the other digits by NumPy and
    /// SciPy.
    #[test]
    fn limits_of_agreement_are_those_published() {
        let differences: Vec<f64> = meters().iter().map(|[one, other]| one - other).collect();
        let found = BlandAltman::of(&differences).unwrap();
        near(found.bias, -2.1176470588235294, [-22.048837696642877, 17.81354357899582], 1e-9);
        assert!((found.sd - 38.76512987360738).abs() < 1e-12);
        near(found.lower_limit, -78.09590546711173, [-112.85155313930689, -43.34025779491658], 1e-9);
        near(found.upper_limit, 73.86061134946466, [39.10496367726951, 108.61625902165981], 1e-9);
        assert_eq!(BlandAltman::of(&[1.0]), None);
        let same = BlandAltman::of(&[0.5; 4]).unwrap();
        assert_eq!((same.sd, same.lower_limit.interval), (0.0, [0.5; 2]));
    }

    /// Published: ICC(2,1) = 0.29 and ICC(3,1) = 0.71; pingouin 0.7 has [0.02, 0.76] and [0.34, 0.95], whose further
    /// digits are McGraw & Wong's equations with SciPy's quantiles.
    #[test]
    fn intraclass_correlations_are_those_of_shrout_and_fleiss() {
        let judges = [
            [9., 2., 5., 8.],
            [6., 1., 3., 2.],
            [8., 4., 6., 8.],
            [7., 1., 2., 6.],
            [10., 5., 6., 9.],
            [6., 2., 4., 7.],
        ];
        let found = IntraclassCorrelation::of(&judges).unwrap();
        near(found.agreement, 0.2897637795275591, [0.018786513374712016, 0.761084369648953], 1e-8);
        near(found.consistency, 0.7148407148407149, [0.34246476503392514, 0.9458582599553595], 1e-8);
        let found = IntraclassCorrelation::of(&meters()).unwrap();
        near(found.agreement, 0.94592840557731, [0.857411171234992, 0.9800786591462586], 1e-8);
        near(found.consistency, 0.9429130724069793, [0.8499083916773664, 0.9789431343965918], 1e-8);
    }

    #[test]
    fn correlations_of_copies_and_of_constants_are_what_they_should_be() {
        let copies = [[3.0, 3.0], [5.0, 5.0], [9.0, 9.0]];
        near(IntraclassCorrelation::of(&copies).unwrap().agreement, 1.0, [1.0; 2], 1e-12);
        let shifted = copies.map(|[one, other]| [one, other + 4.0]);
        let found = IntraclassCorrelation::of(&shifted).unwrap();
        assert!((found.consistency.value - 1.0).abs() < 1e-12 && found.agreement.value < 0.7, "{found:?}");
        // With no residual, ICC(A,1) is the subjects' variance over itself and that of the measurements.
        assert!((found.agreement.value - (28.0 / 3.0) / (28.0 / 3.0 + 8.0)).abs() < 1e-12, "{found:?}");
        assert_eq!(IntraclassCorrelation::of(&[[2.0, 2.0], [2.0, 2.0]]), None);
        assert_eq!(IntraclassCorrelation::of(&copies[..1]), None);
    }

    #[test]
    fn variation_within_a_subject_is_the_root_mean_square_of_pairs() {
        assert!((within_subject_cv(&meters()).unwrap() - 0.08339747550485668).abs() < 1e-14);
        assert_eq!(within_subject_cv(&[[0.0, 0.0]]), None);
        assert_eq!(within_subject_cv(&[]), None);
    }
}
