//! Functions compiled once for each instruction set.

/// Defines `fn name(isa: Isa, ..)` with one instance for each instruction set. What the body calls must be
/// `#[inline(always)]`, or the compiler may leave it without the set's instructions. In the form `fn name<L>(..)` the
/// body sees a type `L` of sixteen lanes ([`Lanes`](super::lanes::Lanes)), whose methods are good to call there.
macro_rules! instances {
    ($(#[$attribute:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        instances! { $(#[$attribute])* fn $name<_Unused>($($arg: $type),*) $body }
    };
    ($(#[$attribute:meta])* fn $name:ident<$lanes:ident>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$attribute])*
        pub(crate) fn $name(isa: Isa, $($arg: $type),*) {
            #[inline(always)]
            fn body<$lanes: $crate::lanes::Lanes>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($arg: $type),*) {
                body::<std::arch::x86_64::__m512>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) {
                body::<[std::arch::x86_64::__m256; 2]>($($arg),*)
            }

            match isa {
                // SAFETY: the instruction set was found on this processor.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2($($arg),*) },
                Isa::Portable => body::<$crate::lanes::Baseline>($($arg),*),
            }
        }
    };
}

pub(crate) use instances;
