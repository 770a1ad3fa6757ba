//! Coils against sigpy, BART and numpy (fixtures/mri/coils/make.py), against closed forms, and on a real brain.

use std::fs;
use std::path::Path;

use ndarray::{Array2, Array4, ArrayView4, s};
use num_complex::Complex64;
use voxgan::acquisition::coils::{
    Birdcage, EspiritOptions, Keep, adaptive, centre, compression, espirit, mix, noise_covariance,
    outer_samples, root_sum_of_squares, sense_weighted, whitening_matrix,
};
use voxgan::acquisition::fourier::{fft, ifft};
use voxgan::acquisition::{Complex32, linear};
use voxgan::random::{Purpose, stream};

use crate::needs;

fn floats(name: &str) -> Vec<f32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mri/coils");
    let bytes = fs::read(folder.join(name)).expect("the fixture");
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn complex(name: &str, shape: [usize; 4]) -> Array4<Complex32> {
    let values = floats(name).chunks_exact(2).map(|z| Complex32::new(z[0], z[1])).collect();
    Array4::from_shape_vec(shape, values).expect("the fixture's shape")
}

fn noise(shape: [usize; 4], sample: u64) -> Array4<Complex32> {
    let noise = linear::noise(&shape, &mut stream(31, 0, 0, sample, Purpose::Degradation));
    noise.into_dimensionality().expect("four axes")
}

fn images(kspace: &Array4<Complex32>) -> Array4<Complex32> {
    let mut images = kspace.clone().into_dyn();
    ifft(&mut images, &[1, 2, 3]);
    images.into_dimensionality().expect("four axes")
}

/// `|Σ conj(a)·b|` over the coils at every place.
fn agreement(a: ArrayView4<Complex32>, b: ArrayView4<Complex32>) -> Vec<f32> {
    let lanes = a.lanes(ndarray::Axis(0)).into_iter().zip(b.lanes(ndarray::Axis(0)));
    lanes.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.conj() * b).sum::<Complex32>().norm()).collect()
}

fn farthest<'a>(
    a: impl IntoIterator<Item = &'a Complex32>,
    b: impl IntoIterator<Item = &'a Complex32>,
) -> f32 {
    a.into_iter().zip(b).map(|(a, b)| (a - b).norm()).fold(0.0, f32::max)
}

#[test]
fn birdcage_maps_are_sigpys_in_a_slice_and_in_a_volume() {
    let slice = Birdcage::new(5).maps([1, 8, 7]).expect("a slice");
    assert!(farthest(&slice, &complex("birdcage_2d.c64", [5, 1, 8, 7])) < 1e-6);
    let volume = Birdcage::new(10).maps([3, 4, 5]).expect("a volume");
    assert!(farthest(&volume, &complex("birdcage_3d.c64", [10, 3, 4, 5])) < 1e-6);
    assert!(root_sum_of_squares(volume.view()).iter().all(|rss| (rss - 1.0).abs() < 1e-6));
    let bare = Birdcage { normalised: false, ..Birdcage::new(5) }.maps([1, 8, 8]).expect("a slice");
    // The centre (4, 4) is as far from every loop: 1 / 1.5.
    assert!(bare.slice(s![.., 0, 4, 4]).iter().all(|z| (z.norm() - 1.0 / 1.5).abs() < 1e-6));
    assert!(Birdcage::new(0).maps([1, 8, 8]).is_err());
}

