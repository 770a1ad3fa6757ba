//! Event files of TensorBoard.
//!
//! A file is a sequence of records (TensorFlow, `record_writer.h`): the length of the data as 64 bits, its checksum,
//! the data, and their checksum, all little-endian. The data is a message of protocol buffers, an `Event` of
//! `event.proto` with a `Summary` of `summary.proto`, of which the needed fields are written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};

use super::run::Numbers;
use crate::error::{Error, Result};

/// CRC-32C (Castagnoli).
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Bins of a histogram.
const BINS: usize = 40;

/// An event file, open for writing.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in `folder`, beside those of earlier parts of the run. Of a run that goes on after `step` steps,
    /// TensorBoard forgets what an earlier file says of later ones.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub(super) fn create(folder: &Path, step: u64) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // TensorBoard reads files in the order of their names.
        let name = format!("events.out.tfevents.{:010}.{:09}.voxgan", now.as_secs(), now.subsec_nanos());
        let path = folder.join(name);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(|e| Error::io(&path, "make the event file", e))?;
        let mut events = Self { path, file };
        events.write(0, &Message::default().bytes(3, b"brain.Event:2"))?;
        if step > 0 {
            // SessionLog { status: START }
            events.write(step + 1, &Message::default().message(7, &Message::default().whole(1, 1)))?;
        }
        Ok(events)
    }

    /// Adds numbers by their names; those that are not finite are left out.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk.
    pub(super) fn scalars(&mut self, step: u64, numbers: &Numbers) -> Result<()> {
        let mut summary = Message::default();
        let shown = numbers.iter().filter(|(name, value)| *name != "step" && value.is_finite());
        for (name, &value) in shown {
            let value = Message::default().bytes(1, name.as_bytes()).float(2, value as f32);
            summary = summary.message(1, &value);
        }
        self.write(step, &Message::default().message(5, &summary))
    }

    /// Adds a grey picture, its PNG of `[width, height]` pixels.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk.
    pub(super) fn picture(
        &mut self,
        step: u64,
        name: &str,
        [width, height]: [u32; 2],
        png: &[u8],
    ) -> Result<()> {
        const GREY: u64 = 1;
        let image = Message::default().whole(1, u64::from(height)).whole(2, u64::from(width));
        self.value(step, name, 4, &image.whole(3, GREY).bytes(4, png))
    }

    /// Adds the histogram of `values` between the least and the greatest of them; none of no values.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk.
    pub(super) fn histogram(&mut self, step: u64, name: &str, values: &[f32]) -> Result<()> {
        let values: Vec<f64> = values.iter().map(|&x| f64::from(x)).filter(|x| x.is_finite()).collect();
        if values.is_empty() {
            return Ok(());
        }
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let width = ((greatest - least) / BINS as f64).max(f64::MIN_POSITIVE);
        let limits: Vec<f64> = (1..=BINS).map(|bin| least + width * bin as f64).collect();
        let mut counts = vec![0.0; BINS];
        for value in &values {
            counts[(((value - least) / width) as usize).min(BINS - 1)] += 1.0;
        }
        let squares = values.iter().map(|x| x * x).sum();
        let histogram = Message::default()
            .double(1, least)
            .double(2, greatest)
            .double(3, values.len() as f64)
            .double(4, values.iter().sum())
            .double(5, squares)
            .doubles(6, &limits)
            .doubles(7, &counts);
        self.value(step, name, 5, &histogram)
    }

    /// Adds a value that is a message, in this field of `Summary.Value`.
    fn value(&mut self, step: u64, name: &str, field: u64, content: &Message) -> Result<()> {
        let value = Message::default().bytes(1, name.as_bytes()).message(field, content);
        self.write(step, &Message::default().message(5, &Message::default().message(1, &value)))
    }

    /// Adds the event of `step` that holds `what`.
    fn write(&mut self, step: u64, what: &Message) -> Result<()> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = Message::default().double(1, time.as_secs_f64()).whole(2, step);
        event.0.extend(&what.0);
        self.file
            .write_all(&record(&event.0))
            .map_err(|e| Error::io(&self.path, "append to the event file", e))
    }
}

/// `data` with its length and checksums.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| masked(CHECKSUM.checksum(bytes)).to_le_bytes();
    [&length[..], &sum(&length), data, &sum(data)].concat()
}

