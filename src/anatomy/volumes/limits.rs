//! Plausible ranges of volumes of adult human brains, and the thresholds of the flags.

/// The plausible range of the volume of a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The region, by its name in [`super::super::REGIONS`].
    pub region: &'static str,
    /// Smallest plausible volume in ml.
    pub min_ml: f64,
    /// Largest plausible volume in ml.
    pub max_ml: f64,
    /// The source of the range.
    pub source: &'static str,
}

macro_rules! limits {
    ($($region:ident: $min_ml:literal to $max_ml:literal, $source:literal;)+) => {
        /// Plausible volumes of adults, healthy or ill. They are no norms: the limits are about four standard
        /// deviations or more from the published mean where there is one, and far beyond the sixteen label maps of
        /// SynthSeg's training set, of young and of atrophic brains.
        pub const LIMITS: [Limit; [$(stringify!($region)),+].len()] =
            [$(Limit { region: stringify!($region), min_ml: $min_ml, max_ml: $max_ml, source: $source }),+];
    };
}

limits! {
    intracranial: 800.0 to 2200.0,
        "Matsumae 1996 (J Neurosurg 84:982): men 1469 ± 102, women 1289 ± 111 ml; sixteen label maps 1386 to 1754 ml";
    brain: 650.0 to 1950.0, "Matsumae 1996: men 1302 ± 112, women 1143 ± 105 ml; sixteen label maps 871 to 1430 ml";
    ventricles: 4.0 to 300.0, "sixteen label maps 10 to 80 ml; hydrocephalus above, slits below";
    lateral_ventricles: 2.0 to 250.0, "sixteen label maps 6 to 63 ml; hydrocephalus above, slits below";
    third_ventricle: 0.1 to 15.0, "sixteen label maps 0.5 to 3.6 ml";
    fourth_ventricle: 0.2 to 15.0, "sixteen label maps 0.8 to 2.7 ml";
    left_cerebral_cortex: 110.0 to 480.0,
        "Caviness 1996 (Cereb Cortex 6:726): 350 ml at 7 to 11 years; sixteen label maps 151 to 306 ml";
    right_cerebral_cortex: 110.0 to 480.0, "as of the left";
    left_cerebral_white_matter: 80.0 to 450.0, "sixteen label maps 153 to 274 ml";
    right_cerebral_white_matter: 80.0 to 450.0, "as of the left";
    left_deep_grey: 8.0 to 50.0, "sixteen label maps 16 to 28 ml";
    right_deep_grey: 8.0 to 50.0, "as of the left";
    left_hippocampus_amygdala: 1.0 to 14.0, "sixteen label maps 2.7 to 7.3 ml; sclerosis below";
    right_hippocampus_amygdala: 1.0 to 14.0, "as of the left";
    left_cerebellum: 25.0 to 120.0,
        "Escalona 1991 (AJNR 12:927): both sides 112 ± 16 ml; sixteen label maps 51 to 87 ml a side; atrophy below";
    right_cerebellum: 25.0 to 120.0, "as of the left";
    brain_stem: 8.0 to 50.0, "Caviness 1996: about 20 ml; sixteen label maps 15 to 26 ml";
}

/// Less fluid around the brain than this share of the intracranial volume: it is not in the scan. Matsumae 1996 finds
/// 11 % of fluid in all, most of it outside the ventricles, and more with age.
pub(super) const OUTER_FLUID_FRACTION: f64 = 0.03;
/// The largest component of a compact structure holds at least this share of it.
pub(super) const LARGEST_PIECE_FRACTION: f64 = 0.8;
/// Components of the brain beside the main one hold less than this share of it.
pub(super) const LOOSE_BRAIN_FRACTION: f64 = 0.01;
/// A second component of at least this share of the first makes a structure occur twice.
pub(super) const TWIN_FRACTION: f64 = 0.4;
/// Structures that occur twice in two brains; one may be cut in two by a lesion or a slip of the network.
pub(super) const TWINS: usize = 3;
/// The brain without its stem may reach the border of the field of view with this area for each millimetre of the layer
/// that is looked at, which a curved surface fills in proportion to its thickness; in sixteen whole heads the outermost
/// millimetre has up to 212 mm².
pub(super) const BORDER_AREA_MM2_PER_MM: f64 = 500.0;
/// The outermost two layers inside the field of view may each have this area for each millimetre; in sixteen heads up
/// to 660 mm².
pub(super) const FLAT_AREA_MM2_PER_MM: f64 = 2000.0;
/// Centres of left and right structures are at least this far apart, left to right; in sixteen heads 21 mm.
pub(super) const SIDES_APART_MM: f64 = 5.0;
/// The cerebellum's centre lies at least this far below that of the cerebral white matter; in sixteen heads 45 mm.
pub(super) const CEREBELLUM_BELOW_MM: f64 = 10.0;
/// The cerebellum's centre lies at least this far behind that of the brain stem; in sixteen heads 18 mm.
pub(super) const CEREBELLUM_BEHIND_MM: f64 = 0.0;
/// This share of the lateral ventricles may lie outside; in sixteen heads up to 0.6 %.
pub(super) const VENTRICLES_OUTSIDE_FRACTION: f64 = 0.05;
/// Hemispheres differ by less, as 2 |L − R| / (L + R); in sixteen heads by up to 0.05.
pub(super) const HEMISPHERE_ASYMMETRY: f64 = 0.2;
/// Mean probability below which a structure is in doubt.
pub(super) const CONFIDENCE: f64 = 0.5;
