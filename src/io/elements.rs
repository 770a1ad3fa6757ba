//! Numbers as array files store them: kind, width and byte order, decoded to float32.

use num_complex::Complex32;

/// Kinds of stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IEEE 754, 2, 4 or 8 bytes.
    Float,
    /// Two's complement, 1, 2, 4 or 8 bytes.
    Signed,
    /// 1, 2, 4 or 8 bytes; truth values are this, too.
    Unsigned,
}

/// How one stored number is read: bytes to float32.
pub type Decode = fn(&[u8]) -> f32;

/// The layout of one stored real number.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// Bytes of one number.
    pub size: usize,
    big_endian: bool,
    decode: Decode,
}

impl Element {
    /// The layout of numbers of `kind`, `size` bytes each; `None` for widths that do not occur.
    pub fn new(kind: Kind, size: usize, big_endian: bool) -> Option<Self> {
        /// The decoder of one number type, for the byte order at hand.
        macro_rules! decode {
            ($number:ty, $value:ident => $converted:expr) => {
                if big_endian {
                    |bytes| {
                        let $value = <$number>::from_be_bytes(leading(bytes));
                        $converted
                    }
                } else {
                    |bytes| {
                        let $value = <$number>::from_le_bytes(leading(bytes));
                        $converted
                    }
                }
            };
        }
        let decode: Decode = match (kind, size) {
            (Kind::Float, 2) => decode!(half::f16, value => value.to_f32()),
            (Kind::Float, 4) => decode!(f32, value => value),
            (Kind::Float, 8) => decode!(f64, value => value as f32),
            (Kind::Signed, 1) => decode!(i8, value => f32::from(value)),
            (Kind::Signed, 2) => decode!(i16, value => f32::from(value)),
            (Kind::Signed, 4) => decode!(i32, value => value as f32),
            (Kind::Signed, 8) => decode!(i64, value => value as f32),
            (Kind::Unsigned, 1) => decode!(u8, value => f32::from(value)),
            (Kind::Unsigned, 2) => decode!(u16, value => f32::from(value)),
            (Kind::Unsigned, 4) => decode!(u32, value => value as f32),
            (Kind::Unsigned, 8) => decode!(u64, value => value as f32),
            _ => return None,
        };
        Some(Self { size, big_endian, decode })
    }

    /// The number that `bytes` begin with.
    ///
    /// # Panics
    /// If there are fewer bytes than [`Element::size`].
    pub fn value(&self, bytes: &[u8]) -> f32 {
        (self.decode)(bytes)
    }

    /// The unsigned whole number that `bytes` begin with, exactly.
    ///
    /// # Panics
    /// If there are fewer bytes than [`Element::size`].
    pub fn whole(&self, bytes: &[u8]) -> u64 {
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let bytes = &bytes[..self.size];
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    /// Consecutive numbers; an incomplete one at the end is left out.
    pub fn real(&self, bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(self.size).map(self.decode).collect()
    }

    /// Consecutive complex numbers, each as its real and its imaginary part.
    pub fn complex(&self, bytes: &[u8]) -> Vec<Complex32> {
        let pairs = bytes.chunks_exact(2 * self.size);
        pairs.map(|pair| Complex32::new(self.value(pair), self.value(&pair[self.size..]))).collect()
    }
}

/// The first `N` of `bytes`.
fn leading<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_kind_and_order() {
        let value = |kind, big_endian, bytes: &[u8]| {
            Element::new(kind, bytes.len(), big_endian).unwrap().value(bytes)
        };
        assert_eq!(value(Kind::Float, false, &[0x00, 0x3e]), 1.5);
        assert_eq!(value(Kind::Float, true, &[0x3f, 0xc0, 0, 0]), 1.5);
        assert_eq!(value(Kind::Float, true, &[0xc0, 0x04, 0, 0, 0, 0, 0, 0]), -2.5);
        assert_eq!(value(Kind::Signed, false, &[0xfe]), -2.0);
        assert_eq!(value(Kind::Signed, true, &[0xff, 0x00]), -256.0);
        assert_eq!(value(Kind::Unsigned, false, &[0, 1, 0, 0]), 256.0);
        assert_eq!(value(Kind::Unsigned, true, &[0, 0, 0, 0, 0, 0, 1, 0]), 256.0);
        assert_eq!(
            Element::new(Kind::Unsigned, 8, false).unwrap().whole(&[1, 0, 0, 0, 0, 0, 0, 128]),
            (1 << 63) + 1
        );
        assert!(Element::new(Kind::Float, 16, false).is_none());
    }
}
