//! Files into series, and series into volumes: by UID, then by what differs within it, then by position and time.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::uids;

use super::geometry::{SAME_DIRECTION, Stack, along, counted, stack};
use super::image::{Image, Plane, Shared};
use super::info::{Reason, Verdict};

/// Slices that are no further apart than this along their normal are at one place, in millimetres.
const SAME_PLACE_MM: f64 = 0.005;
/// Kinds of image (sizes, echoes, …) within a series.
const MOST_KINDS: usize = 256;

/// An image, and the number of the file that it is in.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub file: usize,
    pub image: Image,
}

/// Images that make a volume or a time series, or should.
pub(super) struct Part {
    /// The number of a file of it.
    pub file: usize,
    /// In order of time, then of slices; as they came where they make no volume.
    pub members: Vec<Member>,
    pub frames: usize,
    pub stack: Option<Stack>,
    pub verdict: Verdict,
}

/// The parts of all series: `files` holds what each file is and its images.
pub(super) fn parts(files: &[(usize, Shared, Vec<Image>)]) -> Vec<Part> {
    let mut series: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (n, (_, shared, _)) in files.iter().enumerate() {
        let number = shared.acquisition.series_number.filter(|_| shared.series_uid.is_empty());
        // Reports and the like have no pixels, whatever series they claim to belong to.
        let other = left_out(shared);
        series.entry((number, &shared.series_uid, other)).or_default().push(n);
    }
    let mut parts = Vec::new();
    for ((_, _, other), numbers) in series {
        let members = || {
            let of =
                |&n: &usize| files[n].2.iter().map(move |image| Member { file: n, image: image.clone() });
            numbers.iter().flat_map(of).collect::<Vec<_>>()
        };
        match other {
            Some(reason) => {
                let verdict = Verdict::LeftOut(Reason::new(reason, "give the images of the scan"));
                parts.push(Part { file: numbers[0], members: members(), frames: 1, stack: None, verdict });
            }
            None => parts.extend(series_parts(files, &numbers, members())),
        }
    }
    parts.sort_by_key(|part| {
        let acquisition = &files[part.file].1.acquisition;
        (acquisition.series_number, part.file)
    });
    parts
}

/// Why a file holds no image of a scan, by its class (PS3.4, table B.5-1) and type.
fn left_out(shared: &Shared) -> Option<String> {
    let class = shared.class_uid.strip_prefix("1.2.840.10008.5.1.4.1.1.").unwrap_or_default();
    let within = |prefix: &str| {
        class == prefix || class.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
    };
    let kinds = [
        ("88", "a structured report"),
        ("11", "a presentation state"),
        ("9", "a waveform"),
        ("104", "a document"),
        ("481", "a radiotherapy object"),
        ("66", "a segmentation, registration or raw data"),
    ];
    if shared.class_uid == uids::MEDIA_STORAGE_DIRECTORY_STORAGE {
        return Some("a DICOMDIR".into());
    }
    let known = kinds.iter().find(|(prefix, _)| within(prefix)).map(|(_, name)| (*name).to_string());
    let empty = || {
        matches!(&shared.layout, Err(reason) if reason == "no pixels")
            .then(|| "an object without pixels".to_string())
    };
    let localiser = || {
        let kind = &shared.acquisition.image_type;
        kind.iter().any(|word| word == "LOCALIZER").then(|| "a localiser".to_string())
    };
    known.or_else(empty).or_else(localiser)
}

/// Whether a file is a picture of something else (PS3.3, A.8), which only a place in the patient makes a scan.
fn is_secondary_capture(shared: &Shared) -> bool {
    shared.class_uid == uids::SECONDARY_CAPTURE_IMAGE_STORAGE
        || shared.class_uid.starts_with("1.2.840.10008.5.1.4.1.1.7.")
}