#[test]
fn espirit_of_a_slice_is_that_of_the_textbook_in_numpy_phase_and_second_maps_included() {
    let kspace = complex("slice_kspace.c64", [4, 1, 32, 32]);
    let options = EspiritOptions { calibration: [16; 3], kernel: 5, threshold: 0.02, crop: 0.0, maps: 2 };
    let found = espirit(kspace.view(), [true; 3], &options).expect("maps");
    let expected = complex("slice_maps.c64", [8, 1, 32, 32]);
    let eigenvalues = floats("slice_eigenvalues.f32");
    let exact: Vec<&[f32]> = eigenvalues.chunks_exact(32 * 32).collect();
    for set in 0..2 {
        let values = found.eigenvalues[set].iter().zip(exact[set]);
        assert!(values.into_iter().all(|(a, b)| (a - b).abs() < 1e-4), "eigenvalues {set}");
        let expected = expected.slice(s![4 * set..4 * set + 4, .., .., ..]);
        for (i, same) in agreement(found.maps[set].view(), expected).into_iter().enumerate() {
            // Where two eigenvalues are close their vectors are anyone's choice.
            let before = if set == 0 { f32::INFINITY } else { exact[set - 1][i] };
            if before - exact[set][i] > 0.05 && exact[set][i] - exact[set + 1][i] > 0.05 {
                assert!(same > 0.9999, "set {set}, pixel {i}: {same}");
            }
        }
    }
    let near = |i: usize| exact[0][i] > 0.95 && exact[0][i] - exact[1][i] > 0.1;
    let (a, b) = (found.maps[0].as_slice().expect("standard"), expected.as_slice().expect("standard"));
    let phase = (0..4 * 1024).filter(|i| near(i % 1024)).map(|i| (a[i] - b[i]).norm()).fold(0.0, f32::max);
    assert!(phase < 2e-3, "maps with their phase differ by {phase}");
}

#[test]
fn espirit_finds_the_maps_a_phantom_was_made_with() {
    let kspace = complex("slice_kspace.c64", [4, 1, 32, 32]);
    let options = EspiritOptions { calibration: [16; 3], kernel: 5, ..EspiritOptions::default() };
    let found = espirit(kspace.view(), [true; 3], &options).expect("maps");
    let truth = Birdcage::new(4).maps([1, 32, 32]).expect("a slice");
    let same = agreement(found.maps[0].view(), truth.view());
    let object = floats("slice_object.f32");
    assert!(same.iter().zip(&object).all(|(same, &object)| object == 0.0 || *same > 0.999));
    let cropped = root_sum_of_squares(found.maps[0].view());
    for (rss, value) in cropped.iter().zip(&found.eigenvalues[0]) {
        assert!(if *value < 0.95 { *rss == 0.0 } else { (rss - 1.0).abs() < 1e-5 });
    }
}

#[test]
fn espirit_of_a_volume_is_that_of_the_textbook_in_numpy() {
    let kspace = complex("volume_kspace.c64", [3, 10, 9, 14]);
    let options = EspiritOptions { calibration: [8, 9, 8], kernel: 3, threshold: 0.03, crop: 0.0, maps: 1 };
    let found = espirit(kspace.view(), [true; 3], &options).expect("maps");
    let expected = floats("volume_eigenvalues.f32");
    assert!(found.eigenvalues[0].iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));
    let same = agreement(found.maps[0].view(), complex("volume_maps.c64", [3, 10, 9, 14]).view());
    let worst = same.iter().copied().fold(1.0, f32::min);
    assert!(worst > 0.999, "{worst}");
}

#[test]
fn slices_are_calibrated_by_themselves_and_threads_change_nothing() {
    let slice = complex("slice_kspace.c64", [4, 1, 32, 32]);
    let mut both = Array4::zeros((4, 2, 32, 32));
    both.slice_mut(s![.., ..1, .., ..]).assign(&slice);
    both.slice_mut(s![.., 1.., .., ..]).assign(&(&slice + &noise([4, 1, 32, 32], 1).mapv(|z| z * 0.05)));
    let options = EspiritOptions { calibration: [16; 3], kernel: 5, maps: 2, ..EspiritOptions::default() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| espirit(both.view(), [false, true, true], &options).expect("maps"))
    };
    let (one, three) = (with(1), with(3));
    assert_eq!(one.maps, three.maps);
    assert_eq!(one.eigenvalues, three.eigenvalues);
    let alone = espirit(slice.view(), [true; 3], &options).expect("maps");
    for set in 0..2 {
        assert_eq!(one.maps[set].slice(s![.., ..1, .., ..]), alone.maps[set]);
        assert_eq!(one.eigenvalues[set].slice(s![..1, .., ..]), alone.eigenvalues[set]);
    }
    assert_ne!(one.maps[0].slice(s![.., 1.., .., ..]), alone.maps[0]);
}

