//! Groups of structures with one distribution of intensities, their Gaussian parts, and the pairs that can share a
//! voxel.
//!
//! The rest of the refinement depends on these tables alone: another structure or group is a line here.

use crate::anatomy::Group::{self, *};
use crate::anatomy::{STRUCTURES, Structure};

/// Groups, and how many Gaussian parts the intensity of each has.
const TABLE: [(Group, usize); 9] = [
    (Ventricles, 1),
    (OuterFluid, 1),
    (ChoroidPlexus, 1),
    (Cortex, 1),
    (WhiteMatter, 1),
    (DeepGrey, 3),
    (Hippocampus, 1),
    (Hindbrain, 2),
    (Outside, 1),
];

/// Pairs of groups that can share a voxel.
pub const PAIRS: [(Group, Group); 12] = [
    (Cortex, WhiteMatter),
    (Ventricles, WhiteMatter),
    (Ventricles, DeepGrey),
    (Ventricles, Cortex),
    (Ventricles, Hippocampus),
    (Ventricles, Hindbrain),
    (Ventricles, ChoroidPlexus),
    (OuterFluid, WhiteMatter),
    (OuterFluid, Cortex),
    (OuterFluid, DeepGrey),
    (OuterFluid, Hippocampus),
    (OuterFluid, Hindbrain),
];

/// Number of groups.
pub const GROUPS: usize = TABLE.len();

/// Number of Gaussian parts of all groups.
pub const PARTS: usize = {
    let (mut sum, mut g) = (0, 0);
    while g < GROUPS {
        sum += TABLE[g].1;
        g += 1;
    }
    sum
};

/// The group of each part.
pub const GROUP_OF_PART: [usize; PARTS] = {
    let (mut groups, mut part, mut g) = ([0; PARTS], 0, 0);
    while g < GROUPS {
        let mut n = 0;
        while n < TABLE[g].1 {
            groups[part] = g;
            part += 1;
            n += 1;
        }
        g += 1;
    }
    groups
};

/// Number of pairs of parts that may share a voxel.
pub const PART_PAIRS: usize = {
    let (mut sum, mut n) = (0, 0);
    while n < PAIRS.len() {
        sum += TABLE[PAIRS[n].0 as usize].1 * TABLE[PAIRS[n].1 as usize].1;
        n += 1;
    }
    sum
};

impl Group {
    /// All, in order.
    pub const ALL: [Self; GROUPS] = {
        let mut all = [Outside; GROUPS];
        let mut g = 0;
        while g < GROUPS {
            all[g] = TABLE[g].0;
            g += 1;
        }
        all
    };

    /// Its index among the groups.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Number of Gaussian parts of its intensity.
    pub const fn parts(self) -> usize {
        TABLE[self.index()].1
    }

    /// Index of its first part; the others follow.
    pub const fn first(self) -> usize {
        let (mut first, mut g) = (0, 0);
        while g < self.index() {
            first += TABLE[g].1;
            g += 1;
        }
        first
    }

    /// Indices of its parts.
    pub fn range(self) -> std::ops::Range<usize> {
        self.first()..self.first() + self.parts()
    }

    /// Whether it is free fluid: one intensity, without partial volume on the side away from the tissue's.
    pub fn is_fluid(self) -> bool {
        matches!(self, Ventricles | OuterFluid)
    }

    /// Whether it is tissue of the brain.
    pub fn is_tissue(self) -> bool {
        !self.is_fluid() && !matches!(self, ChoroidPlexus | Outside)
    }
}

/// The group of a structure.
pub fn group(structure: Structure) -> Group {
    use Structure as S;
    match structure {
        S::Background | S::Head => Outside,
        S::Csf => OuterFluid,
        S::LeftLateralVentricle
        | S::RightLateralVentricle
        | S::LeftInferiorLateralVentricle
        | S::RightInferiorLateralVentricle
        | S::ThirdVentricle
        | S::FourthVentricle => Ventricles,
        S::LeftChoroidPlexus | S::RightChoroidPlexus => ChoroidPlexus,
        S::LeftCerebralCortex | S::RightCerebralCortex => Cortex,
        S::LeftCerebralWhiteMatter | S::RightCerebralWhiteMatter => WhiteMatter,
        S::LeftThalamus
        | S::RightThalamus
        | S::LeftCaudate
        | S::RightCaudate
        | S::LeftPutamen
        | S::RightPutamen
        | S::LeftPallidum
        | S::RightPallidum
        | S::LeftAccumbens
        | S::RightAccumbens
        | S::LeftVentralDiencephalon
        | S::RightVentralDiencephalon => DeepGrey,
        S::LeftHippocampus | S::RightHippocampus | S::LeftAmygdala | S::RightAmygdala => Hippocampus,
        S::LeftCerebellarCortex
        | S::RightCerebellarCortex
        | S::LeftCerebellarWhiteMatter
        | S::RightCerebellarWhiteMatter
        | S::BrainStem => Hindbrain,
    }
}

/// The index of the group of each structure.
pub fn group_of_structure() -> [usize; STRUCTURES] {
    Structure::ALL.map(|structure| group(structure).index())
}

/// The pairs of parts of [`PAIRS`].
pub fn part_pairs() -> [[usize; 2]; PART_PAIRS] {
    let mut pairs = [[0; 2]; PART_PAIRS];
    let all = PAIRS.iter().flat_map(|&(a, b)| a.range().flat_map(move |a| b.range().map(move |b| [a, b])));
    pairs.iter_mut().zip(all).for_each(|(to, pair)| *to = pair);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_their_groups() {
        for (index, group) in Group::ALL.into_iter().enumerate() {
            assert_eq!(group.index(), index);
            assert!(group.range().all(|part| GROUP_OF_PART[part] == index));
        }
        assert_eq!(Outside.range().end, PARTS);
        let pairs = part_pairs();
        assert!(pairs.iter().all(|[a, b]| a != b));
        assert!(pairs.contains(&[Ventricles.first(), Hindbrain.range().end - 1]));
    }

    #[test]
    fn sides_share_a_group_and_every_group_has_a_structure() {
        for structure in Structure::ALL {
            assert_eq!(group(structure), group(structure.mirrored()));
        }
        assert!(Group::ALL.into_iter().all(|g| Structure::ALL.into_iter().any(|s| group(s) == g)));
    }
}
