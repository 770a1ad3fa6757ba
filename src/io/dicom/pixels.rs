//! Stored pixels: how they lie in a file, and their values.

use std::borrow::Cow;

use dicom_dictionary_std::{tags, uids};

use super::codec::{self, Samples};
use super::elements::{BIG_ENDIAN, DataSet, PixelKind, Pixels};
use super::header::Values;
use super::image::Image;

/// Pixels of an image. A header that states more lies.
const MOST_PIXELS: usize = 1 << 26;

/// How the pixels of a file are stored (PS3.3, C.7.6.3).
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Columns and rows.
    pub size: [usize; 2],
    pub frames: usize,
    /// 1, or 3 for colours.
    pub samples: usize,
    /// Bits of a sample: of its place, and those of them that count, the highest of which is `high_bit`.
    pub bits_allocated: u32,
    pub bits_stored: u32,
    pub high_bit: u32,
    pub signed: bool,
    /// Each colour's samples together, instead of each pixel's.
    pub planar: bool,
    pub colour: Colour,
    pub pixels: Pixels,
    /// UID of the transfer syntax.
    pub syntax: String,
}

/// What samples stand for (PS3.3, C.7.6.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// MONOCHROME1 or MONOCHROME2: which end is shown white is up to displays, values are the same.
    Grey {
        inverted: bool,
    },
    Rgb,
    /// Luminance and two chrominances: YBR_FULL.
    Ybr,
    /// The same, chrominances once for two pixels: YBR_FULL_422.
    Ybr422,
}

impl Layout {
    /// The layout of `set`, which states this number of frames.
    ///
    /// # Errors
    /// Why its pixels cannot be read.
    pub fn of(set: &DataSet, frames: usize) -> Result<Self, String> {
        let object = &set.object;
        let Some(pixels) = set.pixels else { return Err("no pixels".into()) };
        let count = |tag| object.count(tag);
        let size = [count(tags::COLUMNS).unwrap_or(0), count(tags::ROWS).unwrap_or(0)];
        let [columns, rows] = size;
        if columns == 0 || rows == 0 || columns.saturating_mul(rows) > MOST_PIXELS {
            return Err(format!("{columns} × {rows} pixels: 1 to {MOST_PIXELS} are read"));
        }
        let float = match pixels.kind {
            PixelKind::Integer => None,
            PixelKind::Float => Some(32),
            PixelKind::Double => Some(64),
        };
        let bits = |tag| count(tag).and_then(|bits| u32::try_from(bits).ok());
        let bits_allocated = float.or_else(|| bits(tags::BITS_ALLOCATED)).unwrap_or(0);
        let bits_stored = float.or_else(|| bits(tags::BITS_STORED)).unwrap_or(bits_allocated);
        let high_bit = float.or_else(|| bits(tags::HIGH_BIT).map(|bit| bit + 1)).unwrap_or(bits_stored);
        let sound = float.is_some() || matches!(bits_allocated, 8 | 16 | 32);
        if !sound || bits_stored == 0 || bits_stored > high_bit || high_bit > bits_allocated {
            return Err(format!(
                "{bits_stored} bits stored of {bits_allocated} allocated, the highest {}: 8, 16 or 32 bits allocated are read",
                high_bit.saturating_sub(1)
            ));
        }
        let samples = count(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let interpretation = object.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
        let colour = match (samples, interpretation.as_str()) {
            (1, "MONOCHROME1") => Colour::Grey { inverted: true },
            (1, "MONOCHROME2" | "") => Colour::Grey { inverted: false },
            // Transforms within JPEG 2000 are undone by its decoder.
            (3, "RGB" | "YBR_RCT" | "YBR_ICT") => Colour::Rgb,
            (3, "YBR_FULL") => Colour::Ybr,
            (3, "YBR_FULL_422") => Colour::Ybr422,
            _ => {
                return Err(format!(
                    "pixels of {samples} samples, {interpretation:?}: grey, RGB and YBR are read"
                ));
            }
        };
        if samples == 3 && (bits_allocated > 16 || float.is_some()) {
            return Err(format!("colours of {bits_allocated} bits: 8 and 16 are read"));
        }
        let layout = Self {
            size,
            frames,
            samples,
            bits_allocated,
            bits_stored,
            high_bit: high_bit - 1,
            signed: count(tags::PIXEL_REPRESENTATION) == Some(1),
            planar: samples == 3 && count(tags::PLANAR_CONFIGURATION) == Some(1),
            colour,
            pixels,
            syntax: set.syntax.clone(),
        };
        layout.check_length()?;
        codec::supported(&layout)?;
        Ok(layout)
    }

    /// Whether frames are compressed, each on its own.
    pub fn encapsulated(&self) -> bool {
        self.pixels.length.is_none()
    }

    /// Bytes of a frame that is not compressed.
    pub fn frame_bytes(&self) -> usize {
        let samples =
            self.size[0] * self.size[1] * if self.colour == Colour::Ybr422 { 2 } else { self.samples };
        samples * self.bits_allocated as usize / 8
    }

    fn check_length(&self) -> Result<(), String> {
        let Some(length) = self.pixels.length else {
            let most = self.pixels.most_frames;
            let fits = self.frames as u64 <= most;
            return if fits {
                Ok(())
            } else {
                Err(format!("{} frames: the file has bytes for {most} at most", self.frames))
            };
        };
        let needed = self.frame_bytes() as u64 * self.frames as u64;
        if u64::from(length) < needed {
            return Err(format!("{length} bytes of pixels: {needed} are needed, the file is damaged"));
        }
        if !self.pixels.whole {
            return Err(format!("the file ends before its {length} bytes of pixels do: it is cut off"));
        }
        let native = [
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            BIG_ENDIAN,
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        ];
        if native.contains(&self.syntax.as_str()) || self.syntax.starts_with("1.2.840.113619.") {
            return Ok(());
        }
        Err(format!("pixels of {} that are not in fragments", codec::name(&self.syntax)))
    }
}

/// Writes the values of `image`, whose frame has these stored bytes, to `values`: channels, rows, columns.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn values(
    frame: &Samples,
    layout: &Layout,
    image: &Image,
    values: &mut [f32],
) -> Result<(), String> {
    let [width, height] = image.size;
    let corner = image.corner.unwrap_or([0, 0]);
    let channels = layout.samples;
    let stride = layout.size[0];
    let numbers = Numbers::of(layout, frame.bytes_per_sample);
    let all = layout.size[0] * layout.size[1];
    if frame.bytes.len() < all * channels * frame.bytes_per_sample {
        let needed = all * channels * frame.bytes_per_sample;
        return Err(format!("{} bytes of a frame: {needed} are needed", frame.bytes.len()));
    }
    let scale = image.scale;
    for channel in 0..channels {
        // Index of a sample: pixel · step + first.
        let (step, first) = if frame.planar { (1, channel * all) } else { (channels, channel) };
        for y in 0..height {
            let row = &mut values[(channel * height + y) * width..][..width];
            let start = (corner[1] + y) * stride + corner[0];
            let bytes = &frame.bytes[(start * step + first) * frame.bytes_per_sample..];
            numbers.read(bytes, step, frame.big_endian, row, |number| {
                (number * scale.slope + scale.intercept) as f32
            });
        }
    }
    Ok(())
}

