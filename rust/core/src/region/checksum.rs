//! A sum over a bucket's entries that a writer keeps up to date entry by entry.
//!
//! It finds damage, not malice: every entry is folded, keyed by the file's seed, with its fingerprint and lengths, and the results
//! are added. What moves within the page keeps its share of the sum, so that taking an entry out costs one entry's folding and not a
//! page's. An empty page sums to zero.

use super::layout::fold;

/// What the entries of one file are folded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum {
    seed: u64,
}

/// The golden ratio of 2^64, odd.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Checksum {
    /// For a file with this seed: a bucket of another file does not fit.
    pub(super) const fn new(seed: [u64; 2]) -> Self {
        let [first, second] = seed;
        Self { seed: first.rotate_left(32) ^ second | 1 }
    }

    /// What an entry's folding begins with.
    pub(super) const fn start(self) -> u64 {
        self.seed
    }

    /// Folds another word in.
    pub(super) const fn add(self, sum: u64, word: u64) -> u64 {
        fold((sum ^ word) as u128 * (self.seed ^ FACTOR) as u128).wrapping_add(word.rotate_left(23))
    }

    /// What the words of the head add to the sum; nothing when both are zero.
    pub(super) const fn of_head(self, shape: u64, latest: u64) -> u64 {
        fold(shape as u128 * self.seed as u128)
            .wrapping_add(fold(latest as u128 * (self.seed ^ FACTOR) as u128))
    }
}
