//! Sixteen `f32` in the registers of each instruction set, and the choice of the set.

use std::sync::OnceLock;

/// Number of channels that are computed together.
pub const LANES: usize = 16;

/// The instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64 with AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The baseline of the architecture: SSE2 on x86-64, NEON on AArch64, elsewhere arrays that the compiler
    /// vectorises.
    Portable,
}

impl Isa {
    /// The sets of this processor, fastest first.
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                found.push(Isa::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
            }
        }
        found.push(Isa::Portable);
        found
    }

    /// The set's value of the environment variable `VOXGAN_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }
}

/// The instruction set in use: the fastest available one, or the available one that `VOXGAN_ISA` names (`avx512`,
/// `avx2`, `portable`; other values are ignored). It is chosen at the first call, for the life of the process.
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let available = Isa::available();
        let wanted = std::env::var("VOXGAN_ISA").ok();
        available.iter().copied().find(|i| Some(i.name()) == wanted.as_deref()).unwrap_or(available[0])
    })
}

/// Sixteen `f32`.
///
/// # Safety
/// The methods may run only inside a function compiled for the implementor's instruction set; pointers must be good
/// for the elements that are read or written: sixteen, or one where a number is broadcast.
pub(super) trait Lanes: Copy {
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn splat(value: f32) -> Self;
    /// `self + a · b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// The sum of all lanes.
    unsafe fn sum(self) -> f32;
    /// `self + scalar · factor`, the scalar broadcast to all lanes.
    unsafe fn add_scaled(self, scalar: *const f32, factor: Self) -> Self;
}

/// [`Lanes`] of four vectors of four, which every processor of the architecture has; arrays would be taken apart into
/// scalars. `$scaled` computes `sum + scalar · factor`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! quads {
    ($quad:ty, $splat:path, $load:path, $store:path, $add:path, $sub:path, $mul:path, $max:path, $scaled:expr) => {
        pub(in super::super) type Baseline = [$quad; 4];

        impl super::Lanes for Baseline {
            #[inline(always)]
            unsafe fn add_product(self, a: Self, b: Self) -> Self {
                // SAFETY: the instructions belong to the architecture.
                std::array::from_fn(|i| unsafe { $scaled(self[i], a[i], b[i]) })
            }

            #[inline(always)]
            unsafe fn sum(self) -> f32 {
                let mut four = [0.0; 4];
                // SAFETY: the instructions belong to the architecture; there is room for four.
                unsafe { $store(four.as_mut_ptr(), $add($add(self[0], self[2]), $add(self[1], self[3]))) }
                (four[0] + four[2]) + (four[1] + four[3])
            }

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: the instructions belong to the architecture.
                unsafe { [$splat(0.0); 4] }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the caller vouches for sixteen elements.
                std::array::from_fn(|i| unsafe { $load(from.add(4 * i)) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                for (i, part) in self.into_iter().enumerate() {
                    // SAFETY: the caller vouches for sixteen elements.
                    unsafe { $store(to.add(4 * i), part) }
                }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the instructions belong to the architecture.
                std::array::from_fn(|i| unsafe { $add(self[i], other[i]) })
            }

            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                // SAFETY: the instructions belong to the architecture.
                std::array::from_fn(|i| unsafe { $sub(self[i], other[i]) })
            }

            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: the instructions belong to the architecture.
                std::array::from_fn(|i| unsafe { $mul(self[i], other[i]) })
            }

            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                // SAFETY: the instructions belong to the architecture.
                std::array::from_fn(|i| unsafe { $max(self[i], other[i]) })
            }

            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                // SAFETY: the instructions belong to the architecture.
                unsafe { [$splat(value); 4] }
            }

            #[inline(always)]
            unsafe fn add_scaled(self, scalar: *const f32, factor: Self) -> Self {
                // SAFETY: the caller vouches for one element; the instructions belong to the architecture.
                unsafe {
                    let scalar = $splat(*scalar);
                    std::array::from_fn(|i| $scaled(self[i], scalar, factor[i]))
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Baseline;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::Baseline;

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    quads!(
        float32x4_t,
        vdupq_n_f32,
        vld1q_f32,
        vst1q_f32,
        vaddq_f32,
        vsubq_f32,
        vmulq_f32,
        vmaxq_f32,
        |sum, s, f| vfmaq_f32(sum, s, f)
    );
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) type Baseline = [f32; LANES];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
impl Lanes for [f32; LANES] {
    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((sum, a), b) in self.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
        self
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.into_iter().sum()
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen elements.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for sixteen elements.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for (a, b) in self.iter_mut().zip(other) {
            *a += b;
        }
        self
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        std::array::from_fn(|i| if self[i] > other[i] { self[i] } else { other[i] })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn add_scaled(mut self, scalar: *const f32, factor: Self) -> Self {
        // SAFETY: the caller vouches for one element.
        let s = unsafe { *scalar };
        for (a, f) in self.iter_mut().zip(factor) {
            *a += s * f;
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::lanes::Lanes;
    use std::arch::x86_64::*;

    quads!(
        __m128,
        _mm_set1_ps,
        _mm_loadu_ps,
        _mm_storeu_ps,
        _mm_add_ps,
        _mm_sub_ps,
        _mm_mul_ps,
        _mm_max_ps,
        |sum, s, f| _mm_add_ps(sum, _mm_mul_ps(s, f))
    );

    impl Lanes for __m512 {
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_reduce_add_ps(self) }
        }

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_setzero_ps() }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller runs with AVX-512F and vouches for sixteen elements.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller runs with AVX-512F and vouches for sixteen elements.
            unsafe { _mm512_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_sub_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_mul_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_max_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller runs with AVX-512F.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn add_scaled(self, scalar: *const f32, factor: Self) -> Self {
            // SAFETY: the caller runs with AVX-512F and vouches for one element.
            unsafe { _mm512_fmadd_ps(_mm512_set1_ps(*scalar), factor, self) }
        }
    }

    impl Lanes for [__m256; 2] {
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs with AVX2 and FMA.
            unsafe { [_mm256_fmadd_ps(a[0], b[0], self[0]), _mm256_fmadd_ps(a[1], b[1], self[1])] }
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: the caller runs with AVX2.
            unsafe {
                let eight = _mm256_add_ps(self[0], self[1]);
                let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller runs with AVX2.
            unsafe { [_mm256_setzero_ps(), _mm256_setzero_ps()] }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller runs with AVX2 and vouches for sixteen elements.
            unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller runs with AVX2 and vouches for sixteen elements.
            unsafe {
                _mm256_storeu_ps(to, self[0]);
                _mm256_storeu_ps(to.add(8), self[1]);
            }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX2.
            unsafe { [_mm256_add_ps(self[0], other[0]), _mm256_add_ps(self[1], other[1])] }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX2.
            unsafe { [_mm256_sub_ps(self[0], other[0]), _mm256_sub_ps(self[1], other[1])] }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX2.
            unsafe { [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])] }
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: the caller runs with AVX2.
            unsafe { [_mm256_max_ps(self[0], other[0]), _mm256_max_ps(self[1], other[1])] }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller runs with AVX2.
            unsafe { [_mm256_set1_ps(value); 2] }
        }

        #[inline(always)]
        unsafe fn add_scaled(self, scalar: *const f32, factor: Self) -> Self {
            // SAFETY: the caller runs with AVX2 and FMA and vouches for one element.
            unsafe {
                let s = _mm256_set1_ps(*scalar);
                [_mm256_fmadd_ps(s, factor[0], self[0]), _mm256_fmadd_ps(s, factor[1], self[1])]
            }
        }
    }
}
