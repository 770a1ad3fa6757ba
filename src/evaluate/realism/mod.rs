//! Realism: distances between the distributions of synthetic and real volumes, in the features of a named network.
//!
//! | Measure | Source | Better |
//! |---|---|---|
//! | Fréchet distance (FID), [`frechet_distance`] | Heusel 2017 | lower |
//! | kernel distance (KID), [`kernel_distance`] | Bińkowski 2018 | lower, unbiased |
//! | MMD² under a Gaussian kernel, [`gaussian_discrepancy`] | Gretton 2012 | lower, unbiased |
//! | precision and recall, [`precision_recall`] | Kynkäänniemi 2019 | higher |
//! | density and coverage, [`density_coverage`] | Naeem 2020 | higher |
//! | Inception score, [`inception_score`] | Salimans 2016 | as the reals' |
//! | MS-SSIM over pairs, [`diversity`](super::diversity) | Wang 2003 | as the reals' |
//!
//! [`Realism`] has them all, each with an interval and a reference: the same measure between two sets of real volumes,
//! with as many a side as the synthetic–real value that it is compared with. It is of one extractor; features of
//! another are refused.

mod features;
mod frechet;
#[cfg(test)]
mod golden;
mod inception;
mod kernel;
mod manifold;
mod metric;
mod resampling;
mod table;

pub use features::Features;
pub use frechet::frechet_distance;
pub use inception::inception_score;
pub use kernel::{gaussian_discrepancy, kernel_distance};
pub use manifold::{density_coverage, precision_recall};
pub use metric::{Better, Metric};
use nalgebra::DMatrix;
pub use resampling::{Estimate, Protocol, Spread};
use serde::{Deserialize, Serialize};

use super::ssim::{PairSimilarities, ms_ssim_pairs};
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Measures of realism by one extractor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Realism {
    extractor: String,
    protocol: Protocol,
    rows: Vec<Row>,
}

/// One measure in one view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The extractor's input: the whole volume, or a plane of it.
    pub view: String,
    /// The measure.
    pub metric: Metric,
    /// Its parameters: k, the kernel's width, scales and windows.
    pub parameters: String,
    /// Number of synthetic volumes.
    pub synthetic_volumes: usize,
    /// Number of real volumes.
    pub real_volumes: usize,
    /// Value, interval and reference.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// For a measure of one set, its value for all real volumes.
    pub of_real: Option<f64>,
}

impl Realism {
    /// An empty list of measures, for features of `extractor` (its name with the SHA-256 of its weights).
    pub fn new(extractor: impl Into<String>, protocol: Protocol) -> Self {
        Self { extractor: extractor.into(), protocol, rows: Vec::new() }
    }

    /// The extractor's name with the SHA-256 of its weights.
    pub fn extractor(&self) -> &str {
        &self.extractor
    }

    /// The protocol of resampling.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The measures so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Adds all measures of features in `view` ("volume", "axial" and so on); the Inception score where both sets have
    /// class probabilities. The Gaussian kernel's width is that of all volumes, in every draw.
    ///
    /// # Errors
    /// [`Error::Value`] if another extractor made one of them, they are of different sizes, or there are too few
    /// volumes for the protocol.
    pub fn compare(&mut self, view: &str, synthetic: &Features, real: &Features) -> Result<()> {
        synthetic.check_extractor(&self.extractor)?;
        real.check_extractor(&self.extractor)?;
        let sizes = [synthetic.volumes(), real.volumes()];
        let Protocol { precision_neighbours: near, density_neighbours: dense, splits, .. } = self.protocol;
        if near.min(dense) == 0 {
            return Err(Error::value("neighbours", "1 or more", "0", "give 3 and 5, as in the papers"));
        }
        self.protocol.check(sizes, 1 + near.max(dense))?;
        let values = kernel::pooled(synthetic, real)?;
        let squared = kernel::squared_distances(values.view());
        let bandwidth = kernel::median_distance(&squared)?;
        let gaussian = kernel::gaussian_kernel(&squared, bandwidth);
        let polynomial = kernel::polynomial_kernel(values.view());
        let rows = DMatrix::from_row_iterator(values.nrows(), values.ncols(), values.iter().copied());
        let estimates = self.protocol.estimate(sizes, |a, b| {
            let [precision, recall] = manifold::shares_inside(&squared, a, b, near);
            let [density, coverage] = manifold::density_and_coverage(&squared, a, b, dense);
            [
                frechet::between(rows.select_rows(a), rows.select_rows(b)),
                kernel::squared_discrepancy(&polynomial, a, b),
                kernel::squared_discrepancy(&gaussian, a, b),
                precision,
                recall,
                density,
                coverage,
            ]
        });
        let (features, near, dense) = (values.ncols(), format!("k = {near}"), format!("k = {dense}"));
        let named = [
            (Metric::FrechetDistance, format!("{features} features")),
            (Metric::KernelDistance, format!("(x·y/{features} + 1)³")),
            (Metric::GaussianMmd, format!("σ = {bandwidth:.4}")),
            (Metric::Precision, near.clone()),
            (Metric::Recall, near),
            (Metric::Density, dense.clone()),
            (Metric::Coverage, dense),
        ];
        let inception = match (synthetic.class_probabilities(), real.class_probabilities()) {
            (Some(of_synthetic), Some(of_real)) => {
                inception::check_splits(sizes[0].min(sizes[1]) / 2, splits)?;
                let both = ndarray::concatenate![ndarray::Axis(0), of_synthetic.view(), of_real.view()];
                let [estimate] =
                    self.protocol.estimate(sizes, |a, _| [inception::score(&both, a, splits)[0]]);
                let [of_real, _] = inception_score(real, splits)?;
                Some((Metric::InceptionScore, format!("splits: {splits}"), estimate, Some(of_real)))
            }
            _ => None,
        };
        let measures =
            named.into_iter().zip(estimates).map(|((metric, parameters), e)| (metric, parameters, e, None));
        for (metric, parameters, estimate, of_real) in measures.chain(inception) {
            self.add(view, metric, parameters, sizes, estimate, of_real);
        }
        Ok(())
    }

