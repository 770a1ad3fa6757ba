//! The networks on a GPU: every quantity that the fixtures of independent programs pin, and the program's own words.

use std::path::{Path, PathBuf};

use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};
use voxgan::io::nifti;
use voxgan::nn::Init;
use voxgan::nn::parameters::gradients;
use voxgan::ops::{Shaped, VolumeOps, backward, tape};
use voxgan::pretrained::{Fixture, parity};
use voxgan::segment::SegmentationNetConfig;

use crate::card::{Fused, device, draw, error, option, tensor, values};
use crate::program::{printed, refused};

/// How many times the CPU's tolerance the error may be: sums have another order on each card.
const TIMES: f64 = 10.0;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name)
}

fn parity(name: &str) {
    let Some(device) = device() else { return };
    let fixture = Fixture::read(&fixture(name)).expect("the fixture reads");
    let rows = parity::check::<Autodiff<Fused>>(&fixture, &device).expect("the fixture loads");
    for row in &rows {
        println!("{name} {:20} {:3} arrays {:.1e} ({})", row.group, row.arrays, row.error, row.worst);
    }
    let above: Vec<_> =
        rows.iter().filter(|row| row.error.is_nan() || row.error > TIMES * row.tolerance).collect();
    assert!(rows.len() >= 15 && above.is_empty(), "{name}: {above:?}");
}

#[test]
fn cube() {
    parity("stylegan2_3d_r16_c1.safetensors");
}

#[test]
fn brick() {
    parity("stylegan2_3d_brick_20x24x20.safetensors");
}

#[test]
fn slab() {
    parity("stylegan2_3d_slab_16x16x6.safetensors");
}

#[test]
fn large_slices() {
    parity("stylegan2_2d_r64_c1.safetensors");
}

#[test]
fn grey_slices() {
    parity("stylegan2ada_2d_r32_c1.safetensors");
}

#[test]
fn conditional_colour_slices() {
    parity("stylegan2ada_2d_r16_rgb_cond.safetensors");
}

/// The output, and the gradient of Σ v·y² in every parameter, one behind the other.
fn segmentation<B: VolumeOps>(grid: [usize; 3], to: (&B::Device, DType)) -> [Vec<f64>; 2] {
    let config = SegmentationNetConfig { widths: vec![4, 6, 8], inputs: 1, outputs: 5, space_to_depth: 2 };
    let network = config.init::<Autodiff<B>>(&mut Init::new(3), to.0);
    let [d, h, w] = grid;
    let image = tensor::<Autodiff<B>>(&draw(2, 0, 2 * d * h * w), to).shaped([2, 1, d, h, w]);
    let y = network.forward(image);
    let v: Tensor<Autodiff<B>, 1> = tensor(&draw(2, 1, y.dims().iter().product()), to);
    let found = gradients(&network, &backward(&(y.clone().powi_scalar(2).flat() * v).sum()));
    [values(y), found.into_values().flat_map(values).collect()]
}

#[test]
fn a_segmentation_network_and_its_gradients() {
    let Some(device) = device() else { return };
    let _tape = tape();
    let grid = [8, 16, 8];
    let expected = segmentation::<Flex>(grid, (&Default::default(), DType::F32));
    let found = segmentation::<Fused>(grid, (&device, DType::F32));
    for (found, expected) in found.iter().zip(&expected) {
        let error = error(found, expected, 0.0);
        assert!(error <= 1e-4, "{error:.1e}");
    }
}

#[test]
fn the_program_makes_what_it_makes_on_the_cpu() {
    let Some(option) = option() else { return };
    let folder = tempfile::tempdir().unwrap();
    let generate = |device: &str, name: &str| {
        let out = folder.path().join(name);
        printed(&["generate", "--seeds", "3", "--device", device, "--out", out.to_str().unwrap()]);
        let record = std::fs::read_to_string(out.join("seed-0003.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        (nifti::read(out.join("seed-0003.nii.gz")).unwrap().data, record["Device"].clone())
    };
    let ((cpu, on_cpu), (gpu, on_gpu)) = (generate("cpu", "cpu"), generate(&option, "gpu"));
    assert_eq!((on_cpu.as_str(), on_gpu.as_str()), (Some("cpu"), Some(option.as_str())));
    let largest = cpu.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let worst = cpu.iter().zip(&gpu).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    // Stored as 16-bit numbers: one step of them.
    assert!(worst <= largest / 30_000.0 + 1e-3, "{worst} of {largest}");
}

#[test]
fn the_program_names_the_cards_and_what_to_do() {
    let Some(card) = crate::card::card() else { return };
    let told = printed(&["info"]);
    assert!(told.contains(&card.name) && told.contains("GB"), "{told}");
    let refused = |device: &str| refused(&["generate", "--device", device, "--out", "nowhere"]);
    let wrong = refused("vulkan:no such card");
    assert!(wrong.contains(&card.name), "{wrong}");
    if card.software {
        assert!(told.contains("a program on the CPU"), "{told}");
        let none = refused("gpu");
        assert!(none.contains(&card.name) && none.contains("--device cpu"), "{none}");
    } else {
        assert!(refused("gpu:99").contains("choose a number"));
    }
}
