//! ISMRMRD raw data (Inati et al. 2017) in HDF5: Cartesian readouts put onto the grid of their k-space.
//!
//! Files of the C library and of Python's package are read. Noise goes to [`KSpace::noise`]; navigators and the like
//! are left out, and so are calibration lines that are not part of the image, unless the header says that they are
//! embedded or [`RawOptions::calibration`] includes them. Readouts of the same place of k-space are averaged.

pub mod acquisitions;
pub mod geometry;
pub mod xml;

use std::path::Path;

use ndarray::{Array2, Array3, Array4, s};
use num_complex::Complex32;

use self::acquisitions::{Acquisitions, COUNTERS, Readout, Role};
use self::xml::Encoding;
use super::acquisition::RawOptions;
use super::hdf5::Hdf5;
use crate::error::{Error, Result};
use crate::volume::{KSpace, Provenance};

/// A grid is believed if it has at most this many bytes for each byte of the file: no scan leaves out more of its
/// k-space.
const MOST_BYTES_FROM_ONE: u64 = 64;

/// The group that holds the raw data: `dataset`, or the only one that has them. `None` if there is none.
///
/// # Errors
/// [`Error::File`] where the file cannot be listed, or several groups have raw data and none is `dataset`.
pub(crate) fn group(path: &Path, file: &Hdf5) -> Result<Option<String>> {
    let mut groups = Vec::new();
    for name in file.names()?.0 {
        if file.find(&format!("{name}/data"))?.is_some() && file.find(&format!("{name}/xml"))?.is_some() {
            groups.push(name);
        }
    }
    if groups.len() > 1 && !groups.iter().any(|name| name == "dataset") {
        let advice = "keep one of them in the file";
        return Err(Error::file(path, "groups", "raw data in one", groups.join(", "), advice));
    }
    Ok(groups.iter().find(|name| *name == "dataset").or(groups.first()).cloned())
}

/// Reads the k-space in `group` of an open file.
///
/// # Errors
/// [`Error::File`] for a header or table that is damaged or does not fit the samples, for other trajectories than
/// Cartesian ones, and where the file has several images and `options` choose none.
pub(crate) fn read(path: &Path, file: &Hdf5, group: &str, options: &RawOptions) -> Result<KSpace> {
    let field = format!("{group}/xml");
    let encodings = xml::parse(path, &field, &file.table(&field)?.text()?)?;
    let table = format!("{group}/data");
    let all = Acquisitions::read(file.table(&table)?)?;
    let number = options.encoding.unwrap_or_else(|| first_with_image(&all.readouts, encodings.len()));
    let encoding = encodings.get(number).ok_or_else(|| {
        let expected = format!("0 to {}, of the file's encodings", encodings.len() - 1);
        Error::value("encoding", expected, number.to_string(), "choose one that the file has")
    })?;
    if encoding.trajectory != "cartesian" {
        let advice = "grid the samples first, for instance with BART's nufft";
        let trajectory = encoding.trajectory.clone();
        return Err(Error::file(path, format!("{field}: trajectory"), "cartesian", trajectory, advice));
    }
    xml::refuse_too_fine(path, &field, &encoding.recon, encoding.encoded.matrix)?;
    let mut steps = vec![format!("read ISMRMRD, {} readouts", all.readouts.len())];
    if encodings.len() > 1 {
        steps.push(format!("took encoding {number} of {}", encodings.len()));
    }
    refuse_more_than_there_is(path, &table, &all, file.length())?;
    let three_d = encoding.encoded.matrix[2] > 1;
    let calibration = options.calibration.unwrap_or(encoding.embedded_calibration);
    let imaging = imaging(&all.readouts, number, calibration, &mut steps);
    let readouts = select(path, imaging, three_d, options, &mut steps)?;
    let placed = geometry::place(&readouts, encoding, three_d).map_err(|error| error.in_file(path))?;
    steps.extend(placed.notes);

    let grid = Grid { path, table: &table, encoding, three_d, slices: &placed.slices };
    let (data, sampled) = grid.fill(&all, &readouts, file.length(), &mut steps)?;
    Ok(KSpace {
        noise: noise(&all, data.dim().0, &mut steps)?,
        data,
        transformed: [three_d, true, true],
        sampled,
        image: placed.image,
        reference: None,
        provenance: Provenance { source: path.display().to_string(), steps, ..Provenance::default() },
    })
}

/// The first of `count` encodings whose readouts are not all of a calibration or of noise; the first where none is.
fn first_with_image(all: &[Readout], count: usize) -> usize {
    let has = |encoding: &usize| {
        all.iter().any(|readout| readout.encoding == *encoding && readout.role == Role::Imaging)
    };
    (0..count).find(has).unwrap_or(0)
}

/// Refuses readouts that together have more samples than the file: each is stored by itself, uncompressed.
fn refuse_more_than_there_is(path: &Path, table: &str, all: &Acquisitions, file_length: u64) -> Result<()> {
    let used = all.readouts.iter().filter(|readout| !matches!(readout.role, Role::Other(_)));
    let claimed = used.fold(0_u64, |bytes, readout| {
        bytes.saturating_add(8 * (readout.samples as u64).saturating_mul(readout.channels as u64))
    });
    if claimed <= file_length {
        return Ok(());
    }
    let found = format!("{claimed} bytes of samples in a file of {file_length}");
    let advice = "its table is damaged: copy or convert the raw data again";
    Err(Error::file(path, table, "no more samples than the file can hold", found, advice))
}