#[test]
fn espirit_refuses_holes_in_its_calibration_region_and_options_out_of_range() {
    let mut kspace = complex("slice_kspace.c64", [4, 1, 32, 32]);
    let options = EspiritOptions { calibration: [16; 3], ..EspiritOptions::default() };
    let wrong = [
        EspiritOptions { maps: 5, ..options.clone() },
        EspiritOptions { kernel: 17, ..options.clone() },
        EspiritOptions { threshold: 0.0, ..options.clone() },
        EspiritOptions { crop: 1.0, ..options.clone() },
    ];
    for options in wrong {
        assert!(espirit(kspace.view(), [true; 3], &options).is_err(), "{options:?}");
    }
    kspace[[2, 0, 15, 15]].re = f32::NAN;
    assert!(espirit(kspace.view(), [true; 3], &options).is_err());
    kspace.slice_mut(s![.., .., 12, ..]).fill(Complex32::default());
    kspace[[2, 0, 15, 15]] = Complex32::new(1.0, 0.0);
    let problem = espirit(kspace.view(), [true; 3], &options).expect_err("a row is missing").to_string();
    assert!(problem.contains("calibration region"), "{problem}");
}

#[test]
fn adaptive_combination_is_walshs_and_gives_the_object_back_through_smooth_maps() {
    let images = images(&complex("slice_kspace.c64", [4, 1, 32, 32]));
    let combined = adaptive(images.view(), [1, 5, 3]).expect("odd widths");
    let largest = root_sum_of_squares(images.view()).into_iter().fold(0.0, f32::max);
    let expected = floats("slice_walsh.f32");
    let error = combined.image.iter().zip(&expected).map(|(z, e)| (z.norm() - e).abs()).fold(0.0, f32::max);
    assert!(error < 1e-4 * largest, "{error}");
    let object = floats("slice_object.f32");
    let error = combined.image.iter().zip(&object).map(|(z, o)| f64::from(z.norm() - o).powi(2)).sum::<f64>();
    let energy = object.iter().map(|&o| f64::from(o).powi(2)).sum::<f64>();
    assert!((error / energy).sqrt() < 0.01, "{}", (error / energy).sqrt());
    assert!(adaptive(images.view(), [1, 4, 3]).is_err());
}

#[test]
fn sense_weighting_inverts_the_coils_and_is_zero_where_there_are_none() {
    let mut maps = Birdcage { normalised: false, ..Birdcage::new(6) }.maps([4, 5, 6]).expect("a volume");
    maps.slice_mut(s![.., 1, 2, 3]).fill(Complex32::default());
    let image = noise([1, 4, 5, 6], 2);
    let combined = sense_weighted((&maps * &image).view(), &maps);
    for (place, z) in combined.indexed_iter() {
        let truth = image[[0, place.0, place.1, place.2]];
        let expected = if place == (1, 2, 3) { Complex32::default() } else { truth };
        assert!((z - expected).norm() < 1e-5);
    }
}

#[test]
fn virtual_coils_are_numpys_singular_vectors_and_all_of_them_keep_the_root_sum_of_squares() {
    let kspace = complex("slice_kspace.c64", [4, 1, 32, 32]);
    let calibration = centre(kspace.view(), [16; 3]);
    let all = compression(calibration, Keep::Coils(4)).expect("four of four");
    let expected = floats("compressed_singular.f32");
    for (a, &b) in all.singular_values.iter().zip(&expected) {
        assert!((a - f64::from(b)).abs() < 1e-5 * f64::from(expected[0]));
    }
    let numpy = complex("compression.c64", [1, 1, 4, 4]);
    for row in 0..4 {
        let product: Complex32 = (0..4).map(|c| numpy[[0, 0, row, c]].conj() * all.matrix[[row, c]]).sum();
        assert!((product.norm() - 1.0).abs() < 1e-5);
    }
    let (before, after) = (
        root_sum_of_squares(kspace.view()),
        root_sum_of_squares(mix(all.matrix.view(), kspace.view()).view()),
    );
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() <= 1e-5 * a));

    let share = |n: usize| {
        let energy = |values: &[f32]| values.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
        energy(&expected[..n]) / energy(&expected)
    };
    for n in 1..=4 {
        let least = compression(calibration, Keep::Energy(share(n) - 1e-4)).expect("a share");
        assert_eq!(least.matrix.nrows(), n);
        assert!((least.energy() - share(n)).abs() < 1e-5);
        let kept = mix(least.matrix.view(), calibration);
        let energy = |x: ArrayView4<Complex32>| x.iter().map(|z| f64::from(z.norm_sqr())).sum::<f64>();
        assert!((energy(kept.view()) / energy(calibration) - share(n)).abs() < 1e-5);
    }
    assert!(compression(calibration, Keep::Coils(5)).is_err());
    assert!(compression(Array4::zeros((2, 1, 3, 3)).view(), Keep::Coils(1)).is_err());
}

