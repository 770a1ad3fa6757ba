//! brainchop's networks as this program reads them: parity with onnxruntime and with PyTorch, the map of a whole head,
//! what is refused, and the regions that their classes make up.
//!
//! The networks and the golden results are not in this repository; without them the tests that need them say so.

#[path = "../../benches/anatomy/meshnet/mod.rs"]
mod meshnet;

use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use meshnet::{ClassUnion, MeshNet, Range, UNIONS_18};
use ndarray::{Array3, ArrayD, Axis, s};
use serde_json::Value;
use voxgan::anatomy::Region;
use voxgan::io::{nifti, npy};
use voxgan::volume::Volume;
use voxgan::volume::orientation::to_ras;

use crate::needs;

/// Largest error of float32 logits, relative to the largest of them.
const TOLERANCE: f64 = 1e-5;

fn brainchop() -> Option<PathBuf> {
    needs::data("brainchop")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/meshnet")
}

fn open(path: &Path) -> MeshNet<Flex> {
    MeshNet::open(path, &Default::default()).unwrap()
}

/// Logits `[classes, D, H, W]` of a block `[D, H, W]`.
fn logits(network: &MeshNet<Flex>, block: &Array3<f32>) -> ArrayD<f32> {
    let (d, h, w) = block.dim();
    let x = TensorData::new(block.iter().copied().collect::<Vec<_>>(), [1, 1, d, h, w]);
    let y = network.logits(Tensor::from_data(x, &Default::default())).into_data();
    let shape: Vec<usize> = y.shape[1..].to_vec();
    ArrayD::from_shape_vec(shape, y.into_vec().unwrap()).unwrap()
}

fn block(folder: &Path) -> Array3<f32> {
    npy::read_real(&folder.join("golden/input_20cube.npy")).unwrap().into_dimensionality().unwrap()
}

#[test]
fn logits_are_those_of_onnxruntime() {
    let Some(folder) = brainchop() else { return };
    for name in ["model5_gw_ae", "model18cls", "model30chan18cls"] {
        let golden = npy::read_real(&folder.join(format!("golden/{name}_logits_20cube.npy"))).unwrap();
        let ours = logits(&open(&folder.join(format!("models/{name}/model.json"))), &block(&folder));
        assert_eq!(ours.shape(), golden.shape());
        let largest = golden.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let error = ours.iter().zip(&golden).fold(0.0f32, |a, (x, y)| a.max((x - y).abs()));
        println!("{name}: error {error:e} of {largest}");
        assert!(f64::from(error / largest) < TOLERANCE, "{name}: {error} of {largest}");
    }
}

/// Every network on 20³ and on 17×19×13, in float64 by PyTorch.
#[test]
fn every_network_agrees_with_pytorch_on_any_grid() {
    let expected: Value = serde_json::from_slice(&fs::read(fixtures().join("logits.json")).unwrap()).unwrap();
    let Some(folder) = brainchop() else { return };
    let block = block(&folder);
    let part = block.slice(s![1..18, 0..19, 4..17]).to_owned();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    for (name, results) in expected.as_object().unwrap() {
        let models = if name == "tiny" { fixtures() } else { folder.join("models") };
        let network = open(&models.join(name).join("model.json"));
        for (kind, block) in [("whole", &block), ("part", &part)] {
            let (ours, results) = (logits(&network, block), &results[kind]);
            let shape: Vec<f64> = ours.shape().iter().map(|&n| n as f64).collect();
            assert_eq!(shape, numbers(&results["shape"]));
            let squares = numbers(&results["mean_square"]);
            let scale = squares.iter().fold(0.0f64, |a, &b| a.max(b)).sqrt();
            let near = |a: f64, b: f64, what: &str| {
                assert!(
                    (a - b).abs() < TOLERANCE * scale,
                    "{name} {kind} {what}: {a}, not {b} (scale {scale})"
                );
            };
            for (class, values) in ours.outer_iter().enumerate() {
                let n = values.len() as f64;
                let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
                let square = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
                near(mean, results["mean"][class].as_f64().unwrap(), "mean");
                near(square.sqrt(), squares[class].sqrt(), "root of the mean square");
            }
            for voxel in results["voxels"].as_array().unwrap() {
                let [d, h, w] = [0, 1, 2].map(|axis| voxel["at"][axis].as_u64().unwrap() as usize);
                for (class, logit) in numbers(&voxel["logits"]).into_iter().enumerate() {
                    near(f64::from(ours[[class, d, h, w]]), logit, "voxel");
                }
            }
        }
    }
}

