//! Bytes that move within a page, word by word.

use super::bucket::Bucket;
use super::sync::Ordering;

/// A byte array of a bucket: the word in which its bytes `8 * n` to `8 * n + 7` lie.
pub(super) trait WordOf: Fn(usize) -> usize + Copy {}

impl<F: Fn(usize) -> usize + Copy> WordOf for F {}

/// The eight bytes of `array` from this byte on.
#[inline]
pub(super) fn word_at(bucket: Bucket<'_>, word_of: impl WordOf, start: usize) -> u64 {
    let shift = start % 8 * 8;
    let low = bucket.load(word_of(start / 8)) >> shift;
    if shift == 0 { low } else { low | bucket.load(word_of(start / 8 + 1)) << (64 - shift) }
}

/// The eight bytes of `array` from this byte on, the next eight, and so on.
#[inline]
pub(super) fn words_at<'a>(
    bucket: Bucket<'a>,
    word_of: impl WordOf + 'a,
    start: usize,
) -> impl Iterator<Item = u64> + 'a {
    let (first, bits) = (start / 8, start % 8 * 8);
    let mut low = bucket.load(word_of(first));
    (1..).map(move |next: usize| {
        let high = bucket.load(word_of(first.wrapping_add(next)));
        // A shift by 64 is done in two steps.
        let eight = low >> bits | high << 1 << (63 - bits);
        low = high;
        eight
    })
}

/// Moves `bytes` bytes of an array from one place to another, which may overlap; only the bucket's holder may.
#[inline]
pub(super) fn move_bytes(bucket: Bucket<'_>, word_of: impl WordOf, from: usize, to: usize, bytes: usize) {
    if bytes == 0 || from == to {
        return;
    }
    let target = Target::new(bucket, word_of, to, bytes);
    // Each word is made of the two that its bytes come from; the next one shares one of them.
    if to < from {
        target.fill(words_at(bucket, word_of, from - to % 8));
    } else {
        let (words, bits) = ((to - from) / 8, (to - from) % 8 * 8);
        // Before the array's first word lies nothing that counts: it is masked away.
        let mut high = bucket.load(word_of(target.last.wrapping_sub(words)));
        target.fill_backwards(|word| {
            let low = bucket.load(word_of(word.wrapping_sub(words + 1)));
            let eight = high << bits | low >> 1 >> (63 - bits);
            high = low;
            eight
        });
    }
}

/// Writes `bytes` bytes, eight to a word, into an array.
#[inline]
pub(super) fn write_bytes(
    bucket: Bucket<'_>,
    word_of: impl WordOf,
    at: usize,
    words: impl Iterator<Item = u64>,
    bytes: usize,
) {
    if bytes == 0 {
        return;
    }
    let bits = at % 8 * 8;
    let mut low = 0;
    let shifted = words.chain([0]).map(|high| {
        let eight = high << bits | low >> 1 >> (63 - bits);
        low = high;
        eight
    });
    Target::new(bucket, word_of, at, bytes).fill(shifted);
}

/// Where bytes go: some words of an array, and what of the first and the last is not theirs.
struct Target<'a, W> {
    bucket: Bucket<'a>,
    word_of: W,
    first: usize,
    last: usize,
    kept_below: u64,
    kept_above: u64,
}

impl<'a, W: WordOf> Target<'a, W> {
    /// One byte or more.
    #[inline]
    fn new(bucket: Bucket<'a>, word_of: W, start: usize, bytes: usize) -> Self {
        let end = start + bytes - 1;
        let kept_below = !(u64::MAX << (start % 8 * 8));
        let kept_above = u64::MAX << 1 << (end % 8 * 8 + 7);
        Self { bucket, word_of, first: start / 8, last: end / 8, kept_below, kept_above }
    }

    /// Writes all words, from the first on.
    #[inline]
    fn fill(&self, mut words: impl Iterator<Item = u64>) {
        self.put_end(self.first, words.next());
        for (word, eight) in (self.first + 1..self.last).zip(&mut words) {
            self.put(word, eight);
        }
        if self.first != self.last {
            self.put_end(self.last, words.next());
        }
    }

    /// Writes all words, from the last on.
    #[inline]
    fn fill_backwards(&self, mut eight: impl FnMut(usize) -> u64) {
        self.put_end(self.last, Some(eight(self.last)));
        for word in (self.first + 1..self.last).rev() {
            self.put(word, eight(word));
        }
        if self.first != self.last {
            self.put_end(self.first, Some(eight(self.first)));
        }
    }

    #[inline]
    fn put(&self, word: usize, eight: u64) {
        self.bucket.word((self.word_of)(word)).store(eight, Ordering::Relaxed);
    }

    /// Writes what is its own of the first word or the last.
    #[inline]
    fn put_end(&self, word: usize, eight: Option<u64>) {
        let below = if word == self.first { self.kept_below } else { 0 };
        let kept = below | if word == self.last { self.kept_above } else { 0 };
        let before = self.bucket.load((self.word_of)(word));
        self.put(word, eight.unwrap_or(0) & !kept | before & kept);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::super::layout::{PAGE_WORDS, Words, data_word};
    use super::super::sync::AtomicU64;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_move_as_in_a_slice(seed in any::<u64>(), from in 0..100_usize, to in 0..100_usize, bytes in 0..100_usize) {
            let words: Words = std::array::from_fn(|index| AtomicU64::new(seed.wrapping_mul(index as u64 + 1) ^ seed >> 7));
            let bucket = Bucket::new(&words);
            let room = || (0..PAGE_WORDS).flat_map(|word| bucket.load(data_word(word)).to_le_bytes()).collect::<Vec<u8>>();
            let mut expected = room();
            expected.copy_within(from..from + bytes, to);
            move_bytes(bucket, data_word, from, to, bytes);
            prop_assert_eq!(room(), expected.clone());
            let written: Vec<u8> = (0..bytes).map(|byte| byte.to_le_bytes()[0]).collect();
            expected[to..to + bytes].copy_from_slice(&written);
            let eight = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            write_bytes(bucket, data_word, to, written.chunks(8).map(eight), bytes);
            prop_assert_eq!(room(), expected.clone());
            prop_assert_eq!(word_at(bucket, data_word, from).to_le_bytes().to_vec(), expected[from..from + 8].to_vec());
            let read: Vec<u8> = words_at(bucket, data_word, from).take(3).flat_map(u64::to_le_bytes).collect();
            prop_assert_eq!(read, expected[from..from + 24].to_vec());
        }
    }
}
