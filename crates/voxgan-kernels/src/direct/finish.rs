//! The epilogue of a gather's sums before they are written: scale, field, bias, leaky ReLU.

use crate::lanes::{Baseline, Isa, LANES, Lanes};
use crate::passes::epilogue::{Epilogue, SLOPE};
use crate::shape::Grid;

/// The epilogue of the lanes of one volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish<'a> {
    /// Zero in lanes beyond the channels, so that they stay zero.
    scale: [f32; LANES],
    bias: [f32; LANES],
    /// How much of the field each lane takes: one, or zero beyond the channels.
    share: [f32; LANES],
    /// The volume's voxels, if there is a field.
    field: &'a [f32],
    gain: Option<f32>,
}

impl<'a> Finish<'a> {
    /// For channels `first..first + lanes` of volume `n`.
    pub fn new(epilogue: &Epilogue<'a>, n: usize, target: Grid, first: usize, lanes: usize) -> Self {
        let voxels: usize = target.dims.iter().product();
        let spread = |from: Option<&[f32]>, at: usize, default: f32| {
            let mut to = [0.0; LANES];
            match from {
                Some(from) => to[..lanes].copy_from_slice(&from[at..at + lanes]),
                None => to[..lanes].fill(default),
            }
            to
        };
        Self {
            scale: spread(epilogue.scale, n * target.channels + first, 1.0),
            bias: spread(epilogue.bias, first, 0.0),
            share: spread(None, 0, 1.0),
            field: epilogue.field.map_or(&[], |field| &field[n * voxels..(n + 1) * voxels]),
            gain: epilogue.lrelu,
        }
    }

    /// Finishes the voxels `voxel`, `voxel + step` and so on, which lie 16·`step` floats apart in `y`.
    pub fn lanes(&self, isa: Isa, y: &mut [f32], voxel: usize, step: usize) {
        let count = y.len().div_ceil(step * LANES);
        let field =
            if self.field.is_empty() { &[][..] } else { &self.field[voxel..][..(count - 1) * step + 1] };
        assert_eq!(y.len(), ((count - 1) * step + 1) * LANES, "whole voxels");
        // SAFETY: the instruction set was found on this processor; y and the field hold as many voxels.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512::finish(self, y, field, step),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::finish(self, y, field, step),
                Isa::Portable => portable::finish(self, y, field, step),
            }
        }
    }

    /// Writes `to[v]`, the sum of the sixteen lanes of each voxel of `sums`, finished as channel `lane`; `voxel` is the
    /// first.
    pub fn reduced(&self, isa: Isa, sums: &[f32], lane: usize, voxel: usize, to: &mut [f32]) {
        assert_eq!(sums.len(), to.len() * LANES);
        // SAFETY: the instruction set was found on this processor; there are sixteen lanes for each sum.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512::sum_lanes(sums, to),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::sum_lanes(sums, to),
                Isa::Portable => portable::sum_lanes(sums, to),
            }
        }
        let (scale, bias) = (self.scale[lane], self.bias[lane]);
        to.iter_mut().for_each(|v| *v = *v * scale + bias);
        if !self.field.is_empty() {
            to.iter_mut().zip(&self.field[voxel..]).for_each(|(v, f)| *v += f);
        }
        if let Some(gain) = self.gain {
            to.iter_mut().for_each(|v| *v = if *v < 0.0 { *v * SLOPE } else { *v } * gain);
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; y must hold whole voxels, `step` apart, the field one number for
/// each or none.
#[inline(always)]
unsafe fn finish<L: Lanes>(parts: &Finish<'_>, y: &mut [f32], field: &[f32], step: usize) {
    let count = y.len().div_ceil(step * LANES);
    // SAFETY: the caller vouches for the voxels.
    unsafe {
        let (scale, bias) = (L::load(parts.scale.as_ptr()), L::load(parts.bias.as_ptr()));
        let (share, slope) = (L::load(parts.share.as_ptr()), L::splat(SLOPE));
        let gain = parts.gain.map(|gain| L::splat(gain));
        for i in 0..count {
            let to = y.as_mut_ptr().add(i * step * LANES);
            let mut v = bias.add_product(L::load(to), scale);
            if !field.is_empty() {
                v = v.add_scaled(field.as_ptr().add(i * step), share);
            }
            if let Some(gain) = gain {
                v = L::zero().add_product(v.max(L::zero().add_product(v, slope)), gain);
            }
            v.store(to);
        }
    }
}

/// # Safety
/// To be inlined into a function compiled for `L`; `sums` must hold sixteen lanes for each number in `to`.
#[inline(always)]
unsafe fn sum_lanes<L: Lanes>(sums: &[f32], to: &mut [f32]) {
    for (v, to) in to.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the lanes.
        *to = unsafe { L::load(sums.as_ptr().add(v * LANES)).sum() };
    }
}

/// Compiles the passes for one instruction set.
macro_rules! compile {
    ($set:ident, $lanes:ty, $(#[$feature:meta])?) => {
        mod $set {
            use super::Finish;
            #[allow(unused_imports, reason = "the portable set needs none")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::{__m256, __m512};

            $(#[$feature])?
            pub(super) unsafe fn finish(parts: &Finish<'_>, y: &mut [f32], field: &[f32], step: usize) {
                // SAFETY: this function is compiled for the set; the caller vouches for the sizes.
                unsafe { super::finish::<$lanes>(parts, y, field, step) }
            }

            $(#[$feature])?
            pub(super) unsafe fn sum_lanes(sums: &[f32], to: &mut [f32]) {
                // SAFETY: this function is compiled for the set; the caller vouches for the sizes.
                unsafe { super::sum_lanes::<$lanes>(sums, to) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, __m512, #[target_feature(enable = "avx512f")]);

#[cfg(target_arch = "x86_64")]
compile!(avx2, [__m256; 2], #[target_feature(enable = "avx2,fma")]);

compile!(portable, super::Baseline,);
