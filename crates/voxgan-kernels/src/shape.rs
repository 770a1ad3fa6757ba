//! The shape of a convolution.

use crate::layout::Layout;

/// The geometry of a 3D convolution (cross-correlation, as in deep-learning frameworks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv3d {
    /// Number of volumes in the batch, N.
    pub batch: usize,
    /// Number of channels of the input, I.
    pub in_channels: usize,
    /// Number of channels of the output, O.
    pub out_channels: usize,
    /// Number of input voxels along D, H, W.
    pub input: [usize; 3],
    /// Number of kernel taps along D, H, W.
    pub kernel: [usize; 3],
    /// Step between output positions along D, H, W, in input voxels; 1 or 2.
    pub stride: [usize; 3],
    /// Number of zeros before and after the input along D, H, W.
    pub padding: [usize; 3],
    /// Layout of the input and its gradient.
    pub in_layout: Layout,
    /// Layout of the output and its gradient.
    pub out_layout: Layout,
}

impl Conv3d {
    /// Number of output voxels along D, H, W: `⌊(input + 2·padding − kernel) / stride⌋ + 1`.
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

    /// Number of taps of a kernel, `kd·kh·kw`.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Number of floats of the input in its layout.
    pub fn input_len(&self) -> usize {
        self.in_layout.len(self.batch, self.in_channels, self.input.iter().product())
    }

    /// Number of floats of the output in its layout.
    ///
    /// # Panics
    /// As [`Conv3d::output`].
    pub fn output_len(&self) -> usize {
        self.out_layout.len(self.batch, self.out_channels, self.output().iter().product())
    }

    /// Number of weights `[O, I, kd, kh, kw]`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.taps()
    }

    /// The same operation with the grid folded into long rows, where each output voxel sees one input voxel only.
    pub(super) fn folded(&self) -> Conv3d {
        let voxels: usize = self.input.iter().product();
        let pointwise = self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3];
        match [48, 16].into_iter().find(|row| pointwise && voxels.is_multiple_of(*row)) {
            Some(row) => Conv3d { input: [1, voxels / row, row], ..*self },
            None => *self,
        }
    }

    /// The input's channels and voxels.
    pub(super) fn input_grid(&self) -> Grid {
        Grid { channels: self.in_channels, dims: self.input }
    }

    /// The output's channels and voxels.
    pub(super) fn output_grid(&self) -> Grid {
        Grid { channels: self.out_channels, dims: self.output() }
    }

    pub(super) fn check(&self, operand: &str, found: usize, expected: usize) {
        assert_eq!(found, expected, "conv3d: {operand} has the wrong number of elements for {self:?}");
        assert!(self.stride.iter().all(|s| (1..=2).contains(s)), "conv3d: stride must be 1 or 2 in {self:?}");
    }

    /// Checks a factor for each of the batch's `channels`, if there is one.
    pub(super) fn check_scale(&self, operand: &str, scale: Option<&[f32]>, channels: usize) {
        if let Some(scale) = scale {
            self.check(operand, scale.len(), self.batch * channels);
        }
    }
}

/// Channels and voxels of a volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub channels: usize,
    pub dims: [usize; 3],
}
