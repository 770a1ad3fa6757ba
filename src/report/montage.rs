//! Montages: orthogonal planes of many volumes, or many slices of one, as one grey picture.
//!
//! # Convention
//! Volumes are taken as RAS+ (see [`Volume`]). Left is left (the neurological convention, not the radiological one):
//! the axial plane has the subject's left on the left and anterior up, the coronal plane left on the left and superior
//! up, the sagittal plane anterior on the right and superior up. The scale in pixels per millimetre is the same along
//! both axes.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, ImageFormat, Luma, Pixel};
use ndarray::{ArrayView2, ArrayView3, Axis, s};

use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::stats::lower_rank;
use crate::volume::Volume;

/// Grey of the lines between planes; brighter than air, darker than tissue.
const SEPARATOR: Luma<u8> = Luma([56]);
/// Pixels a picture may have along one side; more is a mistake in `pixels_per_mm` or in a volume's affine.
const SIDE_MAX: u32 = 16_384;

/// The layout of a montage.
#[derive(Clone, Debug, PartialEq)]
pub struct Montage {
    /// Number of volumes in a row.
    pub columns: usize,
    /// Intensities of black and white; linear between, clipped beyond.
    pub window: (f32, f32),
    /// Magnification in pixels per millimetre.
    pub pixels_per_mm: f64,
    /// Positions of the three planes, as parts of the voxel axes `(i, j, k)`; `[0.5; 3]` is the centre.
    pub cut: [f64; 3],
}

impl Montage {
    /// A layout for `volumes` through their centres, without empty cells if possible: two pixels for the finest voxel,
    /// and a window from the lowest intensity to the 99.5 % quantile over all volumes.
    ///
    /// # Errors
    /// [`Error::Value`] if there is no volume, or one has no voxels.
    pub fn fit(volumes: &[Volume]) -> Result<Self> {
        if volumes.is_empty() {
            return Err(Error::value("volumes", "at least one volume", "none", "give volumes to draw"));
        }
        let mut finest_mm = f64::INFINITY;
        for volume in volumes {
            finest_mm = spacing_of(volume)?.into_iter().fold(finest_mm, f64::min);
        }
        // Some hundred thousand voxels are enough for a percentile.
        let total: usize = volumes.iter().map(|volume| volume.data.len()).sum();
        let all = volumes.iter().flat_map(|volume| volume.data.iter().copied());
        let mut some: Vec<f32> = all.step_by(1 + total / 500_000).filter(|value| value.is_finite()).collect();
        let (low, high) =
            (lower_rank(&mut some, 0.0).unwrap_or(0.0), lower_rank(&mut some, 0.995).unwrap_or(1.0));
        Ok(Self {
            columns: columns_for(volumes.len()),
            window: (low, if high > low { high } else { low + 1.0 }),
            pixels_per_mm: 2.0 / finest_mm,
            cut: [0.5; 3],
        })
    }

    /// Axial, coronal and sagittal plane of each volume, side by side; one plane of a volume of depth one. The first
    /// channel is shown.
    ///
    /// # Errors
    /// [`Error::Value`] if there is nothing to draw, the layout is invalid, or the picture would be too large.
    pub fn render(&self, volumes: &[Volume]) -> Result<GrayImage> {
        let cells = volumes.iter().map(|volume| {
            let spacing_mm = spacing_of(volume)?;
            let planes = self.cuts(volume.data.index_axis(Axis(0), 0));
            let planes = planes.into_iter().zip(sizes_mm(spacing_mm));
            let planes = planes.map(|(plane, [row_mm, column_mm])| self.plane(plane, row_mm, column_mm));
            let planes = planes.collect::<Result<Vec<_>>>()?;
            tile(&planes, planes.len(), 1)
        });
        tile(&cells.collect::<Result<Vec<_>>>()?, self.columns, 4)
    }

