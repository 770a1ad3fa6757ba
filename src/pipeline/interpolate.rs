//! A walk through the latent space.

use std::path::PathBuf;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::generator::{Generator, Output, Sampling};
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::report::{Montage, write_gif};

/// A walk from seed to seed and back to the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The generator and its sampling. All frames have the conditions of the first seed.
    pub sampling: Sampling,
    /// Seeds to walk through, two or more.
    pub seeds: Vec<u64>,
    /// Number of frames, 2 to 10000.
    pub frames: usize,
    /// The space of the interpolation.
    pub space: Space,
    /// Milliseconds a frame of the GIF.
    pub delay_ms: u32,
    /// The output folder and file type.
    pub output: Output,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            seeds: (0..3).collect(),
            frames: 24,
            space: Space::default(),
            delay_ms: 120,
            output: Output::default(),
        }
    }
}

/// The space that a walk is straight in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// Linear between w's.
    #[default]
    W,
    /// Spherical between z's.
    Z,
}

/// The written files.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The frames as one 4D NIfTI file.
    pub frames: PathBuf,
    /// The frames as pictures.
    pub gif: PathBuf,
}

/// Names of the files.
const FRAMES: &str = "walk.nii.gz";
const GIF: &str = "walk.gif";

/// Seeds → positions between their latents → frames → files.
///
/// # Errors
/// [`Error::Value`] for fewer than two seeds or a number of frames out of range; as [`Generator::open`]; [`Error::Io`]
/// or [`Error::File`] for the output; [`Error::Cancelled`].
pub fn interpolate(options: &Options, progress: &Progress) -> Result<Walk> {
    let Options { sampling, seeds, frames, space, delay_ms, output } = options;
    let frames = *frames;
    if seeds.len() < 2 {
        return Err(Error::value("--seeds", "two or more", seeds.len().to_string(), "add a seed to walk to"));
    }
    if !(2..=10_000).contains(&frames) {
        let found = frames.to_string();
        return Err(Error::value("--frames", "from 2 to 10000", found, "choose a number between"));
    }
    let generator = Generator::open(sampling, &[])?;
    let folder = output.folder("walk", [FRAMES, GIF].map(String::from), progress)?;
    let latents: Vec<Vec<f32>> = seeds.iter().map(|&seed| generator.latent(seed)).collect();
    let styles: Vec<Array2<f32>> = latents.iter().map(|z| generator.styles(z, seeds[0])).collect();
    let mut volumes = Vec::with_capacity(frames);
    for frame in 0..frames {
        progress.check()?;
        let along = frame as f64 / frames as f64 * seeds.len() as f64;
        let (from, part) = (along as usize, along.fract());
        let to = (from + 1) % seeds.len();
        let ws = match space {
            Space::W => &styles[from] * (1.0 - part) as f32 + &styles[to] * part as f32,
            Space::Z => generator.styles(&slerp(&latents[from], &latents[to], part), seeds[0]),
        };
        volumes.push(generator.volume(&ws, seeds[0]));
        progress.tell(Event::Done { what: "frames", done: frame + 1, of: frames, left: None });
    }
    let path = folder.join(FRAMES);
    let details = json!({ "Seeds": seeds, "Frames": frames, "Space": format!("{space:?}") });
    generator.write(&path, &volumes, output.stored, seeds[0], details)?;
    progress.tell(Event::Wrote(&path));
    let montage = Montage { columns: 1, ..Montage::fit(&volumes)? };
    let pictures =
        volumes.iter().map(|v| montage.render(std::slice::from_ref(v))).collect::<Result<Vec<_>>>()?;
    let gif = folder.join(GIF);
    write_gif(&gif, &pictures, *delay_ms)?;
    progress.tell(Event::Wrote(&gif));
    Ok(Walk { frames: path, gif })
}

/// Spherical interpolation (Shoemake 1985) between two latents, whose lengths are kept by what follows: the mapping
/// network normalises z.
fn slerp(from: &[f32], to: &[f32], part: f64) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = dot(from, to) / (dot(from, from) * dot(to, to)).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let [a, b] = if angle.sin() < 1e-6 {
        [1.0 - part, part]
    } else {
        [1.0 - part, part].map(|part| (part * angle).sin() / angle.sin())
    };
    from.iter().zip(to).map(|(from, to)| (a * f64::from(*from) + b * f64::from(*to)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_on_the_sphere_keeps_lengths_and_angles() {
        let (from, to) = ([2.0f32, 0.0, 0.0], [0.0f32, 0.0, 2.0]);
        let third = slerp(&from, &to, 1.0 / 3.0);
        // Thirty degrees of ninety.
        for (found, expected) in third.iter().zip([3f32.sqrt(), 0.0, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{third:?}");
        }
        assert_eq!((slerp(&from, &to, 0.0), slerp(&from, &from, 0.4)), (from.to_vec(), from.to_vec()));
    }
}
