//! Line plots of training statistics, as SVG or PNG from the same drawing code.
//!
//! Nothing depends on the fonts of the machine: an SVG leaves its text to whoever shows it, and a PNG's letters come
//! from a raster font inside the program.

use std::convert::Infallible;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use crate::error::{Error, Result};
use crate::io::write_beside;

/// Size of a plot in pixels.
const SIZE: (u32, u32) = (960, 540);
/// Colours that remain apart for colour-blind eyes (Okabe and Ito 2008), used in turn.
pub(super) const COLOURS: [(u8, u8, u8); 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (0, 0, 0)];

/// One line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points `(x, y)` from left to right. The line is interrupted where one is not finite.
    pub points: Vec<(f64, f64)>,
}

/// Draws `series` over a common pair of axes; the name's ending, `.svg` or `.png`, says how it is written.
///
/// # Errors
/// [`Error::Value`] for another ending, or if no point is finite; [`Error::Io`] if the file cannot be written.
pub fn line_plot(path: &Path, title: &str, x_label: &str, y_label: &str, series: &[Series]) -> Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => {
            let text = line_svg(title, x_label, y_label, series)?;
            write_beside(path, |file| file.write_all(text.as_bytes()))
        }
        Some("png") => {
            let mut canvas = Canvas(RgbImage::new(SIZE.0, SIZE.1));
            let plot = Plot::new(title, x_label, y_label, series)?;
            plot.draw(&(&mut canvas).into_drawing_area()).map_err(undrawn)?;
            let encode = std::io::Error::other;
            write_beside(path, |file| canvas.0.write_to(file, ImageFormat::Png).map_err(encode))
        }
        _ => {
            let found = path.display().to_string();
            Err(Error::value("plot", "a file's name that ends in .svg or .png", found, "change its ending"))
        }
    }
}

/// The plot of [`line_plot`] as the text of an SVG.
///
/// # Errors
/// [`Error::Value`] if no point is finite.
pub fn line_svg(title: &str, x_label: &str, y_label: &str, series: &[Series]) -> Result<String> {
    let plot = Plot::new(title, x_label, y_label, series)?;
    svg(SIZE, |area| plot.draw(area))
}

/// What `draw` leaves on a white sheet of `size` pixels, as the text of an SVG.
pub(super) fn svg<F>(size: (u32, u32), draw: F) -> Result<String>
where
    F: FnOnce(&DrawingArea<SVGBackend, Shift>) -> Drawn<std::io::Error>,
{
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, size).into_drawing_area()).map_err(undrawn)?;
    Ok(text)
}

/// What drawing on a backend returns.
pub(super) type Drawn<E> = std::result::Result<(), DrawingAreaErrorKind<E>>;

fn undrawn(e: impl std::fmt::Display) -> Error {
    Error::value("plot", "data that can be drawn", e.to_string(), "plot fewer or other points")
}

/// The range of the finite `values`, `part` of it wider on each side.
///
/// # Errors
/// [`Error::Value`] if none is finite.
pub(super) fn range_of(values: impl Iterator<Item = f64>, part: f64) -> Result<Range<f64>> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return Err(Error::value("plot", "a finite point", "none", "plot once there is something to plot"));
    }
    // A single value still needs a range around it.
    let margin = if high > low { part * (high - low) } else { 0.5 * low.abs().max(1.0) };
    Ok(low - margin..high + margin)
}

struct Plot<'a> {
    title: &'a str,
    x_label: &'a str,
    y_label: &'a str,
    x_range: Range<f64>,
    y_range: Range<f64>,
    series: &'a [Series],
}

impl<'a> Plot<'a> {
    fn new(title: &'a str, x_label: &'a str, y_label: &'a str, series: &'a [Series]) -> Result<Self> {
        let points = || {
            let points = series.iter().flat_map(|line| &line.points);
            points.filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        let x_range = range_of(points().map(|point| point.0), 0.0)?;
        let y_range = range_of(points().map(|point| point.1), 0.05)?;
        Ok(Self { title, x_label, y_label, x_range, y_range, series })
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B::ErrorType> {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(80)
            .build_cartesian_2d(self.x_range.clone(), self.y_range.clone())?;
        let font = ("sans-serif", 16);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.x_label).y_desc(self.y_label).x_labels(8).y_labels(8);
        mesh.label_style(font).axis_desc_style(font).light_line_style(TRANSPARENT).draw()?;
        for (line, &(r, g, b)) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let style = RGBColor(r, g, b).stroke_width(2);
            let mut pieces = line.points.split(|(x, y)| !x.is_finite() || !y.is_finite());
            // The first piece stands for the line in the legend, even when it is empty.
            let first = pieces.next().unwrap_or_default().iter().copied();
            chart
                .draw_series(LineSeries::new(first, style))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            for piece in pieces {
                chart.draw_series(LineSeries::new(piece.iter().copied(), style))?;
            }
        }
        let mut legend = chart.configure_series_labels();
        legend
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(font)
            .draw()?;
        area.present()
    }
}

/// A picture that plotters draws on, with letters of its own.
struct Canvas(RgbImage);

/// The letter for `c`, or a question mark.
fn letter(c: char) -> Option<RasterizedChar> {
    let raster = |c| get_raster(c, FontWeight::Regular, RasterHeight::Size16);
    raster(c).or_else(|| raster('?'))
}

