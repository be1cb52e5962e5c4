//! A bucket in the hands of its one writer, who works at the hand of eviction, where the free bytes lie.
//!
//! The entries are a queue in a ring. Those before the hand lie end to end at the front of the room, the others at its back,
//! and the gap between is what is free (a gap buffer: Finseth, "The Craft of Text Editing", 1991). So to pass an entry, to take
//! it out at the hand, and to put one in near it moves that entry and its neighbours, not the page.

use super::age::{Ages, BootTime};
use super::bucket::{Bucket, Resident};
use super::checksum::Checksum;
use super::entry::Draft;
use super::ghost::Ghost;
use super::layout::{
    CHECKSUM, GHOSTS, GROUP_SLOTS, LATEST, PAGE_WORDS, SHAPE, STATE, Shape, State, VISITED, VISITED_WORDS,
    data_word, fingerprints_word, lengths_word,
};
use super::page::Span;
use super::shift::{move_bytes, write_bytes};
use super::sync::Ordering;
use super::visited::Visited;

/// A bucket that this thread holds. Dropping it lets go; a panic on the way empties the bucket first.
#[derive(Debug)]
pub(super) struct Held<'a> {
    bucket: Bucket<'a>,
    checksum: Checksum,
    /// Over the entries, without the head.
    sum: u64,
    state: State,
    shape: Shape,
    /// Bytes of the entries before the hand: where the free bytes begin.
    gap: usize,
    latest_ds: u32,
    is_changed: bool,
    removed: u64,
}

impl<'a> Held<'a> {
    /// The bucket was just taken from `state`.
    pub(super) fn new(bucket: Bucket<'a>, state: State, checksum: Checksum) -> Self {
        let head = checksum.of_head(bucket.load(SHAPE), bucket.load(LATEST));
        let sum = bucket.load(CHECKSUM).wrapping_sub(head);
        let (shape, latest_ds) = (bucket.shape(), bucket.latest_ds());
        let gap = bucket.bytes_before(shape.hand);
        Self { bucket, checksum, sum, state, shape, gap, latest_ds, is_changed: false, removed: 0 }
    }

    /// Entries that were taken out so far.
    pub(super) const fn removed(&self) -> u64 {
        self.removed
    }

