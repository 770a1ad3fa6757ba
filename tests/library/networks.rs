//! Generator and discriminator on cubes, bricks, slabs and slices: shapes, truncation, noise, style mixing, conditions,
//! and what a batch does not change.

use std::collections::BTreeMap;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use proptest::prelude::*;
use voxgan::config::{NetworkRecipe, Recipe};
use voxgan::gan::{Discriminator, Generator, Truncation};
use voxgan::nn::Noise;
use voxgan::nn::parameters::{replace, values as parameters};
use voxgan::ops::Shaped;
use voxgan::random::{Purpose, Samples, normal, stream};

fn network(base: [usize; 3], factors: &[[usize; 3]]) -> NetworkRecipe {
    NetworkRecipe {
        base,
        factors: factors.to_vec(),
        channel_base: Some(64),
        channel_max: Some(12),
        channels: None,
        z_dim: 6,
        w_dim: 8,
        mapping_layers: 2,
        image_channels: 1,
        minibatch_group: 2,
        discriminator_channel_base: None,
        discriminator_channel_max: None,
        discriminator_channels: None,
        discriminator_fc_channels: None,
    }
}

/// A cube, a brick, thick-slice slabs, slices.
fn grids() -> Vec<(NetworkRecipe, [usize; 3])> {
    vec![
        (network([4, 4, 4], &[[2, 2, 2], [2, 2, 2]]), [16, 16, 16]),
        (network([5, 6, 7], &[[2, 2, 2]]), [10, 12, 14]),
        (network([4, 4, 4], &[[1, 2, 2], [2, 2, 2]]), [8, 16, 16]),
        (network([3, 2, 4], &[[2, 1, 1], [1, 2, 1], [1, 1, 2]]), [6, 4, 8]),
        (network([4, 4, 4], &[[1, 1, 1]]), [4, 4, 4]),
        (network([1, 4, 4], &[[1, 2, 2], [1, 2, 2], [1, 2, 2]]), [1, 32, 32]),
    ]
}

