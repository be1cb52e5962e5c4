//! Chance from a seed, for jitter: the same seed, the same course of events.

/// A stream of draws: `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number from 0 to `most`, both included.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        // The high half of the product (Lemire 2019); it cannot exceed `most`.
        u64::try_from((u128::from(drawn) * (u128::from(most) + 1)) >> 64).unwrap_or(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_and_reach_both_ends() {
        let mut chance = Chance::new(1);
        let draws: Vec<u64> = (0..1000).map(|_| chance.up_to(3)).collect();
        for value in 0..=3 {
            assert!(draws.iter().filter(|drawn| **drawn == value).count() > 200, "{value}");
        }
        assert!(draws.iter().all(|drawn| *drawn <= 3));
        assert_eq!(chance.up_to(0), 0);
    }
}
