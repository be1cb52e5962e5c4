//! Who makes room in a full bucket: what has to go anyway, then what nobody read since the hand last passed.
//!
//! The hand is SIEVE's (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024), among the entries of one bucket, which lie
//! in the order in which they came: it passes what was read, forgetting that it was, and takes the first that was not.

use super::age::{Ages, BootTime};
use super::bucket::Bucket;
use super::held::Held;
use super::layout::{SLOTS_MAX, Shape};
use super::page::Span;

/// What had to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Evicted {
    /// Records whose time was up.
    pub(super) expired: u64,
    /// Records that could have been told a while longer.
    pub(super) live: u64,
}

/// What decides between two buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) shape: Shape,
    /// Slots that were read since they were stored.
    pub(super) visited: u32,
    /// May something here have to go?
    pub(super) is_due: bool,
}

/// Is the second bucket the better one for an entry of so many bytes and slots? The emptier one while there is room;
/// else the one where something has to go; else the one that fewer customers read from.
pub(super) fn prefers_second(first: Load, second: Load, bytes: usize, slots: usize) -> bool {
    let has_room = |load: Load| load.shape.has_room(bytes, slots);
    match (has_room(first), has_room(second)) {
        (false, false) if first.is_due != second.is_due => second.is_due,
        (false, false) => second.visited < first.visited,
        _ => second.shape.room_bytes() > first.shape.room_bytes(),
    }
}

/// Removes entries until one of so many bytes and slots has room.
pub(super) fn make_room(
    held: &mut Held<'_>,
    (bytes, slots): (usize, usize),
    ages: Ages,
    now: BootTime,
    is_retired: impl Fn(u8) -> bool,
) -> Evicted {
    let mut evicted = Evicted::default();
    let shape = held.bucket().shape();
    if !shape.has_room(bytes, slots) && now.0 >= shape.soonest_ds {
        evicted.expired = held.expire(ages, now, is_retired);
    }
    while !held.bucket().shape().has_room(bytes, slots) {
        if let Some(span) = victim(held) {
            held.point(span.slot);
            held.remove(span);
            evicted.live += 1;
        } else {
            held.clear(); // no entry can be told from another: the bucket is damaged
        }
    }
    evicted
}

/// Moves the hand over what was read to what was not.
fn victim(held: &mut Held<'_>) -> Option<Span> {
    let bucket: Bucket<'_> = held.bucket();
    let shape = bucket.shape();
    let mut slot = shape.hand;
    for _ in 0..=2 * SLOTS_MAX {
        if slot >= shape.slots {
            slot = 0;
        }
        if bucket.is_visited(slot) {
            held.unvisit(slot);
        } else if !bucket.is_continuation(slot) {
            let span = bucket.span_of(slot);
            return (slot + span.slots <= shape.slots).then_some(span);
        }
        slot += 1;
    }
    None
}
