//! Foreign feature extractors against PyTorch, with weights that a formula gives to both (fixtures/extractors).

use std::collections::BTreeMap;
use std::path::Path;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;
use voxgan::pretrained::Weights;
use voxgan::pretrained::extractors::{Extractor, InceptionV3, Med3d};

/// Largest error of float32 features, relative to the largest of them.
const TOLERANCE: f64 = 5e-6;

/// Numbers of [0, 1): splitmix64, begun at the FNV-1a hash of the name, the upper 24 bits.
fn uniform(name: &str, count: usize) -> Vec<f64> {
    let fnv = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The array of this name, as the script beside the fixture makes it.
fn array(name: &str, shape: &[usize]) -> Vec<f32> {
    let (scale, shift) = match (shape.len(), name.rsplit('.').next()) {
        (2.., _) => {
            let bound = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
            (2.0 * bound, -bound)
        }
        (_, Some("weight")) => (0.5, 0.75),
        (_, Some("running_var")) => (1.0, 0.5),
        _ => (0.4, -0.2),
    };
    uniform(name, shape.iter().product()).into_iter().map(|u| (u * scale + shift) as f32).collect()
}

fn expected(network: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/extractors/expected.json");
    let mut all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    all[network].take()
}

fn weights(expected: &Value) -> Weights {
    let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_value(expected["arrays"].clone()).unwrap();
    let arrays = shapes.into_iter().map(|(name, shape)| {
        let values = array(&name, &shape);
        (name, (shape, values))
    });
    Weights { arrays: arrays.collect(), path: "formula".into(), ..Weights::default() }
}

/// `scale·u + shift` in the shape of the fixture's input.
fn input(expected: &Value, [scale, shift]: [f64; 2]) -> (Vec<usize>, Vec<f32>) {
    let shape: Vec<usize> = serde_json::from_value(expected["input"].clone()).unwrap();
    let values = uniform("input", shape.iter().product());
    (shape, values.into_iter().map(|u| (u * scale + shift) as f32).collect())
}

fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<Flex, R> {
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn check(what: &str, ours: &[f32], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    let error = ours.iter().zip(expected).fold(0.0f64, |a, (x, y)| a.max((f64::from(*x) - y).abs()));
    println!("{what}: error {error:e} of {largest}");
    assert!(largest > 0.01 && error < TOLERANCE * largest, "{what}: {error} of {largest}");
}

fn values<const R: usize>(x: Tensor<Flex, R>) -> Vec<f32> {
    x.into_data().into_vec().unwrap()
}

#[test]
fn med3d_of_every_kind_agrees_with_pytorch() {
    for (name, title, width) in [
        ("resnet10", "Med3D ResNet-10", 32),
        ("resnet18", "Med3D ResNet-18", 32),
        ("resnet34", "Med3D ResNet-34", 32),
        ("resnet50", "Med3D ResNet-50", 128),
    ] {
        let expected = expected(name);
        let network = Med3d::<Flex>::from_weights(&weights(&expected), &Default::default()).unwrap();
        assert_eq!((network.name(), network.width()), (title.to_string(), width));
        let (shape, x) = input(&expected, [4.0, -2.0]);
        let x = tensor(x, <[usize; 5]>::try_from(shape).unwrap());
        let features: Vec<Vec<f64>> = serde_json::from_value(expected["features"].clone()).unwrap();
        check(name, &values(network.features(x).unwrap()), &features.concat());
    }
}

#[test]
fn inception_agrees_with_pytorch_fid() {
    let expected = expected("inception");
    let network = InceptionV3::<Flex>::from_weights(&weights(&expected), &Default::default()).unwrap();
    let (shape, x) = input(&expected, [2.0, -1.0]);
    let x = tensor(x, [shape[0], shape[1], 1, shape[2], shape[3]]);
    let features = network.features(x).unwrap();
    let logits = values(network.logits(features.clone()));
    let features = values(features);
    let numbers = |key: &str| serde_json::from_value::<Vec<f64>>(expected[key].clone()).unwrap();
    let sixteenth = |all: &[f32]| all.iter().copied().step_by(16).collect::<Vec<_>>();
    assert_eq!((features.len(), logits.len()), (2048, 1008));
    check("features", &sixteenth(&features), &numbers("features"));
    check("logits", &sixteenth(&logits), &numbers("logits"));
    let norm = features.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let norm_expected = expected["features_norm"].as_f64().unwrap();
    assert!((norm / norm_expected - 1.0).abs() < TOLERANCE, "{norm}, not {norm_expected}");
}

#[test]
fn slices_are_resized_as_pytorch_does_and_grey_ones_count_as_three_channels() {
    let small = uniform("small", 20 * 31).into_iter().map(|u| u as f32).collect();
    let large = InceptionV3::resized(tensor(small, [1, 1, 1, 20, 31]));
    assert_eq!(large.dims(), [1, 1, 1, 299, 299]);
    let large = values(large);
    let sampled: Vec<f32> = (0..299)
        .step_by(37)
        .flat_map(|y| (0..299).step_by(41).map(move |x| (y, x)))
        .map(|(y, x)| large[y * 299 + x])
        .collect();
    let expected = expected("inception");
    let rows: Vec<Vec<f64>> = serde_json::from_value(expected["resized"].clone()).unwrap();
    check("resized", &sampled, &rows.concat());

    let network = InceptionV3::<Flex>::from_weights(&weights(&expected), &Default::default()).unwrap();
    let grey = tensor(array("grey", &[1, 1, 75, 80]), [1, 1, 1, 75, 80]);
    let three = Tensor::cat(vec![grey.clone(); 3], 1);
    let [grey, three] = [grey, three].map(|x| values(network.features(x).unwrap()));
    assert_eq!(grey, three);
    for shape in [[1, 2, 1, 80, 80], [1, 3, 2, 80, 80], [1, 3, 1, 80, 74]] {
        let x = tensor(vec![0.0; shape.iter().product()], shape);
        assert!(network.features(x).unwrap_err().to_string().contains("Inception"), "{shape:?}");
    }
}

/// A file as PyTorch saves it after parallel training: a prefix, counters, a head that is not needed.
#[test]
fn a_saved_state_dict_is_read_and_what_is_wrong_in_it_named() {
    let expected = expected("resnet10");
    let plain = weights(&expected);
    let mut saved = Weights::default();
    for (name, array) in &plain.arrays {
        saved.arrays.insert(format!("module.{name}"), array.clone());
    }
    saved.arrays.insert("module.conv_seg.0.weight".into(), (vec![2], vec![1.0, 2.0]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet.safetensors");
    let bytes = saved.to_bytes(false).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let counter = 7i64.to_le_bytes();
    let counter = safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![], &counter).unwrap();
    let all = tensors.iter().map(|(name, view)| (name.to_string(), view));
    let all = all.chain([("module.bn1.num_batches_tracked".to_string(), counter)]);
    std::fs::write(&path, safetensors::serialize(all, None).unwrap()).unwrap();
    let device = Default::default();
    let (shape, x) = input(&expected, [4.0, -2.0]);
    let x: Tensor<Flex, 5> = tensor(x, <[usize; 5]>::try_from(shape).unwrap());
    let read = Med3d::open(&path, &device).unwrap().features(x.clone()).unwrap();
    let direct = Med3d::from_weights(&plain, &device).unwrap();
    assert_eq!(values(read), values(direct.features(x.clone()).unwrap()));
    assert!(direct.features(Tensor::cat(vec![x.clone(), x], 1)).unwrap_err().to_string().contains("Med3D"));

    let refusal = |change: &dyn Fn(&mut Weights)| {
        let mut changed = plain.clone();
        change(&mut changed);
        Med3d::<Flex>::from_weights(&changed, &device).unwrap_err().to_string()
    };
    let without = |name: &'static str| {
        move |weights: &mut Weights| {
            weights.arrays.remove(name).unwrap();
        }
    };
    assert!(refusal(&without("layer2.0.bn2.running_mean")).contains("layer2.0.bn2.running_mean"));
    assert!(refusal(&without("layer3.0.conv1.weight")).contains("depth 10"));
    assert!(refusal(&without("conv1.weight")).contains("conv1.weight"));
    let narrow = |weights: &mut Weights| {
        let (shape, values) = weights.arrays.get_mut("layer1.0.conv1.weight").unwrap();
        shape[1] -= 1;
        values.truncate(shape.iter().product());
    };
    assert!(refusal(&narrow).contains("layer1.0.conv1.weight"));
    std::fs::write(&path, b"PK not a tensor").unwrap();
    assert!(Med3d::<Flex>::open(&path, &device).unwrap_err().to_string().contains("safetensors"));
    assert!(
        InceptionV3::<Flex>::from_weights(&plain, &device).unwrap_err().to_string().contains("Conv2d_1a_3x3")
    );
}
