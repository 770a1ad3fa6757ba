//! The place of DC in a file's k-space: index ⌊n/2⌋, or index 0 for an unshifted transform.

use ndarray::{Array, ArrayView, Axis, Dimension, RemoveAxis, concatenate};
use serde::{Deserialize, Serialize};

/// The place of zero spatial frequency (DC) along the transformed axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DcPlace {
    /// Index ⌊n/2⌋.
    #[default]
    Centre,
    /// Index 0.
    Corner,
}

/// `array` with index 0 moved to ⌊n/2⌋ along `axes`: numpy's `fftshift`, for odd lengths too.
///
/// # Panics
/// If an axis is beyond the array's rank.
pub fn from_corner<T: Clone, D: Dimension + RemoveAxis>(
    mut array: Array<T, D>,
    axes: &[usize],
) -> Array<T, D> {
    for &axis in axes {
        let length = array.len_of(Axis(axis));
        if length > 1 {
            let (low, high): (ArrayView<T, D>, _) = array.view().split_at(Axis(axis), length.div_ceil(2));
            array = concatenate(Axis(axis), &[high, low]).expect("two parts of one array fit each other");
        }
    }
    array
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn shifts_as_numpy() {
        // np.fft.fftshift of arange(5), arange(4) and of both axes of arange(6).reshape(2, 3).
        assert_eq!(from_corner(array![0, 1, 2, 3, 4], &[0]), array![3, 4, 0, 1, 2]);
        assert_eq!(from_corner(array![0, 1, 2, 3], &[0]), array![2, 3, 0, 1]);
        assert_eq!(from_corner(array![[0, 1, 2], [3, 4, 5]], &[0, 1]), array![[5, 3, 4], [2, 0, 1]]);
    }
}
