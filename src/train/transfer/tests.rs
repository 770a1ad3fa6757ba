//! The first image and the first logit of a network that starts from another one, against what that one gives.

use std::path::Path;

use burn::backend::{Autodiff, Flex};
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::*;
use crate::gan::{Generator, Truncation};
use crate::nn::parameters::replace;
use crate::nn::{Noise, downsample, upsample};
use crate::ops::{Features, backward};
use crate::random::{Purpose, Samples, normal, stream};

type Image = Tensor<Flex, 5>;
type Condition = Option<Tensor<Flex, 2>>;

const SAMPLES: usize = 4;
const SEX: &str = "[[conditions.classes]]\nlabel = \"sex\"\nvalues = [\"F\", \"M\"]\n";
const AGE: &str = "[[conditions.covariates]]\nlabel = \"age\"\nmin = 20.0\nmax = 80.0\n\
                   encoding.fourier.frequencies = 2\n";

/// A recipe with these lines in `[network]`, and tables after it.
fn recipe(network: &str, tables: &str) -> Recipe {
    let text = format!("[network]\nbase = [2, 3, 2]\nz_dim = 4\nmapping_layers = 2\n{network}\n{tables}");
    Recipe::from_toml(&text, Path::new("test.toml")).unwrap().resolved()
}

fn values(count: usize, number: u64) -> Vec<f32> {
    normal(&mut stream(7, number, 0, 0, Purpose::Noise), count)
}

/// Every parameter moved off its initial value: biases, noise strengths and w_avg must not be zero.
fn moved<B: Backend, M: Module<B>>(module: M, seed: u64) -> M {
    let mut number = seed;
    replace(module, |path, x: Tensor<B, 1>| {
        number += 1;
        let count = x.dims()[0];
        // Mapping layers store their values times a hundred.
        let size = if path.starts_with("mapping.fc") { 30.0 } else { 0.3 };
        x.clone() + Tensor::from_data(TensorData::new(values(count, number), [count]), &x.device()) * size
    })
}

/// A network of `recipe` that has learned something, and its weights.
fn trained(recipe: &Recipe) -> (State<Flex>, Source) {
    let mut state = State::<Flex>::new(recipe, recipe.conditions.width(), &Default::default());
    state.generator = moved::<Autodiff<Flex>, _>(state.generator, 1000);
    state.average = moved::<Flex, _>(state.average, 2000);
    state.discriminator = moved::<Autodiff<Flex>, _>(state.discriminator, 3000);
    let mut weights = Weights { path: "old.safetensors".into(), ..Weights::default() };
    weights.insert(&state.generator.valid(), GENERATOR);
    weights.insert(&state.average, AVERAGE);
    weights.insert(&state.discriminator.valid(), DISCRIMINATOR);
    weights.metadata.insert("recipe".into(), recipe.to_toml().unwrap());
    weights.metadata.insert("counters".into(), "{\"path_mean\": 0.25}".into());
    (state, Source::new(weights, "1234".into()).unwrap())
}

fn start(source: &Source, recipe: &Recipe) -> State<Flex> {
    let new = State::<Flex>::new(recipe, recipe.conditions.width(), &Default::default());
    source.start(new, recipe).unwrap()
}

fn image(generator: &Generator<Flex>, condition: Condition, noise: Noise) -> Image {
    let z = Tensor::from_data(TensorData::new(values(SAMPLES * 4, 1), [SAMPLES, 4]), &Default::default());
    generator.forward(z, condition, Truncation { psi: 0.7, cutoff: None }, noise)
}

fn logits(state: &State<Flex>, image: Image, condition: Condition) -> Tensor<Flex, 1> {
    state.discriminator.valid().forward(image, condition)
}

