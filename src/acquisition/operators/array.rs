//! Arrays in plain data: their shape, and their values in C order.

use ndarray::{Array, Dimension, IntoDimension};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serialises an array as `(shape, values)`, values in C order, for serde's `with`.
///
/// # Errors
/// The serialiser's error.
pub fn serialize<A, D, S>(array: &Array<A, D>, to: S) -> Result<S::Ok, S::Error>
where
    A: Serialize + Clone,
    D: Dimension,
    S: Serializer,
{
    (array.shape(), array.iter().cloned().collect::<Vec<_>>()).serialize(to)
}

/// Deserialises an array from `(shape, values)`.
///
/// # Errors
/// The deserialiser's error if there are not as many values as the shape has places, or the rank is another.
pub fn deserialize<'de, A, D, F>(from: F) -> Result<Array<A, D>, F::Error>
where
    A: DeserializeOwned,
    D: Dimension,
    F: Deserializer<'de>,
{
    let (shape, values): (Vec<usize>, Vec<A>) = Deserialize::deserialize(from)?;
    let array = Array::from_shape_vec(shape.into_dimension(), values).map_err(F::Error::custom)?;
    array.into_dimensionality().map_err(F::Error::custom)
}
