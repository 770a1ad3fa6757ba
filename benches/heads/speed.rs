//! Seconds and memory of each head on a volume of 256³, each in a process of its own.

use std::process::Command;
use std::time::Instant;

use burn::backend::Flex;
use ndarray::{Array3, Array4};
use voxgan::acquisition::Complex32;
use voxgan::config::HeadRecipe;
use voxgan::error::Result;
use voxgan::heads::{Inpaint, Motion, Network, Progress, Superres, Translate, blocks, restore};
use voxgan::pretrained::TrainedRestorer;
use voxgan::recon::Acquired;

use crate::Place;

/// The program's own allocator, as it runs.
#[global_allocator]
static BLOCKS: voxgan::cli::Blocks = voxgan::cli::Blocks::new();

const LENGTH: usize = 256;
const REPEATS: usize = 3;

pub fn all(place: &Place) -> Result<()> {
    println!("| head | seconds | peak memory, GB |\n|---|---|---|");
    let program = std::env::current_exe().expect("this program has a path");
    for head in ["superres", "inpaint", "motion", "recon", "translate", "progress"] {
        let mut command = Command::new(&program);
        command.arg(format!("speed-{head}"));
        for (name, file) in &place.weights {
            command.args(["--weights".to_string(), format!("{name}={file}")]);
        }
        let output = command.output().expect("this program runs");
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

pub fn one(place: &Place, head: &str) -> Result<()> {
    let trained = place.network(head)?;
    let mut seconds: Vec<f64> = Vec::new();
    for _ in 0..REPEATS {
        let start = Instant::now();
        whole(&trained)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (least, median, most) = (seconds[0], seconds[REPEATS / 2], seconds[REPEATS - 1]);
    println!("| {head} | {median:.1} ({least:.1}–{most:.1}) | {:.2} |", peak_bytes() as f64 / 1e9);
    Ok(())
}

/// A result of 256³.
fn whole(trained: &TrainedRestorer<Flex>) -> Result<()> {
    let image = |length: usize| {
        Array4::from_shape_fn((1, length, length, length), |(_, z, y, x)| {
            ((z * 7 + y * 3 + x) % 50) as f32 / 50.0
        })
    };
    let case = match &trained.recipe.head {
        HeadRecipe::Superres(recipe) => Superres::new(recipe).case(&image(LENGTH / 2), [2; 3])?,
        HeadRecipe::Inpaint(recipe) => {
            let known = Array3::from_shape_fn((LENGTH, LENGTH, LENGTH), |(z, ..)| z != LENGTH / 2);
            Inpaint::new(recipe).case(&image(LENGTH), &known)?
        }
        HeadRecipe::Motion(recipe) => Motion::new(recipe).unknown(image(LENGTH)),
        HeadRecipe::Translate(recipe) => Translate::new(recipe).case(image(LENGTH)),
        HeadRecipe::Progress(recipe) => Progress::new(recipe).case(image(LENGTH), recipe.years, None)?,
        HeadRecipe::Recon(_) => {
            let data = image(LENGTH).mapv(|x| Complex32::new(x, 0.0));
            let sampled = Array3::from_shape_fn((LENGTH, LENGTH, LENGTH), |(_, _, x)| {
                x % 4 == 0 || x.abs_diff(128) < 10
            });
            let maps = Array4::ones((1, LENGTH, LENGTH, LENGTH));
            let acquired = Acquired::still(data.view(), sampled.view(), maps.view(), &[2, 3]);
            let TrainedRestorer { name, network, recipe, .. } = &trained;
            let device = &Default::default();
            acquired.reconstruct(&Network { name, network, recipe, consistency: 1.0, device })?;
            return Ok(());
        }
        other => panic!("nothing is measured of {other:?}"),
    };
    restore(&trained.network, &case, blocks(&trained.recipe), 1.0, &Default::default())?;
    Ok(())
}

/// The most memory that this process has had, from the system.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}
