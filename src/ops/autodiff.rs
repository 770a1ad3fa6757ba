//! Each operation registered once for every `Autodiff<B>`: the derivative of each is made of the others, so that
//! `Autodiff<Autodiff<B>>` differentiates twice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata};

use super::{ConvGeometry, Fir, VolumeOps, WarpPass, lower, plain, raise};

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
    fn grad_b(self, x: FloatTensor<B>, _: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_weight_grad(x, g, self.0)
    }
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
    fn grad_b(self, g: FloatTensor<B>, _: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_weight_grad(v, g, self.0)
    }
}

#[derive(Clone, Copy, Debug)]
struct Conv3dWeightGrad(ConvGeometry);

impl<B: VolumeOps> Binary<B> for Conv3dWeightGrad {
    fn forward(self, x: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_conv3d_weight_grad(x, g, self.0)
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
    fn grad_b(self, x: FloatTensor<B>, _: FloatTensor<B>, g: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_dot(x, g)
    }
}

#[derive(Clone, Copy, Debug)]
struct ChannelDot;

impl<B: VolumeOps> Binary<B> for ChannelDot {
    fn forward(self, x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_dot(x, y)
    }
    fn grad_a(self, _: FloatTensor<B>, y: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_scale(y, v)
    }
    fn grad_b(self, x: FloatTensor<B>, _: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        B::volume_channel_scale(x, v)
    }
}

/// `fir` is linear: its gradient is its adjoint, whatever `x` was.
#[derive(Debug)]
struct FirStep(Fir);

impl<B: VolumeOps> Backward<B, 1> for FirStep {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::volume_fir(g, self.0));
        }
    }
}

/// `warp` is linear: its gradient is its transpose.
#[derive(Debug)]
struct WarpStep(WarpPass);

impl<B: VolumeOps> Backward<B, 1> for WarpStep {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::volume_warp(g, &self.0));
        }
    }
}

/// Both gradients are the gradient itself, summed over channels for the field.
#[derive(Debug)]
struct AddFieldStep;

impl<B: VolumeOps> Backward<B, 2> for AddFieldStep {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_f] = ops.parents;
        let g = grads.consume::<B>(&ops.node);
        if let Some(node) = node_f {
            grads.register::<B>(node.id, B::volume_channel_collect(g.clone()));
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, g);
        }
    }
}

/// The adjoint of a sum over channels spreads over so many of them.
#[derive(Debug)]
struct ChannelCollectStep(usize);

impl<B: VolumeOps> Backward<B, 1> for ChannelCollectStep {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let v: Tensor<B, 5> = raise(grads.consume::<B>(&ops.node));
        if let [Some(node)] = ops.parents {
            let [n, _, d, h, w] = v.dims();
            let zeros = Tensor::<B, 5>::zeros([n, self.0, d, h, w], (&v.device(), v.dtype()));
            grads.register::<B>(node.id, B::volume_add_field(lower(zeros), lower(v)));
        }
    }
}

/// Keeps the output, whose sign tells the slope.
#[derive(Debug)]
struct BiasLreluStep(f64);

impl<B: VolumeOps> Backward<B, 2> for BiasLreluStep {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_b] = ops.parents;
        let g = grads.consume::<B>(&ops.node);
        let g = B::volume_lrelu_mask(ops.state, g, self.0);
        if let Some(node) = node_b {
            grads.register::<B>(node.id, lower(plain::channel_sum::<B>(raise(g.clone()))));
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, g);
        }
    }
}

/// Linear in the gradient that it masks; constant in the output that tells the mask.
#[derive(Debug)]
struct LreluMaskStep(f64);

impl<B: VolumeOps> Backward<B, 1> for LreluMaskStep {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let v = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::volume_lrelu_mask(ops.state, v, self.0));
        }
    }
}

impl<B: VolumeOps, C: CheckpointStrategy> VolumeOps for Autodiff<B, C> {
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
    ) -> FloatTensor<Self> {
        binary::<B, C>(Conv3dWeightGrad(geometry), x, g)
    }

    fn volume_channel_scale(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        binary::<B, C>(ChannelScale, x, s)
    }

    fn volume_channel_dot(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        binary::<B, C>(ChannelDot, x, y)
    }

    fn volume_fir(x: FloatTensor<Self>, fir: Fir) -> FloatTensor<Self> {
        let length = x.shape()[fir.axis];
        let step = FirStep(fir.adjoint(length));
        let prepared = Backward::<B, 1>::prepare::<C>(step, [x.node.clone()]).compute_bound();
        prepared.stateless(B::volume_fir(x.into_primitive(), fir))
    }

    fn volume_add_field(x: FloatTensor<Self>, f: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = Backward::<B, 2>::prepare::<C>(AddFieldStep, [x.node.clone(), f.node.clone()]);
        prepared.compute_bound().stateless(B::volume_add_field(x.into_primitive(), f.into_primitive()))
    }

    fn volume_channel_collect(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = ChannelCollectStep(x.shape()[1]);
        let prepared = Backward::<B, 1>::prepare::<C>(step, [x.node.clone()]).compute_bound();
        prepared.stateless(B::volume_channel_collect(x.into_primitive()))
    }

    fn volume_bias_lrelu(x: FloatTensor<Self>, b: FloatTensor<Self>, gain: f64) -> FloatTensor<Self> {
        let step = BiasLreluStep(gain);
        let prepared =
            Backward::<B, 2>::prepare::<C>(step, [x.node.clone(), b.node.clone()]).compute_bound().stateful();
        let output = B::volume_bias_lrelu(x.into_primitive(), b.into_primitive(), gain);
        match prepared {
            OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn volume_lrelu_mask(y: FloatTensor<Self>, g: FloatTensor<Self>, gain: f64) -> FloatTensor<Self> {
        let prepared =
            Backward::<B, 1>::prepare::<C>(LreluMaskStep(gain), [g.node.clone()]).compute_bound().stateful();
        let y = y.into_primitive();
        let output = B::volume_lrelu_mask(y.clone(), g.into_primitive(), gain);
        match prepared {
            OpsKind::Tracked(prep) => prep.finish(y, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn volume_warp(x: FloatTensor<Self>, pass: &WarpPass) -> FloatTensor<Self> {
        let step = WarpStep(pass.transposed());
        let prepared = Backward::<B, 1>::prepare::<C>(step, [x.node.clone()]).compute_bound();
        prepared.stateless(B::volume_warp(x.into_primitive(), pass))
    }
}
