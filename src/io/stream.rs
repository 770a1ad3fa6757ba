//! The bytes of a scan's file, plain or compressed, read no further than the file can go.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::error::{Error, Result};

/// Bytes of a file as they are after decompression, with what is known of their number.
pub(super) struct Stream<'a> {
    reader: Box<dyn Read + 'a>,
    coding: Coding,
    position: u64,
    /// No more bytes than these can come.
    pub at_most: u64,
}

/// Deflate cannot expand more than this (zlib's technical notes: 1032 to 1).
const MAX_INFLATION: u64 = 1032;

impl<'a> Stream<'a> {
    pub fn open(path: &Path) -> Result<Stream<'static>> {
        let file = File::open(path).map_err(|source| Error::io(path, "open it", source))?;
        let meta = file.metadata().map_err(|source| Error::io(path, "ask for its size", source))?;
        if meta.is_dir() {
            let advice = "name the files in it, or give the folder to a command that takes folders";
            return Err(Error::file(path, "file", "one file", "a folder", advice));
        }
        Stream::new(path, BufReader::with_capacity(1 << 16, file), meta.len())
    }

    pub fn new(path: &Path, mut stored: impl BufRead + 'a, stored_bytes: u64) -> Result<Self> {
        let start = stored.fill_buf().map_err(|source| Error::io(path, "read it", source))?;
        let coding = if start.starts_with(&GZIP) { Coding::Gzip } else { Coding::Plain };
        Ok(Self::coded(stored, stored_bytes, coding))
    }

    /// The stream of `stored_bytes` bytes that are stored in this way.
    pub fn coded(stored: impl BufRead + 'a, stored_bytes: u64, coding: Coding) -> Self {
        let reader: Box<dyn Read + 'a> = match coding {
            Coding::Plain => Box::new(stored),
            Coding::Gzip => Box::new(Members::new(stored)),
            Coding::Zlib => Box::new(ZlibDecoder::new(stored)),
            Coding::Text => Box::new(Numbers::new(stored)),
        };
        let at_most = match coding {
            Coding::Plain => stored_bytes,
            Coding::Gzip | Coding::Zlib => stored_bytes.saturating_mul(MAX_INFLATION),
            // A digit and what parts it from the next make the eight bytes of a number.
            Coding::Text => (stored_bytes / 2 + 1).saturating_mul(8),
        };
        Self { reader, coding, position: 0, at_most }
    }

    /// Fills `buffer` from the stream, less only where the stream ends.
    pub fn read_some(&mut self, path: &Path, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.damaged(path, self.position + filled as u64, error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Fills the whole of `buffer`; the voxels end at `end`.
    pub fn fill(&mut self, path: &Path, buffer: &mut [u8], end: u64) -> Result<()> {
        if self.read_some(path, buffer)? == buffer.len() {
            return Ok(());
        }
        Err(self.cut_off(path, end, self.position))
    }

    pub fn skip_to(&mut self, path: &Path, offset: u64) -> Result<()> {
        let mut rest = offset.saturating_sub(self.position);
        let mut buffer = [0; 1 << 13];
        while rest > 0 {
            let step = rest.min(buffer.len() as u64) as usize;
            self.fill(path, &mut buffer[..step], offset)?;
            rest -= step as u64;
        }
        Ok(())
    }

    /// Reads on to the gzip checksum, where it is near: what follows the voxels is only looked at for a while.
    pub fn finish(&mut self, path: &Path) -> Result<()> {
        let mut buffer = [0; 1 << 13];
        for _ in 0..128 {
            if matches!(self.coding, Coding::Plain | Coding::Text) || self.read_some(path, &mut buffer)? == 0
            {
                break;
            }
        }
        Ok(())
    }

    fn damaged(&self, path: &Path, at: u64, error: io::Error) -> Error {
        let field = match self.coding {
            Coding::Plain => return Error::io(path, "read it", error),
            Coding::Gzip => "gzip stream",
            Coding::Zlib => "zlib stream",
            Coding::Text => "numbers",
        };
        let found = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("its end after {at} bytes of content"),
            _ => format!("damage after {at} bytes of content ({error})"),
        };
        Error::file(path, field, "a complete stream", found, "the file is cut off or damaged: copy it again")
    }

    pub fn cut_off(&self, path: &Path, end: u64, found: u64) -> Error {
        let least = if found == self.at_most && self.coding != Coding::Plain { "at most " } else { "" };
        Error::file(
            path,
            "voxels",
            format!("{end} bytes, as its header says"),
            format!("{least}{found}"),
            "the file is cut off, or its header is damaged: copy or convert it again",
        )
    }
}

