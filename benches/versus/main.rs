//! Our side of `benches/versus/run`: a worker that times what it is asked to, one JSON object a line.
//!
//! With the argument `worker` it reads requests from its input and answers each with one line. Without, as
//! `cargo bench` starts it, it says how to run the comparison and ends. The requests are told in `README.md` beside
//! this file; `peer.py` answers the same ones.

mod conv;
mod peak;
mod steps;

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::time::Instant;

use burn::backend::Flex;
use serde::Deserialize;
use serde_json::{Value, json};

use conv::Case;
use steps::{Bench, Kind, Setup};
use voxgan::ops::cpu::Blocks;

/// As in the program.
#[global_allocator]
static BLOCKS: Blocks = Blocks::new();

/// What the worker can be asked for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Request {
    /// Name, version, threads, and the machine's peak.
    Hello,
    /// Seconds of 10⁹ operations at the machine's peak.
    Peak { repeats: usize },
    /// Seconds of one convolution.
    Conv {
        #[serde(flatten)]
        case: Case,
        repeats: usize,
    },
    /// Networks and optimisers of a size; replaces those before.
    Setup(Setup),
    /// Seconds of a generation.
    Generate { repeats: usize },
    /// Seconds of a training step.
    Step { repeats: usize },
    /// Seconds of a training step with R1.
    StepR1 { repeats: usize },
    /// Seconds of a training step with the path-length penalty.
    StepPl { repeats: usize },
    /// Peak memory so far, and memory before the setup.
    Memory,
}

/// What the worker keeps from one request to the next.
#[derive(Default)]
struct Worker {
    bench: Option<Bench<Flex>>,
    warm: BTreeSet<Kind>,
    idle_mb: Option<f64>,
}

impl Worker {
    fn answer(&mut self, request: Request) -> Value {
        match request {
            Request::Hello => {
                let peak = peak::measure();
                json!({
                    "name": "voxgan",
                    "version": env!("CARGO_PKG_VERSION"),
                    "threads": rayon::current_num_threads(),
                    "isa": peak.isa,
                    "peak_gflops": peak.gflops,
                })
            }
            Request::Peak { repeats } => {
                json!({ "seconds": (0..repeats.min(5)).map(|_| 1.0 / peak::once().gflops).collect::<Vec<_>>() })
            }
            Request::Conv { case, repeats } => {
                let run = conv::prepare(&case);
                run();
                json!({ "seconds": seconds(repeats, run) })
            }
            Request::Setup(setup) => {
                self.idle_mb = status_mb("VmRSS:");
                self.warm.clear();
                let bench = Bench::new(&setup, &Default::default());
                let [generator, discriminator] = bench.parameter_counts();
                self.bench = Some(bench);
                json!({ "generator": generator, "discriminator": discriminator })
            }
            Request::Generate { repeats } => self.time(Kind::Generate, repeats),
            Request::Step { repeats } => self.time(Kind::Step, repeats),
            Request::StepR1 { repeats } => self.time(Kind::StepR1, repeats),
            Request::StepPl { repeats } => self.time(Kind::StepPathLength, repeats),
            Request::Memory => json!({ "peak_mb": status_mb("VmHWM:"), "idle_mb": self.idle_mb }),
        }
    }

    /// Seconds of each of `repeats` runs; the first after a setup is preceded by one that is not timed.
    fn time(&mut self, kind: Kind, repeats: usize) -> Value {
        let Some(bench) = &mut self.bench else {
            return json!({ "error": "nothing is set up yet" });
        };
        if self.warm.insert(kind) {
            bench.run(kind);
        }
        json!({ "seconds": seconds(repeats, || bench.run(kind)) })
    }
}

/// Seconds of each of `repeats` calls. The CPU backend computes before it returns: nothing is left to wait for.
fn seconds(repeats: usize, mut run: impl FnMut()) -> Vec<f64> {
    let once = |_| {
        let started = Instant::now();
        run();
        started.elapsed().as_secs_f64()
    };
    (0..repeats).map(once).collect()
}

/// A line of Linux's account of this process ("VmHWM:", its peak memory), in MiB; none on other systems.
fn status_mb(key: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

fn serve() -> std::io::Result<()> {
    let mut worker = Worker::default();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(request) => worker.answer(request),
            Err(error) => json!({ "error": format!("request: {error}") }),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments == ["worker"] {
        return serve();
    }
    println!("versus: one side of the comparison with PyTorch; start it with benches/versus/run");
    Ok(())
}