#[test]
fn the_range_and_the_names_of_each_network_are_its_own() {
    let Some(folder) = brainchop() else { return };
    let model = |name: &str| open(&folder.join("models").join(name).join("model.json"));
    for (name, classes, range, last) in [
        ("mindgrab", 2, Range::Quantiles, "brain mask"),
        ("model5_gw_ae", 3, Range::MinMax, "Grey Matter"),
        ("model11_gw_ae", 3, Range::MinMax, "class 2"),
        ("model18cls", 18, Range::MinMax, "VentralDC"),
        ("model20chan3cls", 3, Range::Quantiles, "Grey Matter"),
        ("model30chan18cls", 18, Range::MinMax, "VentralDC"),
        ("model30chan50cls", 50, Range::Quantiles, ""),
        ("model21_104class", 104, Range::MinMax, ""),
    ] {
        let network = model(name);
        assert_eq!(network.classes().len(), classes, "{name}");
        assert_eq!(network.range(), range, "{name}");
        assert!(last.is_empty() || network.classes()[classes - 1] == last, "{name}: {:?}", network.classes());
    }
}

/// A part of the head whose inner voxels see what they see in the whole: the network looks 46 voxels far.
#[test]
fn a_part_of_the_head_has_the_labels_of_onnxruntime() {
    const SEEN: usize = 46;
    let Some(folder) = brainchop() else { return };
    let read = |name: &str| -> Array3<f32> {
        let volume = nifti::read(folder.join(name)).unwrap();
        volume.data.index_axis(Axis(0), 0).permuted_axes([2, 1, 0]).as_standard_layout().into_owned() // [i, j, k]
    };
    let (scan, golden) = (read("t1_crop.nii.gz"), read("golden/t1_crop_model18cls_minmax_seg.nii.gz"));
    let network = open(&folder.join("models/model18cls/model.json"));
    // Ventricles, deep grey matter and what lies around them, out of sight of the box that brainchop cuts.
    let inner = [113..129, 131..151, 122..142];
    let outer = inner.clone().map(|range| range.start - SEEN..range.end + SEEN);
    let cut = |x: &Array3<f32>, [i, j, k]: [std::ops::Range<usize>; 3]| x.slice(s![i, j, k]).to_owned();
    let block = cut(&scan, outer) / 255.0;
    let labels = network.labels(block.view().insert_axis(Axis(0)));
    let labels = labels.slice(s![SEEN..SEEN + 16, SEEN..SEEN + 20, SEEN..SEEN + 20]);
    let golden = cut(&golden, inner);
    let classes: std::collections::BTreeSet<u8> = labels.iter().copied().collect();
    assert!(classes.len() >= 8, "only {classes:?} in view");
    let different = labels.iter().zip(&golden).filter(|&(&a, &b)| f32::from(a) != b).count();
    assert_eq!(different, 0, "of {} voxels", labels.len());
}

#[test]
#[ignore = "half a minute and 2 GB: run with --release"]
fn a_whole_head_has_the_labels_of_onnxruntime() {
    let Some(folder) = brainchop() else { return };
    let scan = nifti::read(folder.join("t1_crop.nii.gz")).unwrap();
    for name in ["model18cls", "model30chan18cls"] {
        let golden = nifti::read(folder.join(format!("golden/t1_crop_{name}_minmax_seg.nii.gz"))).unwrap();
        let start = std::time::Instant::now();
        let labels = open(&folder.join(format!("models/{name}/model.json"))).segment(&scan).unwrap();
        let different = labels.data.iter().zip(&golden.data).filter(|(a, b)| a != b).count();
        println!("{name}: {:.1} s, {different} voxels differ", start.elapsed().as_secs_f64());
        // Logits that are equal but for rounding may fall to either side.
        assert!(different <= 3, "{name}: {different} voxels");
    }
}