/// A batch of scans of noise on the grid of `recipe`.
fn scans(recipe: &Recipe) -> Image {
    let ([d, h, w], c) = (recipe.network.shape(), recipe.network.image_channels);
    let noise = values(SAMPLES * c * d * h * w, 2);
    Tensor::from_data(TensorData::new(noise, [SAMPLES, c, d, h, w]), &Default::default())
}

fn rows(width: usize, number: u64) -> Tensor<Flex, 2> {
    Tensor::from_data(TensorData::new(values(SAMPLES * width, number), [SAMPLES, width]), &Default::default())
}

/// ‖a − b‖ / ‖b‖.
fn error<const R: usize>(a: Tensor<Flex, R>, b: Tensor<Flex, R>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let norm = |x: Tensor<Flex, R>| x.into_data().iter::<f32>().map(|v| f64::from(v).powi(2)).sum::<f64>();
    let size = norm(b.clone());
    assert!(size > 1e-3, "nothing to compare with");
    (norm(a - b) / size).sqrt()
}

const OLD: &str = "factors = [[2, 2, 2]]\nchannels = [6, 5]\nw_dim = 5";
const NOISE: Noise = Noise::Random { seed: 3, step: 1, phase: 0, samples: Samples::from(0) };

#[test]
fn new_blocks_begin_with_the_old_image_up_sampled() {
    let old = recipe(OLD, "");
    let (before, source) = trained(&old);
    for (factors, channels) in [
        (vec![[2, 2, 2]], "[6, 5, 4]"),
        (vec![[1, 2, 2]], "[6, 5, 4]"),
        (vec![[1, 1, 1]], "[6, 5, 4]"),
        (vec![[2, 2, 2], [2, 1, 2]], "[6, 5, 4, 3]"),
    ] {
        let new = recipe(
            &format!(
                "factors = {:?}\nchannels = {channels}\nw_dim = 5",
                [vec![[2, 2, 2]], factors.clone()].concat()
            ),
            "",
        );
        let after = start(&source, &new);
        for noise in [Noise::None, Noise::Const, NOISE] {
            for (old, new) in
                [(&before.generator.valid(), &after.generator.valid()), (&before.average, &after.average)]
            {
                let expected = factors.iter().fold(image(old, None, noise), |x, &up| upsample(x, up));
                let error = error(image(new, None, noise), expected);
                assert!(error < 1e-5, "{factors:?}, {noise:?}: {error:.1e}");
            }
        }
        // The generator is not its average, so that neither stands for the other.
        let [a, b] = [&after.generator.valid(), &after.average].map(|g| image(g, None, Noise::None));
        assert!(error(a, b) > 1e-2);
        assert_eq!(after.counters.path_mean, 0.25);
    }
}

#[test]
fn new_blocks_begin_with_the_old_logit_of_the_image_down_sampled() {
    for images in [1, 2] {
        let network = |factors: &[[usize; 3]], channels: &[usize]| {
            let text = format!(
                "factors = {factors:?}\nchannels = {channels:?}\nw_dim = 5\nimage_channels = {images}"
            );
            recipe(&text, "")
        };
        let (before, source) = trained(&network(&[[2, 2, 2]], &[6, 5]));
        for added in [vec![[2, 2, 2]], vec![[1, 2, 2]], vec![[1, 1, 1]], vec![[2, 2, 2], [2, 1, 2]]] {
            let channels = [6, 5, 4, 4];
            let new = network(&[vec![[2, 2, 2]], added.clone()].concat(), &channels[..2 + added.len()]);
            let after = start(&source, &new);
            let scans = scans(&new);
            let small =
                added.iter().rev().fold(Features::from_volumes(scans.clone()), |x, &f| downsample(x, f));
            let expected = logits(&before, small.into_volumes(), None);
            let error = error(logits(&after, scans, None), expected);
            assert!(error < 1e-5, "{images} channels, {added:?}: {error:.1e}");
        }
    }
}

