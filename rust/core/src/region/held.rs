//! A bucket in the hands of its one writer: entries are appended at the end and taken out from anywhere.

use super::age::{Ages, BootTime};
use super::bucket::{Bucket, Resident};
use super::checksum::Checksum;
use super::entry::Draft;
use super::layout::{
    CHECKSUM, FINGERPRINT_CONTINUES, GROUP_SLOTS, LATEST, PAGE_WORDS, SHAPE, STATE, Shape, State, VISITED,
    VISITED_WORDS, data_word, fingerprints_word, lengths_word,
};
use super::page::Span;
use super::sync::Ordering;

/// A bucket that this thread holds. Dropping it lets go; a panic on the way empties the bucket first.
#[derive(Debug)]
pub(super) struct Held<'a> {
    bucket: Bucket<'a>,
    checksum: Checksum,
    sum: u64,
    state: State,
    is_changed: bool,
    removed: u64,
}

impl<'a> Held<'a> {
    /// The bucket was just taken from `state`.
    pub(super) fn new(bucket: Bucket<'a>, state: State, checksum: Checksum) -> Self {
        let head = checksum.of_head(bucket.load(SHAPE), bucket.load(LATEST));
        let sum = bucket.load(CHECKSUM).wrapping_sub(head);
        Self { bucket, checksum, sum, state, is_changed: false, removed: 0 }
    }

    /// Entries that were taken out so far.
    pub(super) const fn removed(&self) -> u64 {
        self.removed
    }

