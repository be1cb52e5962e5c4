//! Tally: how many tries all workers have under way, and never more than they may.
//!
//! Each worker has a count of its own beside the others', which it alone changes while it lives. To begin a try it counts
//! it first, then adds up all counts, and takes it back when there are too many. So the bound holds exactly, without a
//! lock: of the tries that run at one instant, consider the one that was counted last. All others were counted by then and
//! are so until they end, so the sum that its worker saw, though no snapshot, was at least as many as run. Two who count
//! at the same instant may both find one too many, which costs a moment and never passes the bound.
//!
//! A worker that dies leaves its count, at whatever step, and its successor in the same place takes it away: until then
//! there is less room, and never more.

use crate::region::sync::{AtomicU64, Ordering};

/// Bits of one worker's count.
const BITS: usize = 16;
/// Counts in a word.
const PER_WORD: usize = 64 / BITS;
/// The highest bit of a count: this worker waits for room.
const WAITS: u64 = 1 << (BITS - 1);
/// The rest of it: so many tries at most.
const COUNT: u64 = WAITS - 1;
/// The first and the third count of a word.
const EVERY_OTHER: u64 = 0xffff_0000_ffff;
/// Each bit that says that a worker waits.
const ALL_WAITS: u64 = WAITS * 0x0001_0001_0001_0001;

/// The counts of all workers, as one of them sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally<'a> {
    words: &'a [AtomicU64],
    place: u8,
}

impl<'a> Tally<'a> {
    pub(super) const fn new(words: &'a [AtomicU64], place: u8) -> Self {
        Self { words, place }
    }

    /// Tries of all workers.
    pub(super) fn total(&self) -> usize {
        // Every other count of a word at a time, each in a half: 64 counts have room in it.
        let halves = self.words.iter().fold(0, |halves, word| {
            let counts = word.load(Ordering::SeqCst) & !ALL_WAITS;
            halves + (counts & EVERY_OTHER) + (counts >> BITS & EVERY_OTHER)
        });
        usize::try_from((halves >> 32) + (halves & 0xffff_ffff)).unwrap_or(usize::MAX)
    }

    /// Counts another try of this worker, if no more than `most` are under way then.
    pub(super) fn take(&self, most: usize) -> bool {
        if !self.raise() {
            return false;
        }
        let has_room = self.total() <= most;
        if !has_room {
            self.give_back();
        }
        has_room
    }

    /// Counts another try of this worker, before anybody knows whether it may begin; false when no more can be counted.
    pub(super) fn raise(&self) -> bool {
        let Some((word, shift)) = self.own() else { return false };
        if word.load(Ordering::Relaxed) >> shift & COUNT == COUNT {
            return false;
        }
        word.fetch_add(1 << shift, Ordering::SeqCst);
        true
    }

    /// A try of this worker ended that was taken before.
    pub(super) fn give_back(&self) {
        if let Some((word, shift)) = self.own() {
            word.fetch_sub(1 << shift, Ordering::SeqCst);
        }
    }

    /// Tells the others whether this worker waits for room. In one order with their looks and counts: who says that it waits
    /// and then sees nothing of another is seen by it.
    pub(super) fn set_waiting(&self, waits: bool) {
        if let Some((word, shift)) = self.own() {
            if waits {
                word.fetch_or(WAITS << shift, Ordering::SeqCst);
            } else {
                word.fetch_and(!(WAITS << shift), Ordering::SeqCst);
            }
        }
    }

    /// Does another worker wait for room?
    pub(super) fn is_wanted(&self) -> bool {
        self.others_have(ALL_WAITS)
    }

    /// Has another worker anything under way here, or waits for it?
    pub(super) fn has_others(&self) -> bool {
        self.others_have(u64::MAX)
    }

    fn others_have(&self, bits: u64) -> bool {
        let (own, shift) = split(self.place);
        self.words.iter().enumerate().any(|(nth, word)| {
            let mine = if nth == own { (COUNT | WAITS) << shift } else { 0 };
            word.load(Ordering::SeqCst) & bits & !mine != 0
        })
    }

    /// Takes away all that whoever had this place has left. It must be dead, and nobody else there.
    pub(super) fn clear(&self) {
        if let Some((word, shift)) = self.own() {
            word.fetch_and(!((COUNT | WAITS) << shift), Ordering::SeqCst);
        }
    }

    fn own(&self) -> Option<(&'a AtomicU64, usize)> {
        let (nth, shift) = split(self.place);
        Some((self.words.get(nth)?, shift))
    }
}

/// The word of a place's count, and by how many bits it is shifted there.
const fn split(place: u8) -> (usize, usize) {
    (place as usize / PER_WORD, place as usize % PER_WORD * BITS)
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn words() -> Vec<AtomicU64> {
        (0..16).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn each_counts_for_itself_and_all_keep_to_the_bound() {
        let words = words();
        for place in [1, 4, 5, 63] {
            for most in 0..3 {
                let tally = Tally::new(&words, place);
                let before = tally.total();
                assert_eq!(tally.take(before + most), most > 0, "{place} {most}");
                assert_eq!(tally.total(), before + usize::from(most > 0));
            }
        }
        Tally::new(&words, 5).give_back();
        for (left, total) in [(5, 6), (63, 4), (1, 2), (4, 0)] {
            let has_others = left != 1;
            Tally::new(&words, left).clear();
            assert_eq!((Tally::new(&words, 4).total(), Tally::new(&words, left).total()), (total, total));
            assert_eq!(Tally::new(&words, 4).has_others(), has_others && left != 4, "{left}");
        }
    }

    #[test]
    fn who_waits_is_seen_by_the_others_and_counts_nothing() {
        let words = words();
        let (one, other) = (Tally::new(&words, 2), Tally::new(&words, 3));
        for (waits, is_wanted) in [(true, true), (true, true), (false, false)] {
            one.set_waiting(waits);
            assert_eq!((one.is_wanted(), other.is_wanted(), other.total()), (false, is_wanted, 0));
            assert_eq!(other.has_others(), is_wanted);
        }
        one.set_waiting(true);
        one.clear();
        assert!(!other.has_others());
    }

    #[test]
    fn a_count_never_runs_into_the_next() {
        let words = words();
        let (full, next) = (Tally::new(&words, 5), Tally::new(&words, 6));
        assert!((0..COUNT).all(|_| full.take(usize::MAX)));
        assert!(!full.take(usize::MAX));
        assert_eq!(full.total(), 32_767);
        assert!(!next.is_wanted());
        next.clear();
        assert_eq!(next.total(), 32_767);
    }

    #[test]
    fn no_words_bear_no_tries() {
        let tally = Tally::new(&[], 1);
        assert!(!tally.take(10));
        tally.give_back();
        assert_eq!((tally.total(), tally.has_others()), (0, false));
    }
}
