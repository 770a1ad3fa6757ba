//! The pose of a head in the world: the places of its structures, compared with those of a mean head.

mod mean_head;

use nalgebra::{Matrix3, Vector3};

use super::structures::STRUCTURES;
use crate::volume::orientation::{Orientation, orientation};
use mean_head::MEAN_HEAD;

/// How far a structure lies from its place, in millimetres, when it counts half. In 133 heads half of all structures
/// lie within 3 mm.
const TOLERANCE_MM: f64 = 4.0;
/// The tolerance at first, and what is left of it after each round.
const TOLERANCE_AT_FIRST_MM: f64 = 32.0;
const NARROWED: f64 = 0.75;
/// Times that weights and pose are found in turn.
const ROUNDS: usize = 16;
/// Fewer structures say nothing.
const STRUCTURES_MIN: usize = 8;

/// A pose: the similarity that takes a mean head to a head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// From the head's axes (right, anterior, superior) to those of the world: a rotation.
    pub rotation: Matrix3<f64>,
    /// Whether left structures are on the head's right, and right ones on its left.
    pub mirrored: bool,
    /// Size of the head relative to the mean head.
    pub scale: f64,
    /// World coordinates of the centre of its brain, in millimetres.
    pub centre_mm: Vector3<f64>,
    /// Share of the mean head's structures that are in their places, from 0 to 1; a structure counts half at a distance
    /// of 4 mm. Label maps of twelve normal heads have 0.73 to 0.89, structures exchanged at random 0.1.
    pub agreement: f64,
}

impl Pose {
    /// The least agreement of a reliable pose.
    pub const AGREEMENT_MIN: f64 = 0.4;
    /// The largest tilt of a head in degrees; a larger rotation means that the scan's axes are wrong.
    pub const TILT_MAX_DEG: f64 = 50.0;

    /// The pose of a head from the centres of its structures in the world, in millimetres; `None` with fewer than eight
    /// of the mean head's 29 structures, or if their centres have no extent.
    ///
    /// It is the similarity of least squares (Umeyama 1991, "Least-squares estimation of transformation parameters
    /// between two point patterns") with Cauchy weights whose width is narrowed in each iteration, so that structures
    /// in a wrong place do not count. Unlike there, reflections are allowed.
    pub fn of(centres_mm: &[Option<[f64; 3]>; STRUCTURES]) -> Option<Self> {
        let pairs: Vec<[Vector3<f64>; 2]> = MEAN_HEAD
            .iter()
            .filter_map(|(structure, place)| {
                Some([Vector3::from(*place), Vector3::from(centres_mm[structure.index()]?)])
            })
            .collect();
        if pairs.len() < STRUCTURES_MIN {
            return None;
        }
        let mut tolerance_mm = TOLERANCE_AT_FIRST_MM;
        let mut weights = vec![1.0; pairs.len()];
        let mut pose = similarity(&pairs, &weights)?;
        for _ in 0..ROUNDS {
            for (weight, [place, found]) in weights.iter_mut().zip(&pairs) {
                *weight = 1.0 / (1.0 + (pose.distance_mm(place, found) / tolerance_mm).powi(2));
            }
            pose = similarity(&pairs, &weights)?;
            tolerance_mm = (NARROWED * tolerance_mm).max(TOLERANCE_MM);
        }
        let agreement = weights.iter().sum::<f64>() / MEAN_HEAD.len() as f64;
        Some(Self { agreement, ..pose })
    }

    /// Whether `agreement` is at least [`Pose::AGREEMENT_MIN`].
    pub fn is_reliable(&self) -> bool {
        self.agreement >= Self::AGREEMENT_MIN
    }

    /// The angle of the rotation between the head's axes and `axes` (the columns of a rotation), in degrees, from 0 to
    /// 180.
    pub fn turned_deg(&self, axes: &Matrix3<f64>) -> f64 {
        // The trace of a rotation is 1 + 2 cos θ.
        let trace = (axes.transpose() * self.rotation).trace();
        ((trace - 1.0) / 2.0).clamp(-1.0, 1.0).acos().to_degrees()
    }

    /// The anatomical directions of the world's x, y and z: "RAS" for a head oriented as the world's axes say, "RPI"
    /// for one that is upside down and faces backwards.
    pub fn seen(&self) -> Orientation {
        orientation(&self.axes().transpose().to_homogeneous())
    }

    /// The place in the mean head, in its millimetres, of a place in the world.
    pub fn in_mean_head(&self, world_mm: &Vector3<f64>) -> Vector3<f64> {
        self.axes().transpose() * (world_mm - self.centre_mm) / self.scale
    }

    /// The structures of the mean head and their centres, in millimetres.
    #[cfg(test)]
    pub(crate) fn mean_head() -> impl Iterator<Item = (super::Structure, [f64; 3])> {
        MEAN_HEAD.into_iter()
    }

    /// From the mean head's axes to the world's, mirrored where the head is.
    fn axes(&self) -> Matrix3<f64> {
        if self.mirrored { self.rotation * mirror() } else { self.rotation }
    }

    /// Distance in the mean head's millimetres between a place in it, taken to the world, and where something was
    /// found.
    fn distance_mm(&self, place: &Vector3<f64>, found: &Vector3<f64>) -> f64 {
        (self.axes() * place - (found - self.centre_mm) / self.scale).norm()
    }
}

/// Left becomes right.
fn mirror() -> Matrix3<f64> {
    Matrix3::from_diagonal(&Vector3::new(-1.0, 1.0, 1.0))
}

