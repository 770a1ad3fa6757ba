//! The transposed convolution as plain convolutions with stride one, interleaved: for backends whose transposed 3D
//! convolutions are slow (cubecl's are direct kernels).

use burn::tensor::{Slice, Tensor};

use super::plain::{convolve, pad};
use super::{ConvGeometry, Shaped, VolumeOps};

/// Positions `start + stride·j` along one axis, which all gather with the same taps.
struct Phase {
    /// First and number of the kernel's taps, `stride` apart; the last meets the first of the gradient's voxels.
    tap: usize,
    taps: usize,
    /// Zeros before and after the gradient (negative crops).
    margins: [isize; 2],
    /// Positions.
    count: usize,
}

/// The phases of one axis, in order.
fn phases(geometry: &ConvGeometry, output: usize, axis: usize) -> Vec<Phase> {
    let [input, kernel, stride, padding] =
        [geometry.input, geometry.kernel, geometry.stride, geometry.padding].map(|of| of[axis]);
    let phase = |start: usize| {
        let tap = (start + padding) % stride;
        let (count, taps) = ((input - start).div_ceil(stride), (kernel.saturating_sub(tap)).div_ceil(stride));
        // Position start + stride·j meets voxel j + shift with tap `tap`, and earlier ones with later taps.
        let shift = ((start + padding - tap) / stride) as isize;
        let front = taps as isize - 1 - shift;
        Phase { tap, taps, margins: [front, count as isize + shift - output as isize], count }
    };
    (0..stride.min(input)).map(phase).collect()
}

/// See [`super::conv3d_input_grad`]: `g` `[N, O, D', H', W']`, `w` `[O, I, kd, kh, kw]` → `[N, I, D, H, W]`.
pub fn conv3d_input_grad<B: VolumeOps>(
    g: Tensor<B, 5>,
    w: Tensor<B, 5>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    let w = w.swap_dims(0, 1); // [I, O, kd, kh, kw]
    gather(g, w, &geometry, 0)
}

/// The phases of `axis` and of those behind it, interleaved.
fn gather<B: VolumeOps>(
    g: Tensor<B, 5>,
    w: Tensor<B, 5>,
    geometry: &ConvGeometry,
    axis: usize,
) -> Tensor<B, 5> {
    if axis == 3 {
        return convolve(g, w, [1; 3], [0; 3]);
    }
    let (at, stride) = (axis + 2, geometry.stride[axis]);
    let length = geometry.input[axis];
    let longest = length.div_ceil(stride);
    let parts: Vec<Tensor<B, 5>> = phases(geometry, g.dims()[at], axis)
        .into_iter()
        .map(|phase| {
            let part = if phase.taps == 0 {
                // No tap falls on these positions.
                let narrow =
                    gather(g.clone().narrow(at, 0, 1), w.clone().narrow(at, 0, 1), geometry, axis + 1);
                pad(narrow.zeros_like(), at, [0, phase.count as isize - 1])
            } else {
                let mut taps = [Slice::full(); 5];
                taps[at] = Slice::new(phase.tap as isize, None, stride as isize);
                let w = w.clone().slice(taps).flip([at as isize]);
                gather(pad(g.clone(), at, phase.margins), w, geometry, axis + 1)
            };
            pad(part, at, [0, longest as isize - phase.count as isize])
        })
        .collect();
    if stride == 1 {
        return parts.into_iter().next().expect("one phase");
    }
    let mut dims = parts[0].dims();
    dims[at] = parts.len() * longest;
    let mut apart = [1; 6];
    apart[..=at].copy_from_slice(&parts[0].dims()[..=at]);
    apart[at + 2..].copy_from_slice(&parts[0].dims()[at + 1..]);
    let parts = parts.into_iter().map(|part| part.shaped(apart)).collect(); // [.., J, 1, ..]
    let parts: Tensor<B, 6> = Tensor::cat(parts, at + 1); // [.., J, phases, ..]
    parts.shaped(dims).narrow(at, 0, length)
}