/// A checksum of data that holds checksums itself is masked (TensorFlow, `crc32c.h`).
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A message of protocol buffers, field after field.
#[derive(Clone, Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn whole(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    fn double(self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | 1).fixed(&value.to_le_bytes())
    }

    fn float(self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5).fixed(&value.to_le_bytes())
    }

    fn bytes(self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2).varint(value.len() as u64).fixed(value)
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn doubles(self, field: u64, values: &[f64]) -> Self {
        self.bytes(field, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C of 32 bytes of zeros and of 0, 1, … 31 (RFC 3720, B.4), masked by hand.
    #[test]
    fn checksums_are_those_published() {
        assert_eq!(CHECKSUM.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(CHECKSUM.checksum(&std::array::from_fn::<u8, 32, _>(|i| i as u8)), 0x46dd_794e);
        // 0x8a9136aa turned by 15 bits is 0x6d551522.
        assert_eq!(masked(0x8a91_36aa), 0x0fd7_fffa);
    }

    /// A field: its number, and its bytes or what its varint says.
    #[derive(Debug, PartialEq)]
    enum Field {
        Whole(u64),
        Bytes(Vec<u8>),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (&first, rest) = bytes.split_first().expect("a varint ends");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first < 0x80 {
                break;
            }
        }
        value
    }

    fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    found.push((key >> 3, Field::Whole(varint(&mut bytes))));
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => varint(&mut bytes) as usize,
                other => panic!("wire type {other}"),
            };
            let (value, rest) = bytes.split_at(length);
            found.push((key >> 3, Field::Bytes(value.to_vec())));
            bytes = rest;
        }
        found
    }

    /// The events of a file, their checksums verified.
    fn events(path: &Path) -> Vec<Vec<(u64, Field)>> {
        let file = std::fs::read(path).unwrap();
        let mut rest = &file[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + length];
            let sum = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(sum(8), masked(CHECKSUM.checksum(&rest[..8])));
            assert_eq!(sum(12 + length), masked(CHECKSUM.checksum(data)));
            found.push(fields(data));
            rest = &rest[16 + length..];
        }
        found
    }

    fn doubles(bytes: &[u8]) -> Vec<f64> {
        bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 299).unwrap();
        let numbers = Numbers::from([
            ("loss_g".into(), 0.5),
            ("r_t".into(), f64::NAN),
            ("step".into(), 300.0),
            ("images".into(), 1200.0),
        ]);
        file.scalars(300, &numbers).unwrap();
        file.picture(300, "samples", [7, 5], b"png").unwrap();
        file.histogram(300, "intensities", &[-1.0, 0.0, 0.99, 1.0]).unwrap();
        file.histogram(300, "intensities", &[]).unwrap();
        let found = events(&file.path);
        assert_eq!(found.len(), 5);
        let bytes = |fields: &[(u64, Field)], number: u64| match fields.iter().find(|f| f.0 == number) {
            Some((_, Field::Bytes(bytes))) => bytes.clone(),
            other => panic!("{number}: {other:?}"),
        };
        assert_eq!(bytes(&found[0], 3), b"brain.Event:2");
        assert!(doubles(&bytes(&found[0], 1))[0] > 1.7e9, "seconds since 1970");
        let step = |event: &[(u64, Field)]| event[1] == (2, Field::Whole(300));
        assert!(found[1..].iter().all(|event| step(event)));
        assert_eq!(fields(&bytes(&found[1], 7)), [(1, Field::Whole(1))]);
        // Scalars: a value each, in the order of their names; NaN and the step itself are left out.
        let scalars = fields(&bytes(&found[2], 5)).into_iter().map(|(_, value)| match value {
            Field::Bytes(value) => fields(&value),
            other => panic!("{other:?}"),
        });
        let scalars: Vec<_> = scalars.collect();
        let float = |x: f32| Field::Bytes(x.to_le_bytes().to_vec());
        let scalar = |name: &str, x| vec![(1, Field::Bytes(name.as_bytes().to_vec())), (2, float(x))];
        assert_eq!(scalars, [scalar("images", 1200.0), scalar("loss_g", 0.5)]);
        let value = |event: usize| fields(&bytes(&fields(&bytes(&found[event], 5)), 1));
        let image = fields(&bytes(&value(3), 4));
        let expected = [(1, Field::Whole(5)), (2, Field::Whole(7)), (3, Field::Whole(1))];
        assert_eq!(image[..3], expected);
        assert_eq!(bytes(&image, 4), b"png");
        let histogram = fields(&bytes(&value(4), 5));
        let number = |field| doubles(&bytes(&histogram, field))[0];
        assert_eq!([1, 2, 3].map(number), [-1.0, 1.0, 4.0]);
        let counts = doubles(&bytes(&histogram, 7));
        assert_eq!((counts.len(), counts[0], counts[20], counts[39]), (BINS, 1.0, 1.0, 2.0));
        assert!((doubles(&bytes(&histogram, 6))[39] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_histogram_of_one_value_has_it_in_its_first_bin() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 0).unwrap();
        file.histogram(1, "w", &[3.0, 3.0]).unwrap();
        assert_eq!(events(&file.path).len(), 2);
    }
}
