//! The CPU kernels over random shapes against plain burn operations in float64, the adjoint identities of the linear
//! ones, and every first-order gradient against burn's own differentiation of the plain operation.

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use proptest::prelude::*;
use voxgan::ops::{self, ConvGeometry, Fir, VolumeOps, WarpPass, plain, tape};
use voxgan::random::{Purpose, normal, stream};

/// Largest error of float32 kernels, relative to the largest value of the float64 result.
const TOLERANCE: f64 = 1e-5;
/// Largest error of an adjoint identity in float64, relative to the product of the norms.
const TOLERANCE_F64: f64 = 1e-12;

/// An operation, all its shapes known. `n` samples; convolutions from `i` to `o` channels.
#[derive(Clone, Debug)]
enum Operation {
    Conv3d { n: usize, i: usize, o: usize, geometry: ConvGeometry },
    Conv3dInputGrad { n: usize, i: usize, o: usize, geometry: ConvGeometry },
    Conv3dWeightGrad { n: usize, i: usize, o: usize, geometry: ConvGeometry },
    Filter { shape: [usize; 5], fir: Fir },
    ChannelScale { shape: [usize; 5] },
    ChannelDot { shape: [usize; 5] },
    BiasLrelu { shape: [usize; 5], gain: f64 },
}

use Operation::*;

impl Operation {
    /// Shapes of the two arguments; a filter's second is empty.
    fn arguments(&self) -> [Vec<usize>; 2] {
        let volume = |n: usize, c: usize, [d, h, w]: [usize; 3]| vec![n, c, d, h, w];
        match *self {
            Conv3d { n, i, o, geometry } => [volume(n, i, geometry.input), volume(o, i, geometry.kernel)],
            Conv3dInputGrad { n, i, o, geometry } => {
                [volume(n, o, geometry.output()), volume(o, i, geometry.kernel)]
            }
            Conv3dWeightGrad { n, i, o, geometry } => {
                [volume(n, i, geometry.input), volume(n, o, geometry.output())]
            }
            Filter { shape, .. } => [shape.into(), vec![0]],
            ChannelScale { shape } => [shape.into(), vec![shape[0], shape[1]]],
            ChannelDot { shape } => [shape.into(), shape.into()],
            BiasLrelu { shape, .. } => [shape.into(), vec![shape[1]]],
        }
    }

    /// Standard normal arguments.
    fn draw(&self, seed: u64) -> [Vec<f32>; 2] {
        let [a, b] = self.arguments().map(|shape| shape.iter().product());
        [(a, 0), (b, 1)].map(|(length, i)| normal(&mut stream(seed, 0, 0, i, Purpose::Noise), length))
    }

    /// Through [`voxgan::ops`], on flat arguments, flattened.
    fn ours<B: VolumeOps>(&self, a: Tensor<B, 1>, b: Tensor<B, 1>) -> Tensor<B, 1> {
        let [a_shape, b_shape] = self.arguments();
        let x: Tensor<B, 5> = a.reshape(shape(&a_shape));
        match *self {
            Conv3d { geometry, .. } => ops::conv3d(x, b.reshape(shape(&b_shape)), geometry).flatten(0, 4),
            Conv3dInputGrad { geometry, .. } => {
                ops::conv3d_input_grad(x, b.reshape(shape(&b_shape)), geometry).flatten(0, 4)
            }
            Conv3dWeightGrad { geometry, .. } => {
                ops::conv3d_weight_grad(x, b.reshape(shape(&b_shape)), geometry).flatten(0, 4)
            }
            Filter { fir, .. } => ops::fir(x, fir).flatten(0, 4),
            ChannelScale { .. } => ops::channel_scale(x, b.reshape([b_shape[0], b_shape[1]])).flatten(0, 4),
            ChannelDot { .. } => ops::channel_dot(x, b.reshape(shape(&b_shape))).flatten(0, 1),
            BiasLrelu { gain, .. } => ops::bias_lrelu(x, b, gain).flatten(0, 4),
        }
    }

