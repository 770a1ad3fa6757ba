//! Siemens' mosaics: the slices of a volume side by side in one image.

use dicom_object::InMemDicomObject;
use nalgebra::Vector3;

use super::header::{CSA_IMAGE, CSA_SERIES, MOSAIC_IMAGES, MOSAIC_MATRIX, Values};
use super::image::Image;

/// Tiles of a mosaic.
const MOST_TILES: usize = 1 << 12;

/// The tiles of `image`, if it is a mosaic: their number from the header of the image (CSA), the slices of the protocol, or the
/// scanner's own element; their side from the smallest square of tiles that holds them.
///
/// The position in the header is that of the whole mosaic, which has the first tile's centre.
///
/// # Errors
/// Why a mosaic cannot be taken apart.
pub(super) fn tiles(object: &InMemDicomObject, image: &Image) -> Result<Option<Vec<Image>>, String> {
    if !image.kind.iter().any(|word| word == "MOSAIC") {
        return Ok(None);
    }
    let csa = object.bytes(CSA_IMAGE).map(|bytes| Csa::parse(&bytes)).unwrap_or_default();
    let protocol = object.bytes(CSA_SERIES).map(|bytes| slices_of_protocol(&bytes)).unwrap_or_default();
    let count = csa.number("NumberOfImagesInMosaic").map(|n| n as usize);
    let count = count.filter(|&n| n > 0).or((!protocol.is_empty()).then_some(protocol.len()));
    let Some(count) =
        count.or_else(|| object.count(MOSAIC_IMAGES)).filter(|&n| (1..=MOST_TILES).contains(&n))
    else {
        return Err("a mosaic that does not tell its number of slices (CSA header)".into());
    };
    let side = (1..).find(|side| side * side >= count).unwrap_or(1);
    let [width, height] = image.size.map(|n| n / side);
    let matrix = object.text(MOSAIC_MATRIX).unwrap_or_default();
    if width * side != image.size[0] || height * side != image.size[1] || width == 0 || height == 0 {
        let [columns, rows] = image.size;
        return Err(format!("a mosaic of {count} slices in {columns} × {rows} pixels (matrix {matrix:?})"));
    }
    let Some(plane) = image.plane else { return Ok(None) };
    let [x, y] = plane.spacing;
    let half = |whole: usize, tile: usize| (whole - tile) as f64 / 2.0;
    let first = plane.position
        + plane.row * (half(image.size[0], width) * x)
        + plane.column * (half(image.size[1], height) * y);
    let centre =
        first + plane.row * (width as f64 - 1.0) / 2.0 * x + plane.column * (height as f64 - 1.0) / 2.0 * y;
    let Some(step) = image.step_mm else { return Err("a mosaic without a spacing between slices".into()) };
    let stated = || csa.vector("SliceNormalVector").is_none_or(|normal| normal.dot(&plane.normal()) >= 0.0);
    let onwards = order(&protocol, &centre, &plane.normal()).unwrap_or_else(stated);
    let step = plane.normal() * if onwards { step } else { -step };
    let tile = |n: usize| {
        let mut tile = image.clone();
        tile.size = [width, height];
        tile.corner = Some([n % side * width, n / side * height]);
        let mut plane = plane;
        plane.position = first + step * n as f64;
        tile.plane = Some(plane);
        tile
    };
    Ok(Some((0..count).map(tile).collect()))
}

/// Whether the slices go on along the normal, told from the protocol's: the first tile is at one end of them. None where it is at
/// neither, or the protocol does not tell.
fn order(slices: &[Vector3<f64>], first: &Vector3<f64>, normal: &Vector3<f64>) -> Option<bool> {
    let all = slices.iter().map(|point| point.dot(normal));
    let (low, high) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
    let at = first.dot(normal);
    let (to_low, to_high) = ((at - low).abs(), (at - high).abs());
    (low < high && to_low.min(to_high) < (high - low) / 4.0).then_some(to_low < to_high)
}

/// Centres of the slices of the protocol, which is text within the header of the series.
fn slices_of_protocol(bytes: &[u8]) -> Vec<Vector3<f64>> {
    let text = String::from_utf8_lossy(bytes);
    let mut count = 0;
    let mut centres: Vec<Vector3<f64>> = Vec::new();
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("sSliceArray.")) {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if name == "lSize" {
            count = value.parse().unwrap_or(0);
        }
        let place = name.strip_prefix("asSlice[").and_then(|rest| rest.split_once("].sPosition."));
        let (Some((slice, axis)), Ok(value)) = (place, value.parse::<f64>()) else { continue };
        let axis = ["dSag", "dCor", "dTra"].iter().position(|name| *name == axis);
        let (Ok(slice), Some(axis)) = (slice.parse::<usize>(), axis) else { continue };
        if slice < MOST_TILES && value.is_finite() {
            // What is zero is left out.
            centres.resize(centres.len().max(slice + 1), Vector3::zeros());
            centres[slice][axis] = value;
        }
    }
    centres.resize(if (1..=MOST_TILES).contains(&count) { count } else { centres.len() }, Vector3::zeros());
    centres
}

/// The numbers of a CSA header (format of "SV10": tags with a name, each with items of text).
#[derive(Default)]
struct Csa(Vec<(String, Vec<f64>)>);

impl Csa {
    /// What can be read of `bytes`; nothing of another format.
    fn parse(bytes: &[u8]) -> Self {
        let mut tags = Vec::new();
        if bytes.starts_with(b"SV10") {
            let _ = Self::tags(bytes, &mut tags);
        }
        Self(tags)
    }

    /// Reads tags until the end, or what is no tag.
    fn tags(bytes: &[u8], tags: &mut Vec<(String, Vec<f64>)>) -> Option<()> {
        let word = |at: usize| {
            Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
        };
        let count = word(8)?.min(1 << 10);
        let mut at = 16;
        for _ in 0..count {
            let name = bytes.get(at..at + 64)?;
            let name = String::from_utf8_lossy(name.split(|&b| b == 0).next()?).into_owned();
            let items = word(at + 76)?.min(1 << 10);
            at += 84;
            let mut numbers = Vec::new();
            for _ in 0..items {
                let length = word(at)?;
                at += 16;
                let text = String::from_utf8_lossy(bytes.get(at..at.checked_add(length)?)?);
                numbers.extend(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).parse::<f64>());
                at += length.next_multiple_of(4);
            }
            tags.push((name, numbers));
        }
        Some(())
    }

    fn numbers(&self, name: &str) -> Option<&[f64]> {
        self.0.iter().find(|(tag, _)| tag == name).map(|(_, numbers)| numbers.as_slice())
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.numbers(name)?.first().copied().filter(|number| number.is_finite())
    }

    fn vector(&self, name: &str) -> Option<Vector3<f64>> {
        let &[x, y, z] = self.numbers(name)? else { return None };
        let vector = Vector3::new(x, y, z);
        (vector.norm() > 0.5 && vector.norm().is_finite()).then_some(vector)
    }
}
