//! Where everything lies, in words of eight bytes: `docs/region-format.md` draws it.

use super::page::Span;
use super::sync::AtomicU64;

/// Bytes of a bucket, and of a page of memory on the machines we know.
pub const PAGE_BYTES: usize = 4096;
/// Words of a bucket.
pub(super) const PAGE_WORDS: usize = PAGE_BYTES / 8;
/// A bucket, as its readers and writers share it.
pub(super) type Words = [AtomicU64; PAGE_WORDS];

/// Lock and sequence count: [`State`].
pub(super) const STATE: usize = 0;
/// [`super::checksum`] of what answers rest on: every word but this one, the state, the visited bits and the ghosts.
pub(super) const CHECKSUM: usize = 1;
/// How much lies in the bucket: [`Shape`].
pub(super) const SHAPE: usize = 2;
/// When the youngest record was stored (low half, deciseconds); the high half is zero.
pub(super) const LATEST: usize = 3;
/// One bit a slot: was it read since it was stored? Set by readers, outside the checksum.
pub(super) const VISITED: usize = 4;
/// Words of visited bits.
pub(super) const VISITED_WORDS: usize = SLOTS_MAX / 64;
/// Keys that made room lately: [`super::ghost`]. Outside the checksum.
pub(super) const GHOSTS: usize = VISITED + VISITED_WORDS;
/// Words of them.
pub(super) const GHOST_WORDS: usize = 11;
/// The first word of the room for entries.
pub(super) const DATA: usize = GHOSTS + GHOST_WORDS;

/// Slots of a bucket: one byte of fingerprint and one of length each.
pub(super) const SLOTS_MAX: usize = 256;
/// Slots whose fingerprints share a word.
pub(super) const GROUP_SLOTS: usize = 8;
/// Bytes of a group: a word of fingerprints, a word of lengths.
pub(super) const GROUP_BYTES: usize = 16;
/// Bytes of entries and groups together.
pub(super) const ROOM_BYTES: usize = PAGE_BYTES - DATA * 8;

/// A slot of this length goes on in the next one.
pub(super) const LENGTH_CONTINUES: u8 = 255;
/// Slots of one entry at most.
pub(super) const ENTRY_SLOTS_MAX: usize = 4;
/// Bytes of one entry at most; longer records are answered and not kept.
pub const ENTRY_BYTES_MAX: usize = ENTRY_SLOTS_MAX * LENGTH_CONTINUES as usize - 1;
/// The fingerprint of a slot that continues another: no key has it.
pub(super) const FINGERPRINT_CONTINUES: u8 = 0;

const _: () = assert!(GHOSTS * 8 == 64, "a bucket's head is one cache line: docs/region-format.md");
const _: () = assert!(DATA * 8 == 152, "as docs/region-format.md draws it");
const _: () = assert!(ROOM_BYTES < 1 << 12, "Shape counts used bytes in 12 bits");
const _: () = assert!(SLOTS_MAX < 1 << 10, "Shape counts slots in 10 bits");
const _: () = assert!(ENTRY_BYTES_MAX + GROUP_BYTES < ROOM_BYTES, "the longest entry fits an empty bucket");

/// The word of a group's fingerprints: groups grow down from the end of the page.
pub(super) const fn fingerprints_word(group: usize) -> usize {
    PAGE_WORDS.wrapping_sub(1).wrapping_sub(group.wrapping_mul(2))
}

/// The word of a group's lengths.
pub(super) const fn lengths_word(group: usize) -> usize {
    fingerprints_word(group).wrapping_sub(1)
}

/// The word of a byte of entries, counted in words from the first.
pub(super) const fn data_word(index: usize) -> usize {
    DATA.wrapping_add(index)
}

/// Low bits of a word as an index; every caller has masked them to fewer than 32 bits.
pub(super) const fn index(bits: u64) -> usize {
    (bits & 0xffff_ffff) as usize
}