/// The readouts of `encoding` that are put on its grid.
fn imaging<'a>(
    all: &'a [Readout],
    encoding: usize,
    calibration: bool,
    steps: &mut Vec<String>,
) -> Vec<&'a Readout> {
    let mut left_out: Vec<(&str, usize)> = Vec::new();
    let mut kept = Vec::new();
    let mut calibrating = 0;
    for readout in all {
        let reason = match readout.role {
            Role::Noise => continue,
            Role::Other(kind) => kind,
            _ if readout.encoding != encoding => "another encoding",
            Role::Calibration if !calibration => "parallel calibration",
            role => {
                calibrating += usize::from(role == Role::Calibration);
                kept.push(readout);
                continue;
            }
        };
        match left_out.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => left_out.push((reason, 1)),
        }
    }
    if calibrating > 0 {
        steps.push(format!("took {calibrating} calibration lines into the image's k-space"));
    }
    steps.extend(left_out.iter().map(|(reason, count)| format!("left out {count} readouts: {reason}")));
    kept
}

/// The readouts of one image.
fn select<'a>(
    path: &Path,
    mut readouts: Vec<&'a Readout>,
    three_d: bool,
    options: &RawOptions,
    steps: &mut Vec<String>,
) -> Result<Vec<&'a Readout>> {
    let choices = [options.contrast, options.phase, options.repetition, options.set];
    for (counter, (name, choice)) in COUNTERS.into_iter().zip(choices).enumerate() {
        let value = |readout: &&Readout| readout.counters[counter];
        keep(path, &mut readouts, name, choice, true, value, steps)?;
    }
    keep(path, &mut readouts, "slice", options.slice, three_d, |readout| readout.slice, steps)?;
    if readouts.is_empty() {
        let advice = "check that this is a scan and not a calibration";
        return Err(Error::file(path, "readouts", "some of an image", "none", advice));
    }
    Ok(readouts)
}

/// Keeps the readouts whose counter has the chosen value; where none is chosen and they differ, they stay or, if
/// there must be `one`, that is an error.
fn keep(
    path: &Path,
    readouts: &mut Vec<&Readout>,
    name: &str,
    choice: Option<usize>,
    one: bool,
    value: impl Fn(&&Readout) -> usize,
    steps: &mut Vec<String>,
) -> Result<()> {
    let mut values: Vec<usize> = readouts.iter().map(&value).collect();
    values.sort_unstable();
    values.dedup();
    let wrong = |found| {
        let advice = format!("choose the {name} of one image");
        Err(Error::file(path, name, format!("one of {}", listed(&values)), found, advice))
    };
    let kept = match choice {
        Some(choice) if values.contains(&choice) => choice,
        Some(choice) => return wrong(choice.to_string()),
        None if one && values.len() > 1 => return wrong("none chosen".to_string()),
        None => return Ok(()),
    };
    readouts.retain(|readout| value(readout) == kept);
    if values.len() > 1 {
        steps.push(format!("took {name} {kept} of {}", listed(&values)));
    }
    Ok(())
}