/// The parts of one series, whose files have these numbers.
fn series_parts(files: &[(usize, Shared, Vec<Image>)], numbers: &[usize], members: Vec<Member>) -> Vec<Part> {
    let whole = |members: Vec<Member>, verdict| {
        vec![Part { file: members[0].file, members, frames: 1, stack: None, verdict }]
    };
    let refused = |found: String, advice: &str| Verdict::Refused(Reason::new(found, advice));
    let bad: Vec<&String> = numbers.iter().filter_map(|&n| files[n].1.layout.as_ref().err()).collect();
    if let Some(reason) = bad.first() {
        let found = format!("{} of {}: {reason}", bad.len(), counted(numbers.len(), "file", "files"));
        return whole(members, refused(found, "copy or export the series again"));
    }
    let lost = members.iter().filter(|member| member.image.plane.is_none()).count();
    if lost > 0 {
        let found = format!(
            "{lost} of {} without position, orientation or spacing",
            counted(members.len(), "image", "images")
        );
        let verdict = if is_secondary_capture(&files[numbers[0]].1) {
            let found = format!("a secondary capture: {found}");
            Verdict::LeftOut(Reason::new(found, "give the images of the scan"))
        } else {
            refused(found, "export the series with its geometry")
        };
        return whole(members, verdict);
    }
    let mut seen = BTreeSet::new();
    let copies = numbers.iter().map(|&n| &files[n].1.instance_uid).filter(|uid| !uid.is_empty());
    let copies = copies.filter(|uid| !seen.insert(uid.as_str())).count();
    if copies > 0 {
        let found =
            format!("{copies} of {} twice (the same instance)", counted(numbers.len(), "file", "files"));
        return whole(members, refused(found, "remove the copies"));
    }
    let directions = split(members, same_direction);
    let directions = match directions {
        Ok(directions) => directions,
        Err(members) => {
            let found = format!("more than {MOST_KINDS} orientations");
            return whole(members, refused(found, "give the slices of one orientation"));
        }
    };
    if directions.len() > 1 {
        let counts: Vec<String> = directions.iter().map(|group| group.len().to_string()).collect();
        let found =
            format!("{} orientations ({} slices), as localisers have", directions.len(), counts.join(" + "));
        let all = directions.into_iter().flatten().collect();
        return whole(all, refused(found, "give the slices of one orientation in a folder of their own"));
    }
    let members = directions.into_iter().flatten().collect();
    let alike = |a: &Member, b: &Member| {
        let samples =
            |member: &Member| files[member.file].1.layout.as_ref().map(|layout| layout.samples).ok();
        same_grid(a, b) && samples(a) == samples(b)
    };
    match split(members, alike) {
        Ok(groups) => groups.into_iter().flat_map(in_place_and_time).collect(),
        Err(members) => {
            let found = format!("more than {MOST_KINDS} sizes, echoes or parts of the complex image");
            whole(members, refused(found, "give the images of one of them"))
        }
    }
}

/// Members in groups, within which each is as the group's first; all of them where there are too many groups.
fn split(
    members: Vec<Member>,
    same: impl Fn(&Member, &Member) -> bool,
) -> Result<Vec<Vec<Member>>, Vec<Member>> {
    let mut groups: Vec<Vec<Member>> = Vec::new();
    for member in members {
        match groups.iter().position(|group| same(&group[0], &member)) {
            Some(group) => groups[group].push(member),
            None if groups.len() == MOST_KINDS => {
                return Err(groups.into_iter().flatten().chain([member]).collect());
            }
            None => groups.push(vec![member]),
        }
    }
    Ok(groups)
}

fn planes<'a>(a: &'a Member, b: &'a Member) -> Option<(&'a Plane, &'a Plane)> {
    Some((a.image.plane.as_ref()?, b.image.plane.as_ref()?))
}

fn same_direction(a: &Member, b: &Member) -> bool {
    planes(a, b).is_some_and(|(a, b)| {
        (a.row - b.row).norm() <= SAME_DIRECTION && (a.column - b.column).norm() <= SAME_DIRECTION
    })
}

/// Whether images are of one size, spacing, echo and part of the complex image.
fn same_grid(a: &Member, b: &Member) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.abs().max(b.abs());
    let spaced =
        planes(a, b).is_some_and(|(a, b)| (0..2).all(|axis| close(a.spacing[axis], b.spacing[axis])));
    let (a, b) = (&a.image, &b.image);
    let echo = match (a.echo_ms, b.echo_ms) {
        (Some(a), Some(b)) => close(a, b),
        (a, b) => a.is_none() == b.is_none(),
    };
    a.size == b.size && spaced && echo && a.component == b.component
}

