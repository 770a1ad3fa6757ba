//! The backward steps of the operations, composed of the operations.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata};

use crate::ops::{ConvGeometry, Fir, VolumeOps, lower, raise};
use crate::warp::WarpPass;

/// An operation of two tensors: what it computes and its gradient in each.
pub(super) trait Binary<B: VolumeOps>: Copy + Send + std::fmt::Debug + 'static {
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

pub(super) fn binary<B: VolumeOps, C: CheckpointStrategy>(
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
pub(super) struct Conv3d(pub ConvGeometry);

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
pub(super) fn channels(w: &impl TensorMetadata) -> [usize; 2] {
    let shape = w.shape();
    [shape[1], shape[0]]
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Conv3dInputGrad(pub ConvGeometry);

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
pub(super) struct Conv3dWeightGrad(pub ConvGeometry, pub [usize; 2]);

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
pub(super) struct Product;

impl<B: VolumeOps> Binary<B> for Product {
    fn forward(self, a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        B::matrix_product(a, b)
    }
    fn grad_a(self, _: FloatTensor<B>, b: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::matrix_product(g, B::float_transpose(b))
    }
    fn grad_b(self, a: FloatTensor<B>, _: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::matrix_product(B::float_transpose(a), g)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChannelScale;

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
pub(super) struct ChannelDot(pub usize);

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
pub(super) trait Linear<B: VolumeOps>: Send + std::fmt::Debug + 'static {
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
pub(super) fn linear<B: VolumeOps, C: CheckpointStrategy>(
    op: impl Linear<B>,
    x: FloatTensor<Autodiff<B, C>>,
    forward: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = LinearStep(op).prepare::<C>([x.node.clone()]).compute_bound();
    prepared.stateless(forward(x.into_primitive()))
}

/// Of `volume_split`, with the channels before it.
#[derive(Debug)]
pub(super) struct Split(pub usize);

impl<B: VolumeOps> Linear<B> for Split {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_join(g, self.0)
    }
}

/// Of `volume_join`.
#[derive(Debug)]
pub(super) struct Join;

impl<B: VolumeOps> Linear<B> for Join {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_split(g)
    }
}

/// Of `volume_transpose_weight`, which is its own adjoint.
#[derive(Debug)]
pub(super) struct TransposeWeight;

impl<B: VolumeOps> Linear<B> for TransposeWeight {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_transpose_weight(g)
    }
}

/// Of `volume_fir`: holds the adjoint.
#[derive(Debug)]
pub(super) struct Filter(pub Fir);

impl<B: VolumeOps> Linear<B> for Filter {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_fir(g, &self.0)
    }
}

/// Of `volume_warp`: holds the transpose.
#[derive(Debug)]
pub(super) struct Warp(pub WarpPass);

impl<B: VolumeOps> Linear<B> for Warp {
    fn adjoint(self, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_warp(g, &self.0)
    }
}

/// Of `volume_channel_collect`: the adjoint of a sum over so many channels spreads over them.
#[derive(Debug)]
pub(super) struct ChannelCollect(pub usize);

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
pub(super) struct AddFieldStep(pub usize);

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
pub(super) struct LreluMaskStep {
    pub slope: f64,
    pub gain: f64,
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
