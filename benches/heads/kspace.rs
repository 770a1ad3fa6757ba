//! Reconstruction from k-space.

use burn::backend::Flex;
use ndarray::{Array3, Array4, Axis, s};
use voxgan::acquisition::coils::Birdcage;
use voxgan::acquisition::encoding::{Encoding, Sampling};
use voxgan::acquisition::sampling::{Angles, Columns, FastMri, Pattern, Radial, Spokes};
use voxgan::acquisition::{Complex32, LinearOperator as _};
use voxgan::error::Result;
use voxgan::heads::Network;
use voxgan::recon::{Acquired, L1Wavelet, Reconstruction, TotalVariation, ZeroFilled};

use voxgan::pretrained::TrainedRestorer;

use crate::Place;
use crate::images::{picture, subjects};
use crate::refinegan::{self, Solve};
use crate::table::{Contest, head};

/// The baselines, and the network last.
fn methods<'a>(trained: &'a TrainedRestorer<Flex>) -> Vec<(&'static str, Solve<'a>)> {
    vec![
        ("zero-filled", Box::new(|acquired: &Acquired<'_>| acquired.reconstruct(&ZeroFilled))),
        ("total variation", Box::new(|acquired| acquired.reconstruct(&TotalVariation::default()))),
        ("L1-wavelet", Box::new(|acquired| acquired.reconstruct(&L1Wavelet::default()))),
        ("network", Box::new(|acquired| by_network(trained, acquired))),
    ]
}

fn by_network(trained: &TrainedRestorer<Flex>, acquired: &Acquired<'_>) -> Result<Reconstruction> {
    let TrainedRestorer { name, network, recipe, .. } = trained;
    acquired.reconstruct(&Network { name, network, recipe, consistency: 1.0, device: &Default::default() })
}

fn radial(share: f64) -> Pattern {
    let spokes = Spokes::Acceleration(1.0 / share);
    let axes = [voxgan::acquisition::sampling::Axis::H, voxgan::acquisition::sampling::Axis::W];
    Pattern::Radial(Radial { spokes, angles: Angles::Golden, start_deg: Some(0.0), axes })
}

pub fn recon(place: &Place) -> Result<()> {
    let trained = place.network("recon")?;
    println!("{}\n\n{}", trained.name, head().trim_end());
    let equispaced =
        Pattern::FastMri(FastMri { offset: Some(1), ..FastMri::new(Columns::Equispaced, 0.08, 4.0) });
    let mut tasks: Vec<(String, Pattern, usize)> = [0.1, 0.2, 0.3, 0.4]
        .iter()
        .map(|&share| (format!("radial {:.0} %", 100.0 * share), radial(share), 1))
        .collect();
    tasks.push(("equispaced 4x".into(), equispaced.clone(), 1));
    tasks.push(("equispaced 4x, 8 coils".into(), equispaced, 8));
    for (name, pattern, coils) in tasks {
        let mut contest = Contest::default();
        for (subject, scan) in subjects(place)? {
            // Every eighth slice through the middle half of the head.
            let depth = scan.shape()[1];
            let scan = scan.slice(s![0, depth / 4..3 * depth / 4;8, .., ..]).to_owned();
            let (d, h, w) = scan.dim();
            let phase = |z: usize, y: usize, x: usize| {
                let [y, x] = [y as f32 / h as f32 - 0.5, x as f32 / w as f32 - 0.5];
                0.3 * z as f32 / d as f32 + 1.1 * y - 0.7 * x + 1.5 * y * x - x * x
            };
            let image = Array3::from_shape_fn((d, h, w), |at| {
                Complex32::from_polar(scan[at], phase(at.0, at.1, at.2))
            });
            let mut encoding = Encoding::full([d, h, w], [1.0; 3]);
            encoding.transformed = [false, true, true];
            let mask = pattern.mask([1, h, w], &0.into())?.sampled;
            let mask = mask.broadcast((d, h, w)).expect("the same mask for every slice").to_owned();
            encoding.sampling = Sampling::Mask(mask.clone());
            let maps = match coils {
                1 => Array4::ones((1, d, h, w)),
                // Slices of one ring.
                _ => Birdcage::new(coils)
                    .maps([1, h, w])?
                    .broadcast((coils, d, h, w))
                    .expect("one ring")
                    .to_owned(),
            };
            encoding.coil_maps = (coils > 1).then(|| maps.clone());
            let samples = encoding.operator()?.forward(image.into_dyn());
            let samples = samples.into_dimensionality().expect("k-space of rank four");
            let acquired = Acquired::still(samples.view(), mask.view(), maps.view(), &[2, 3]);
            let truth = scan.insert_axis(Axis(0));
            let mut images = Vec::new();
            for (method, solve) in methods(&trained) {
                let image = solve(&acquired)?.image.mapv(|z| z.norm()).insert_axis(Axis(0));
                contest.add(method, &truth, &image)?;
                images.push(image);
            }
            images.push(truth);
            picture(place, &format!("recon-{subject}-{name}"), &images.iter().collect::<Vec<_>>())?;
        }
        print!("{}", contest.rows(&name));
    }
    Ok(())
}

/// The validation slices of RefineGAN's brain set under its own masks.
pub fn refinegan(place: &Place) -> Result<()> {
    let name = if place.weights.contains_key("refinegan") { "refinegan" } else { "recon" };
    let trained = place.network(name)?;
    println!("{}\n", trained.name);
    refinegan::run(&place.data.join("refinegan"), &methods(&trained), if place.quick { 10 } else { 100 })
}
