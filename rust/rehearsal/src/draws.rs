//! Chance that comes out the same each time: who asks about the same thing draws the same.

use std::f64::consts::TAU;

/// A stream of draws: `SplitMix64` (Steele, Lea, Flood 2014), begun by what is drawn about.
#[derive(Debug, Clone)]
pub(crate) struct Draws(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draws {
    /// The stream about these words.
    pub(crate) fn about(seed: u64, words: &[u64]) -> Self {
        Self(words.iter().fold(mix(seed.wrapping_add(GOLDEN)), |state, word| {
            mix(state.wrapping_mul(GOLDEN) ^ mix(word.wrapping_add(GOLDEN)))
        }))
    }

    /// Any number.
    pub(crate) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From 0, and less than 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0, and less than `count`, which is not 0.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        // The high half of the product (Lemire 2019); the bias is far below what a rehearsal can see.
        ((u128::from(self.number()) * u128::from(count)) >> 64) as u64
    }

    /// Of the standard normal distribution (Box, Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (TAU * self.share()).cos()
    }

    /// Of the exponential distribution with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.share()).ln()
    }
}

const fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_draw_the_same_and_any_other_word_differs() {
        let first = Draws::about(1, &[2, 3, 4]).number();
        assert_eq!(first, Draws::about(1, &[2, 3, 4]).number());
        for (seed, words) in [(2, [2, 3, 4]), (1, [3, 2, 4]), (1, [2, 3, 5]), (1, [0, 3, 4])] {
            assert_ne!(first, Draws::about(seed, &words).number(), "{seed} {words:?}");
        }
    }

    #[test]
    fn distributions_have_their_means_and_spreads() {
        let mean = |draw: &mut dyn FnMut(&mut Draws) -> f64| {
            (0..40_000).map(|about| draw(&mut Draws::about(7, &[about]))).sum::<f64>() / 40_000.0
        };
        for (name, found, expected) in [
            ("share", mean(&mut Draws::share), 0.5),
            ("normal", mean(&mut Draws::normal), 0.0),
            ("normal squared", mean(&mut |draws| draws.normal().powi(2)), 1.0),
            ("exponential", mean(&mut Draws::exponential), 1.0),
            ("below", mean(&mut |draws| draws.below(11) as f64), 5.0),
        ] {
            assert!((found - expected).abs() < 0.05, "{name}: {found}, not {expected}");
        }
    }
}