fn draw<const R: usize>(shape: [usize; R], number: u64) -> Tensor<Flex, R> {
    let values = normal(&mut stream(3, 0, 0, number, Purpose::Latent), shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn values<const R: usize>(x: Tensor<Flex, R>) -> Vec<f32> {
    x.into_data().to_vec().unwrap()
}

/// A generator whose biases, noise strengths and mean of w are not zero.
fn generator(network: &NetworkRecipe, condition_dim: usize) -> Generator<Flex> {
    let generator = Generator::init(network, condition_dim, 1, &Default::default());
    let mut number = 100;
    replace(generator, |_, x: Tensor<Flex, 1>| {
        number += 1;
        let shape = x.dims();
        x + draw(shape, number) * 0.3
    })
}

fn discriminator(network: &NetworkRecipe, condition_dim: usize) -> Discriminator<Flex> {
    Discriminator::init(network, condition_dim, 2, &Default::default())
}

/// Largest difference relative to the largest value.
fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    assert!(largest > 0.0 && found.iter().all(|x| x.is_finite()));
    found.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

fn random(seed: u64, first_sample: u64) -> Noise {
    Noise::Random { seed, step: 0, phase: 0, samples: Samples::from(first_sample) }
}

#[test]
fn shapes_of_every_grid() {
    for (mut network, shape) in grids() {
        assert_eq!(network.shape(), shape);
        for (image_channels, condition_dim, samples) in [(1, 0, 1), (2, 0, 3), (1, 5, 2)] {
            network.image_channels = image_channels;
            let (g, d) = (generator(&network, condition_dim), discriminator(&network, condition_dim));
            let condition = (condition_dim > 0).then(|| draw([samples, condition_dim], 1));
            let ws = g.styles(draw([samples, 6], 2), condition.clone(), Truncation::OFF);
            assert_eq!(ws.dims(), [samples, network.num_ws(), 8]);
            assert_eq!(g.synthesis.num_ws(), network.num_ws());
            let image = g.synthesis.forward(ws, random(1, 0));
            let [z, y, x] = shape;
            assert_eq!(image.dims(), [samples, image_channels, z, y, x]);
            let logits = d.forward(image, condition);
            assert_eq!(logits.dims(), [samples]);
            assert!(values(logits).iter().all(|logit| logit.is_finite()));
        }
    }
}

/// Kernels have size one along an axis of one voxel, and only there.
#[test]
fn kernels_are_flat_where_the_grid_is() {
    for (network, _) in grids() {
        let (g, d) = (generator(&network, 0), discriminator(&network, 0));
        let all: BTreeMap<String, TensorData> = parameters(&g).into_iter().chain(parameters(&d)).collect();
        let expected = network.base.map(|n| if n == 1 { 1 } else { 3 });
        let mut seen = 0;
        for (name, data) in all.iter().filter(|(name, _)| name.contains("conv") && name.ends_with(".weight"))
        {
            if data.shape.len() == 5 {
                assert_eq!(data.shape[2..], expected, "{name}");
                seen += 1;
            }
        }
        // Two layers a block but the first in either network, one there, and the discriminator's last.
        assert_eq!(seen, 2 * (2 * network.blocks() - 1), "{network:?}");
    }
}

#[test]
fn truncation_moves_the_first_layers_towards_the_mean() {
    let network = network([4, 4, 4], &[[2, 2, 2], [2, 2, 2]]);
    let g = generator(&network, 0);
    let z = draw([3, 6], 4);
    let styles = |psi, cutoff| values(g.styles(z.clone(), None, Truncation { psi, cutoff }));
    let mean = values(g.mapping.w_avg.as_ref().expect("a mean").val());
    assert!(mean.iter().all(|w| *w != 0.0));
    let (plain, layers, dim) = (styles(1.0, None), network.num_ws(), 8);
    assert_eq!(plain, values(g.styles(z.clone(), None, Truncation::OFF)));
    let at = |w: &[f32], sample: usize, layer: usize| w[(sample * layers + layer) * dim..][..dim].to_vec();
    for (psi, cutoff) in
        [(0.0, None), (0.0, Some(2)), (0.7, Some(3)), (-0.5, None), (1.5, Some(6)), (0.3, Some(0))]
    {
        let found = styles(psi, cutoff);
        for sample in 0..3 {
            for layer in 0..layers {
                let (found, plain) = (at(&found, sample, layer), at(&plain, sample, layer));
                if layer >= cutoff.unwrap_or(layers) {
                    assert_eq!(found, plain, "layer {layer} is beyond the cutoff {cutoff:?}");
                    continue;
                }
                for i in 0..dim {
                    let expected = mean[i] + psi as f32 * (plain[i] - mean[i]);
                    assert!((found[i] - expected).abs() < 1e-5, "{} is not {expected}", found[i]);
                }
                if psi == 0.0 {
                    assert_eq!(found, mean);
                }
            }
        }
    }
    // More layers in the cutoff than there are: all of them.
    assert_eq!(styles(0.5, Some(99)), styles(0.5, None));
    // ψ = 0 makes all samples one.
    let images = g.forward(z, None, Truncation { psi: 0.0, cutoff: None }, Noise::Const);
    let images = values(images);
    let (first, rest) = images.split_at(images.len() / 3);
    rest.chunks(first.len()).for_each(|image| assert_eq!(image, first));
}

#[test]
fn noise_none_const_and_random() {
    for (network, _) in grids() {
        let g = generator(&network, 0);
        let ws = g.styles(draw([2, 6], 5), None, Truncation::OFF);
        let image = |noise| values(g.synthesis.forward(ws.clone(), noise));
        let (none, buffer, first) = (image(Noise::None), image(Noise::Const), image(random(1, 0)));
        assert_eq!(buffer, image(Noise::Const));
        assert_eq!(first, image(random(1, 0)), "the same seed");
        assert_ne!(none, buffer);
        assert_ne!(none, first);
        assert_ne!(first, image(random(2, 0)), "another seed");
        assert_ne!(first, image(Noise::Random { seed: 1, step: 1, phase: 0, samples: Samples::from(0) }));
        assert_ne!(first, image(Noise::Random { seed: 1, step: 0, phase: 1, samples: Samples::from(0) }));
        // Without strength there is no noise.
        let quiet = replace(
            g.synthesis.clone(),
            |name, x: Tensor<Flex, 1>| {
                if name.ends_with("noise_strength") { x * 0.0 } else { x }
            },
        );
        assert_eq!(values(quiet.forward(ws.clone(), random(1, 0))), none);
    }
}

/// The sample's number, not its place in the batch, decides its noise; two samples of one w differ by it alone.
#[test]
fn noise_belongs_to_the_sample() {
    let network = network([4, 4, 4], &[[2, 2, 2]]);
    let g = generator(&network, 0);
    let ws = g.styles(draw([1, 6], 6), None, Truncation::OFF);
    let [_, layers, width] = ws.dims();
    let ws = ws.expand([3, layers, width]);
    let three = values(g.synthesis.forward(ws.clone(), random(9, 4)));
    let [a, b, c] = [0, 1, 2].map(|i| three[i * 512..][..512].to_vec());
    assert!(a != b && b != c && a != c);
    let one = |number| values(g.synthesis.forward(ws.clone().narrow(0, 0, 1), random(9, number)));
    for (number, expected) in [(4, &a), (5, &b), (6, &c)] {
        assert!(error(&one(number), expected) <= 1e-6);
    }
    let constant = values(g.synthesis.forward(ws, Noise::Const));
    assert_eq!(constant[..512], constant[512..1024]);
}

#[test]
fn a_batch_in_parts_gives_the_same_samples() {
    for (network, _) in grids() {
        let g = generator(&network, 4);
        let (z, condition) = (draw([4, 6], 7), draw([4, 4], 8));
        let part = |from: usize, count: usize| {
            let (z, condition) = (z.clone().narrow(0, from, count), condition.clone().narrow(0, from, count));
            values(g.forward(
                z,
                Some(condition),
                Truncation { psi: 0.8, cutoff: None },
                random(3, from as u64),
            ))
        };
        let whole = part(0, 4);
        for parts in [vec![part(0, 2), part(2, 2)], vec![part(0, 1), part(1, 3)]] {
            let error = error(&parts.concat(), &whole);
            assert!(error <= 1e-6, "{:?}: {error:.1e}", network.shape());
        }
    }
}

/// Only the minibatch deviation ties samples together: with groups of one, each logit is its sample's own.
#[test]
fn logits_of_a_batch_in_parts() {
    for (mut network, [d, h, w]) in grids() {
        network.minibatch_group = 1;
        let judge = discriminator(&network, 0);
        let images = draw([4, 1, d, h, w], 9);
        let whole = values(judge.forward(images.clone(), None));
        let parts = (0..4).flat_map(|i| values(judge.forward(images.clone().narrow(0, i, 1), None)));
        let error = error(&parts.collect::<Vec<_>>(), &whole);
        assert!(error <= 1e-5, "{:?}: {error:.1e}", network.shape());

        network.minibatch_group = 2;
        let judge = discriminator(&network, 0);
        let whole = values(judge.forward(images.clone(), None));
        // Sample 0 stands with sample 2, 1 with 3 (StyleGAN2 strides its groups).
        let pair = |i: usize| {
            let pair =
                Tensor::cat(vec![images.clone().narrow(0, i, 1), images.clone().narrow(0, i + 2, 1)], 0);
            values(judge.forward(pair, None))
        };
        let ([a, c], [b, d]) = ([pair(0)[0], pair(0)[1]], [pair(1)[0], pair(1)[1]]);
        assert!(self::error(&[a, b, c, d], &whole) <= 1e-5);
        let alone = values(judge.forward(images.clone().narrow(0, 0, 1), None));
        assert_ne!(alone[0], whole[0], "the group counts");
    }
}

/// Mixing two samples' w: every layer has its say in the image, and none in what coarser blocks made.
#[test]
fn styles_act_from_their_layer_on() {
    let network = network([4, 4, 4], &[[2, 2, 2], [2, 2, 2]]);
    let g = generator(&network, 0);
    let ws = g.styles(draw([2, 6], 10), None, Truncation::OFF);
    let (a, b) = (ws.clone().narrow(0, 0, 1), ws.narrow(0, 1, 1));
    let layers = network.num_ws();
    let mixed = |cutoff: usize| {
        let parts = [(&a, 0, cutoff), (&b, cutoff, layers - cutoff)];
        let parts = parts.into_iter().filter(|(_, _, count)| *count > 0);
        let ws = Tensor::cat(parts.map(|(w, from, count)| w.clone().narrow(1, from, count)).collect(), 1);
        values(g.synthesis.forward(ws, Noise::Const))
    };
    let image = |w: &Tensor<Flex, 3>| values(g.synthesis.forward(w.clone(), Noise::Const));
    assert_eq!(mixed(layers), image(&a));
    assert_eq!(mixed(0), image(&b));
    let images: Vec<Vec<f32>> = (0..=layers).map(mixed).collect();
    images.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "every layer has its say"));
    // A block alone, fed by the coarser ones' w: the first block's image reads w 0 and 1 only.
    let mut coarse = g.synthesis.clone();
    coarse.blocks.truncate(1);
    let first = |w: &Tensor<Flex, 3>| values(coarse.forward(w.clone(), Noise::Const));
    let swap = |at: usize| {
        let parts = vec![a.clone().narrow(1, 0, at), b.clone().narrow(1, at, layers - at)];
        Tensor::cat(parts, 1)
    };
    assert_eq!(first(&swap(2)), first(&a));
    assert_ne!(first(&swap(1)), first(&a));
}

