//! What a bucket remembers of the keys that lately made room: a ghost queue.
//!
//! A key that comes back soon after it was evicted is worth more than one that was never seen: 2Q (Johnson and Shasha, VLDB
//! 1994), ARC (Megiddo and Modha, FAST 2003) and S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023)
//! keep such keys without their values. Here nine bits of a key's hash stand for it, seven to a word, the youngest in the
//! lowest bits; which word is told by other bits of the hash. What comes back is taken out. A ghost is a hint: it says where a
//! record is placed in the queue of those that make room, never what is answered.

use super::layout::{GHOST_WORDS, index};

/// Bits of a ghost; none has no bit set, which is an empty place.
const GHOST_BITS: u32 = 9;
/// Ghosts in a word; one bit is left over.
const GHOSTS_A_WORD: u32 = 7;

const ONE: u64 = (1 << GHOST_BITS) - 1;
const ALL: u64 = (1 << (GHOST_BITS * GHOSTS_A_WORD)) - 1;

/// A key as a bucket remembers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ghost {
    /// Which of the bucket's words remembers it: under [`GHOST_WORDS`].
    pub(super) word: usize,
    bits: u64,
}

impl Ghost {
    /// The ghost of the key whose hash left this trace of 24 bits.
    pub(super) const fn of(trace: u32) -> Self {
        let bits = trace as u64 & ONE;
        let word = index((((trace as u64) >> GHOST_BITS & 0x7fff) * GHOST_WORDS as u64) >> 15);
        Self { word, bits: if bits == 0 { 1 } else { bits } }
    }

    /// Its word with it as the youngest; when there were seven, the oldest is forgotten.
    pub(super) const fn added_to(self, word: u64) -> u64 {
        (word << GHOST_BITS | self.bits) & ALL
    }

    /// Its word without it; None when it is not remembered.
    pub(super) fn taken_from(self, word: u64) -> Option<u64> {
        let shift_of = |place: u32| place * GHOST_BITS;
        let place = (0..GHOSTS_A_WORD).find(|place| word >> shift_of(*place) & ONE == self.bits)?;
        let younger = word & !(u64::MAX << shift_of(place));
        let older = (word & ALL) >> shift_of(place + 1) << shift_of(place);
        Some(older | younger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_remembers_seven_and_forgets_the_oldest() {
        let ghosts: Vec<_> = (1..=8).map(Ghost::of).collect();
        let word = ghosts.iter().fold(0, |word, ghost| ghost.added_to(word));
        assert_eq!(ghosts[0].taken_from(word), None);
        for ghost in &ghosts[1..] {
            let left = ghost.taken_from(word).unwrap();
            assert_eq!(ghost.taken_from(left), None, "{ghost:?} comes back once");
            let others = ghosts[1..].iter().filter(|other| *other != ghost);
            assert!(others.clone().all(|other| other.taken_from(left).is_some()), "{ghost:?}");
            let rebuilt = others.fold(0, |word, ghost| ghost.added_to(word));
            assert_eq!(left, rebuilt, "the others keep their order");
        }
    }

    #[test]
    fn every_trace_has_a_word_and_bits_and_is_in_no_empty_word() {
        let mut words = [0; GHOST_WORDS];
        for trace in 0..1_u32 << 24 {
            let ghost = Ghost::of(trace);
            words[ghost.word] += 1;
            assert!(ghost.bits > 0 && ghost.bits <= ONE);
            assert_eq!(ghost.taken_from(0), None);
        }
        let fair = (1 << 24) / i64::try_from(GHOST_WORDS).unwrap();
        assert!(words.iter().all(|count: &i64| (count - fair).abs() < fair / 1000), "{words:?}");
    }
}