/// What was nothing at first has a gradient: the new layers fade in.
#[test]
fn what_is_new_learns() {
    use crate::nn::parameters::gradients;
    let (_, source) = trained(&recipe(OLD, ""));
    let new = recipe("factors = [[2, 2, 2], [2, 2, 2]]\nchannels = [6, 5, 4]\nw_dim = 5", "");
    let state = start(&source, &new);
    let scans = Tensor::<Autodiff<Flex>, 5>::from_inner(scans(&new));
    let _tape = crate::ops::tape();
    let found = gradients(&state.discriminator, &backward(&state.discriminator.forward(scans, None).sum()));
    let size = |x: &Tensor<Flex, 1>| x.clone().abs().max().into_scalar();
    for layer in ["skip", "conv0", "conv1", "from_image"] {
        assert!(size(&found[&format!("blocks.1.{layer}.weight")]) > 1e-6, "{layer}");
    }
    let z = Tensor::from_inner(rows(4, 1));
    let image = state.generator.forward(z, None, Truncation::OFF, Noise::None);
    let found = gradients(&state.generator, &backward(&image.sum()));
    assert!(size(&found["synthesis.blocks.2.to_image.weight"]) > 1e-3);
}

#[test]
fn wider_layers_keep_their_function() {
    let (before, source) = trained(&recipe(OLD, ""));
    let new = recipe("factors = [[2, 2, 2]]\nchannels = [9, 7]\nw_dim = 8", "");
    let after = start(&source, &new);
    for noise in [Noise::None, NOISE] {
        let expected = image(&before.generator.valid(), None, noise);
        let error = error(image(&after.generator.valid(), None, noise), expected);
        assert!(error < 1e-5, "{error:.1e}");
    }
    // The new channels' own minibatch deviation is the root of its ε, 1e-4, not nothing.
    let scans = scans(&new);
    let error = error(logits(&after, scans.clone(), None), logits(&before, scans, None));
    assert!(error < 1e-4, "{error:.1e}");
}

#[test]
fn conditions_that_are_new_change_nothing_at_first() {
    let (before, source) = trained(&recipe(OLD, ""));
    let new = recipe("factors = [[2, 2, 2]]\nchannels = [8, 5]\nw_dim = 6", SEX);
    let after = start(&source, &new);
    let condition = Some(rows(2, 9));
    let expected = image(&before.generator.valid(), None, Noise::None);
    assert!(error(image(&after.generator.valid(), condition.clone(), Noise::None), expected) < 1e-5);
    let scans = scans(&new);
    let expected = logits(&before, scans.clone(), None);
    assert!(error(logits(&after, scans, condition.clone()), expected) < 1e-4);
    // With a weight from the start, they do.
    let weighted = recipe(
        "factors = [[2, 2, 2]]\nchannels = [8, 5]\nw_dim = 6",
        &format!("[transfer]\ncondition_weight = 0.5\n{SEX}"),
    );
    let weighted = start(&source, &weighted);
    let [a, b] = [&weighted, &after].map(|s| image(&s.generator.valid(), condition.clone(), Noise::None));
    assert!(error(a, b) > 1e-2);
}

/// A network of sex becomes one of sex and age, and wider.
#[test]
fn conditions_that_stay_keep_their_function() {
    let (before, source) = trained(&recipe(OLD, SEX));
    let new = recipe("factors = [[2, 2, 2]]\nchannels = [8, 6]\nw_dim = 7", &format!("{SEX}{AGE}"));
    let after = start(&source, &new);
    let (sex, age) = (rows(2, 9), rows(4, 10));
    let both = Some(Tensor::cat(vec![sex.clone(), age], 1));
    let expected = image(&before.generator.valid(), Some(sex.clone()), Noise::None);
    let found = error(image(&after.generator.valid(), both.clone(), Noise::None), expected);
    assert!(found < 1e-5, "{found:.1e}");
    let scans = scans(&new);
    let expected = logits(&before, scans.clone(), Some(sex));
    let found = error(logits(&after, scans, both), expected);
    assert!(found < 1e-4, "{found:.1e}");
}

