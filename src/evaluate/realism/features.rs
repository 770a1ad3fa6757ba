//! Features of the volumes of a set by a named network.

use ndarray::{Array2, Axis};

use crate::error::{Error, Result};

/// How far a volume's class probabilities may sum from one, in float32 arithmetic.
const SUM_TOLERANCE: f64 = 1e-3;

/// Features of the volumes of a set by one extractor, a row each.
///
/// Distances between features depend on the network as much as on the volumes. So the network's name is part of the
/// features, and the measures refuse features of two extractors.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    extractor: String,
    values: Array2<f64>,
    class_probabilities: Option<Array2<f64>>,
}

impl Features {
    /// Features `values` `[N, F]` of N volumes by `extractor`, a name that includes the SHA-256 of its weights, and its
    /// `class_probabilities` `[N, K]` where it classifies.
    ///
    /// # Errors
    /// [`Error::Value`] for an empty name, fewer than two volumes, no feature, a number that is not finite, or
    /// probabilities that are of another number of volumes, are negative or do not sum to one.
    pub fn new(
        extractor: impl Into<String>,
        values: Array2<f64>,
        class_probabilities: Option<Array2<f64>>,
    ) -> Result<Self> {
        let extractor = extractor.into();
        if extractor.trim().is_empty() {
            let advice = "name the network and give the SHA-256 of its weights";
            return Err(Error::value("extractor", "a name", "none", advice));
        }
        let (volumes, features) = values.dim();
        if volumes < 2 || features == 0 {
            let (expected, found) =
                ("two volumes or more, a feature or more", format!("{volumes}×{features}"));
            return Err(Error::value("features", expected, found, "give more volumes"));
        }
        // What is finite in float32 has a cube of a product that is finite in float64.
        if !values.iter().all(|value| value.abs() <= f64::from(f32::MAX)) {
            let advice = "check the volumes' intensities";
            return Err(Error::value("features", "finite float32 numbers", "NaN or larger ones", advice));
        }
        if let Some(probabilities) = &class_probabilities {
            let one = |row: ndarray::ArrayView1<f64>| {
                row.iter().all(|p| *p >= 0.0) && (row.sum() - 1.0).abs() <= SUM_TOLERANCE
            };
            if probabilities.nrows() != volumes || !probabilities.axis_iter(Axis(0)).all(one) {
                let expected = format!("{volumes} rows of probabilities that sum to one");
                let found = format!("{} rows, or others", probabilities.nrows());
                return Err(Error::value(
                    "class probabilities",
                    expected,
                    found,
                    "give the softmax's output",
                ));
            }
        }
        Ok(Self { extractor, values, class_probabilities })
    }

    /// The network's name with the SHA-256 of its weights.
    pub fn extractor(&self) -> &str {
        &self.extractor
    }

    /// The features, `[N, F]`, a row for each volume.
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// The class probabilities, `[N, K]`, a row for each volume; `None` if the extractor does not classify.
    pub fn class_probabilities(&self) -> Option<&Array2<f64>> {
        self.class_probabilities.as_ref()
    }

    /// Number of volumes.
    pub fn volumes(&self) -> usize {
        self.values.nrows()
    }

    /// Refuses `self` and `other` unless one extractor made both, with one number of features and of classes.
    pub(super) fn check_comparable(&self, other: &Self) -> Result<()> {
        self.check_extractor(&other.extractor)?;
        let width = |features: &Self| {
            let classes = features.class_probabilities.as_ref().map_or(0, Array2::ncols);
            format!("{} features and {classes} classes a volume", features.values.ncols())
        };
        if width(self) != width(other) {
            let advice = "extract both sets in the same way";
            return Err(Error::value("features", width(self), width(other), advice));
        }
        Ok(())
    }

    /// Refuses features that `extractor` did not make.
    pub(super) fn check_extractor(&self, extractor: &str) -> Result<()> {
        if self.extractor == extractor {
            return Ok(());
        }
        let advice = "numbers of different extractors are not comparable; extract both sets with one";
        Err(Error::value("extractor", extractor, self.extractor.as_str(), advice))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn what_is_not_features_is_an_error() {
        let values = array![[1.0, 2.0], [3.0, 4.0]];
        let with = |probabilities| Features::new("net", values.clone(), Some(probabilities));
        assert!(Features::new(" ", values.clone(), None).is_err());
        assert!(Features::new("net", array![[1.0, 2.0]], None).is_err());
        assert!(Features::new("net", array![[1.0], [f64::NAN]], None).is_err());
        assert!(Features::new("net", array![[1.0], [1e39]], None).is_err());
        assert!(with(array![[0.5, 0.5]]).is_err());
        assert!(with(array![[0.5, 0.5], [0.5, 0.6]]).is_err());
        assert!(with(array![[0.5, 0.5], [1.5, -0.5]]).is_err());
        assert!(with(array![[0.5, 0.5], [1.0, 0.0]]).is_ok());
    }

    #[test]
    fn one_extractor_or_none() {
        let of = |name, columns| Features::new(name, Array2::zeros((3, columns)), None).unwrap();
        assert!(of("a sha256:1", 4).check_comparable(&of("a sha256:1", 4)).is_ok());
        let refused = of("a sha256:1", 4).check_comparable(&of("a sha256:2", 4)).unwrap_err().to_string();
        assert!(refused.contains("sha256:1") && refused.contains("sha256:2"), "{refused}");
        assert!(of("a", 4).check_comparable(&of("a", 5)).is_err());
    }
}
