//! `voxgan mix`: some layers of w from one seed, the rest from another.

use burn::tensor::Tensor;
use serde_json::json;

use super::device::on_device;
use super::sampler::{OutputArgs, Sampler, SamplingArgs, Seeds, parse_seeds};
use crate::error::{Error, Result};
use crate::report::{Montage, write_png};

/// Mix styles: the chosen layers from one seed, the others from another.
///
/// Every row seed meets every column seed. Coarse layers hold the shape of the head and the ventricles, fine ones
/// texture and contrast. montage.png has the column seeds' own volumes in its first row and the row seeds' in its first
/// column.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seeds that give the layers that are not chosen
    #[arg(long, value_name = "SEEDS", value_parser = parse_seeds)]
    rows: Seeds,
    /// Seeds that give the chosen layers
    #[arg(long, value_name = "SEEDS", value_parser = parse_seeds)]
    columns: Seeds,
    /// The chosen layers of w, from 0, the coarsest; such as 0-3
    #[arg(long, value_name = "LAYERS", default_value = "0-3", value_parser = parse_seeds)]
    layers: Seeds,
    #[command(flatten)]
    output: OutputArgs,
}

/// Two lists of seeds → w's with layers exchanged → volumes → files.
///
/// # Errors
/// What is wrong with the layers, the weights, the device or the disk.
pub fn run(args: Args) -> Result<()> {
    on_device!(args.sampling.device, |B, device| {
        let sampler = Sampler::<B>::open(&args.sampling, &[], device)?;
        let num_ws = sampler.model.generator.synthesis.num_ws();
        if let Some(layer) = args.layers.0.iter().find(|&&layer| layer >= num_ws as u64) {
            let expected = format!("layers from 0 to {}", num_ws - 1);
            return Err(Error::value("--layers", expected, layer.to_string(), "this generator has no more"));
        }
        let styles = |seed: &u64| sampler.styles(sampler.latent(*seed), *seed);
        let columns: Vec<Tensor<B, 3>> = args.columns.0.iter().map(styles).collect();
        let own = |(ws, &seed): (&Tensor<B, 3>, &u64)| sampler.volume(ws.clone(), seed);
        let mut pictured: Vec<_> = columns.iter().zip(&args.columns.0).map(own).collect();
        // The corner, where no seed stands, is air.
        let mut corner = pictured[0].clone();
        corner.data.fill(0.0);
        pictured.insert(0, corner);
        for &row in &args.rows.0 {
            let base = styles(&row);
            pictured.push(sampler.volume(base.clone(), row));
            for (column, &seed) in columns.iter().zip(&args.columns.0) {
                let layers = (0..num_ws).map(|layer| {
                    let chosen = args.layers.0.contains(&(layer as u64));
                    if chosen { column.clone().narrow(1, layer, 1) } else { base.clone().narrow(1, layer, 1) }
                });
                let volume = sampler.volume(Tensor::cat(layers.collect(), 1), row);
                let path = args.output.out.join(format!("row-{row:04}_column-{seed:04}.nii.gz"));
                let details = json!({ "Seed": row, "MixSeed": seed, "MixLayers": args.layers.0, "MixConditions": sampler.labels(seed) });
                sampler.write(&path, std::slice::from_ref(&volume), args.output.data_type, row, details)?;
                println!("{}", path.display());
                pictured.push(volume);
            }
        }
        let montage = args.output.out.join("montage.png");
        let layout = Montage { columns: columns.len() + 1, ..Montage::fit(&pictured)? };
        write_png(&montage, &layout.render(&pictured)?)?;
        println!("{}", montage.display());
        Ok(())
    })
}
