//! The bucket protocol, on borrowed atomics: readers never lock, writers hold a bucket by its state word.
//!
//! A reader takes the state, reads, and takes the state again: what it read counts only when both are the same and nobody
//! held the bucket (a sequence lock; the fences are those of Boehm, "Can seqlocks get along with programming language
//! memory models?", 2012). What lies here may be damaged or change under the reader, so every number is cut to the page
//! before it is used, and every loop ends. It is over 300 lines: one page's whole protocol.

use super::age::{Ages, BootTime};
use super::checksum::Checksum;
use super::entry::{Entry, Head};
use super::layout::{
    CHECKSUM, ENTRY_SLOTS_MAX, GROUP_SLOTS, LATEST, LENGTH_CONTINUES, Owner, PAGE_WORDS, SHAPE, STATE, Shape,
    State, VISITED, VISITED_WORDS, Words, data_word, fingerprints_word, index, lengths_word, low_half,
};
use super::page::{Page, Span};
use super::shift::{word_at, words_at};
use super::sync::{AtomicU64, Ordering, fence, pause};

/// How often a bucket that somebody holds is looked at again: about two microseconds, more than a writer needs.
const PATIENCE: usize = if cfg!(feature = "shuttle") { 2 } else { 64 };

/// Every byte of a word the same.
const fn every_byte(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

/// The high bit of each byte of `word` that is zero, and perhaps of those above it that are one: a filter, not a proof. Whoever
/// uses it looks at the byte itself.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(every_byte(1)) & !word & every_byte(0x80)
}

/// A word's bytes, each two added up: four sums of 16 bits, which have room for all lengths of a page.
const fn sums_of_pairs(word: u64) -> u64 {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    (word & EVEN) + (word >> 8 & EVEN)
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) fingerprint: u8,
    pub(super) number: u8,
    pub(super) id: &'a [u8],
}

/// One entry of a bucket, without its contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    pub(super) span: Span,
    pub(super) head: Head,
}

/// A bucket that may be read by anyone at any time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<'a> {
    words: &'a Words,
}

impl<'a> Bucket<'a> {
    pub(super) const fn new(words: &'a Words) -> Self {
        Self { words }
    }

