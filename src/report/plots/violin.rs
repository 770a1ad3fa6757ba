//! Violins: the density of a quantity in each cohort, its quartiles, and every subject as a point.

use std::f64::consts::PI;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{LETTER, Sample, axes, colour, legend, letters, width_of};
use crate::error::{Error, Result};
use crate::report::plot::{range_of, svg};
use crate::stats::quantile;

/// Size of a panel in pixels, and panels in a row.
const PANEL: (i32, i32) = (240, 250);
const COLUMNS: usize = 4;
/// Height of the legend above the panels.
const LEGEND: i32 = 34;
/// Points above which a cohort's subjects are no longer drawn one by one.
const POINTS_MAX: usize = 500;
/// Heights at which a density is evaluated.
const HEIGHTS: usize = 96;

/// A panel: one quantity of all cohorts, with its own axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The quantity and its unit.
    pub title: String,
    /// A sample for each cohort, in the same order in every panel.
    pub samples: Vec<Sample>,
}

/// Violin plots of every cohort in each of `panels`, as the text of an SVG: a Gaussian kernel density with Silverman's
/// bandwidth (Silverman 1986, equation 3.31), cut at the lowest and highest value and scaled to one width; a bar from
/// the lower to the upper quartile and a line at the median; subjects as points (up to 500), spread by the density at
/// their value.
///
/// # Errors
/// [`Error::Value`] if there is no panel, or one without a finite value or with other cohorts than the first.
pub fn violins(panels: &[Panel]) -> Result<String> {
    let Some(first) = panels.first() else {
        return Err(Error::value("violins", "at least one quantity", "none", "give quantities to plot"));
    };
    let cohorts = |panel: &Panel| panel.samples.iter().map(|sample| sample.name.clone()).collect::<Vec<_>>();
    let names = cohorts(first);
    let mut ranges = Vec::with_capacity(panels.len());
    for panel in panels {
        if cohorts(panel) != names {
            let found = format!("{} in {}", cohorts(panel).join(", "), panel.title);
            return Err(Error::value(
                "violins",
                names.join(", "),
                found,
                "give the same cohorts for each quantity",
            ));
        }
        ranges.push(range_of(panel.samples.iter().flat_map(|sample| sample.values.iter().copied()), 0.06)?);
    }
    let columns = panels.len().min(COLUMNS);
    let rows = panels.len().div_ceil(columns) as i32;
    let size = ((PANEL.0 * columns as i32) as u32, (LEGEND + PANEL.1 * rows) as u32);
    svg(size, |area| {
        area.fill(&WHITE)?;
        legend(area, &names, (16, LEGEND / 2))?;
        for (slot, (panel, y_range)) in panels.iter().zip(&ranges).enumerate() {
            let (left, top) = (PANEL.0 * (slot % columns) as i32, LEGEND + PANEL.1 * (slot / columns) as i32);
            for (line, text) in wrapped(&panel.title, PANEL.0 - 20).into_iter().enumerate() {
                let place = (left + PANEL.0 / 2, top + 2 + line as i32 * (LETTER + 3));
                area.draw(&Text::new(text, place, letters(HPos::Center, VPos::Top)))?;
            }
            let frame =
                area.clone().shrink((left, top + 2 * (LETTER + 3)), (PANEL.0, PANEL.1 - 3 * (LETTER + 3)));
            let mut chart = ChartBuilder::on(&frame)
                .margin_left(8)
                .margin_right(12)
                .margin_top(8)
                .y_label_area_size(52)
                .build_cartesian_2d(0.0..names.len() as f64, y_range.clone())?;
            axes(&mut chart, ("", ""))?;
            for (cohort, sample) in panel.samples.iter().enumerate() {
                let shape = Shape::of(&sample.sorted());
                let (centre, colour) = (cohort as f64 + 0.5, colour(cohort));
                let side = |sign: f64| {
                    shape.outline.iter().map(move |&(value, part)| (centre + sign * 0.4 * part, value))
                };
                let outline: Vec<(f64, f64)> = side(1.0).chain(side(-1.0).rev()).collect();
                if outline.len() > 2 {
                    chart.draw_series([Polygon::new(outline.clone(), colour.mix(0.18))])?;
                    let closed = outline.iter().chain(outline.first()).copied().collect::<Vec<_>>();
                    chart.draw_series([PathElement::new(closed, colour.mix(0.7))])?;
                }
                if shape.points.len() <= POINTS_MAX {
                    let dot = |&(value, at): &(f64, f64)| {
                        Circle::new((centre + 0.34 * at, value), 2, colour.mix(0.55).filled())
                    };
                    chart.draw_series(shape.points.iter().map(dot))?;
                }
                if let Some([lower, median, upper]) = shape.quartiles {
                    let bar = |from: (f64, f64), to: (f64, f64), width| {
                        PathElement::new([from, to], BLACK.stroke_width(width))
                    };
                    chart.draw_series([
                        bar((centre, lower), (centre, upper), 3),
                        bar((centre - 0.14, median), (centre + 0.14, median), 2),
                    ])?;
                }
            }
        }
        area.present()
    })
}