/// Sorted numbers in words; the middle of many is left out.
fn listed(values: &[usize]) -> String {
    match values {
        [first, second, .., last] if values.len() > 8 => format!("{first}, {second}, … {last}"),
        _ => values.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The grid that samples are put on.
struct Grid<'a> {
    path: &'a Path,
    table: &'a str,
    encoding: &'a Encoding,
    three_d: bool,
    slices: &'a [usize],
}

impl Grid<'_> {
    /// The samples `[coils, D, H, W]`, averaged where several fell on one place, and which places have any.
    fn fill(
        &self,
        all: &Acquisitions,
        readouts: &[&Readout],
        file_length: u64,
        steps: &mut Vec<String>,
    ) -> Result<(Array4<Complex32>, Array3<bool>)> {
        let [w, h, depth] = self.encoding.encoded.matrix;
        let d = if self.three_d { depth } else { self.slices.len() };
        let coils = readouts[0].channels;
        let bytes = [coils, d, h, w].iter().fold(8_u64, |bytes, &n| bytes.saturating_mul(n as u64));
        if coils == 0 || bytes > file_length.saturating_mul(MOST_BYTES_FROM_ONE) {
            let expected = format!("at most {MOST_BYTES_FROM_ONE} bytes of k-space for each of the file's");
            let found = format!("{w} × {h} × {d} of {coils} channels in {file_length} bytes");
            return Err(self.wrong("encodedSpace", expected, found));
        }
        let mut data = Array4::<Complex32>::zeros((coils, d, h, w));
        let mut count = Array3::<u16>::zeros((d, h, w));
        for readout in readouts {
            if readout.channels != coils {
                let found = format!("{} in record {}", readout.channels, readout.record);
                return Err(self.wrong("active_channels", format!("{coils} as in the first"), found));
            }
            let (row, first, kept) = self.place(readout)?;
            let [z, y] = row;
            let samples = all.samples(readout)?;
            if samples.len() != 2 * readout.samples * coils {
                let expected = format!("{} samples of {coils} channels", readout.samples);
                let found = format!("{} numbers in record {}", samples.len(), readout.record);
                return Err(self.wrong("data", expected, found));
            }
            let columns = first..first + kept.len();
            let mut counts = count.slice_mut(s![z, y, columns.clone()]);
            counts.mapv_inplace(|n| n.saturating_add(1));
            for (coil, channel) in samples.chunks_exact(2 * readout.samples).enumerate() {
                let mut line = data.slice_mut(s![coil, z, y, columns.clone()]);
                let kept = channel[2 * kept.start..2 * kept.end].chunks_exact(2);
                if readout.reversed {
                    line.invert_axis(ndarray::Axis(0));
                }
                for (place, sample) in line.iter_mut().zip(kept) {
                    *place += Complex32::new(sample[0], sample[1]);
                }
            }
        }
        let most = count.iter().copied().max().unwrap_or(0);
        if most > 1 {
            steps.push(format!("averaged up to {most} readouts at one place"));
            for mut volume in data.outer_iter_mut() {
                volume.zip_mut_with(&count, |value, &n| *value /= f32::from(n.max(1)));
            }
        }
        if readouts.iter().any(|readout| readout.reversed) {
            steps.push("turned reversed readouts round; their phase is not corrected".to_string());
        }
        Ok((data, count.mapv(|n| n > 0)))
    }

    /// Where a readout lies: its place along D and H, its first column, and which of its samples go there.
    fn place(&self, readout: &Readout) -> Result<([usize; 2], usize, std::ops::Range<usize>)> {
        let [w, h, depth] = self.encoding.encoded.matrix;
        let at_record = |found: String| format!("{found} in record {}", readout.record);
        let along = |axis: usize, length: usize, name: &str| {
            // Without limits the numbers count from 0 and DC is in the middle.
            let centre = self.encoding.centre[axis].unwrap_or(length / 2);
            let place = (readout.step[axis] + length / 2).checked_sub(centre).filter(|&place| place < length);
            place.ok_or_else(|| {
                let expected = format!("a place among {length} with DC at step {centre}");
                self.wrong(name, expected, at_record(format!("step {}", readout.step[axis])))
            })
        };
        let y = along(0, h, "kspace_encode_step_1")?;
        let z = if self.three_d {
            along(1, depth, "kspace_encode_step_2")?
        } else if readout.step[1] != 0 {
            let found = at_record(format!("step {}", readout.step[1]));
            return Err(self.wrong("kspace_encode_step_2", "0, for the matrix has one place along z", found));
        } else {
            // Every slice of the readouts was placed.
            self.slices.iter().position(|slice| *slice == readout.slice).unwrap_or(0)
        };

        let [before, after] = readout.discard;
        let kept = before..readout.samples.saturating_sub(after);
        // A whole readout whose centre was left at 0 has it in the middle.
        let centre = match readout.centre {
            0 if readout.samples == w => w / 2,
            centre => centre,
        };
        // Turned round, sample s becomes sample n - 1 - s.
        let (start, centre) = if readout.reversed {
            (after, readout.samples.saturating_sub(1 + centre))
        } else {
            (before, centre)
        };
        let first = (w / 2 + start).checked_sub(centre);
        match first.filter(|first| !kept.is_empty() && first + kept.len() <= w) {
            Some(first) => Ok(([z, y], first, kept)),
            None => {
                let expected = format!("samples within the {w} columns of the encoded matrix");
                let found = format!("{} with DC at {}", readout.samples, readout.centre);
                Err(self.wrong("number_of_samples", expected, at_record(found)))
            }
        }
    }

    fn wrong(&self, what: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let advice = "the header does not fit the samples: correct it or convert the raw data again";
        Error::file(self.path, format!("{}: {what}", self.table), expected, found, advice)
    }
}

/// The noise readouts, `[coils, samples]`; those of another number of channels do not help this image.
fn noise(all: &Acquisitions, coils: usize, steps: &mut Vec<String>) -> Result<Option<Array2<Complex32>>> {
    let mut channels: Vec<Vec<Complex32>> = vec![Vec::new(); coils];
    for readout in all.readouts.iter().filter(|readout| readout.role == Role::Noise) {
        let samples = all.samples(readout)?;
        if readout.channels != coils || readout.samples == 0 || samples.len() != 2 * readout.samples * coils {
            steps.push(format!("left out a noise readout of {} channels", readout.channels));
            continue;
        }
        for (channel, samples) in channels.iter_mut().zip(samples.chunks_exact(2 * readout.samples)) {
            channel.extend(samples.chunks_exact(2).map(|pair| Complex32::new(pair[0], pair[1])));
        }
    }
    let length = channels.first().map_or(0, Vec::len);
    if length == 0 {
        return Ok(None);
    }
    steps.push(format!("read {length} samples of noise"));
    Ok(Array2::from_shape_vec((coils, length), channels.concat()).ok())
}
