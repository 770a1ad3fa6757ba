//! numpy's legacy `RandomState`: the Mersenne Twister MT19937 and the draws that fastMRI's masks make from it.
//!
//! Matsumoto & Nishimura 1998, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
//! generator"; the seeding of 2002 (`init_genrand`, `init_by_array`) and the derived draws are those of numpy.

/// Words of the state, and the distance of the recurrence.
const WORDS: usize = 624;
const DISTANCE: usize = 397;

/// The generator behind `numpy.random.RandomState`.
#[derive(Clone, Debug)]
pub struct Mersenne {
    state: [u32; WORDS],
    /// Number of words of the state that have been drawn.
    used: usize,
}

impl Mersenne {
    /// `RandomState(seed)` with an integer: `init_genrand`.
    pub fn from_number(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for i in 1..WORDS {
            state[i] = mix(state[i - 1]).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, used: WORDS }
    }

    /// `RandomState(key)` with a sequence: `init_by_array`. An empty key, which numpy refuses, counts as `[0]`.
    pub fn from_key(key: &[u32]) -> Self {
        let key = if key.is_empty() { &[0] } else { key };
        let mut state = Self::from_number(19_650_218).state;
        // The first word is passed over, and takes the last one's place whenever the round is complete.
        let mut i = 0;
        let next = |state: &mut [u32; WORDS], i: &mut usize| {
            if *i == WORDS - 1 {
                state[0] = state[WORDS - 1];
                *i = 0;
            }
            *i += 1;
            mix(state[*i - 1])
        };
        for k in 0..WORDS.max(key.len()) {
            let mixed = next(&mut state, &mut i).wrapping_mul(1_664_525);
            let j = k % key.len();
            state[i] = (state[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
        }
        for _ in 1..WORDS {
            let mixed = next(&mut state, &mut i).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ mixed).wrapping_sub(i as u32);
        }
        state[0] = 1 << 31;
        Self { state, used: WORDS }
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == WORDS {
            self.advance();
        }
        let mut word = self.state[self.used];
        self.used += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
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

    /// The next 624 words, untempered.
    fn advance(&mut self) {
        for i in 0..WORDS {
            let (this, next) = (self.state[i], self.state[(i + 1) % WORDS]);
            let joined = (this & 0x8000_0000) | (next & 0x7fff_ffff);
            let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[i] = self.state[(i + DISTANCE) % WORDS] ^ (joined >> 1) ^ twist;
        }
        self.used = 0;
    }
}

/// The step that both seedings share.
fn mix(word: u32) -> u32 {
    word ^ (word >> 30)
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
