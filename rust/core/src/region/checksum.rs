//! A sum over a bucket's words that a writer keeps up to date word by word.
//!
//! It finds damage, not malice: each word is folded with a factor of its own place, drawn from the file's seed, and the
//! results are added, so that one word changes the sum without reading the others. An empty page sums to zero.

/// What the words of one file are folded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum {
    seed: u64,
}

impl Checksum {
    /// For a file with this seed: a bucket of another file does not fit.
    pub(super) const fn new(seed: [u64; 2]) -> Self {
        let [first, second] = seed;
        Self { seed: first.rotate_left(32) ^ second }
    }

    /// What `word` adds to the sum at its place.
    pub(super) const fn of(self, place: usize, word: u64) -> u64 {
        // Weyl sequence of the golden ratio: factors of neighbouring places share no pattern; odd, so never zero.
        let factor = self.seed.wrapping_add((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        let product = word as u128 * factor as u128;
        super::layout::fold(product)
    }
}
