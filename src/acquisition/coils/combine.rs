//! One image from the images of many coils.

use ndarray::{Array3, Array4, ArrayView4, Axis, Zip};

use crate::acquisition::Complex32;

/// `√Σ|x|²` over the coils: `[coils, D, H, W]` to `[D, H, W]`.
///
/// The best magnitude without knowledge of the coils (Roemer et al. 1990), save for its bias where there is only noise.
pub fn root_sum_of_squares(images: ArrayView4<Complex32>) -> Array3<f32> {
    let (_, d, h, w) = images.dim();
    let mut sum = Array3::zeros((d, h, w));
    for coil in images.axis_iter(Axis(0)) {
        Zip::from(&mut sum).and(coil).par_for_each(|sum: &mut f32, z| *sum += z.norm_sqr());
    }
    sum.par_mapv_inplace(f32::sqrt);
    sum
}

/// `Σ conj(S)·x / Σ|S|²` over the coils: the image of least squared error for these maps and white noise (Roemer et
/// al. 1990, eq. 29; Pruessmann et al. 1999 at acceleration one). Zero where all maps are zero.
///
/// # Panics
/// If the images and the maps differ in shape.
pub fn sense_weighted(images: ArrayView4<Complex32>, maps: &Array4<Complex32>) -> Array3<Complex32> {
    assert_eq!(images.dim(), maps.dim(), "coil images and maps");
    let (_, d, h, w) = images.dim();
    let (mut image, mut energy) = (Array3::<Complex32>::zeros((d, h, w)), Array3::<f32>::zeros((d, h, w)));
    for (x, s) in images.axis_iter(Axis(0)).zip(maps.axis_iter(Axis(0))) {
        Zip::from(&mut image).and(&mut energy).and(x).and(s).par_for_each(|image, energy, x, s| {
            *image += s.conj() * x;
            *energy += s.norm_sqr();
        });
    }
    Zip::from(&mut image).and(&energy).par_for_each(|image, &energy| {
        *image = if energy > 0.0 { *image / energy } else { Complex32::default() };
    });
    image
}