    /// The same by [`plain`].
    fn plain<B: Backend>(&self, a: Tensor<B, 1>, b: Tensor<B, 1>) -> Tensor<B, 1> {
        let [a_shape, b_shape] = self.arguments();
        let x: Tensor<B, 5> = a.reshape(shape(&a_shape));
        match *self {
            Conv3d { geometry, .. } => plain::conv3d(x, b.reshape(shape(&b_shape)), geometry).flatten(0, 4),
            Conv3dInputGrad { geometry, .. } => {
                plain::conv3d_input_grad(x, b.reshape(shape(&b_shape)), geometry).flatten(0, 4)
            }
            Conv3dWeightGrad { geometry, .. } => {
                plain::conv3d_weight_grad(x, b.reshape(shape(&b_shape)), geometry).flatten(0, 4)
            }
            Filter { fir, .. } => plain::fir(x, fir).flatten(0, 4),
            ChannelScale { .. } => plain::channel_scale(x, b.reshape([b_shape[0], b_shape[1]])).flatten(0, 4),
            ChannelDot { .. } => plain::channel_dot(x, b.reshape(shape(&b_shape))).flatten(0, 1),
            BiasLrelu { gain, .. } => plain::bias_lrelu(x, b, gain).flatten(0, 4),
        }
    }
}

fn shape(dims: &[usize]) -> [usize; 5] {
    dims.try_into().expect("five dimensions")
}

fn tensor<B: Backend>(values: &[f32], dtype: DType) -> Tensor<B, 1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&Default::default(), dtype))
}

