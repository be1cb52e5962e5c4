//! What the region counts: one line of counters for each worker, so that no two write the same line; a sum is the whole.

use super::sync::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counter {
    Hits,
    Misses,
    Stores,
    Evictions,
    Expired,
    Oversize,
    Busy,
    Damaged,
    Takeovers,
    /// Records added less records removed: only the sum over all workers means anything.
    Records,
    /// The same for the bytes of entries.
    Bytes,
}

/// Words of one worker's counters: two cache lines, which is what processors fetch together.
pub(super) const COUNTER_WORDS: usize = 16;

const _: () = assert!(Counter::Bytes as usize + 1 < COUNTER_WORDS, "the last word is the owner's generation");

/// The whole service's counts since the region was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Look-ups that found a record.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Records stored.
    pub stores: u64,
    /// Records that made room before their time.
    pub evictions: u64,
    /// Records cleared because their time was up, or their registry is asked no longer.
    pub expired: u64,
    /// Records too long to be kept.
    pub oversize: u64,
    /// Records not kept because another worker held their bucket.
    pub busy: u64,
    /// Buckets emptied because they were damaged.
    pub damaged: u64,
    /// Buckets emptied because their writer had died in them.
    pub takeovers: u64,
    /// Records that lie in the region, expired ones too; an estimate after workers were killed.
    pub records: u64,
    /// Bytes of their entries; an estimate likewise.
    pub bytes: u64,
}

/// Adds to a counter of the worker whose line this is; what is less than nothing wraps.
pub(super) fn count(line: Option<&[AtomicU64]>, counter: Counter, by: u64) {
    if let Some(word) = line.and_then(|line| line.get(counter as usize)) {
        word.fetch_add(by, Ordering::Relaxed);
    }
}

/// The sum over all workers' lines.
pub(super) fn sum(lines: &[AtomicU64]) -> Stats {
    let total = |counter: Counter| {
        lines
            .chunks_exact(COUNTER_WORDS)
            .filter_map(|line| line.get(counter as usize))
            .fold(0_u64, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
    };
    // After workers were killed the sum may be a little less than nothing.
    let at_least_none = |counter| Some(total(counter)).filter(|sum| *sum <= u64::MAX / 2).unwrap_or(0);
    Stats {
        hits: total(Counter::Hits),
        misses: total(Counter::Misses),
        stores: total(Counter::Stores),
        evictions: total(Counter::Evictions),
        expired: total(Counter::Expired),
        oversize: total(Counter::Oversize),
        busy: total(Counter::Busy),
        damaged: total(Counter::Damaged),
        takeovers: total(Counter::Takeovers),
        records: at_least_none(Counter::Records),
        bytes: at_least_none(Counter::Bytes),
    }
}
