//! A matrix of correlations as a heat map.

use ndarray::ArrayView2;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{letters, width_of};
use crate::error::{Error, Result};
use crate::report::plot::svg;

/// Ends of the colour scale at −1 and 1 (blue and red of ColorBrewer's RdBu, Brewer 2003); white between.
const ENDS: [[f64; 3]; 2] = [[33.0, 102.0, 172.0], [178.0, 24.0, 43.0]];
/// Letters on light cells. Not quite black: a page's dark theme turns black into white, and cells keep their colours.
const DARK: RGBColor = RGBColor(17, 17, 17);
/// Side of a cell in pixels with its number written in it, and the number of rows up to which it is.
const CELL_WRITTEN: i32 = 40;
const WRITTEN_MAX: usize = 18;
/// Side of a cell without a number.
const CELL_BARE: i32 = 20;

/// A heat map of a square matrix of values from −1 to 1, blue to white to red, with `names` of rows and columns, as the
/// text of an SVG. Up to 18 rows, cells have their numbers. Cells whose values are not finite are empty.
///
/// # Errors
/// [`Error::Value`] if the matrix is empty or its sides differ from the number of names.
pub fn heat_map(names: &[String], values: ArrayView2<f64>) -> Result<String> {
    let n = names.len();
    if n == 0 || values.dim() != (n, n) {
        let found = format!("{:?} for {n} names", values.dim());
        return Err(Error::value(
            "heat map",
            "a square matrix with a name for each row",
            found,
            "name each row",
        ));
    }
    let written = n <= WRITTEN_MAX;
    let cell = if written { CELL_WRITTEN } else { CELL_BARE };
    let names_room = names.iter().map(|name| width_of(name)).max().unwrap_or(0) + 20;
    let (side, scale_room) = (cell * n as i32, 84);
    let (left, top) = (names_room, 12);
    svg(((left + side + scale_room) as u32, (top + side + names_room) as u32), |area| {
        area.fill(&WHITE)?;
        for (row, name) in names.iter().enumerate() {
            let middle = cell * row as i32 + cell / 2;
            let beside = letters(HPos::Right, VPos::Center);
            area.draw(&Text::new(name.clone(), (left - 8, top + middle), beside.clone()))?;
            let turned = letters(HPos::Right, VPos::Center).transform(FontTransform::Rotate270);
            area.draw(&Text::new(name.clone(), (left + middle, top + side + 8), turned))?;
            for column in 0..n {
                let value = values[[row, column]];
                if !value.is_finite() {
                    continue;
                }
                let (x, y) = (left + cell * column as i32, top + cell * row as i32);
                let colour = colour_of(value);
                area.draw(&Rectangle::new([(x, y), (x + cell - 1, y + cell - 1)], colour.filled()))?;
                if written {
                    let ink = ink_on(colour);
                    let text = format!("{value:.2}").replace('-', "\u{2212}").replace("0.", ".");
                    let style = letters(HPos::Center, VPos::Center).color(&ink);
                    area.draw(&Text::new(text, (x + cell / 2, y + cell / 2), style))?;
                }
            }
        }
        // The scale, from 1 at the top to −1.
        let (x, height) = (left + side + 16, side.clamp(80, 240));
        for y in 0..height {
            let colour = colour_of(1.0 - 2.0 * f64::from(y) / f64::from(height - 1));
            area.draw(&Rectangle::new([(x, top + y), (x + 14, top + y + 1)], colour.filled()))?;
        }
        for (text, y) in [("+1", 0), ("0", height / 2), ("\u{2212}1", height)] {
            let place = (x + 22, top + y.clamp(6, height - 6));
            area.draw(&Text::new(text, place, letters(HPos::Left, VPos::Center)))?;
        }
        area.present()
    })
}

/// The colour of a value, those beyond −1 and 1 as the ends.
fn colour_of(value: f64) -> RGBColor {
    let (end, part) = (ENDS[usize::from(value > 0.0)], value.abs().min(1.0));
    let [r, g, b] = end.map(|channel| (254.0 + part * (channel - 254.0)).round() as u8);
    RGBColor(r, g, b)
}

/// The colour of letters on a cell: the one of two that contrasts more, which changes at a luminance of 0.19.
fn ink_on(cell: RGBColor) -> RGBColor {
    if luminance(cell) > 0.19 { DARK } else { RGBColor(254, 254, 254) }
}

/// Relative luminance of a colour (WCAG 2.2), 0 to 1.
fn luminance(RGBColor(r, g, b): RGBColor) -> f64 {
    let [r, g, b] = [r, g, b].map(|channel| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn names() -> Vec<String> {
        ["brain", "cortex", "ventricles"].map(str::to_string).into()
    }

    #[test]
    fn cells_have_the_colours_and_numbers_of_their_values() {
        let values = array![[1.0, 0.5, -0.25], [0.5, 1.0, f64::NAN], [-0.25, f64::NAN, 1.0]];
        let svg = heat_map(&names(), values.view()).unwrap();
        // Half way between (254, 254, 254) and the red end, and a quarter to the blue end.
        for (colour, cells) in [("#B2182B", 3), ("#D88B95", 2), ("#C7D8EA", 2)] {
            let drawn =
                svg.split("<rect").filter(|tag| tag.contains(colour) && tag.contains("width=\"39\"")).count();
            assert_eq!(drawn, cells, "{colour}");
        }
        for (text, times) in [("\n1.00\n", 3), ("\n.50\n", 2), ("\n\u{2212}.25\n", 2)] {
            assert_eq!(svg.matches(text).count(), times, "{text}");
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn letters_contrast_with_their_cells() {
        for step in -20..=20 {
            let colour = colour_of(f64::from(step) / 20.0);
            let ink = ink_on(colour);
            let (a, b) = (luminance(colour) + 0.05, luminance(ink) + 0.05);
            assert!(a.max(b) / a.min(b) >= 4.0, "{step}: {}", a.max(b) / a.min(b));
        }
    }

    #[test]
    fn sides_and_names_must_agree() {
        assert!(heat_map(&names(), array![[1.0, 0.0], [0.0, 1.0]].view()).is_err());
        assert!(heat_map(&[], array![[]].view()).is_err());
    }
}
