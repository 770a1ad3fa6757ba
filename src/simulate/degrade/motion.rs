//! Rigid motion between the shots of an acquisition.

use ndarray::{Array3, Array4, Axis as ArrayAxis};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::spectrum::through_kspace;
use super::{ALL_AXES, Component, Degraded, check, draw_axis, uniform};
use crate::acquisition::encoding::Encoding;
use crate::acquisition::operators::motion::Rigid;
use crate::acquisition::operators::shots::Shots;
use crate::acquisition::sampling::Axis;
use crate::acquisition::{Complex32, ComplexArray, Operator};
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Ranges of [`Motion`], after Shaw et al. 2019, "MRI k-space motion artefact augmentation: model robustness and
/// task-specific uncertainty", as in torchio: the head moves a few times, each time to a new pose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomMotion {
    /// Number of moves, 2 by default. There is one pose more, and one of the poses is that of the volume.
    pub moves: usize,
    /// Range of the angles about i, j and k in degrees, `[-10, 10]` by default.
    pub rotation_deg: [f64; 2],
    /// Range of the shifts along i, j and k in millimetres, `[-10, 10]` by default.
    pub translation_mm: [f64; 2],
    /// The moves are at equal steps of the acquisition, each up to this part of a step earlier or later; 0 to 0.5, 0.3
    /// by default.
    pub jitter: f64,
    /// Phase-encoding axes to choose from.
    pub axes: Vec<Axis>,
    /// The order in which the planes across that axis are measured.
    pub order: ShotOrder,
    /// Magnitude or real part.
    pub component: Component,
}

impl Default for RandomMotion {
    fn default() -> Self {
        Self {
            moves: 2,
            rotation_deg: [-10.0, 10.0],
            translation_mm: [-10.0, 10.0],
            jitter: 0.3,
            axes: ALL_AXES.to_vec(),
            order: ShotOrder::Sequential,
            component: Component::Magnitude,
        }
    }
}

/// Rigid motion between shots: planes of k-space across the phase-encoding axis are measured one after the other, each
/// with the head in the pose of its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motion {
    /// The phase-encoding axis.
    pub axis: Axis,
    /// Times of the moves, as parts of the acquisition, ascending from 0 to 1.
    pub times: Vec<f64>,
    /// The pose before the first move and after each: one more than there are times.
    pub poses: Vec<Rigid>,
    /// The order in which the planes are measured.
    pub order: ShotOrder,
    /// Magnitude or real part.
    pub component: Component,
}

/// The order in which the N planes across the phase-encoding axis are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShotOrder {
    /// From one end of k-space to the other, so that the planes of a pose form a slab.
    #[default]
    Sequential,
    /// In s shots, each through all of k-space: planes 0, s, 2s, … and then 1, s + 1, …
    Interleaved {
        /// Number of shots, one or more.
        shots: usize,
    },
}

impl ShotOrder {
    /// When plane `plane` of `count` is measured, from 0 to `count − 1`.
    fn place(self, plane: usize, count: usize) -> usize {
        match self {
            Self::Sequential => plane,
            Self::Interleaved { shots } => {
                let (of_shot, shot) = (plane / shots, plane % shots);
                (0..shot).map(|shot| (count - shot).div_ceil(shots)).sum::<usize>() + of_shot
            }
        }
    }

    fn check(self, count: usize) -> Result<()> {
        match self {
            Self::Interleaved { shots } if shots == 0 || shots > count => {
                let expected = format!("1 to {count}, the planes");
                Err(Error::value("order.shots", expected, shots.to_string(), "give fewer shots"))
            }
            _ => Ok(()),
        }
    }
}

impl RandomMotion {
    /// Draws times and poses. The pose at the centre of k-space is that of the volume, so that the degraded volume is
    /// in the same place. For a slice the motion is within its plane.
    ///
    /// # Errors
    /// [`Error::Value`] for invalid ranges, or axes of one voxel.
    pub fn draw(&self, volume: &Volume, rng: &mut impl Rng) -> Result<Motion> {
        check("jitter", self.jitter, [0.0, 0.5])?;
        if self.moves > 1000 {
            return Err(Error::value("moves", "1000 or fewer", self.moves.to_string(), "give fewer"));
        }
        let dims = volume.dims();
        let axis = draw_axis(&self.axes, volume, rng)?;
        let planes = volume.data.shape()[1 + axis as usize];
        self.order.check(planes)?;
        let step = 1.0 / (self.moves as f64 + 1.0);
        let mut times = Vec::with_capacity(self.moves);
        let mut poses = vec![Rigid::IDENTITY];
        for k in 1..=self.moves {
            times.push(step * (k as f64 + self.jitter * (2.0 * rng.random::<f64>() - 1.0)));
            let mut pose = Rigid::IDENTITY;
            for a in 0..3 {
                let unbounded = [f64::NEG_INFINITY, f64::INFINITY];
                let angle_deg = uniform("rotation_deg", self.rotation_deg, unbounded, rng)?;
                let shift_mm = uniform("translation_mm", self.translation_mm, unbounded, rng)?;
                if (0..3).all(|other| other == a || dims[other] > 1) {
                    pose.rotation_deg[a] = angle_deg;
                }
                if dims[a] > 1 {
                    pose.translation_mm[a] = shift_mm;
                }
            }
            poses.push(pose);
        }
        let mut motion = Motion { axis, times, poses, order: self.order, component: self.component };
        let centre = motion.pose_at(planes / 2, planes);
        motion.poses.swap(0, centre);
        Ok(motion)
    }
}

