//! Probe: while a registry's breaker is open, one question at a time finds out whether it is back, and nobody waits for it.
//!
//! A probe is one of the tries for which the registry may be asked at once, whatever it has learnt to bear: where tries that
//! hang are as many, the one that has hung longest is given up for it.

use std::sync::Arc;

use super::Misses;
use super::act::{Act, Question};
use super::breaker::PROBE_US_MAX;
use super::course::Try;
use super::flight::{Flight, QuestionHash};
use super::moment::Moment;

impl<W> Misses<W> {
    /// Asks this as a probe, if it is time for one and there is room.
    pub(super) fn probe(
        &mut self,
        hash: QuestionHash,
        (registry, id): (u8, &Arc<str>),
        now: Moment,
        acts: &mut Vec<Act<W>>,
    ) {
        let Some(guard) = self.guards.get(usize::from(registry)) else { return };
        let hangs_us = guard.patience().overdue.min(PROBE_US_MAX);
        let Some(probe) = guard.breaker.probe(hangs_us, now, &mut self.chance) else { return };
        // The time of the one before it is over.
        self.wake_due(now, acts);
        // Where all who are asked for hang, no other question would ever be asked.
        if let Some(number) = self.flights.find(hash, Question { registry, id }) {
            self.time_out(number, now, acts);
        }
        if self.claim_probe(registry, hangs_us, now, acts) {
            let flight = Flight { probe: Some(probe), ..Flight::new(hash, registry, Arc::clone(id)) };
            let number = self.flights.insert(flight);
            self.begin(number, now, acts);
        } else if let Some(guard) = self.guards.get(usize::from(registry)) {
            guard.breaker.probed(probe, now);
        }
    }

    /// Have all tries of this flight run for longer than its registry usually is silent, without a word?
    pub(super) fn hangs(&self, number: usize, now: Moment) -> bool {
        let Some(flight) = self.flights.all.get(number).filter(|flight| flight.probe.is_none()) else {
            return false;
        };
        let Some(guard) = self.guards.get(usize::from(flight.registry)) else { return false };
        let hangs_us = guard.patience().overdue.min(PROBE_US_MAX);
        let mut running = flight.running.iter().flatten().filter_map(|running| self.tries.get(*running));
        flight.has_running()
            && running.all(|running| running.first_byte_at.is_none() && now.since(running.begun) >= hangs_us)
    }

    /// Somebody waits for this flight now. If it is a probe, its registry is back, and it goes on as any other fetch.
    pub(super) fn adopt_probe(&mut self, number: usize) {
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        let Some(guard) = self.guards.get(usize::from(flight.registry)) else { return };
        if flight.probe.take().is_some() {
            let may_follow = flight.tries < self.policy.tries_max;
            flight.patience_at = may_follow.then(|| flight.begun + guard.patience().second_try);
            self.arm(number);
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

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::miss::act::{Told, Tried, TryId};
    use crate::miss::ledger::Ledger;
    use crate::miss::moment::{MS, S};
    use crate::miss::policy::{Caps, Policy};
    use crate::outcome::Outcome;

    const START: Moment = Moment(5 * S);

    fn ask(misses: &mut Misses<u32>, id: &str, waiter: u32, now: Moment) -> Vec<Act<u32>> {
        let mut acts = Vec::new();
        misses.ask(Question { registry: 0, id }, waiter, now, &mut acts);
        acts
    }

    fn begun(acts: &[Act<u32>]) -> Vec<TryId> {
        let id = |act: &Act<u32>| if let Act::Try { id, .. } = act { Some(*id) } else { None };
        acts.iter().filter_map(id).collect()
    }

    fn answered(acts: &[Act<u32>]) -> Vec<u32> {
        let waiter = |act: &Act<u32>| if let Act::Answer { waiter, .. } = act { Some(*waiter) } else { None };
        acts.iter().filter_map(waiter).collect()
    }

    fn not_found() -> Tried {
        let told = Told { outcome: Outcome::NotFound, fwd_status: Some(404), stored: true, age_ds: 0 };
        Tried::Reply { told, retry_after_us: None }
    }

    #[test]
    fn a_probe_goes_out_where_all_companies_that_are_asked_for_hang() {
        let policy = Policy { registries: vec![Caps::default()], ..Policy::default() };
        let mut misses = Misses::beside_others(policy, 0, &Ledger::own(1).of_worker(0));
        for id in 0..20 {
            assert_eq!(begun(&ask(&mut misses, &id.to_string(), 0, START)).len(), 1);
        }
        // Nobody asks for anything else.
        let mut probed_at = None;
        for at_ms in (50..9000).step_by(50) {
            let now = START + at_ms * MS;
            misses.tick(now, &mut Vec::new());
            let acts = ask(&mut misses, &(at_ms / 50 % 20).to_string(), 0, now);
            let is_open = misses.registry_stats(0, now).unwrap().breaker == crate::miss::stats::Breaker::Open;
            if is_open && probed_at.is_none() && !begun(&acts).is_empty() {
                assert!(
                    acts.iter().any(|act| matches!(act, Act::Abandon { .. })),
                    "its own hanging try ends"
                );
                probed_at = Some(at_ms);
            }
        }
        assert!(probed_at.is_some_and(|at_ms| at_ms < 5000), "{probed_at:?}");
    }

    #[test]
    fn who_joins_a_probe_at_a_registry_that_is_back_is_served_as_anybody() {
        let policy = Policy { registries: vec![Caps::default()], ..Policy::default() };
        let ledger = Ledger::own(1);
        let [mut one, mut other] =
            [0, 1].map(|place| Misses::beside_others(policy.clone(), place.into(), &ledger.of_worker(place)));
        let failed = Moment(4 * S);
        for id in 0..60 {
            let now = failed + id * 10 * MS;
            for id in begun(&ask(&mut one, &id.to_string(), 0, now)) {
                one.tried(id, Tried::Reset, now, &mut Vec::new());
            }
        }
        assert_eq!(begun(&ask(&mut one, "hangs", 0, START + 250 * MS)).len(), 1, "a probe");
        // That worker is slow to give it up, while the other one finds that the registry is back.
        let back = START + 4 * S;
        for id in begun(&ask(&mut other, "probes", 0, back)) {
            other.tried(id, not_found(), back, &mut Vec::new());
        }
        for waiter in [1, 2] {
            assert!(ask(&mut one, "hangs", waiter, back).is_empty(), "they wait");
        }
        let mut acts = Vec::new();
        one.tick(back, &mut acts);
        assert_eq!((begun(&acts).len(), answered(&acts)), (1, vec![]), "it is asked for again");
        for id in begun(&acts) {
            one.tried(id, not_found(), back + MS, &mut acts);
        }
        assert_eq!(answered(&acts), [1, 2]);
    }
}
