//! Overstays: a try that outlasts everybody who hoped for it makes place for one that somebody hopes for.
//!
//! A fetch goes on when its customers have been told that it takes too long: what it brings is kept, and who asks again has it.
//! But where a registry has no room, it does so at the cost of somebody who could still be told in time. Who asks again after
//! he was told joins it, and keeps it no longer. Work whose deadline is firm is dropped
//! when it has passed, for what can still meet its own (Haritsa, Carey, Livny, PODS 1990).
//!
//! Only where a new try has a fair chance to be in time: in front of a registry that takes longer than customers wait, the only
//! use of a fetch is what it leaves for later, and dropping it would be asking for nothing.

use super::Misses;
use super::act::Act;
use super::moment::Moment;

/// So many of the new tries must be in time. With fewer, what an old one leaves for later is worth as much, though it is not
/// much: of the companies of `us` that are asked for in a minute of the profile `fire`, a sixth is asked for again.
const SHARE_MIN: f64 = 1.0 / 3.0;

impl<W> Misses<W> {
    /// A customer with this deadline was told that it took too long.
    pub(super) fn note_told(&mut self, number: usize, now: Moment) {
        if let Some(flight) = self.flights.all.get_mut(number) {
            flight.is_told = true;
            self.note_overstay(number, now);
        }
    }

