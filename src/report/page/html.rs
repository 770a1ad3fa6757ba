//! The blocks of a page as HTML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, Render, html};

use super::{Cell, Figure, Mark, Picture, Table};
use crate::error::{Error, Result};

/// What a PNG file begins with (ISO/IEC 15948).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The anchor of section `number` with this title.
pub fn slug(title: &str, number: usize) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(str::to_ascii_lowercase).chain([(number + 1).to_string()]).collect();
    words.join("-")
}

/// Paragraphs of `text`, which blank lines separate, with parts between backticks as code.
pub fn prose(text: &str) -> Markup {
    let paragraphs = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
    html! {
        @for paragraph in paragraphs {
            p {
                @for (i, part) in paragraph.split('`').enumerate() {
                    @if i % 2 == 1 { code { (part) } } @else { (part) }
                }
            }
        }
    }
}

/// The paragraph of a verdict.
pub fn verdict(mark: Mark, text: &str) -> Markup {
    html! { p class={ "verdict " (mark.name()) } { (mark) " " (text) } }
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Caution => "caution",
        }
    }
}

impl Render for Mark {
    /// A sign for the eye and a word for the ear.
    fn render(&self) -> Markup {
        let sign = match self {
            Self::Pass => "✓",
            Self::Fail => "✗",
            Self::Caution => "!",
        };
        let name = self.name();
        html! { span class={ "mark " (name) } aria-hidden="true" { (sign) } span.unseen { (name) ":" } }
    }
}

impl Render for Cell {
    fn render(&self) -> Markup {
        html! { @if let Some(mark) = self.mark { (mark) " " } (self.text) }
    }
}

impl Table {
    pub(super) fn html(&self) -> Result<Markup> {
        let columns = &self.columns;
        if let Some((number, row)) = self.rows.iter().enumerate().find(|(_, row)| row.len() != columns.len())
        {
            let (expected, found) = (format!("{} cells a row", columns.len()), row.len());
            let found = format!("{found} in row {number}");
            return Err(Error::value("table", expected, found, "give each row one cell a column"));
        }
        let class = |column: usize| columns[column].numeric.then_some("number");
        Ok(html! {
            div.scroll role="region" tabindex="0" aria-label=(self.caption) {
                table {
                    caption { (self.caption) }
                    thead {
                        tr {
                            @for (number, column) in columns.iter().enumerate() {
                                th scope="col" class=[class(number)] { button type="button" { (column.name) } }
                            }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (column, cell) in row.iter().enumerate() {
                                    @if column == 0 {
                                        th scope="row" class=[class(column)] { (cell) }
                                    } @else {
                                        td class=[class(column)] { (cell) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        })
    }
}

impl Figure {
    pub(super) fn html(&self) -> Result<Markup> {
        if !self.svg.trim_start().starts_with("<svg") {
            let found: String = self.svg.chars().take(20).collect();
            return Err(Error::value("figure", "the text of an SVG", found, "give what a plot returns"));
        }
        Ok(html! {
            figure {
                div.plot role="img" aria-label=(self.alt) { (PreEscaped(&self.svg)) }
                figcaption { (self.caption) }
            }
        })
    }
}

impl Picture {
    pub(super) fn html(&self) -> Result<Markup> {
        let image = self.image()?;
        Ok(html! { figure { (image) figcaption { (self.caption) } } })
    }

    /// The picture without its caption.
    pub(super) fn image(&self) -> Result<Markup> {
        if !self.png.starts_with(PNG) {
            let found = format!("{} bytes that begin otherwise", self.png.len());
            return Err(Error::value("picture", "the bytes of a PNG", found, "encode the picture as PNG"));
        }
        Ok(html! { img alt=(self.alt) src={ "data:image/png;base64," (STANDARD.encode(&self.png)) }; })
    }
}