#[test]
fn whitening_is_numpys_and_leaves_noise_with_the_identity_as_covariance() {
    let measured = complex("noise.c64", [1, 1, 3, 200]).into_shape_with_order((3, 200)).expect("three coils");
    let matrix =
        whitening_matrix(&noise_covariance(measured.view()).expect("enough")).expect("independent coils");
    assert!(farthest(&matrix, &complex("whitening.c64", [1, 1, 3, 3])) < 1e-5);

    let z = |re: f32, im: f32| Complex32::new(re, im);
    let zero = z(0.0, 0.0);
    let coupling = [
        [z(1.0, 0.0), zero, zero],
        [z(0.0, 0.5), z(2.0, 0.0), zero],
        [z(0.3, 0.0), z(0.0, -0.2), z(0.5, 0.0)],
    ];
    let coupling = Array2::from_shape_fn((3, 3), |(a, b)| coupling[a][b]);
    // E[n nᴴ] of coupled noise of variance two.
    let double = |z: Complex32| Complex64::new(z.re.into(), z.im.into());
    let covariance = Array2::from_shape_fn((3, 3), |(a, b)| {
        (0..3).map(|c| 2.0 * double(coupling[[a, c]]) * double(coupling[[b, c]]).conj()).sum::<Complex64>()
    });
    let coupled = mix(coupling.view(), noise([3, 1, 100, 200], 3).view());
    let identity = |covariance: Array2<Complex64>, errors: f64| {
        for ((a, b), value) in covariance.indexed_iter() {
            let expected = if a == b { 1.0 } else { 0.0 };
            assert!((value - expected).norm() < errors, "({a}, {b}): {value}");
        }
    };
    let flat = |x: Array4<Complex32>| {
        let (coils, d, h, w) = x.dim();
        x.into_shape_with_order((coils, d * h * w)).expect("standard layout")
    };
    let white = mix(whitening_matrix(&covariance).expect("definite").view(), coupled.view());
    // Five standard errors of a covariance of unit variances from 20000 samples.
    identity(noise_covariance(flat(white).view()).expect("enough"), 5.0 / 20_000f64.sqrt());

    // A signal in the centre of k-space does not reach its outer tenth.
    let mut kspace = coupled;
    kspace.slice_mut(s![.., .., 40..60, 80..120]).fill(z(50.0, 10.0));
    let outer = outer_samples(kspace.view(), [false, true, true], 0.1).expect("a share");
    assert_eq!(outer.dim(), (3, 2000));
    let outer = outer.into_shape_with_order((3, 1, 1, 2000)).expect("one row");
    let white = mix(whitening_matrix(&covariance).expect("definite").view(), outer.view());
    identity(noise_covariance(flat(white).view()).expect("enough"), 5.0 / 2000f64.sqrt());

    let mut dead = measured;
    dead.row_mut(1).fill(zero);
    assert!(whitening_matrix(&noise_covariance(dead.view()).expect("enough")).is_err());
    assert!(noise_covariance(dead.slice(s![.., ..11])).is_err());
}

/// The real brain of sigpy's tutorial, `[8, 1, 230, 180]`, centre fully measured; none where the data is absent.
fn brain() -> Option<Array4<Complex32>> {
    let bytes = fs::read(needs::data("kspace/sigpy_brain8ch_cartesian_ksp.npy")?).expect("a file");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let part = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let values = bytes[start..].chunks_exact(8).map(|b| Complex32::new(part(b), part(&b[4..]))).collect();
    Some(Array4::from_shape_vec((8, 1, 230, 180), values).expect("eight coils"))
}