#[test]
fn conditions_reach_image_and_logit() {
    let network = network([4, 4, 4], &[[2, 2, 2]]);
    let (g, d) = (generator(&network, 3), discriminator(&network, 3));
    let z = draw([1, 6], 11);
    let one_hot = |k: usize| {
        let values: Vec<f32> = (0..3).map(|i| if i == k { 1.0 } else { 0.0 }).collect();
        Tensor::<Flex, 2>::from_data(TensorData::new(values, [1, 3]), &Default::default())
    };
    let image = |k| g.forward(z.clone(), Some(one_hot(k)), Truncation::OFF, Noise::Const);
    assert_eq!(values(image(0)), values(image(0)));
    assert_ne!(values(image(0)), values(image(1)));
    let logit = |k| values(d.forward(image(0), Some(one_hot(k))))[0];
    assert!(logit(0) != logit(1) && logit(1) != logit(2));
}

#[test]
fn seeds_decide_the_initial_values() {
    let network = network([4, 4, 4], &[[2, 2, 2]]);
    let init = |seed| parameters(&Generator::<Flex>::init(&network, 0, seed, &Default::default()));
    let same =
        |a: &BTreeMap<String, TensorData>, b: &BTreeMap<String, TensorData>, name: &str| a[name] == b[name];
    let (a, again, b) = (init(1), init(1), init(2));
    for name in a.keys() {
        assert!(same(&a, &again, name), "{name}");
    }
    for name in a.keys().filter(|name| name.ends_with("weight")) {
        assert!(!same(&a, &b, name), "{name}");
    }
}

