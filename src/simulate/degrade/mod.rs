//! Degradations of a volume that occur in a scanner: seeded, recorded and replayable.
//!
//! Each degradation has two types, after torchio (Pérez-García et al. 2021, "TorchIO: a Python library for efficient
//! loading, preprocessing, augmentation and patch-based sampling of medical images in deep learning"): `RandomX` has
//! ranges and [`draws`](RandomMotion::draw) an `X`, which has plain numbers and is [`applied`](Motion::apply)
//! deterministically. So a record of the applied degradations is enough to repeat them, bit for bit.
//!
//! All act on the volume `[C, D, H, W]` in 3D, each channel as a real image of its own. Axes are named D, H and W;
//! triples of numbers are along NIfTI's `(i, j, k) = (W, H, D)`.

mod bias_field;
mod ghosting;
mod motion;
mod noise;
mod spectrum;
mod spikes;
mod thick_slices;
mod undersampling;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

pub use bias_field::{BiasField, RandomBiasField};
pub use ghosting::{Ghosting, RandomGhosting};
pub use motion::{Motion, RandomMotion, ShotOrder};
pub use noise::{Distribution, Noise, NoiseLevel, RandomNoise};
pub use spectrum::Component;
pub use spikes::{RandomSpikes, Spikes};
pub use thick_slices::{ProfileShape, RandomThickSlices, ThickSlices};
pub use undersampling::{MaskRuns, RandomUndersampling, Sampling, Undersampling};

use crate::acquisition::sampling::Axis;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::volume::Volume;

/// Draw-sites of [`Purpose::Degradation`], as the phase of the stream: the parameters of a link of the chain.
const PARAMETERS: u64 = 1;
/// The noise of the real part.
const NOISE_REAL: u64 = 2;
/// The noise of the imaginary part.
const NOISE_IMAGINARY: u64 = 3;

/// A degradation whose parameters are drawn: a link of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Degradation {
    /// Rigid motion between shots.
    Motion(RandomMotion),
    /// Periodic ghosts along an axis.
    Ghosting(RandomGhosting),
    /// Spikes in k-space.
    Spikes(RandomSpikes),
    /// A smooth multiplicative field.
    BiasField(RandomBiasField),
    /// Noise of the receiver.
    Noise(RandomNoise),
    /// Slices thicker than the voxels, and gaps between them.
    ThickSlices(RandomThickSlices),
    /// k-space measured in part only.
    Undersampling(RandomUndersampling),
}

/// A degradation with all its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Applied {
    /// Rigid motion between shots.
    Motion(Motion),
    /// Periodic ghosts along an axis.
    Ghosting(Ghosting),
    /// Spikes in k-space.
    Spikes(Spikes),
    /// A smooth multiplicative field.
    BiasField(BiasField),
    /// Noise of the receiver.
    Noise(Noise),
    /// Slices thicker than the voxels, and gaps between them.
    ThickSlices(ThickSlices),
    /// k-space measured in part only.
    Undersampling(Undersampling),
}

/// A volume after one degradation.
#[derive(Clone, Debug)]
pub struct Degraded {
    /// The volume.
    pub volume: Volume,
    /// Severity of a degradation in k-space: `‖k' − k‖² / ‖k‖²` over all channels, where `k` is the k-space of the
    /// volume before and `k'` the degraded one, before the magnitude or real part of its image is taken. `None` for
    /// degradations of the image.
    pub displaced_energy: Option<f64>,
}

/// The record of one link of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The degradation and all its parameters.
    pub applied: Applied,
    /// See [`Degraded::displaced_energy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced_energy: Option<f64>,
}

/// A degraded volume with its records.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The volume; its provenance has a step for each link.
    pub volume: Volume,
    /// One record a link, in order.
    pub records: Vec<Record>,
}

/// Draws and applies the links of `chain` one after the other.
///
/// Link n draws from its own stream, so that a change of one link does not change the parameters of the others.
///
/// # Errors
/// [`Error::Value`] for ranges that are invalid or do not fit the volume.
pub fn simulate(volume: &Volume, chain: &[Degradation], seed: u64) -> Result<Simulated> {
    let mut simulated = Simulated { volume: volume.clone(), records: Vec::with_capacity(chain.len()) };
    for (link, degradation) in chain.iter().enumerate() {
        let mut rng = stream(seed, 0, PARAMETERS, link as u64, Purpose::Degradation);
        let applied = degradation.draw(&simulated.volume, &mut rng)?;
        let Degraded { volume, displaced_energy } = applied.apply(&simulated.volume)?;
        simulated.volume = volume;
        simulated.records.push(Record { applied, displaced_energy });
    }
    Ok(simulated)
}