fn values<B: Backend>(x: Tensor<B, 1>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

/// Largest difference relative to the largest value of `expected`, or to the size that a sum of so many standard normal
/// `terms` has: a single sum may cancel to nearly nothing, which is no error of a kernel.
fn error(found: &[f64], expected: &[f64], terms: usize) -> f64 {
    assert_eq!(found.len(), expected.len());
    let usual = if terms > 1 { (terms as f64).sqrt() } else { f64::MIN_POSITIVE };
    let largest = expected.iter().fold(usual, |m, x| m.max(x.abs()));
    // `max` would lose a NaN.
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, |m: f64, d| if d > m || d.is_nan() { d } else { m }) / largest
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `|x − y|` relative to `scale`, no NaN.
fn agree(x: f64, y: f64, scale: f64, tolerance: f64) {
    let error = (x - y).abs() / scale.max(f64::MIN_POSITIVE);
    assert!(error <= tolerance, "{x} and {y} differ by {error:.1e}");
}

fn norm(x: &[f64]) -> f64 {
    product(x, x).sqrt()
}

fn forward(operation: &Operation, seed: u64) {
    let [a, b] = operation.draw(seed);
    let f32s = operation.ours::<Flex>(tensor(&a, DType::F32), tensor(&b, DType::F32));
    assert_eq!(f32s.dtype(), DType::F32);
    let f64s = operation.plain::<Flex>(tensor(&a, DType::F64), tensor(&b, DType::F64));
    assert_eq!(f64s.dtype(), DType::F64);
    let (found, expected) = (values(f32s), values(f64s));
    let error = error(&found, &expected, a.len().max(b.len()) / expected.len());
    assert!(error <= TOLERANCE, "{operation:?}: {error:.1e}");
}

fn gradients(operation: &Operation, seed: u64) {
    type D = Autodiff<Flex>;
    let _tape = tape();
    let [a, b] = operation.draw(seed);
    let run = |f: &dyn Fn(Tensor<D, 1>, Tensor<D, 1>) -> Tensor<D, 1>, dtype: DType| {
        let a = tensor::<D>(&a, dtype).require_grad();
        let b = tensor::<D>(&b, dtype).require_grad();
        let output = f(a.clone(), b.clone());
        // A random linear function of the output, so that no symmetry hides an error.
        let v = normal(&mut stream(seed, 0, 0, 2, Purpose::Noise), output.dims()[0]);
        let gradients = (output * tensor(&v, dtype)).sum().backward();
        let has_b = !matches!(operation, Filter { .. });
        [a.grad(&gradients), has_b.then(|| b.grad(&gradients)).flatten()].map(|g| g.map_or(vec![], values))
    };
    let ours = run(&|a, b| operation.ours(a, b), DType::F32);
    let burns = run(&|a, b| operation.plain(a, b), DType::F64);
    let longest = a
        .len()
        .max(b.len())
        .max(operation.ours::<Flex>(tensor(&a, DType::F32), tensor(&b, DType::F32)).dims()[0]);
    for (argument, (ours, burns)) in ours.iter().zip(&burns).enumerate() {
        let error = error(ours, burns, longest / burns.len().max(1));
        assert!(error <= TOLERANCE, "{operation:?}, argument {argument}: {error:.1e}");
    }
}

/// Convolutions as networks have them and others: strides and kernels that differ from axis to axis, thin grids.
fn geometries() -> impl Strategy<Value = ConvGeometry> {
    let axis = (1usize..=9, prop_oneof![Just(1usize), Just(3)], 1usize..=2, 0usize..=1);
    [axis.clone(), axis.clone(), axis].prop_map(|axes| {
        let mut geometry = ConvGeometry { input: [1; 3], kernel: [1; 3], stride: [1; 3], padding: [0; 3] };
        for (a, (input, kernel, stride, padding)) in axes.into_iter().enumerate() {
            let padding = padding.min(kernel / 2);
            geometry.kernel[a] = kernel;
            geometry.stride[a] = stride;
            geometry.padding[a] = padding;
            geometry.input[a] = input.max(kernel - 2 * padding);
        }
        geometry
    })
}

fn convolutions() -> impl Strategy<Value = (usize, usize, usize, ConvGeometry)> {
    (1usize..=3, 1usize..=33, 1usize..=33, geometries())
}

/// `[N, C, D, H, W]`, a third of them one voxel thick.
fn volumes() -> impl Strategy<Value = [usize; 5]> {
    let depth = prop_oneof![1 => Just(1usize), 2 => 2usize..=8];
    (1usize..=3, 1usize..=33, depth, 1usize..=9, 1usize..=20).prop_map(|(n, c, d, h, w)| [n, c, d, h, w])
}

/// Passes of a network and others: both factors, padding that crops, along every axis.
fn firs() -> impl Strategy<Value = (Fir, [usize; 5])> {
    let factors = prop_oneof![Just((1, 1)), Just((2, 1)), Just((1, 2))];
    (volumes(), 2usize..=4, factors, -1isize..=3, -1isize..=4, 0.5..2.0f64)
        .prop_map(|(shape, axis, (up, down), front, behind, gain)| {
            (Fir { axis, up, down, pad: [front, behind], gain }, shape)
        })
        .prop_filter("shorter than the filter, or nothing of it left", |(fir, shape)| {
            let samples = (shape[fir.axis] * fir.up) as isize;
            let [front, behind] = fir.pad;
            samples + front + behind >= 4 && samples + front.min(0) + behind.min(0) >= 1
        })
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => convolutions().prop_map(|(n, i, o, geometry)| Conv3d { n, i, o, geometry }),
        2 => convolutions().prop_map(|(n, i, o, geometry)| Conv3dInputGrad { n, i, o, geometry }),
        2 => convolutions().prop_map(|(n, i, o, geometry)| Conv3dWeightGrad { n, i, o, geometry }),
        2 => firs().prop_map(|(fir, shape)| Filter { shape, fir }),
        1 => volumes().prop_map(|shape| ChannelScale { shape }),
        1 => volumes().prop_map(|shape| ChannelDot { shape }),
        1 => (volumes(), 0.3..2.0f64).prop_map(|(shape, gain)| BiasLrelu { shape, gain }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kernels_agree_with_plain_operations_in_float64(operation in operations(), seed: u64) {
        forward(&operation, seed);
    }

    #[test]
    fn first_order_gradients_are_those_of_burn(operation in operations(), seed: u64) {
        gradients(&operation, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// ⟨conv(x, w), g⟩ = ⟨x, input_grad(g, w)⟩ = ⟨w, weight_grad(x, g)⟩, on the kernels and in float64.
    #[test]
    fn the_three_convolutions_are_adjoint((n, i, o, geometry) in convolutions(), seed: u64) {
        let conv = Conv3d { n, i, o, geometry };
        let [x, w] = conv.draw(seed);
        let [g, _] = Conv3dInputGrad { n, i, o, geometry }.draw(seed ^ 1);
        for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F64, TOLERANCE_F64)] {
            let run = |operation: Operation, a: &[f32], b: &[f32]| {
                values(operation.ours::<Flex>(tensor(a, dtype), tensor(b, dtype)))
            };
            let [fx, fw, fg] = [&x, &w, &g].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            let y = run(conv.clone(), &x, &w);
            let scale = norm(&y) * norm(&fg);
            let forward = product(&y, &fg);
            agree(forward, product(&fx, &run(Conv3dInputGrad { n, i, o, geometry }, &g, &w)), scale, tolerance);
            agree(forward, product(&fw, &run(Conv3dWeightGrad { n, i, o, geometry }, &x, &g)), scale, tolerance);
        }
    }

    /// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, and the adjoint's adjoint does what the pass does.
    #[test]
    fn a_filter_and_its_adjoint((fir, shape) in firs(), seed: u64) {
        let length = shape[fir.axis];
        let adjoint = fir.adjoint(length);
        prop_assert_eq!(adjoint.output(fir.output(length)), length);
        let x = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), shape.iter().product());
        let mut out = shape;
        out[fir.axis] = fir.output(length);
        let y = normal(&mut stream(seed, 0, 0, 1, Purpose::Noise), out.iter().product());
        for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F64, TOLERANCE_F64)] {
            let pass = |v: &[f32], shape: [usize; 5], fir: Fir| {
                values(ops::fir::<Flex>(tensor(v, dtype).reshape(shape), fir).flatten(0, 4))
            };
            let [fx, fy] = [&x, &y].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            let forward = pass(&x, shape, fir);
            let back = pass(&y, out, adjoint);
            agree(product(&forward, &fy), product(&fx, &back), norm(&forward) * norm(&fy), tolerance);
            let again = pass(&x, shape, adjoint.adjoint(out[fir.axis]));
            prop_assert!(error(&again, &forward, 1) <= tolerance);
        }
    }

    /// ⟨scale(x, s), y⟩ = ⟨x, scale(y, s)⟩ = ⟨s, dot(x, y)⟩.
    #[test]
    fn scaling_and_dot_are_adjoint(shape in volumes(), seed: u64) {
        let [x, s] = ChannelScale { shape }.draw(seed);
        let [y, _] = ChannelScale { shape }.draw(seed ^ 1);
        for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F64, TOLERANCE_F64)] {
            let run = |operation: Operation, a: &[f32], b: &[f32]| {
                values(operation.ours::<Flex>(tensor(a, dtype), tensor(b, dtype)))
            };
            let [fx, fs, fy] = [&x, &s, &y].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            let scaled = run(ChannelScale { shape }, &x, &s);
            let (forward, scale) = (product(&scaled, &fy), norm(&scaled) * norm(&fy));
            agree(forward, product(&fx, &run(ChannelScale { shape }, &y, &s)), scale, tolerance);
            agree(forward, product(&fs, &run(ChannelDot { shape }, &x, &y)), scale, tolerance);
        }
    }

    /// ⟨W x, y⟩ = ⟨x, Wᵀ y⟩ for resampling passes of every sample's own.
    #[test]
    fn a_warp_and_its_transpose(
        shape in volumes(), axis in 2usize..=4, seed: u64,
        coefficients in [0.4..1.8f64, -0.3..0.3f64, -0.3..0.3f64, -3.0..3.0f64],
    ) {
        let rows = (0..shape[0]).map(|n| {
            let mut row = [coefficients[1], coefficients[2], coefficients[1], coefficients[3] + n as f64 * 0.3];
            row[axis - 2] = coefficients[0];
            row
        });
        let pass = WarpPass { axis, rows: rows.collect(), adjoint: false };
        let [x, y] = ChannelDot { shape }.draw(seed);
        for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F64, TOLERANCE_F64)] {
            let warp = |v: &[f32], pass: &WarpPass| {
                values(ops::warp::<Flex>(tensor(v, dtype).reshape(shape), pass).flatten(0, 4))
            };
            let [fx, fy] = [&x, &y].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            let (forward, back) = (warp(&x, &pass), warp(&y, &pass.transposed()));
            agree(product(&forward, &fy), product(&fx, &back), norm(&forward) * norm(&fy), tolerance);
        }
    }
}

