//! A report as one self-contained HTML file, without network access, fonts or other files.
//!
//! Text, tables, plots and pictures are in the page itself, and so are the volumes of its viewers and the viewer's
//! program (NiiVue). A content security policy forbids every connection and allows scripts by their hashes, so that a
//! text in a table cannot become a script.

mod html;
mod viewer;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest, Sha256};

pub use viewer::{Label, Scan, Viewer};

use crate::error::Result;
use html::slug;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Title of the report and of the window.
    pub title: String,
    /// A sentence below the title; can be empty.
    pub subtitle: String,
    /// Its sections, in order.
    pub sections: Vec<Section>,
    /// Provenance: program, version, recipe, date; can be empty.
    pub colophon: String,
}

/// A section of a report, listed in the table of contents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// A block of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Paragraphs, separated by empty lines. Text between two backquotes is code.
    Prose(String),
    /// An outcome as a sentence.
    Verdict(Mark, String),
    /// A table.
    Table(Table),
    /// A plot.
    Figure(Figure),
    /// A raster image.
    Picture(Picture),
    /// A viewer of volumes.
    Viewer(Viewer),
}

/// The mark of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Passed.
    Pass,
    /// Failed.
    Fail,
    /// To be checked.
    Caution,
}

/// A table that the reader can sort by any column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its caption.
    pub caption: String,
    /// Its columns, from left to right.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for each column. The first cell is the row's heading.
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether its cells are numbers: aligned to the right, and sorted by value.
    pub numeric: bool,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// The mark of an outcome, if the cell is one.
    pub mark: Option<Mark>,
}

/// A plot with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The text of an SVG, as those of [`super::plots`].
    pub svg: String,
    /// The alternative text.
    pub alt: String,
    /// The caption below it.
    pub caption: String,
}

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The bytes of a PNG, as of [`super::png_bytes`].
    pub png: Vec<u8>,
    /// The alternative text.
    pub alt: String,
    /// The caption below it.
    pub caption: String,
}

impl Column {
    /// A column of words.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), numeric: false }
    }

    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), numeric: true }
    }
}

impl Cell {
    /// A cell with a mark.
    pub fn marked(mark: Mark, text: impl Into<String>) -> Self {
        Self { text: text.into(), mark: Some(mark) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), mark: None }
    }
}

impl Page {
    /// The content of the HTML file.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] if a row has more or fewer cells than its table has columns, a figure is not an
    /// SVG, a picture not a PNG, or a viewer cannot show its volumes (see [`Viewer`]).
    pub fn render(&self) -> Result<String> {
        let mut viewers = 0;
        let mut sections = Vec::with_capacity(self.sections.len());
        for (number, Section { title, blocks }) in self.sections.iter().enumerate() {
            let mut content = Vec::with_capacity(blocks.len());
            for block in blocks {
                content.push(match block {
                    Block::Prose(text) => html::prose(text),
                    Block::Verdict(mark, text) => html::verdict(*mark, text),
                    Block::Table(table) => table.html()?,
                    Block::Figure(figure) => figure.html()?,
                    Block::Picture(picture) => picture.html()?,
                    Block::Viewer(viewer) => {
                        viewers += 1;
                        viewer.html(viewers)?
                    }
                });
            }
            sections.push((slug(title, number), title, content));
        }
        let mut scripts = vec![SCRIPT.to_string()];
        if viewers > 0 {
            scripts.extend(viewer::scripts()?);
        }
        let hashes =
            scripts.iter().map(|script| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(script))));
        let policy = format!(
            "default-src 'none'; script-src{}; style-src 'unsafe-inline'; img-src data: blob:; connect-src data:; \
             base-uri 'none'; form-action 'none'",
            hashes.collect::<String>()
        );
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    link rel="icon" href="data:,";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#main" { "Skip to the report" }
                    header {
                        h1 { (self.title) }
                        @if !self.subtitle.is_empty() { p { (self.subtitle) } }
                        button type="button" id="theme" aria-pressed="false" hidden { "Dark" }
                    }
                    div.sheet {
                        @if sections.len() > 1 {
                            nav aria-label="Contents" {
                                h2 { "Contents" }
                                ol {
                                    @for (id, title, _) in &sections {
                                        li { a href={ "#" (id) } { (title) } }
                                    }
                                }
                            }
                        }
                        main id="main" tabindex="-1" {
                            @for (id, title, content) in &sections {
                                section id=(id) aria-labelledby={ (id) "-title" } {
                                    h2 id={ (id) "-title" } { (title) }
                                    @for block in content { (block) }
                                }
                            }
                        }
                    }
                    footer { @if !self.colophon.is_empty() { p { (self.colophon) } } }
                    @for script in &scripts { script { (PreEscaped(script)) } }
                }
            }
        };
        Ok(page.into_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let table = Table {
            caption: "Volumes".into(),
            columns: vec![Column::text("structure"), Column::number("change in %")],
            rows: vec![vec!["brain <b>".into(), Cell::marked(Mark::Fail, "\u{2212}5.1")]],
        };
        Page {
            title: "A & B".into(),
            subtitle: "It's \"quoted\"".into(),
            sections: vec![
                Section { title: "Volumes".into(), blocks: vec![Block::Table(table)] },
                Section {
                    title: "Volumes".into(),
                    blocks: vec![Block::Prose("One `x < y`.\n\nTwo.".into())],
                },
            ],
            colophon: "</script><script>alert(1)</script>".into(),
        }
    }

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let html = page().render().unwrap();
        assert!(html.contains("<title>A &amp; B</title>") && html.contains("<h1>A &amp; B</h1>"));
        assert!(html.contains("brain &lt;b&gt;") && html.contains("<code>x &lt; y</code>"));
        assert_eq!(html.matches("<script>").count(), 1);
        assert!(!html.contains("<script>alert"));
        assert!(html.contains("<p>Two.</p>"));
    }

    #[test]
    fn sections_of_one_name_have_their_own_places() {
        let html = page().render().unwrap();
        for id in ["volumes-1", "volumes-2"] {
            assert_eq!(html.matches(&format!("<section id=\"{id}\"")).count(), 1);
            assert_eq!(html.matches(&format!("href=\"#{id}\"")).count(), 1);
        }
    }

    #[test]
    fn the_policy_names_the_hash_of_the_script_and_no_place_to_connect_to() {
        let html = page().render().unwrap();
        let policy =
            html.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
        let script = html.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        let hash = STANDARD.encode(Sha256::digest(script));
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains(&format!("'sha256-{hash}'")),
            "{policy}"
        );
        assert!(!policy.contains("http") && !policy.contains("'unsafe-eval'"));
        assert!(!html.contains("http://") && !html.contains("https://"));
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        let refuse = |block: Block, key: &str| {
            let sections = vec![Section { title: String::new(), blocks: vec![block] }];
            let message = Page { sections, ..Page::default() }.render().unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        };
        let columns = vec![Column::text("a"), Column::text("b")];
        refuse(
            Block::Table(Table { columns, rows: vec![vec!["only one".into()]], ..Table::default() }),
            "table",
        );
        let (alt, caption) = (String::new(), String::new());
        refuse(
            Block::Figure(Figure { svg: "<p>".into(), alt: alt.clone(), caption: caption.clone() }),
            "figure",
        );
        refuse(Block::Picture(Picture { png: b"GIF89a".to_vec(), alt, caption }), "picture");
    }
}
