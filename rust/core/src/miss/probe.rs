//! Probe: while a registry's breaker is open, one question at a time finds out whether it is back, and nobody waits for it.
//!
//! A probe is one of the tries for which the registry may be asked at once, whatever it has learnt to bear: where tries that
//! hang are as many, the one that has hung longest is given up for it.

use super::Misses;
use super::act::{Act, Question};
use super::breaker::PROBE_US_MAX;
use super::course::Try;
use super::flight::Flight;
use super::moment::Moment;

impl<W> Misses<W> {
    /// Asks this as a probe, if it is time for one and there is room.
    pub(super) fn probe(&mut self, hash: u64, question: Question<'_>, now: Moment, acts: &mut Vec<Act<W>>) {
        let registry = question.registry;
        let Some(guard) = self.guards.get(usize::from(registry)) else { return };
        let hangs_us = guard.patience().overdue.min(PROBE_US_MAX);
        let Some(probe) = guard.breaker.probe(hangs_us, now, &mut self.chance) else { return };
        // The time of the one before it is over.
        self.wake_due(now, acts);
        if self.claim_probe(registry, hangs_us, now, acts) {
            let flight = Flight { probe: Some(probe), ..Flight::new(hash, question) };
            let number = self.flights.insert(flight);
            self.begin(number, now, acts);
        } else if let Some(guard) = self.guards.get(usize::from(registry)) {
            guard.breaker.probed(probe);
        }
    }

    fn claim_probe(&mut self, registry: u8, hangs_us: u64, now: Moment, acts: &mut Vec<Act<W>>) -> bool {
        let Some(most) = self.guards.get(usize::from(registry)).map(|guard| guard.limit.max() as usize)
        else {
            return false;
        };
        if !self.take_permits(registry, most) {
            self.abandon_oldest(registry, hangs_us, now, acts);
            return self.take_permits(registry, most);
        }
        true
    }

    /// Abandons the try that has hung longest at a registry, if it has for so long.
    fn abandon_oldest(&mut self, registry: u8, hangs_us: u64, now: Moment, acts: &mut Vec<Act<W>>) {
        let is_there = |running: &Try| {
            self.flights.all.get(running.flight).is_some_and(|flight| flight.registry == registry)
        };
        let hangs = |running: &Try| {
            running.first_byte_at.is_none() && now.since(running.begun) >= hangs_us && is_there(running)
        };
        let hanging = self.tries.iter().map(|(_, running)| running).filter(|running| hangs(running));
        let Some(id) = hanging.min_by_key(|running| running.begun).map(|running| running.id) else { return };
        let Some(ended) = self.take(id) else { return };
        acts.push(Act::Abandon { id });
        if let Some(guard) = self.guards.get_mut(usize::from(registry)) {
            guard.time(now.since(ended.begun));
        }
        if !self.flights.all.get(ended.flight).is_some_and(Flight::has_running) {
            self.land_failed(ended.flight, now, acts);
        }
    }
}
