//! The images of a file: one for a classic file, one a frame for an enhanced one, one a tile for a mosaic.

use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, Tag};
use nalgebra::Vector3;

use super::acquisition::Acquisition;
use super::elements::DataSet;
use super::header::{GE_COMPONENT, PHILIPS_SCALE_SLOPE, Values};
use super::mosaic;
use super::pixels::Layout;

/// What all images of a file share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// UIDs are only compared, and never told.
    pub series_uid: String,
    pub instance_uid: String,
    pub class_uid: String,
    pub acquisition: Acquisition,
    /// How pixels are stored; the reason where they are not, or not so that they can be read.
    pub layout: Result<Layout, String>,
}

/// One slice.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// Its frame in the file, from 0, and the corner of its tile, if the frame is a mosaic.
    pub frame: usize,
    pub corner: Option<[usize; 2]>,
    /// Columns and rows.
    pub size: [usize; 2],
    /// None where the file does not tell where it lies.
    pub plane: Option<Plane>,
    /// Millimetres from slice to slice, as the header has it: the spacing, or else the thickness.
    pub step_mm: Option<f64>,
    pub scale: Scale,
    pub echo_ms: Option<f64>,
    pub component: Component,
    pub kind: Vec<String>,
    /// What orders images of one position in time.
    pub time: Vec<f64>,
}

/// Where a slice lies, in millimetres of the patient's coordinates (x to the left, y to the back, z up: PS3.3, C.7.6.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    /// Centre of the first voxel.
    pub position: Vector3<f64>,
    /// Unit vectors along a row (to the next column) and along a column.
    pub row: Vector3<f64>,
    pub column: Vector3<f64>,
    /// From column to column, and from row to row.
    pub spacing: [f64; 2],
}

impl Plane {
    pub fn normal(&self) -> Vector3<f64> {
        self.row.cross(&self.column)
    }
}

/// The values of stored numbers: `stored · slope + intercept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub slope: f64,
    pub intercept: f64,
    /// Whether it is Philips' precise value rather than the standard's rescaled one.
    pub philips: bool,
}

/// A part of the complex image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Component {
    Magnitude,
    Phase,
    Real,
    Imaginary,
}

impl Component {
    /// What dcm2niix appends to the name.
    pub fn suffix(self) -> &'static str {
        ["", "_ph", "_real", "_imaginary"][self as usize]
    }
}

/// Frames that a file may state.
const MOST_FRAMES: usize = 1 << 17;

