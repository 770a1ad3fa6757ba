//! Measurements of every kind, small.

use ndarray::{Array2, Array3, Array4};
use voxgan::acquisition::encoding::{Encoding, Sampling};
use voxgan::acquisition::linear::noise;
use voxgan::acquisition::operators::motion::Rigid;
use voxgan::acquisition::operators::shots::Shots;
use voxgan::acquisition::operators::slice_profile::{Profile, SliceProfile};
use voxgan::acquisition::{Complex32, ComplexArray};
use voxgan::random::{Purpose, stream, uniform};

/// Complex noise.
pub fn draw(shape: &[usize], seed: u64) -> ComplexArray {
    noise(shape, &mut stream(seed, 0, 0, 0, Purpose::Sampling))
}

fn shots(places: [usize; 3], flat: bool) -> Option<Shots> {
    let about = if flat { 0.0 } else { 1.0 };
    let moved =
        Rigid { rotation_deg: [6.0 * about, -4.0 * about, 11.0], translation_mm: [1.3, -0.7, 0.9 * about] };
    let shot_of = Array3::from_shape_fn(places, |(_, h, w)| ((h / 2 + w / 7) % 2) as u16);
    Some(Shots { transforms: vec![Rigid::IDENTITY, moved], shot_of })
}

fn coil_maps(coils: usize, [d, h, w]: [usize; 3]) -> Option<Array4<Complex32>> {
    Some(draw(&[coils, d, h, w], 90).into_dimensionality().unwrap())
}

fn mask(shape: [usize; 3]) -> Array3<bool> {
    let draws = uniform(&mut stream(91, 0, 0, 0, Purpose::Sampling), shape.iter().product());
    Array3::from_shape_vec(shape, draws.into_iter().map(|u| u < 0.4).collect()).unwrap()
}

fn trajectory(shape: [usize; 3], count: usize) -> Sampling {
    let draws = uniform(&mut stream(92, 0, 0, 0, Purpose::Sampling), 3 * count);
    Sampling::Trajectory(Array2::from_shape_fn((count, 3), |(m, a)| {
        (draws[3 * m + a] - 0.5) * shape[a] as f32
    }))
}

/// Measurements of every kind, and all kinds at once.
pub fn encodings() -> Vec<(&'static str, Encoding)> {
    let volume = [6, 9, 11];
    let full = |shape| Encoding::full(shape, [1.0, 1.5, 2.0]);
    let slices = SliceProfile { axis: 0, factor: 2, profile: Profile::Gaussian { fwhm_voxels: 2.5 } };
    let mut thick = Encoding { slice_profile: Some(slices), encoded: Some([4, 12, 8]), ..full(volume) };
    thick.transformed = [false, true, true];
    let grid = thick.grid();
    vec![
        ("full", full(volume)),
        ("slice", full([1, 10, 13])),
        ("mask", Encoding { sampling: Sampling::Mask(mask(volume)), ..full(volume) }),
        ("coils", Encoding { coil_maps: coil_maps(3, volume), ..full(volume) }),
        ("moving", Encoding { shots: shots(volume, false), ..full(volume) }),
        ("moving slice", Encoding { shots: shots([1, 10, 13], true), ..full([1, 10, 13]) }),
        ("thick slices", thick.clone()),
        ("trajectory", Encoding { sampling: trajectory(volume, 70), ..full(volume) }),
        ("trajectory of a slice", Encoding { sampling: trajectory([1, 10, 13], 50), ..full([1, 10, 13]) }),
        (
            "everything on a grid",
            Encoding {
                shots: shots(grid, false),
                coil_maps: coil_maps(2, grid),
                sampling: Sampling::Mask(mask(grid)),
                ..thick.clone()
            },
        ),
        (
            "everything along a trajectory",
            Encoding {
                shots: shots([4, 1, 40], false),
                coil_maps: coil_maps(2, grid),
                sampling: trajectory(grid, 40),
                ..thick
            },
        ),
    ]
}