    /// Has everybody who hoped for it been told, and has it run for as long as a customer waits? What had to wait for room has not,
    /// and whether it would have been in time would not be known. What was asked for before is worth more: it stays until it is
    /// overdue.
    pub(super) fn note_overstay(&mut self, number: usize, now: Moment) {
        let Some(flight) = self.flights.all.get(number) else { return };
        let is_done_for = flight.is_told && flight.hoped_until <= now && flight.late_at.is_none();
        let is_kept = flight.is_again && flight.overdue_at.is_some() || flight.probe.is_some();
        if is_done_for && !is_kept && flight.has_running() && flight.queued.is_none() {
            if let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) {
                guard.queue.push_overstay(number, now, &mut self.flights.all);
            }
        }
    }

    /// Takes a flight out of its registry's queue, or from those that make place.
    pub(super) fn leave_queue(&mut self, number: usize) {
        let Some(flight) = self.flights.all.get(number) else { return };
        if let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) {
            guard.queue.remove(number, &mut self.flights.all);
        }
    }

    /// Ends the fetch that has overstayed longest; false when there is none, or nothing would be won.
    pub(super) fn end_overstay(&mut self, registry: u8, now: Moment, acts: &mut Vec<Act<W>>) -> bool {
        let Some(guard) = self.guards.get(usize::from(registry)) else { return false };
        let is_worth_it = guard.ceiling.share().is_some_and(|share| share >= SHARE_MIN);
        if !is_worth_it || guard.pause.left_us(now) > 0 || guard.pace.wait_us(now) > 0 {
            return false;
        }
        // After the limit fell, or where other registries have more to do, more may run than all of them are. One with a second try
        // counts as one: at worst it stays a little longer.
        if self.is_full_without(registry, guard.queue.overstays_len()) {
            return false;
        }
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return false };
        let Some(number) = guard.queue.overstays() else { return false };
        guard.counted.overstayed += 1;
        let opens = self.is_silent(number, now);
        self.land_failed(number, now, acts);
        if opens {
            self.refuse_queue(registry, acts);
        }
        !opens
    }

    /// What will not be seen to be overdue any more is so now: else a registry that hangs would not be noticed. True when this
    /// opened the breaker.
    fn is_silent(&mut self, number: usize, now: Moment) -> bool {
        let Some(flight) = self.flights.all.get_mut(number) else { return false };
        let (registry, begun) = (usize::from(flight.registry), flight.begun);
        let is_watched = flight.overdue_at.take().is_some();
        let Some(guard) = self.guards.get_mut(registry).filter(|_| is_watched) else { return false };
        !guard.breaker.was_heard_since(begun) && guard.overdue(begun, now, &mut self.chance)
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::miss::act::{Question, Told, Tried, TryId};
    use crate::miss::moment::{MS, S};
    use crate::miss::policy::{Caps, Policy};
    use crate::outcome::Outcome;

    const START: Moment = Moment(5 * S);

    fn ask(misses: &mut Misses<u32>, (registry, id): (u8, u32), now: Moment) -> Vec<Act<u32>> {
        let mut acts = Vec::new();
        misses.ask(Question { registry, id: &id.to_string() }, 0, now, &mut acts);
        acts
    }

    fn begun(acts: &[Act<u32>]) -> Vec<TryId> {
        let id = |act: &Act<u32>| if let Act::Try { id, .. } = act { Some(*id) } else { None };
        acts.iter().filter_map(id).collect()
    }

    /// Two registries that may be asked for forty at once each, of which the first was in time so far.
    fn misses() -> Misses<u32> {
        let registries = vec![Caps { concurrency_start: 40, concurrency_max: 40 }; 2];
        let policy = Policy { registries, tries_max: 1, fetches_max: 60, ..Policy::default() };
        let mut misses = Misses::new(policy, 1);
        answer_thirty(&mut misses);
        misses
    }

    /// The first registry has been in time.
    fn answer_thirty(misses: &mut Misses<u32>) {
        for number in 0..30 {
            for id in begun(&ask(misses, (0, 1000 + number), START)) {
                let told =
                    Told { outcome: Outcome::NotFound, fwd_status: Some(404), stored: true, age_ds: 0 };
                misses.tried(id, Tried::Reply { told, retry_after_us: None }, START, &mut Vec::new());
            }
        }
    }

    #[test]
    fn a_second_try_that_has_just_begun_is_not_given_up() {
        let registries = vec![Caps { concurrency_start: 2, concurrency_max: 2 }];
        let patience_min_us = 900 * MS;
        let policy = Policy {
            registries,
            tries_max: 2,
            patience_min_us,
            retry_share: 1.0,
            retries_per_s: 100.0,
            ..Policy::default()
        };
        let mut misses = Misses::new(policy, 1);
        answer_thirty(&mut misses);
        let later = START + patience_min_us;
        drop(ask(&mut misses, (0, 0), START));
        let mut acts = Vec::new();
        misses.tick(later, &mut acts);
        assert_eq!(begun(&acts).len(), 1, "a second try, in the tick in which all were told");
        let acts = ask(&mut misses, (0, 1), later);
        assert!(!acts.iter().any(|act| matches!(act, Act::Abandon { .. })));
        misses.tick(later + patience_min_us, &mut Vec::new());
        let acts = ask(&mut misses, (0, 2), later + patience_min_us);
        let given_up = acts.iter().filter(|act| matches!(act, Act::Abandon { .. })).count();
        assert_eq!(given_up, 2, "it has run for as long, too");
    }

    #[test]
    fn none_is_given_up_where_no_place_can_be_won() {
        for (what, overstays, hoped_for, limit, elsewhere, expected) in [
            ("one makes place for one", 2, 2, 4, 0, (1, 1)),
            ("the limit is lower, and some must make place for one", 4, 2, 4, 0, (3, 1)),
            ("all", 4, 2, 3, 0, (4, 1)),
            ("the limit is lower than what somebody hopes for", 4, 2, 2, 0, (0, 0)),
            ("another registry leaves few", 3, 27, 40, 30, (0, 0)),
            ("another registry leaves enough", 4, 26, 40, 30, (4, 1)),
        ] {
            let mut misses = misses();
            let later = START + 900 * MS;
            (0..overstays).for_each(|id| drop(ask(&mut misses, (0, id), START)));
            misses.tick(later, &mut Vec::new());
            (0..hoped_for).for_each(|id| drop(ask(&mut misses, (0, 100 + id), later)));
            (0..elsewhere).for_each(|id| drop(ask(&mut misses, (1, id), later)));
            if let Some(guard) = misses.guards.first() {
                guard.limit.begin_from(limit);
            }
            let acts = ask(&mut misses, (0, 200), later);
            let given_up = acts.iter().filter(|act| matches!(act, Act::Abandon { .. })).count();
            assert_eq!((given_up, begun(&acts).len()), expected, "{what}");
        }
    }
}
