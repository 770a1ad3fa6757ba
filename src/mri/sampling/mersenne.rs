//! numpy's legacy `RandomState`: the Mersenne Twister MT19937 and the draws that fastMRI's masks make from it.
//!
//! Matsumoto & Nishimura 1998, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
//! generator"; the seeding of 2002 (`init_genrand`, `init_by_array`) and the derived draws are those of numpy.

use rand_mt::Mt;

/// The generator behind `numpy.random.RandomState`.
#[derive(Clone, Debug)]
pub struct Mersenne(Mt);

impl Mersenne {
    /// `RandomState(seed)` with an integer: `init_genrand`.
    pub fn from_number(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// `RandomState(key)` with a sequence: `init_by_array`. An empty key, which numpy refuses, counts as `[0]`.
    pub fn from_key(key: &[u32]) -> Self {
        Self(Mt::new_with_key(if key.is_empty() { &[0] } else { key }.iter().copied()))
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// `random_sample()`, which `uniform()` is too: a double in `[0, 1)` of 53 bits from two words.
    pub fn random_sample(&mut self) -> f64 {
        let (high, low) = (self.next_u32() >> 5, self.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// `randint(0, high)`: a whole number below `high`, by masking and rejection; nothing is drawn where there is no
    /// choice.
    ///
    /// # Panics
    /// If `high` is zero.
    pub fn randint(&mut self, high: u32) -> u32 {
        let largest = high.checked_sub(1).expect("a range that is not empty");
        if largest == 0 {
            return 0;
        }
        let mask = u32::MAX >> largest.leading_zeros();
        loop {
            let word = self.next_u32() & mask;
            if word <= largest {
                return word;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs that the generator's authors print for their test key, and the ten-thousandth of seed 5489
    /// that the C++ standard demands of `mt19937`.
    #[test]
    fn gives_the_published_words() {
        let mut rng = Mersenne::from_key(&[0x123, 0x234, 0x345, 0x456]);
        let words = [0; 5].map(|_: u32| rng.next_u32());
        assert_eq!(words, [1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476]);
        let mut rng = Mersenne::from_number(5489);
        let last = (0..10_000).map(|_| rng.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
