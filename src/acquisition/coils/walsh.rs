//! Adaptive combination: local matched filters from the images themselves, without calibration (Walsh et al. 2000).

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array3, Array4, ArrayView4, Zip};
use rayon::prelude::*;

use super::combine::sense_weighted;
use super::eigen::{couples, dominant, pairs};
use super::espirit::refer;
use crate::acquisition::Complex32;
use crate::error::{Error, Result};

/// An adaptively combined image and the maps it was combined with.
#[derive(Clone, Debug)]
pub struct Adaptive {
    /// The image, `[D, H, W]`, with the phase of the virtual coil with the most signal.
    pub image: Array3<Complex32>,
    /// The coils' relative sensitivities, `[coils, D, H, W]`, with a root sum of squares of 1 (0 where all images are
    /// 0).
    pub maps: Array4<Complex32>,
    /// Voxels at which the iteration for the eigenvector has not converged; see [`super::EspiritMaps::unsettled`].
    pub unsettled: usize,
}

/// The combination of coil images `[coils, D, H, W]` whose noise is white (see [`super::whitening_matrix`]): at every
/// pixel the dominant eigenvector of `Σ x xᴴ` over a `window` of `D × H × W` pixels about it, cut at the image's edge.
///
/// # Errors
/// [`Error::Value`] if a width of the window is even or zero: it would have no centre.
pub fn adaptive(images: ArrayView4<Complex32>, window: [usize; 3]) -> Result<Adaptive> {
    if window.iter().any(|width| width % 2 == 0) {
        let found = format!("{window:?}");
        return Err(Error::value(
            "adaptive window",
            "odd widths along D, H and W",
            found,
            "use 1, 7, 7 for slices",
        ));
    }
    let (coils, d, h, w) = images.dim();
    if images.is_empty() {
        let (image, maps) = (Array3::zeros((d, h, w)), Array4::zeros((coils, d, h, w)));
        return Ok(Adaptive { image, maps, unsettled: 0 });
    }
    let images = images.as_standard_layout();
    let reference = super::principal_component(images.view());
    let Some(values) = images.as_slice() else {
        unreachable!("the array is in standard layout");
    };
    let line = |coil: usize, z: usize, y: usize| &values[((coil * d + z) * h + y) * w..][..w];
    let around =
        |at: usize, n: usize, width: usize| at.saturating_sub(width / 2)..(at + width / 2 + 1).min(n);
    let mut vectors = vec![Complex32::default(); d * h * coils * w];
    let unsettled = AtomicUsize::new(0);
    vectors.par_chunks_mut(coils * w).enumerate().for_each(|(row, vectors)| {
        let mut matrices = vec![Complex32::default(); pairs(coils) * w];
        let mut products = vec![Complex32::default(); w];
        for (sums, (a, b)) in matrices.chunks_exact_mut(w).zip(couples(coils)) {
            products.fill(Complex32::default());
            for z in around(row / h, d, window[0]) {
                for y in around(row % h, h, window[1]) {
                    let lines = line(a, z, y).iter().zip(line(b, z, y));
                    products.iter_mut().zip(lines).for_each(|(sum, (p, q))| *sum += p * q.conj());
                }
            }
            for (x, sum) in sums.iter_mut().enumerate() {
                *sum = products[around(x, w, window[2])].iter().sum();
            }
        }
        let mut eigenvalues = vec![0.0; w];
        let changes = dominant(&matrices, coils, w, vectors, &mut eigenvalues);
        unsettled.fetch_add(changes.iter().filter(|&&changes| changes).count(), Ordering::Relaxed);
        refer(vectors, &eigenvalues, &reference, 0.0);
    });
    let vectors = Array4::from_shape_vec((d, h, coils, w), vectors).expect("rows of maps");
    let mut maps = Array4::zeros((coils, d, h, w));
    Zip::from(&mut maps).and(vectors.view().permuted_axes([2, 0, 1, 3])).par_for_each(|to, from| *to = *from);
    let image = sense_weighted(images.view(), &maps);
    Ok(Adaptive { image, maps, unsettled: unsettled.into_inner() })
}