impl Motion {
    /// The pose in which plane `plane` of `count` is measured, as an index into `poses`.
    fn pose_at(&self, plane: usize, count: usize) -> usize {
        let place = self.order.place(plane, count);
        self.times.iter().filter(|&&time| (time * count as f64) as usize <= place).count()
    }

    /// The poses, and the index of the pose of each place of the k-space of an image `[D, H, W]`, for an
    /// [`Encoding`](crate::acquisition::encoding::Encoding).
    ///
    /// # Errors
    /// [`Error::Value`] for parameters out of their ranges, or not one pose more than times, as in a damaged record.
    pub fn shots(&self, image: [usize; 3]) -> Result<Shots> {
        if self.poses.len() != self.times.len() + 1 || self.poses.len() > usize::from(u16::MAX) {
            let (expected, found) = (format!("{}", self.times.len() + 1), format!("{}", self.poses.len()));
            return Err(Error::value("poses", expected, found, "give one pose more than times"));
        }
        self.times.iter().try_for_each(|&time| check("times", time, [0.0, 1.0]))?;
        let count = image[self.axis as usize];
        self.order.check(count)?;
        let mut shot_of = Array3::zeros(image);
        for (plane, mut places) in shot_of.axis_iter_mut(ndarray::Axis(self.axis as usize)).enumerate() {
            places.fill(self.pose_at(plane, count) as u16);
        }
        Ok(Shots { transforms: self.poses.clone(), shot_of })
    }

    /// The measured k-space of the volume, `[C, D, H, W]`, with DC at ⌊n/2⌋ of the axes longer than one: the samples of
    /// [`Motion::shots`].
    ///
    /// # Errors
    /// As [`Motion::apply`].
    pub fn kspace(&self, volume: &Volume) -> Result<Array4<Complex32>> {
        let (channels, d, h, w) = volume.data.dim();
        let image = [d, h, w];
        let axes: Vec<usize> = (0..3).filter(|&axis| image[axis] > 1).collect();
        let measured = self.operator(image, volume.spacing_mm(), &axes)?;
        let mut samples = Array4::zeros((channels, d, h, w));
        for (channel, mut to) in volume.data.outer_iter().zip(samples.outer_iter_mut()) {
            let image = channel.mapv(|value| Complex32::new(value, 0.0)).into_dyn();
            to.assign(&one_coil(&measured * image));
        }
        Ok(samples)
    }

    /// The measurement of an image `[D, H, W]` that moves, along these of its axes.
    fn operator(&self, image: [usize; 3], spacing_mm: [f64; 3], axes: &[usize]) -> Result<Operator> {
        let encoding = Encoding {
            shots: Some(self.shots(image)?),
            transformed: [0, 1, 2].map(|axis| axes.contains(&axis)),
            ..Encoding::full(image, spacing_mm)
        };
        encoding.operator()
    }

    /// The volume with motion; the voxel size is that of its affine.
    ///
    /// # Errors
    /// As [`Motion::shots`], and [`Error::Value`] for rotations of more than 60° or motion out of the plane of a slice.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        let (_, d, h, w) = volume.data.dim();
        let image = [d, h, w];
        // Poses differ along the phase-encoding axis only: transforms along the others would cancel.
        let axes = [self.axis as usize];
        let measured = self.operator(image, volume.spacing_mm(), &axes)?;
        let mut degraded = through_kspace(volume, &axes, self.component, |image, _| {
            Ok(one_coil(&measured * image.clone()).into_dyn())
        })?;
        let step = format!("moved {} times along {:?}", self.times.len(), self.axis);
        degraded.volume = degraded.volume.with_step(step);
        Ok(degraded)
    }
}

/// k-space of the only coil, `[D, H, W]`.
fn one_coil(samples: ComplexArray) -> Array3<Complex32> {
    samples.index_axis_move(ArrayAxis(0), 0).into_dimensionality().expect("k-space of rank four")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_shots_take_every_plane_once_and_in_turn() {
        for (count, shots) in [(10, 3), (9, 3), (7, 7), (5, 1), (16, 5)] {
            let order = ShotOrder::Interleaved { shots };
            let mut planes: Vec<usize> = (0..count).collect();
            planes.sort_by_key(|&plane| order.place(plane, count));
            let expected: Vec<usize> = (0..shots).flat_map(|s| (s..count).step_by(shots)).collect();
            assert_eq!(planes, expected);
            assert!((0..count).all(|i| order.place(planes[i], count) == i));
        }
    }
}