/// How bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// Numbers in text, which become float64 in little endian.
    Text,
}

/// The two bytes that every gzip member begins with.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Decompresses gzip members one after another (parallel compressors write several). What follows the last and is
/// no member is ignored, as gzip itself does.
struct Members<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(stored: R) -> Self {
        Self { member: Some(GzDecoder::new(stored)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Some(mut stored) = self.member.take().map(GzDecoder::into_inner) else { break };
            if stored.fill_buf()?.first() == Some(&GZIP[0]) {
                self.member = Some(GzDecoder::new(stored));
            }
        }
        Ok(0)
    }
}

/// Numbers in text, with white space or commas between them, as the bytes of float64 in little endian.
struct Numbers<R> {
    text: R,
    number: [u8; 8],
    /// How many bytes of `number` have gone out.
    gone: usize,
}

/// No number has more letters.
const LONGEST_NUMBER: usize = 64;

impl<R: BufRead> Numbers<R> {
    fn new(text: R) -> Self {
        Self { text, number: [0; 8], gone: 8 }
    }

    /// The next number; none at the end.
    fn next(&mut self) -> io::Result<Option<f64>> {
        let mut word = String::new();
        let mut byte = [0];
        while word.len() < LONGEST_NUMBER && self.text.read(&mut byte)? == 1 {
            match byte[0] {
                b',' | b' ' | b'\t' | b'\r' | b'\n' if word.is_empty() => {}
                b',' | b' ' | b'\t' | b'\r' | b'\n' => break,
                letter => word.push(letter.into()),
            }
        }
        match word.as_str() {
            "" => Ok(None),
            word => word.parse().map(Some).map_err(|_| io::Error::other(format!("{word:?} is no number"))),
        }
    }
}

impl<R: BufRead> Read for Numbers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.gone == 8 {
            let Some(number) = self.next()? else { return Ok(0) };
            (self.number, self.gone) = (number.to_le_bytes(), 0);
        }
        let count = buffer.len().min(8 - self.gone);
        buffer[..count].copy_from_slice(&self.number[self.gone..self.gone + count]);
        self.gone += count;
        Ok(count)
    }
}

/// The lines of a header in text, and the bytes behind it.
pub(super) struct Lines {
    file: BufReader<File>,
    position: u64,
    length: u64,
}

/// No header is longer, in bytes.
const LONGEST_HEADER: u64 = 1 << 20;

impl Lines {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io(path, "open it", source))?;
        let meta = file.metadata().map_err(|source| Error::io(path, "ask for its size", source))?;
        Ok(Self { file: BufReader::with_capacity(1 << 16, file), position: 0, length: meta.len() })
    }

    /// The next line without its end and without white space around it; none at the end of the file.
    ///
    /// # Errors
    /// [`Error::File`] for a header that does not end; [`Error::Io`].
    pub fn next(&mut self, path: &Path) -> Result<Option<String>> {
        let mut line = Vec::new();
        let most = LONGEST_HEADER - self.position;
        (&mut self.file)
            .take(most)
            .read_until(b'\n', &mut line)
            .map_err(|source| Error::io(path, "read its header", source))?;
        self.position += line.len() as u64;
        if line.is_empty() && most > 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') && self.position >= LONGEST_HEADER {
            let (expected, found) = (format!("{LONGEST_HEADER} bytes at most"), "no end");
            return Err(Error::file(path, "header", expected, found, "the file is damaged: copy it again"));
        }
        Ok(Some(String::from_utf8_lossy(&line).trim().to_string()))
    }

    /// Bytes behind the lines that were read.
    pub fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// Whether gzip's mark is behind the lines that were read.
    pub fn goes_on_in_gzip(&mut self) -> bool {
        self.file.fill_buf().is_ok_and(|start| start.starts_with(&GZIP))
    }

    /// What is behind the lines that were read.
    pub fn rest(self, coding: Coding) -> Stream<'static> {
        let left = self.left();
        Stream::coded(self.file, left, coding)
    }
}
