//! Motion correction: an image of a head that moved while it was measured.

use std::ops::Range;

use ndarray::{Array4, Axis, s};

use super::case::{part, part_at};
use super::recon::{brightness, pair, with_samples};
use super::{Case, Channels, Example, Head, Input, Subject};
use crate::acquisition::encoding::Encoding;
use crate::acquisition::operators::motion::Rigid;
use crate::acquisition::{Complex32, ComplexArray, Operator};
use crate::config::MotionRecipe;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::recon::{Sense, least_squares};
use crate::simulate::degrade::Motion as Moves;
use crate::volume::{Volume, VoxelToWorld};

/// The least-squares image of known shots. Where the head never was, nothing is known: λ keeps the image from growing
/// there.
const START: Sense = Sense { lambda: 1e-3, iterations: 12, tolerance: 1e-3 };

/// Motion correction. Either only the corrupted image is known: it is the initial estimate, and there is no data
/// consistency. Or the shots are known: the initial estimate is the least-squares image, and the result is consistent
/// with the samples.
#[derive(Clone, Debug)]
pub struct Motion {
    recipe: MotionRecipe,
}

impl Motion {
    /// The head of this recipe.
    pub fn new(recipe: &MotionRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of a corrupted image `[C, D, H, W]` without its samples.
    pub fn unknown(&self, corrupted: Array4<f32>) -> Case {
        Case::unconstrained(corrupted)
    }

    /// The case of `samples` with known shots, in the shape of the output of [`Encoding::operator`].
    ///
    /// # Errors
    /// As [`Encoding::operator`].
    pub fn known(&self, encoding: Encoding, samples: ComplexArray) -> Result<Case> {
        let operator = encoding.operator()?;
        Ok(Self::by(&operator, encoding, samples))
    }

    /// The same with the operator of the encoding.
    fn by(operator: &Operator, encoding: Encoding, samples: ComplexArray) -> Case {
        let initial = pair(&least_squares(operator, samples.clone(), 1.0, &START).image);
        with_samples(encoding, samples, initial)
    }
}

/// The part of this grid, at `first`, of what is measured of a volume of 1 mm that moves. Only what can reach it is
/// moved.
fn corrupted_part(
    volume: &Volume,
    motion: Moves,
    first: [usize; 3],
    patch: [usize; 3],
) -> Result<Array4<f32>> {
    let dims = [1, 2, 3].map(|axis| volume.data.shape()[axis]);
    let middle = |range: &Range<usize>| (range.start + range.end) as f64 / 2.0;
    let of_part = |part: &[Range<usize>; 3]| -> Vec<Rigid> {
        let offset_mm = [2, 1, 0].map(|axis| middle(&part[axis]) - dims[axis] as f64 / 2.0);
        motion.poses.iter().map(|pose| pose.of_part(offset_mm)).collect()
    };
    let part = [0, 1, 2].map(|axis| first[axis]..first[axis] + patch[axis]);
    let norm = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let radius = 0.5 * norm(patch.map(|length| length as f64));
    // How far a pose moves any of the part's voxels, at most; and two voxels that interpolation reads.
    let reach = |pose: &Rigid| {
        let turn: f64 = pose.rotation_deg.iter().map(|angle| angle.abs().to_radians()).sum();
        norm(pose.translation_mm) + turn * radius
    };
    let margin = of_part(&part).iter().map(reach).fold(0.0, f64::max).ceil() as usize + 2;
    let within = [0, 1, 2].map(|axis| {
        if axis == motion.axis as usize {
            return 0..dims[axis];
        }
        first[axis].saturating_sub(margin)..(first[axis] + patch[axis] + margin).min(dims[axis])
    });
    let motion = Moves { poses: of_part(&within), ..motion };
    let [z, y, x] = within.clone();
    let around = Volume::new(volume.data.slice(s![.., z, y, x]).to_owned(), volume.affine);
    let moved = motion.apply(&around)?.volume.data;
    let [z, y, x] = [0, 1, 2].map(|axis| {
        let start = first[axis] - within[axis].start;
        start..start + patch[axis]
    });
    Ok(moved.slice(s![.., z, y, x]).to_owned())
}

impl Head for Motion {
    fn channels(&self) -> Channels {
        let channels = if self.recipe.known { 2 } else { 1 };
        Channels { input: channels, image: channels, condition: 0 }
    }

