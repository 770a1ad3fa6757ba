//! Two measurements of the same subjects: Bland–Altman plots and scatter.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{LETTER, SIZE, axes, colour, framed, letters, width_of};
use crate::error::Result;
use crate::report::plot::{Series, range_of, svg};

/// A value with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The estimate.
    pub value: f64,
    /// Lower and upper end of its confidence interval.
    pub interval: (f64, f64),
}

/// Difference against mean of paired measurements, with the bias and the limits of agreement (Bland and Altman 1986).
/// The estimates are the caller's; from the pairs only the positions of points are computed.
#[derive(Clone, Debug, PartialEq)]
pub struct BlandAltman {
    /// `(first, second)` measurement of each subject.
    pub pairs: Vec<(f64, f64)>,
    /// Names of the first and the second measurement.
    pub names: (String, String),
    /// Unit of both.
    pub unit: String,
    /// Mean difference, second − first.
    pub bias: Level,
    /// Lower limit of agreement.
    pub lower: Level,
    /// Upper limit of agreement.
    pub upper: Level,
}

impl BlandAltman {
    /// The plot as the text of an SVG: a line and the band of its interval for each level, a point for each pair, and a
    /// dashed line at zero.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] if no pair is finite.
    pub fn plot(&self) -> Result<String> {
        let points: Vec<(f64, f64)> =
            self.pairs.iter().map(|(first, second)| ((first + second) / 2.0, second - first)).collect();
        let finite = || points.iter().filter(|(mean, difference)| mean.is_finite() && difference.is_finite());
        let levels = [("upper limit", self.upper), ("bias", self.bias), ("lower limit", self.lower)];
        let bounds = levels.iter().flat_map(|(_, level)| [level.value, level.interval.0, level.interval.1]);
        let x_range = range_of(finite().map(|point| point.0), 0.06)?;
        let y_range = range_of(finite().map(|point| point.1).chain(bounds).chain([0.0]), 0.08)?;
        let span = (x_range.end - x_range.start, y_range.end - y_range.start);
        let (first, second) = &self.names;
        let labels = (
            format!("mean of {first} and {second} ({})", self.unit),
            format!("{second} \u{2212} {first} ({})", self.unit),
        );
        let written = levels.map(|(name, level)| (level, format!("{name} {}", signed(level.value, span.1))));
        let room = 16 + written.iter().map(|(_, text)| width_of(text)).max().unwrap_or(0);
        svg(SIZE, |area| {
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(area)
                .margin(12)
                .margin_right(room)
                .x_label_area_size(44)
                .y_label_area_size(72)
                .build_cartesian_2d(x_range.clone(), y_range.clone())?;
            axes(&mut chart, (&labels.0, &labels.1))?;
            for (index, (_, level)) in levels.iter().enumerate() {
                let colour = colour(usize::from(index != 1));
                let across = |y: f64| vec![(x_range.start, y), (x_range.end, y)];
                let (low, high) = level.interval;
                if level.value.is_finite() && low.is_finite() && high.is_finite() {
                    let band = [(x_range.start, low), (x_range.end, high)];
                    chart.draw_series([Rectangle::new(band, colour.mix(0.14).filled())])?;
                }
                if level.value.is_finite() {
                    chart.draw_series([PathElement::new(across(level.value), colour.stroke_width(2))])?;
                }
            }
            let step = |part: usize| (x_range.start + span.0 * part as f64 / 121.0, 0.0);
            let dash = |part: usize| PathElement::new([step(part), step(part + 1)], BLACK.mix(0.7));
            chart.draw_series((0..121).step_by(2).map(dash))?;
            let dot = |point: &(f64, f64)| Circle::new(*point, 3, BLACK.mix(0.55).filled());
            chart.draw_series(finite().map(dot))?;
            // Names of levels that lie close are pushed apart, the uppermost first.
            let mut above = i32::MIN / 2;
            for (level, text) in written.iter().filter(|(level, _)| level.value.is_finite()) {
                let (right, y) = chart.backend_coord(&(x_range.end, level.value));
                above = y.max(above + LETTER + 3);
                area.draw(&Text::new(text.clone(), (right + 8, above), letters(HPos::Left, VPos::Center)))?;
            }
            area.present()
        })
    }
}

