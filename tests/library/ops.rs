//! The CPU kernels over random shapes against plain burn operations in float64, the adjoint identities of the linear
//! ones, and every first-order gradient against burn's own differentiation of the plain operation.

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use proptest::prelude::*;
use voxgan::ops::{
    self, ConvGeometry, Features, Fir, FirPass, Layer, LayerInputs, Shaped, VolumeOps, backward, plain, tape,
};
use voxgan::random::{Purpose, normal, stream};
use voxgan::warp::WarpPass;

use crate::operations::parts;

/// Largest error of float32 kernels, relative to the largest value of the float64 result.
const TOLERANCE: f64 = 1e-5;
/// Largest error of an adjoint identity in float64, relative to the product of the norms.
const TOLERANCE_F64: f64 = 1e-12;

/// An operation, all its shapes known. `n` samples; convolutions from `i` to `o` channels.
#[derive(Clone, Debug)]
enum Operation {
    Conv3d {
        n: usize,
        i: usize,
        o: usize,
        geometry: ConvGeometry,
    },
    Conv3dInputGrad {
        n: usize,
        i: usize,
        o: usize,
        geometry: ConvGeometry,
    },
    Conv3dWeightGrad {
        n: usize,
        i: usize,
        o: usize,
        geometry: ConvGeometry,
    },
    Filter {
        shape: [usize; 5],
        fir: Fir,
    },
    ChannelScale {
        shape: [usize; 5],
    },
    ChannelDot {
        shape: [usize; 5],
    },
    AddField {
        shape: [usize; 5],
    },
    ChannelCollect {
        shape: [usize; 5],
    },
    /// Masked by the second argument.
    LreluMask {
        shape: [usize; 5],
        slope: f64,
        gain: f64,
    },
    /// A layer with the parts that `with` tells: style, demodulation, field, bias.
    Whole {
        n: usize,
        i: usize,
        o: usize,
        layer: Layer,
        with: [bool; 4],
    },
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
            AddField { shape: [n, c, d, h, w] } => [vec![n, c, d, h, w], vec![n, 1, d, h, w]],
            ChannelCollect { shape } => [shape.into(), vec![0]],
            LreluMask { shape, .. } => [shape.into(), shape.into()],
            // Weight and parts, one behind the other.
            Whole { n, i, o, layer, with } => {
                let [d, h, w] = layer.blur.output(layer.convolved());
                let taps: usize = layer.geometry.kernel.iter().product();
                let sizes = [n * i, n * o, n * d * h * w, o];
                let parts: usize =
                    sizes.iter().zip(with).filter(|(_, with)| *with).map(|(size, _)| size).sum();
                let grid = if layer.transposed { layer.geometry.output() } else { layer.geometry.input };
                [volume(n, i, grid), vec![o * i * taps + parts]]
            }
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
        let x: Tensor<B, 5> = a.shaped(shape(&a_shape));
        let features = Features::from_volumes;
        let flat = |x: Features<B>| x.into_volumes().flat();
        match *self {
            Conv3d { geometry, .. } => flat(ops::conv3d(features(x), b.shaped(shape(&b_shape)), geometry)),
            Conv3dInputGrad { geometry, .. } => {
                flat(ops::conv3d_input_grad(features(x), b.shaped(shape(&b_shape)), geometry))
            }
            Conv3dWeightGrad { geometry, .. } => {
                let g = features(b.shaped(shape(&b_shape)));
                ops::conv3d_weight_grad(features(x), g, geometry).flat()
            }
            Filter { fir, .. } => flat(ops::fir(features(x), &fir)),
            ChannelScale { .. } => flat(ops::channel_scale(features(x), b.shaped([b_shape[0], b_shape[1]]))),
            ChannelDot { .. } => ops::channel_dot(features(x), features(b.shaped(shape(&b_shape)))).flat(),
            AddField { .. } => flat(ops::add_field(features(x), b.shaped(shape(&b_shape)))),
            ChannelCollect { .. } => ops::channel_collect(features(x)).flat(),
            LreluMask { slope, gain, .. } => {
                let y = features(b.shaped(shape(&b_shape)));
                flat(ops::lrelu_mask(y, features(x), slope, gain))
            }
            Whole { n, i, o, layer, with } => {
                let (weight, inputs) = parts(b, [n, i, o], &layer, with);
                flat(ops::layer(features(x), weight, inputs, &layer))
            }
        }
    }

    /// The same by [`plain`].
    fn plain<B: VolumeOps>(&self, a: Tensor<B, 1>, b: Tensor<B, 1>) -> Tensor<B, 1> {
        let [a_shape, b_shape] = self.arguments();
        let x: Tensor<B, 5> = a.shaped(shape(&a_shape));
        match *self {
            Conv3d { geometry, .. } => plain::conv3d(x, b.shaped(shape(&b_shape)), geometry).flat(),
            Conv3dInputGrad { geometry, .. } => {
                plain::conv3d_input_grad(x, b.shaped(shape(&b_shape)), geometry).flat()
            }
            Conv3dWeightGrad { geometry, .. } => {
                plain::conv3d_weight_grad(x, b.shaped(shape(&b_shape)), geometry).flat()
            }
            Filter { fir, .. } => plain::fir(x, &fir).flat(),
            ChannelScale { .. } => plain::channel_scale(x, b.shaped([b_shape[0], b_shape[1]])).flat(),
            ChannelDot { .. } => plain::channel_dot(x, b.shaped(shape(&b_shape))).flat(),
            AddField { .. } => plain::add_field(x, b.shaped(shape(&b_shape))).flat(),
            ChannelCollect { .. } => plain::channel_collect(x).flat(),
            LreluMask { slope, gain, .. } => {
                plain::lrelu_mask(b.shaped(shape(&b_shape)), x, slope, gain).flat()
            }
            Whole { n, i, o, layer, with } => {
                let (weight, LayerInputs { style, demodulation, field, bias }) =
                    parts(b, [n, i, o], &layer, with);
                let x = style.map_or(x.clone(), |s| plain::channel_scale(x, s));
                let y = match layer.transposed {
                    true => plain::conv3d_input_grad(x, weight.swap_dims(0, 1), layer.geometry),
                    false => plain::conv3d(x, weight, layer.geometry),
                };
                let y = plain::fir(y, &layer.blur);
                let y = demodulation.map_or(y.clone(), |d| plain::channel_scale(y, d));
                let y = field.map_or(y.clone(), |f| plain::add_field(y, f));
                plain::bias_lrelu(y, bias, layer.gain).flat()
            }
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
    let outputs = values(operation.plain::<Flex>(tensor(&a, DType::F64), tensor(&b, DType::F64)));
    // A random linear function of the output, so that no symmetry hides an error.
    let mut v = normal(&mut stream(seed, 0, 0, 2, Purpose::Noise), outputs.len());
    if matches!(operation, Whole { .. }) {
        // But nothing of what is so near the kink of the leaky ReLU that rounding decides on which side it lies.
        let near = TOLERANCE * outputs.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
        v.iter_mut().zip(&outputs).filter(|(_, y)| y.abs() <= near).for_each(|(v, _)| *v = 0.0);
    }
    let run = |f: &dyn Fn(Tensor<D, 1>, Tensor<D, 1>) -> Tensor<D, 1>, dtype: DType| {
        let a = tensor::<D>(&a, dtype).require_grad();
        let b = tensor::<D>(&b, dtype).require_grad();
        let output = f(a.clone(), b.clone());
        let gradients = backward(&(output * tensor(&v, dtype)).sum());
        let has_b = !matches!(operation, Filter { .. } | ChannelCollect { .. } | LreluMask { .. });
        [a.grad(&gradients), has_b.then(|| b.grad(&gradients)).flatten()].map(|g| g.map_or(vec![], values))
    };
    let ours = run(&|a, b| operation.ours(a, b), DType::F32);
    let burns = run(&|a, b| operation.plain(a, b), DType::F64);
    let longest = a.len().max(b.len()).max(outputs.len());
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

/// Passes of a network and others: both factors, padding that crops, along one axis, two or three.
fn firs() -> impl Strategy<Value = (Fir, [usize; 5])> {
    let factors = prop_oneof![Just((1, 1)), Just((2, 1)), Just((1, 2))];
    let pass = (factors, -1isize..=3, -1isize..=4, 0.5..2.0f64)
        .prop_map(|((up, down), front, behind, gain)| FirPass { up, down, pad: [front, behind], gain });
    let pass = prop::option::weighted(0.7, pass);
    (volumes(), [pass.clone(), pass.clone(), pass])
        .prop_map(|(shape, passes)| (Fir { passes }, shape))
        .prop_filter("shorter than the filter, or nothing of it left", |(fir, shape)| {
            let long = |length: usize, pass: &FirPass| {
                let samples = (length * pass.up) as isize;
                let [front, behind] = pass.pad;
                samples + front + behind >= 4 && samples + front.min(0) + behind.min(0) >= 1
            };
            !fir.is_identity()
                && (0..3).all(|a| fir.passes[a].as_ref().is_none_or(|pass| long(shape[a + 2], pass)))
        })
}

/// Layers as networks have them, with any of their parts.
fn layers() -> impl Strategy<Value = Operation> {
    let sizes = (1usize..=5, 1usize..=33, 1usize..=33);
    let grid = [1usize..=9, 1usize..=9, 1usize..=9];
    let up = prop_oneof![Just([1; 3]), Just([2; 3]), Just([1, 2, 2]), Just([2, 2, 1])];
    let gain = prop::option::of(0.3..2.0f64);
    (sizes, grid, up, any::<bool>(), gain, any::<[bool; 4]>()).prop_map(
        |((n, i, o), grid, up, pointwise, gain, with)| {
            let kernel = if pointwise && up == [1; 3] { [1; 3] } else { [3; 3] };
            let layer = if up == [1; 3] {
                Layer { gain, ..Layer::conv(ConvGeometry::same(grid, kernel)) }
            } else {
                let padding = up.map(|up| usize::from(up == 1));
                let input = [0, 1, 2].map(|a| (grid[a] - 1) * up[a] + 3 - 2 * padding[a]);
                let geometry = ConvGeometry { input, kernel, stride: up, padding };
                let blur = Fir::along(up, FirPass { up: 1, down: 1, pad: [1, 1], gain: 2.0 });
                Layer { geometry, transposed: true, blur, gain }
            };
            Whole { n, i, o, layer, with }
        },
    )
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => convolutions().prop_map(|(n, i, o, geometry)| Conv3d { n, i, o, geometry }),
        2 => convolutions().prop_map(|(n, i, o, geometry)| Conv3dInputGrad { n, i, o, geometry }),
        2 => convolutions().prop_map(|(n, i, o, geometry)| Conv3dWeightGrad { n, i, o, geometry }),
        2 => firs().prop_map(|(fir, shape)| Filter { shape, fir }),
        1 => volumes().prop_map(|shape| ChannelScale { shape }),
        1 => volumes().prop_map(|shape| ChannelDot { shape }),
        1 => volumes().prop_map(|shape| AddField { shape }),
        1 => volumes().prop_map(|shape| ChannelCollect { shape }),
        1 => (volumes(), 0.1..6.0f64, 0.3..2.0f64)
            .prop_map(|(shape, slope, gain)| LreluMask { shape, slope, gain }),
        3 => layers(),
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

    /// Interleaved convolutions with stride one are the transposed convolution.
    #[test]
    fn phases_are_the_transposed_convolution((n, i, o, geometry) in convolutions(), seed: u64) {
        let [g, w] = Conv3dInputGrad { n, i, o, geometry }.draw(seed);
        let [a, b] = Conv3dInputGrad { n, i, o, geometry }.arguments();
        let run = |f: fn(Tensor<Flex, 5>, Tensor<Flex, 5>, ConvGeometry) -> Tensor<Flex, 5>| {
            let (g, w) = (tensor(&g, DType::F64).shaped(shape(&a)), tensor(&w, DType::F64).shaped(shape(&b)));
            values(f(g, w, geometry).flat())
        };
        let (found, expected) = (run(ops::phases::conv3d_input_grad), run(plain::conv3d_input_grad));
        prop_assert!(error(&found, &expected, g.len() / expected.len()) <= TOLERANCE_F64);
    }

    /// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, and the adjoint's adjoint does what the pass does.
    #[test]
    fn a_filter_and_its_adjoint((fir, shape) in firs(), seed: u64) {
        let grid = [shape[2], shape[3], shape[4]];
        let adjoint = fir.adjoint(grid);
        let filtered = fir.output(grid);
        prop_assert_eq!(adjoint.output(filtered), grid);
        let x = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), shape.iter().product());
        let out = [shape[0], shape[1], filtered[0], filtered[1], filtered[2]];
        let y = normal(&mut stream(seed, 0, 0, 1, Purpose::Noise), out.iter().product());
        for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F64, TOLERANCE_F64)] {
            let pass = |v: &[f32], shape: [usize; 5], fir: Fir| {
                let x = Features::from_volumes(tensor::<Flex>(v, dtype).shaped(shape));
                values(ops::fir(x, &fir).into_volumes().flat())
            };
            let [fx, fy] = [&x, &y].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            let forward = pass(&x, shape, fir);
            let back = pass(&y, out, adjoint);
            agree(product(&forward, &fy), product(&fx, &back), norm(&forward) * norm(&fy), tolerance);
            let again = pass(&x, shape, adjoint.adjoint(filtered));
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
        let pass = WarpPass::affine(axis, rows.collect());
        let [x, y] = ChannelDot { shape }.draw(seed);
        for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F64, TOLERANCE_F64)] {
            let warp = |v: &[f32], pass: &WarpPass| {
                values(ops::warp::<Flex>(tensor(v, dtype).shaped(shape), pass).flat())
            };
            let [fx, fy] = [&x, &y].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            let (forward, back) = (warp(&x, &pass), warp(&y, &pass.transposed()));
            agree(product(&forward, &fy), product(&fx, &back), norm(&forward) * norm(&fy), tolerance);
        }
    }
}