/// What is drawn of one sample.
struct Shape {
    /// Values and the density there, 1 at its mode; empty for fewer than three subjects or equal values.
    outline: Vec<(f64, f64)>,
    /// Values and where they stand sideways, −1 to 1.
    points: Vec<(f64, f64)>,
    /// Lower quartile, median, upper quartile.
    quartiles: Option<[f64; 3]>,
}

impl Shape {
    fn of(sorted: &[f64]) -> Self {
        let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
            return Self { outline: Vec::new(), points: Vec::new(), quartiles: None };
        };
        let quartiles = [0.25, 0.5, 0.75].map(|part| quantile(sorted, part));
        let drawable = sorted.len() >= 3 && high > low;
        let bandwidth = silverman(sorted);
        let at = |value: f64| if drawable { density(sorted, bandwidth, value) } else { 1.0 };
        let heights = (0..HEIGHTS).map(|i| low + (high - low) * i as f64 / (HEIGHTS - 1) as f64);
        let mut outline: Vec<(f64, f64)> =
            if drawable { heights.map(|value| (value, at(value))).collect() } else { Vec::new() };
        let mode = outline.iter().map(|point| point.1).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        outline.iter_mut().for_each(|point| point.1 /= mode);
        let scale = if drawable { mode } else { 1.0 };
        // The golden ratio's multiples fill the width evenly whatever their number.
        let aside = |index: usize| 2.0 * ((index as f64 + 0.5) * 0.618_033_988_749_895).fract() - 1.0;
        let points =
            sorted.iter().enumerate().map(|(i, &v)| (v, aside(i) * (at(v) / scale).min(1.0))).collect();
        Self { outline, points, quartiles: Some(quartiles) }
    }
}

