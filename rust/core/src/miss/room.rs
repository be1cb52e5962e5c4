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

    /// The same for a flight; for one that somebody hopes for, those that nobody hopes for make place.
    pub(super) fn claim_for(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) -> Room {
        let Some(flight) = self.flights.all.get(number) else { return Room::Full };
        if self.may_look(flight.registry, now) { self.take_room_for(number, now, acts) } else { Room::Full }
    }

    fn take_room_for(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) -> Room {
        let Some(flight) = self.flights.all.get(number) else { return Room::Full };
        let (registry, is_hoped_for) = (flight.registry, now < flight.hoped_until);
        let mut room = self.take_room(registry, now);
        while room == Room::Full && is_hoped_for && self.end_overstay(registry, now, acts) {
            room = self.take_room(registry, now);
        }
        room
    }

    /// Has those give up who have waited too long for room.
    pub(super) fn end_waits(&mut self, registry: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        loop {
            let oldest = self.guards.get(registry).and_then(|guard| guard.queue.oldest(&self.flights.all));
            let Some((number, since)) = oldest else { return };
            if now.since(since) < self.policy.queue_wait_us {
                return;
            }
            self.give_up(number, now, acts);
        }
    }

    /// A try ended for which room was claimed, or it was not begun.
    pub(super) fn give_back(&self, registry: u8) {
        self.all.tally().give_back();
        if let Some(guard) = self.guards.get(usize::from(registry)) {
            guard.line.tally().give_back();
        }
    }

    /// Begins what waits and has room now, the newest first that somebody hopes for.
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
            let Some(next) = guard.queue.next_served(&self.flights.all, now) else {
                return self.look_after_queue(registry, Room::Now);
            };
            let room = if may_look { self.take_room_for(next, now, acts) } else { Room::Full };
            if room != Room::Now {
                return self.look_after_queue(registry, room);
            }
            let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
            guard.queue.remove(next, &mut self.flights.all);
            self.begin(next, now, acts);
        }
    }

    /// Sets the time at which a queue's oldest gives up, or at which there may be room.
    pub(super) fn look_after_queue(&mut self, registry: u8, room: Room) {
        let number = usize::from(registry);
        let Some(guard) = self.guards.get_mut(number) else { return };
        let oldest = guard.queue.oldest(&self.flights.all);
        guard.set_waiting(oldest.is_some() && room == Room::Full);
        let Some((_, since)) = oldest else { return self.registry_timers.clear(number) };
        let gives_up_at = since + self.policy.queue_wait_us;
        let due = match room {
            Room::At(at) => gives_up_at.min(at),
            Room::Full if self.may_miss_room(registry) => {
                let Some(guard) = self.guards.get_mut(number) else { return };
                if guard.look_at <= self.now {
                    guard.look_at = next_look(self.now, &mut self.chance);
                }
                gives_up_at.min(guard.look_at)
            }
            Room::Now | Room::Full => gives_up_at,
        };
        self.registry_timers.set(number, due);
    }

    /// May there be room without this worker's hearing of it? When a try of its own ends, it looks by itself. Those of others
    /// end unheard, or have ended since it found no room: so who they are is asked first, and then what is full without them.
    fn may_miss_room(&self, registry: u8) -> bool {
        let Some(guard) = self.guards.get(usize::from(registry)) else { return false };
        guard.line.tally().has_others() || self.all.tally().has_others() || !self.is_full(registry)
    }

    /// Is it this worker's turn to look for room? Where it has to share what there is, at random times only.
    fn may_look(&mut self, registry: u8, now: Moment) -> bool {
        let is_full = self.is_full(registry);
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return false };
        let is_contested = guard.line.tally().is_wanted() || is_full && self.all.tally().has_others();
        if is_contested {
            if now < guard.look_at {
                return false;
            }
            guard.look_at = next_look(now, &mut self.chance);
        }
        true
    }

    /// Is there no room for another try, by what all have under way?
    fn is_full(&self, registry: u8) -> bool {
        self.is_full_without(registry, 0)
    }

    /// Would there be none either if so many of its tries ended?
    pub(super) fn is_full_without(&self, registry: u8, ended: usize) -> bool {
        let Some(guard) = self.guards.get(usize::from(registry)) else { return true };
        let [here, all] =
            [guard.running(), self.all.tally().total()].map(|running| running.saturating_sub(ended));
        here >= guard.most() as usize || !share::has_room(here, all, self.policy.fetches_max)
    }

    /// Takes room, if this registry may be asked now, by its own guard and by what the others leave.
    fn take_room(&mut self, registry: u8, now: Moment) -> Room {
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return Room::Full };
        if !share::has_room(guard.running(), self.all.tally().total(), self.policy.fetches_max) {
            return Room::Full;
        }
        let room = guard.room(now);
        let most = guard.most() as usize;
        if room == Room::Now && !self.take_permits(registry, most) { Room::Full } else { room }
    }

    /// Takes a permit of this registry, of which there are `most`, and one of all together; or none.
    pub(super) fn take_permits(&self, registry: u8, most: usize) -> bool {
        let Some(guard) = self.guards.get(usize::from(registry)) else { return false };
        if !self.all.tally().take(self.policy.fetches_max) {
            return false;
        }
        let is_taken = guard.line.tally().take(most);
        if !is_taken {
            self.all.tally().give_back();
        }
        is_taken
    }
}

fn next_look(now: Moment, chance: &mut Chance) -> Moment {
    now + LOOK_US / 2 + chance.up_to(LOOK_US)
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::miss::act::Question;
    use crate::miss::ledger::Ledger;
    use crate::miss::moment::S;
    use crate::miss::policy::{Caps, Policy};

    const START: Moment = Moment(5 * S);

    /// Two workers at a registry that is asked for one try at once, and never for a further one.
    fn workers() -> [Misses<u32>; 2] {
        let registries = vec![Caps { concurrency_start: 1, concurrency_max: 1 }];
        let policy = Policy { registries, retry_share: 0.0, retries_per_s: 0.0, ..Policy::default() };
        let ledger = Ledger::own(1);
        [0, 1].map(|place| Misses::beside_others(policy.clone(), place.into(), &ledger.of_worker(place)))
    }

    fn ask(misses: &mut Misses<u32>, id: &str) {
        misses.ask(Question { registry: 0, id }, 0, START, &mut Vec::new());
    }

    #[test]
    fn what_another_worker_ended_before_the_timer_was_set_is_found() {
        for (is_others, due_us) in [(true, 3 * LOOK_US / 2), (false, Policy::default().queue_wait_us)] {
            let [mut one, mut other] = workers();
            ask(if is_others { &mut other } else { &mut one }, "runs");
            ask(&mut one, "waits");
            other.close(START, &mut Vec::new());
            // It was refused before the other's try ended, and sets its timer after that.
            one.look_after_queue(0, Room::Full);
            let found = one.due().map_or(u64::MAX, |due| due.since(START));
            assert!((due_us / 3..=due_us).contains(&found), "{is_others}: {found}");
        }
    }

    #[test]
    fn a_further_try_without_budget_uses_up_no_look() {
        let [mut one, mut other] = workers();
        ask(&mut one, "runs");
        ask(&mut other, "waits");
        one.tick(START + S, &mut Vec::new());
        assert_eq!(one.guards.first().map(|guard| guard.look_at), Some(Moment(0)));
    }
}