/// The path of a scan, with a network whose every voxel is decided by its value: bright is class 1.
#[test]
fn a_scan_on_any_grid_is_conformed_and_labelled_on_its_own() {
    let network = threshold_network();
    let (w, h, d) = (21, 30, 26);
    let turned = nalgebra::Matrix4::new(
        0.0, 2.0, 0.0, -31.0, //
        -1.5, 0.0, 0.0, 12.0, //
        0.0, 0.0, 2.5, -40.0, //
        0.0, 0.0, 0.0, 1.0,
    );
    let turned = voxgan::volume::VoxelToWorld::new(turned).unwrap();
    let inside =
        |(_, k, j, i): (usize, usize, usize, usize)| (6..15).contains(&i) && j > 11 && (4..20).contains(&k);
    let values = ndarray::Array4::from_shape_fn((1, d, h, w), |at| if inside(at) { 3000.0 } else { 40.0 });
    let scan = Volume::new(values, turned);
    let labels = network.segment(&scan).unwrap();
    assert_eq!(labels.affine, scan.affine);
    for (at, &label) in labels.data.indexed_iter() {
        assert_eq!(label, f32::from(u8::from(inside(at))), "{at:?}");
    }
    // The same scan otherwise stored has the same labels.
    let (ras, original) = to_ras(scan.clone());
    let back = voxgan::volume::orientation::from_ras(network.segment(&ras).unwrap(), &original);
    assert_eq!(back.data, labels.data);
    let two = Volume::new(ndarray::Array4::zeros((2, 3, 3, 3)), turned);
    assert!(network.segment(&two).unwrap_err().to_string().contains("channels"));
    let flat = Volume::new(ndarray::Array4::zeros((1, 3, 3, 3)), turned);
    assert!(network.segment(&flat).unwrap_err().to_string().contains("contrast"));
}

/// Logits 0 and value − ½.
fn threshold_network() -> MeshNet<Flex> {
    let folder = tempfile::tempdir().unwrap();
    let model = r#"{"format": "layers-model", "modelTopology": {"model_config": {"config": {"layers": [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [null, 256, 256, 256, 1]}},
        {"class_name": "Conv3D", "config": {"name": "out", "filters": 2, "kernel_size": [1, 1, 1],
            "strides": [1, 1, 1], "dilation_rate": [1, 1, 1], "padding": "same", "data_format": "channels_last",
            "activation": "softmax", "use_bias": true}, "inbound_nodes": [[["in", 0, 0, {}]]]}]}}},
        "weightsManifest": [{"paths": ["w.bin"], "weights": [
            {"name": "out/kernel", "shape": [1, 1, 1, 1, 2], "dtype": "float32"},
            {"name": "out/bias", "shape": [2], "dtype": "float32"}]}]}"#;
    let weights: Vec<u8> = [0.0f32, 1.0, 0.0, -0.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(folder.path().join("model.json"), model).unwrap();
    fs::write(folder.path().join("w.bin"), weights).unwrap();
    open(&folder.path().join("model.json"))
}

