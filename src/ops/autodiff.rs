//! Each operation registered once for every `Autodiff<B>`: the derivative of each is made of the others, so that
//! `Autodiff<Autodiff<B>>` differentiates twice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Tensor, TensorMetadata};

use super::layer::{EpilogueGrad, Layer, Modulation};
use super::{ConvGeometry, Fir, VolumeOps, WarpPass, lower, raise};

/// Held while a graph is recorded and differentiated.
///
/// burn-autodiff 0.21 keeps the graphs of all threads in one place and frees what looks unused there after every backward
/// pass: a pass in one thread can take nodes from a graph that another is still recording, whose gradients are then
/// missing without an error. Whatever differentiates holds this lock meanwhile.
pub fn tape() -> MutexGuard<'static, ()> {
    static TAPE: Mutex<()> = Mutex::new(());
    TAPE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An operation of two tensors: what it computes and its gradient in each.
trait Binary<B: VolumeOps>: Copy + Send + std::fmt::Debug + 'static {
    fn forward(self, a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B>;
    fn grad_a(self, a: FloatTensor<B>, b: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B>;
    fn grad_b(self, a: FloatTensor<B>, b: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B>;
}

/// The backward step of a [`Binary`].
#[derive(Debug)]
struct BinaryStep<O>(O);

impl<B: VolumeOps, O: Binary<B>> Backward<B, 2> for BinaryStep<O> {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_a, node_b] = ops.parents;
        let g = grads.consume::<B>(&ops.node);
        let (a, b) = ops.state;
        if let Some(node) = node_a {
            grads.register::<B>(node.id, self.0.grad_a(a.clone(), b.clone(), g.clone()));
        }
        if let Some(node) = node_b {
            grads.register::<B>(node.id, self.0.grad_b(a, b, g));
        }
    }
}

fn binary<B: VolumeOps, C: CheckpointStrategy>(
    op: impl Binary<B>,
    a: FloatTensor<Autodiff<B, C>>,
    b: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = BinaryStep(op).prepare::<C>([a.node.clone(), b.node.clone()]).compute_bound().stateful();
    let (a, b) = (a.into_primitive(), b.into_primitive());
    let output = op.forward(a.clone(), b.clone());
    match prepared {
        OpsKind::Tracked(prep) => prep.finish((a, b), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Clone, Copy, Debug)]
struct Conv3d(ConvGeometry);

impl<B: VolumeOps> Binary<B> for Conv3d {
    fn forward(self, x: FloatTensor<B>, w: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d(x, w, self.0)
    }
    fn grad_a(self, _: FloatTensor<B>, w: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_input_grad(g, w, self.0)
    }
    fn grad_b(self, x: FloatTensor<B>, w: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_weight_grad(x, g, self.0, channels(&w))
    }
}

/// Channels in and out of weights `[O, I, …]`.
fn channels(w: &impl TensorMetadata) -> [usize; 2] {
    let shape = w.shape();
    [shape[1], shape[0]]
}

#[derive(Clone, Copy, Debug)]
struct Conv3dInputGrad(ConvGeometry);

impl<B: VolumeOps> Binary<B> for Conv3dInputGrad {
    fn forward(self, g: FloatTensor<B>, w: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_input_grad(g, w, self.0)
    }
    fn grad_a(self, _: FloatTensor<B>, w: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d(v, w, self.0)
    }
    fn grad_b(self, g: FloatTensor<B>, w: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_weight_grad(v, g, self.0, channels(&w))
    }
}

#[derive(Clone, Copy, Debug)]
struct Conv3dWeightGrad(ConvGeometry, [usize; 2]);

impl<B: VolumeOps> Binary<B> for Conv3dWeightGrad {
    fn forward(self, x: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_weight_grad(x, g, self.0, self.1)
    }
    fn grad_a(self, _: FloatTensor<B>, g: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_input_grad(g, v, self.0)
    }
    fn grad_b(self, x: FloatTensor<B>, _: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d(x, v, self.0)
    }
}

#[derive(Clone, Copy, Debug)]
struct ChannelScale;

impl<B: VolumeOps> Binary<B> for ChannelScale {
    fn forward(self, x: FloatTensor<B>, s: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_scale(x, s)
    }
    fn grad_a(self, _: FloatTensor<B>, s: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_scale(g, s)
    }
    fn grad_b(self, x: FloatTensor<B>, s: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_dot(x, g, s.shape()[1])
    }
}

#[derive(Clone, Copy, Debug)]
struct ChannelDot(usize);

impl<B: VolumeOps> Binary<B> for ChannelDot {
    fn forward(self, x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_dot(x, y, self.0)
    }
    fn grad_a(self, _: FloatTensor<B>, y: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_scale(y, v)
    }
    fn grad_b(self, x: FloatTensor<B>, _: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_scale(x, v)
    }
}

/// A linear operation of one tensor: its gradient is its adjoint, whatever the tensor was.
trait Linear<B: VolumeOps>: Send + std::fmt::Debug + 'static {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B>;
}

