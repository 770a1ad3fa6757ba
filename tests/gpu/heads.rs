//! Restoration heads on a GPU against the CPU: what a few steps of each log, and what the network then makes of a case.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use ndarray::Array4;
use voxgan::config::RestorationRecipe;
use voxgan::io::dataset::Dataset;
use voxgan::ops::VolumeOps;
use voxgan::train::Group;
use voxgan::train::restorer::{self, Job, Subjects};

use crate::card::{Fused, device};
use crate::prepared;
use crate::training::{compare, log};

/// Largest difference of a logged number, relative to its size and to at least a hundredth.
const TOLERANCE: f64 = 1e-3;

const TRAINING: &str = r#"
[training]
patch = PATCH
steps = 4
learning_rate = 0.002
warm_up = 1
log_every_steps = 1
picture_every_steps = 4
checkpoint_every_steps = 4
"#;

/// Each head with a small network of each kind.
const HEADS: [(&str, &str, &str); 5] = [
    (
        "superres",
        "[8, 8, 8]",
        "[head]\ntask = \"superres\"\nfactors = [[2, 2, 2], [1, 2, 1]]\n\n[network]\nkind = \"residual\"\nchannels = 4\nblocks = 1\n\
         space_to_depth = [2, 2, 2]\n",
    ),
    (
        "inpaint",
        "[8, 8, 8]",
        "[head]\ntask = \"inpaint\"\nradius_voxels = [1.5, 2.5]\n\n[network]\nkind = \"u-net\"\nwidths = [4, 6]\n",
    ),
    (
        "recon by steps",
        "[1, 12, 12]",
        "[head]\ntask = \"recon\"\npatterns = [{ kind = \"gaussian\", acceleration = 2.0, calibration = [4, 4], axes = [\"H\", \"W\"] }]\n\
         coils = 2\n\n[network]\nkind = \"residual\"\nchannels = 4\nblocks = 1\n\n[cascade]\nstages = 2\nbetween = \"step\"\n",
    ),
    (
        "recon by projections",
        "[8, 8, 8]",
        "[head]\ntask = \"recon\"\npatterns = [{ kind = \"gaussian\", acceleration = 2.0, calibration = [2, 2], axes = [\"H\", \"W\"] }]\n\
         coils = 1\n\n[network]\nkind = \"residual\"\nchannels = 4\nblocks = 1\n\n[cascade]\nstages = 2\nbetween = \"data-consistency\"\n",
    ),
    (
        "motion",
        "[8, 8, 8]",
        "[head]\ntask = \"motion\"\nknown = true\nmotion = { moves = 1, rotation_deg = [-4.0, 4.0], translation_mm = [-1.0, 1.0], \
         axes = [\"H\"] }\n\n[network]\nkind = \"residual\"\nchannels = 4\nblocks = 1\n",
    ),
];

/// Soft balls.
fn balls(number: usize) -> Array4<f32> {
    Array4::from_shape_fn((1, 16, 16, 16), |(_, z, y, x)| {
        let ball = |centre: f64, radius: f64| {
            let far = [z, y, x].map(|v| (v as f64 - centre).powi(2)).iter().sum::<f64>().sqrt();
            1.0 / (1.0 + ((far - radius) / 0.5).exp())
        };
        (ball(7.5, 5.0 + 0.5 * number as f64) - 0.4 * ball(8.5, 2.5)) as f32
    })
}

fn run<B: VolumeOps>(recipe: &RestorationRecipe, truths: &Dataset, out: &Path, device: &B::Device) {
    let stop = AtomicBool::new(false);
    let job = Job { recipe, subjects: Subjects::Scans(truths), out, stop: &stop, group: &Group::alone() };
    restorer::run::<B>(&job, device, &|_| {}).unwrap();
}

#[test]
fn steps_of_every_head_log_the_same_numbers() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let truths = prepared::dataset(folder.path(), (0..3).map(balls));
    for (name, patch, head) in HEADS {
        let toml = format!("{head}{}", TRAINING.replace("PATCH", patch));
        let recipe = RestorationRecipe::from_toml(&toml, Path::new("test.toml")).unwrap();
        let [cpu, gpu] = ["cpu", "gpu"].map(|on| folder.path().join(format!("{name} {on}")));
        run::<Flex>(&recipe, &truths, &cpu, &Default::default());
        run::<Fused>(&recipe, &truths, &gpu, &device);
        let worst = compare(&log(&gpu), &log(&cpu), TOLERANCE, 1e-2);
        println!("{name}: worst relative difference {worst:.1e}");
    }
}
