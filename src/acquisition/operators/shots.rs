//! Motion between the shots of an acquisition: each part of k-space is measured from an image that lies elsewhere.

use ndarray::{Array3, ArrayD};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::motion::{Moved, Rigid};
use crate::acquisition::ComplexArray;
use crate::acquisition::linear::Linear;
use crate::error::{Error, Result};

/// Which places of k-space were measured while the image lay where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shots {
    /// The position of the object at each shot.
    pub transforms: Vec<Rigid>,
    /// The shot that measured each place of k-space, `[D, H, W]` (`[1, 1, samples]` for a trajectory): an index into
    /// `transforms`.
    #[serde(with = "super::array")]
    pub shot_of: Array3<u16>,
}

/// An acquisition during which the object moves: `y = Σ_s P_s·E·M_s·x`, with the motion `M_s` of shot s, any
/// encoding `E` of an image that stays still, and the selection `P_s` of the places that shot s measured.
pub struct MotionEncoded {
    shots: Vec<(Moved, u16)>,
    shot_of: Array3<u16>,
    still: Box<dyn Linear>,
}

impl MotionEncoded {
    /// `still` encodes images `[D, H, W]` with voxels of `spacing_mm` along `(i, j, k)`; its output's last three axes are those
    /// of `shots.shot_of`. Shots that measured nothing cost nothing.
    ///
    /// # Errors
    /// [`Error::Value`] if a place's shot does not exist, the shapes do not fit, or as [`Rigid::source`].
    pub fn new(still: impl Linear + 'static, shots: &Shots, spacing_mm: [f64; 3]) -> Result<Self> {
        let (input, output) = (still.input_shape(), still.output_shape());
        let &[d, h, w] = input else {
            let found = format!("{input:?}");
            return Err(Error::value("image shape", "[D, H, W]", found, "motion acts on one image"));
        };
        let places = shots.shot_of.shape();
        if !output.ends_with(places) {
            let (expected, found) = (format!("the last axes of {output:?}"), format!("{places:?}"));
            return Err(Error::value(
                "shots.shot_of",
                expected,
                found,
                "give each place of k-space its shot",
            ));
        }
        let count = shots.transforms.len();
        let mut measured = vec![false; count];
        for &shot in &shots.shot_of {
            let Some(measured) = measured.get_mut(usize::from(shot)) else {
                let expected = format!("numbers below {count}, of as many transforms");
                return Err(Error::value("shots.shot_of", expected, shot.to_string(), "add the transform"));
            };
            *measured = true;
        }
        let moved = shots.transforms.iter().zip(0..).filter(|(_, shot)| measured[usize::from(*shot)]);
        let moved = moved.map(|(rigid, shot)| Ok((Moved::new([d, h, w], rigid, spacing_mm)?, shot)));
        let moved = moved.collect::<Result<_>>()?;
        Ok(Self { shots: moved, shot_of: shots.shot_of.clone(), still: Box::new(still) })
    }

    /// `y = P_shot·x` at the places of this shot; the others stay.
    fn select(&self, x: &ComplexArray, shot: u16, y: &mut ComplexArray) {
        let places = self.shot_of.len();
        let shots = self.shot_of.as_standard_layout();
        let shots = shots.as_slice().expect("the places are in standard layout");
        let x = x.as_standard_layout();
        let from = x.as_slice().expect("k-space is in standard layout");
        let to = y.as_slice_mut().expect("a new array is contiguous");
        to.par_chunks_mut(places).zip(from.par_chunks(places)).for_each(|(to, from)| {
            let pairs = to.iter_mut().zip(from).zip(shots);
            pairs.filter(|(_, of)| **of == shot).for_each(|((to, from), _)| *to = *from);
        });
    }
}

impl Linear for MotionEncoded {
    fn input_shape(&self) -> &[usize] {
        self.still.input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.still.output_shape()
    }

    fn apply(&self, x: ComplexArray) -> ComplexArray {
        let mut y = ArrayD::zeros(self.output_shape());
        for (moved, shot) in &self.shots {
            self.select(&self.still.apply(moved.apply(x.clone())), *shot, &mut y);
        }
        y
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        let mut x = ArrayD::zeros(self.input_shape());
        for (moved, shot) in &self.shots {
            let mut part = ArrayD::zeros(self.output_shape());
            self.select(&y, *shot, &mut part);
            x += &moved.adjoint(self.still.adjoint(part));
        }
        x
    }
}
