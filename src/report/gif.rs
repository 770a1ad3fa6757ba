//! Animated GIFs: a walk through the latent space, or through a volume's slices.

use std::borrow::Cow;
use std::path::Path;

use gif::{Encoder, Frame, Repeat};
use image::GrayImage;

use crate::error::{Error, Result};
use crate::io::atomic_write;

/// Writes `frames` as a GIF that repeats endlessly, with `delay_ms` between frames (in steps of 10 ms; browsers take
/// less than 20 ms as 100 ms). All 256 greys are in the palette, so that pixels are exact.
///
/// # Errors
/// [`Error::Value`] if there is no frame, or they differ in size or exceed 65 535 pixels a side; [`Error::Io`] if the
/// file cannot be written.
pub fn write_gif(path: &Path, frames: &[GrayImage], delay_ms: u32) -> Result<()> {
    let advice = "draw all frames with one montage";
    let Some(first) = frames.first() else {
        return Err(Error::value("frames", "at least one frame", "none", advice));
    };
    let (Ok(width), Ok(height)) = (u16::try_from(first.width()), u16::try_from(first.height())) else {
        let found = format!("{}×{}", first.width(), first.height());
        return Err(Error::value("frames", "at most 65535 pixels a side", found, "lower the magnification"));
    };
    if let Some(other) = frames.iter().find(|frame| frame.dimensions() != first.dimensions()) {
        let found = format!("{}×{}", other.width(), other.height());
        return Err(Error::value("frames", format!("frames of {width}×{height} pixels"), found, advice));
    }
    let palette: Vec<u8> = (0..=255).flat_map(|grey| [grey; 3]).collect();
    atomic_write(path, |file| {
        let encode = |e: gif::EncodingError| std::io::Error::other(e);
        let mut encoder = Encoder::new(file, width, height, &palette).map_err(encode)?;
        encoder.set_repeat(Repeat::Infinite).map_err(encode)?;
        for frame in frames {
            let buffer = Cow::Borrowed(frame.as_raw().as_slice());
            let delay = u16::try_from(delay_ms.div_ceil(10)).unwrap_or(u16::MAX);
            encoder
                .write_frame(&Frame { width, height, delay, buffer, ..Frame::default() })
                .map_err(encode)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn frames_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walk.gif");
        let ramp =
            |shift: u32| GrayImage::from_fn(32, 24, |x, y| image::Luma([((x + 32 * y + shift) % 256) as u8]));
        let frames: Vec<GrayImage> = [0, 77, 200].map(ramp).to_vec();
        write_gif(&path, &frames, 120).unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(File::open(&path).unwrap()).unwrap();
        assert_eq!((decoder.width(), decoder.height(), decoder.repeat()), (32, 24, Repeat::Infinite));
        for frame in &frames {
            let read = decoder.read_next_frame().unwrap().unwrap();
            assert_eq!(read.delay, 12);
            let greys: Vec<u8> = read.buffer.chunks_exact(4).map(|pixel| pixel[0]).collect();
            assert_eq!(&greys, frame.as_raw());
            assert!(read.buffer.chunks_exact(4).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
        }
        assert!(decoder.read_next_frame().unwrap().is_none());
    }

    #[test]
    fn frames_that_differ_are_an_error_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walk.gif");
        let frames = [GrayImage::new(8, 8), GrayImage::new(8, 9)];
        assert!(write_gif(&path, &frames, 100).unwrap_err().to_string().contains("found 8×9"));
        assert!(write_gif(&path, &[], 100).is_err());
        assert!(write_gif(&path, &[GrayImage::new(70_000, 1)], 100).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