/// Repeats the degradations of `records`: the same volume gives the same bits.
///
/// # Errors
/// [`Error::Value`] for records that are invalid or do not fit the volume.
pub fn replay(volume: &Volume, records: &[Record]) -> Result<Volume> {
    records.iter().try_fold(volume.clone(), |volume, record| Ok(record.applied.apply(&volume)?.volume))
}

impl Degradation {
    /// Draws the parameters, for this volume.
    ///
    /// # Errors
    /// [`Error::Value`] for ranges that are invalid or do not fit the volume.
    pub fn draw(&self, volume: &Volume, rng: &mut impl Rng) -> Result<Applied> {
        Ok(match self {
            Self::Motion(random) => Applied::Motion(random.draw(volume, rng)?),
            Self::Ghosting(random) => Applied::Ghosting(random.draw(volume, rng)?),
            Self::Spikes(random) => Applied::Spikes(random.draw(rng)?),
            Self::BiasField(random) => Applied::BiasField(random.draw(rng)?),
            Self::Noise(random) => Applied::Noise(random.draw(volume, rng)?),
            Self::ThickSlices(random) => Applied::ThickSlices(random.draw(volume, rng)?),
            Self::Undersampling(random) => Applied::Undersampling(random.draw(volume, rng)?),
        })
    }
}

impl Applied {
    /// Applies the degradation; the result is deterministic for any number of threads.
    ///
    /// # Errors
    /// [`Error::Value`] for parameters that are invalid or do not fit the volume.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        match self {
            Self::Motion(motion) => motion.apply(volume),
            Self::Ghosting(ghosting) => ghosting.apply(volume),
            Self::Spikes(spikes) => spikes.apply(volume),
            Self::BiasField(field) => field.apply(volume),
            Self::Noise(noise) => noise.apply(volume),
            Self::ThickSlices(slices) => slices.apply(volume),
            Self::Undersampling(undersampling) => undersampling.apply(volume),
        }
    }
}

/// All axes.
const ALL_AXES: [Axis; 3] = [Axis::D, Axis::H, Axis::W];

/// One of `axes`, as likely as any, along which `volume` has more than one voxel.
fn draw_axis(axes: &[Axis], volume: &Volume, rng: &mut impl Rng) -> Result<Axis> {
    let shape = &volume.data.shape()[1..];
    let long: Vec<Axis> = axes.iter().copied().filter(|&axis| shape[axis as usize] > 1).collect();
    if long.is_empty() {
        let found = format!("{axes:?} of [D, H, W] = {shape:?}");
        return Err(Error::value("axes", "one with more than one voxel", found, "give another axis"));
    }
    Ok(long[rng.random_range(0..long.len())])
}

/// A number of `range`, both ends included, uniformly; `least ≤ low ≤ high ≤ greatest` is what the range has to be.
fn uniform(key: &str, range: [f64; 2], [least, greatest]: [f64; 2], rng: &mut impl Rng) -> Result<f64> {
    let [low, high] = range;
    if !(least <= low && low <= high && high <= greatest && low.is_finite() && high.is_finite()) {
        let expected = format!("two finite numbers that rise, {}", within([least, greatest]));
        let found = format!("{low}, {high}");
        return Err(Error::value(key, expected, found, "give one number, or low and high"));
    }
    Ok(low + (high - low) * rng.random::<f64>())
}

/// Bounds in words; the least positive number and the greatest stand for none.
fn within([least, greatest]: [f64; 2]) -> String {
    match (least, greatest) {
        (f64::MIN_POSITIVE, f64::MAX..) => "above 0".into(),
        (f64::MIN_POSITIVE, greatest) => format!("above 0 and at most {greatest}"),
        (..=f64::MIN, f64::MAX..) => "of any size".into(),
        (least, f64::MAX..) => format!("{least} or more"),
        (least, greatest) => format!("{least} to {greatest}"),
    }
}

/// A whole number of `range`, both ends included; `least ≤ low ≤ high` is what the range has to be.
fn whole(key: &str, range: [usize; 2], least: usize, rng: &mut impl Rng) -> Result<usize> {
    let [low, high] = range;
    if least > low || low > high {
        let expected = format!("two whole numbers that rise, {least} or more");
        let found = format!("{low}, {high}");
        return Err(Error::value(key, expected, found, "give one number, or low and high"));
    }
    Ok(rng.random_range(low..=high))
}

/// Refuses a recorded number that is not within `least..=greatest`.
fn check(key: &str, number: f64, bounds: [f64; 2]) -> Result<()> {
    if number.is_finite() && (bounds[0]..=bounds[1]).contains(&number) {
        return Ok(());
    }
    let expected = format!("a finite number, {}", within(bounds));
    Err(Error::value(key, expected, number.to_string(), "look where the record comes from"))
}
