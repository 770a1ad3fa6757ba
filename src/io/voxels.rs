//! Voxels: how each is stored, and its value as float32.

use super::data_type::{DataType, Order, binary128};
use crate::error::Result;

/// A type of number, and how many of them make a voxel of what kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub number: DataType,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Real,
    /// Real and imaginary part.
    Complex,
    /// This many channels, voxel by voxel.
    Colour(usize),
}

impl Layout {
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

/// Collects a volume's values from its bytes, chunk by chunk.
pub(super) struct Decoder {
    layout: Layout,
    order: Order,
    scaling: Option<(f64, f64)>,
    /// What has been read, the channels of a voxel together.
    pub values: Vec<f32>,
    /// How many voxels' values are no finite float32.
    pub not_finite: usize,
    /// How many finite values float32 does not hold exactly, and how many of them are beyond it.
    pub rounded: usize,
    pub beyond: usize,
}

/// Bytes read at once, about.
const CHUNK_BYTES: usize = 1 << 16;

impl Decoder {
    /// A decoder without values yet; `scaling` is slope and intercept.
    pub fn new(layout: Layout, order: Order, scaling: Option<(f64, f64)>) -> Self {
        Self { layout, order, scaling, values: Vec::new(), not_finite: 0, rounded: 0, beyond: 0 }
    }

    /// Decodes `voxels` voxels that `fill` reads. Memory grows with the voxels that were read, to twice their size at
    /// most.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn read(&mut self, voxels: usize, mut fill: impl FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        let bytes = self.layout.bytes();
        let mut buffer = vec![0; (CHUNK_BYTES / bytes).max(1) * bytes];
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
            DataType::U8 => self.numbers(chunk, |[b]: [u8; 1]| b.into()),
            DataType::I8 => self.numbers(chunk, |b| i8::from_le_bytes(b).into()),
            DataType::U16 => self.numbers(chunk, |b| u16::from_le_bytes(b).into()),
            DataType::I16 => self.numbers(chunk, |b| i16::from_le_bytes(b).into()),
            DataType::U32 => self.numbers(chunk, |b| u32::from_le_bytes(b).into()),
            DataType::I32 => self.numbers(chunk, |b| i32::from_le_bytes(b).into()),
            DataType::U64 => self.numbers(chunk, |b| u64::from_le_bytes(b) as f64),
            DataType::I64 => self.numbers(chunk, |b| i64::from_le_bytes(b) as f64),
            DataType::F32 => self.numbers(chunk, |b| f32::from_le_bytes(b).into()),
            DataType::F64 => self.numbers(chunk, f64::from_le_bytes),
            DataType::F128 => self.numbers(chunk, |b| binary128(u128::from_le_bytes(b))),
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

    fn push(&mut self, exact: f64) {
        let value = exact as f32;
        self.not_finite += usize::from(!value.is_finite());
        if exact.is_finite() && f64::from(value) != exact {
            self.rounded += 1;
            self.beyond += usize::from(!value.is_finite());
        }
        self.values.push(value);
    }
}
