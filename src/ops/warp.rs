//! Resampling along one axis as tensor operations; [`crate::warp`] defines a pass and its form on slices of numbers.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::warp::{WarpPass, reach};

/// The pass in plain burn operations, for any backend and float type: see [`super::warp()`].
///
/// Positions and weights are computed on the device, tap by tap, in `float32` at least.
pub fn warp_tensor<B: Backend>(x: Tensor<B, 5>, pass: &WarpPass) -> Tensor<B, 5> {
    let shape = x.dims();
    pass.check(shape);
    let (axis, length) = (pass.axis, shape[pass.axis]);
    if pass.is_identity(length) {
        return x;
    }
    let (device, dtype) = (x.device(), x.dtype());
    let options = (&device, if dtype == DType::F64 { DType::F64 } else { DType::F32 });
    let column = |values: Vec<f64>| -> Tensor<B, 5> {
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n, 1, 1, 1, 1]), options)
    };
    let mut position = column(pass.rows.iter().map(|row| row[3]).collect());
    for a in 0..3 {
        let mut along = [1; 5];
        along[a + 2] = shape[a + 2];
        let index: Vec<f64> = (0..shape[a + 2]).map(|i| i as f64).collect();
        let index: Tensor<B, 5> = Tensor::from_data(TensorData::new(index, along), options);
        position = position + index * column(pass.rows.iter().map(|row| row[a]).collect());
    } // [N, 1, D, H, W]
    if !pass.bends.is_empty() {
        let [n, _, d, h, w] = shape;
        let still = vec![0.0; d * h * w];
        let bends: Vec<f32> =
            (0..n).flat_map(|n| pass.bend(n).map_or(&still[..], |bend| bend)).copied().collect();
        position = position + Tensor::from_data(TensorData::new(bends, [n, 1, d, h, w]), options);
    }
    let stretches: Vec<f64> = (0..shape[0]).map(|n| pass.stretch(n)).collect();
    let reach = stretches.iter().map(|&s| reach(s)).max().unwrap_or(0);
    let base = position.clone().floor();
    let fraction = position - base.clone();
    let stretch = column(stretches);
    let taps: Vec<isize> = (1 - reach..=reach).collect();
    let weight = |tap: isize| keys((fraction.clone() - tap as f64).abs() / stretch.clone());
    let total = taps[1..].iter().fold(weight(taps[0]), |sum, &tap| sum + weight(tap));
    let period = 2.0 * length as f64;
    let mut result = Tensor::zeros(shape, (&device, dtype));
    for tap in taps {
        let weight = (weight(tap) / total.clone()).cast(dtype);
        let at = base.clone() + tap as f64;
        let turns = ((at.clone() + 0.5) / period).floor();
        let at = at - turns * period; // within [0, 2·length)
        let middle = length as f64 - 0.5;
        let at: Tensor<B, 5, Int> = ((at - middle).abs().neg() + middle).int().expand(shape);
        result = if pass.adjoint {
            result.scatter(axis, at, x.clone() * weight, IndexingUpdateOp::Add)
        } else {
            result + x.clone().gather(axis, at) * weight
        };
    }
    result
}

/// Keys' kernel at distances `u ≥ 0`: `1 − 2.5u² + 1.5u³` below 1, `2 − 4u + 2.5u² − 0.5u³` below 2, else 0.
fn keys<B: Backend>(u: Tensor<B, 5>) -> Tensor<B, 5> {
    let near = (u.clone() * 1.5 - 2.5) * u.clone() * u.clone() + 1.0;
    let far = ((u.clone() * -0.5 + 2.5) * u.clone() - 4.0) * u.clone() + 2.0;
    let (inner, outer) = (u.clone().lower_elem(1.0), u.greater_equal_elem(2.0));
    far.mask_where(inner, near).mask_fill(outer, 0.0)
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;
    use crate::warp::warp_slice;

    const SHAPE: [usize; 5] = [2, 1, 9, 11, 13];

    /// The burn form in float64 is an implementation of its own: weights for all taps, reflection in closed form.
    #[test]
    fn slices_and_tensors_agree() {
        let x: Vec<f32> = (0..2574).map(|i| (i as f32 * 0.731).sin() + (i as f32 * 0.0173).cos()).collect();
        for axis in 2..5 {
            let rows = vec![[0.12, -0.21, 0.17, -9.3]; SHAPE[0]];
            let mut pass = WarpPass::affine(axis, rows);
            pass.rows[0][axis - 2] = -1.4;
            pass.rows[1][axis - 2] = 0.85;
            pass.bends = vec![Some((0..1287).map(|i| (i as f32 * 0.37).sin()).collect()), None];
            for pass in [pass.transposed(), pass] {
                let data = TensorData::new(x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), SHAPE);
                let y = Tensor::<Flex, 5>::from_data(data, (&Default::default(), DType::F64));
                let y = warp_tensor(y, &pass).into_data();
                for (a, b) in warp_slice(&x, SHAPE, &pass).into_iter().zip(y.iter::<f64>()) {
                    assert!((f64::from(a) - b).abs() < 3e-6 * (1.0 + b.abs()), "{a} is not {b}");
                }
            }
        }
    }
}
