//! Counter-based randomness: every draw has an address, and no generator's state is shared or stored.
//!
//! A [`stream`] is addressed by (run seed, step, phase, sample, purpose). So a resumed run has the draws of an
//! uninterrupted one, and draws do not depend on the number of threads.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// The purpose of a stream's draws. The numbers are part of a stream's address and never change; new purposes get new
/// numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial parameters.
    Weights = 1,
    /// The latent `z`.
    Latent = 2,
    /// The second latent of style mixing.
    MixLatent = 3,
    /// Whether styles are mixed, and from which layer on.
    MixCutoff = 4,
    /// Noise inputs of synthesis.
    Noise = 5,
    /// The random image of the path-length penalty.
    PathNoise = 6,
    /// The order of a dataset in an epoch.
    Order = 7,
    /// Adaptive augmentation.
    Augmentation = 8,
    /// Conditions drawn for synthetic volumes.
    Labels = 9,
    /// Latents of the sample pictures, the same through a run.
    Samples = 10,
    /// Which places of k-space are sampled.
    Sampling = 11,
    /// Degradations of a volume: motion, noise, bias and the like.
    Degradation = 12,
    /// Starting points of iterative methods.
    Start = 13,
    /// Images from label maps: deformation, contrasts, resolution.
    Synthesis = 14,
    /// Resamplings of statistics: bootstraps, permutations, splits.
    Resampling = 15,
    /// Examples of restoration heads: patch, factor, mask, noise.
    Restoration = 16,
    /// A fit to a measurement: latents for the estimate of its prior, draws of its steps, samples of its posterior.
    Posterior = 17,
    /// Noise added by augmentation.
    AugmentationNoise = 18,
    /// Latents of the pool of samples of the coverage term.
    Pool = 19,
}

/// The numbers that samples have within a step, as they stand in a part of its batch: `run` in a row, as many `stride`
/// further on, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples {
    /// The first number.
    pub first: u64,
    /// How many stand in a row.
    pub run: u64,
    /// From the first number of a row to that of the next.
    pub stride: u64,
}

impl Samples {
    /// The numbers from `first` on.
    pub const fn from(first: u64) -> Self {
        Self { first, run: 1, stride: 1 }
    }

    /// The number of the sample at `place`.
    pub const fn at(self, place: u64) -> u64 {
        self.first + place / self.run * self.stride + place % self.run
    }

    /// The numbers of the first `count` samples.
    pub fn numbers(self, count: usize) -> impl Iterator<Item = u64> {
        (0..count as u64).map(move |place| self.at(place))
    }
}

/// The generator at this address.
///
/// ChaCha with 8 rounds; its 256-bit key is `seed | step | sample | purpose` and its nonce `phase`, each a
/// little-endian 64-bit number, so that two addresses never share a stream.
pub fn stream(seed: u64, step: u64, phase: u64, sample: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip([seed, step, sample, purpose as u64]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(phase);
    rng
}

/// The next `n` standard normal draws.
pub fn normal(rng: &mut impl Rng, n: usize) -> Vec<f32> {
    rng.sample_iter(StandardNormal).take(n).collect()
}

/// Draws of a field that come from one place of its stream.
const FIELD_PIECE: usize = 1 << 12;
/// Words of the stream between two such places: far more than the draws of one take.
const FIELD_STRIDE: u128 = 1 << 16;

/// `n` standard normal draws of this stream, in parallel: in chunks of 4096, chunk k from word k·2¹⁶ on.
pub fn normal_field(rng: &ChaCha8Rng, n: usize) -> Vec<f32> {
    let mut field = vec![0.0; n];
    field.par_chunks_mut(FIELD_PIECE).enumerate().for_each(|(k, piece)| {
        let mut rng = rng.clone();
        rng.set_word_pos(k as u128 * FIELD_STRIDE);
        piece.iter_mut().for_each(|x| *x = rng.sample(StandardNormal));
    });
    field
}

/// The next `n` draws from `[0, 1)`, multiples of 2⁻²⁴.
pub fn uniform(rng: &mut impl Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random()).collect()
}

