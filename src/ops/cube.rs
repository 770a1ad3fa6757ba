//! The backends of GPUs: plain burn operations, with convolutions that are made as [`Composition`] says.

use std::sync::{PoisonError, RwLock};

use burn::tensor::backend::Backend;
use burn::tensor::ops::{ConvOptions, FloatTensor, FloatTensorOps};
use burn::tensor::{DType, Tensor, TensorMetadata};
use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use burn_fusion::{Fusion, FusionBackend};

use super::features::{join, split};
use super::{ConvGeometry, Shaped, VolumeOps, lower, phases, plain, raise};

/// How convolutions and their gradients are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composition {
    /// Gradients in the input, of which transposed convolutions are a case.
    pub input_grad: InputGrad,
    /// Gradients in the weight.
    pub weight_grad: WeightGrad,
    /// The type of 16 bits whose numbers are multiplied; none for float32. Results are float32.
    pub half: Option<DType>,
}

/// Ways to the gradient of a convolution in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputGrad {
    /// Convolutions with stride one, one for each phase of the output, interleaved.
    Phases,
    /// burn's own: with stride one an implicit matrix product or a direct kernel, as autotuning finds, else a direct kernel.
    Burn,
}

/// Ways to the gradient of a convolution in its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightGrad {
    /// A matrix product for each tap of the kernel.
    Taps,
    /// burn's own: an implicit matrix product, or a convolution with a kernel as large as the volume.
    Burn,
}

impl Composition {
    /// Phases, taps, float32: what the tests compare with the CPU.
    pub const DEFAULT: Self =
        Self { input_grad: InputGrad::Phases, weight_grad: WeightGrad::Taps, half: None };

    /// What convolutions on GPUs are made as from now on, in the whole process.
    pub fn set(self) {
        *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = self;
    }

    /// What they are made as now.
    pub fn current() -> Self {
        *CURRENT.read().unwrap_or_else(PoisonError::into_inner)
    }
}

static CURRENT: RwLock<Composition> = RwLock::new(Composition::DEFAULT);

/// Gives all threads one stream of a card. Call it before the first tensor is made there: a card keeps the streams that it began with.
///
/// CubeCL 0.10 gives each thread a stream of its own and does not wait for what another thread makes, so that a batch made ahead is read
/// before it is written, and training ends in NaN now and then. All else that a `cubecl.toml` and the environment set is kept.
pub fn share_stream() {
    let mut current = CubeClRuntimeConfig::storage().lock();
    let mut config = match &*current {
        Some(config) => CubeClRuntimeConfig::clone(config),
        None => CubeClRuntimeConfig::from_current_dir().override_from_env(),
    };
    config.streaming.max_streams = 1;
    *current = Some(config.into());
}

/// The largest sum of products of 16-bit numbers that is aimed at; float16 ends at 65504.
const LARGEST_SUM: usize = 1 << 15;

/// `product` of two operands in the precision of the composition, whose results are sums of `terms` products.
///
/// For 16 bits each operand is divided by its largest magnitude, and the second by as much more as keeps every sum within
/// float16, so that neither the gradients' small numbers nor long sums are lost; the result is scaled back in float32.
fn multiplied<B: Backend>(
    a: Tensor<B, 5>,
    b: Tensor<B, 5>,
    terms: usize,
    product: impl FnOnce(Tensor<B, 5>, Tensor<B, 5>) -> Tensor<B, 5>,
) -> Tensor<B, 5> {
    let Some(half) = Composition::current().half.filter(|_| a.dtype() == DType::F32) else {
        return product(a, b);
    };
    let largest = |x: &Tensor<B, 5>| x.clone().abs().max().clamp_min(f32::MIN_POSITIVE).shaped([1; 5]);
    let (largest_a, largest_b) = (largest(&a), largest(&b));
    let room = terms.div_ceil(LARGEST_SUM).next_power_of_two() as f64;
    let (a, b) = (a / largest_a.clone(), b / (largest_b.clone() * room));
    product(a.cast(half), b.cast(half)).cast(DType::F32) * largest_a * (largest_b * room)
}

/// Options of burn's convolution for a geometry.
fn options(geometry: ConvGeometry) -> ConvOptions<3> {
    ConvOptions::new(geometry.stride, geometry.padding, [1; 3], 1)
}

