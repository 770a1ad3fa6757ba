//! Convolution, its two gradients and the FIR resampler on plain `f32` slices, at the speed of the processor.
//!
//! Volumes are `[N, C, D, H, W]`, kernels `[O, I, kd, kh, kw]`, both row-major. Sixteen output channels are computed
//! at once, one per vector lane; the input is read plane by plane, so it needs a margin but no reordering:
//!
//! - `layout`: margins around volumes, lanes of sixteen channels, and back;
//! - `lanes`: sixteen numbers in the registers of each instruction set, and the choice among the sets;
//! - `tile`: the two innermost loops;
//! - `gather`: the loop nest that convolution and its input gradient share;
//! - `forward`, `weight_grad`, `fir`: the operations.
//!
//! Every sum has an order that depends on shapes alone, so the number of threads never changes a bit of a result.

mod fir;
mod forward;
mod gather;
mod lanes;
mod layout;
mod pointwise;
mod tile;
mod weight_grad;

pub use fir::fir;
pub use forward::{conv3d, conv3d_input_grad};
pub use lanes::{Isa, isa};
pub use pointwise::{add_field, bias_lrelu, channel_collect, channel_dot, channel_scale, lrelu_mask};
pub use weight_grad::conv3d_weight_grad;

#[cfg(test)]
mod tests;

/// The geometry of a 3D convolution (cross-correlation, as deep-learning frameworks have it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv3d {
    /// Volumes in the batch, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Input voxels along D, H, W.
    pub input: [usize; 3],
    /// Kernel taps along D, H, W.
    pub kernel: [usize; 3],
    /// Step between output positions along D, H, W, in input voxels; 1 or 2.
    pub stride: [usize; 3],
    /// Zeros before and after the input along D, H, W.
    pub padding: [usize; 3],
}

impl Conv3d {
    /// Output voxels along D, H, W: `(input + 2·padding − kernel) / stride + 1`, rounded down.
    ///
    /// # Panics
    /// If the kernel is larger than the padded input.
    pub fn output(&self) -> [usize; 3] {
        std::array::from_fn(|a| {
            (self.input[a] + 2 * self.padding[a]).checked_sub(self.kernel[a]).unwrap_or_else(|| {
                panic!("conv3d: kernel {:?} exceeds the padded input of {:?}", self.kernel, self.input)
            }) / self.stride[a]
                + 1
        })
    }

    /// Taps of one kernel, `kd·kh·kw`.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Elements of the input `[N, C, D, H, W]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.input.iter().product::<usize>()
    }

    /// Elements of the output `[N, O, D', H', W']`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.output().iter().product::<usize>()
    }

    /// Elements of the weights `[O, I, kd, kh, kw]`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.taps()
    }

    /// The same operation with the grid folded into long rows, where each output voxel sees one input voxel only.
    fn folded(&self) -> Conv3d {
        let voxels: usize = self.input.iter().product();
        let pointwise = self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3];
        match [48, 16].into_iter().find(|row| pointwise && voxels.is_multiple_of(*row)) {
            Some(row) => Conv3d { input: [1, voxels / row, row], ..*self },
            None => *self,
        }
    }

    fn check(&self, operand: &str, found: usize, expected: usize) {
        assert_eq!(found, expected, "conv3d: {operand} has the wrong number of elements for {self:?}");
        assert!(self.stride.iter().all(|s| (1..=2).contains(s)), "conv3d: stride must be 1 or 2 in {self:?}");
    }
}
