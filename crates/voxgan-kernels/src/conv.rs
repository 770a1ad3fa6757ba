//! The two forms of a convolution and its gradients, and the choice between them.

use super::{direct, winograd};
use crate::lanes::isa;
use crate::passes::epilogue::Epilogue;
use crate::shape::Conv3d;

/// The algorithm of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Direct sums: a multiplication for every tap of every voxel.
    Direct,
    /// Winograd's: 64 multiplications in place of 216 for eight voxels (Lavin & Gray 2016, F(2×2×2, 3×3×3)).
    Winograd,
}

impl Form {
    /// The faster form for a shape.
    pub fn of(shape: &Conv3d) -> Self {
        if winograd::suits(shape) { Form::Winograd } else { Form::Direct }
    }

    /// Cross-correlates `x` `[N, I, D, H, W]`, its channels times `in_scale` `[N, I]` if given, with `w`
    /// `[O, I, kd, kh, kw]` into `[N, O, D', H', W']`, with zeros around the input, and applies the epilogue. `x` and
    /// the result are in the layouts of `shape`.
    ///
    /// # Panics
    /// If a slice does not have the number of elements of `shape`; for [`Form::Winograd`], if the kernel is not 3×3×3
    /// with stride and padding one and both layouts blocked.
    pub fn conv3d(
        self,
        shape: &Conv3d,
        x: &[f32],
        w: &[f32],
        in_scale: Option<&[f32]>,
        epilogue: &Epilogue,
    ) -> Vec<f32> {
        match self {
            Form::Direct => direct::conv3d_on(isa(), shape, x, w, in_scale, epilogue),
            Form::Winograd => winograd::conv3d_on(isa(), shape, x, w, in_scale, epilogue),
        }
    }

    /// The gradient of [`Form::conv3d`] in its input, `[N, I, D, H, W]`, from `grad_out` `[N, O, D', H', W']`, its
    /// channels times `in_scale` `[N, O]` if given: the transposed convolution. The epilogue is over the result's
    /// channels and grid.
    ///
    /// # Panics
    /// As [`Form::conv3d`].
    pub fn conv3d_input_grad(
        self,
        shape: &Conv3d,
        grad_out: &[f32],
        w: &[f32],
        in_scale: Option<&[f32]>,
        epilogue: &Epilogue,
    ) -> Vec<f32> {
        match self {
            Form::Direct => direct::conv3d_input_grad_on(isa(), shape, grad_out, w, in_scale, epilogue),
            Form::Winograd => winograd::conv3d_input_grad_on(isa(), shape, grad_out, w, in_scale, epilogue),
        }
    }

    /// The gradient of [`Form::conv3d`] in its weights, `[O, I, kd, kh, kw]`, from `x` `[N, I, D, H, W]` and `grad_out`
    /// `[N, O, D', H', W']`, their channels times `x_scale` `[N, I]` and `g_scale` `[N, O]` if given.
    ///
    /// # Panics
    /// As [`Form::conv3d`].
    pub fn conv3d_weight_grad(
        self,
        shape: &Conv3d,
        x: &[f32],
        grad_out: &[f32],
        x_scale: Option<&[f32]>,
        g_scale: Option<&[f32]>,
    ) -> Vec<f32> {
        match self {
            Form::Direct => direct::conv3d_weight_grad_on(isa(), shape, x, grad_out, x_scale, g_scale),
            Form::Winograd => winograd::conv3d_weight_grad_on(isa(), shape, x, grad_out, x_scale, g_scale),
        }
    }
}