/// A discriminator without blocks would have nothing that turns the image into features.
#[test]
fn a_recipe_of_one_block_is_refused() {
    let mut recipe = Recipe::preset("tiny").unwrap();
    recipe.network.factors.clear();
    let message = recipe.validate().unwrap_err().to_string();
    assert!(message.starts_with("network.factors: expected at least one block"), "{message}");
}

/// Inflation: 3×3 kernels written into the middle plane of 3×3×3 ones make of each slice of a volume what the slice
/// network makes of the slice. The slice network itself is tested against another implementation (parity).
#[test]
fn a_kernel_with_one_filled_plane_does_to_each_slice_what_the_slice_network_does() {
    let flat = network([1, 4, 4], &[[1, 2, 2]]);
    let thick = network([3, 4, 4], &[[1, 2, 2]]);
    let slices = generator(&flat, 0);
    let of_slices = parameters(&slices);
    let volumes = replace(generator(&thick, 0), |name, x: Tensor<Flex, 1>| {
        let source = of_slices[name].clone();
        let device = Default::default();
        match source.shape.len() {
            // The middle plane of the kernel.
            5 if source.num_elements() < x.dims()[0] => {
                let [o, i, _, h, w] = [0, 1, 2, 3, 4].map(|a| source.shape[a]);
                let plane = Tensor::<Flex, 5>::from_data(source, &device);
                let zeros = Tensor::zeros([o, i, 1, h, w], &device);
                Tensor::cat(vec![zeros.clone(), plane, zeros], 2).flat()
            }
            // The constant and the noise, the same on every slice.
            4 if name.ends_with("constant") => {
                let [c, _, h, w] = source.shape.dims();
                Tensor::<Flex, 4>::from_data(source, &device).expand([c, 3, h, w]).flat()
            }
            3 if name.ends_with("noise_const") => {
                let [_, h, w] = source.shape.dims();
                Tensor::<Flex, 3>::from_data(source, &device).expand([3, h, w]).flat()
            }
            _ => Tensor::from_data(TensorData::new(source.to_vec::<f32>().unwrap(), [x.dims()[0]]), &device),
        }
    });
    let z = draw([2, 6], 12);
    let slice = slices.forward(z.clone(), None, Truncation::OFF, Noise::Const);
    let volume = volumes.forward(z, None, Truncation::OFF, Noise::Const);
    assert_eq!(volume.dims(), [2, 1, 3, 8, 8]);
    for depth in 0..3 {
        let error = error(&values(volume.clone().narrow(2, depth, 1)), &values(slice.clone()));
        assert!(error <= 1e-5, "slice {depth}: {error:.1e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any base and any factors: the grid is their product, and every number is finite.
    #[test]
    fn any_grid_that_a_recipe_allows(
        base in [1usize..=4, 1usize..=4, 1usize..=4],
        factors in proptest::collection::vec([1usize..=2, 1usize..=2, 1usize..=2], 1..=3),
        samples in 1usize..=3,
    ) {
        // Nothing doubles along an axis of one voxel.
        let factors: Vec<[usize; 3]> =
            factors.iter().map(|f| [0, 1, 2].map(|a| if base[a] == 1 { 1 } else { f[a] })).collect();
        let network = network(base, &factors);
        let (g, d) = (generator(&network, 0), discriminator(&network, 0));
        let image = g.forward(draw([samples, 6], 13), None, Truncation::OFF, random(1, 0));
        let expected = [0, 1, 2].map(|a| base[a] * factors.iter().map(|f| f[a]).product::<usize>());
        prop_assert_eq!(image.dims(), [samples, 1, expected[0], expected[1], expected[2]]);
        prop_assert!(values(image.clone()).iter().all(|x| x.is_finite()));
        prop_assert!(values(d.forward(image, None)).iter().all(|x| x.is_finite()));
    }
}
