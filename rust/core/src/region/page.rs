//! An entry on its way out of its bucket.

use super::entry::Entry;
use super::layout::ENTRY_BYTES_MAX;

/// Bytes of a copy: the longest entry, with what shares its first and last word.
const PAGE_BYTES: usize = (ENTRY_BYTES_MAX + 7).next_multiple_of(8) + 8;

/// An entry's place in its bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) slot: usize,
    /// Slots that it takes.
    pub(super) slots: usize,
    /// Its first byte, counted from the first byte of the entries.
    pub(super) start: usize,
    pub(super) bytes: usize,
}

/// Room for one entry, as it is copied out of the region. Reuse it: it is never cleared.
#[derive(Clone, Debug)]
pub struct Page {
    bytes: [u8; PAGE_BYTES],
}

impl Default for Page {
    fn default() -> Self {
        Self { bytes: [0; PAGE_BYTES] }
    }
}

impl Page {
    /// Eight bytes at a time.
    pub(super) fn words(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.bytes.chunks_exact_mut(8)
    }

    /// The entry that was copied here last, from this span.
    #[inline]
    pub(super) fn entry(&self, span: Span) -> Option<Entry<'_>> {
        let shift = span.start % 8;
        Entry::of(self.bytes.get(shift..shift + span.bytes)?)
    }
}