/// A cube becomes a brick: the convolutions are the same, the constant is stretched.
#[test]
fn another_base_takes_the_constant_stretched() {
    let (before, source) = trained(&recipe(OLD, ""));
    let mut new = recipe(OLD, "");
    new.network.base = [3, 3, 3];
    let after = start(&source, &new);
    let [old, new] = [&before, &after].map(|state| {
        let constant = state.average.synthesis.constant.val();
        let means = constant.clone().mean_dim(1).mean_dim(2).mean_dim(3);
        (constant.dims(), means)
    });
    assert_eq!((old.0, new.0), ([6, 2, 3, 2], [6, 3, 3, 3]));
    // Two voxels along an axis and the three between them have the same mean.
    assert!(error(new.1, old.1) < 1e-5);
    let [a, b] =
        [&before, &after].map(|s| s.average.synthesis.blocks[1].conv0.as_ref().unwrap().weight.val());
    assert_eq!(error(b, a), 0.0);
}

#[test]
fn a_generator_alone_gets_a_new_discriminator() {
    let (before, mut source) = trained(&recipe(OLD, ""));
    source.weights.arrays.retain(|name, _| name.starts_with(AVERAGE));
    let new = recipe(OLD, "");
    let after = start(&source, &new);
    assert_eq!(after.origin.as_ref().unwrap().discriminator_blocks, 0);
    let expected = image(&before.average, None, Noise::None);
    for generator in [&after.generator.valid(), &after.average] {
        assert!(error(image(generator, None, Noise::None), expected.clone()) < 1e-6);
    }
    let lines = source.report(&new, [1.0; 3]).unwrap().join("\n");
    assert!(lines.contains("discriminator new: the weights have none"), "{lines}");
    let frozen = recipe(OLD, "[transfer]\nfreeze_d = 1\n");
    let message = source.fit(&frozen).unwrap_err().to_string();
    assert!(message.contains("transfer.freeze_d") && message.contains("at most 0"), "{message}");
}

#[test]
fn what_does_not_fit_is_refused_with_both_networks() {
    let (_, source) = trained(&recipe(OLD, ""));
    for network in [
        "factors = [[1, 2, 2]]\nchannels = [6, 5]\nw_dim = 5",
        "factors = [[2, 2, 2]]\nchannels = [5, 5]\nw_dim = 5",
        "factors = [[2, 2, 2]]\nchannels = [6, 4]\nw_dim = 5",
        "factors = [[2, 2, 2]]\nchannels = [6, 5]\nw_dim = 4",
        "factors = [[2, 2, 2]]\nchannels = [6, 5]\nw_dim = 5\nimage_channels = 2",
    ] {
        let new = recipe(network, "");
        let message = source.fit(&new).unwrap_err().to_string();
        let [d, h, w] = new.network.block_shape(1);
        let here = format!("{d}×{h}×{w} with {}", new.network.channels(1));
        for word in ["old.safetensors", "2×3×2 with 6, 4×6×4 with 5", &here] {
            assert!(message.contains(word), "{word} is missing in: {message}");
        }
    }
    let mut larger = recipe(OLD, "");
    larger.network.base = [4, 3, 2];
    assert!(source.fit(&larger).unwrap_err().to_string().contains("base grid"));
    let narrow = recipe("factors = [[2, 2, 2], [2, 2, 2]]\nchannels = [6, 5, 1]\nw_dim = 5", "");
    let message = source.fit(&narrow).unwrap_err().to_string();
    assert!(message.contains("block 2") && message.contains("at least 2"), "{message}");
    let conditional = recipe(OLD, &format!("[transfer]\nfreeze_mapping = true\n{SEX}"));
    assert!(source.fit(&conditional).unwrap_err().to_string().contains("transfer.freeze_mapping"));
}