/// One grid's images in the order of time and place, as one part or one for each type of image.
fn in_place_and_time(members: Vec<Member>) -> Vec<Part> {
    let (places, members) = in_places(members);
    let kinds: BTreeSet<&Vec<String>> = members.iter().map(|member| &member.image.kind).collect();
    if kinds.len() > 1 && places < members.len() {
        let kinds: Vec<Vec<String>> = kinds.into_iter().cloned().collect();
        let of = |kind: &Vec<String>| {
            members.iter().filter(|member| member.image.kind == *kind).cloned().collect()
        };
        return kinds.iter().map(|kind| one_part(of(kind))).collect();
    }
    vec![one_part(members)]
}

/// Members in the order along their normal, then in time, and their number of places.
fn in_places(mut members: Vec<Member>) -> (usize, Vec<Member>) {
    let normal = members[0].image.plane.map(|plane| plane.normal()).unwrap_or_default();
    let at = |member: &Member| member.image.plane.as_ref().map_or(0.0, |plane| along(plane, &normal));
    members.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let mut places = 0;
    for group in members.chunk_by_mut(|a, b| at(b) - at(a) <= SAME_PLACE_MM) {
        places += 1;
        group.sort_by(|a, b| {
            let times = a.image.time.iter().zip(&b.image.time).map(|(a, b)| a.total_cmp(b));
            times.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
    }
    (places, members)
}

fn one_part(members: Vec<Member>) -> Part {
    let (_, members) = in_places(members);
    let file = members[0].file;
    match in_order(&members) {
        Ok((frames, order, stack)) => {
            let members = order.into_iter().map(|n| members[n].clone()).collect();
            Part { file, members, frames, stack: Some(stack), verdict: Verdict::Read }
        }
        Err(reason) => Part { file, members, frames: 1, stack: None, verdict: Verdict::Refused(reason) },
    }
}

/// Frames, the order of `members` (which are in places) in time and then place, and their stack.
fn in_order(members: &[Member]) -> Result<(usize, Vec<usize>, Stack), Reason> {
    let planes: Vec<Plane> = members.iter().filter_map(|member| member.image.plane).collect();
    let normal = planes[0].normal();
    let mut starts = vec![0];
    starts.extend(
        (1..planes.len())
            .filter(|&n| along(&planes[n], &normal) - along(&planes[n - 1], &normal) > SAME_PLACE_MM),
    );
    let places = starts.len();
    let count = |place: usize| starts.get(place + 1).copied().unwrap_or(members.len()) - starts[place];
    let frames = usual((0..places).map(count));
    if let Some(odd) = (0..places).find(|&place| count(place) != frames) {
        let at = along(&planes[starts[odd]], &normal);
        let found = format!(
            "{} at slice {} of {places} ({at:.2} mm along the normal), where most have {frames}",
            counted(count(odd), "image", "images"),
            odd + 1
        );
        let advice = if count(odd) > frames { "remove the duplicates" } else { "give all images" };
        return Err(Reason::new(found, advice));
    }
    let same_time = |n: &usize| members[*n].image.time == members[*n + 1].image.time;
    let doubles = (0..members.len() - 1).filter(|n| !starts.contains(&(n + 1))).filter(same_time).count();
    if doubles > 0 {
        let found = format!(
            "{doubles} of {} at a place and time that another has",
            counted(members.len(), "image", "images")
        );
        return Err(Reason::new(found, "remove the duplicates"));
    }
    if places == 1 && frames > 1 {
        let found = format!("{frames} images of one place, and no volume");
        return Err(Reason::new(found, "give a series of several slices"));
    }
    let first: Vec<Plane> = starts.iter().map(|&start| planes[start]).collect();
    let stack = stack(&first, members[0].image.step_mm)?;
    let order = (0..frames).flat_map(|frame| starts.iter().map(move |start| start + frame)).collect();
    Ok((frames, order, stack))
}

/// The most frequent number, the least of several.
fn usual(numbers: impl Iterator<Item = usize>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map_or(0, |(number, _)| number)
}