/// `‖k − F S Sᴴ Fᴴ k‖ / ‖k‖` of the calibration region.
fn residual(kspace: &Array4<Complex32>, maps: &Array4<Complex32>) -> f64 {
    let region = s![.., .., 115 - 12..115 + 12, 90 - 12..90 + 12];
    let mut low = Array4::zeros(kspace.dim());
    low.slice_mut(region).assign(&kspace.slice(region));
    let image = images(&low);
    let combined = sense_weighted(image.view(), maps).insert_axis(ndarray::Axis(0));
    let mut projected = (maps * &combined).into_dyn();
    fft(&mut projected, &[1, 2, 3]);
    let projected: Array4<Complex32> = projected.into_dimensionality().expect("four axes");
    let energy = |x: Array4<Complex32>| x.iter().map(|z| f64::from(z.norm_sqr())).sum::<f64>();
    let difference = &low.slice(region) - &projected.slice(region);
    (energy(difference) / energy(low)).sqrt()
}

#[test]
fn maps_of_a_real_brain_explain_its_calibration_region_and_agree_with_barts() {
    let Some(kspace) = brain() else { return };
    let options = EspiritOptions { crop: 0.0, maps: 2, ..EspiritOptions::default() };
    let found = espirit(kspace.view(), [true; 3], &options).expect("maps");
    let ours = residual(&kspace, &found.maps[0]);
    println!("residual in the calibration region: {ours:.4}");
    assert!(ours < 0.05, "{ours}");

    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let bytes: Vec<u8> =
        kspace.iter().flat_map(|z| [z.re.to_le_bytes(), z.im.to_le_bytes()].concat()).collect();
    fs::write(at("kspace.cfl"), bytes).expect("written");
    fs::write(at("kspace.hdr"), "# Dimensions\n180 230 1 8 1 1 1 1 1 1 1 1 1 1 1 1\n").expect("written");
    // BART's threshold is on eigenvalues: 0.02².
    let arguments = ["ecalib", "-m1", "-r24", "-t0.0004", "-c0", "kspace", "maps"];
    let Some(mut bart) = needs::program("bart", "bart") else { return };
    let status = bart.args(arguments).current_dir(folder.path()).output().expect("bart runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let bytes = fs::read(at("maps.cfl")).expect("maps");
    let part = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let values = bytes.chunks_exact(8).map(|b| Complex32::new(part(b), part(&b[4..]))).collect();
    let bart = Array4::from_shape_vec((8, 1, 230, 180), values).expect("eight coils");
    let theirs = residual(&kspace, &bart);
    assert!(ours < theirs + 1e-4, "{ours}, BART's {theirs}");
    // BART takes 30 steps of the power method and no more, so that it is exact only where (λ₂/λ₁)³⁰ is nothing.
    let (mut signal, mut settled, mut agreeing) = (0, 0, 0);
    let same = agreement(found.maps[0].view(), bart.view());
    for ((same, first), second) in same.iter().zip(&found.eigenvalues[0]).zip(&found.eigenvalues[1]) {
        if *first > 0.95 {
            signal += 1;
            agreeing += usize::from(*same > 0.999);
            if (second / first).powi(30) < 1e-4 {
                settled += 1;
                assert!(*same > 0.999, "{same} where the eigenvalues are {first} and {second}");
            }
        }
    }
    println!("{agreeing} of {signal} pixels agree with BART's, and all of {settled} where it has settled");
    assert!(settled > 25_000, "{settled}");
}

#[test]
fn maps_of_a_real_brain_are_exact_where_eigenvalues_are_close_too() {
    let Some(kspace) = brain() else { return };
    let found = espirit(kspace.view(), [true; 3], &EspiritOptions::default()).expect("maps");
    let pixels = floats("brain_pixels.f32");
    let exact = complex("brain_maps.c64", [8, 1, 1, pixels.len()]);
    for (i, &pixel) in pixels.iter().enumerate() {
        let (y, x) = (pixel as usize / 180, pixel as usize % 180);
        let distance = farthest(found.maps[0].slice(s![.., 0, y, x]), exact.slice(s![.., 0, 0, i]));
        assert!(distance < 1e-4, "({y}, {x}): {distance}");
    }
}