/// What `set` holds.
pub(super) fn images(set: &DataSet) -> (Shared, Vec<Image>) {
    let object = &set.object;
    let frames = object.count(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
    let mut layout = Layout::of(set, frames);
    if frames > MOST_FRAMES {
        layout = Err(format!("{frames} frames: at most {MOST_FRAMES} are read"));
    }
    let whole = match &layout {
        Ok(layout) => layout.size,
        Err(_) => [0, 0],
    };
    let frames = if layout.is_ok() { frames } else { 1 };
    let mut images: Vec<Image> =
        Groups::of_frames(object, frames).map(|groups| image(&groups, whole)).collect();
    if frames == 1 && layout.is_ok() {
        match mosaic::tiles(object, &images[0]) {
            Ok(Some(tiles)) => images = tiles,
            Ok(None) => {}
            Err(reason) => layout = Err(reason),
        }
    }
    let shared = Shared {
        series_uid: object.text(tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        instance_uid: object.text(tags::SOP_INSTANCE_UID).unwrap_or_default(),
        class_uid: object.text(tags::SOP_CLASS_UID).unwrap_or_default(),
        acquisition: Acquisition::of(object),
        layout,
    };
    (shared, images)
}

/// The places where an element of a frame may stand: its own groups, the shared ones, the data set.
struct Groups<'a> {
    frame: usize,
    own: Option<&'a InMemDicomObject>,
    shared: Option<&'a InMemDicomObject>,
    object: &'a InMemDicomObject,
}

impl<'a> Groups<'a> {
    fn of_frames(object: &'a InMemDicomObject, frames: usize) -> impl Iterator<Item = Self> {
        let shared = object.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let own = object.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        (0..frames).map(move |frame| Self { frame, own: own.get(frame), shared, object })
    }

    /// The item of a group, or the data set for elements outside of groups.
    fn in_group<T>(&self, sequence: Tag, get: impl Fn(&InMemDicomObject) -> Option<T>) -> Option<T> {
        let groups = [self.own, self.shared].into_iter().flatten();
        groups.filter_map(|group| group.item(sequence)).find_map(&get).or_else(|| get(self.object))
    }
}

fn image(groups: &Groups, size: [usize; 2]) -> Image {
    let measures = tags::PIXEL_MEASURES_SEQUENCE;
    let step = |tag| groups.in_group(measures, |item| item.number(tag)).map(f64::abs).filter(|&mm| mm > 0.0);
    let types =
        groups.in_group(tags::MR_IMAGE_FRAME_TYPE_SEQUENCE, |item| some(item.texts(tags::FRAME_TYPE)));
    let kind = types.unwrap_or_else(|| groups.object.texts(tags::IMAGE_TYPE));
    let echo = groups.in_group(tags::MR_ECHO_SEQUENCE, |item| item.number(tags::EFFECTIVE_ECHO_TIME));
    Image {
        frame: groups.frame,
        corner: None,
        size,
        plane: plane(groups),
        step_mm: step(tags::SPACING_BETWEEN_SLICES).or_else(|| step(tags::SLICE_THICKNESS)),
        scale: scale(groups),
        echo_ms: echo.or_else(|| groups.object.number(tags::ECHO_TIME)),
        component: component(groups, &kind),
        kind,
        time: time(groups),
    }
}

fn some<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

fn plane(groups: &Groups) -> Option<Plane> {
    let position =
        groups.in_group(tags::PLANE_POSITION_SEQUENCE, |item| item.vector(tags::IMAGE_POSITION_PATIENT))?;
    let axes = groups.in_group(tags::PLANE_ORIENTATION_SEQUENCE, |item| {
        item.numbers::<6>(tags::IMAGE_ORIENTATION_PATIENT)
    })?;
    let [between_rows, between_columns] =
        groups.in_group(tags::PIXEL_MEASURES_SEQUENCE, |item| item.numbers::<2>(tags::PIXEL_SPACING))?;
    let [a, b, c, d, e, f] = axes;
    let (row, column) = (Vector3::new(a, b, c), Vector3::new(d, e, f));
    let unit = |v: &Vector3<f64>| (v.norm() - 1.0).abs() < 0.01;
    // Directions are rounded to some digits; what is off by more is none.
    let sound = unit(&row) && unit(&column) && row.dot(&column).abs() < 0.01;
    let spaced = between_rows > 0.0 && between_columns > 0.0 && position.amax() < 1e6;
    (sound && spaced).then(|| Plane {
        position,
        row: row.normalize(),
        column: column.normalize(),
        spacing: [between_columns, between_rows],
    })
}

/// Slope and intercept of a frame (PS3.3, C.11.1 and C.7.6.16.2.9). Where Philips also gives the scale slope of the values that were
/// measured (Chenevert et al. 2014), these are taken, as dcm2niix does: `(stored · slope + intercept) / (slope · scale slope)`.
fn scale(groups: &Groups) -> Scale {
    let sequence = tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE;
    let number = |tag| groups.in_group(sequence, |item| item.number(tag));
    let slope = number(tags::RESCALE_SLOPE).filter(|&slope| slope != 0.0);
    let (slope, intercept) = (slope.unwrap_or(1.0), number(tags::RESCALE_INTERCEPT).unwrap_or(0.0));
    let philips =
        groups.object.text(tags::MANUFACTURER).is_some_and(|maker| maker.to_lowercase().contains("philips"));
    let scale_slope = groups.in_group(PHILIPS_GROUP, |item| item.number(PHILIPS_SCALE_SLOPE));
    match scale_slope.filter(|&scale| philips && scale != 0.0 && (slope * scale).is_normal()) {
        Some(scale) => Scale { slope: 1.0 / scale, intercept: intercept / (slope * scale), philips: true },
        None => Scale { slope, intercept, philips: false },
    }
}

/// Philips' private functional group.
const PHILIPS_GROUP: Tag = Tag(0x2005, 0x140f);

fn component(groups: &Groups, kind: &[String]) -> Component {
    let of = |word: &str| match word {
        "M" | "MAGNITUDE" => Some(Component::Magnitude),
        "P" | "PHASE" | "PHASE MAP" => Some(Component::Phase),
        "R" | "REAL" => Some(Component::Real),
        "I" | "IMAGINARY" => Some(Component::Imaginary),
        _ => None,
    };
    let stated = groups
        .in_group(tags::MR_IMAGE_FRAME_TYPE_SEQUENCE, |item| item.text(tags::COMPLEX_IMAGE_COMPONENT))
        .and_then(|word| of(&word));
    let ge = || match groups.object.number(GE_COMPONENT)? as i64 {
        1 => Some(Component::Phase),
        2 => Some(Component::Real),
        3 => Some(Component::Imaginary),
        _ => None,
    };
    // The first two words of the type say original or derived, primary or secondary.
    let typed = || kind.iter().skip(2).find_map(|word| of(word));
    stated.or_else(ge).or_else(typed).unwrap_or(Component::Magnitude)
}

/// Time of a frame, most significant first: temporal position, acquisition, trigger, dimensions, instance.
fn time(groups: &Groups) -> Vec<f64> {
    let content = tags::FRAME_CONTENT_SEQUENCE;
    let temporal = groups
        .in_group(content, |item| item.number(tags::TEMPORAL_POSITION_INDEX))
        .or_else(|| groups.object.number(tags::TEMPORAL_POSITION_IDENTIFIER));
    let acquisition = groups
        .in_group(content, |item| item.number(tags::FRAME_ACQUISITION_NUMBER))
        .or_else(|| groups.object.number(tags::ACQUISITION_NUMBER));
    let numbers = [temporal, acquisition, groups.object.number(tags::TRIGGER_TIME)];
    let instance = groups.object.number(tags::INSTANCE_NUMBER);
    let mut time: Vec<f64> =
        numbers.into_iter().chain([instance]).map(|number| number.unwrap_or(0.0)).collect();
    time.push(groups.frame as f64);
    time
}
