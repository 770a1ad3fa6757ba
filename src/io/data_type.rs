//! The types of number that voxels are stored as.

use serde::{Deserialize, Serialize};

/// A type of number in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DataType {
    /// uint8.
    U8,
    /// int8.
    I8,
    /// uint16.
    U16,
    /// int16.
    I16,
    /// uint32.
    U32,
    /// int32.
    I32,
    /// uint64.
    U64,
    /// int64.
    I64,
    /// float32.
    #[default]
    F32,
    /// float64.
    F64,
    /// float128 (IEEE 754 binary128); read, but not written.
    F128,
}

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl DataType {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::F128 => 16,
        }
    }

    /// Its name: that of NumPy.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::F128 => "float128",
        }
    }

    /// The least and the largest of its numbers that float64 holds, if they are whole numbers.
    pub fn range(self) -> Option<(f64, f64)> {
        // The greatest float64 below 2⁶³ and 2⁶⁴.
        Some(match self {
            Self::U8 => (0.0, u8::MAX.into()),
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U16 => (0.0, u16::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U32 => (0.0, u32::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U64 => (0.0, 2f64.powi(64) - 2f64.powi(11)),
            Self::I64 => (-2f64.powi(63), 2f64.powi(63) - 2f64.powi(10)),
            Self::F32 | Self::F64 | Self::F128 => return None,
        })
    }

    /// The bytes of the numbers nearest to what `code` makes of the values.
    pub(super) fn encoded(self, values: &[f32], order: Order, code: impl Fn(f32) -> f64) -> Vec<u8> {
        // One loop for each type, so that nothing is asked a value.
        macro_rules! each {
            ($number:ty) => {{
                let mut bytes = vec![0; values.len() * size_of::<$number>()];
                let places = bytes.as_chunks_mut().0.iter_mut().zip(values);
                match order {
                    Order::Little => places.for_each(|(out, &x)| *out = (code(x) as $number).to_le_bytes()),
                    Order::Big => places.for_each(|(out, &x)| *out = (code(x) as $number).to_be_bytes()),
                }
                bytes
            }};
        }
        match self {
            Self::U8 => each!(u8),
            Self::I8 => each!(i8),
            Self::U16 => each!(u16),
            Self::I16 => each!(i16),
            Self::U32 => each!(u32),
            Self::I32 => each!(i32),
            Self::U64 => each!(u64),
            Self::I64 => each!(i64),
            Self::F32 => each!(f32),
            // Nothing asks for binary128: formats refuse to write it.
            Self::F64 | Self::F128 => each!(f64),
        }
    }
}

/// The value of an IEEE 754 quadruple-precision number, rounded to double.
pub(super) fn binary128(bits: u128) -> f64 {
    let sign = if bits >> 127 == 1 { -1.0 } else { 1.0 };
    let exponent = (bits >> 112) as i32 & 0x7fff;
    let fraction = bits & ((1 << 112) - 1);
    let magnitude = match (exponent, fraction) {
        (0x7fff, 0) => f64::INFINITY,
        (0x7fff, _) => f64::NAN,
        // Subnormal: below 2⁻¹⁶³⁸², nothing in double precision.
        (0, _) => 0.0,
        _ => (1.0 + fraction as f64 * 2f64.powi(-112)) * 2f64.powi(exponent - 16383),
    };
    sign * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadruple_precision_values() {
        // Bit patterns from IEEE 754-2019, 3.6: 1, -2, 1/3 rounded, the largest, infinity.
        let cases = [
            (0x3fff_0000_0000_0000_0000_0000_0000_0000, 1.0),
            (0xc000_0000_0000_0000_0000_0000_0000_0000, -2.0),
            (0x3ffd_5555_5555_5555_5555_5555_5555_5555, 1.0 / 3.0),
            (0x7ffe_ffff_ffff_ffff_ffff_ffff_ffff_ffff, f64::INFINITY),
            (0x7fff_0000_0000_0000_0000_0000_0000_0000, f64::INFINITY),
            (0x8000_0000_0000_0000_0000_0000_0000_0000, 0.0),
        ];
        for (bits, value) in cases {
            assert_eq!(binary128(bits), value, "{bits:032x}");
        }
        assert!(binary128(0x7fff_8000_0000_0000_0000_0000_0000_0000).is_nan());
    }
}
