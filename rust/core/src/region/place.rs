//! The places of workers in the file's header: who is alive, by the lock that only a living process holds.

use super::counters;
use super::layout::{self, GENERATION, OWNER_LOCKS, OWNERS_MAX, Owner};
use super::lock::is_held;
use super::map::Mapping;
use super::sync::{AtomicU64, Ordering};

/// Can `owner` still let go of a bucket? Only while its process holds its byte, and its place was not given out since.
pub(super) fn is_alive(mapping: &Mapping, owner: Owner) -> bool {
    let slot = usize::from(owner.slot());
    let current = generation(mapping, slot).map_or(0, |word| layout::low_half(word.load(Ordering::Acquire)));
    (1..OWNERS_MAX).contains(&slot)
        && Owner::new(owner.slot(), current) == owner
        && mapping.file().is_some_and(|file| is_held(file, owner_byte(slot)))
}

/// The byte of the file whose lock is a place's proof of life.
pub(super) fn owner_byte(slot: usize) -> i64 {
    OWNER_LOCKS + i64::try_from(slot).unwrap_or_default()
}

/// How often a place was given out.
pub(super) fn generation(header: &[AtomicU64], slot: usize) -> Option<&AtomicU64> {
    header.get(layout::COUNTERS + slot * counters::COUNTER_WORDS + GENERATION)
}

/// Does a living process hold this place? Memory without a file has one process, and nobody else to wait for.
pub(super) fn is_place_held(mapping: &Mapping, slot: u8) -> bool {
    mapping.file().is_some_and(|file| is_held(file, owner_byte(usize::from(slot))))
}