/// The numbers `0..n` in random order: sorted by the next `n` 64-bit words.
pub fn permutation(rng: &mut impl Rng, n: usize) -> Vec<usize> {
    let words: Vec<u64> = (0..n).map(|_| rng.next_u64()).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| words[i]);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected words from an implementation of ChaCha of its own (checked against the 20-round zero-key vector).
    #[test]
    fn streams_are_chacha8_with_the_documented_key() {
        let mut rng = stream(0, 0, 0, 0, Purpose::Weights);
        assert_eq!(
            [0; 3].map(|_: u64| rng.next_u64()),
            [0x8a50a844f7bf3e6a, 0xebed6f5972ce0ebf, 0x4df3695c93bd5131]
        );
        let mut rng = stream(42, 7, 3, 11, Purpose::Latent);
        assert_eq!(
            [0; 3].map(|_: u64| rng.next_u64()),
            [0x5d68bb3c43b30a51, 0x7e147fcc23312bc7, 0x64322f6b4eb56331]
        );
        let mut rng = stream(42, 7, 3, 11, Purpose::Latent);
        assert_eq!(uniform(&mut rng, 4), [0.264_450_67, 0.364_879_3, 0.137_469, 0.492_500_25]);
    }

    /// A change of these is a change of what every seed means: say so in the changelog.
    #[test]
    fn normal_draws_are_pinned() {
        let mut rng = stream(42, 7, 3, 11, Purpose::Latent);
        assert_eq!(normal(&mut rng, 4), [-0.507_562_04, -0.015_642_053, -0.473_041_33, -0.507_502_2]);
    }

    #[test]
    fn samples_stand_in_rows() {
        assert!(Samples::from(7).numbers(4).eq(7..11));
        assert!(Samples { first: 2, run: 2, stride: 8 }.numbers(5).eq([2, 3, 10, 11, 18]));
    }

    #[test]
    fn a_field_begins_as_its_stream_does_and_its_pieces_are_uncorrelated() {
        let rng = stream(6, 1, 2, 3, Purpose::Noise);
        let (n, piece) = (5 * FIELD_PIECE + 77, FIELD_PIECE);
        let field = normal_field(&rng, n);
        assert_eq!(field[..piece], normal(&mut rng.clone(), piece));
        assert_eq!(normal_field(&rng, n - 1000), field[..n - 1000]);
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        for (i, a) in field.chunks_exact(piece).enumerate() {
            for b in field.chunks_exact(piece).skip(i + 1) {
                // Five standard errors of a correlation of zero.
                assert!((product(a, b) / piece as f64).abs() < 5.0 / (piece as f64).sqrt());
            }
        }
    }

    /// A change of these is a change of the order in which every run sees its data.
    #[test]
    fn permutations_are_pinned() {
        let order = permutation(&mut stream(1, 0, 0, 0, Purpose::Order), 8);
        assert_eq!(order, [2, 0, 3, 7, 6, 5, 4, 1]);
    }

    #[test]
    fn permutations_are_uniform() {
        let mut count = [[0u32; 5]; 5];
        for sample in 0..5000 {
            let order = permutation(&mut stream(2, 0, 0, sample, Purpose::Order), 5);
            order.iter().enumerate().for_each(|(place, &number)| count[place][number] += 1);
        }
        // Each of 25 counts is binomial (5000, 1/5): 1000 ± 28; χ² of such a table has 16 degrees of freedom, and
        // is below 39.3 in all but a thousandth of the cases.
        let squares = count.iter().flatten().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum::<f64>();
        assert!(squares < 39.3, "{count:?}");
    }

    #[test]
    fn normal_draws_have_the_moments_and_the_distribution_of_a_standard_normal() {
        let n = 1 << 16;
        let mut draws = normal(&mut stream(3, 0, 0, 0, Purpose::Noise), n);
        let moment = |k: i32| draws.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / n as f64;
        // Within four standard errors, √(Var xᵏ / n): variances 1, 2, 15 and 96.
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error = (moment(k) - expected).abs();
            assert!(error < 4.0 * (variance / n as f64).sqrt(), "moment {k} is off by {error}");
        }
        draws.sort_by(f32::total_cmp);
        // Quantiles of the normal distribution.
        for (probability, quantile) in [(0.025, -1.959964), (0.25, -0.674490), (0.5, 0.0), (0.99, 2.326348)] {
            let below = draws.partition_point(|&x| x < quantile) as f64 / n as f64;
            assert!((below - probability).abs() < 0.008, "{probability}: {below}");
        }
    }

    #[test]
    fn addresses_that_differ_anywhere_are_uncorrelated() {
        let n = 1 << 14;
        let addresses = [
            stream(5, 6, 7, 8, Purpose::Latent),
            stream(6, 6, 7, 8, Purpose::Latent),
            stream(5, 7, 7, 8, Purpose::Latent),
            stream(5, 6, 8, 8, Purpose::Latent),
            stream(5, 6, 7, 9, Purpose::Latent),
            stream(5, 6, 7, 8, Purpose::Noise),
            stream(8, 7, 6, 5, Purpose::Latent),
        ];
        let draws = addresses.map(|mut rng| normal(&mut rng, n));
        for (i, a) in draws.iter().enumerate() {
            for b in &draws[..i] {
                let product: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x * y)).sum();
                // Five standard errors of a correlation of zero.
                assert!((product / n as f64).abs() < 5.0 / (n as f64).sqrt());
            }
        }
    }

    #[test]
    fn the_order_of_use_is_irrelevant() {
        let address = |sample| stream(1, 2, 3, sample, Purpose::Augmentation);
        let forwards: Vec<_> = (0..8).map(|sample| normal(&mut address(sample), 5)).collect();
        let mut backwards: Vec<_> = (0..8).rev().map(|sample| normal(&mut address(sample), 5)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        // And a longer draw begins with the shorter.
        assert_eq!(normal(&mut address(3), 100)[..5], forwards[3]);
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        for n in [0, 1, 2, 45] {
            let mut order = permutation(&mut stream(9, 0, 0, 0, Purpose::Order), n);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..n));
        }
    }
}