    /// The bucket, to read in it.
    pub(super) const fn bucket(&self) -> Bucket<'a> {
        self.bucket
    }

    /// Changes a word.
    #[inline]
    fn set(&mut self, index: usize, word: u64) {
        self.is_changed = true;
        self.bucket.word(index).store(word, Ordering::Relaxed);
    }

    /// Forgets everything, whatever was there.
    pub(super) fn clear(&mut self) {
        let (mut slot, mut start) = (0, 0);
        while let Some(Resident { span, .. }) = self.bucket.resident(slot, start) {
            (slot, start) = (slot + span.slots, start + span.bytes);
            self.removed += 1;
        }
        for index in CHECKSUM..PAGE_WORDS {
            self.bucket.word(index).store(0, Ordering::Relaxed);
        }
        self.sum = 0;
        self.is_changed = true;
    }

    /// Adds an entry at the end. The caller has made room.
    pub(super) fn append(&mut self, draft: &Draft, fingerprint: u8, now: BootTime, expires_ds: u32) {
        let mut shape = self.bucket.shape();
        let slots = draft.slots();
        let mut fingerprints = [FINGERPRINT_CONTINUES; GROUP_SLOTS];
        if let Some(first) = fingerprints.first_mut() {
            *first = fingerprint;
        }
        self.write(fingerprints_word, shape.slots, fingerprints.get(..slots).unwrap_or_default());
        self.write(lengths_word, shape.slots, draft.lengths().get(..slots).unwrap_or_default());
        self.write(data_word, shape.used_bytes, draft.bytes());
        for slot in shape.slots..shape.slots + slots {
            self.unvisit(slot);
        }
        let is_first = shape.slots == 0;
        shape.slots += slots;
        shape.used_bytes += draft.bytes().len();
        shape.soonest_ds = if is_first { expires_ds } else { shape.soonest_ds.min(expires_ds) };
        let latest_ds = if is_first { now.0 } else { self.bucket.latest_ds().max(now.0) };
        let slot = shape.slots - slots;
        let span =
            Span { slot, slots, start: shape.used_bytes - draft.bytes().len(), bytes: draft.bytes().len() };
        self.sum = self.sum.wrapping_add(self.bucket.sum_of(span, self.checksum));
        self.set(SHAPE, shape.word());
        self.set(LATEST, u64::from(latest_ds));
    }

    /// Takes an entry out; those after it move up.
    pub(super) fn remove(&mut self, span: Span) {
        self.removed += 1;
        self.sum = self.sum.wrapping_sub(self.bucket.sum_of(span, self.checksum));
        let mut shape = self.bucket.shape();
        self.close_gap(fingerprints_word, span.slot, span.slots, shape.slots);
        self.close_gap(lengths_word, span.slot, span.slots, shape.slots);
        self.close_gap(data_word, span.start, span.bytes, shape.used_bytes);
        self.close_visited(span.slot, span.slots);
        shape.slots = shape.slots.saturating_sub(span.slots);
        shape.used_bytes = shape.used_bytes.saturating_sub(span.bytes);
        if shape.hand > span.slot {
            shape.hand = shape.hand.saturating_sub(span.slots);
        }
        self.set(SHAPE, shape.word());
    }

    /// Removes what has to go, and notes when the next has to. How many went.
    pub(super) fn expire(&mut self, ages: Ages, now: BootTime, is_retired: impl Fn(u8) -> bool) -> u64 {
        let mut gone = 0;
        let mut soonest_ds = u32::MAX;
        let (mut slot, mut start) = (0, 0);
        // Each turn passes an entry or removes one, and the entries after it then begin where it began.
        while let Some(Resident { span, head }) = self.bucket.resident(slot, start) {
            match ages.age_ds(head.stamp, head.is_company(), now).filter(|_| !is_retired(head.number)) {
                None => {
                    self.remove(span);
                    gone += 1;
                }
                Some(age_ds) => {
                    let left_ds = ages.life_ds(head.is_company()) - age_ds;
                    soonest_ds = soonest_ds.min(now.0.saturating_add(left_ds));
                    (slot, start) = (slot + span.slots, start + span.bytes);
                }
            }
        }
        let shape = self.bucket.shape();
        self.set(SHAPE, Shape { soonest_ds, ..shape }.word());
        gone
    }

    /// Moves the hand of eviction.
    pub(super) fn point(&mut self, hand: usize) {
        let shape = self.bucket.shape();
        self.set(SHAPE, Shape { hand, ..shape }.word());
    }

    /// Forgets that a slot was read.
    pub(super) fn unvisit(&mut self, slot: usize) {
        if self.bucket.is_visited(slot) {
            self.is_changed = true;
            let word = self.bucket.word(VISITED + slot / 64 % VISITED_WORDS);
            word.fetch_and(!(1 << (slot % 64)), Ordering::Relaxed);
        }
    }

    /// Writes bytes into an array whose words `word_at` finds.
    fn write(&mut self, word_at: impl Fn(usize) -> usize, at: usize, bytes: &[u8]) {
        let mut left = bytes;
        let mut lane = at % 8;
        let mut index = at / 8;
        while !left.is_empty() {
            let (now, later) = left.split_at_checked(8 - lane).unwrap_or((left, &[]));
            let mut word = self.bucket.load(word_at(index)).to_le_bytes();
            if let Some(target) = word.get_mut(lane..lane + now.len()) {
                target.copy_from_slice(now);
            }
            self.set(word_at(index), u64::from_le_bytes(word));
            (left, lane, index) = (later, 0, index + 1);
        }
    }

    /// Takes `by` bytes at `at` out of an array of `length` bytes whose words `word_at` finds.
    #[inline]
    fn close_gap(&mut self, word_at: impl Fn(usize) -> usize, at: usize, by: usize, length: usize) {
        let bucket = self.bucket;
        let shift = by % 8 * 8;
        let (start, end) = (at / 8, length.saturating_sub(by).div_ceil(8));
        let mut source = start + by / 8;
        let mut low = bucket.load(word_at(source));
        let mut kept = !(u64::MAX << (at % 8 * 8));
        for index in start..end {
            source += 1;
            let high = bucket.load(word_at(source));
            // In two steps, because a shift by 64 is none.
            let mut word = low >> shift | high << 1 << (63 - shift);
            if kept != 0 {
                word = word & !kept | bucket.load(word_at(index)) & kept;
            }
            bucket.word(word_at(index)).store(word, Ordering::Relaxed);
            (low, kept) = (high, 0);
        }
        self.is_changed = true;
    }

    /// Takes `by` bits (1 to 63) at `at` out of the visited bits. A reader's bit may be lost on the way: it is a hint.
    fn close_visited(&mut self, at: usize, by: usize) {
        self.is_changed = true;
        for index in at / 64..VISITED_WORDS {
            let low = self.bucket.load(VISITED + index);
            let high = if index + 1 < VISITED_WORDS { self.bucket.load(VISITED + index + 1) } else { 0 };
            let mut word = low >> by | high << (64 - by);
            if index == at / 64 {
                let kept = !(u64::MAX << (at % 64));
                word = word & !kept | low & kept;
            }
            self.bucket.word(VISITED + index).store(word, Ordering::Relaxed);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.clear();
        }
        if self.is_changed {
            let head = self.checksum.of_head(self.bucket.load(SHAPE), self.bucket.load(LATEST));
            self.bucket.word(CHECKSUM).store(self.sum.wrapping_add(head), Ordering::Relaxed);
            self.bucket.word(STATE).store(self.state.next().0, Ordering::Release);
        } else {
            // Nothing was written: readers may go on with what they have seen. A state that was taken over from
            // its dead owner is always cleared, so this one had no owner.
            self.bucket.word(STATE).store(self.state.0, Ordering::Release);
        }
    }
}