/// Each change of a known network is refused with a word of what is wrong.
#[test]
fn what_is_unknown_is_refused_by_name() {
    let tiny = fixtures().join("tiny");
    let text = fs::read_to_string(tiny.join("model.json")).unwrap();
    let refusal = |model: &str, shard: Option<&[u8]>| {
        let folder = tempfile::tempdir().unwrap();
        let second = fs::read(tiny.join("shard2.bin")).unwrap();
        fs::write(folder.path().join("model.json"), model).unwrap();
        fs::copy(tiny.join("shard1.bin"), folder.path().join("shard1.bin")).unwrap();
        fs::write(folder.path().join("shard2.bin"), shard.unwrap_or(&second)).unwrap();
        let opened = MeshNet::<Flex>::open(&folder.path().join("model.json"), &Default::default());
        opened.map(|_| ()).unwrap_err().to_string()
    };
    for (from, to, word) in [
        ("\"BatchNormalization\"", "\"LayerNormalization\"", "LayerNormalization"),
        ("\"relu\"", "\"swish\"", "swish"),
        ("\"relu\"", "\"softmax\"", "softmax"),
        ("\"same\"", "\"valid\"", "padding"),
        ("\"layers-model\"", "\"graph-model\"", "graph-model"),
        ("\"a/kernel\"", "\"a/weights\"", "a/kernel"),
        ("\"filters\": 3", "\"filters\": 4", "a/kernel"),
        ("\"name\": \"d\"", "\"nom\": \"d\"", "name"),
        ("\"float32\"", "\"int8\"", "float32"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = refusal(&text.replacen(from, to, 1), None);
        assert!(error.contains(word), "{from} → {to}: {error}");
    }
    assert!(refusal(&text, Some(&[0; 12])).contains("bytes"));
    let branching = text.replacen(
        "\"class_name\": \"Activation\",",
        "\"class_name\": \"Activation\", \"inbound_nodes\": [[[\"b\", 0, 0, {}], [\"d\", 0, 0, {}]]],",
        1,
    );
    assert_ne!(branching, text);
    assert!(refusal(&branching, None).contains("b, d"));
}

#[test]
fn classes_make_up_regions_that_are_known() {
    let classes = |region: &str| ClassUnion::named(region).unwrap().classes.to_vec();
    for union in &UNIONS_18 {
        let region = Region::named(union.region);
        assert!(region.is_some_and(|region| region.side().is_none()), "{}", union.region);
    }
    let joined = |parts: &[&str]| {
        let mut all: Vec<u8> = parts.iter().flat_map(|part| classes(part)).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(joined(&["parenchyma", "ventricles"]), classes("brain"));
    let parts =
        ["cerebral_cortex", "cerebral_white_matter", "deep_grey", "hippocampus_amygdala", "cerebellum"];
    assert_eq!(joined(&[parts.as_slice(), &["brain_stem"]].concat()), classes("parenchyma"));
    let Some(folder) = brainchop() else { return };
    let network = open(&folder.join("models/model18cls/model.json"));
    for (region, name) in [
        ("lateral_ventricles", "Lateral-Ventricle"),
        ("inferior_lateral_ventricles", "Inferior-Lateral-Ventricle"),
        ("third_ventricle", "3rd-Ventricle"),
        ("fourth_ventricle", "4th-Ventricle"),
        ("cerebral_cortex", "Cerebral-Cortex"),
        ("cerebral_white_matter", "Cerebral-White-Matter"),
        ("deep_grey", "Thalamus Caudate Putamen Pallidum Accumbens-area VentralDC"),
        ("hippocampus_amygdala", "Hippocampus Amygdala"),
        ("cerebellum", "Cerebellum-White-Matter Cerebellum-Cortex"),
        ("brain_stem", "Brain-Stem"),
    ] {
        let names: Vec<&str> =
            classes(region).iter().map(|&c| network.classes()[usize::from(c)].as_str()).collect();
        assert_eq!(names.join(" "), name, "{region}");
    }
    // Counted by numpy.
    let golden = nifti::read(folder.join("golden/t1_crop_model18cls_minmax_seg.nii.gz")).unwrap();
    let voxels =
        |region| ClassUnion::named(region).unwrap().mask(&golden).iter().filter(|&&inside| inside).count();
    assert_eq!(["lateral_ventricles", "cerebellum", "brain"].map(voxels), [20_439, 137_235, 1_284_298]);
}
