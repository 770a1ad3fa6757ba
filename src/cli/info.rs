//! `voxgan info`: what this program is and what it can use here.

use crate::config::AnyRecipe;
use crate::error::{Error, Result};
use crate::ops::cpu;
use crate::pipeline::Device;
use crate::pretrained::model::{self, Model};
use crate::pretrained::{TrainedRestorer, restorer, segmenter};

/// Print devices, features, weights and versions.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
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
    if args.licences {
        print!("{LICENCES}");
        return Ok(());
    }
    println!("voxgan       {}", env!("CARGO_PKG_VERSION"));
    println!("burn         0.21.0");
    println!("features     {}", if cfg!(feature = "cuda") { "cpu, cuda" } else { "cpu" });
    println!("cpu          {} kernels, {} threads", cpu::isa().name(), rayon::current_num_threads());
    match Device::Cuda(0).check() {
        Ok(()) => println!("cuda:0       ready"),
        Err(Error::Device { problem, advice, .. }) => println!("cuda:0       {problem}; {advice}"),
        Err(error) => return Err(error),
    }
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