/// The shapes at which the kernels change what they do: full and partial blocks of lanes, one voxel, one axis.
#[test]
fn corner_shapes() {
    let same = |input: [usize; 3]| ConvGeometry::same(input, input.map(|n| if n == 1 { 1 } else { 3 }));
    for (n, i, o, geometry) in [
        (1, 1, 1, same([1; 3])),
        (1, 16, 16, same([4, 4, 4])),
        (2, 17, 31, same([3, 2, 2])),
        (1, 32, 1, same([1, 33, 1])),
        (3, 1, 33, same([1, 8, 17])),
        (1, 15, 16, ConvGeometry { input: [9; 3], kernel: [3; 3], stride: [2; 3], padding: [0; 3] }),
        (2, 33, 2, ConvGeometry { input: [1, 9, 7], kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0; 3] }),
        (1, 4, 5, ConvGeometry { input: [5, 9, 9], kernel: [3; 3], stride: [1, 2, 2], padding: [1, 0, 0] }),
        (1, 3, 3, ConvGeometry { input: [8, 6, 4], kernel: [3; 3], stride: [2; 3], padding: [0; 3] }),
    ] {
        for operation in [
            Conv3d { n, i, o, geometry },
            Conv3dInputGrad { n, i, o, geometry },
            Conv3dWeightGrad { n, i, o, geometry },
        ] {
            forward(&operation, 11);
            gradients(&operation, 12);
        }
    }
}