    /// Adds the diversity of volumes of one grid and intensity scale: their mean MS-SSIM over pairs, beside that of the
    /// real ones. It needs no extractor. Its time is quadratic in the numbers of volumes.
    ///
    /// # Errors
    /// As [`diversity`](super::diversity), and for fewer than four volumes in a set.
    pub fn compare_diversity(
        &mut self,
        synthetic: &[Volume],
        real: &[Volume],
        data_range: f64,
    ) -> Result<()> {
        let sizes = [synthetic.len(), real.len()];
        self.protocol.check(sizes, 2)?;
        super::ssim::same_shape(real[0].data.shape(), synthetic[0].data.shape())?;
        let (of_synthetic, of_real) =
            (ms_ssim_pairs(synthetic, data_range)?, ms_ssim_pairs(real, data_range)?);
        let mean = |set: &[usize]| {
            let (pairs, first) = if set[0] < sizes[0] { (&of_synthetic, 0) } else { (&of_real, sizes[0]) };
            let similarities = set
                .iter()
                .enumerate()
                .flat_map(|(at, &i)| set[..at].iter().map(move |&j| pairs.values[[i - first, j - first]]));
            similarities.sum::<f64>() / (set.len() * (set.len() - 1) / 2) as f64
        };
        let [estimate] = self.protocol.estimate(sizes, |a, _| [mean(a)]);
        let PairSimilarities { scales, taps: [d, h, w], .. } = of_synthetic;
        let parameters = format!("scales: {scales}, windows: {d}×{h}×{w}");
        let of_real = Some(of_real.diversity().mean);
        self.add("intensities", Metric::MsSsimDiversity, parameters, sizes, estimate, of_real);
        Ok(())
    }

    fn add(
        &mut self,
        view: &str,
        metric: Metric,
        parameters: String,
        [synthetic_volumes, real_volumes]: [usize; 2],
        mut estimate: Estimate,
        of_real: Option<f64>,
    ) {
        let [least, most] = metric.range();
        estimate.interval = estimate.interval.map(|limit| limit.clamp(least, most));
        let view = view.to_owned();
        self.rows.push(Row { view, metric, parameters, synthetic_volumes, real_volumes, estimate, of_real });
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array4};

    use super::golden::golden;
    use super::*;
    use crate::volume::VoxelToWorld;

    fn fast() -> Protocol {
        Protocol { repeats: 20, ..Protocol::default() }
    }

