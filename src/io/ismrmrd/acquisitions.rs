//! The table of readouts in an ISMRMRD file: each with its header, by the members' names, since the C library and
//! Python's package pad them differently.

use nalgebra::Vector3;

use crate::error::Result;
use crate::io::hdf5::{Member, Records, Sequence, Table};

/// The kind of a readout (ISMRMRD's flags, bits counted from 1), as far as it matters for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A readout of the image.
    Imaging,
    /// Noise without signal (19).
    Noise,
    /// A calibration line that is not part of the image (20 without 21).
    Calibration,
    /// Anything else, by the name of its kind.
    Other(&'static str),
}

/// Flags of readouts that are no part of the image.
const NOT_IMAGING: [(u32, &str); 8] = [
    (23, "navigation"),
    (24, "phase correction"),
    (26, "feedback"),
    (27, "dummy scan"),
    (28, "feedback"),
    (29, "surface coil correction"),
    (30, "phase stabilisation"),
    (31, "phase stabilisation"),
];

/// The header of one readout.
#[derive(Clone, Debug)]
pub struct Readout {
    /// Its index in the table.
    pub record: usize,
    /// Its kind.
    pub role: Role,
    /// Whether samples are in reverse order in k-space (22).
    pub reversed: bool,
    /// Number of samples of each channel.
    pub samples: usize,
    /// Number of channels.
    pub channels: usize,
    /// Number of samples to leave out at the start and at the end.
    pub discard: [usize; 2],
    /// Index of the sample at DC.
    pub centre: usize,
    /// Index of its encoding in the header.
    pub encoding: usize,
    /// Counters of the encoding steps 1 and 2.
    pub step: [usize; 2],
    /// Counter of slices (of slabs, in 3D).
    pub slice: usize,
    /// Counters by which images differ: contrast, phase, repetition, set.
    pub counters: [usize; 4],
    /// Centre of the slice (the slab) in millimetres, LPS.
    pub position_mm: Vector3<f64>,
    /// Unit vectors along readout, phase encoding and slice, LPS.
    pub directions: [Vector3<f64>; 3],
}

/// The names of [`Readout::counters`], as in the file and in the options.
pub const COUNTERS: [&str; 4] = ["contrast", "phase", "repetition", "set"];

/// All readouts of a file; their samples are read on demand.
pub struct Acquisitions<'a> {
    /// Headers, in the order of the file.
    pub readouts: Vec<Readout>,
    records: Records<'a>,
    samples: Sequence,
}

impl<'a> Acquisitions<'a> {
    /// Reads all headers.
    ///
    /// # Errors
    /// [`Error::File`](crate::error::Error::File) where the table or a member of it is missing or damaged.
    pub fn read(table: Table<'a>) -> Result<Self> {
        let records = table.records()?;
        let members = Members::find(&records)?;
        let samples = records.sequence(&["data"])?;
        let readouts = (0..records.count()).map(|record| members.readout(&records, record)).collect();
        Ok(Self { readouts, records, samples })
    }

    /// Samples of a readout, channel by channel, each as its real and its imaginary part.
    ///
    /// # Errors
    /// [`Error::File`](crate::error::Error::File) where the file does not have them.
    pub fn samples(&self, readout: &Readout) -> Result<Vec<f32>> {
        self.records.numbers(readout.record, &self.samples)
    }
}

/// Where the members of a readout's header lie.
struct Members {
    flags: Member,
    /// Samples, channels, discarded before and after, centre, encoding.
    sizes: [Member; 6],
    /// Steps 1 and 2, slice, and the four counters.
    indices: [Member; 7],
    position: Member,
    directions: [Member; 3],
}

impl Members {
    fn find(records: &Records) -> Result<Self> {
        let head = |name| records.member(&["head", name]);
        let index = |name| records.member(&["head", "idx", name]);
        let vector = |name| {
            let member = records.member(&["head", name])?;
            if member.count == 3 { Ok(member) } else { records.member(&["head", name, "three numbers"]) }
        };
        let [contrast, phase, repetition, set] = COUNTERS;
        Ok(Self {
            flags: head("flags")?,
            sizes: [
                head("number_of_samples")?,
                head("active_channels")?,
                head("discard_pre")?,
                head("discard_post")?,
                head("center_sample")?,
                head("encoding_space_ref")?,
            ],
            indices: [
                index("kspace_encode_step_1")?,
                index("kspace_encode_step_2")?,
                index("slice")?,
                index(contrast)?,
                index(phase)?,
                index(repetition)?,
                index(set)?,
            ],
            position: vector("position")?,
            directions: [vector("read_dir")?, vector("phase_dir")?, vector("slice_dir")?],
        })
    }

    fn readout(&self, records: &Records, record: usize) -> Readout {
        // The format has 16 bits for these; a file that has more must not overflow what is reckoned with them.
        let whole = |member| records.whole(record, member).min(1 << 30) as usize;
        let vector =
            |member| Vector3::from([0, 1, 2].map(|axis| f64::from(records.value(record, member, axis))));
        let [samples, channels, discard_pre, discard_post, centre, encoding] = self.sizes.map(whole);
        let [step_1, step_2, slice, contrast, phase, repetition, set] = self.indices.map(whole);
        let flags = records.whole(record, self.flags);
        Readout {
            record,
            role: role(flags),
            reversed: has(flags, 22),
            samples,
            channels,
            discard: [discard_pre, discard_post],
            centre,
            encoding,
            step: [step_1, step_2],
            slice,
            counters: [contrast, phase, repetition, set],
            position_mm: vector(self.position),
            directions: self.directions.map(vector),
        }
    }
}

fn has(flags: u64, bit: u32) -> bool {
    flags >> (bit - 1) & 1 == 1
}

fn role(flags: u64) -> Role {
    if has(flags, 19) {
        return Role::Noise;
    }
    if let Some((_, name)) = NOT_IMAGING.iter().find(|(bit, _)| has(flags, *bit)) {
        return Role::Other(name);
    }
    // Calibration lines that also belong to the image have a flag of their own.
    if has(flags, 20) && !has(flags, 21) { Role::Calibration } else { Role::Imaging }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_what_a_readout_is() {
        let flag = |bit: u32| 1_u64 << (bit - 1);
        assert_eq!(role(0), Role::Imaging);
        assert_eq!(role(flag(1) | flag(7) | flag(64)), Role::Imaging);
        assert_eq!(role(flag(19)), Role::Noise);
        assert_eq!(role(flag(20)), Role::Calibration);
        assert_eq!(role(flag(20) | flag(21)), Role::Imaging);
        assert_eq!(role(flag(21)), Role::Imaging);
        assert_eq!(role(flag(24) | flag(22)), Role::Other("phase correction"));
    }
}