/// Width and height of `text` in pixels.
fn text_size(text: &str) -> (i32, i32) {
    let width = get_raster_width(FontWeight::Regular, RasterHeight::Size16);
    ((text.chars().count() * width) as i32, RasterHeight::Size16.val() as i32)
}

impl DrawingBackend for &mut Canvas {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    fn ensure_prepared(&mut self) -> std::result::Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> std::result::Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(
        &mut self,
        (x, y): BackendCoord,
        color: BackendColor,
    ) -> std::result::Result<(), DrawingErrorKind<Infallible>> {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return Ok(()) };
        if let Some(Rgb(pixel)) = self.0.get_pixel_mut_checked(x, y) {
            let (r, g, b) = color.rgb;
            for (below, above) in pixel.iter_mut().zip([r, g, b]) {
                let (below_part, above_part) = (f64::from(*below), f64::from(above));
                *below = (below_part + color.alpha * (above_part - below_part)).round() as u8;
            }
        }
        Ok(())
    }

    fn estimate_text_size<TStyle: BackendTextStyle>(
        &self,
        text: &str,
        _style: &TStyle,
    ) -> std::result::Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let (width, height) = text_size(text);
        Ok((width as u32, height as u32))
    }

    fn draw_text<TStyle: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &TStyle,
        position: BackendCoord,
    ) -> std::result::Result<(), DrawingErrorKind<Infallible>> {
        let ((width, height), anchor, color) = (text_size(text), style.anchor(), style.color());
        let left = match anchor.h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let top = match anchor.v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let mut start = left;
        for raster in text.chars().filter_map(letter) {
            for (y, row) in raster.rows().enumerate() {
                for (x, &ink) in row.iter().enumerate().filter(|(_, ink)| **ink > 0) {
                    let (x, y) = style.transform().transform(start + x as i32, top + y as i32);
                    let alpha = color.alpha * f64::from(ink) / 255.0;
                    self.draw_pixel((position.0 + x, position.1 + y), BackendColor { alpha, ..color })?;
                }
            }
            start += raster.width() as i32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Vec<Series> {
        let line = |name: &str, f: fn(f64) -> f64| Series {
            name: name.to_string(),
            points: (0..200).map(|i| (f64::from(i) / 10.0, f(f64::from(i) / 10.0))).collect(),
        };
        vec![
            line("rising", |x| x / 20.0),
            line("with a gap", |x| if (8.0..10.0).contains(&x) { f64::NAN } else { 0.25 }),
        ]
    }

    fn coloured(image: &RgbImage, colour: (u8, u8, u8)) -> Vec<(u32, u32)> {
        let Rgb(wanted) = Rgb([colour.0, colour.1, colour.2]);
        image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == wanted).map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn a_png_shows_lines_gaps_and_letters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.png");
        line_plot(&path, "Statistics", "kimg", "value", &series()).unwrap();
        let image = image::open(&path).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), SIZE);
        // The first line rises from left to right by most of the height.
        let rising = coloured(&image, COLOURS[0]);
        let (left, right) = (rising.iter().min().unwrap(), rising.iter().max().unwrap());
        assert!(left.1 > right.1 + 300 && right.0 > left.0 + 700, "{left:?} to {right:?}");
        // The second is level and interrupted for a tenth of the width.
        let level = coloured(&image, COLOURS[1]);
        let row = level.iter().map(|p| p.1).fold([0; 540], |mut rows, y| {
            rows[y as usize] += 1;
            rows
        });
        let row = row.iter().enumerate().max_by_key(|(_, count)| **count).unwrap().0 as u32;
        let mut columns: Vec<u32> = level.iter().filter(|p| p.1 == row).map(|p| p.0).collect();
        columns.sort_unstable();
        let gap = columns.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!((70..110).contains(&gap), "{gap}");
        // There is ink where the title, the axis label and the turned one are; the corner has none.
        let ink = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            y.flat_map(|y| x.clone().map(move |x| (x, y)))
                .filter(|&(x, y)| image.get_pixel(x, y).0[0] < 128)
                .count()
        };
        assert!(ink(400..560, 0..40) > 100);
        assert!(ink(400..640, 500..540) > 40);
        assert!(ink(0..40, 150..400) > 40);
        assert_eq!(ink(0..16, 0..16), 0);
    }

    #[test]
    fn an_svg_holds_its_text_as_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        line_plot(&path, "p & r_t", "kimg", "value", &series()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        for words in ["p &amp; r_t", "kimg", "with a gap"] {
            assert!(text.contains(words), "{words}");
        }
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn a_single_point_is_drawn_and_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let one = [Series { name: "one".into(), points: vec![(3.0, 0.0)] }];
        line_plot(&folder.path().join("one.svg"), "", "", "", &one).unwrap();
        let none = [Series { name: "none".into(), points: vec![(3.0, f64::NAN)] }];
        assert!(line_plot(&folder.path().join("none.svg"), "", "", "", &none).is_err());
        assert!(
            line_plot(&folder.path().join("one.jpg"), "", "", "", &one)
                .unwrap_err()
                .to_string()
                .contains(".svg")
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
