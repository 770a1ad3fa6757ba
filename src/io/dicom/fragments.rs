//! Frames in fragments (PS3.5, A.4).

use super::input::Input;
use crate::error::Result;

/// The stored bytes of the frames `wanted` (in order) of `frames`, from the value of the pixels.
///
/// # Errors
/// [`Error::File`](crate::error::Error::File) for items that are none, and fragments that cannot be told apart into frames.
pub(super) fn frames(input: &mut Input, frames: usize, wanted: &[usize]) -> Result<Vec<Vec<u8>>> {
    let offsets = item(input)?.unwrap_or_default();
    let mut fragments: Vec<Vec<u8>> = Vec::new();
    let mut starts: Vec<u64> = Vec::new();
    let mut at = 0;
    while let Some(fragment) = item(input)? {
        starts.push(at);
        at += 8 + fragment.len() as u64;
        fragments.push(fragment);
    }
    let firsts = first_fragments(&offsets, &starts, &fragments, frames);
    let Some(firsts) = firsts else {
        let found = format!("{} fragments without a table of their offsets", fragments.len());
        return Err(input.wrong("pixels", format!("fragments of {frames} frames"), found));
    };
    let frame = |&frame: &usize| {
        let end = firsts.get(frame + 1).copied().unwrap_or(fragments.len());
        let parts = &mut fragments[firsts[frame]..end];
        match parts {
            [one] => std::mem::take(one),
            parts => parts.concat(),
        }
    };
    Ok(wanted.iter().map(frame).collect())
}

/// The first fragment of each frame: one each, as the offsets say, or where streams of JPEG begin.
fn first_fragments(
    offsets: &[u8],
    starts: &[u64],
    fragments: &[Vec<u8>],
    frames: usize,
) -> Option<Vec<usize>> {
    if fragments.len() == frames {
        return Some((0..frames).collect());
    }
    if frames == 1 {
        return (!fragments.is_empty()).then(|| vec![0]);
    }
    let table: Vec<u64> =
        offsets.as_chunks().0.iter().map(|&bytes| u64::from(u32::from_le_bytes(bytes))).collect();
    let of_table: Option<Vec<usize>> = table.iter().map(|offset| starts.binary_search(offset).ok()).collect();
    let begins = |fragment: &[u8]| {
        fragment.starts_with(&[0xff, 0xd8, 0xff]) || fragment.starts_with(&[0xff, 0x4f, 0xff, 0x51])
    };
    let of_streams = || (0..fragments.len()).filter(|&n| begins(&fragments[n])).collect();
    let firsts = of_table.filter(|firsts| firsts.len() == frames).unwrap_or_else(of_streams);
    (firsts.len() == frames && firsts.is_sorted()).then_some(firsts)
}

/// The value of the next item; none at the end of the sequence.
fn item(input: &mut Input) -> Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    input.read(8, &mut head)?;
    let &[g0, g1, e0, e1, l0, l1, l2, l3] = head.first_chunk().unwrap_or(&[0; 8]);
    match [g0, g1, e0, e1] {
        [0xfe, 0xff, 0x00, 0xe0] => {
            let mut value = Vec::new();
            input.read(u32::from_le_bytes([l0, l1, l2, l3]).into(), &mut value)?;
            Ok(Some(value))
        }
        [0xfe, 0xff, 0xdd, 0xe0] => Ok(None),
        _ => Err(input.wrong("pixels", "a fragment or the end of the fragments", "another element")),
    }
}