    /// A word of the page; the index is cut to the page.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the page's words")]
    pub(super) const fn word(self, index: usize) -> &'a AtomicU64 {
        &self.words[index & (PAGE_WORDS - 1)]
    }

    #[inline]
    pub(super) fn load(self, index: usize) -> u64 {
        self.word(index).load(Ordering::Relaxed)
    }

    pub(super) fn state(self) -> State {
        State(self.word(STATE).load(Ordering::Acquire))
    }

    pub(super) fn shape(self) -> Shape {
        Shape::of(self.load(SHAPE))
    }

    pub(super) fn latest_ds(self) -> u32 {
        low_half(self.load(LATEST))
    }

    /// What `read` sees while nobody writes, with the state in which it was seen; else the state of the one who holds
    /// the bucket.
    #[inline]
    pub(super) fn read_whole<T>(self, mut read: impl FnMut(Self) -> T) -> Result<(State, T), State> {
        let mut state = self.state();
        for _ in 0..PATIENCE {
            if state.owner().is_none() {
                let seen = read(self);
                // Orders the relaxed loads of `read` before the state's second look.
                fence(Ordering::Acquire);
                let after = State(self.load(STATE));
                if after == state {
                    return Ok((state, seen));
                }
            }
            pause();
            state = self.state();
        }
        Err(state)
    }

    /// Takes the bucket if it still is in `state`. Until the lock is let go nobody else writes.
    pub(super) fn take(self, state: State, owner: Owner) -> bool {
        let taken = self.word(STATE).compare_exchange(
            state.0,
            state.held_by(owner).0,
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        // No word is seen to change before the lock.
        fence(Ordering::Release);
        taken.is_ok()
    }

    /// Is the bucket in this state still? Asked in one order with all that is taken: of two writers that hold one bucket each
    /// and look at the other's, at least one sees the other.
    pub(super) fn is_still(self, state: State) -> bool {
        self.word(STATE).load(Ordering::SeqCst) == state.0
    }

    /// Where the wanted entry lies.
    #[inline]
    pub(super) fn find(self, wanted: &Wanted<'_>) -> Option<Span> {
        let shape = self.shape();
        let pattern = every_byte(wanted.fingerprint);
        // A loop of a few instructions: what a match needs is elsewhere, and takes no register from it.
        for (group, pair) in self.words.rchunks_exact(2).take(shape.groups).enumerate() {
            let [_, fingerprints] = pair else { continue };
            let matches = zero_bytes(fingerprints.load(Ordering::Relaxed) ^ pattern);
            if matches != 0 {
                let found = self.find_in(group, matches, shape, wanted);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Looks at those slots of a group whose fingerprint may be the wanted one.
    #[inline(never)]
    fn find_in(self, group: usize, mut matches: u64, shape: Shape, wanted: &Wanted<'_>) -> Option<Span> {
        while matches != 0 {
            let lane = index(u64::from(matches.trailing_zeros() / 8));
            matches &= matches - 1;
            let slot = group * GROUP_SLOTS + lane;
            let fingerprint = byte_of(self.load(fingerprints_word(group)), lane);
            if slot >= shape.slots || fingerprint != wanted.fingerprint {
                continue; // a slot that continues another holds what its customer or registry wrote, and begins no entry
            }
            let span = self.span_of(slot, shape);
            if span.start + span.bytes <= shape.data_end() && self.is_of(span, wanted) {
                return Some(span);
            }
        }
        None
    }

    /// Is this the wanted entry? It is compared where it lies.
    #[inline]
    fn is_of(self, span: Span, wanted: &Wanted<'_>) -> bool {
        // Its last line is asked for with its first.
        let _ = self.load(data_word((span.start + span.bytes) / 8));
        let opening = word_at(self, data_word, span.start);
        Head::of(opening).id_start(opening, wanted.id.len()).is_some_and(|id_start| {
            byte_of(opening, 0) == wanted.number
                && id_start + wanted.id.len() <= span.bytes
                && self.holds(span.start + id_start, wanted.id)
        })
    }

    /// Do these bytes lie here?
    #[inline]
    fn holds(self, at: usize, bytes: &[u8]) -> bool {
        let word = |offset| word_at(self, data_word, at + offset);
        if let Some(last) = bytes.last_chunk() {
            let mut chunks = bytes.chunks_exact(8).enumerate();
            word(bytes.len() - 8) == u64::from_le_bytes(*last)
                && chunks.all(|(n, chunk)| chunk == word(n * 8).to_le_bytes())
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            low_half(word(0)) == u32::from_le_bytes(*first)
                && low_half(word(bytes.len() - 4)) == u32::from_le_bytes(*last)
        } else {
            word(0).to_le_bytes().starts_with(bytes)
        }
    }

    /// The entry that begins in this slot at this byte.
    fn span(self, slot: usize, start: usize) -> Span {
        let mut span = Span { slot, slots: 0, start, bytes: 0 };
        while span.slots < ENTRY_SLOTS_MAX {
            let length = self.length(slot + span.slots);
            span.slots += 1;
            span.bytes += usize::from(length);
            if length != LENGTH_CONTINUES {
                break;
            }
        }
        span
    }

    /// The length in this slot.
    fn length(self, slot: usize) -> u8 {
        byte_of(self.load(lengths_word(slot / GROUP_SLOTS)), slot % GROUP_SLOTS)
    }

    /// Copies an entry out of the bucket; None when it does not lie wholly among the entries.
    pub(super) fn copy(self, span: Span, data_end: usize, page: &mut Page) -> Option<Entry<'_>> {
        if span.start + span.bytes > data_end {
            return None;
        }
        self.lift(span, page);
        page.entry(span)
    }

    /// Copies what lies in a span, from which [`Page::entry`] reads it.
    #[inline]
    pub(super) fn lift(self, span: Span, page: &mut Page) {
        let (first, last) = (span.start / 8, (span.start + span.bytes).div_ceil(8));
        for (chunk, word) in page.words().zip(first..last) {
            chunk.copy_from_slice(&self.load(data_word(word)).to_le_bytes());
        }
    }

    /// Was the entry in this slot read since it was stored?
    pub(super) fn is_visited(self, slot: usize) -> bool {
        self.load(VISITED + slot / 64 % VISITED_WORDS) >> (slot % 64) & 1 == 1
    }

    /// Remembers that it was read. Written only when that is new, so that what is hot does not keep its page dirty.
    #[inline]
    pub(super) fn visit(self, slot: usize) {
        self.word(VISITED + slot / 64 % VISITED_WORDS).fetch_or(1 << (slot % 64), Ordering::Relaxed);
    }

    /// What an entry adds to the bucket's sum: its fingerprints, its lengths, its bytes.
    pub(super) fn sum_of(self, span: Span, checksum: Checksum) -> u64 {
        let slots = (word_at(self, fingerprints_word, span.slot), word_at(self, lengths_word, span.slot));
        checksum.of_entry(slots, span.slots, words_at(self, data_word, span.start), span.bytes)
    }

    /// Do the entries lie end to end as the head says, and fit the sum that its last writer noted?
    pub(super) fn is_whole(self, checksum: Checksum) -> bool {
        let shape = self.shape();
        let mut sum = checksum.of_head(self.load(SHAPE), self.load(LATEST));
        let (mut slots, mut bytes) = (0, 0);
        for Resident { span, .. } in self.residents(shape) {
            sum = sum.wrapping_add(self.sum_of(span, checksum));
            (slots, bytes) = (slots + span.slots, bytes + span.bytes);
        }
        (slots, bytes) == (shape.slots, shape.used_bytes)
            && bytes <= shape.data_end()
            && sum == self.load(CHECKSUM)
    }

    /// Can the times in this bucket be told apart at `now`? An empty bucket has none.
    pub(super) fn is_in_window(self, ages: Ages, now: BootTime) -> bool {
        let shape = self.shape();
        shape.slots == 0 || ages.in_window(shape.soonest_ds, self.latest_ds(), now)
    }

    /// All entries, from the first slot on.
    pub(super) const fn residents(self, shape: Shape) -> Residents<'a> {
        Residents { bucket: self, shape, slot: 0, before: 0 }
    }

    /// The entry that begins in this slot, after so many bytes of entries; None after the last, and where there can be none.
    pub(super) fn resident(self, shape: Shape, slot: usize, before: usize) -> Option<Resident> {
        if slot >= shape.slots {
            return None;
        }
        let span = self.span(slot, before + if slot < shape.hand { 0 } else { shape.gap_bytes() });
        let (end_slot, end) = (slot + span.slots, span.start + span.bytes);
        let is_inside = end_slot <= shape.slots && end <= shape.data_end();
        let is_parted = slot < shape.hand && end_slot > shape.hand;
        (is_inside && !is_parted)
            .then(|| Resident { span, head: Head::of(word_at(self, data_word, span.start)) })
    }

    /// Where the entry in this slot lies.
    #[inline]
    pub(super) fn span_of(self, slot: usize, shape: Shape) -> Span {
        let gap = if slot < shape.hand { 0 } else { shape.gap_bytes() };
        self.span(slot, self.bytes_before(slot) + gap)
    }

    /// Bytes of the entries in the slots before this one.
    #[inline]
    pub(super) fn bytes_before(self, slot: usize) -> usize {
        let group = slot / GROUP_SLOTS;
        let lengths = self.load(lengths_word(group)) & !(u64::MAX << (slot % GROUP_SLOTS * 8));
        let mut sums = sums_of_pairs(lengths);
        for pair in self.words.rchunks_exact(2).take(group) {
            let [lengths, _] = pair else { continue };
            sums = sums.wrapping_add(sums_of_pairs(lengths.load(Ordering::Relaxed)));
        }
        index(sums.wrapping_mul(0x0001_0001_0001_0001) >> 48)
    }

    /// Slots of the entry that begins in this one.
    pub(super) fn slots_at(self, slot: usize) -> usize {
        self.span(slot, 0).slots
    }

    /// Does this slot go on with the entry of the one before it?
    pub(super) fn is_continuation(self, slot: usize) -> bool {
        slot > 0 && self.length(slot - 1) == LENGTH_CONTINUES
    }
}

/// The entries of a bucket, one after the other.
#[derive(Debug)]
pub(super) struct Residents<'a> {
    bucket: Bucket<'a>,
    shape: Shape,
    slot: usize,
    /// Bytes of the entries before.
    before: usize,
}

impl Iterator for Residents<'_> {
    type Item = Resident;

    fn next(&mut self) -> Option<Resident> {
        let resident = self.bucket.resident(self.shape, self.slot, self.before)?;
        self.slot += resident.span.slots;
        self.before += resident.span.bytes;
        Some(resident)
    }
}

/// A byte of a word, counted from the lowest.
pub(super) const fn byte_of(word: u64, lane: usize) -> u8 {
    (word >> (lane * 8)).to_le_bytes()[0]
}
