//! Label maps for the simulation of images, and the tissues with one contrast.

use std::sync::OnceLock;

use ndarray::{Array3, Axis, s};

use crate::anatomy::Structure;
use crate::error::{Error, Result};
use crate::simulate::ageing::{Response, Walls};
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::{Interpolation, resample_spacing};

/// Voxels of background kept around a head.
const MARGIN: usize = 4;

/// A label map of a whole head on a 1 mm RAS+ grid, cropped to the head.
#[derive(Clone, Debug)]
pub struct LabelMap {
    /// Name of the file it came from.
    pub name: String,
    /// Index into `tissues` of each voxel, `[D, H, W]`.
    pub labels: Array3<u8>,
    /// The tissues of the labels.
    pub tissues: Vec<Tissue>,
    /// Middle of the brain's bounding box in voxels, `[D, H, W]`.
    pub centre: [f64; 3],
    /// Made when it is first asked for.
    response: OnceLock<Response>,
}

/// One label of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tissue {
    /// The structure that it belongs to.
    pub structure: Structure,
    /// Index of its contrast; left and right have the same.
    pub contrast: usize,
}

/// Contrasts in the order of [`Tissue::contrast`]: labels without their side; mean intensity of the tissue in
/// T1-weighted scans on a scale from 0 to 255, its deviation from scan to scan, and the deviation within a scan. The
/// figures are those of SynthSeg's `prior_means_t1` and `prior_stds_t1` (Billot et al. 2023), rounded.
pub(super) const CONTRASTS: [(&[i32], [f64; 3]); 31] = [
    (&[0], [7.0, 1.8, 5.0]),
    (&[14, 15], [44.0, 11.0, 25.0]),
    (&[4, 5, 43, 44], [44.0, 11.0, 25.0]),
    (&[24, 72], [44.0, 11.0, 25.0]),
    (&[16], [124.0, 16.0, 14.0]),
    (&[85], [160.0, 22.0, 16.0]),
    (&[2, 41], [160.0, 22.0, 16.0]),
    (&[3, 42], [96.0, 12.0, 19.0]),
    (&[7, 46], [136.0, 13.0, 15.0]),
    (&[8, 47], [88.0, 11.0, 17.0]),
    (&[10, 49], [130.0, 18.0, 20.0]),
    (&[11, 50], [96.0, 12.0, 19.0]),
    (&[12, 51], [124.0, 16.0, 14.0]),
    (&[13, 52], [152.0, 20.0, 9.0]),
    (&[17, 18, 53, 54], [96.0, 12.0, 19.0]),
    (&[26, 58], [96.0, 12.0, 19.0]),
    (&[28, 60], [143.0, 16.0, 21.0]),
    (&[25, 57], [116.0, 15.0, 19.0]),
    (&[30, 62], [87.0, 17.0, 17.0]),
    (&[31, 63, 136, 137, 163, 164], [60.0, 10.0, 24.0]),
    (&[502], [126.0, 25.0, 84.0]),
    (&[506], [18.0, 4.0, 14.0]),
    (&[507], [94.0, 9.0, 49.0]),
    (&[508], [117.0, 12.0, 65.0]),
    (&[509], [70.0, 9.0, 25.0]),
    (&[511], [114.0, 12.0, 75.0]),
    (&[512], [68.0, 11.0, 36.0]),
    (&[514], [48.0, 9.0, 20.0]),
    (&[515], [30.0, 7.0, 22.0]),
    (&[516], [94.0, 18.0, 43.0]),
    (&[530], [144.0, 16.0, 45.0]),
];

impl LabelMap {
    /// The map of a label volume with the numbers of SynthSeg or FreeSurfer; `name` is for errors and records.
    ///
    /// # Errors
    /// [`Error::Value`] for several channels, numbers of no structure, or a map without a brain.
    pub fn new(name: &str, volume: Volume) -> Result<Self> {
        let advice = "give whole-head label maps numbered as those of SynthSeg";
        if volume.channels() != 1 {
            let found = format!("{} of them", volume.channels());
            return Err(Error::value(format!("channels of {name}"), "one", found, advice));
        }
        let (volume, _) = to_ras(volume);
        let volume = resample_spacing(&volume, [1.0; 3], Interpolation::Nearest);
        let numbers = volume.data.index_axis(Axis(0), 0);
        let mut tissues: Vec<Tissue> = Vec::new();
        let mut known = std::collections::BTreeMap::new();
        let mut labels = Array3::<u8>::zeros(numbers.dim());
        for (label, &number) in labels.iter_mut().zip(numbers) {
            let number = number.round() as i32;
            let index = match known.get(&number) {
                Some(&index) => index,
                None => {
                    let structure = Structure::of_label(number);
                    let contrast = CONTRASTS.iter().position(|(labels, _)| labels.contains(&number));
                    let (Some(structure), Some(contrast)) = (structure, contrast) else {
                        let expected = "numbers that SynthSeg makes images of";
                        return Err(Error::value(
                            format!("labels of {name}"),
                            expected,
                            number.to_string(),
                            advice,
                        ));
                    };
                    tissues.push(Tissue { structure, contrast });
                    let index = (tissues.len() - 1) as u8;
                    known.insert(number, index);
                    index
                }
            };
            *label = index;
        }
        let of = |inside: &dyn Fn(Structure) -> bool| {
            bounds(&labels, |label| inside(tissues[usize::from(label)].structure))
        };
        let head = of(&|structure| structure != Structure::Background);
        let brain =
            of(&|structure| !matches!(structure, Structure::Background | Structure::Head | Structure::Csf));
        let (Some(head), Some(brain)) = (head, brain) else {
            return Err(Error::value(format!("labels of {name}"), "a brain", "none", advice));
        };
        let shape: [usize; 3] = labels.dim().into();
        let from: [usize; 3] = [0, 1, 2].map(|a| head[a][0].saturating_sub(MARGIN));
        let to: [usize; 3] = [0, 1, 2].map(|a| (head[a][1] + 1 + MARGIN).min(shape[a]));
        let labels = labels.slice(s![from[0]..to[0], from[1]..to[1], from[2]..to[2]]).to_owned();
        let centre = [0, 1, 2].map(|a| (brain[a][0] + brain[a][1]) as f64 / 2.0 - from[a] as f64);
        Ok(Self { name: name.into(), labels, tissues, centre, response: OnceLock::new() })
    }

    /// What lies beyond the map: maps begin with a corner of the head's box, which is air.
    pub(super) fn outside(&self) -> u8 {
        self.labels[[0, 0, 0]]
    }

    /// The volumes of the brain as functions of the displacements of its walls; computed at the first call.
    pub fn response(&self) -> &Response {
        self.response.get_or_init(|| {
            let structures =
                self.labels.mapv(|label| self.tissues[usize::from(label)].structure.index() as u8);
            Walls::of(structures.view(), [1.0; 3]).response(structures.view())
        })
    }
}

/// First and last index along each axis of the voxels whose label is `inside`.
pub(super) fn bounds(labels: &Array3<u8>, inside: impl Fn(u8) -> bool) -> Option<[[usize; 2]; 3]> {
    let mut bounds: Option<[[usize; 2]; 3]> = None;
    for ((d, h, w), &label) in labels.indexed_iter() {
        if inside(label) {
            let at = [d, h, w];
            let bounds = bounds.get_or_insert(at.map(|x| [x, x]));
            for (bounds, x) in bounds.iter_mut().zip(at) {
                *bounds = [bounds[0].min(x), bounds[1].max(x)];
            }
        }
    }
    bounds
}
