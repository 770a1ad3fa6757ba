//! Our side of `benches/scanner/run`: `prepare FOLDER` writes the arrays that all sides compute on, `CASE FOLDER REPEATS`
//! prints the seconds of each repeat as one JSON line, after one that does not count. `n4 SCAN FIELD REPEATS` does so for
//! N4 with the scan's voxels above zero as its mask, and writes the field.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use ndarray::{Array3, Array4, ArrayD, Axis, Ix4, Zip};
use voxgan::acquisition::coils::{Birdcage, EspiritOptions, espirit};
use voxgan::acquisition::fourier::fft;
use voxgan::acquisition::linear::noise;
use voxgan::acquisition::operators::sensitivities::Sensitivities;
use voxgan::acquisition::sampling::{Pattern, Poisson};
use voxgan::acquisition::{Complex32, ComplexArray, LinearOperator};
use voxgan::correct::n4;
use voxgan::correct::n4::N4Options;
use voxgan::error::Result;
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::io::{cfl, npy};
use voxgan::random::{Purpose, stream};
use voxgan::recon::{Acquired, L1Wavelet, Sense};
use voxgan::simulate::phantom::{Ellipsoids, centred_grid};
use voxgan::volume::Volume;

const SHAPE: [usize; 3] = [1, 256, 256];
const COILS: usize = 8;
/// Noise over the largest signal.
const NOISE: f32 = 0.005;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let done = match &arguments[..] {
        [prepare, folder] if prepare == "prepare" => write_arrays(Path::new(folder)),
        [n4, scan, field, repeats] if n4 == "n4" => {
            correct(Path::new(scan), Path::new(field), repeats.parse().expect("a number of repeats"))
        }
        [case, folder, repeats] => {
            time(case, Path::new(folder), repeats.parse().expect("a number of repeats"))
        }
        _ => {
            println!("benches/scanner/run compares this with sigpy and BART: see its README.md");
            Ok(())
        }
    };
    done.unwrap_or_else(|error| panic!("{error}"));
}

/// A phantom seen by eight coils, fully sampled and with a Poisson-disc mask of four, its maps, and noise to transform.
fn write_arrays(folder: &Path) -> Result<()> {
    let [depth, height, width] = SHAPE;
    let grid = centred_grid([width, height, depth], [1.0; 3])?;
    let image = Ellipsoids::shepp_logan_2d(width as f64).volume(&grid)?.data;
    let image = image.index_axis_move(Axis(0), 0).mapv(Complex32::from).into_dyn();
    let maps = Birdcage::new(COILS).maps(SHAPE)?;
    let mut full = Sensitivities::new(maps.clone()).forward(image);
    fft(&mut full, &[2, 3]);
    let mut rng = stream(1, 0, 0, 0, Purpose::Start);
    let scale = NOISE * full.iter().map(|z| z.norm()).fold(0.0, f32::max) / 16.0;
    Zip::from(&mut full).and(&noise(&[COILS, 1, 256, 256], &mut rng)).for_each(|z, n| *z += n * scale);
    let mask = Pattern::Poisson(Poisson::new(4.0, [24, 24])).mask(SHAPE, &1.into())?.sampled;
    let mut sampled = full.clone();
    for mut coil in sampled.outer_iter_mut() {
        Zip::from(&mut coil)
            .and(&mask.view().into_dyn())
            .for_each(|z, &sampled| *z *= f32::from(u8::from(sampled)));
    }
    let fft3d = noise(&[128, 128, 128], &mut rng);
    for (name, array) in
        [("full", &full), ("sampled", &sampled), ("maps", &maps.into_dyn()), ("fft3d", &fft3d)]
    {
        cfl::write(&folder.join(name), array.view())?;
        // Peers know no axis of slices.
        let flat = if array.ndim() == 4 { array.index_axis(Axis(1), 0) } else { array.view() };
        npy::write_complex(&folder.join(format!("{name}.npy")), flat)?;
    }
    Ok(())
}

fn time(case: &str, folder: &Path, repeats: usize) -> Result<()> {
    let read = |name: &str| npy::read_complex(&folder.join(format!("{name}.npy")));
    let coils = |name: &str| -> Result<Array4<Complex32>> { Ok(in_slices(read(name)?)) };
    let seconds = match case {
        "fft3d" | "fft2d" => {
            let x: ComplexArray = read(if case == "fft3d" { "fft3d" } else { "full" })?;
            let axes: &[usize] = if case == "fft3d" { &[0, 1, 2] } else { &[1, 2] };
            // The peers leave their input as it is.
            repeated(repeats, || {
                let mut y = x.clone();
                fft(&mut y, axes);
                y
            })
        }
        "poisson" => {
            let pattern = Pattern::Poisson(Poisson::new(8.0, [24, 24]));
            repeated(repeats, || pattern.mask(SHAPE, &1.into()))
        }
        "espirit" => {
            let full = coils("full")?;
            repeated(repeats, || espirit(full.view(), [false, true, true], &EspiritOptions::default()))
        }
        "sense" | "wavelet" => {
            let (kspace, maps) = (coils("sampled")?, coils("maps")?);
            let sampled: Array3<bool> = kspace.index_axis(Axis(0), 0).mapv(|z| z != Complex32::default());
            let acquired = Acquired::still(kspace.view(), sampled.view(), maps.view(), &[2, 3]);
            if case == "sense" {
                let settings = Sense { iterations: 30, tolerance: 0.0, ..Sense::default() };
                repeated(repeats, || acquired.reconstruct(&settings))
            } else {
                let mut settings = L1Wavelet::default();
                (settings.steps.iterations, settings.steps.tolerance) = (100, 0.0);
                repeated(repeats, || acquired.reconstruct(&settings))
            }
        }
        other => panic!("{other}: no such case"),
    };
    println!("{}", serde_json::json!(seconds));
    Ok(())
}

fn correct(scan: &Path, field: &Path, repeats: usize) -> Result<()> {
    let scan = nifti::read(scan)?;
    let mask = scan.data.index_axis(Axis(0), 0).mapv(|value| value > 0.0);
    let options = N4Options::default();
    // Estimated and evaluated on every voxel, as the peer does.
    let run = || n4::correct(&scan, Some(&mask), &options).map(|(_, field)| field.evaluate(scan.dims()));
    let seconds = repeated(repeats, run);
    let image = Volume::new(run()?.insert_axis(Axis(0)), scan.affine);
    nifti::write(field, &image, &WriteOptions::default())?;
    println!("{}", serde_json::json!(seconds));
    Ok(())
}

/// `[coils, H, W]` as `[coils, 1, H, W]`.
fn in_slices(x: ArrayD<Complex32>) -> Array4<Complex32> {
    x.insert_axis(Axis(1)).into_dimensionality::<Ix4>().expect("coils, rows and columns")
}

fn repeated<T>(repeats: usize, mut run: impl FnMut() -> T) -> Vec<f64> {
    black_box(run());
    (0..repeats)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_secs_f64()
        })
        .collect()
}
