//! Resampling passes: properties that hold for all shapes and coefficients.

use burn::backend::Flex;
use burn::tensor::{DType, Tensor, TensorData};
use proptest::prelude::*;
use voxgan::ops::warp::warp_tensor;
use voxgan::warp::{WarpPass, warp_slice};

/// A shape, a pass over it and two images.
fn cases() -> impl Strategy<Value = ([usize; 5], WarpPass, Vec<f32>, Vec<f32>)> {
    let row = prop::array::uniform3(-0.4f64..0.4);
    let row = (row, 0.4f64..2.6, any::<bool>(), -12.0f64..12.0);
    let shape = (1usize..3, 1usize..3, 1usize..8, 1usize..8, 1usize..8);
    (shape, 2usize..5, prop::collection::vec(row, 2), any::<bool>()).prop_flat_map(
        |((n, c, d, h, w), axis, rows, bent)| {
            let rows = rows.into_iter().take(n).map(|(mut shear, scale, reflected, shift)| {
                shear[axis - 2] = if reflected { -scale } else { scale };
                [shear[0], shear[1], shear[2], shift]
            });
            let mut pass = WarpPass::affine(axis, rows.collect());
            if bent {
                // The last sample alone.
                let bend = (0..d * h * w).map(|i| 1.7 * (i as f32 * 0.9).sin()).collect();
                pass.bends = vec![None; n];
                pass.bends[n - 1] = Some(bend);
            }
            let image = || prop::collection::vec(-1.0f32..1.0, n * c * d * h * w);
            (Just([n, c, d, h, w]), Just(pass), image(), image())
        },
    )
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn double(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_transpose_is_exact((shape, pass, x, y) in cases()) {
        let forward = |x: &[f32]| double(&warp_slice(x, shape, &pass));
        let adjoint = |y: &[f32]| double(&warp_slice(y, shape, &pass.transposed()));
        let (ax, aty) = (forward(&x), adjoint(&y));
        let (x, y) = (double(&x), double(&y));
        let scale = (dot(&ax, &ax) * dot(&y, &y)).sqrt() + 1e-3;
        prop_assert!((dot(&ax, &y) - dot(&x, &aty)).abs() < 1e-6 * scale);

        let tensor = |x: &[f64]| -> Tensor<Flex, 5> {
            Tensor::from_data(TensorData::new(x.to_vec(), shape), (&Default::default(), DType::F64))
        };
        let values = |x: Tensor<Flex, 5>| x.into_data().iter::<f64>().collect::<Vec<_>>();
        let ax = values(warp_tensor(tensor(&x), &pass));
        let aty = values(warp_tensor(tensor(&y), &pass.transposed()));
        prop_assert!((dot(&ax, &y) - dot(&x, &aty)).abs() < 1e-12 * (1.0 + scale));
    }

    #[test]
    fn a_constant_stays_constant((shape, pass, _, _) in cases()) {
        let ones = vec![1.0; shape.iter().product()];
        for value in warp_slice(&ones, shape, &pass) {
            prop_assert!((value - 1.0).abs() < 1e-6);
        }
    }
}