/// The backward step of a [`Linear`] operation.
#[derive(Debug)]
struct LinearStep<O>(O);

impl<B: VolumeOps, O: Linear<B>> Backward<B, 1> for LinearStep<O> {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, self.0.adjoint(g));
        }
    }
}

/// `forward(x)`, whose derivative is that of `op`.
fn linear<B: VolumeOps, C: CheckpointStrategy>(
    op: impl Linear<B>,
    x: FloatTensor<Autodiff<B, C>>,
    forward: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = LinearStep(op).prepare::<C>([x.node.clone()]).compute_bound();
    prepared.stateless(forward(x.into_primitive()))
}

/// Of `volume_split`, with the channels before it.
#[derive(Debug)]
struct Split(usize);

impl<B: VolumeOps> Linear<B> for Split {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_join(g, self.0)
    }
}

/// Of `volume_join`.
#[derive(Debug)]
struct Join;

impl<B: VolumeOps> Linear<B> for Join {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_split(g)
    }
}

/// Of `volume_transpose_weight`, which is its own adjoint.
#[derive(Debug)]
struct TransposeWeight;

impl<B: VolumeOps> Linear<B> for TransposeWeight {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_transpose_weight(g)
    }
}

/// Of `volume_fir`: holds the adjoint.
#[derive(Debug)]
struct Filter(Fir);

impl<B: VolumeOps> Linear<B> for Filter {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_fir(g, &self.0)
    }
}

/// Of `volume_warp`: holds the transpose.
#[derive(Debug)]
struct Warp(WarpPass);

impl<B: VolumeOps> Linear<B> for Warp {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_warp(g, &self.0)
    }
}

/// Of `volume_channel_collect`: the adjoint of a sum over so many channels spreads over them.
#[derive(Debug)]
struct ChannelCollect(usize);

impl<B: VolumeOps> Linear<B> for ChannelCollect {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        let v: Tensor<B, 5> = raise(g);
        let [n, _, d, h, w] = v.dims();
        let zeros = Tensor::<B, 5>::zeros([n, self.0, d, h, w], (&v.device(), v.dtype()));
        B::volume_add_field(B::volume_split(lower(zeros)), lower(v), self.0)
    }
}

/// Both gradients are the gradient itself, summed over so many channels for the field.
#[derive(Debug)]
struct AddFieldStep(usize);

impl<B: VolumeOps> Backward<B, 2> for AddFieldStep {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_f] = ops.parents;
        let g = grads.consume::<B>(&ops.node);
        if let Some(node) = node_f {
            grads.register::<B>(node.id, B::volume_channel_collect(g.clone(), self.0));
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, g);
        }
    }
}

/// Linear in the gradient that it masks; constant in the output that tells the mask.
#[derive(Debug)]
struct LreluMaskStep {
    slope: f64,
    gain: f64,
}

impl<B: VolumeOps> Backward<B, 1> for LreluMaskStep {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let v = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::volume_lrelu_mask(ops.state, v, self.slope, self.gain));
        }
    }
}

/// Keeps a layer's operands and its output: everything between them is computed again.
#[derive(Debug)]
struct LayerStep(Layer);

#[derive(Clone, Debug)]
struct LayerState<T> {
    x: T,
    w: T,
    with: Modulation<T>,
    y: T,
}

impl<B: VolumeOps> Backward<B, 6> for LayerStep {
    type State = LayerState<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let parents = ops.parents.map(|node| node.map(|node| node.id));
        let [node_x, node_w, node_style, node_demodulation, node_field, node_bias] = parents;
        let g = grads.consume::<B>(&ops.node);
        let LayerState { x, w, with, y } = ops.state;
        let Self(layer) = self;
        let [inputs, outputs] = channels(&w);
        let wanted = [node_demodulation, node_field, node_bias].map(|node| node.is_some());
        let EpilogueGrad { x: g, demodulation, field, bias } =
            B::volume_epilogue_grad(y, g, &with, outputs, layer.gain, wanted);
        let mut register = |node, gradient: Option<FloatTensor<B>>| {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node, gradient);
            }
        };
        register(node_demodulation, demodulation);
        register(node_field, field);
        register(node_bias, bias);
        let g = if layer.blur.is_identity() {
            g
        } else {
            B::volume_fir(g, &layer.blur.adjoint(layer.convolved()))
        };
        if node_w.is_some() {
            let style = with.style.clone();
            let gradient = if layer.transposed {
                // The adjoint's roles: what comes out of it is what the convolution takes.
                let operands = [g.clone(), x.clone()];
                let channels = [outputs, inputs];
                let gradient =
                    B::volume_scaled_weight_grad(operands, [None, style], layer.geometry, channels);
                B::volume_transpose_weight(gradient)
            } else {
                let channels = [inputs, outputs];
                let operands = [x.clone(), g.clone()];
                B::volume_scaled_weight_grad(operands, [style, None], layer.geometry, channels)
            };
            register(node_w, Some(gradient));
        }
        if node_x.is_none() && node_style.is_none() {
            return;
        }
        let g = if layer.transposed {
            B::volume_conv3d(g, B::volume_transpose_weight(w), layer.geometry)
        } else {
            B::volume_conv3d_input_grad(g, w, layer.geometry)
        };
        match with.style {
            Some(style) if node_style.is_some() => {
                let [g, dot] = B::volume_scale_and_dot(g, x, style);
                register(node_style, Some(dot));
                register(node_x, Some(g));
            }
            Some(style) => register(node_x, Some(B::volume_channel_scale(g, style))),
            None => register(node_x, Some(g)),
        }
    }
}

