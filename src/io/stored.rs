//! The way from what a header says to volumes, and from volumes to bytes, which is the same for all formats.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use ndarray::{Array4, Axis};
use rayon::prelude::*;

use super::data_type::{DataType, Order};
use super::scan::{ReadOptions, Series};
use super::stream::Stream;
use super::voxels::{Decoder, Kind, Layout};
use crate::error::{Error, Result};
use crate::volume::{Volume, VoxelToWorld, World};

/// No voxel has more channels.
pub(super) const CHANNELS_MAX: usize = 4096;

/// What a header says of the voxels behind it: frame by frame, the first voxel axis fastest.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The format's name.
    pub format: String,
    /// Number of voxels along `(i, j, k)`.
    pub extents: [usize; 3],
    pub frames: usize,
    /// The header's field of the extents, and that of the frames.
    pub fields: [&'static str; 2],
    pub layout: Layout,
    pub order: Order,
    /// Slope and intercept.
    pub scaling: Option<(f64, f64)>,
    pub affine: VoxelToWorld,
    /// Where the header says it.
    pub place: String,
    pub world: World,
    /// What contradicts itself or is not said, and what was made of it.
    pub doubts: Vec<String>,
    /// Bytes before the first voxel.
    pub start: u64,
}

/// Which frames are read, and what becomes of values that are not finite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub frame: Option<usize>,
    /// All frames where none is chosen.
    pub all: bool,
    pub nan: Nan,
}

/// What becomes of values that are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nan {
    /// They are an error, but for NaN around a masked head, which is zero.
    Refused,
    Zero,
    /// They stay, but for finite values beyond float32, which are an error.
    Kept,
}

impl Want {
    /// One frame, for a computation.
    pub fn one(options: &ReadOptions) -> Self {
        let nan = if options.nan_to_zero { Nan::Zero } else { Nan::Refused };
        Self { frame: options.frame, all: false, nan }
    }

    /// All frames, or the chosen one, as they are.
    pub fn all(options: &ReadOptions) -> Self {
        let nan = if options.nan_to_zero { Nan::Zero } else { Nan::Kept };
        Self { frame: options.frame, all: true, nan }
    }

    /// All that is stored, whichever frame is chosen of it.
    pub fn whole(self) -> Self {
        Self { frame: None, all: true, ..self }
    }

    /// The frames to read of `frames`, which `field` of the header counts.
    ///
    /// # Errors
    /// [`Error::File`] for one that is not there, and where one has to be chosen.
    pub fn frames(self, path: &Path, field: &str, frames: usize) -> Result<Range<usize>> {
        if self.all && self.frame.is_none() {
            return Ok(0..frames);
        }
        let frame = chosen_frame(path, field, &format!("{field} is {frames}"), frames, self.frame)?;
        Ok(frame..frame + 1)
    }
}

impl Stored {
    /// Bytes of all voxels of all frames, if a number of 64 bits holds them.
    pub fn bytes(&self) -> Option<u64> {
        let each = (self.layout.bytes() as u64).checked_mul(self.frames as u64)?;
        self.extents.iter().try_fold(each, |product, &extent| product.checked_mul(extent as u64))
    }

    /// Reads frames of the scan `path` from `stream` over the file `voxels_path`.
    ///
    /// # Errors
    /// [`Error::File`] for a frame that is not there or not chosen, fewer voxels than promised and values that are not wanted;
    /// [`Error::Io`].
    pub fn read(&self, path: &Path, voxels_path: &Path, mut stream: Stream, want: Want) -> Result<Series> {
        let chosen = want.frames(path, self.fields[1], self.frames)?;
        let voxels = self.extents.iter().try_fold(1u64, |product, &e| product.checked_mul(e as u64));
        let span = voxels.and_then(|voxels| {
            let frame_bytes = voxels.checked_mul(self.layout.bytes() as u64)?;
            let first = frame_bytes.checked_mul(chosen.start as u64)?.checked_add(self.start)?;
            let end = frame_bytes.checked_mul(chosen.end as u64)?.checked_add(self.start)?;
            Some((first, end, usize::try_from(voxels).ok()?))
        });
        let Some((first, end, voxels)) = span else {
            let advice = "the header is damaged: convert the scan again";
            let found = format!("{:?} voxels in {} frames", self.extents, self.frames);
            return Err(Error::file(path, self.fields[0], "a volume that a file can hold", found, advice));
        };
        if end > stream.at_most {
            return Err(stream.cut_off(voxels_path, end, stream.at_most));
        }
        stream.skip_to(voxels_path, first)?;
        let number = if self.layout.kind == Kind::Complex { DataType::F32 } else { self.layout.number };
        let mut series = Series { frames: Vec::new(), data_type: number, rounded: 0 };
        let one = chosen.len() == 1;
        for frame in chosen {
            let mut decoder = Decoder::new(self.layout, self.order, self.scaling);
            decoder.read(voxels, |chunk| stream.fill(voxels_path, chunk, end))?;
            series.rounded += decoder.rounded;
            let (values, steps) = self.settled(voxels_path, voxels, decoder, want)?;
            let mut volume = self.volume(path, values);
            if self.frames > 1 && one {
                volume = volume.with_step(format!("took frame {frame} of {}", self.frames));
            }
            series.frames.push(steps.into_iter().fold(volume, Volume::with_step));
        }
        for doubt in &self.doubts {
            tracing::warn!("{}: {doubt}", path.display());
        }
        stream.finish(voxels_path)?;
        let (dims, sizes) = (self.extents, self.affine.spacing_mm());
        tracing::info!("read {}: {dims:?} voxels of {sizes:.3?} mm", path.display());
        Ok(series)
    }