    #[test]
    fn rows_are_what_the_functions_give() {
        let case = &golden()[0];
        let mut found = Realism::new(case.real.extractor(), fast());
        found.compare("volume", &case.synthetic, &case.real).unwrap();
        let keys = [
            "frechet_distance",
            "kernel_distance",
            "gaussian_mmd",
            "precision_3",
            "recall_3",
            "density_5",
            "coverage_5",
            "inception_mean_1",
        ];
        assert_eq!(found.rows().len(), keys.len());
        for (row, key) in found.rows().iter().zip(keys) {
            let Estimate { value, interval: [low, high], volumes_a_side, .. } = row.estimate;
            assert!((value - case.expected[key]).abs() < 1e-9, "{row:?}");
            assert!(low <= value && value <= high && low < high, "{row:?}");
            assert_eq!((row.synthetic_volumes, row.real_volumes, volumes_a_side), (40, 36, 18));
        }
        // The real set's probabilities are all equal.
        assert!((found.rows()[7].of_real.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn synthetic_volumes_that_are_real_are_at_the_floor_and_shifted_ones_above() {
        let draws = crate::random::normal(
            &mut crate::random::stream(2, 0, 0, 0, crate::random::Purpose::Noise),
            120 * 6,
        );
        let set = |first: usize, shift: f64| {
            let values =
                Array2::from_shape_fn((60, 6), |(i, j)| f64::from(draws[(first + i) * 6 + j]) + shift);
            Features::new("net sha256:7", values, None).unwrap()
        };
        let mut found = Realism::new("net sha256:7", Protocol { repeats: 60, ..Protocol::default() });
        found.compare("alike", &set(0, 0.0), &set(60, 0.0)).unwrap();
        found.compare("shifted", &set(0, 1.0), &set(60, 0.0)).unwrap();
        for row in found.rows() {
            let Estimate { matched, reference, .. } = row.estimate;
            let within = (reference.low..=reference.high).contains(&matched.mean);
            assert_eq!(within, row.view == "alike", "{row:?}");
        }
        // A set of its own is as real as a set can be, the shifted one in nothing.
        let first = found.to_string().lines().next().unwrap().to_string();
        assert!(first.starts_with("Realism: 7 of 14 measures are as among real volumes"), "{first}");
    }

    #[test]
    fn no_table_has_two_extractors() {
        let case = &golden()[0];
        let of = |name, set: &Features| Features::new(name, set.values().clone(), None).unwrap();
        let mut table = Realism::new("net sha256:1", fast());
        assert!(
            table
                .compare("volume", &of("net sha256:1", &case.synthetic), &of("net sha256:2", &case.real))
                .is_err()
        );
        assert!(
            table
                .compare("volume", &of("net sha256:2", &case.synthetic), &of("net sha256:2", &case.real))
                .is_err()
        );
        assert!(table.rows().is_empty());
        table
            .compare("volume", &of("net sha256:1", &case.synthetic), &of("net sha256:1", &case.real))
            .unwrap();
    }

    #[test]
    fn too_few_volumes_are_an_error() {
        let case = &golden()[0];
        let of = |volumes: usize| {
            let values = case.real.values().slice(ndarray::s![..volumes, ..]).to_owned();
            Features::new("net", values, None).unwrap()
        };
        let protocol = fast();
        let compare = |protocol, n, m| Realism::new("net", protocol).compare("volume", &of(n), &of(m));
        assert!(compare(protocol, 12, 12).is_ok());
        assert!(compare(protocol, 11, 12).unwrap_err().to_string().contains("at least 12"));
        assert!(compare(Protocol { repeats: 1, ..protocol }, 12, 12).is_err());
        assert!(compare(Protocol { density_neighbours: 0, ..protocol }, 12, 12).is_err());
        let mut of_case = Realism::new(case.real.extractor(), Protocol { splits: 10, ..protocol });
        assert!(of_case.compare("volume", &case.synthetic, &case.real).is_err());
    }

    #[test]
    fn diversity_is_beside_that_of_the_reals() {
        let volume = |k: usize| {
            let data = Array4::from_shape_fn((1, 12, 13, 12), |(_, d, h, w)| {
                ((d * 31 + h * 17 + w * 7 + d * h * w * k) % 13) as f32 / 13.0
            });
            Volume::new(data, VoxelToWorld::identity())
        };
        let reals: Vec<Volume> = (1..9).map(volume).collect();
        let synthetic = [3, 3, 3, 4].map(volume);
        let mut found = Realism::new("net", fast());
        found.compare_diversity(&synthetic, &reals, 1.0).unwrap();
        let row = &found.rows()[0];
        let expected = |set: &[Volume]| super::super::diversity(set, 1.0).unwrap().mean;
        assert!((row.estimate.value - expected(&synthetic)).abs() < 1e-12);
        assert!((row.of_real.unwrap() - expected(&reals)).abs() < 1e-12);
        assert!(row.estimate.value > row.estimate.reference.high, "{row:?}");
        assert_eq!(row.parameters, "scales: 1, windows: 11×11×11");
        assert!(found.compare_diversity(&synthetic[..3], &reals, 1.0).is_err());
    }

    #[test]
    fn any_number_of_threads_gives_the_same() {
        let case = &golden()[2];
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut table = Realism::new(case.real.extractor(), fast());
                table.compare("volume", &case.synthetic, &case.real).unwrap();
                table
            })
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn a_result_survives_json() {
        let case = &golden()[1];
        let mut table = Realism::new(case.real.extractor(), fast());
        table.compare("volume", &case.synthetic, &case.real).unwrap();
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<Realism>(&text).unwrap(), table);
    }
}
