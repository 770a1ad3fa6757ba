//! Voxels: the layout of each NIfTI data type in the file, and its values as float32.

use std::path::Path;

use super::header::Order;
use crate::error::{Error, Result};

/// A data type: a number, and how many of them make a voxel of what kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    number: Number,
    kind: Kind,
}

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    /// IEEE 754 binary128.
    F128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Real,
    /// Real and imaginary part.
    Complex,
    /// This many channels, voxel by voxel.
    Colour(usize),
}

impl Layout {
    /// The layout of NIfTI's `datatype` code.
    ///
    /// # Errors
    /// [`Error::File`] for a code that is not supported.
    pub fn of(path: &Path, datatype: i16) -> Result<Self> {
        let (number, kind) = match datatype {
            2 => (Number::U8, Kind::Real),
            4 => (Number::I16, Kind::Real),
            8 => (Number::I32, Kind::Real),
            16 => (Number::F32, Kind::Real),
            32 => (Number::F32, Kind::Complex),
            64 => (Number::F64, Kind::Real),
            128 => (Number::U8, Kind::Colour(3)),
            256 => (Number::I8, Kind::Real),
            512 => (Number::U16, Kind::Real),
            768 => (Number::U32, Kind::Real),
            1024 => (Number::I64, Kind::Real),
            1280 => (Number::U64, Kind::Real),
            1536 => (Number::F128, Kind::Real),
            1792 => (Number::F64, Kind::Complex),
            2048 => (Number::F128, Kind::Complex),
            2304 => (Number::U8, Kind::Colour(4)),
            _ => {
                return Err(Error::file(
                    path,
                    "datatype",
                    "a NIfTI data type (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304)",
                    datatype.to_string(),
                    "convert the file to float32",
                ));
            }
        };
        Ok(Self { number, kind })
    }

    /// Bytes of a voxel.
    pub fn bytes(self) -> usize {
        self.number.bytes() * self.numbers()
    }

    /// Channels of the volume that is read from it.
    pub fn channels(self) -> usize {
        match self.kind {
            Kind::Colour(channels) => channels,
            Kind::Real | Kind::Complex => 1,
        }
    }

    /// Whether slope and intercept apply: to numbers, not to colours.
    pub fn is_scaled(self) -> bool {
        !matches!(self.kind, Kind::Colour(_))
    }

    /// Its name, for the provenance.
    pub fn name(self) -> String {
        match self.kind {
            Kind::Real => self.number.name().into(),
            Kind::Complex => format!("magnitude of complex {}", self.number.name()),
            Kind::Colour(channels) => format!("{channels} channels of {}", self.number.name()),
        }
    }

    /// Numbers of a voxel in the file.
    fn numbers(self) -> usize {
        match self.kind {
            Kind::Real => 1,
            Kind::Complex => 2,
            Kind::Colour(channels) => channels,
        }
    }
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::F128 => 16,
        }
    }

    fn name(self) -> &'static str {
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
}

/// Collects a volume's values from its bytes, chunk by chunk.
pub(super) struct Decoder {
    layout: Layout,
    order: Order,
    scaling: Option<(f64, f64)>,
    /// What has been read, the channels of a voxel together.
    pub values: Vec<f32>,
    /// How many voxels' values are no finite float32.
    pub not_finite: usize,
}

/// Bytes read at once, about.
const CHUNK_BYTES: usize = 1 << 16;

impl Decoder {
    /// A decoder without values yet; `scaling` is slope and intercept.
    pub fn new(layout: Layout, order: Order, scaling: Option<(f64, f64)>) -> Self {
        Self { layout, order, scaling, values: Vec::new(), not_finite: 0 }
    }

    /// Decodes `voxels` voxels that `fill` reads. Memory grows with the voxels that were read, to twice their size at
    /// most.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn read(&mut self, voxels: usize, mut fill: impl FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        let bytes = self.layout.bytes();
        let mut buffer = vec![0; CHUNK_BYTES / bytes * bytes];
        let mut rest = voxels;
        while rest > 0 {
            let count = rest.min(buffer.len() / bytes);
            let chunk = &mut buffer[..count * bytes];
            fill(chunk)?;
            let values = count * self.layout.channels();
            if self.values.capacity() - self.values.len() < values {
                let coming = rest * self.layout.channels();
                self.values.reserve_exact(coming.min(values.max(self.values.len())));
            }
            self.decode(chunk);
            rest -= count;
        }
        Ok(())
    }

    fn decode(&mut self, chunk: &[u8]) {
        match self.layout.number {
            Number::U8 => self.numbers(chunk, |[b]: [u8; 1]| b.into()),
            Number::I8 => self.numbers(chunk, |b| i8::from_le_bytes(b).into()),
            Number::U16 => self.numbers(chunk, |b| u16::from_le_bytes(b).into()),
            Number::I16 => self.numbers(chunk, |b| i16::from_le_bytes(b).into()),
            Number::U32 => self.numbers(chunk, |b| u32::from_le_bytes(b).into()),
            Number::I32 => self.numbers(chunk, |b| i32::from_le_bytes(b).into()),
            Number::U64 => self.numbers(chunk, |b| u64::from_le_bytes(b) as f64),
            Number::I64 => self.numbers(chunk, |b| i64::from_le_bytes(b) as f64),
            Number::F32 => self.numbers(chunk, |b| f32::from_le_bytes(b).into()),
            Number::F64 => self.numbers(chunk, f64::from_le_bytes),
            Number::F128 => self.numbers(chunk, |b| binary128(u128::from_le_bytes(b))),
        }
    }

    /// Appends the values of `chunk`, whose numbers of `N` bytes `value` understands in little-endian order.
    fn numbers<const N: usize>(&mut self, chunk: &[u8], value: impl Fn([u8; N]) -> f64) {
        let (slope, inter) = self.scaling.unwrap_or((1.0, 0.0));
        let swap = self.order == Order::Big;
        let (numbers, _) = chunk.as_chunks::<N>();
        let scaled = |bytes: &[u8; N]| {
            let mut bytes = *bytes;
            if swap {
                bytes.reverse();
            }
            value(bytes) * slope + inter
        };
        match self.layout.kind {
            Kind::Real | Kind::Colour(_) => numbers.iter().for_each(|number| self.push(scaled(number))),
            Kind::Complex => {
                let (pairs, _) = numbers.as_chunks::<2>();
                pairs.iter().for_each(|[re, im]| self.push(scaled(re).hypot(scaled(im))));
            }
        }
    }

    fn push(&mut self, value: f64) {
        let value = value as f32;
        if value.is_finite() {
            self.values.push(value);
        } else {
            self.not_finite += 1;
            self.values.push(value);
        }
    }
}

/// The value of an IEEE 754 quadruple-precision number, rounded to double.
fn binary128(bits: u128) -> f64 {
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
