//! The blocks of a page as HTML, with all texts escaped.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Cell, Figure, Mark, Picture, Table};
use crate::error::{Error, Result};

/// What a PNG file begins with (ISO/IEC 15948).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// `text` as the content of an element or a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c => safe.push(c),
        }
    }
    safe
}

/// The anchor of section `number` with this title.
pub fn slug(title: &str, number: usize) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(str::to_ascii_lowercase).chain([(number + 1).to_string()]).collect();
    words.join("-")
}

/// Paragraphs of `text`, which blank lines separate, with parts between backticks as code.
pub fn prose(text: &str) -> String {
    let paragraph = |text: &str| {
        let parts = escaped(text.trim());
        let parts = parts.split('`').enumerate();
        let parts =
            parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part.to_string() });
        format!("<p>{}</p>\n", parts.collect::<String>())
    };
    text.split("\n\n").filter(|text| !text.trim().is_empty()).map(paragraph).collect()
}

/// The paragraph of a verdict.
pub fn verdict(mark: Mark, text: &str) -> String {
    format!("<p class=\"verdict {}\">{} {}</p>\n", mark.class(), mark.html(), escaped(text))
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Caution => "caution",
        }
    }

    /// A sign for the eye and a word for the ear.
    fn html(self) -> String {
        let sign = match self {
            Self::Pass => "✓",
            Self::Fail => "✗",
            Self::Caution => "!",
        };
        let class = self.class();
        format!(
            "<span class=\"mark {class}\" aria-hidden=\"true\">{sign}</span><span class=\"unseen\">{class}:</span>"
        )
    }
}

impl Cell {
    fn html(&self) -> String {
        let mark = self.mark.map(|mark| mark.html() + " ").unwrap_or_default();
        mark + &escaped(&self.text)
    }
}

impl Table {
    pub(super) fn html(&self) -> Result<String> {
        let class = |column: usize| if self.columns[column].numeric { " class=\"number\"" } else { "" };
        let mut html = format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n<table>\n\
             <caption>{caption}</caption>\n<thead>\n<tr>",
            caption = escaped(&self.caption)
        );
        for (number, column) in self.columns.iter().enumerate() {
            let name = escaped(&column.name);
            let _ = write!(
                html,
                "<th scope=\"col\"{}><button type=\"button\">{name}</button></th>",
                class(number)
            );
        }
        html += "</tr>\n</thead>\n<tbody>\n";
        for (number, row) in self.rows.iter().enumerate() {
            if row.len() != self.columns.len() {
                let (expected, found) =
                    (format!("{} cells a row", self.columns.len()), row.len().to_string());
                let found = format!("{found} in row {number}");
                return Err(Error::value("table", expected, found, "give each row one cell a column"));
            }
            html += "<tr>";
            for (column, cell) in row.iter().enumerate() {
                let (tag, scope) = if column == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                let _ = write!(html, "<{tag}{scope}{}>{}</{tag}>", class(column), cell.html());
            }
            html += "</tr>\n";
        }
        Ok(html + "</tbody>\n</table>\n</div>\n")
    }
}

impl Figure {
    pub(super) fn html(&self) -> Result<String> {
        if !self.svg.trim_start().starts_with("<svg") {
            let found: String = self.svg.chars().take(20).collect();
            return Err(Error::value("figure", "the text of an SVG", found, "give what a plot returns"));
        }
        let (alt, caption) = (escaped(&self.alt), escaped(&self.caption));
        Ok(format!(
            "<figure>\n<div class=\"plot\" role=\"img\" aria-label=\"{alt}\">{}</div>\n\
             <figcaption>{caption}</figcaption>\n</figure>\n",
            self.svg
        ))
    }
}

impl Picture {
    pub(super) fn html(&self) -> Result<String> {
        let caption = escaped(&self.caption);
        Ok(format!("<figure>\n{}\n<figcaption>{caption}</figcaption>\n</figure>\n", self.image()?))
    }

    /// The picture without its caption.
    pub(super) fn image(&self) -> Result<String> {
        if !self.png.starts_with(PNG) {
            let found = format!("{} bytes that begin otherwise", self.png.len());
            return Err(Error::value("picture", "the bytes of a PNG", found, "encode the picture as PNG"));
        }
        let (data, alt) = (STANDARD.encode(&self.png), escaped(&self.alt));
        Ok(format!("<img alt=\"{alt}\" src=\"data:image/png;base64,{data}\">"))
    }
}