/// A tensor of which burn's gradients take the shape alone.
fn shape_of<B: Backend>(shape: [usize; 5], like: &Tensor<B, 5>) -> FloatTensor<B> {
    lower(Tensor::<B, 5>::empty(shape, (&like.device(), like.dtype())))
}

// Features have one channel a block here: they are volumes.

fn conv3d<B: VolumeOps>(x: FloatTensor<B>, w: FloatTensor<B>, geometry: ConvGeometry) -> FloatTensor<B> {
    let [_, i, kd, kh, kw] = w.shape().dims();
    let (x, w) = (join::<B>(raise(x), i), raise(w));
    let y = multiplied(x, w, i * kd * kh * kw, |x, w| plain::conv3d(x, w, geometry));
    lower(split(y, 1))
}

fn input_grad<B: VolumeOps>(g: FloatTensor<B>, w: FloatTensor<B>, geometry: ConvGeometry) -> FloatTensor<B> {
    let [o, i, kd, kh, kw] = w.shape().dims();
    let (g, w) = (join::<B>(raise(g), o), raise(w));
    let x = multiplied(g, w, o * kd * kh * kw, |g, w| match Composition::current().input_grad {
        InputGrad::Phases => phases::conv3d_input_grad(g, w, geometry),
        InputGrad::Burn => {
            let [d, h, k] = geometry.input;
            let x = shape_of([g.dims()[0], i, d, h, k], &g);
            raise(B::conv3d_x_backward(x, lower(w), lower(g), options(geometry)))
        }
    });
    lower(split(x, 1))
}

fn weight_grad<B: VolumeOps>(
    x: FloatTensor<B>,
    g: FloatTensor<B>,
    geometry: ConvGeometry,
    [i, o]: [usize; 2],
) -> FloatTensor<B> {
    let (x, g) = (join::<B>(raise(x), i), join::<B>(raise(g), o));
    let [n, _, d, h, k] = g.dims();
    lower(multiplied(x, g, n * d * h * k, |x, g| match Composition::current().weight_grad {
        WeightGrad::Taps => plain::conv3d_weight_grad(x, g, geometry),
        WeightGrad::Burn => {
            let [kd, kh, kw] = geometry.kernel;
            let w = shape_of([o, i, kd, kh, kw], &x);
            raise(B::conv3d_weight_backward(lower(x), w, lower(g), options(geometry)))
        }
    }))
}

/// The products and convolutions of a backend of GPUs.
macro_rules! products {
    () => {
        fn matrix_product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
            let b: Tensor<Self, 2> = raise(b);
            let shape = b.dims();
            // Row by row in memory: what burn reads behind the last row then is zero.
            Self::float_matmul(a, lower(b.shaped(shape)))
        }

        fn volume_conv3d(
            x: FloatTensor<Self>,
            w: FloatTensor<Self>,
            geometry: ConvGeometry,
        ) -> FloatTensor<Self> {
            conv3d::<Self>(x, w, geometry)
        }

        fn volume_conv3d_input_grad(
            g: FloatTensor<Self>,
            w: FloatTensor<Self>,
            geometry: ConvGeometry,
        ) -> FloatTensor<Self> {
            input_grad::<Self>(g, w, geometry)
        }

        fn volume_conv3d_weight_grad(
            x: FloatTensor<Self>,
            g: FloatTensor<Self>,
            geometry: ConvGeometry,
            channels: [usize; 2],
        ) -> FloatTensor<Self> {
            weight_grad::<Self>(x, g, geometry, channels)
        }
    };
}

impl<R: CubeRuntime, F: FloatElement, I: IntElement, T: BoolElement> VolumeOps for CubeBackend<R, F, I, T> {
    products!();
}

impl<B: FusionBackend> VolumeOps for Fusion<B> {
    products!();
}

/// A backend that fuses operations, and the one beneath it, which runs each by itself.
pub trait Fuses: VolumeOps {
    /// The backend beneath.
    type Unfused: VolumeOps<Device = Self::Device>;
}

impl<B: FusionBackend + VolumeOps> Fuses for Fusion<B> {
    type Unfused = B;
}
