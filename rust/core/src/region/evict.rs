//! Who makes room in a full bucket, and where who comes in is placed.
//!
//! A bucket's entries are a queue in a ring, and the hand goes round it: it passes what was read, forgetting that it was, and
//! takes the first that was not (CLOCK: Corbato 1968; in FIFO order as in SIEVE: Zhang et al., NSDI 2024). What was never seen
//! before stands close before the hand, and goes soon unless it is read meanwhile; what is known has half a round.

use super::Region;
use super::age::BootTime;
use super::bucket::Resident;
use super::entry::Draft;
use super::ghost::Ghost;
use super::held::Held;
use super::layout::{ROOM_BYTES, SLOTS_MAX, Shape};
use super::page::{Page, Span};
use super::registries::Member;
use crate::key::Places;

/// A bucket with less room than this after a store is full: its newcomers stand in the queue.
const SPARE_BYTES: usize = ROOM_BYTES / 16;

/// Entries that leave before one that was never seen before, unless somebody reads it.
const ENTRIES_AHEAD: usize = 2;

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
    /// May something here have to go?
    pub(super) is_due: bool,
}

/// Is the second bucket the better one for an entry of so many bytes and slots? The emptier one while there is room;
/// else the one where something has to go; else the first, which was drawn by lot when the key was hashed.
pub(super) fn prefers_second(first: Load, second: Load, bytes: usize, slots: usize) -> bool {
    let has_room = |load: Load| load.shape.has_room(bytes, slots);
    if has_room(first) || has_room(second) {
        second.shape.gap_bytes() > first.shape.gap_bytes()
    } else {
        second.is_due && !first.is_due
    }
}

/// Puts an entry into a bucket that has room for it, once this last one has left.
pub(super) fn place(
    held: &mut Held<'_>,
    leaving: Option<Span>,
    draft: &Draft,
    fingerprint: u8,
    is_known: bool,
) {
    let left = leaving.map_or(0, |span| span.bytes);
    // None: there is room only where slots were set aside that are no longer in use.
    let spare = (held.shape().gap_bytes() + left).checked_sub(draft.length());
    let is_full = spare.is_none_or(|bytes| bytes < SPARE_BYTES);
    if let Some(span) = leaving {
        if spare.is_some() && is_full && !is_known && span.slots == draft.slots() {
            let slot = ahead(held, span.slot + span.slots);
            held.exchange(span, slot, draft, fingerprint);
            return;
        }
        held.remove(span);
    }
    let hand = held.shape().hand;
    if !is_full {
        held.insert(hand, true, draft, fingerprint); // nobody has to go for a while
    } else if is_known {
        let slot = half_round(held);
        held.insert(slot, slot < hand, draft, fingerprint);
    } else {
        let slot = ahead(held, hand);
        held.insert(slot, false, draft, fingerprint);
    }
}

/// The slot before which a few entries stand from this one on, or the end.
fn ahead(held: &Held<'_>, slot: usize) -> usize {
    let (bucket, shape) = (held.bucket(), held.shape());
    (0..ENTRIES_AHEAD).fold(slot, |slot, _| (slot + bucket.slots_at(slot)).min(shape.slots))
}

/// The slot that the hand reaches after half a round.
fn half_round(held: &Held<'_>) -> usize {
    let (bucket, shape) = (held.bucket(), held.shape());
    let slot = shape.hand + shape.slots / 2;
    let slot = if slot < shape.slots { slot } else { slot - shape.slots };
    // An entry's own slots stay together, and so do the two sides of the hand.
    let begins = |slot: usize| slot == shape.slots || slot == shape.hand || !bucket.is_continuation(slot);
    (slot..=shape.slots).find(|slot| begins(*slot)).unwrap_or(shape.slots)
}

impl Region {
    /// Removes entries until one of so many bytes and slots has room, but for the last that has to go: a newcomer may take its
    /// slots. The bucket remembers the keys of those that could have been told a while longer.
    pub(super) fn make_room(
        &self,
        held: &mut Held<'_>,
        (bytes, slots): (usize, usize),
        now: BootTime,
        page: &mut Page,
    ) -> (Evicted, Option<Span>) {
        let mut evicted = Evicted::default();
        if !held.shape().has_room(bytes, slots) && now.0 >= held.shape().soonest_ds {
            evicted.expired = held.expire(self.ages, now, |number| self.is_retired(number));
        }
        while !held.shape().has_room(bytes, slots) {
            if let Some(span) = victim(held) {
                if let Some(ghost) = self.ghost_of(held, span, page) {
                    held.remember(ghost);
                }
                evicted.live += 1;
                if held.shape().without(span).has_room(bytes, slots) {
                    return (evicted, Some(span));
                }
                held.remove(span);
            } else {
                held.clear(); // no entry can be told from another: the bucket is damaged
            }
        }
        (evicted, None)
    }

    /// By what an entry's key is remembered; None when it is no entry of a registry that is asked.
    fn ghost_of(&self, held: &Held<'_>, span: Span, page: &mut Page) -> Option<Ghost> {
        let entry = held.bucket().copy(span, held.shape().data_end(), page)?;
        let Member { salt, .. } = self.members.iter().find(|member| member.number == entry.head.number)?;
        Some(Ghost::of(Places::of(*salt, entry.id, self.seed, self.buckets).trace))
    }
}

/// Moves the hand over what was read to what was not.
fn victim(held: &mut Held<'_>) -> Option<Span> {
    for _ in 0..=2 * SLOTS_MAX {
        let Resident { span, .. } = held.at_hand()?;
        if !held.bucket().is_visited(span.slot) {
            return Some(span);
        }
        held.unvisit(span.slot);
        held.pass(span);
    }
    None
}
