//! The operations for every `Autodiff<B>`: the derivative of each is composed of the others, so that
//! `Autodiff<Autodiff<B>>` differentiates twice.

mod layer;
mod steps;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Tensor, TensorMetadata};

use super::layer::{Layer, Modulation};
use super::{ConvGeometry, Fir, VolumeOps};
use crate::warp::WarpPass;
use layer::{LayerState, LayerStep};
use steps::{
    AddFieldStep, ChannelCollect, ChannelDot, ChannelScale, Conv3d, Conv3dInputGrad, Conv3dWeightGrad,
    Filter, Join, LreluMaskStep, Product, Split, TransposeWeight, Warp, binary, linear,
};

/// Locks the recording and differentiation of graphs for this thread, until the returned [`Tape`] is dropped.
///
/// burn-autodiff 0.21 keeps the graphs of all threads in one place and frees what looks unused there after every
/// backward pass: a pass in one thread can take nodes from a graph that another is still recording, whose gradients are
/// then missing without an error. Whatever differentiates must hold this lock from the first recorded operation to the
/// last gradient. A thread must not call this while it holds a [`Tape`]: it deadlocks or panics.
pub fn tape() -> Tape {
    static TAPE: Mutex<()> = Mutex::new(());
    let guard = TAPE.lock().unwrap_or_else(PoisonError::into_inner);
    HELD.set(true);
    Tape { _guard: guard }
}

thread_local! {
    /// Whether this thread holds the tape.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// The lock that [`tape`] returns; dropping it releases the lock.
#[derive(Debug)]
pub struct Tape {
    _guard: MutexGuard<'static, ()>,
}

impl Drop for Tape {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

/// The gradients of the sum of `x` in the tensors that it was computed from. Use this in place of burn's `backward`,
/// which loses gradients without an error where the lock is not held.
///
/// # Panics
/// If this thread does not hold the [`tape`].
pub fn backward<B: AutodiffBackend, const D: usize>(x: &Tensor<B, D>) -> B::Gradients {
    assert!(HELD.get(), "backward() in a thread that does not hold ops::tape()");
    #[expect(clippy::disallowed_methods, reason = "the one place that holds the tape to account")]
    x.backward()
}

impl<B: VolumeOps, C: CheckpointStrategy> VolumeOps for Autodiff<B, C> {
    fn channel_block(channels: usize, dtype: DType) -> usize {
        B::channel_block(channels, dtype)
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

    fn matrix_product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        binary::<B, C>(Product, a, b)
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