/// From stored samples to numbers.
struct Numbers {
    kind: PixelKind,
    bytes: usize,
    /// Bits below those that count, and above them.
    below: u32,
    above: u32,
    signed: bool,
}

impl Numbers {
    fn of(layout: &Layout, bytes: usize) -> Self {
        let bits = bytes as u32 * 8;
        // Decoders give all bits of their stream; those of the header count.
        let high = layout.high_bit.min(bits - 1);
        let stored = layout.bits_stored.min(high + 1);
        let below = high + 1 - stored;
        Self { kind: layout.pixels.kind, bytes, below, above: 32 - stored.min(32), signed: layout.signed }
    }

    /// Reads one number every `step` samples into `row`, each through `value`.
    fn read(&self, bytes: &[u8], step: usize, big: bool, row: &mut [f32], value: impl Fn(f64) -> f32) {
        let samples = bytes.chunks_exact(self.bytes).step_by(step);
        let integer = |raw: u32| {
            let raw = (raw >> self.below) << self.above;
            if self.signed { f64::from(raw as i32 >> self.above) } else { f64::from(raw >> self.above) }
        };
        // One loop for each type, so that nothing is asked a sample.
        match (self.kind, self.bytes, big) {
            (PixelKind::Integer, 1, _) => {
                row.iter_mut().zip(samples).for_each(|(out, raw)| *out = value(integer(raw[0].into())));
            }
            (PixelKind::Integer, 2, false) => row.iter_mut().zip(samples).for_each(|(out, raw)| {
                *out = value(integer(u16::from_le_bytes([raw[0], raw[1]]).into()));
            }),
            (PixelKind::Integer, 2, true) => row.iter_mut().zip(samples).for_each(|(out, raw)| {
                *out = value(integer(u16::from_be_bytes([raw[0], raw[1]]).into()));
            }),
            (kind, _, _) => row.iter_mut().zip(samples).for_each(|(out, raw)| {
                let ordered =
                    if big { Cow::Owned(raw.iter().rev().copied().collect()) } else { Cow::Borrowed(raw) };
                let mut word = [0; 8];
                word[..self.bytes].copy_from_slice(&ordered);
                let bits = u64::from_le_bytes(word);
                *out = value(match kind {
                    PixelKind::Integer => integer(bits as u32),
                    PixelKind::Float => f64::from(f32::from_bits(bits as u32)),
                    PixelKind::Double => f64::from_bits(bits),
                });
            }),
        }
    }
}