impl<B: VolumeOps, C: CheckpointStrategy> VolumeOps for Autodiff<B, C> {
    fn volume_lanes(channels: usize, dtype: DType) -> usize {
        B::volume_lanes(channels, dtype)
    }

    fn volume_split(x: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::<B, C>(Split(x.shape()[1]), x, B::volume_split)
    }

    fn volume_join(x: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        linear::<B, C>(Join, x, |x| B::volume_join(x, channels))
    }

    fn volume_conv3d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        binary::<B, C>(Conv3d(geometry), x, w)
    }

    fn volume_conv3d_input_grad(
        g: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        binary::<B, C>(Conv3dInputGrad(geometry), g, w)
    }

    fn volume_conv3d_weight_grad(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: ConvGeometry,
        channels: [usize; 2],
    ) -> FloatTensor<Self> {
        binary::<B, C>(Conv3dWeightGrad(geometry, channels), x, g)
    }

    fn volume_transpose_weight(w: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::<B, C>(TransposeWeight, w, B::volume_transpose_weight)
    }

    fn volume_fir(x: FloatTensor<Self>, fir: &Fir) -> FloatTensor<Self> {
        let [_, _, d, h, w, _] = x.shape().dims();
        linear::<B, C>(Filter(fir.adjoint([d, h, w])), x, |x| B::volume_fir(x, fir))
    }

    fn volume_channel_scale(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        binary::<B, C>(ChannelScale, x, s)
    }

    fn volume_channel_dot(x: FloatTensor<Self>, y: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        binary::<B, C>(ChannelDot(channels), x, y)
    }

    fn volume_add_field(x: FloatTensor<Self>, f: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        let nodes = [x.node.clone(), f.node.clone()];
        let prepared = Backward::<B, 2>::prepare::<C>(AddFieldStep(channels), nodes).compute_bound();
        prepared.stateless(B::volume_add_field(x.into_primitive(), f.into_primitive(), channels))
    }

    fn volume_channel_collect(x: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        linear::<B, C>(ChannelCollect(channels), x, |x| B::volume_channel_collect(x, channels))
    }

    fn volume_lrelu_mask(
        y: FloatTensor<Self>,
        g: FloatTensor<Self>,
        slope: f64,
        gain: f64,
    ) -> FloatTensor<Self> {
        let step = LreluMaskStep { slope, gain };
        let prepared = Backward::<B, 1>::prepare::<C>(step, [g.node.clone()]).compute_bound().stateful();
        let y = y.into_primitive();
        let output = B::volume_lrelu_mask(y.clone(), g.into_primitive(), slope, gain);
        match prepared {
            OpsKind::Tracked(prep) => prep.finish(y, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn volume_layer(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        with: Modulation<FloatTensor<Self>>,
        layer: &Layer,
    ) -> FloatTensor<Self> {
        // A part that is not there has no gradient: a constant stands for its node.
        let none = Self::from_inner(w.primitive.clone()).node;
        let node = |part: Option<&FloatTensor<Self>>| part.map_or(none.clone(), |part| part.node.clone());
        let [style, demodulation, field, bias] = with.parts().map(node);
        let nodes = [x.node.clone(), w.node.clone(), style, demodulation, field, bias];
        let prepared = Backward::<B, 6>::prepare::<C>(LayerStep(*layer), nodes).compute_bound().stateful();
        let (x, w, with) = (x.into_primitive(), w.into_primitive(), with.map(|part| part.into_primitive()));
        match prepared {
            OpsKind::Tracked(prep) => {
                let y = B::volume_layer(x.clone(), w.clone(), with.clone(), layer);
                prep.finish(LayerState { x, w, with, y: y.clone() }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::volume_layer(x, w, with, layer)),
        }
    }

    fn volume_warp(x: FloatTensor<Self>, pass: &WarpPass) -> FloatTensor<Self> {
        linear::<B, C>(Warp(pass.transposed()), x, |x| B::volume_warp(x, pass))
    }
}
