//! Room: whether another try may begin now, beside all that all workers have under way.
//!
//! A permit that comes free while several workers wait goes to the one who looks first, and each looks at random times,
//! a few milliseconds apart: so a busy worker, to whom each end of a try of its own brings room, does not starve the
//! others, and each gets its share without a word between them. Where nobody else waits, nobody has to wait for a look.

use super::act::Act;
use super::chance::Chance;
use super::guard::Room;
use super::moment::{MS, Moment};
use super::{Misses, share};

/// A worker that waits beside others looks again after so much on average, at random between half of it and one and a half.
const LOOK_US: u64 = 5 * MS;

impl<W> Misses<W> {
    /// Claims room for another try at a registry; it is this worker's when the answer is [`Room::Now`].
    pub(super) fn claim(&mut self, registry: u8, now: Moment) -> Room {
        if self.may_look(registry, now) { self.take_room(registry, now) } else { Room::Full }
    }

    /// The same for a probe, which needs no room at its registry: what hangs there says nothing about now.
    pub(super) fn claim_probe(&self, registry: u8) -> Room {
        if self.count(registry, usize::MAX) { Room::Now } else { Room::Full }
    }

    /// A try ended for which room was claimed, or it was not begun.
    pub(super) fn give_back(&self, registry: u8) {
        self.all.tally().give_back();
        if let Some(guard) = self.guards.get(usize::from(registry)) {
            guard.line.tally().give_back();
        }
    }

    /// Begins what waits and has room now, the newest first.
    pub(super) fn serve_queues(&mut self, now: Moment, acts: &mut Vec<Act<W>>) {
        for registry in 0..=u8::MAX {
            let Some(guard) = self.guards.get(usize::from(registry)) else { return };
            if guard.queue.len() > 0 {
                self.serve_queue(registry, now, acts);
            }
        }
    }

    fn serve_queue(&mut self, registry: u8, now: Moment, acts: &mut Vec<Act<W>>) {
        // Another worker may have opened it.
        if self.refuse_queue(registry, acts) {
            return;
        }
        let may_look = self.may_look(registry, now);
        loop {
            let Some(guard) = self.guards.get(usize::from(registry)) else { return };
            let Some(newest) = guard.queue.newest() else {
                return self.look_after_queue(registry, Room::Now);
            };
            let room = if may_look { self.take_room(registry, now) } else { Room::Full };
            if room != Room::Now {
                return self.look_after_queue(registry, room);
            }
            let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
            guard.queue.remove(newest, &mut self.flights.all);
            self.begin(newest, now, acts);
        }
    }

    /// Sets the time at which a queue's oldest gives up, or at which there may be room.
    pub(super) fn look_after_queue(&mut self, registry: u8, room: Room) {
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
        let oldest = guard.queue.oldest(&self.flights.all);
        guard.set_waiting(oldest.is_some() && room == Room::Full);
        let Some((_, since)) = oldest else {
            return self.registry_timers.clear(usize::from(registry));
        };
        let gives_up_at = since + self.policy.queue_wait_us;
        let has_others = guard.line.tally().has_others() || self.all.tally().has_others();
        let due = match room {
            Room::At(at) => gives_up_at.min(at),
            // When a try of this worker ends, it looks by itself; of the others' it hears nothing.
            Room::Full if has_others => {
                if guard.look_at <= self.now {
                    guard.look_at = next_look(self.now, &mut self.chance);
                }
                gives_up_at.min(guard.look_at)
            }
            Room::Now | Room::Full => gives_up_at,
        };
        self.registry_timers.set(usize::from(registry), due);
    }

    /// Is it this worker's turn to look for room? Where it has to share what there is, at random times only.
    fn may_look(&mut self, registry: u8, now: Moment) -> bool {
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return false };
        let (here, all) = (guard.line.tally(), self.all.tally());
        let is_full = here.total() >= guard.limit.get() as usize || all.total() >= self.policy.fetches_max;
        let is_contested = here.is_wanted() || is_full && all.has_others();
        if is_contested {
            if now < guard.look_at {
                return false;
            }
            guard.look_at = next_look(now, &mut self.chance);
        }
        true
    }

    /// Takes room, if this registry may be asked now, by its own guard and by what the others leave.
    fn take_room(&mut self, registry: u8, now: Moment) -> Room {
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return Room::Full };
        if !share::has_room(guard.running(), self.all.tally().total(), self.policy.fetches_max) {
            return Room::Full;
        }
        let room = guard.room(now);
        let most = guard.limit.get() as usize;
        if room == Room::Now && !self.count(registry, most) { Room::Full } else { room }
    }

    /// Counts another try, if there are no more than `most` at this registry then, and no more than may be at all.
    fn count(&self, registry: u8, most: usize) -> bool {
        let Some(guard) = self.guards.get(usize::from(registry)) else { return false };
        if !self.all.tally().take(self.policy.fetches_max) {
            return false;
        }
        let is_counted = guard.line.tally().take(most);
        if !is_counted {
            self.all.tally().give_back();
        }
        is_counted
    }
}

fn next_look(now: Moment, chance: &mut Chance) -> Moment {
    now + LOOK_US / 2 + chance.up_to(LOOK_US)
}
