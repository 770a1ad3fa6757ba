//! The backward step of a layer, from its operands and its output.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::ops::FloatTensor;

use super::steps::channels;
use crate::ops::VolumeOps;
use crate::ops::layer::{EpilogueGrad, Layer, Modulation};

/// Keeps a layer's operands and its output: everything between them is computed again.
#[derive(Debug)]
pub(super) struct LayerStep(pub Layer);

#[derive(Clone, Debug)]
pub(super) struct LayerState<T> {
    pub x: T,
    pub w: T,
    pub with: Modulation<T>,
    pub y: T,
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
