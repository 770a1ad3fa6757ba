//! From the bytes of a frame to samples: the transfer syntaxes of PS3.5, annex A.

use std::borrow::Cow;
use std::panic::catch_unwind;

use dicom_dictionary_std::uids;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image as Jpeg2000};
use jpeg_decoder::{CodingProcess, ColorTransform, Decoder, PixelFormat};

use super::elements::BIG_ENDIAN;
use super::pixels::{Colour, Layout};

/// The samples of a frame.
pub(super) struct Samples<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub bytes_per_sample: usize,
    pub big_endian: bool,
    /// Each colour's samples together.
    pub planar: bool,
}

/// A family of transfer syntaxes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Codec {
    Native,
    Rle,
    Jpeg,
    JpegLs,
    Jpeg2000,
    Htj2k,
}

fn codec(syntax: &str) -> Option<Codec> {
    Some(match syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN
        | uids::EXPLICIT_VR_LITTLE_ENDIAN
        | BIG_ENDIAN
        | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => Codec::Native,
        uids::RLE_LOSSLESS => Codec::Rle,
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | uids::JPEG_LOSSLESS
        | uids::JPEG_LOSSLESS_SV1 => Codec::Jpeg,
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => Codec::JpegLs,
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => Codec::Jpeg2000,
        uids::HTJ2K_LOSSLESS | uids::HTJ2K_LOSSLESS_RPCL | uids::HTJ2K => Codec::Htj2k,
        _ => return None,
    })
}

/// A transfer syntax as people call it, by its UID.
pub(super) fn name(syntax: &str) -> &str {
    match syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => "implicit little endian",
        uids::EXPLICIT_VR_LITTLE_ENDIAN => "explicit little endian",
        BIG_ENDIAN => "explicit big endian",
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => "deflated",
        uids::RLE_LOSSLESS => "RLE",
        uids::JPEG_BASELINE8_BIT => "JPEG baseline",
        uids::JPEG_EXTENDED12_BIT => "JPEG extended",
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => "JPEG lossless",
        uids::JPEGLS_LOSSLESS => "JPEG-LS lossless",
        uids::JPEGLS_NEAR_LOSSLESS => "JPEG-LS near-lossless",
        uids::JPEG2000_LOSSLESS => "JPEG 2000 lossless",
        uids::JPEG2000 => "JPEG 2000",
        uids::HTJ2K_LOSSLESS | uids::HTJ2K_LOSSLESS_RPCL => "HTJ2K lossless",
        uids::HTJ2K => "HTJ2K",
        _ => "another transfer syntax",
    }
}

/// Whether frames of this layout can be decoded.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn supported(layout: &Layout) -> Result<(), String> {
    let known = "with dcmdjpeg, dcmdjpls or gdcmconv";
    match codec(&layout.syntax) {
        Some(Codec::Htj2k) if !cfg!(feature = "htj2k") => {
            Err("HTJ2K, which this build does not read: build it with --features htj2k".into())
        }
        Some(_) => Ok(()),
        None => Err(format!("transfer syntax {:?}, which is not read: decompress it {known}", layout.syntax)),
    }
}

/// The samples of a frame from its stored bytes.
///
/// # Errors
/// What is wrong with them, or is not read.
pub(super) fn decode<'a>(layout: &Layout, bytes: &'a [u8]) -> Result<Samples<'a>, String> {
    if !layout.encapsulated() {
        let frame = Samples {
            bytes: Cow::Borrowed(bytes),
            bytes_per_sample: layout.bits_allocated as usize / 8,
            big_endian: layout.pixels.big_endian,
            planar: layout.planar,
        };
        return Ok(rgb(frame, layout));
    }
    // Decoders are others' code, and some compute with what a damaged stream says.
    let decoded =
        catch_unwind(|| decompress(layout, bytes)).unwrap_or_else(|_| Err("a damaged stream".into()));
    let (bytes, bytes_per_sample, planar) =
        decoded.map_err(|error| format!("{}: {error}", name(&layout.syntax)))?;
    let frame = Samples { bytes: Cow::Owned(bytes), bytes_per_sample, big_endian: false, planar };
    Ok(if codec(&layout.syntax) == Some(Codec::Rle) { rgb(frame, layout) } else { frame })
}