    /// The values as they shall be, and what was done to them.
    fn settled(
        &self,
        path: &Path,
        voxels: usize,
        mut decoder: Decoder,
        want: Want,
    ) -> Result<(Vec<f32>, Option<String>)> {
        let (replaced, [w, h, d]) = (decoder.not_finite, self.extents);
        if replaced == 0 || (want.nan == Nan::Kept && decoder.beyond == 0) {
            return Ok((decoder.values, None));
        }
        if want.nan == Nan::Refused && nan_is_background(&decoder.values, [d, h, w]) {
            let share = 100.0 * replaced as f64 / voxels as f64;
            tracing::warn!("{}: NaN all around ({share:.0} % of the voxels) is read as 0", path.display());
        } else if want.nan != Nan::Zero {
            let found = format!("{replaced} of {voxels} voxels NaN, infinite or beyond float32");
            let advice = "repair the scan, or add --nan-to-zero to have zeros there";
            return Err(Error::file(path, "voxels", "finite values", found, advice));
        }
        decoder.values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = 0.0);
        Ok((decoder.values, Some(format!("replaced {replaced} voxels that were not finite by 0"))))
    }

    fn volume(&self, path: &Path, values: Vec<f32>) -> Volume {
        let [w, h, d] = self.extents;
        let mut volume = Volume::new(arrange(values, [self.layout.channels(), d, h, w]), self.affine);
        volume.provenance.source = path.display().to_string();
        volume.provenance.world = self.world;
        let scaling = self.scaling.map(|(slope, inter)| format!(", slope {slope} intercept {inter}"));
        let (format, number) = (&self.format, self.layout.name());
        let read =
            format!("read {format}, {number}{}, place from {}", scaling.unwrap_or_default(), self.place);
        self.doubts.iter().fold(volume.with_step(read), |volume, doubt| volume.with_step(doubt.clone()))
    }
}

impl Series {
    /// The channels of its volume as frames, of which `field` of the header has `count`, or the one that is wanted.
    pub(super) fn split(self, path: &Path, field: &str, count: usize, want: Want) -> Result<Self> {
        let chosen = want.frames(path, field, count)?;
        let one = chosen.len() == 1 && count > 1;
        let frame = |all: &Volume, n: usize| {
            let data = all.data.slice(ndarray::s![n..n + 1, .., .., ..]).to_owned();
            let frame = Volume { data, affine: all.affine, provenance: all.provenance.clone() };
            if one { frame.with_step(format!("took frame {n} of {count}")) } else { frame }
        };
        let frames = self.frames.iter().flat_map(|all| chosen.clone().map(move |n| frame(all, n))).collect();
        Ok(Self { frames, ..self })
    }
}

/// Planes of voxels that are encoded before they are written.
const PLANES: usize = 16;

