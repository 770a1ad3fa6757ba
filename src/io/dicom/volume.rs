//! Pixels of the slices into a volume.

use std::path::Path;

use ndarray::Array4;
use rayon::prelude::*;

use super::codec;
use super::fragments;
use super::geometry::Stack;
use super::input::Input;
use super::pixels::{self, Layout};
use super::places::{self, Place};
use super::series::Member;
use crate::error::{Error, Result};
use crate::volume::{Volume, World};

/// No lossless codec makes more of a byte on the whole of a volume; a file that states more lies.
const MOST_EXPANSION: usize = 1032;
/// What small volumes may take beyond that, in bytes.
const SMALL: usize = 16 << 20;

/// The volume of `members`, its slices in order, in `files`.
pub(super) fn read(
    root: &Path,
    title: &str,
    files: &[(Place, Option<Layout>)],
    members: &[Member],
    stack: &Stack,
) -> Result<Volume> {
    let wrong = |found: String| {
        Error::file(
            root,
            title.to_string(),
            "pixels that can be decoded",
            found,
            "copy or export the series again",
        )
    };
    // Each file once, with its slices in the order of its frames.
    let mut slices: Vec<Vec<usize>> = vec![Vec::new(); files.len()];
    (0..members.len()).for_each(|n| slices[members[n].file].push(n));
    let used: Vec<usize> = (0..files.len()).filter(|&file| !slices[file].is_empty()).collect();
    let places: Vec<Place> = used.iter().map(|&file| files[file].0.clone()).collect();
    let frames = places::for_each(&places, |n, input| {
        let file = used[n];
        let layout = files[file].1.as_ref().ok_or_else(|| wrong("no pixels".into()))?;
        let mut wanted: Vec<usize> = slices[file].iter().map(|&slice| members[slice].image.frame).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let frames = stored_frames(input, layout, &wanted)?;
        Ok((file, wanted.into_iter().zip(frames).collect::<Vec<_>>()))
    });
    let frames = frames.into_iter().collect::<Result<Vec<_>>>()?;

    let Some((layout, image)) = members.first().and_then(|m| Some((files[m.file].1.as_ref()?, &m.image)))
    else {
        return Err(wrong("no slices".into()));
    };
    let ([w, h], c, d) = (image.size, layout.samples, members.len());
    let slice = c * h * w;
    let stored: usize =
        frames.iter().flat_map(|(_, frames)| frames.iter().map(|(_, bytes)| bytes.len())).sum();
    let total = slice
        .checked_mul(d)
        .filter(|&total| total <= stored.saturating_mul(MOST_EXPANSION).saturating_add(SMALL));
    let Some(total) = total else {
        return Err(wrong(format!("{stored} bytes for {d} slices of {w} × {h} pixels")));
    };
    let mut values = vec![0f32; total];
    let mut targets: Vec<Option<&mut [f32]>> = values.chunks_mut(slice.max(1)).map(Some).collect();
    let mut work = Vec::new();
    for (file, frames) in &frames {
        for (frame, bytes) in frames {
            let here = slices[*file].iter().filter(|&&slice| members[slice].image.frame == *frame);
            let out: Vec<(usize, &mut [f32])> = here.filter_map(|&n| Some((n, targets[n].take()?))).collect();
            work.push((*file, bytes, out));
        }
    }
    work.into_par_iter().try_for_each(|(file, bytes, out)| {
        let layout = files[file].1.as_ref().ok_or_else(|| wrong("no pixels".into()))?;
        let frame = codec::decode(layout, bytes).map_err(&wrong)?;
        out.into_iter()
            .try_for_each(|(n, out)| pixels::values(&frame, layout, &members[n].image, out).map_err(&wrong))
    })?;
    let odd = values.par_iter().filter(|value| !value.is_finite()).count();
    if odd > 0 {
        return Err(wrong(format!("{odd} of {total} values NaN, infinite or beyond float32")));
    }
    let data = Array4::from_shape_vec([d, c, h, w], values).map_err(|error| wrong(error.to_string()))?;
    let data = match c {
        1 => data.into_shape_with_order([1, d, h, w]).map_err(|error| wrong(error.to_string()))?,
        _ => data.permuted_axes([1, 0, 2, 3]).as_standard_layout().into_owned(), // [C, D, H, W]
    };
    let mut volume = Volume::new(data, stack.affine);
    volume.provenance.source = root.display().to_string();
    volume.provenance.world = World::Scanner;
    Ok(volume)
}

/// The stored bytes of the frames `wanted`, which are in order.
fn stored_frames(mut input: Input, layout: &Layout, wanted: &[usize]) -> Result<Vec<Vec<u8>>> {
    if layout.syntax == dicom_dictionary_std::uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        input = super::elements::to_deflated(input)?;
    }
    input.skip(layout.pixels.start)?;
    if layout.encapsulated() {
        return fragments::frames(&mut input, layout.frames, wanted);
    }
    let bytes = layout.frame_bytes() as u64;
    let mut at = 0;
    let frame = |&frame: &usize| {
        let mut stored = Vec::new();
        input.skip((frame as u64 - at) * bytes)?;
        input.read(bytes, &mut stored)?;
        at = frame as u64 + 1;
        Ok(stored)
    };
    wanted.iter().map(frame).collect()
}
