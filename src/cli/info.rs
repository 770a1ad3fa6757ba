//! `voxgan info`: what this program is and what it can use here; what a file or folder of scans holds.

use std::path::{Path, PathBuf};

use crate::config::AnyRecipe;
use crate::error::{Error, Result};
use crate::io::dicom;
use crate::io::scan::{self, Format, ReadOptions};
use crate::ops::cpu;
use crate::pipeline::Device;
use crate::pretrained::model::{self, Model};
use crate::pretrained::{TrainedRestorer, restorer, segmenter};
use crate::train::Group;
use crate::volume::orientation::orientation;

/// Print devices, features, weights and versions; or what scans there are in a file or folder.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A scan; or a folder, DICOMDIR or zip archive of DICOM, whose series are listed: name, sequence, size, spacing, and whether they
    /// can be read. Nothing that tells who was scanned is printed
    #[arg(value_name = "IN")]
    input: Option<PathBuf>,
    /// Print what the weights inside were trained on and under which licences they are
    #[arg(long)]
    licences: bool,
}

/// The licences of the weights.
const LICENCES: &str = include_str!("../../weights/LICENSES.md");

/// The program and the machine → lines.
///
/// # Errors
/// Embedded weights that cannot be read, which would be a fault of the build.
pub fn run(args: Args) -> Result<()> {
    if let Some(input) = &args.input {
        return scans(input);
    }
    if args.licences {
        print!("{LICENCES}");
        return Ok(());
    }
    println!("voxgan       {}", env!("CARGO_PKG_VERSION"));
    println!("burn         0.21.0");
    let features = [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))];
    let features = features.into_iter().filter(|(_, built)| *built).map(|(name, _)| format!(", {name}"));
    println!("features     cpu{}", features.collect::<String>());
    println!("cpu          {} kernels, {} threads", cpu::isa().name(), rayon::current_num_threads());
    match Device::Cuda(0).check() {
        Ok(()) => println!("cuda:0       ready"),
        Err(Error::Device { problem, advice, .. }) => println!("cuda:0       {problem}; {advice}"),
        Err(error) => return Err(error),
    }
    match &Group::libraries()[..] {
        [] => println!("mpi          no library found: training takes one process"),
        found => println!("mpi          {}", found.join(", ")),
    }
    cards();
    for (of, names) in ["recipes", "segmenters'", "heads'"].into_iter().zip(AnyRecipe::preset_names()) {
        println!("{of:<12} {}", names.join(", "));
    }
    for name in model::embedded_names() {
        let model = Model::<burn::backend::Flex>::open(name, &Default::default())?;
        let [d, h, w] = model.recipe.network.shape();
        println!(
            "weights      {name}: [D, H, W] = [{d}, {h}, {w}], {} volumes shown, {}",
            model.images,
            &model.sha256[..12]
        );
    }
    let segmenter = segmenter::open::<burn::backend::Flex>(segmenter::EMBEDDED, &Default::default())?;
    for name in restorer::embedded_names() {
        let trained = TrainedRestorer::<burn::backend::Flex>::open(name, &Default::default())?;
        println!("head         {}", trained.name);
    }
    println!("segmenter    {}: {} structures at 1 mm", segmenter.name(), crate::anatomy::STRUCTURES);
    println!("licences     code Apache-2.0; weights: voxgan info --licences");
    Ok(())
}

/// Lists the cards that Vulkan or Metal reaches.
#[cfg(feature = "wgpu")]
fn cards() {
    use crate::ops::cards::{api, cards};

    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let cards = cards();
    if cards.is_empty() {
        println!("{:<12} no card was found", api());
    }
    let mut real = 0..;
    for card in cards {
        let name = match card.software {
            true => format!("{}:{}", card.api, card.name.split(' ').next().unwrap_or_default()),
            false => format!("gpu:{}", real.next().unwrap_or_default()),
        };
        let memory =
            card.memory_bytes.map_or("memory not told".into(), |bytes| format!("{:.1} GB", gigabytes(bytes)));
        let float16 = if card.float16 { ", float16" } else { "" };
        let program = if card.software { "; a program on the CPU, slower than --device cpu" } else { "" };
        println!(
            "{name:<12} {}, {memory}, tensors of {:.2} GB at most{float16}{program}",
            card.name,
            gigabytes(card.tensor_bytes)
        );
    }
}

#[cfg(not(feature = "wgpu"))]
fn cards() {
    println!("gpu:0        this program was built without Vulkan and Metal");
}

/// Lists the series of DICOM, or tells of another scan.
fn scans(input: &Path) -> Result<()> {
    if Format::of(input) != Format::Dicom {
        let series = scan::read_series(input, &ReadOptions::default())?;
        let Some(first) = series.frames.first() else { return Ok(()) };
        let (frames, channels) = (series.frames.len(), first.channels());
        let facing = orientation(&first.affine);
        println!(
            "{}: {}, {facing}, {frames} frame{}, {channels} channel{}, {}",
            input.display(),
            grid(first.dims(), first.spacing_mm()),
            if frames == 1 { "" } else { "s" },
            if channels == 1 { "" } else { "s" },
            series.data_type.name()
        );
        return Ok(());
    }
    for found in dicom::list(input)? {
        let frames = if found.frames > 1 { format!(", {} frames", found.frames) } else { String::new() };
        let about = [&found.manufacturer, &found.sequence, &found.stored];
        let about: Vec<&str> =
            about.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        println!("{}: {}", found.name, found.title());
        println!("  {}; {}{frames}", about.join(", "), grid(found.size, found.spacing_mm));
        println!("  {}", found.verdict);
        found.notes.iter().for_each(|note| println!("  note: {note}"));
    }
    Ok(())
}

/// Voxels along (i, j, k), and their size.
fn grid([i, j, k]: [usize; 3], spacing_mm: [f64; 3]) -> String {
    let [x, y, z] = spacing_mm.map(|mm| (1000.0 * mm).round() / 1000.0);
    format!("{i} × {j} × {k} voxels of {x} × {y} × {z} mm")
}