    /// The axial, the coronal and the sagittal plane of `voxels`, `[D, H, W]`, each with its first row uppermost; the
    /// axial one alone of a volume of depth one.
    pub(super) fn cuts<'a, T>(&self, voxels: ArrayView3<'a, T>) -> Vec<ArrayView2<'a, T>> {
        let (d, h, w) = voxels.dim();
        let at = |axis: usize, size: usize| {
            ((self.cut[axis] * size as f64).max(0.0) as usize).min(size.saturating_sub(1))
        };
        let mut planes = vec![voxels.slice_move(s![at(2, d), ..;-1, ..])];
        if d > 1 {
            planes.push(voxels.slice_move(s![..;-1, at(1, h), ..]));
            planes.push(voxels.slice_move(s![..;-1, .., at(0, w)]));
        }
        planes
    }

    /// A plane, its first row uppermost, windowed and magnified to square millimetres.
    pub(super) fn plane(&self, plane: ArrayView2<f32>, row_mm: f64, column_mm: f64) -> Result<GrayImage> {
        let (low, high) = self.window;
        if !(high > low && (high - low).is_finite()) {
            let found = format!("{low} to {high}");
            return Err(Error::value(
                "window",
                "a range that rises",
                found,
                "give the intensities of black and white",
            ));
        }
        let pixels = |count: usize, size_mm: f64| {
            let side = (count as f64 * size_mm * self.pixels_per_mm).round();
            // Not a number fails this test too.
            let fits = (0.0..=f64::from(SIDE_MAX)).contains(&side);
            if fits { Ok((side as u32).max(1)) } else { Err(too_large(side)) }
        };
        let (width, height) =
            (pixels(plane.len_of(Axis(1)), column_mm)?, pixels(plane.len_of(Axis(0)), row_mm)?);
        let grey = |value: f32| (255.0 * (value - low) / (high - low)).round().clamp(0.0, 255.0) as u8;
        let image = GrayImage::from_fn(plane.len_of(Axis(1)) as u32, plane.len_of(Axis(0)) as u32, |x, y| {
            Luma([grey(plane[[y as usize, x as usize]])])
        });
        Ok(imageops::resize(&image, width, height, FilterType::Triangle))
    }
}

/// Distance between the rows and between the columns of the axial, the coronal and the sagittal plane.
pub(super) fn sizes_mm([i, j, k]: [f64; 3]) -> [[f64; 2]; 3] {
    [[j, i], [k, i], [k, j]]
}

/// Columns that leave the fewest cells empty, between a square picture for cells three planes wide and one for cells
/// one plane wide.
fn columns_for(volumes: usize) -> usize {
    let square = |width: f64| (volumes as f64 / width).sqrt().ceil() as usize;
    let empty = |columns: usize| volumes.div_ceil(columns) * columns - volumes;
    (square(3.0)..=square(1.0)).min_by_key(|&columns| empty(columns)).unwrap_or(1)
}

/// Size of a voxel of a volume that has any.
pub(super) fn spacing_of(volume: &Volume) -> Result<[f64; 3]> {
    if volume.data.is_empty() {
        let advice = "draw volumes that have voxels";
        return Err(Error::value(
            "volumes",
            "at least one voxel",
            format!("{:?}", volume.data.shape()),
            advice,
        ));
    }
    Ok(volume.spacing_mm())
}

fn too_large(side: f64) -> Error {
    let expected = format!("a picture of at most {SIDE_MAX} pixels a side");
    Error::value(
        "pixels_per_mm",
        expected,
        format!("{side}"),
        "lower the magnification or draw fewer volumes",
    )
}

/// A picture of any kind of pixels.
type Sheet<P> = ImageBuffer<P, Vec<u8>>;

/// `images` in rows of `columns`, each in the middle of a cell as large as the largest, `gap` pixels between cells.
pub(super) fn tile<P>(images: &[Sheet<P>], columns: usize, gap: u32) -> Result<Sheet<P>>
where
    P: Pixel<Subpixel = u8>,
{
    if images.is_empty() || columns == 0 {
        let found = format!("{} in {columns} columns", images.len());
        return Err(Error::value(
            "montage",
            "pictures in at least one column",
            found,
            "give volumes to draw",
        ));
    }
    let columns = columns.min(images.len());
    let rows = images.len().div_ceil(columns);
    let cell = |side: fn(&Sheet<P>) -> u32| images.iter().map(side).max().unwrap_or(1);
    let (cell_width, cell_height) = (cell(Sheet::width), cell(Sheet::height));
    let side = |cells: usize, size: u32| {
        let side = cells as u64 * u64::from(size + gap) - u64::from(gap);
        u32::try_from(side).ok().filter(|side| *side <= SIDE_MAX).ok_or_else(|| too_large(side as f64))
    };
    let separator = images[0].get_pixel(0, 0).map(|_| SEPARATOR.0[0]);
    let mut sheet = Sheet::from_pixel(side(columns, cell_width)?, side(rows, cell_height)?, separator);
    let air = Sheet::new(cell_width, cell_height);
    for slot in 0..rows * columns {
        let x = i64::from(cell_width + gap) * (slot % columns) as i64;
        let y = i64::from(cell_height + gap) * (slot / columns) as i64;
        imageops::replace(&mut sheet, &air, x, y);
        if let Some(image) = images.get(slot) {
            let margin = |cell: u32, side: u32| i64::from((cell - side) / 2);
            let (left, top) = (margin(cell_width, image.width()), margin(cell_height, image.height()));
            imageops::replace(&mut sheet, image, x + left, y + top);
        }
    }
    Ok(sheet)
}

