//! Up- and downsampling by two with the `[1, 3, 3, 1]` filter, along the axes whose factor is two.

use burn::tensor::Tensor;

use crate::ops::{ConvGeometry, Features, Fir, FirPass, VolumeOps, fir};

/// Zeros between samples, padding (2, 1), filter with gain two per doubled axis (StyleGAN2, `upsample2d`).
///
/// # Shapes
/// `[N, C, D, H, W]` → `[N, C, D·fd, H·fh, W·fw]` with `factors` `[fd, fh, fw]` of 1 or 2.
pub fn upsample<B: VolumeOps>(x: Tensor<B, 5>, factors: [usize; 3]) -> Tensor<B, 5> {
    upsample_features(Features::from_volumes(x), factors).into_volumes()
}

/// [`upsample`] for [`Features`].
pub fn upsample_features<B: VolumeOps>(x: Features<B>, factors: [usize; 3]) -> Features<B> {
    fir(x, &Fir::along(factors, FirPass { up: 2, down: 1, pad: [2, 1], gain: 2.0 }))
}

/// The filter before a strided convolution of size three (StyleGAN2, `conv_downsample_2d`): padding 2 on halved axes,
/// which includes the convolution's own padding.
pub fn downsampling_blur(factors: [usize; 3]) -> Fir {
    Fir::along(factors, FirPass { up: 1, down: 1, pad: [2, 2], gain: 1.0 })
}

/// Padding (1, 1), filter, every second voxel (StyleGAN2, `downsample2d`).
///
/// # Shapes
/// `[N, C, D, H, W]` → `[N, C, D/fd, H/fh, W/fw]` with `factors` `[fd, fh, fw]` of 1 or 2.
pub fn downsample<B: VolumeOps>(x: Features<B>, factors: [usize; 3]) -> Features<B> {
    fir(x, &Fir::along(factors, FirPass { up: 1, down: 2, pad: [1, 1], gain: 1.0 }))
}

/// `x` as a convolution with a kernel of three that shrinks axes takes it, and its geometry: filtered along halved
/// axes.
pub(super) fn before_convolution<B: VolumeOps>(
    x: Features<B>,
    kernel: [usize; 3],
    down: [usize; 3],
) -> (Features<B>, ConvGeometry) {
    if down == [1; 3] {
        let geometry = ConvGeometry::same(x.grid(), kernel);
        return (x, geometry);
    }
    let x = fir(x, &downsampling_blur(down));
    let padding = [0, 1, 2].map(|a| if down[a] == 2 { 0 } else { kernel[a] / 2 });
    let geometry = ConvGeometry { input: x.grid(), kernel, stride: down, padding };
    (x, geometry)
}