/// A pre-activation so near the kink of the leaky ReLU that its sign is a matter of rounding.
#[test]
fn gradients_beside_the_kink() {
    let blur = Fir::along([2; 3], FirPass { up: 1, down: 1, pad: [1, 1], gain: 2.0 });
    let geometry = ConvGeometry { input: [19, 9, 15], kernel: [3; 3], stride: [2; 3], padding: [0; 3] };
    let layer = Layer { geometry, transposed: true, blur, gain: Some(0.3) };
    gradients(&Whole { n: 3, i: 28, o: 13, layer, with: [true, false, true, false] }, 6941861407357542773);
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

/// The product of matrices and its gradients, to the second order, against burn's own.
#[test]
#[expect(clippy::disallowed_methods, reason = "what it is compared with")]
fn products_and_their_gradients_are_burns() {
    type A = Autodiff<Flex>;
    type AA = Autodiff<A>;
    fn quantities(product: fn(Tensor<AA, 2>, Tensor<AA, 2>) -> Tensor<AA, 2>) -> Vec<Vec<f64>> {
        let draw = |number, [rows, columns]: [usize; 2]| {
            let numbers = normal(&mut stream(4, 0, 0, number, Purpose::Noise), rows * columns);
            tensor::<A>(&numbers, DType::F64).shaped([rows, columns])
        };
        let inner = [draw(0, [3, 5]).require_grad(), draw(1, [5, 4]).require_grad()];
        let [a, b] = inner.clone().map(|x| Tensor::<AA, 2>::from_inner(x).require_grad());
        let made = product(a.clone(), b.clone());
        let first = backward(&(made.clone().tanh() * Tensor::from_inner(draw(2, [3, 4]))).sum());
        let [of_a, of_b] = [a, b].map(|x| x.grad(&first).expect("a gradient"));
        let second = backward(&(of_a.clone().powi_scalar(2).sum() + of_b.clone().powi_scalar(2).sum()));
        let mut found = vec![values(made.flat()), values(of_a.flat()), values(of_b.flat())];
        found.extend(inner.map(|x| values(x.grad(&second).expect("a gradient").flat())));
        found
    }
    let _tape = tape();
    let (ours, burns) = (quantities(ops::product), quantities(|a, b| a.matmul(b)));
    for (ours, burns) in ours.iter().flatten().zip(burns.iter().flatten()) {
        assert!((ours - burns).abs() < 1e-10, "{ours} for {burns}");
    }
}
