//! Geometry of the operations along the three axes of a grid, as plain data.

/// Number of taps of the resampling filter `[1, 3, 3, 1]`.
pub const FIR_TAPS: usize = 4;

/// The geometry of a 3D convolution, along `(D, H, W)`.
///
/// `input` is part of it because the size of a strided convolution's input does not follow from its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Grid of the input (of the output, for the adjoint).
    pub input: [usize; 3],
    /// Size of the kernel.
    pub kernel: [usize; 3],
    /// Step between output voxels, in input voxels.
    pub stride: [usize; 3],
    /// Number of zeros added on each side.
    pub padding: [usize; 3],
}

impl ConvGeometry {
    /// A convolution with stride one and zero padding; its output has the grid of the input if the kernel is odd.
    pub fn same(input: [usize; 3], kernel: [usize; 3]) -> Self {
        Self { input, kernel, stride: [1; 3], padding: kernel.map(|k| k / 2) }
    }

    /// Grid of the output: `⌊(input + 2·padding − kernel)/stride⌋ + 1` along each axis.
    pub fn output(&self) -> [usize; 3] {
        [0, 1, 2].map(|a| (self.input[a] + 2 * self.padding[a] - self.kernel[a]) / self.stride[a] + 1)
    }
}

/// The `[1, 3, 3, 1]` filter along one axis, as StyleGAN2's `upfirdn`: zeros inserted (`up`), zeros padded (`pad`,
/// negative crops), filtered, every `down`-th sample taken.
///
/// The filter is symmetric, so that flipping it changes nothing; it sums to `gain`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirPass {
    /// Samples after zero-insertion for each one before.
    pub up: usize,
    /// Samples before decimation for each one after.
    pub down: usize,
    /// Number of zeros padded in front and behind; negative numbers crop.
    pub pad: [isize; 2],
    /// Sum of the taps.
    pub gain: f64,
}

impl FirPass {
    /// The taps, `gain · [1, 3, 3, 1]/8`.
    pub fn taps(&self) -> [f64; FIR_TAPS] {
        [1.0, 3.0, 3.0, 1.0].map(|t| t / 8.0 * self.gain)
    }

    /// Length along the axis after the pass: `⌊(length·up + pad − 4)/down⌋ + 1`, with the sum of both pads.
    ///
    /// # Panics
    /// If fewer than four samples are left after padding.
    pub fn output(&self, length: usize) -> usize {
        let padded = (length * self.up) as isize + self.pad[0] + self.pad[1];
        assert!(
            padded >= FIR_TAPS as isize,
            "fir: {length} samples padded to {padded} are fewer than its taps"
        );
        (padded as usize - FIR_TAPS) / self.down + 1
    }

    /// The adjoint of this pass over `length` samples: `up` and `down` are exchanged, and the padding is chosen so that
    /// `⟨A x, y⟩ = ⟨x, Aᵀ y⟩`.
    #[must_use]
    ///
    /// # Panics
    /// As [`FirPass::output`].
    pub fn adjoint(&self, length: usize) -> Self {
        let front = FIR_TAPS as isize - 1 - self.pad[0];
        // The adjoint must return `length` samples: (output·down + front + behind − 4)/up + 1 = length.
        let behind =
            (self.up * (length - 1) + FIR_TAPS) as isize - (self.output(length) * self.down) as isize - front;
        Self { up: self.down, down: self.up, pad: [front, behind], gain: self.gain }
    }
}

/// The separable filter: at most one [`FirPass`] along each of D, H and W.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fir {
    /// The passes along D, H, W.
    pub passes: [Option<FirPass>; 3],
}

impl Fir {
    /// `pass` along each axis whose factor is two, no pass along the others.
    pub fn along(factors: [usize; 3], pass: FirPass) -> Self {
        Self { passes: factors.map(|factor| (factor == 2).then_some(pass)) }
    }

    /// Whether there is no pass along any axis.
    pub fn is_identity(&self) -> bool {
        self.passes.iter().all(Option::is_none)
    }

    /// The grid `[D, H, W]` after the filter.
    ///
    /// # Panics
    /// As [`FirPass::output`].
    pub fn output(&self, grid: [usize; 3]) -> [usize; 3] {
        [0, 1, 2].map(|a| self.passes[a].map_or(grid[a], |pass| pass.output(grid[a])))
    }

    /// The adjoint of the filter over `grid` `[D, H, W]`.
    ///
    /// # Panics
    /// As [`FirPass::output`].
    #[must_use]
    pub fn adjoint(&self, grid: [usize; 3]) -> Self {
        Self { passes: [0, 1, 2].map(|a| self.passes[a].map(|pass| pass.adjoint(grid[a]))) }
    }
}