/// A scatter plot of `series` over a common pair of axes, as the text of an SVG; with `identity`, equal scales and the
/// line of equal measurements.
///
/// # Errors
/// [`crate::error::Error::Value`] if no point is finite.
pub fn scatter(x_label: &str, y_label: &str, series: &[Series], identity: bool) -> Result<String> {
    let finite = |series: &Series| {
        let points: Vec<_> =
            series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        points
    };
    let all: Vec<(f64, f64)> = series.iter().flat_map(finite).collect();
    let mut x_range = range_of(all.iter().map(|point| point.0), 0.06)?;
    let mut y_range = range_of(all.iter().map(|point| point.1), 0.06)?;
    if identity {
        x_range = x_range.start.min(y_range.start)..x_range.end.max(y_range.end);
        y_range = x_range.clone();
    }
    let names: Vec<String> = series.iter().map(|one| one.name.clone()).collect();
    let size = if identity { (540, 560) } else { SIZE };
    svg(size, |area| {
        let mut chart = framed(area, &names, (x_label, y_label), x_range.clone(), y_range)?;
        if identity {
            let ends = [(x_range.start, x_range.start), (x_range.end, x_range.end)];
            chart.draw_series([PathElement::new(ends, BLACK.mix(0.4))])?;
        }
        for (index, one) in series.iter().enumerate() {
            let dot = |point| Circle::new(point, 3, colour(index).mix(0.6).filled());
            chart.draw_series(finite(one).into_iter().map(dot))?;
        }
        area.present()
    })
}

/// `value` with its sign, and one decimal more than the ticks of an axis over `span`.
fn signed(value: f64, span: f64) -> String {
    let text = super::tick(value, span / 10.0);
    if value > 0.0 { format!("+{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> BlandAltman {
        let level = |value: f64| Level { value, interval: (value - 0.3, value + 0.3) };
        BlandAltman {
            pairs: vec![(10.0, 11.0), (12.0, 12.5), (14.0, 13.0), (f64::NAN, 1.0)],
            names: ("before".into(), "after".into()),
            unit: "ml".into(),
            bias: level(0.1667),
            lower: level(-1.9),
            upper: level(2.2),
        }
    }

    /// Heights in pixels of the horizontal lines two pixels wide.
    fn levels(svg: &str) -> Vec<f64> {
        let wide =
            svg.split('<').filter(|tag| tag.starts_with("polyline") && tag.contains("stroke-width=\"2\""));
        let first = |tag: &str| {
            tag.split("points=\"").nth(1)?.split_whitespace().next()?.split_once(',')?.1.parse().ok()
        };
        wide.filter_map(first).collect()
    }

    #[test]
    fn levels_stand_where_they_are_and_the_scale_is_linear() {
        let svg = plot().plot().unwrap();
        let found = levels(&svg);
        assert_eq!(found.len(), 3, "{svg}");
        let (upper, bias, lower) = (found[0], found[1], found[2]);
        // (2.2 − 0.1667) / (2.2 + 1.9) of the way from the upper to the lower limit.
        assert!(((bias - upper) / (lower - upper) - 2.0333 / 4.1).abs() < 0.01, "{found:?}");
        assert_eq!(svg.matches("<circle").count(), 3);
        for words in
            ["upper limit +2.20", "bias +0.17", "lower limit \u{2212}1.90", "after \u{2212} before (ml)"]
        {
            assert!(svg.contains(words), "{words}");
        }
    }

    #[test]
    fn names_of_close_levels_do_not_overlap() {
        let close = |value: f64| Level { value, interval: (value, value) };
        let svg = BlandAltman {
            pairs: vec![(10.0, 40.0), (40.0, 10.0)],
            bias: close(0.0),
            lower: close(-0.1),
            upper: close(0.1),
            ..plot()
        }
        .plot()
        .unwrap();
        let heights: Vec<f64> = svg
            .split("<text")
            .filter(|tag| ["upper limit", "bias", "lower limit"].iter().any(|name| tag.contains(name)))
            .map(|tag| tag.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(heights.len(), 3);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= 14.0), "{heights:?}");
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let none = BlandAltman { pairs: vec![(f64::NAN, 1.0)], ..plot() };
        assert!(none.plot().is_err());
        let unknown = Level { value: f64::NAN, interval: (f64::NAN, f64::NAN) };
        let svg = BlandAltman { lower: unknown, ..plot() }.plot().unwrap();
        assert!(levels(&svg).len() == 2 && !svg.contains("NaN"));
    }

    #[test]
    fn a_scatter_with_identity_has_square_scales() {
        let series = [Series { name: "test".into(), points: vec![(1.0, 2.0), (9.0, 7.0), (f64::NAN, 0.0)] }];
        let svg = scatter("reference (ml)", "found (ml)", &series, true).unwrap();
        // Two points and the swatch.
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("reference (ml)") && svg.contains("found (ml)"));
        assert!(scatter("", "", &[], false).is_err());
    }
}
