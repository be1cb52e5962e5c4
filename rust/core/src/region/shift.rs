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

/// Moves `bytes` bytes of an array from one place to another, which may overlap; only the bucket's holder may.
#[inline]
pub(super) fn move_bytes(bucket: Bucket<'_>, word_of: impl WordOf, from: usize, to: usize, bytes: usize) {
    if bytes == 0 || from == to {
        return;
    }
    let (first, last) = (to / 8, (to + bytes - 1) / 8);
    let is_whole = |word| (first + 1..last).contains(&word);
    let load = |word| bucket.load(word_of(word));
    let put = |word, value| {
        if is_whole(word) {
            bucket.word(word_of(word)).store(value, Ordering::Relaxed);
        } else {
            put_word(bucket, word_of, word, value, to, to + bytes);
        }
    };
    // Each word is made of the two that its bytes come from; the next one shares one of them. A shift by 64 is done in two steps.
    if to < from {
        let (words, bits) = ((from - to) / 8, (from - to) % 8 * 8);
        let mut low = load(first + words);
        for word in first..=last {
            let high = load(word + words + 1);
            put(word, low >> bits | high << 1 << (63 - bits));
            low = high;
        }
    } else {
        let (words, bits) = ((to - from) / 8, (to - from) % 8 * 8);
        // Before the array's first word lies nothing that counts: it is masked away.
        let mut high = load(last.wrapping_sub(words));
        for word in (first..=last).rev() {
            let low = load(word.wrapping_sub(words + 1));
            put(word, high << bits | low >> 1 >> (63 - bits));
            high = low;
        }
    }
}

/// Writes bytes into an array.
#[inline]
pub(super) fn write_bytes(bucket: Bucket<'_>, word_of: impl WordOf, at: usize, bytes: &[u8]) {
    let mut word = at / 8;
    let mut left = bytes;
    let mut lane = at % 8;
    while !left.is_empty() {
        let (now, later) = left.split_at_checked(8 - lane).unwrap_or((left, &[]));
        let mut eight = [0; 8];
        if let Some(target) = eight.get_mut(lane..lane + now.len()) {
            target.copy_from_slice(now);
        }
        put_word(bucket, word_of, word, u64::from_le_bytes(eight), at, at + bytes.len());
        (left, lane, word) = (later, 0, word + 1);
    }
}

/// Writes those bytes of a word that lie from `start` to `end`.
#[inline]
fn put_word(bucket: Bucket<'_>, word_of: impl WordOf, word: usize, value: u64, start: usize, end: usize) {
    let target = bucket.word(word_of(word));
    let (low, high) = (start.saturating_sub(word * 8), end.saturating_sub(word * 8));
    if low == 0 && high >= 8 {
        target.store(value, Ordering::Relaxed);
        return;
    }
    let above = if high >= 8 { 0 } else { u64::MAX << (high * 8) };
    let kept = above | !(u64::MAX << (low * 8));
    target.store(value & !kept | target.load(Ordering::Relaxed) & kept, Ordering::Relaxed);
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
            write_bytes(bucket, data_word, to, &written);
            prop_assert_eq!(room(), expected.clone());
            prop_assert_eq!(word_at(bucket, data_word, from).to_le_bytes().to_vec(), expected[from..from + 8].to_vec());
        }
    }
}
