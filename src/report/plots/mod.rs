//! Plots of cohorts and of pairs, as the text of an SVG: violins, cumulative distributions, scatter, Bland–Altman,
//! correlation matrices, curves with their intervals.
//!
//! Values are drawn as given; only shapes, such as densities, are computed. An SVG by itself is black on white; in a
//! [`super::page`] the style sheet sets its colours to the reader's theme.

mod agreement;
mod heatmap;
mod trend;
mod violin;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use agreement::{BlandAltman, Level, scatter};
pub use heatmap::heat_map;
pub use trend::Trend;
pub use violin::{Panel, violins};

use super::plot::{COLOURS, Drawn, range_of, svg};
use crate::error::Result;

/// Size of a plot in pixels.
const SIZE: (u32, u32) = (720, 440);
/// Size of letters in pixels.
const LETTER: i32 = 13;

/// Values of one quantity over one cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The cohort's name in the legend.
    pub name: String,
    /// A value for each subject; values that are not finite are left out.
    pub values: Vec<f64>,
}

impl Sample {
    /// The finite values, ascending.
    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// Empirical cumulative distributions of `samples` over one axis, as the text of an SVG.
///
/// # Errors
/// [`crate::error::Error::Value`] if no value is finite.
pub fn ecdf(x_label: &str, samples: &[Sample]) -> Result<String> {
    let sorted: Vec<Vec<f64>> = samples.iter().map(Sample::sorted).collect();
    let x_range = range_of(sorted.iter().flatten().copied(), 0.04)?;
    let names =
        samples.iter().zip(&sorted).map(|(one, values)| format!("{} (n = {})", one.name, values.len()));
    let names: Vec<String> = names.collect();
    svg(SIZE, |area| {
        let mut chart = framed(area, &names, (x_label, "cumulative proportion"), x_range, -0.02..1.02)?;
        for (index, values) in sorted.iter().enumerate() {
            let part = |count: usize| count as f64 / values.len() as f64;
            let steps = values.iter().enumerate().flat_map(|(i, &v)| [(v, part(i)), (v, part(i + 1))]);
            chart.draw_series(LineSeries::new(steps, colour(index).stroke_width(2)))?;
        }
        area.present()
    })
}

/// The colour of the `index`th cohort or series.
fn colour(index: usize) -> RGBColor {
    let (r, g, b) = COLOURS[index % COLOURS.len()];
    RGBColor(r, g, b)
}

/// Letters of the plots, held where `h` and `v` say.
fn letters(h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", LETTER).into_text_style(&(0, 0)).pos(Pos::new(h, v))
}

/// About how wide `text` is, in pixels: an SVG leaves the font to whoever shows it.
fn width_of(text: &str) -> i32 {
    (text.chars().count() as f64 * 0.56 * f64::from(LETTER)).ceil() as i32
}

/// `value` with as many decimals as ticks need that are at least an eighth of `span` apart.
fn tick(value: f64, span: f64) -> String {
    let decimals = (-(span / 8.0).log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        return text.replace('-', "");
    }
    text.replace('-', "\u{2212}")
}

/// Swatch and name of each cohort in a row from `left`, centred on `y`.
fn legend(
    area: &DrawingArea<SVGBackend, Shift>,
    names: &[String],
    (left, y): (i32, i32),
) -> Drawn<std::io::Error> {
    let mut x = left;
    for (index, name) in names.iter().enumerate() {
        area.draw(&Circle::new((x + 5, y), 5, colour(index).filled()))?;
        area.draw(&Text::new(name.clone(), (x + 16, y), letters(HPos::Left, VPos::Center)))?;
        x += 16 + width_of(name) + 24;
    }
    Ok(())
}

/// A chart of two linear axes on a sheet.
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A white sheet with a legend of `names` above a pair of axes.
fn framed<'a, 'b>(
    area: &'a DrawingArea<SVGBackend<'b>, Shift>,
    names: &[String],
    labels: (&str, &str),
    x: Range<f64>,
    y: Range<f64>,
) -> std::result::Result<Chart<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
    area.fill(&WHITE)?;
    legend(area, names, (84, 16))?;
    let mut builder = ChartBuilder::on(area);
    builder.margin(12).margin_top(32).margin_right(20).x_label_area_size(44).y_label_area_size(72);
    let mut chart = builder.build_cartesian_2d(x, y)?;
    axes(&mut chart, labels)?;
    Ok(chart)
}

/// The axes of a chart, with a faint grid and numbers of as many decimals as they need; without an `x_label`, only the
/// vertical axis.
fn axes(chart: &mut Chart<'_, '_>, (x_label, y_label): (&str, &str)) -> Drawn<std::io::Error> {
    let span = |range: Range<f64>| range.end - range.start;
    let (x_span, y_span) = (span(chart.x_range()), span(chart.y_range()));
    let (x_tick, y_tick) = (|value: &f64| tick(*value, x_span), |value: &f64| tick(*value, y_span));
    let mut mesh = chart.configure_mesh();
    if x_label.is_empty() {
        mesh.disable_x_mesh().disable_x_axis();
    }
    mesh.x_desc(x_label).y_desc(y_label).x_labels(8).y_labels(8);
    mesh.x_label_formatter(&x_tick).y_label_formatter(&y_tick);
    mesh.label_style(("sans-serif", LETTER)).axis_desc_style(("sans-serif", LETTER));
    mesh.bold_line_style(BLACK.mix(0.12)).light_line_style(TRANSPARENT).axis_style(BLACK.mix(0.5)).draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_the_decimals_of_their_span() {
        assert_eq!(tick(1250.0, 900.0), "1250");
        assert_eq!(tick(-12.6, 30.0), "\u{2212}13");
        assert_eq!(tick(0.4, 1.0), "0.4");
        assert_eq!(tick(0.002, 0.01), "0.002");
        assert_eq!(tick(-0.0, 2.0), "0.0");
    }

    #[test]
    fn a_cumulative_distribution_rises_by_one_over_n() {
        let sample = Sample { name: "real".into(), values: vec![3.0, 1.0, f64::NAN, 2.0, 4.0] };
        let svg = ecdf("volume in ml", std::slice::from_ref(&sample)).unwrap();
        assert!(svg.contains("real (n = 4)") && svg.contains("volume in ml"));
        let line = svg.split("<polyline").find(|part| part.contains("stroke=\"#0072B2\"")).unwrap();
        let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<f64> = points
            .split_whitespace()
            .map(|point| point.split_once(',').unwrap().1.parse().unwrap())
            .collect();
        assert_eq!(heights.len(), 8);
        let rises: Vec<f64> = heights.chunks(2).map(|pair| pair[0] - pair[1]).collect();
        // Equal rises, to the pixel, and none between values.
        assert!(rises.iter().all(|rise| (rise - rises[0]).abs() <= 1.0 && *rise > 50.0), "{rises:?}");
        assert!(heights[1..].chunks(2).filter(|pair| pair.len() == 2).all(|pair| pair[0] == pair[1]));
    }
}