/// Writes the voxels of `volume` with the first voxel axis fastest and the channels of a voxel together, some planes at a time;
/// `code` makes the number that is stored of a value.
pub(super) fn write_voxels(
    out: &mut dyn Write,
    volume: &Volume,
    (number, order): (DataType, Order),
    code: impl Fn(f32) -> f64 + Sync,
) -> io::Result<()> {
    let depth = volume.data.dim().1;
    let plane = |z: usize| {
        let plane = volume.data.index_axis(Axis(1), z).permuted_axes([1, 2, 0]); // [H, W, C]
        let plane = plane.as_standard_layout();
        number.encoded(plane.as_slice().expect("standard layout"), order, &code)
    };
    for start in (0..depth).step_by(PLANES) {
        let planes: Vec<_> = (start..depth.min(start + PLANES)).into_par_iter().map(plane).collect();
        planes.iter().try_for_each(|bytes| out.write_all(bytes))?;
    }
    Ok(())
}

/// Whether values that are not finite are what lies around a masked head: NaN, in every corner of the grid, and hanging
/// together with them.
fn nan_is_background(values: &[f32], [d, h, w]: [usize; 3]) -> bool {
    if values.len() != d * h * w {
        return false;
    }
    let at = |z: usize, y: usize, x: usize| (z * h + y) * w + x;
    let ends = |n: usize| [0, n - 1];
    let corners = ends(d).into_iter().flat_map(|z| ends(h).map(|y| ends(w).map(|x| at(z, y, x)))).flatten();
    let mut open: Vec<usize> = corners.collect();
    if !open.iter().all(|&corner| values[corner].is_nan()) {
        return false;
    }
    let mut reached = vec![false; values.len()];
    open.iter().for_each(|&corner| reached[corner] = true);
    while let Some(place) = open.pop() {
        let (z, y, x) = (place / (h * w), place / w % h, place % w);
        for (position, length, step) in [(z, d, h * w), (y, h, w), (x, w, 1)] {
            let below = (position > 0).then(|| place - step);
            let above = (position + 1 < length).then(|| place + step);
            for next in below.into_iter().chain(above).filter(|&next| values[next].is_nan()) {
                if !std::mem::replace(&mut reached[next], true) {
                    open.push(next);
                }
            }
        }
    }
    values.iter().zip(reached).all(|(value, reached)| value.is_finite() || reached)
}

/// The frame to read of `frames`, from 0: the one that is chosen, or the only one; `told` says what has how many, and `field` is
/// where it stands.
///
/// # Errors
/// [`Error::File`] for one that is not there, and where one has to be chosen.
pub(super) fn chosen_frame(
    path: &Path,
    field: &str,
    told: &str,
    frames: usize,
    chosen: Option<usize>,
) -> Result<usize> {
    let last = frames - 1;
    match chosen {
        _ if last == 0 => Ok(0),
        Some(frame) if frame > last => {
            let (expected, advice) = (format!("0 to {last}: {told}"), "choose a frame that the file has");
            Err(Error::file(path, "frame", expected, frame.to_string(), advice))
        }
        None => {
            let advice = format!("choose one: frame 0 to {last} (--frame N)");
            Err(Error::file(path, field, "one volume", format!("{frames} frames"), advice))
        }
        Some(frame) => Ok(frame),
    }
}

/// Values with the channels of a voxel together, as `[C, D, H, W]`.
fn arrange(values: Vec<f32>, [c, d, h, w]: [usize; 4]) -> Array4<f32> {
    // The decoder has read exactly d·h·w voxels of c values.
    let array = Array4::from_shape_vec([d, h, w, c], values).expect("the decoder reads all or fails");
    if c == 1 {
        return array.into_shape_with_order([1, d, h, w]).expect("the same number of voxels");
    }
    array.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned() // [C, D, H, W]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_around_a_head_is_told_from_nan_within() {
        let values = |hole: Option<usize>, corner: f32| {
            let mut values: Vec<f32> = (0..5 * 6 * 7)
                .map(|n| {
                    let (z, y, x) = (n / 42, n / 7 % 6, n % 7);
                    let inside = (1..4).contains(&z) && (1..5).contains(&y) && (1..6).contains(&x);
                    if inside { 1.0 } else { f32::NAN }
                })
                .collect();
            hole.into_iter().for_each(|at| values[at] = f32::NAN);
            values[0] = corner;
            values
        };
        let shape = [5, 6, 7];
        assert!(nan_is_background(&values(None, f32::NAN), shape));
        // A hole within, one value missing at the edge, an infinite one, channels.
        assert!(!nan_is_background(&values(Some(2 * 42 + 3 * 7 + 3), f32::NAN), shape));
        assert!(!nan_is_background(&values(None, 0.0), shape));
        assert!(!nan_is_background(&values(None, f32::INFINITY), shape));
        assert!(!nan_is_background(&values(None, f32::NAN), [5, 6, 2]));
    }
}
