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

    /// Has everybody who hoped for it been told? What was asked for before is worth more: it stays until it is overdue.
    pub(super) fn note_overstay(&mut self, number: usize, now: Moment) {
        let Some(flight) = self.flights.all.get(number) else { return };
        let is_done_for = flight.is_told && flight.hoped_until <= now;
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
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return false };
        let is_worth_it = guard.ceiling.share().is_some_and(|share| share >= SHARE_MIN);
        if !is_worth_it || guard.pause.left_us(now) > 0 || guard.pace.wait_us(now) > 0 {
            return false;
        }
        let Some(number) = guard.queue.overstays() else { return false };
        guard.counted.overstayed += 1;
        self.judge_late(number, now, 0);
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
