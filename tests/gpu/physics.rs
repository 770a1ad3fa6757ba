//! The physics as tensors on a GPU: the host's numbers, and gradients to the second order as on the CPU in float64.

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use voxgan::acquisition::encoding::Encoding;
use voxgan::acquisition::{ComplexArray, LinearOperator};
use voxgan::ops::physics::Encoder;
use voxgan::ops::{Shaped, VolumeOps, backward, tape};

use crate::card::{Fused, device, error, tensor, values};
use crate::encodings::{draw, encodings};

const TOLERANCE: f64 = 5e-5;

/// A complex array `[C, D, H, W]` or `[D, H, W]` in the layout of tensors.
fn numbers(array: &ComplexArray) -> Vec<f32> {
    let rank = array.ndim();
    let voxels: usize = array.shape()[rank - 3..].iter().product();
    let array: Vec<_> = array.iter().copied().collect();
    let coils = array.chunks(voxels);
    coils.flat_map(|coil| coil.iter().map(|z| z.re).chain(coil.iter().map(|z| z.im))).collect()
}

fn on<B: Backend>(array: &ComplexArray, to: (&B::Device, DType)) -> Tensor<B, 5> {
    let rank = array.ndim();
    let [d, h, w] = [3, 2, 1].map(|back| array.shape()[rank - back]);
    tensor(&numbers(array), to).shaped([1, 2 * array.len() / (d * h * w), d, h, w])
}

/// `A·x`, `Aᴴ·y`, the gradient of f(x) = Σ (A tanh x)⁴ and that of its squared norm.
fn quantities<B: VolumeOps>(
    encoding: &Encoding,
    image: &ComplexArray,
    measured: &ComplexArray,
    to: (&B::Device, DType),
) -> [Vec<f64>; 4] {
    type AA<B> = Autodiff<Autodiff<B>>;
    let plain = Encoder::<B>::new(encoding, to.0).unwrap();
    let encoder = Encoder::<AA<B>>::new(encoding, to.0).unwrap();
    let inner = on::<Autodiff<B>>(image, to).require_grad();
    let x = Tensor::<AA<B>, 5>::from_inner(inner.clone()).require_grad();
    let energy = encoder.apply(x.clone().tanh()).powi_scalar(4).sum();
    let gradient = x.grad(&backward(&energy)).expect("a gradient in the image");
    let second = backward(&gradient.clone().powi_scalar(2).sum());
    let second = inner.grad(&second).expect("a gradient of the gradient");
    [
        values(plain.apply(on(image, to))),
        values(plain.adjoint(on(measured, to))),
        values(gradient),
        values(second),
    ]
}

#[test]
fn encodings_and_their_gradients() {
    let Some(device) = device() else { return };
    let _tape = tape();
    for (name, encoding) in encodings() {
        let host = encoding.operator().unwrap();
        let image = draw(host.input_shape(), 7).mapv(|z| z * 0.5);
        let measured = draw(host.output_shape(), 8);
        let expected = quantities::<Flex>(&encoding, &image, &measured, (&Default::default(), DType::F64));
        let found = quantities::<Fused>(&encoding, &image, &measured, (&device, DType::F32));
        for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = error(found, expected, 0.0);
            assert!(error <= TOLERANCE, "{name}, quantity {which}: {error:.1e}");
        }
        let forward: Vec<f64> = numbers(&host.forward(image)).into_iter().map(f64::from).collect();
        let error = error(&found[0], &forward, 0.0);
        assert!(error <= TOLERANCE, "{name}: {error:.1e} from the host");
    }
}
