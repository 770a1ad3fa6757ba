//! What the values of volumes are, which decides the types of number that hold them.

use rayon::prelude::*;

use super::data_type::DataType;
use crate::volume::Volume;

/// The values of some volumes, in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Values {
    /// The least and the largest finite one; none where there is no finite one.
    pub ends: Option<(f32, f32)>,
    /// Whether all finite ones are whole numbers.
    pub whole: bool,
    /// Whether all are finite.
    pub finite: bool,
}

/// Values that one thread looks at in one go.
const RUN: usize = 1 << 16;

impl Values {
    const NONE: Self = Self { ends: None, whole: true, finite: true };

    pub fn of(frames: &[Volume]) -> Self {
        let of_frame = |frame: &Volume| match frame.data.as_slice_memory_order() {
            Some(values) => values.par_chunks(RUN).map(Self::of_run).reduce(|| Self::NONE, Self::and),
            None => frame.data.iter().map(|&value| Self::of_run(&[value])).fold(Self::NONE, Self::and),
        };
        frames.iter().map(of_frame).fold(Self::NONE, Self::and)
    }

    fn of_run(values: &[f32]) -> Self {
        let mut lanes = Lanes::NEW;
        let (runs, rest) = values.as_chunks();
        runs.iter().for_each(|run| lanes.take(run));
        rest.iter().for_each(|&value| lanes.take(&[value; LANES]));
        lanes.values()
    }

    fn and(self, other: Self) -> Self {
        let ends = match (self.ends, other.ends) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        Self { ends, whole: self.whole && other.whole, finite: self.finite && other.finite }
    }

    /// Whether numbers of this type hold all of them exactly.
    pub fn held_by(self, number: DataType) -> bool {
        let Some((low, high)) = number.range() else { return true };
        let within = |(least, largest): (f32, f32)| low <= least.into() && f64::from(largest) <= high;
        self.whole && self.finite && self.ends.is_none_or(within)
    }
}

/// Numbers that are looked at side by side: without a branch and without order among them, so that they fill a register.
const LANES: usize = 16;

struct Lanes {
    least: [f32; LANES],
    largest: [f32; LANES],
    /// 1 where one was no whole number, and where one was not finite.
    part: [u32; LANES],
    wild: [u32; LANES],
}

impl Lanes {
    const NEW: Self = Self {
        least: [f32::INFINITY; LANES],
        largest: [f32::NEG_INFINITY; LANES],
        part: [0; LANES],
        wild: [0; LANES],
    };

    #[inline]
    fn take(&mut self, values: &[f32; LANES]) {
        for (k, &value) in values.iter().enumerate() {
            let finite = value.abs() <= f32::MAX;
            let low = if finite { value } else { f32::INFINITY };
            let high = if finite { value } else { f32::NEG_INFINITY };
            self.least[k] = if low < self.least[k] { low } else { self.least[k] };
            self.largest[k] = if high > self.largest[k] { high } else { self.largest[k] };
            self.part[k] |= u32::from(has_part(value));
            self.wild[k] |= u32::from(!finite);
        }
    }

    fn values(&self) -> Values {
        let least = self.least.into_iter().fold(f32::INFINITY, f32::min);
        let largest = self.largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let none = |marks: [u32; LANES]| marks.iter().all(|&mark| mark == 0);
        Values {
            ends: (least <= largest).then_some((least, largest)),
            whole: none(self.part),
            finite: none(self.wild),
        }
    }
}

/// Whether a finite value has a fraction: from 2²³ on none has, and below, adding that rounds it away. Unlike `trunc`, which is a call of
/// a function where the processor is not known, this is made of single instructions.
fn has_part(value: f32) -> bool {
    const WHOLE: f32 = 8_388_608.0;
    let size = value.abs();
    (size < WHOLE) & ((size + WHOLE) - WHOLE != size)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;
    use proptest::prelude::*;

    use super::*;
    use crate::volume::VoxelToWorld;

    fn volume(values: Vec<f32>) -> Volume {
        let data = Array4::from_shape_vec([1, 1, 1, values.len()], values).unwrap();
        Volume::new(data, VoxelToWorld::identity())
    }

    #[test]
    fn of_none() {
        assert_eq!(Values::of(&[]), Values::NONE);
        let odd = Values::of(&[volume(vec![f32::NAN, f32::INFINITY])]);
        assert_eq!(odd, Values { ends: None, whole: true, finite: false });
        assert!(!odd.held_by(DataType::I16) && odd.held_by(DataType::F32));
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        for value in [0.0, -0.0, 1.0, -7.5, 1e-40, 4_194_304.5, 8_388_607.5, 8_388_607.0, 16_777_217.0, -3e38]
        {
            assert_eq!(has_part(value), value.fract() != 0.0, "{value}");
        }
        assert!(!has_part(f32::NAN) && !has_part(f32::INFINITY));
    }

    #[test]
    fn integers_hold_what_is_whole_and_in_range() {
        for (number, value, holds) in [
            (DataType::U8, 255.0, true),
            (DataType::U8, 256.0, false),
            (DataType::I8, -128.0, true),
            (DataType::I16, 0.5, false),
            (DataType::I16, f32::NAN, false),
            (DataType::U64, -1.0, false),
            (DataType::I64, 2f32.powi(63), false),
            (DataType::F32, f32::INFINITY, true),
        ] {
            assert_eq!(Values::of(&[volume(vec![value])]).held_by(number), holds, "{number:?} {value}");
        }
    }

    proptest! {
        /// Of several volumes, and of any number of values, as of all values one by one.
        #[test]
        fn of_all_as_of_each(
            values in prop::collection::vec(prop_oneof![9 => (-9i8..9).prop_map(f32::from), 1 => -9f32..9.0, 1 => Just(f32::NAN)], 1..40),
        ) {
            let finite = || values.iter().copied().filter(|value| value.is_finite());
            let each: Vec<Volume> = values.iter().map(|&value| volume(vec![value])).collect();
            for found in [Values::of(&each), Values::of(&[volume(values.clone())])] {
                prop_assert_eq!(found.whole, finite().all(|value| value.fract() == 0.0));
                prop_assert_eq!(found.finite, finite().count() == values.len());
                let ends = finite().reduce(f32::min).zip(finite().reduce(f32::max));
                prop_assert_eq!(found.ends, ends);
            }
        }
    }
}
