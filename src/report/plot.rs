//! Line plots of training statistics, as SVG.
//!
//! The result does not depend on the machine's fonts: text in an SVG is rendered by the viewer.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{Error, Result};

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

/// Draws `series` over a common pair of axes, as the text of an SVG.
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

    fn draw(&self, area: &DrawingArea<SVGBackend, Shift>) -> Drawn<std::io::Error> {
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

    #[test]
    fn an_svg_holds_its_lines_and_its_text() {
        let text = line_svg("p & r_t", "kimg", "value", &series()).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        for words in ["p &amp; r_t", "kimg", "with a gap"] {
            assert!(text.contains(words), "{words}");
        }
        assert!(!text.contains("NaN"));
        // The rising line from left to right by most of the height; the level one in two pieces, a tenth of the width apart.
        let lines = |(r, g, b): (u8, u8, u8)| {
            let stroke = format!("stroke=\"#{r:02X}{g:02X}{b:02X}\"");
            let lines = text.lines().filter(|line| line.starts_with("<polyline") && line.contains(&stroke));
            let points = |line: &str| -> Vec<[f64; 2]> {
                let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
                let pair = |pair: &str| {
                    let (x, y) = pair.split_once(',').unwrap();
                    [x, y].map(|number| number.parse().unwrap())
                };
                points.split_whitespace().map(pair).collect()
            };
            // The legend's lines are 16 pixels long.
            lines.map(points).filter(|points| points.len() > 2).collect::<Vec<_>>()
        };
        let [rising] = &lines(COLOURS[0])[..] else { panic!("one line") };
        let (first, last) = (rising[0], rising[rising.len() - 1]);
        assert!(first[1] > last[1] + 300.0 && last[0] > first[0] + 700.0, "{first:?} to {last:?}");
        let [before, after] = &lines(COLOURS[1])[..] else { panic!("two pieces") };
        assert!(before.iter().chain(after).all(|point| point[1] == before[0][1]));
        let gap = after[0][0] - before[before.len() - 1][0];
        assert!((70.0..110.0).contains(&gap), "{gap}");
    }

    #[test]
    fn a_single_point_is_drawn_and_none_is_an_error() {
        let one = [Series { name: "one".into(), points: vec![(3.0, 0.0)] }];
        assert!(line_svg("", "", "", &one).is_ok());
        let none = [Series { name: "none".into(), points: vec![(3.0, f64::NAN)] }];
        assert!(line_svg("", "", "", &none).is_err());
    }
}