    fn case_of(&self, input: Input) -> Result<Case> {
        match input {
            Input::Image(image) if !self.recipe.known => Ok(self.unknown(image.clone())),
            Input::Image(_) => {
                let expected = "weights for images whose motion is not known";
                Err(Error::value(
                    "head.known",
                    expected,
                    "known = true",
                    "give weights trained with known = false",
                ))
            }
            Input::Kspace(problem) if self.recipe.known && problem.acquired.moves.is_some() => {
                let acquired = &problem.acquired;
                let case = Self::by(problem.operator(), acquired.encoding(), acquired.measured());
                Ok(case.scaled(brightness(&problem.zero_filled())))
            }
            other => Err(other.of_another("motion")),
        }
    }

    /// Motion acts on all of an image: its part is taken afterwards, but of a known motion, whose samples are those of
    /// the part alone.
    fn example(
        &self,
        subject: Subject,
        patch: [usize; 3],
        [seed, step, sample]: [u64; 3],
    ) -> Result<Example> {
        let rng = &mut stream(seed, step, 0, sample, Purpose::Restoration);
        let image = subject.scan()?;
        if self.recipe.known {
            let truth = part(image, patch, rng)?;
            let volume = Volume::new(truth.clone(), VoxelToWorld::identity());
            let shots = self.recipe.motion.draw(&volume, rng)?.shots(patch)?;
            let encoding = Encoding { shots: Some(shots), ..Encoding::full(patch, [1.0; 3]) };
            let truth = truth.index_axis_move(Axis(0), 0).mapv(|x| Complex32::new(x, 0.0));
            let operator = encoding.operator()?;
            let samples = &operator * truth.clone().into_dyn();
            return Ok(Example { case: Self::by(&operator, encoding, samples), truth: pair(&truth) });
        }
        let volume = Volume::new(image.clone(), VoxelToWorld::identity());
        let motion = self.recipe.motion.draw(&volume, rng)?;
        let (truth, first) = part_at(image, patch, rng)?;
        let corrupted = corrupted_part(&volume, motion, first, patch)?;
        Ok(Example { case: self.unknown(corrupted), truth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::sampling::Axis as Encoded;
    use crate::simulate::degrade::RandomMotion;

    #[test]
    fn a_part_is_corrupted_as_within_the_whole() -> Result<()> {
        let image = Array4::from_shape_fn((1, 60, 64, 68), |(_, z, y, x)| {
            let far = [(z, 30.0), (y, 32.0), (x, 34.0)].map(|(at, centre)| at as f32 + 0.5 - centre);
            let r = far.iter().map(|d| d * d).sum::<f32>().sqrt();
            if r < 24.0 {
                0.6 + 0.3 * (0.4 * far[0] + 0.3 * far[1]).sin() * (0.35 * far[2]).cos()
            } else {
                0.0
            }
        });
        let volume = Volume::new(image.clone(), VoxelToWorld::identity());
        for (axis, most) in [(Encoded::H, 3.0), (Encoded::W, 3.0), (Encoded::D, 3.0), (Encoded::H, 8.0)] {
            let random = RandomMotion {
                rotation_deg: [-most, most],
                translation_mm: [-most, most],
                axes: vec![axis],
                ..RandomMotion::default()
            };
            let motion = random.draw(&volume, &mut stream(3, 0, 0, 0, Purpose::Degradation))?;
            let whole = motion.apply(&volume)?.volume.data;
            let (first, patch) = ([8, 20, 30], [16, 20, 24]);
            let part = corrupted_part(&volume, motion, first, patch)?;
            let of = |from: &Array4<f32>| from.slice(s![.., 8..24, 20..40, 30..54]).to_owned();
            let differ = |a: &Array4<f32>, b: &Array4<f32>| (a - b).mapv(|d| d * d).sum().sqrt();
            let (off, moved) = (differ(&part, &of(&whole)), differ(&of(&image), &of(&whole)));
            // The passes of a rotation read between voxels at places that depend on the grid's centre.
            assert!(off < 0.05 * moved && moved > 1.0, "{axis:?}, {most}: {off} of {moved}");
        }
        Ok(())
    }
}
