//! Coloured outlines of labels over the three planes of a volume.

use std::io::Cursor;

use image::{GenericImageView, ImageBuffer, ImageFormat, PixelWithColorType, Rgb, RgbImage};
use ndarray::ArrayView3;

use super::montage::{Montage, sizes_mm, spacing_of, tile};
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Grey of a magnified mask at the border of its label.
const BORDER: u8 = 128;

impl Montage {
    /// The planes of `volume` through each of `cuts` (as [`Montage::cut`]) in [`Montage::columns`], with the outlines
    /// of the labels `[D, H, W]` whose numbers are in `colours` (number, RGB). An outline is one pixel wide and inside
    /// its label; later labels of `colours` are drawn above earlier ones.
    ///
    /// # Errors
    /// [`Error::Value`] if the labels are on another grid, and as [`Montage::render`].
    pub fn outlined(
        &self,
        volume: &Volume,
        labels: ArrayView3<u8>,
        colours: &[(u8, [u8; 3])],
        cuts: &[[f64; 3]],
    ) -> Result<RgbImage> {
        let (_, d, h, w) = volume.data.dim();
        if labels.dim() != (d, h, w) {
            let found = format!("{:?}", labels.dim());
            let advice = "resample the labels to the volume's grid";
            return Err(Error::value("labels", format!("the volume's {:?}", (d, h, w)), found, advice));
        }
        let spacing_mm = spacing_of(volume)?;
        let mask = Self { window: (0.0, 1.0), ..self.clone() };
        let rows = cuts.iter().map(|&cut| {
            let here = Self { cut, ..self.clone() };
            let greys = here.cuts(volume.data.index_axis(ndarray::Axis(0), 0));
            let numbers = here.cuts(labels);
            let planes = greys.into_iter().zip(numbers).zip(sizes_mm(spacing_mm));
            let planes =
                planes.map(|((grey, numbers), [row_mm, column_mm])| {
                    let grey = here.plane(grey, row_mm, column_mm)?;
                    let mut picture = RgbImage::from_fn(grey.width(), grey.height(), |x, y| {
                        Rgb([grey.get_pixel(x, y).0[0]; 3])
                    });
                    for &(label, colour) in colours {
                        if !numbers.iter().any(|&number| number == label) {
                            continue;
                        }
                        let inside = numbers.mapv(|number| f32::from(u8::from(number == label)));
                        let inside = mask.plane(inside.view(), row_mm, column_mm)?;
                        for (x, y, pixel) in picture.enumerate_pixels_mut() {
                            let within = |x: u32, y: u32| inside.get_pixel(x, y).0[0] >= BORDER;
                            // The picture's own edge is no border.
                            let beside =
                                [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
                            if within(x, y)
                                && beside.into_iter().any(|(x, y)| inside.in_bounds(x, y) && !within(x, y))
                            {
                                *pixel = Rgb(colour);
                            }
                        }
                    }
                    Ok(picture)
                });
            let planes = planes.collect::<Result<Vec<_>>>()?;
            tile(&planes, planes.len(), 1)
        });
        tile(&rows.collect::<Result<Vec<_>>>()?, self.columns, 4)
    }
}

impl Montage {
    /// The planes of `volume` through [`Montage::cut`] with the outlines of two masks, `[D, H, W]`, in the first two of `colours`,
    /// and in the third where they coincide. Grey is no colour.
    ///
    /// # Errors
    /// As [`Montage::outlined`].
    pub fn outlined_pair(
        &self,
        volume: &Volume,
        masks: [ArrayView3<bool>; 2],
        colours: [[u8; 3]; 3],
    ) -> Result<RgbImage> {
        let [first, second, both] = colours;
        let outlined = |mask: ArrayView3<bool>, colour| {
            self.outlined(volume, mask.mapv(u8::from).view(), &[(1, colour)], &[self.cut])
        };
        let [one, other] = masks;
        let (mut picture, other) = (outlined(one, first)?, outlined(other, second)?);
        for (pixel, other) in picture.pixels_mut().zip(other.pixels()) {
            pixel.0 = match (pixel.0 == first, other.0 == second) {
                (true, true) => both,
                (false, true) => second,
                _ => pixel.0,
            };
        }
        Ok(picture)
    }
}

/// Pictures one below the other.
///
/// # Errors
/// [`Error::Value`] for none, and where they would be too large.
pub fn stacked(pictures: &[RgbImage]) -> Result<RgbImage> {
    tile(pictures, 1, 4)
}

/// The bytes of `image` as PNG.
///
/// # Errors
/// [`Error::Value`] if it cannot be encoded, such as an image without pixels.
pub fn png_bytes<P>(image: &ImageBuffer<P, Vec<u8>>) -> Result<Vec<u8>>
where
    P: PixelWithColorType<Subpixel = u8>,
{
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(|e| {
        Error::value("picture", "pixels that PNG can hold", e.to_string(), "draw a picture that has pixels")
    })?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::VoxelToWorld;
    use ndarray::{Array3, Array4, s};

    const RED: [u8; 3] = [255, 0, 0];

    fn montage(pixels_per_mm: f64) -> Montage {
        Montage { columns: 1, window: (0.0, 1.0), pixels_per_mm, cut: [0.5; 3] }
    }

    /// A grey volume of 12 × 10 × 8 voxels `(i, j, k)` and labels with a block of 6 × 4 × 2 voxels around its centre.
    fn block() -> (Volume, Array3<u8>) {
        let mut labels = Array3::zeros((8, 10, 12));
        labels.slice_mut(s![3..5, 3..7, 3..9]).fill(7);
        (Volume::new(Array4::from_elem((1, 8, 10, 12), 0.5), VoxelToWorld::identity()), labels)
    }

    fn painted(image: &RgbImage, colour: [u8; 3]) -> Vec<(u32, u32)> {
        image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == colour).map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn the_outline_runs_inside_its_label_in_each_plane() {
        let (volume, labels) = block();
        let image = montage(1.0).outlined(&volume, labels.view(), &[(7, RED)], &[[0.5; 3]]).unwrap();
        // Axial 12 × 10, coronal 12 × 8, sagittal 10 × 8 in cells of 12 × 10.
        assert_eq!(image.dimensions(), (3 * 12 + 2, 10));
        let frame = |x: u32, y: u32, width: u32, height: u32| {
            (y..y + height)
                .flat_map(move |b| (x..x + width).map(move |a| (a, b)))
                .filter(move |&(a, b)| a == x || b == y || a == x + width - 1 || b == y + height - 1)
        };
        let mut expected: Vec<_> = frame(3, 3, 6, 4)
            .chain(frame(13 + 3, 1 + 3, 6, 2))
            .chain(frame(26 + 1 + 3, 1 + 3, 4, 2))
            .collect();
        expected.sort_by_key(|&(x, y)| (y, x));
        assert_eq!(painted(&image, RED), expected);
        assert_eq!(image.get_pixel(5, 4).0, [128; 3]);
    }

    #[test]
    fn magnified_outlines_stay_one_pixel_wide_on_the_labels_border() {
        let (volume, labels) = block();
        let image = montage(4.0).outlined(&volume, labels.view(), &[(7, RED)], &[[0.5; 3]]).unwrap();
        // Half way through the axial block: its left and its right side.
        let across: Vec<u32> =
            painted(&image, RED).into_iter().filter(|p| p.1 == 20 && p.0 < 48).map(|p| p.0).collect();
        assert_eq!(across, [12, 35]);
    }

    #[test]
    fn labels_at_the_edge_are_open_there_and_the_later_colour_lies_above() {
        let (volume, mut labels) = block();
        labels.fill(0);
        labels.slice_mut(s![.., .., ..6]).fill(1);
        let one = montage(1.0).outlined(&volume, labels.view(), &[(1, RED)], &[[0.5; 3]]).unwrap();
        assert_eq!(painted(&one, RED).iter().filter(|p| p.0 < 12).count(), 10);
        let both = [(1, RED), (1, [0, 255, 0])];
        let above = montage(1.0).outlined(&volume, labels.view(), &both, &[[0.5; 3]]).unwrap();
        assert!(painted(&above, RED).is_empty());
    }

    #[test]
    fn every_cut_is_a_row_and_other_grids_are_an_error() {
        let (volume, labels) = block();
        let cuts = [[0.2; 3], [0.5; 3], [0.8; 3]];
        let image = montage(1.0).outlined(&volume, labels.view(), &[(7, RED)], &cuts).unwrap();
        assert_eq!(image.dimensions(), (38, 3 * 10 + 2 * 4));
        // The block is in the middle row alone.
        assert!(painted(&image, RED).iter().all(|p| (14..24).contains(&p.1)));
        let other = Array3::<u8>::zeros((8, 10, 11));
        let error = montage(1.0).outlined(&volume, other.view(), &[], &cuts).unwrap_err().to_string();
        assert!(error.contains("(8, 10, 12)") && error.contains("(8, 10, 11)"), "{error}");
    }

    #[test]
    fn png_bytes_hold_the_pixels() {
        let picture = RgbImage::from_fn(5, 4, |x, y| Rgb([x as u8, y as u8, 200]));
        let bytes = png_bytes(&picture).unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), picture);
        assert!(png_bytes(&RgbImage::new(0, 0)).is_err());
    }
}