/// The low half of a word.
pub(super) const fn low_half(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

/// The high half of a word.
pub(super) const fn high_half(word: u64) -> u32 {
    low_half(word >> 32)
}

/// The lock word: a sequence count above, who holds the bucket below, 0 when nobody does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(pub(super) u64);

impl State {
    /// Who holds the bucket, or None.
    pub(super) const fn owner(self) -> Option<Owner> {
        let owner = low_half(self.0);
        if owner == 0 { None } else { Some(Owner(owner)) }
    }

    /// The same moment, held by `owner`.
    pub(super) const fn held_by(self, owner: Owner) -> Self {
        Self(self.0 & !0xffff_ffff | owner.0 as u64)
    }

    /// The next moment, held by nobody.
    pub(super) const fn next(self) -> Self {
        Self((self.0 & !0xffff_ffff).wrapping_add(1 << 32))
    }
}

/// Who may hold buckets: a slot of the header (low byte, never 0) and that slot's generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner(pub(super) u32);

impl Owner {
    /// The owner in `slot` (1 to 255) whose generation is `generation`, of which 24 bits count.
    pub(super) const fn new(slot: u8, generation: u32) -> Self {
        Self(generation << 8 | slot as u32)
    }

    /// Its slot.
    pub(super) const fn slot(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
}

/// How much lies in a bucket. What is read from damaged memory is cut to what the page could hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Shape {
    /// Slots in use.
    pub(super) slots: usize,
    /// Groups that are set aside for slots: as few as hold them, but for a moment in a writer's hands.
    pub(super) groups: usize,
    /// The slot that eviction looks at next: all before it lie at the front of the room, it and all after it at the back.
    pub(super) hand: usize,
    /// Bytes of entries.
    pub(super) used_bytes: usize,
    /// No record here has to go before this moment, in deciseconds.
    pub(super) soonest_ds: u32,
}

impl Shape {
    /// Reads the shape word.
    pub(super) fn of(word: u64) -> Self {
        let slots = index(word & 0x3ff).min(SLOTS_MAX);
        Self {
            slots,
            groups: slots.div_ceil(GROUP_SLOTS),
            hand: index(word >> 10 & 0x3ff).min(slots),
            used_bytes: index(word >> 20 & 0xfff).min(ROOM_BYTES),
            soonest_ds: high_half(word),
        }
    }

    /// The shape word.
    pub(super) const fn word(self) -> u64 {
        self.slots as u64
            | (self.hand as u64) << 10
            | (self.used_bytes as u64) << 20
            | (self.soonest_ds as u64) << 32
    }

    /// Is there room for an entry of so many bytes and slots?
    pub(super) const fn has_room(self, bytes: usize, slots: usize) -> bool {
        self.slots + slots <= SLOTS_MAX
            && self.used_bytes + bytes + (self.slots + slots).div_ceil(GROUP_SLOTS) * GROUP_BYTES
                <= ROOM_BYTES
    }

    /// Without an entry that stands at the hand or behind it.
    pub(super) const fn without(self, span: Span) -> Self {
        Self {
            slots: self.slots.saturating_sub(span.slots),
            used_bytes: self.used_bytes.saturating_sub(span.bytes),
            ..self
        }
    }

    /// Bytes that are free: they lie between the entries before the hand and the others.
    #[inline]
    pub(super) const fn gap_bytes(self) -> usize {
        self.data_end().saturating_sub(self.used_bytes)
    }

    /// Where the entries end: the first byte of the groups, counted from the first byte of the entries.
    #[inline]
    pub(super) const fn data_end(self) -> usize {
        ROOM_BYTES - self.groups * GROUP_BYTES
    }
}

/// Both halves of a product, one over the other.
#[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
pub(super) const fn fold(product: u128) -> u64 {
    product as u64 ^ (product >> 64) as u64
}

/// Pages before the first bucket.
pub(super) const HEADER_PAGES: usize = 16;
/// Words before the first bucket.
pub(super) const HEADER_WORDS: usize = HEADER_PAGES * PAGE_WORDS;
/// Workers at once, and one slot (the first) that is nobody's.
pub(super) const OWNERS_MAX: usize = 64;
/// The first word of the workers' counters.
pub(super) const COUNTERS: usize = 3 * PAGE_WORDS;
/// The word that says which buckets the sweeper looks at next.
pub(super) const SWEEP_CURSOR: usize = 32;
/// Fewer buckets could not be told apart as two candidates.
pub(super) const BUCKETS_MIN: usize = 2;

/// Registry numbers of a file; the first is nobody's.
pub(super) const REGISTRIES_MAX: usize = 256;
/// Words of a row of the registry table.
pub(super) const ROW_WORDS: usize = 4;
/// The first word of the registry table.
pub(super) const REGISTRIES: usize = PAGE_WORDS;
/// The byte whose lock says that the file is in use, or, exclusive, that it is being made.
pub(super) const USE_LOCK: i64 = 0;
/// The first of the workers' bytes: who is alive holds his own.
pub(super) const OWNER_LOCKS: i64 = 256;
/// The word of a worker's counters that tells who has its slot now from who had it before.
pub(super) const GENERATION: usize = super::counters::COUNTER_WORDS - 1;

const _: () = assert!(REGISTRIES + REGISTRIES_MAX * ROW_WORDS == COUNTERS, "the header has no gap here");
const _: () = assert!(COUNTERS + OWNERS_MAX * super::counters::COUNTER_WORDS == LEASES, "nor here");
const _: () = assert!(LEASES + LEASE_WORDS <= HEADER_WORDS, "what is left is reserved");
/// The first word of the leases: which worker asks for what ([`super::lease`]).
pub(super) const LEASES: usize = 5 * PAGE_WORDS;
/// Words of it.
pub(super) const LEASE_WORDS: usize = 8 * PAGE_WORDS;
