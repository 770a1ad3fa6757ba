//! The part of an ISMRMRD header (`ismrmrdHeader`, XML) that places samples: matrices, fields of view, limits.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use crate::error::{Error, Result};

/// The encoding of a k-space, and the grid of its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// The grid of k-space.
    pub encoded: Space,
    /// The grid of the image.
    pub recon: Space,
    /// Counters of the encoding steps 1 and 2 at DC; `None` where the header does not have them.
    pub centre: [Option<usize>; 2],
    /// `cartesian`, `epi`, `radial`, `goldenangle`, `spiral` or `other`.
    pub trajectory: String,
    /// Whether calibration lines are part of the image (`calibrationMode` is `embedded`).
    pub embedded_calibration: bool,
}

/// A grid along x (readout), y (first phase encoding) and z.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// Number of places.
    pub matrix: [usize; 3],
    /// Field of view in millimetres.
    pub fov_mm: [f64; 3],
}

/// By how much an image may be finer than its k-space: interpolated by zeros, at most.
const FINEST: usize = 8;

/// No axis of a scan is longer.
const LONGEST_AXIS: usize = 65_536;

/// No real header has more elements; this bounds the tree that is built of it.
const MOST_NODES: u32 = 1_000_000;

/// Reads the encodings, at least one, of the header `text`; `path` and its `field` are named in errors.
///
/// # Errors
/// [`Error::File`] for text that is no XML or no `ismrmrdHeader`, and for missing or invalid grids.
pub fn parse(path: &Path, field: &str, text: &str) -> Result<Vec<Encoding>> {
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    // The C library keeps the terminating zero in some files.
    let text = text.trim_end_matches('\0');
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let advice = "the header is damaged: convert the raw data again";
        Error::file(path, field, "an ISMRMRD header in XML", error.to_string(), advice)
    })?;
    let header = Header { path, field };
    let root = document.root_element();
    if root.tag_name().name() != "ismrmrdHeader" {
        let found = format!("<{}>", root.tag_name().name());
        return Err(header.wrong("root element", "<ismrmrdHeader>", found));
    }
    let encodings: Vec<Encoding> =
        children(root, "encoding").map(|node| header.encoding(node)).collect::<Result<_>>()?;
    if encodings.is_empty() {
        return Err(header.wrong("encoding", "at least one", "none"));
    }
    Ok(encodings)
}

/// Refuses an image of `recon` that is far finer than the samples `(x, y, z)` it is made of.
///
/// # Errors
/// [`Error::File`] naming the axis.
pub(crate) fn refuse_too_fine(path: &Path, field: &str, recon: &Space, samples: [usize; 3]) -> Result<()> {
    for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
        let (size, most) = (recon.matrix[axis], FINEST * samples[axis]);
        if size > most {
            let expected = format!("at most {most}, {FINEST} for each sample");
            let header = Header { path, field };
            return Err(header.wrong(&format!("reconSpace matrixSize {letter}"), expected, size.to_string()));
        }
    }
    Ok(())
}

/// The header at hand, for error messages.
struct Header<'a> {
    path: &'a Path,
    field: &'a str,
}

