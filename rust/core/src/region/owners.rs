//! The workers over one file: who holds a place, and who of them is alive.

use super::counters::COUNTER_WORDS;
use super::layout::{COUNTERS, GENERATION, OWNER_LOCKS, OWNERS_MAX, Owner, low_half};
use super::lock::{Mode, is_held, try_lock};
use super::map::Mapping;
use super::sync::{AtomicU64, Ordering};
use siphasher::sip::SipHasher13;

/// Generations that one beginning skips at most: few of the 2^24 that there are, so that none comes again for a while.
const SKIPPED_MAX: u64 = 1 << 20;

/// Gives every place a generation that cannot be foretold, for one who is alone with the file: whoever is named in it is dead, and
/// stays so, even where a damaged or older page names the one who would have come next.
pub(super) fn begin(mapping: &Mapping, seed: [u64; 2]) {
    let [seed, other] = seed;
    for slot in (1..=u8::MAX).take(OWNERS_MAX - 1) {
        if let Some(word) = generation(mapping, slot) {
            let before = word.load(Ordering::Acquire);
            let lot = SipHasher13::new_with_keys(seed ^ before, other).hash(&[slot]);
            word.store(before.wrapping_add(lot % SKIPPED_MAX), Ordering::Release);
        }
    }
}

/// Takes the first place that no living process holds; None when there is none.
///
/// # Errors
/// What the kernel says of a lock.
pub(super) fn join(mapping: &Mapping) -> nix::Result<Option<Owner>> {
    let file = mapping.file().ok_or(nix::Error::EBADF)?;
    for slot in 1..=u8::try_from(OWNERS_MAX - 1).unwrap_or(u8::MAX) {
        if try_lock(file, byte(slot), Mode::Exclusive)? {
            let before = generation(mapping, slot).map_or(0, |word| word.fetch_add(1, Ordering::AcqRel));
            return Ok(Some(Owner::new(slot, low_half(before.wrapping_add(1)))));
        }
    }
    Ok(None)
}

/// Can `owner` still let go of a bucket? Only while its process holds its byte, and its place was not given out since.
pub(super) fn is_alive(mapping: &Mapping, owner: Owner) -> bool {
    let slot = owner.slot();
    let current = generation(mapping, slot).map_or(0, |word| low_half(word.load(Ordering::Acquire)));
    (1..OWNERS_MAX).contains(&usize::from(slot))
        && Owner::new(slot, current) == owner
        && mapping.file().is_some_and(|file| is_held(file, byte(slot)))
}

/// Does a living process hold this place? Memory without a file has one process, and nobody else to wait for.
pub(super) fn is_place_held(mapping: &Mapping, slot: u8) -> bool {
    mapping.file().is_some_and(|file| is_held(file, byte(slot)))
}

fn byte(slot: u8) -> i64 {
    OWNER_LOCKS + i64::from(slot)
}

fn generation(header: &[AtomicU64], slot: u8) -> Option<&AtomicU64> {
    header.get(COUNTERS + usize::from(slot) * COUNTER_WORDS + GENERATION)
}