/// Little-endian samples, bytes of each, and whether each colour's are together.
fn decompress(layout: &Layout, bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), String> {
    let all = layout.size[0] * layout.size[1];
    let wide = layout.bits_allocated as usize / 8;
    let codec = codec(&layout.syntax);
    if matches!(codec, Some(Codec::Jpeg2000 | Codec::Htj2k))
        && matches!(layout.colour, Colour::Ybr | Colour::Ybr422)
    {
        return Err("luminance and chrominance, which are not read: decompress it with gdcmconv".into());
    }
    match codec {
        Some(Codec::Rle) => Ok((rle(bytes, all, layout.samples, wide)?, wide, true)),
        Some(Codec::Jpeg) => jpeg(layout, bytes).map(|(bytes, wide)| (bytes, wide, false)),
        Some(Codec::JpegLs) => Ok((jpeg_ls(layout, bytes)?, 2, false)),
        Some(Codec::Jpeg2000) => Ok((jpeg_2000(layout, bytes)?, 4, true)),
        Some(Codec::Htj2k) => Ok((htj2k(layout, bytes)?, 4, true)),
        Some(Codec::Native) | None => Err("fragments where there should be none".into()),
    }
}

/// RGB of luminance and chrominance (PS3.3, C.7.6.3.1.2), for 8 bits; others as they are.
fn rgb<'a>(frame: Samples<'a>, layout: &Layout) -> Samples<'a> {
    let all = layout.size[0] * layout.size[1];
    let bytes = &frame.bytes;
    let index: Box<dyn Fn(usize, usize) -> usize> = match layout.colour {
        _ if frame.bytes_per_sample != 1 => return frame,
        Colour::Grey { .. } | Colour::Rgb => return frame,
        Colour::Ybr if frame.planar => Box::new(move |pixel, part| part * all + pixel),
        Colour::Ybr => Box::new(|pixel, part| pixel * 3 + part),
        // Two luminances, then the chrominances of both.
        Colour::Ybr422 => {
            Box::new(|pixel, part| pixel / 2 * 4 + if part == 0 { pixel % 2 } else { part + 1 })
        }
    };
    let mut pixels = Vec::with_capacity(bytes.len().min(all * 3));
    for pixel in 0..all {
        let part = |part| bytes.get(index(pixel, part)).copied().map(f64::from);
        let (Some(y), Some(b), Some(r)) = (part(0), part(1), part(2)) else { break };
        let (b, r) = (b - 128.0, r - 128.0);
        let rgb = [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b];
        pixels.extend(rgb.map(|value| value.round().clamp(0.0, 255.0) as u8));
    }
    Samples { bytes: Cow::Owned(pixels), bytes_per_sample: 1, big_endian: false, planar: false }
}

/// Run-length segments (PS3.5, annex G), one for each byte of each sample, the highest first; planes of little-endian samples.
fn rle(bytes: &[u8], pixels: usize, samples: usize, wide: usize) -> Result<Vec<u8>, String> {
    let word = |n: usize| Some(u32::from_le_bytes(bytes.get(4 * n..4 * n + 4)?.try_into().ok()?) as usize);
    let count = word(0).unwrap_or(0);
    if count != samples * wide {
        return Err(format!("{count} segments: expected {}", samples * wide));
    }
    // A pair of bytes stands for 128 at most.
    if pixels * count > bytes.len().saturating_mul(64) {
        return Err(format!("{} bytes for {pixels} pixels", bytes.len()));
    }
    let mut planes = vec![0; pixels * count];
    for segment in 0..count {
        let start = word(segment + 1).unwrap_or(usize::MAX);
        let end = if segment + 1 < count { word(segment + 2).unwrap_or(usize::MAX) } else { bytes.len() };
        let Some(mut packed) = bytes.get(start..end) else {
            return Err("segments beyond their frame".into());
        };
        let (sample, byte) = (segment / wide, wide - 1 - segment % wide);
        let mut out = planes[sample * pixels * wide..][..pixels * wide].iter_mut().skip(byte).step_by(wide);
        let mut left = pixels;
        while left > 0 {
            let Some((&control, rest)) = packed.split_first() else {
                return Err("a segment that is too short".into());
            };
            let run = match control {
                0..=127 => usize::from(control) + 1,
                128 => 0,
                _ => 257 - usize::from(control),
            };
            let run_bytes = if control <= 127 { run } else { usize::from(control != 128) };
            let Some((values, rest)) = rest.split_at_checked(run_bytes) else {
                return Err("a segment that is too short".into());
            };
            for n in 0..run.min(left) {
                if let Some(out) = out.next() {
                    *out = values[n.min(run_bytes - 1)];
                }
            }
            left -= run.min(left);
            packed = rest;
        }
    }
    Ok(planes)
}

