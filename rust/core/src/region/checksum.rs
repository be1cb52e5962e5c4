//! A sum over a bucket's entries that a writer keeps up to date entry by entry.
//!
//! It finds damage, not malice: every entry is folded, keyed by the file's seed, with its fingerprint and lengths, and the results
//! are added. What moves within the page keeps its share of the sum, so that taking an entry out costs one entry's folding and not a
//! page's. An empty page sums to zero.

use super::bucket::byte_of;
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

    /// What an entry adds to the sum: its slots' fingerprints and lengths, a byte each, and its bytes, eight to a word.
    pub(super) fn of_entry(
        self,
        (fingerprints, lengths): (u64, u64),
        slots: usize,
        mut words: impl Iterator<Item = u64>,
        bytes: usize,
    ) -> u64 {
        let mut sum = self.seed;
        for lane in 0..slots {
            let slot = u64::from(byte_of(fingerprints, lane)) << 8 | u64::from(byte_of(lengths, lane));
            sum = self.add(sum, slot);
        }
        for word in words.by_ref().take(bytes / 8) {
            sum = self.add(sum, word);
        }
        match (bytes % 8, words.next()) {
            (1.., Some(word)) => self.add(sum, word << (64 - bytes % 8 * 8)),
            _ => sum,
        }
    }

    /// Folds another word in.
    const fn add(self, sum: u64, word: u64) -> u64 {
        fold((sum ^ word) as u128 * (self.seed ^ FACTOR) as u128).wrapping_add(word.rotate_left(23))
    }

    /// What the words of the head add to the sum; nothing when both are zero.
    pub(super) const fn of_head(self, shape: u64, latest: u64) -> u64 {
        fold(shape as u128 * self.seed as u128)
            .wrapping_add(fold(latest as u128 * (self.seed ^ FACTOR) as u128))
    }
}
