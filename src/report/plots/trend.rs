//! A quantity against another one, with the curve of one cohort and its interval.

use plotters::prelude::*;

use super::{SIZE, colour, framed};
use crate::error::Result;
use crate::report::plot::{Series, range_of, svg};

/// Width of the strip for points without an `x`, by that of the axis, and the part of a cohort's lane that lines fill.
const STRIP: f64 = 0.07;
const LINE: f64 = 0.8;

/// Points of cohorts, and the curve of the first one. The curve and its interval are the caller's.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Labels of the axes.
    pub labels: (String, String),
    /// The cohorts.
    pub cohorts: Vec<Series>,
    /// Values of each cohort with unknown `x`, in the cohorts' order: lines in a strip at the right edge.
    pub without_x: Vec<Vec<f64>>,
    /// `(x, middle, low, high)` from left to right.
    pub curve: Vec<(f64, f64, f64, f64)>,
}

impl Trend {
    /// The plot as the text of an SVG.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] if no value is finite.
    pub fn plot(&self) -> Result<String> {
        let finite = |series: &Series| {
            let points = series.points.iter().copied();
            points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect::<Vec<_>>()
        };
        let points: Vec<Vec<(f64, f64)>> = self.cohorts.iter().map(finite).collect();
        let all = || points.iter().flatten();
        let strip = || self.without_x.iter().flatten().copied();
        let mut x_range = range_of(all().map(|point| point.0).chain(self.curve.iter().map(|at| at.0)), 0.04)?;
        let bounds = self.curve.iter().flat_map(|&(_, middle, low, high)| [middle, low, high]);
        let y_range = range_of(all().map(|point| point.1).chain(bounds).chain(strip()), 0.06)?;
        let width = x_range.end - x_range.start;
        let edge = x_range.end;
        if strip().next().is_some() {
            x_range.end += STRIP * width;
        }
        let names: Vec<String> = self.cohorts.iter().map(|cohort| cohort.name.clone()).collect();
        svg(SIZE, |area| {
            let labels = (self.labels.0.as_str(), self.labels.1.as_str());
            let mut chart = framed(area, &names, labels, x_range.clone(), y_range)?;
            let along =
                |end: fn(&(f64, f64, f64, f64)) -> f64| self.curve.iter().map(move |at| (at.0, end(at)));
            let band: Vec<(f64, f64)> = along(|at| at.2).chain(along(|at| at.3).rev()).collect();
            chart.draw_series([Polygon::new(band, colour(0).mix(0.14))])?;
            chart.draw_series(LineSeries::new(along(|at| at.1), colour(0).stroke_width(2)))?;
            for (cohort, points) in points.iter().enumerate() {
                let dot = |&point: &(f64, f64)| Circle::new(point, 3, colour(cohort).mix(0.6).filled());
                chart.draw_series(points.iter().map(dot))?;
            }
            for (cohort, values) in self.without_x.iter().enumerate() {
                let lane = STRIP * width / self.without_x.len() as f64;
                let left = edge + lane * cohort as f64;
                let line = |&y: &f64| {
                    PathElement::new([(left, y), (left + LINE * lane, y)], colour(cohort).mix(0.7))
                };
                chart.draw_series(values.iter().filter(|value| value.is_finite()).map(line))?;
            }
            area.present()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend() -> Trend {
        let series =
            |name: &str, points: &[(f64, f64)]| Series { name: name.into(), points: points.to_vec() };
        Trend {
            labels: ("age (years)".into(), "ventricles (ml)".into()),
            cohorts: vec![
                series("real", &[(20.0, 10.0), (50.0, 20.0), (80.0, 40.0)]),
                series("synthetic", &[(30.0, 12.0), (f64::NAN, 3.0)]),
            ],
            without_x: vec![vec![], vec![15.0, 33.0]],
            curve: vec![(20.0, 10.0, 5.0, 20.0), (50.0, 20.0, 10.0, 40.0), (80.0, 40.0, 20.0, 80.0)],
        }
    }

    /// Corners of a shape, in pixels.
    fn corners(tag: &str) -> Vec<(f64, f64)> {
        let text = tag.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let corner = |pair: &str| {
            let (x, y) = pair.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        text.split_whitespace().map(corner).collect()
    }

    #[test]
    fn the_band_and_the_curve_stand_where_they_are() {
        let svg = trend().plot().unwrap();
        // Four finite points and two swatches.
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(svg.contains("age (years)") && svg.contains("synthetic") && !svg.contains("NaN"));
        let band = corners(svg.split('<').find(|tag| tag.starts_with("polygon")).unwrap());
        assert_eq!(band.len(), 6);
        let curve =
            svg.split('<').find(|tag| tag.starts_with("polyline") && tag.contains("stroke-width=\"2\""));
        let curve = corners(curve.unwrap());
        // Heights 5, 10 and 20 over the youngest, where the interval runs from 5 to 20.
        let (low, middle, high) = (band[0].1, curve[0].1, band[5].1);
        assert!((band[0].0 - band[5].0).abs() <= 1.0 && low > middle && middle > high);
        assert!(((low - middle) / (low - high) - 1.0 / 3.0).abs() < 0.08, "{low} {middle} {high}");
        assert_eq!(curve[1].0 - curve[0].0, curve[2].0 - curve[1].0);
    }

    #[test]
    fn values_without_x_are_lines_right_of_all_points() {
        let svg = trend().plot().unwrap();
        let strip: Vec<Vec<(f64, f64)>> = svg
            .split('<')
            .filter(|tag| tag.starts_with("polyline") && tag.contains("stroke=\"#D55E00\""))
            .map(corners)
            .collect();
        assert_eq!(strip.len(), 2);
        let right =
            svg.split("<circle cx=\"").skip(1).map(|tag| tag.split('"').next().unwrap().parse().unwrap());
        let right = right.fold(0.0, f64::max);
        assert!(strip.iter().all(|line| line[0].0 > right && line[0].1 == line[1].1), "{strip:?} {right}");
        let none = Trend { cohorts: vec![], without_x: vec![], curve: vec![], ..trend() };
        assert!(none.plot().is_err());
    }
}