/// The similarity that takes the first of each pair nearest to the second; none of pairs without extent.
fn similarity(pairs: &[[Vector3<f64>; 2]], weights: &[f64]) -> Option<Pose> {
    let total: f64 = weights.iter().sum();
    let mean = |which: usize| {
        pairs.iter().zip(weights).map(|(pair, weight)| pair[which] * *weight).sum::<Vector3<f64>>() / total
    };
    let (from, to) = (mean(0), mean(1));
    let (mut products, mut squares) = (Matrix3::zeros(), 0.0);
    for ([place, found], weight) in pairs.iter().zip(weights) {
        products += *weight * (found - to) * (place - from).transpose();
        squares += weight * (place - from).norm_squared();
    }
    let svd = products.try_svd(true, true, f64::EPSILON, 1000)?;
    let axes = svd.u? * svd.v_t?;
    let scale = svd.singular_values.sum() / squares;
    let mirrored = axes.determinant() < 0.0;
    let rotation = if mirrored { axes * mirror() } else { axes };
    let centre_mm = to - scale * axes * from;
    (scale > 0.0 && scale.is_finite()).then_some(Pose {
        rotation,
        mirrored,
        scale,
        centre_mm,
        agreement: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use nalgebra::{Rotation3, Unit};

    use super::*;

    /// The mean head, turned, grown and moved.
    fn turned(axes: &Matrix3<f64>, scale: f64, centre_mm: Vector3<f64>) -> [Option<[f64; 3]>; STRUCTURES] {
        let mut centres = [None; STRUCTURES];
        for (structure, place) in MEAN_HEAD {
            centres[structure.index()] = Some((centre_mm + scale * axes * Vector3::from(place)).into());
        }
        centres
    }

    #[test]
    fn the_mean_head_is_even() {
        for (structure, [x, y, z]) in MEAN_HEAD {
            let other =
                MEAN_HEAD.iter().find(|(other, _)| *other == structure.mirrored()).expect("both sides");
            assert_eq!(other.1, [if x == 0.0 { 0.0 } else { -x }, y, z], "{structure:?}");
        }
    }

    #[test]
    fn a_known_pose_is_found_in_spite_of_structures_out_of_place() {
        let centre = Vector3::new(3.0, -40.0, 17.0);
        for (axis, degrees) in [([1.0, 0.0, 0.0], 0.0), ([1.0, 2.0, -1.0], 25.0), ([0.0, 1.0, 0.1], 178.0)] {
            let axis = Unit::new_normalize(Vector3::from(axis));
            let rotation = Rotation3::from_axis_angle(&axis, f64::to_radians(degrees)).into_inner();
            let mut centres = turned(&rotation, 0.93, centre);
            let pose = Pose::of(&centres).unwrap();
            assert!(
                (pose.rotation - rotation).norm() < 1e-9
                    && (pose.turned_deg(&Matrix3::identity()) - degrees).abs() < 1e-4
            );
            assert!((pose.scale - 0.93).abs() < 1e-9 && (pose.centre_mm - centre).norm() < 1e-9);
            assert!((pose.agreement - 1.0).abs() < 1e-9 && !pose.mirrored);
            // Four structures out of place by up to 8 cm, four that are absent.
            for (n, (structure, _)) in MEAN_HEAD.iter().step_by(4).enumerate() {
                let centre = &mut centres[structure.index()];
                let away = if n % 2 == 0 { 80.0 } else { -40.0 };
                *centre = if n < 4 { centre.map(|[x, y, z]| [x + away, y, z - 0.5 * away]) } else { None };
            }
            let robust = Pose::of(&centres).unwrap();
            let apart_deg = robust.turned_deg(&rotation);
            assert!(apart_deg < 1.0, "{degrees}: {apart_deg}");
            assert!(robust.agreement > 0.6 && robust.agreement < 0.8, "{}", robust.agreement);
        }
    }

    #[test]
    fn axes_are_named_as_the_anatomy_shows_them() {
        let diagonal = |x: f64, y: f64, z: f64| Matrix3::from_diagonal(&Vector3::new(x, y, z));
        // Columns: where right, anterior and superior of the head lie in the world.
        let cycled = Matrix3::new(0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0);
        let cases = [
            (diagonal(1.0, 1.0, 1.0), "RAS", false, 0.0),
            (diagonal(-1.0, -1.0, 1.0), "LPS", false, 180.0),
            (diagonal(1.0, 1.0, -1.0), "RAI", true, 180.0),
            (diagonal(-1.0, 1.0, 1.0), "LAS", true, 0.0),
            (cycled, "SRA", false, 120.0),
        ];
        for (axes, code, mirrored, degrees) in cases {
            let pose = Pose::of(&turned(&axes, 1.0, Vector3::zeros())).unwrap();
            assert_eq!((pose.seen().to_string().as_str(), pose.mirrored), (code, mirrored));
            let turned_deg = pose.turned_deg(&Matrix3::identity());
            assert!((turned_deg - degrees).abs() < 1e-4, "{code}: {turned_deg}");
        }
    }

    #[test]
    fn places_without_order_are_no_head() {
        let mut centres = turned(&Matrix3::identity(), 1.0, Vector3::zeros());
        let few = std::array::from_fn(|k| centres[k].filter(|_| k < 9));
        assert_eq!(Pose::of(&few), None);
        centres[3..].rotate_left(11);
        assert!(!Pose::of(&centres).unwrap().is_reliable());
        assert_eq!(Pose::of(&[Some([1.0; 3]); STRUCTURES]).filter(Pose::is_reliable), None);
    }
}