/// Writes `image` as PNG.
///
/// # Errors
/// [`Error::Io`] if it cannot be written.
pub fn write_png(path: &Path, image: &GrayImage) -> Result<()> {
    atomic_write(path, |file| image.write_to(file, ImageFormat::Png).map_err(std::io::Error::other))
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::ImageGrid;

    /// A dark volume of `dims` voxels `(i, j, k)` with one bright voxel.
    fn spot(dims: [usize; 3], spacing_mm: [f64; 3], bright: [usize; 3]) -> Volume {
        let mut data = Array4::zeros((1, dims[2], dims[1], dims[0]));
        data[[0, bright[2], bright[1], bright[0]]] = 1.0;
        let affine = ImageGrid::upright(dims, spacing_mm).unwrap().affine;
        Volume::new(data, affine)
    }

    fn montage(cut: [f64; 3]) -> Montage {
        Montage { columns: 2, window: (0.0, 1.0), pixels_per_mm: 1.0, cut }
    }

    /// Pixels that are as bright as a picture gets.
    fn bright(image: &GrayImage) -> Vec<(u32, u32)> {
        image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] == 255).map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn left_is_left_and_anterior_and_superior_are_up() {
        // Axial 6×8, coronal 6×4 and sagittal 8×4, each in a cell of 8×8 with one pixel between.
        let dims = [6, 8, 4];
        let right_anterior_superior = spot(dims, [1.0; 3], [5, 7, 3]);
        let image = montage([1.0; 3]).render(&[right_anterior_superior]).unwrap();
        assert_eq!(image.dimensions(), (26, 8));
        assert_eq!(bright(&image), [(1 + 5, 0), (9 + 1 + 5, 2), (18 + 7, 2)].to_vec());
        let left_posterior_inferior = spot(dims, [1.0; 3], [0, 0, 0]);
        let image = montage([0.0; 3]).render(&[left_posterior_inferior]).unwrap();
        let mut found = bright(&image);
        found.sort_unstable();
        assert_eq!(found, [(1, 7), (9 + 1, 2 + 3), (18, 2 + 3)]);
    }

    #[test]
    fn millimetres_are_square() {
        let volume = spot([10, 12, 4], [1.0, 1.0, 3.0], [5, 6, 2]);
        let montage = Montage { pixels_per_mm: 2.0, ..montage([0.5; 3]) };
        // Axial 20×24, coronal 20×24 (4 slices of 3 mm), sagittal 24×24.
        assert_eq!(montage.render(std::slice::from_ref(&volume)).unwrap().dimensions(), (24 * 3 + 2, 24));
    }

    #[test]
    fn a_slice_is_one_plane() {
        let slice = spot([6, 8, 1], [1.0; 3], [1, 2, 0]);
        let image = montage([0.5; 3]).render(&[slice]).unwrap();
        assert_eq!((image.dimensions(), bright(&image)), ((6, 8), vec![(1, 5)]));
    }

    #[test]
    fn layouts_have_few_gaps() {
        assert_eq!([1, 2, 4, 6, 9, 16, 45].map(columns_for), [1, 1, 2, 2, 3, 4, 5]);
    }

    #[test]
    fn the_window_maps_its_ends_to_black_and_white() {
        let mut volume = spot([5, 1, 1], [1.0; 3], [0, 0, 0]);
        volume
            .data
            .iter_mut()
            .zip([-5.0, 10.0, 20.0, 30.0, f32::NAN])
            .for_each(|(voxel, value)| *voxel = value);
        let montage = Montage { window: (10.0, 30.0), ..montage([0.5; 3]) };
        assert_eq!(montage.render(&[volume]).unwrap().into_raw(), [0, 0, 128, 255, 0]);
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let volume = spot([4, 4, 4], [1.0; 3], [0, 0, 0]);
        let refuse = |montage: Montage, volumes: &[Volume], key: &str| {
            let message = montage.render(volumes).unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        };
        let one = std::slice::from_ref(&volume);
        refuse(montage([0.5; 3]), &[], "montage");
        refuse(Montage { columns: 0, ..montage([0.5; 3]) }, one, "montage");
        refuse(Montage { window: (1.0, 1.0), ..montage([0.5; 3]) }, one, "window");
        refuse(Montage { window: (0.0, f32::NAN), ..montage([0.5; 3]) }, one, "window");
        refuse(Montage { pixels_per_mm: 1e9, ..montage([0.5; 3]) }, one, "pixels_per_mm");
        refuse(Montage { pixels_per_mm: f64::NAN, ..montage([0.5; 3]) }, one, "pixels_per_mm");
        let empty = Volume::new(Array4::zeros((1, 0, 4, 4)), volume.affine);
        refuse(montage([0.5; 3]), &[empty], "volumes");
        assert!(Montage::fit(&[]).is_err());
    }

    #[test]
    fn a_png_holds_the_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("montage.png");
        let volumes = [spot([6, 8, 4], [1.0; 3], [5, 7, 3]), spot([6, 8, 4], [1.0; 3], [3, 4, 2])];
        let image = Montage::fit(&volumes).unwrap().render(&volumes).unwrap();
        write_png(&path, &image).unwrap();
        assert_eq!(image::open(&path).unwrap().into_luma8(), image);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