impl Header<'_> {
    fn encoding(&self, node: Node) -> Result<Encoding> {
        let limits = child(node, "encodingLimits");
        let centre = |step| {
            let limit =
                limits.and_then(|limits| child(limits, step)).and_then(|limit| child(limit, "center"));
            limit.map(|centre| self.number(centre, LONGEST_AXIS as f64)).transpose()
        };
        let text = |node: Node| node.text().unwrap_or_default().trim().to_lowercase();
        let calibration = child(node, "parallelImaging").and_then(|node| child(node, "calibrationMode"));
        Ok(Encoding {
            encoded: self.space(node, "encodedSpace")?,
            recon: self.space(node, "reconSpace")?,
            centre: [
                centre("kspace_encoding_step_1")?.map(|value| value as usize),
                centre("kspace_encoding_step_2")?.map(|value| value as usize),
            ],
            trajectory: child(node, "trajectory").map_or("cartesian".to_string(), text),
            embedded_calibration: calibration.is_some_and(|node| text(node) == "embedded"),
        })
    }

    fn space(&self, encoding: Node, name: &str) -> Result<Space> {
        let space = self.child(encoding, name)?;
        let (matrix, fov) = (self.child(space, "matrixSize")?, self.child(space, "fieldOfView_mm")?);
        let (mut sizes, mut lengths) = ([0; 3], [0.0; 3]);
        for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
            sizes[axis] = self.number(self.child(matrix, letter)?, LONGEST_AXIS as f64)? as usize;
            lengths[axis] = self.number(self.child(fov, letter)?, 1e5)?;
            if sizes[axis] == 0 || lengths[axis] == 0.0 {
                let found = format!("matrix {} and field of view {} mm", sizes[axis], lengths[axis]);
                return Err(self.wrong(&format!("{name} {letter}"), "positive sizes", found));
            }
        }
        Ok(Space { matrix: sizes, fov_mm: lengths })
    }

    fn child<'a, 'input>(&self, node: Node<'a, 'input>, name: &str) -> Result<Node<'a, 'input>> {
        child(node, name)
            .ok_or_else(|| self.wrong(name, format!("one in <{}>", node.tag_name().name()), "none"))
    }

    /// The number in `node`, from 0 to `most`.
    fn number(&self, node: Node, most: f64) -> Result<f64> {
        let text = node.text().unwrap_or_default().trim();
        text.parse().ok().filter(|value| (0.0..=most).contains(value)).ok_or_else(|| {
            let found: String = text.chars().take(40).collect();
            self.wrong(node.tag_name().name(), format!("a number from 0 to {most}"), format!("{found:?}"))
        })
    }

    fn wrong(&self, what: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let field = format!("{}: {what}", self.field);
        Error::file(self.path, field, expected, found, "correct the header or convert the raw data again")
    }
}

/// The children of `node` with this local name, in any namespace: converters differ there.
fn children<'a, 'input>(node: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    children(node, name).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "<ismrmrdHeader xmlns='http://www.ismrm.org/ISMRMRD'><encoding>
        <encodedSpace><matrixSize><x>8</x><y>6</y><z>1</z></matrixSize>
        <fieldOfView_mm><x>400</x><y>150.5</y><z>5</z></fieldOfView_mm></encodedSpace>
        <reconSpace><matrixSize><x>4</x><y>6</y><z>1</z></matrixSize>
        <fieldOfView_mm><x>200</x><y>150.5</y><z>5</z></fieldOfView_mm></reconSpace>
        <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>5</maximum><center>2</center>
        </kspace_encoding_step_1></encodingLimits><trajectory>Cartesian</trajectory></encoding></ismrmrdHeader>\0";

    fn parsed(text: &str) -> Result<Vec<Encoding>> {
        parse(Path::new("a.h5"), "dataset/xml", text)
    }

    #[test]
    fn matrices_fields_and_limits() {
        let encodings = parsed(HEADER).unwrap();
        assert_eq!(encodings.len(), 1);
        assert_eq!(encodings[0].encoded, Space { matrix: [8, 6, 1], fov_mm: [400.0, 150.5, 5.0] });
        assert_eq!(encodings[0].recon.matrix, [4, 6, 1]);
        assert_eq!(encodings[0].centre, [Some(2), None]);
        assert_eq!(encodings[0].trajectory, "cartesian");
    }

    #[test]
    fn images_far_finer_than_their_samples_are_refused() {
        let recon = Space { matrix: [64, 8, 1], fov_mm: [1.0; 3] };
        assert!(refuse_too_fine(Path::new("a.h5"), "xml", &recon, [8, 1, 1]).is_ok());
        let error = refuse_too_fine(Path::new("a.h5"), "xml", &recon, [7, 1, 1]).unwrap_err().to_string();
        assert!(error.contains("matrixSize x") && error.contains("64"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, named) in [
            ("<x>8</x>", "<x>-8</x>", "number from 0"),
            ("<x>8</x>", "<x>1e9</x>", "number from 0"),
            ("<x>400</x>", "<x>nan</x>", "number from 0"),
            ("<x>4</x>", "<x>0</x>", "reconSpace x"),
            ("<y>6</y>", "", "<matrixSize>"),
            ("encodedSpace>", "codedSpace>", "encodedSpace"),
            ("ismrmrdHeader", "html", "<ismrmrdHeader>"),
            ("<encoding>", "<encoding", "XML"),
        ] {
            let error = parsed(&HEADER.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains("a.h5: dataset/xml") && error.contains(named), "{error}");
        }
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'>]><ismrmrdHeader>&b;</ismrmrdHeader>";
        assert!(parsed(bomb).is_err());
        assert!(parsed(&"<a>".repeat(300_000)).is_err());
    }
}
