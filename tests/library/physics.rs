//! The physics as tensor operations: the same numbers as on the host, exact adjoints, gradients to the second order.

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use voxgan::acquisition::linear::norm;
use voxgan::acquisition::{Complex32, ComplexArray, LinearOperator};
use voxgan::ops::physics::Encoder;
use voxgan::ops::{backward, tape};

use crate::encodings::{draw, encodings};

type A = Autodiff<Flex>;
type AA = Autodiff<A>;

/// Complex arrays `[C, D, H, W]`, or images `[D, H, W]`, as a batch `[N, 2·C, D, H, W]`.
fn tensor<B: Backend>(arrays: &[&ComplexArray], dtype: DType) -> Tensor<B, 5> {
    let rank = arrays[0].ndim();
    let [d, h, w] = [3, 2, 1].map(|back| arrays[0].shape()[rank - back]);
    let coils = arrays[0].len() / (d * h * w);
    let mut values = Vec::new();
    for array in arrays {
        let array: Vec<Complex32> = array.iter().copied().collect();
        for coil in array.chunks(d * h * w) {
            values.extend(coil.iter().map(|z| f64::from(z.re)));
            values.extend(coil.iter().map(|z| f64::from(z.im)));
        }
    }
    let data = TensorData::new(values, [arrays.len(), 2 * coils, d, h, w]);
    Tensor::from_data(data, (&Default::default(), dtype))
}

fn values<B: Backend>(x: Tensor<B, 5>) -> Vec<f64> {
    x.into_data().convert::<f64>().iter::<f64>().collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / product(expected, expected)).sqrt()
}

#[test]
fn tensors_and_the_host_agree_and_the_adjoint_is_exact() {
    for (name, encoding) in encodings() {
        let host = encoding.operator().unwrap();
        let encoder = Encoder::<Flex>::new(&encoding, &Default::default()).unwrap();
        let images: Vec<_> = (0..2).map(|n| draw(host.input_shape(), n)).collect();
        let measured: Vec<_> = (2..4).map(|n| draw(host.output_shape(), n)).collect();
        for dtype in [DType::F32, DType::F64] {
            let x = tensor::<Flex>(&[&images[0], &images[1]], dtype);
            let y = tensor::<Flex>(&[&measured[0], &measured[1]], dtype);
            let (ax, aty) = (encoder.apply(x.clone()), encoder.adjoint(y.clone()));
            let [forward, backward] = [
                [&images[0], &images[1]].map(|x| host.forward(x.clone())),
                [&measured[0], &measured[1]].map(|y| &host.adjoint() * y.clone()),
            ];
            let expected = tensor::<Flex>(&[&forward[0], &forward[1]], dtype);
            assert_eq!(ax.dims(), expected.dims(), "{name}");
            let (ax, aty) = (values(ax), values(aty));
            let off = error(&ax, &values(expected));
            assert!(off < 1e-5, "{name}, {dtype:?}: {off:.1e} from the host");
            let off = error(&aty, &values(tensor::<Flex>(&[&backward[0], &backward[1]], dtype)));
            assert!(off < 1e-5, "{name}, {dtype:?}: adjoint {off:.1e} from the host's");
            let (x, y) = (values(x), values(y));
            let scale = (product(&ax, &ax) * product(&y, &y)).sqrt();
            let off = (product(&ax, &y) - product(&x, &aty)).abs() / scale;
            let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-6 };
            assert!(off < tolerance, "{name}, {dtype:?}: adjoint off by {off:.1e}");
        }
    }
}

#[test]
fn the_gradient_of_the_misfit_is_the_hosts_adjoint_of_the_residual() {
    let _tape = tape();
    for (name, encoding) in encodings() {
        let host = encoding.operator().unwrap();
        let encoder = Encoder::<A>::new(&encoding, &Default::default()).unwrap();
        let (image, measured) = (draw(host.input_shape(), 5), draw(host.output_shape(), 6));
        let x = tensor::<A>(&[&image], DType::F32).require_grad();
        let residual = encoder.apply(x.clone()) - tensor(&[&measured], DType::F32);
        let gradients = backward(&residual.powi_scalar(2).sum().mul_scalar(0.5));
        let gradient = values(x.grad(&gradients).expect("a gradient in the image"));
        let expected = &host.adjoint() * (host.forward(image) - measured);
        assert!(norm(&expected) > 0.0);
        let off = error(&gradient, &values(tensor::<Flex>(&[&expected], DType::F32)));
        assert!(off < 1e-5, "{name}: {off:.1e}");
    }
}

/// `f(x) = Σ (A tanh x)⁴` has a gradient whose norm depends on x through every step of the operator twice.
#[test]
fn the_gradient_of_a_gradients_norm_agrees_with_differences() {
    let _tape = tape();
    for (name, encoding) in encodings() {
        let encoder = Encoder::<AA>::new(&encoding, &Default::default()).unwrap();
        let [d, h, w] = encoding.shape;
        let image = draw(&[d, h, w], 7).mapv(|z| z * 0.5);
        let direction = draw(&[d, h, w], 8);
        let penalty = |x: Tensor<AA, 5>| -> Tensor<A, 1> {
            let x = x.require_grad();
            let energy = encoder.apply(x.clone().tanh()).powi_scalar(4).sum();
            let gradient = x.grad(&backward(&energy)).expect("a gradient in the image");
            gradient.powi_scalar(2).sum()
        };
        let x = tensor::<A>(&[&image], DType::F64).require_grad();
        let value = penalty(Tensor::from_inner(x.clone()));
        let exact = values(x.grad(&backward(&value)).expect("a gradient of the gradient"));
        let along = values(tensor::<Flex>(&[&direction], DType::F64));
        let step = 1e-5;
        let at = |sign: f64| {
            let x =
                tensor::<AA>(&[&image], DType::F64) + tensor::<AA>(&[&direction], DType::F64) * (sign * step);
            penalty(x).into_data().iter::<f64>().next().unwrap()
        };
        let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
        let size = (product(&exact, &exact) * product(&along, &along)).sqrt();
        let off = (product(&exact, &along) - difference).abs() / size;
        assert!(off < 1e-7, "{name}: {off:.1e}");
    }
}
