//! Motion between the shots of an acquisition: each part of k-space is measured with the image in another position.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::motion::{Moved, Rigid};
use super::sampled::Sampled;
use crate::acquisition::linear::{LinearOperator, Operator};
use crate::error::{Error, Result};

/// The shots of an acquisition: the object's position at each, and the places of k-space that each measured.
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

impl Shots {
    /// Whether every place of a measurement with `places` `[D, H, W]` has a shot that exists.
    ///
    /// # Errors
    /// [`Error::Value`] if `shot_of` has another shape, or an index beyond `transforms`.
    pub fn check(&self, places: &[usize]) -> Result<()> {
        let advice = "give each place of k-space its shot";
        if self.shot_of.shape() != places {
            let (expected, found) =
                (format!("{places:?}, the places"), format!("{:?}", self.shot_of.shape()));
            return Err(Error::value("shots.shot_of", expected, found, advice));
        }
        let count = self.transforms.len();
        match self.shot_of.iter().find(|shot| usize::from(**shot) >= count) {
            None => Ok(()),
            Some(shot) => {
                let expected = format!("numbers below {count}, of as many transforms");
                Err(Error::value("shots.shot_of", expected, shot.to_string(), "add the transform"))
            }
        }
    }
}

/// An acquisition during which the object moves: `y = Σ_s P_s·E·M_s·x`, with the motion `M_s` of shot s, any
/// encoding `E` of an image that stays still, and the selection `P_s` of the places that shot s measured.
///
/// `still` encodes images `[D, H, W]` with voxels of `spacing_mm` along `(i, j, k)`; its output's last three axes are
/// those of `shots.shot_of`. Shots that measured nothing cost nothing.
///
/// # Errors
/// [`Error::Value`] if a place's shot does not exist, the shapes do not fit, or as [`Rigid::source`].
pub fn motion_encoded(still: &Operator, shots: &Shots, spacing_mm: [f64; 3]) -> Result<Operator> {
    let (input, output) = (still.input_shape(), still.output_shape());
    let &[d, h, w] = input else {
        let found = format!("{input:?}");
        return Err(Error::value("image shape", "[D, H, W]", found, "motion acts on one image"));
    };
    shots.check(&output[1..])?;
    let mut parts = Vec::new();
    for (rigid, shot) in shots.transforms.iter().zip(0..) {
        let measured = shots.shot_of.mapv(|of| of == shot);
        if measured.iter().any(|&measured| measured) {
            let select = Operator::new(Sampled::new(measured, output[0]));
            let moved = Operator::new(Moved::new([d, h, w], rigid, spacing_mm)?);
            parts.push(&(&select * still) * &moved);
        }
    }
    Ok(Operator::sum(parts))
}
