//! Bytes of a DICOM file, wherever they lie: a file on the disk, an entry of an archive, a deflated data set.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;

use crate::error::{Error, Result};

/// No data set is inflated beyond this number of bytes.
pub(super) const MOST_INFLATED: u64 = 4 << 30;

/// Bytes that are read forwards, with the name that errors give them.
pub(super) struct Input<'a> {
    /// The file, or archive and entry.
    name: PathBuf,
    /// Bytes before the next one.
    pub position: u64,
    /// The next bytes, if they were looked at already.
    peeked: Vec<u8>,
    reader: Reader<'a>,
}

enum Reader<'a> {
    /// A file, and its bytes.
    File(BufReader<File>, u64),
    Stream(Box<dyn Read + 'a>),
}

impl Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.read(bytes),
            Self::Stream(stream) => stream.read(bytes),
        }
    }
}

impl<'a> Input<'a> {
    /// The file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |cause| Error::io(path, "open it", cause);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let reader = Reader::File(BufReader::with_capacity(1 << 13, file), length);
        Ok(Self { name: path.to_path_buf(), position: 0, peeked: Vec::new(), reader })
    }

    /// Bytes that can only be read on, called `name`.
    pub fn stream(name: PathBuf, bytes: impl Read + 'a) -> Self {
        Self { name, position: 0, peeked: Vec::new(), reader: Reader::Stream(Box::new(bytes)) }
    }

    /// What follows, inflated (PS3.5, A.5); its positions begin at 0.
    pub fn inflated(self) -> Self {
        let bytes = io::Cursor::new(self.peeked).chain(self.reader);
        Self::stream(self.name, DeflateDecoder::new(bytes).take(MOST_INFLATED))
    }

    /// The next `count` bytes, fewer only at the end, which stay the next.
    pub fn peek(&mut self, count: usize) -> Result<&[u8]> {
        let missing = count.saturating_sub(self.peeked.len());
        let read = (&mut self.reader).take(missing as u64).read_to_end(&mut self.peeked);
        read.map_err(|cause| self.failed(cause))?;
        Ok(&self.peeked[..count.min(self.peeked.len())])
    }

    /// Puts the next `count` bytes behind what `bytes` holds. Memory grows with what is there, whatever `count` says.
    ///
    /// # Errors
    /// [`Error::File`] where there are fewer.
    pub fn read(&mut self, count: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let peeked = self.peeked.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        bytes.extend(self.peeked.drain(..peeked));
        let rest = count - peeked as u64;
        if let Reader::File(_, length) = &self.reader {
            // What is reserved is there.
            bytes.reserve(rest.min(length.saturating_sub(self.position)) as usize);
        }
        let read = (&mut self.reader).take(rest).read_to_end(bytes).map_err(|cause| self.failed(cause))?;
        self.position += peeked as u64 + read as u64;
        if (read as u64) < rest { Err(self.cut_off()) } else { Ok(()) }
    }

    /// Leaves out the next `count` bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn skip(&mut self, count: u64) -> Result<()> {
        let peeked = self.peeked.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        self.peeked.drain(..peeked);
        self.position += peeked as u64;
        let rest = count - peeked as u64;
        match &mut self.reader {
            _ if rest == 0 => return Ok(()),
            Reader::File(_, length) if rest > length.saturating_sub(self.position) => {
                return Err(self.cut_off());
            }
            Reader::File(file, _) => {
                // No more than the file is long, and so within i64.
                file.seek_relative(rest as i64).map_err(|cause| self.failed(cause))?;
            }
            Reader::Stream(stream) => {
                let read = io::copy(&mut stream.take(rest), &mut io::sink());
                let read = read.map_err(|cause| self.failed(cause))?;
                if read < rest {
                    return Err(self.cut_off());
                }
            }
        }
        self.position += rest;
        Ok(())
    }

    /// Bytes that can still come, as far as is known.
    pub fn left(&self) -> u64 {
        match &self.reader {
            Reader::File(_, length) => length.saturating_sub(self.position),
            Reader::Stream(_) => MOST_INFLATED.saturating_sub(self.position),
        }
    }

    fn failed(&self, cause: io::Error) -> Error {
        match (&self.reader, cause.kind()) {
            (_, io::ErrorKind::UnexpectedEof) => self.cut_off(),
            (Reader::Stream(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                self.wrong("compressed stream", "a complete stream", format!("damage ({cause})"))
            }
            _ => Error::io(&self.name, "read it", cause),
        }
    }

    /// The error of a file that ends before its elements do.
    pub fn cut_off(&self) -> Error {
        let found = format!("the end of the file behind byte {}", self.position);
        self.wrong("data set", "as many bytes as its elements state", found)
    }

    /// The error of a part of this file that is not as it should be.
    pub fn wrong(&self, field: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let advice = "the file is cut off or damaged: copy or export it again";
        Error::file(&self.name, field, expected, found, advice)
    }
}