/// Silverman's bandwidth: 0.9 min(s, IQR / 1.34) n^(−1/5), by s alone where the quartiles are equal.
fn silverman(sorted: &[f64]) -> f64 {
    let n = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / n;
    let deviation = (sorted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let between = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.34;
    0.9 * if between > 0.0 { deviation.min(between) } else { deviation } * n.powf(-0.2)
}

/// The Gaussian kernel density of `values` at `place`.
fn density(values: &[f64], bandwidth: f64, place: f64) -> f64 {
    let kernel = |value: &f64| (-0.5 * ((place - value) / bandwidth).powi(2)).exp();
    values.iter().map(kernel).sum::<f64>() / (values.len() as f64 * bandwidth * (2.0 * PI).sqrt())
}

/// `text` in at most two lines of about `width` pixels, broken at a space or after an underscore; what is still too
/// long is cut.
fn wrapped(text: &str, width: i32) -> Vec<String> {
    let fits = |line: &str| width_of(line) <= width;
    let cut = |line: &str| {
        let letters: Vec<char> = line.trim().chars().collect();
        let kept =
            (1..=letters.len()).rev().find(|&n| fits(&letters[..n].iter().collect::<String>())).unwrap_or(0);
        let ellipsis = if kept < letters.len() { "…" } else { "" };
        letters[..kept].iter().collect::<String>() + ellipsis
    };
    if fits(text) {
        return vec![text.to_string()];
    }
    let breaks = text.char_indices().filter(|(_, c)| *c == ' ' || *c == '_').map(|(at, c)| at + c.len_utf8());
    match breaks.rev().find(|&at| fits(text[..at].trim_end())) {
        Some(at) => vec![text[..at].trim_end().to_string(), cut(&text[at..])],
        None => vec![cut(text)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    const VALUES: [f64; 9] = [1.2, 1.9, 2.0, 2.4, 2.5, 3.1, 3.3, 4.8, 7.0];

    /// Of [`VALUES`]: numpy 2 for the bandwidth, `scipy.stats.gaussian_kde` with it for the densities.
    const BANDWIDTH: f64 = 0.5626425354652145;
    const DENSITIES: [(f64, f64); 3] =
        [(1.2, 0.1576893428641304), (2.5, 0.33279602713419765), (5.9, 0.0233083630322004)];

    #[test]
    fn density_and_quartiles_are_those_of_scipy_and_numpy() {
        assert_relative_eq!(silverman(&VALUES), BANDWIDTH, max_relative = 1e-12);
        for (place, expected) in DENSITIES {
            assert_relative_eq!(density(&VALUES, BANDWIDTH, place), expected, max_relative = 1e-12);
        }
        let found = Shape::of(&VALUES).quartiles.unwrap();
        found.iter().zip([2.0, 2.5, 3.3]).for_each(|(a, b)| assert_relative_eq!(*a, b, max_relative = 1e-12));
    }

    #[test]
    fn points_stay_inside_their_violin() {
        let shape = Shape::of(&VALUES);
        assert_eq!((shape.outline.first().unwrap().0, shape.outline.last().unwrap().0), (1.2, 7.0));
        assert_relative_eq!(shape.outline.iter().map(|p| p.1).fold(0.0, f64::max), 1.0);
        let mode =
            (0..=580).map(|i| density(&VALUES, BANDWIDTH, 1.2 + 0.01 * f64::from(i))).fold(0.0, f64::max);
        for (value, aside) in shape.points {
            assert!(aside.abs() <= 1.001 * density(&VALUES, BANDWIDTH, value) / mode, "{value}: {aside}");
        }
    }

    #[test]
    fn few_or_equal_values_are_points_without_a_violin() {
        for values in [vec![2.0], vec![1.0, 2.0], vec![3.0; 5]] {
            let shape = Shape::of(&values);
            assert!(shape.outline.is_empty() && shape.points.len() == values.len(), "{values:?}");
            assert!(shape.points.iter().all(|p| p.1.is_finite()) && shape.quartiles.is_some());
        }
        assert!(Shape::of(&[]).quartiles.is_none());
    }

    #[test]
    fn every_subject_is_a_point_and_every_panel_has_its_title() {
        let sample = |name: &str, values: &[f64]| Sample { name: name.into(), values: values.to_vec() };
        let panel = |title: &str| Panel {
            title: title.into(),
            samples: vec![sample("real & true", &VALUES), sample("synthetic", &[2.0, f64::NAN, 4.0, 9.0])],
        };
        let panels: Vec<Panel> =
            ["brain", "a", "b", "c", "lateral ventricles with inferior horns (ml)"].map(panel).into();
        let text = violins(&panels).unwrap();
        // Nine and three points a panel, and two swatches of the legend.
        assert_eq!(text.matches("<circle").count(), 5 * 12 + 2);
        assert!(
            text.contains("real &amp; true")
                && text.contains("lateral ventricles with")
                && !text.contains("NaN")
        );
        let mut other = panels.clone();
        other[1].samples.pop();
        assert!(violins(&other).unwrap_err().to_string().contains("same cohorts"));
        assert!(violins(&[]).is_err());
    }

    #[test]
    fn long_titles_are_wrapped() {
        assert_eq!(wrapped("brain (ml)", 200), ["brain (ml)"]);
        assert_eq!(
            wrapped("lateral ventricles with inferior horns", 200),
            ["lateral ventricles with", "inferior horns"]
        );
        let lines = wrapped(&"x".repeat(99), 200);
        assert!(lines.len() == 1 && lines[0].ends_with('…') && width_of(&lines[0]) <= 210);
    }
}