/// Little-endian samples, and bytes of each.
fn jpeg(layout: &Layout, bytes: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let mut decoder = Decoder::new(bytes);
    let [width, height] = layout.size;
    decoder.set_max_decoding_buffer_size(width * height * layout.samples * 2);
    decoder.read_info().map_err(|error| twelve_bits(error.to_string()))?;
    let info = decoder.info().ok_or("no image")?;
    let (samples, wide) = match info.pixel_format {
        PixelFormat::L8 => (1, 1),
        PixelFormat::L16 => (1, 2),
        PixelFormat::RGB24 => (3, 1),
        PixelFormat::CMYK32 => (4, 1),
    };
    if [usize::from(info.width), usize::from(info.height)] != layout.size || samples != layout.samples {
        return Err(format!(
            "{} × {} pixels of {samples} samples: the header states {width} × {height} of {}",
            info.width, info.height, layout.samples
        ));
    }
    if samples == 3
        && layout.colour == Colour::Rgb
        && (info.coding_process == CodingProcess::Lossless || !marked(bytes))
    {
        decoder.set_color_transform(ColorTransform::None);
    }
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    // The decoder's 16 bits are in the machine's order.
    let pixels = match wide {
        2 => pixels.as_chunks().0.iter().flat_map(|&pair| u16::from_ne_bytes(pair).to_le_bytes()).collect(),
        _ => pixels,
    };
    Ok((pixels, wide))
}

/// Whether a JPEG stream says what its colours are, by a JFIF or Adobe marker.
fn marked(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 10)];
    [&b"JFIF\0"[..], b"Adobe"].iter().any(|mark| head.windows(mark.len()).any(|part| part == *mark))
}

/// What is missing, in words that say what to do.
fn twelve_bits(error: String) -> String {
    if error.contains("SamplePrecision") {
        "12 bits, which are not read: decompress it with dcmdjpeg".into()
    } else {
        error
    }
}

/// Little-endian samples of 16 bits (ITU-T T.87).
fn jpeg_ls(layout: &Layout, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let [width, height] = layout.size;
    let frame = frame_of_jpeg_ls(bytes)?;
    if frame.components != 1 || layout.samples != 1 {
        return Err("colours, which are not read: decompress it with dcmdjpls".into());
    }
    if [frame.width, frame.height] != layout.size {
        return Err(format!(
            "{} × {} pixels: the header states {width} × {height}",
            frame.width, frame.height
        ));
    }
    let (pixels, ..) =
        jpegls::decode(bytes, width as u32, height as u32).map_err(|error| error.to_string())?;
    Ok(pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect())
}

struct JpegLsFrame {
    width: usize,
    height: usize,
    components: u8,
}

/// The frame header (SOF55) of a JPEG-LS stream, whose fields the decoder takes on trust, and a check of the parameters (LSE and SOS)
/// that it computes with.
fn frame_of_jpeg_ls(bytes: &[u8]) -> Result<JpegLsFrame, String> {
    let short = || "a header that is cut off".to_string();
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).ok_or("no JPEG stream")?;
    let mut frame = None;
    loop {
        let (&[0xff, marker, high, low], after) = rest.split_first_chunk().ok_or_else(short)? else {
            return Err("a damaged header".into());
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = length.checked_sub(2).and_then(|length| after.get(..length)).ok_or_else(short)?;
        let word = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
        match marker {
            0xf7 => {
                let (Some(height), Some(width), &[precision, ..], Some(&components)) =
                    (word(1), word(3), body, body.get(5))
                else {
                    return Err(short());
                };
                if !(2..=16).contains(&precision) {
                    return Err(format!("{precision} bits a sample: 2 to 16 are read"));
                }
                frame =
                    Some((precision, JpegLsFrame { width: width.into(), height: height.into(), components }));
            }
            0xf8 if body.first() == Some(&1) => {
                // MAXVAL, three thresholds in order, RESET (T.87, C.2.4.1.1); zero stands for the default.
                let parameters: Option<Vec<u16>> = (0..5).map(|n| word(1 + 2 * n)).collect();
                let Some(&[most, t1, t2, t3, reset]) = parameters.as_deref() else { return Err(short()) };
                let set = |value: u16| value != 0;
                let disordered =
                    set(t1) && set(t2) && t1 > t2 || set(t2) && set(t3) && t2 > t3 || set(most) && t3 > most;
                if disordered || set(reset) && reset < 3 {
                    return Err("parameters outside of the standard's range".into());
                }
            }
            0xda => {
                let (precision, frame) = frame.ok_or("no frame header")?;
                let &[near, interleave, ..] = body.get(3..).ok_or_else(short)? else { return Err(short()) };
                let most = ((1_u32 << precision) - 1) / 2;
                if frame.components == 1 && (interleave != 0 || u32::from(near) > most) {
                    return Err("parameters outside of the standard's range".into());
                }
                return Ok(frame);
            }
            _ => {}
        }
        rest = &after[length - 2..];
    }
}

