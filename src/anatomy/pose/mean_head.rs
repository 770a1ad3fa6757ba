//! The positions of the structures of a mean head.

use super::super::structures::Structure::{self, *};

/// Centres of structures of a mean head in millimetres along its own axes: right, anterior, superior. The origin lies
/// between the hemispheres at the centre of the brain's volume.
///
/// From ten label maps of SynthSeg's training set (1, 2, 3, 6, 8, 10, 11, 12, 14, 15): centres of mass, aligned to
/// their mean by similarities in turns (generalised Procrustes analysis, Gower 1975), with weights against outliers.
/// The mean was made equal to its mirror image; its pitch is the mean one of those scans, which lie from 15 degrees
/// forwards to 17 backwards of it. Choroid plexus and temporal horns are left out: they are thin, and may be absent.
pub(super) const MEAN_HEAD: [(Structure, [f64; 3]); 29] = [
    (LeftLateralVentricle, [-14.1, 8.0, 8.1]),
    (RightLateralVentricle, [14.1, 8.0, 8.1]),
    (ThirdVentricle, [0.0, 16.1, -5.3]),
    (FourthVentricle, [0.0, -9.1, -40.8]),
    (LeftCerebralCortex, [-30.5, 2.3, 7.2]),
    (RightCerebralCortex, [30.5, 2.3, 7.2]),
    (LeftCerebralWhiteMatter, [-26.8, 1.4, 9.3]),
    (RightCerebralWhiteMatter, [26.8, 1.4, 9.3]),
    (LeftThalamus, [-12.7, 6.1, -0.8]),
    (RightThalamus, [12.7, 6.1, -0.8]),
    (LeftCaudate, [-15.8, 30.0, 9.2]),
    (RightCaudate, [15.8, 30.0, 9.2]),
    (LeftPutamen, [-26.0, 24.5, -1.1]),
    (RightPutamen, [26.0, 24.5, -1.1]),
    (LeftPallidum, [-20.7, 21.5, -3.2]),
    (RightPallidum, [20.7, 21.5, -3.2]),
    (LeftHippocampus, [-24.8, 7.9, -19.0]),
    (RightHippocampus, [24.8, 7.9, -19.0]),
    (LeftAmygdala, [-23.7, 25.6, -18.7]),
    (RightAmygdala, [23.7, 25.6, -18.7]),
    (LeftAccumbens, [-9.7, 36.2, -4.3]),
    (RightAccumbens, [9.7, 36.2, -4.3]),
    (LeftVentralDiencephalon, [-11.1, 12.2, -12.6]),
    (RightVentralDiencephalon, [11.1, 12.2, -12.6]),
    (LeftCerebellarCortex, [-22.7, -23.5, -49.5]),
    (RightCerebellarCortex, [22.7, -23.5, -49.5]),
    (LeftCerebellarWhiteMatter, [-16.5, -15.8, -42.8]),
    (RightCerebellarWhiteMatter, [16.5, -15.8, -42.8]),
    (BrainStem, [0.0, 3.9, -35.1]),
];