    /// How much lies in the bucket by now.
    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    /// The bucket, to read in it.
    pub(super) const fn bucket(&self) -> Bucket<'a> {
        self.bucket
    }

    /// The entry at the hand, which begins again when it has come round; None when no entry can be told from another.
    pub(super) fn at_hand(&mut self) -> Option<Resident> {
        if self.shape.hand == self.shape.slots && self.shape.slots > 0 {
            self.is_changed = true;
            move_bytes(self.bucket, data_word, 0, self.shape.gap_bytes(), self.shape.used_bytes);
            (self.shape.hand, self.gap) = (0, 0);
        }
        self.bucket.resident(self.shape, self.shape.hand, self.gap)
    }

    /// Moves the hand over the entry before it.
    pub(super) fn pass(&mut self, span: Span) {
        self.is_changed = true;
        move_bytes(self.bucket, data_word, span.start, self.gap, span.bytes);
        self.shape.hand += span.slots;
        self.gap += span.bytes;
    }

    /// Forgets everything, whatever was there.
    pub(super) fn clear(&mut self) {
        self.removed += self.bucket.residents(self.shape).map(|_| 1).sum::<u64>();
        for index in CHECKSUM..PAGE_WORDS {
            self.bucket.word(index).store(0, Ordering::Relaxed);
        }
        (self.sum, self.shape, self.gap, self.latest_ds) = (0, Shape::default(), 0, 0);
        self.is_changed = true;
    }

    /// Puts an entry in, from this slot on; of the two sides of the gap, before the hand only when that is asked for. The
    /// caller has made room.
    pub(super) fn insert(&mut self, slot: usize, is_before_hand: bool, draft: &Draft, fingerprint: u8) {
        self.is_changed = true;
        let (bytes, slots) = (draft.length(), draft.slots());
        let groups = (self.shape.slots + slots).div_ceil(GROUP_SLOTS);
        if groups > self.shape.groups || self.shape.gap_bytes() < bytes {
            self.set_groups(groups);
        }
        let before = self.bucket.bytes_before(slot);
        let start = if is_before_hand {
            move_bytes(self.bucket, data_word, before, before + bytes, self.gap.saturating_sub(before));
            self.shape.hand += slots;
            self.gap += bytes;
            before
        } else {
            let (back, between) = (self.gap + self.shape.gap_bytes(), before.saturating_sub(self.gap));
            let front = back.saturating_sub(bytes);
            move_bytes(self.bucket, data_word, back, front, between);
            front + between
        };
        self.move_slots(slot, slot + slots, self.shape.slots.saturating_sub(slot));
        self.change_visited(slot, |visited| visited.opened(slot, slots));
        self.shape.slots += slots;
        self.put(Span { slot, slots, start, bytes }, draft, fingerprint);
    }

    /// Takes the entry at the hand out, and puts one of as many slots in before this slot, which comes later.
    pub(super) fn exchange(&mut self, leaving: Span, slot: usize, draft: &Draft, fingerprint: u8) {
        self.is_changed = true;
        self.removed += 1;
        self.sum = self.sum.wrapping_sub(self.bucket.sum_of(leaving, self.checksum));
        self.shape.used_bytes = self.shape.used_bytes.saturating_sub(leaving.bytes);
        let (bytes, slots) = (draft.length(), leaving.slots);
        let (end, end_slot) = (leaving.start + leaving.bytes, leaving.slot + slots);
        let between = self.bucket.bytes_before(slot).saturating_sub(self.gap + leaving.bytes);
        let front = end.saturating_sub(bytes);
        move_bytes(self.bucket, data_word, end, front, between);
        self.move_slots(end_slot, leaving.slot, slot.saturating_sub(end_slot));
        let slot = slot.saturating_sub(slots);
        self.change_visited(leaving.slot, |visited| visited.closed(leaving.slot, slots).opened(slot, slots));
        self.put(Span { slot, slots, start: front + between, bytes }, draft, fingerprint);
    }

    /// Writes an entry where there is room for it and its slots.
    fn put(&mut self, span: Span, draft: &Draft, fingerprint: u8) {
        let (fingerprints, lengths) = draft.slots_of(fingerprint);
        write_bytes(self.bucket, fingerprints_word, span.slot, [fingerprints].into_iter(), span.slots);
        write_bytes(self.bucket, lengths_word, span.slot, [lengths].into_iter(), span.slots);
        write_bytes(self.bucket, data_word, span.start, draft.words(), span.bytes);
        self.shape.used_bytes += span.bytes;
        self.sum = self.sum.wrapping_add(draft.sum(fingerprint, self.checksum));
    }

    /// Moves so many slots' fingerprints and lengths.
    fn move_slots(&self, from: usize, to: usize, slots: usize) {
        move_bytes(self.bucket, fingerprints_word, from, to, slots);
        move_bytes(self.bucket, lengths_word, from, to, slots);
    }

    /// Writes an entry over one of the same length.
    pub(super) fn replace(&mut self, span: Span, draft: &Draft, fingerprint: u8) {
        self.is_changed = true;
        self.sum = self.sum.wrapping_sub(self.bucket.sum_of(span, self.checksum));
        write_bytes(self.bucket, data_word, span.start, draft.words(), span.bytes);
        self.sum = self.sum.wrapping_add(draft.sum(fingerprint, self.checksum));
        self.unvisit(span.slot);
    }

    /// Takes an entry out; what lies between it and the gap moves up.
    pub(super) fn remove(&mut self, span: Span) {
        self.is_changed = true;
        self.removed += 1;
        self.sum = self.sum.wrapping_sub(self.bucket.sum_of(span, self.checksum));
        let (end, end_slot) = (span.start + span.bytes, span.slot + span.slots);
        if span.slot < self.shape.hand {
            move_bytes(self.bucket, data_word, end, span.start, self.gap.saturating_sub(end));
            self.shape.hand = self.shape.hand.saturating_sub(span.slots);
            self.gap = self.gap.saturating_sub(span.bytes);
        } else {
            let back = self.gap + self.shape.gap_bytes();
            move_bytes(self.bucket, data_word, back, back + span.bytes, span.start.saturating_sub(back));
        }
        self.move_slots(end_slot, span.slot, self.shape.slots.saturating_sub(end_slot));
        self.change_visited(span.slot, |visited| visited.closed(span.slot, span.slots));
        self.shape = self.shape.without(span);
    }

    /// Removes what has to go, while the hand goes round once, and notes when the next has to. How many went.
    pub(super) fn expire(&mut self, ages: Ages, now: BootTime, is_retired: impl Fn(u8) -> bool) -> u64 {
        let mut gone = 0;
        let mut soonest_ds = u32::MAX;
        let mut slots_left = self.shape.slots;
        while slots_left > 0 {
            let Some(Resident { span, head }) = self.at_hand() else { break };
            slots_left = slots_left.saturating_sub(span.slots);
            match ages.age_ds(head.stamp, head.is_company(), now).filter(|_| !is_retired(head.number)) {
                None => {
                    self.remove(span);
                    gone += 1;
                }
                Some(age_ds) => {
                    let left_ds = ages.life_ds(head.is_company()) - age_ds;
                    soonest_ds = soonest_ds.min(now.0.saturating_add(left_ds));
                    self.pass(span);
                }
            }
        }
        self.shape.soonest_ds = soonest_ds;
        self.is_changed = true;
        gone
    }

    /// Notes when the entry came that is about to be put in, and when it has to go.
    pub(super) fn note_times(&mut self, now: BootTime, expires_ds: u32) {
        let is_first = self.shape.slots == 0;
        self.shape.soonest_ds = if is_first { expires_ds } else { self.shape.soonest_ds.min(expires_ds) };
        self.latest_ds = if is_first { now.0 } else { self.latest_ds.max(now.0) };
    }

    /// Remembers a key that made room.
    pub(super) fn remember(&mut self, ghost: Ghost) {
        self.is_changed = true;
        let word = self.bucket.word(GHOSTS + ghost.word);
        word.store(ghost.added_to(word.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Was this key remembered? It is no longer.
    pub(super) fn recall(&mut self, ghost: Ghost) -> bool {
        let word = self.bucket.word(GHOSTS + ghost.word);
        let Some(left) = ghost.taken_from(word.load(Ordering::Relaxed)) else { return false };
        self.is_changed = true;
        word.store(left, Ordering::Relaxed);
        true
    }

    /// Writes the visited bits from this slot on anew. A reader's bit may be lost on the way: it is a hint.
    fn change_visited(&self, from: usize, change: impl Fn(Visited) -> Visited) {
        let mut visited = Visited::default();
        for (word, bits) in (VISITED..).zip(&mut visited.0) {
            *bits = self.bucket.load(word);
        }
        let changed = change(visited);
        for (word, bits) in (VISITED..).zip(changed.0).skip(from / 64) {
            self.bucket.word(word).store(bits, Ordering::Relaxed);
        }
    }

    /// Sets so many groups aside for slots; the entries at the back move with them.
    fn set_groups(&mut self, groups: usize) {
        let back_bytes = self.shape.used_bytes.saturating_sub(self.gap);
        let from = self.shape.data_end().saturating_sub(back_bytes);
        self.shape.groups = groups;
        move_bytes(
            self.bucket,
            data_word,
            from,
            self.shape.data_end().saturating_sub(back_bytes),
            back_bytes,
        );
    }

    /// Forgets that a slot was read.
    pub(super) fn unvisit(&mut self, slot: usize) {
        if self.bucket.is_visited(slot) {
            self.is_changed = true;
            let word = self.bucket.word(VISITED + slot / 64 % VISITED_WORDS);
            word.fetch_and(!(1 << (slot % 64)), Ordering::Relaxed);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.clear();
        }
        let mut after = self.state; // nothing was written: readers may go on with what they have seen
        if self.is_changed {
            let groups = self.shape.slots.div_ceil(GROUP_SLOTS);
            if groups != self.shape.groups {
                self.set_groups(groups);
            }
            let (shape, latest) = (self.shape.word(), u64::from(self.latest_ds));
            let sum = self.sum.wrapping_add(self.checksum.of_head(shape, latest));
            for (index, word) in [(SHAPE, shape), (LATEST, latest), (CHECKSUM, sum)] {
                self.bucket.word(index).store(word, Ordering::Relaxed);
            }
            after = self.state.next();
        }
        // A state that was taken over from its dead owner is always cleared, so an unchanged one had no owner.
        self.bucket.word(STATE).store(after.0, Ordering::Release);
    }
}