/// Samples of 32 bits in planes.
fn jpeg_2000(layout: &Layout, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let signed = check_codestream(layout, bytes)?;
    let image = Jpeg2000::new(bytes, &DecodeSettings::default()).map_err(|error| error.to_string())?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
    let components = decoded.components();
    let all = layout.size[0] * layout.size[1];
    if components.len() != layout.samples
        || components.iter().any(|component| component.samples().len() < all)
    {
        return Err(format!("{} components: the header states {}", components.len(), layout.samples));
    }
    let planes = components.iter().flat_map(|component| {
        // The decoder shifts signed samples to be positive.
        let shift = if signed { 2f32.powi(i32::from(component.bit_depth()) - 1) } else { 0.0 };
        component.samples()[..all]
            .iter()
            .flat_map(move |sample| ((sample - shift).round() as i32).to_le_bytes())
    });
    Ok(planes.collect())
}

/// Tiles of a codestream.
const MOST_TILES: u64 = 1 << 16;

/// Checks the size that a codestream (ISO/IEC 15444-1, A.5.1) states against the header's, and its number of tiles, before anything
/// is allocated; whether its samples are signed.
fn check_codestream(layout: &Layout, bytes: &[u8]) -> Result<bool, String> {
    let head = &bytes[..bytes.len().min(1 << 12)];
    let start = head.windows(4).position(|marks| marks == [0xff, 0x4f, 0xff, 0x51]).ok_or("no codestream")?;
    let word = |at: usize| {
        Some(u64::from(u32::from_be_bytes(bytes.get(start + at..start + at + 4)?.try_into().ok()?)))
    };
    let fields: Option<Vec<u64>> = (0..8).map(|n| word(8 + 4 * n)).collect();
    let (Some(&[x, y, x0, y0, tile_x, tile_y, ..]), Some(&[count_high, count_low, depth, across, down])) =
        (fields.as_deref(), bytes.get(start + 40..start + 45))
    else {
        return Err("a header that is cut off".into());
    };
    let size = [x.saturating_sub(x0), y.saturating_sub(y0)].map(|n| n as usize);
    let samples = usize::from(u16::from_be_bytes([count_high, count_low]));
    if size != layout.size || samples != layout.samples || across != 1 || down != 1 {
        let [width, height] = layout.size;
        return Err(format!(
            "{} × {} pixels of {samples} samples: the header states {width} × {height} of {}",
            size[0], size[1], layout.samples
        ));
    }
    if tile_x == 0
        || tile_y == 0
        || x.div_ceil(tile_x).saturating_mul(y.div_ceil(tile_y)) > MOST_TILES
        || x0 != 0
        || y0 != 0
    {
        return Err("tiles that are too small, or an image that is not at their origin".into());
    }
    if depth & 0x7f > 23 {
        return Err(format!("{} bits a sample: at most 24 are read", (depth & 0x7f) + 1));
    }
    Ok(depth & 0x80 != 0)
}

/// Samples of 32 bits in planes.
#[cfg(feature = "htj2k")]
fn htj2k(layout: &Layout, bytes: &[u8]) -> Result<Vec<u8>, String> {
    check_codestream(layout, bytes)?;
    let image = jpeg2k::Image::from_bytes(bytes).map_err(|error| error.to_string())?;
    let all = layout.size[0] * layout.size[1];
    if image.components().iter().any(|component| component.data().len() != all) {
        return Err("components of another size".into());
    }
    Ok(image
        .components()
        .iter()
        .flat_map(|component| component.data())
        .flat_map(|sample| sample.to_le_bytes())
        .collect())
}

#[cfg(not(feature = "htj2k"))]
fn htj2k(_: &Layout, _: &[u8]) -> Result<Vec<u8>, String> {
    Err("this build does not read it: build it with --features htj2k".into())
}
