//! Several workers, one service: what they keep together holds whoever asks, dies or comes anew.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use backendify_core::miss::{
    Act, Breaker, Caps, Ledger, MS, Misses, Moment, Policy, Question, S, Told, Tried, TryId,
};
use backendify_core::outcome::{Outcome, Silence};
use proptest::prelude::*;

const REGISTRIES: u8 = 2;
/// Every worker that waits has looked once in this time: docs/miss-path.md.
const LOOK_US: u64 = 8 * MS;

struct Worker {
    place: u8,
    misses: Misses<u32>,
    tries: Vec<(TryId, u8)>,
    /// Of them, those that began while the breaker was open.
    probes: Vec<(TryId, u8)>,
    answers: Vec<Outcome>,
    /// Tries begun.
    begun: usize,
}

/// All workers of a machine, on one clock that is set by hand.
struct Machine {
    policy: Policy,
    ledger: Ledger,
    workers: Vec<Worker>,
    asked: u32,
    now: Moment,
}

impl Machine {
    fn new(workers: usize, policy: Policy) -> Self {
        let ledger = Ledger::inherited(usize::from(REGISTRIES)).unwrap();
        let mut machine = Self { policy, ledger, workers: Vec::new(), asked: 0, now: Moment(5 * S) };
        // The first and the last place are as good as any.
        machine.workers = [0, 63, 1, 62].iter().take(workers).map(|place| machine.worker(*place)).collect();
        machine
    }

    fn with_caps(workers: usize, start: u32, max: u32) -> Self {
        let caps = Caps { concurrency_start: start, concurrency_max: max };
        Self::new(
            workers,
            Policy {
                registries: vec![caps; usize::from(REGISTRIES)],
                tries_max: 1,
                queue_max: 1000,
                ..Policy::default()
            },
        )
    }

    fn worker(&self, place: u8) -> Worker {
        let ledger = self.ledger.of_worker(place);
        let misses = Misses::beside_others(self.policy.clone(), place.into(), &ledger);
        Worker { place, misses, tries: Vec::new(), probes: Vec::new(), answers: Vec::new(), begun: 0 }
    }

    /// Kills a worker: its tries are gone, and what it counted stays.
    fn kill(&mut self, worker: usize) {
        self.workers[worker].tries.clear();
    }

    /// Puts another one in its place.
    fn replace(&mut self, worker: usize) {
        self.workers[worker] = self.worker(self.workers[worker].place);
    }

    fn ask(&mut self, worker: usize, registry: u8) {
        self.asked += 1;
        let id = self.asked.to_string();
        self.step(worker, |misses, now, acts| misses.ask(Question { registry, id: &id }, 0, now, acts));
    }

    fn end(&mut self, worker: usize, nth: usize, tried: Tried) {
        let (id, _) = self.workers[worker].tries.remove(nth);
        self.step(worker, |misses, now, acts| misses.tried(id, tried, now, acts));
    }

    /// Has tries of a worker end so until it asks this registry no more.
    fn end_all(&mut self, worker: usize, registry: u8, tried: impl Fn() -> Tried) {
        for _ in 0..100 {
            self.ask(worker, registry);
            if self.workers[worker].tries.is_empty() {
                return;
            }
            self.end(worker, 0, tried());
            self.pass(20 * MS);
        }
    }

    fn pass(&mut self, us: u64) {
        let end = self.now + us;
        let first = |machine: &Self| {
            let due = |worker: &Worker| worker.misses.due().unwrap_or(Moment(u64::MAX));
            machine.workers.iter().map(due).enumerate().min_by_key(|(_, due)| *due)
        };
        let mut steps = 0;
        while let Some((worker, due)) = first(self).filter(|(_, due)| *due <= end) {
            self.now = due.max(self.now);
            self.step(worker, Misses::tick);
            steps += 1;
            assert!(steps < 100_000, "due at once, again and again");
        }
        self.now = end;
    }

    fn step(&mut self, worker: usize, step: impl FnOnce(&mut Misses<u32>, Moment, &mut Vec<Act<u32>>)) {
        let limits = self.limits();
        let were_open = self.are_open();
        let mut acts = Vec::new();
        let Worker { misses, tries, answers, begun, .. } = &mut self.workers[worker];
        step(misses, self.now, &mut acts);
        let mut asked = Vec::new();
        for act in acts {
            match act {
                Act::Try { id, registry, .. } => {
                    tries.push((id, registry));
                    asked.push((id, registry));
                    *begun += 1;
                }
                Act::Abandon { id } => tries.retain(|(other, _)| *other != id),
                Act::Answer { told, .. } => answers.push(told.outcome.clone()),
            }
        }
        let are_open = self.are_open();
        for (id, registry) in asked {
            let number = usize::from(registry);
            // What begins while the breaker is open is a probe, whatever the registry has learnt to bear.
            let is_probe = were_open[number] && are_open[number];
            let cap = self.policy.registries[number].concurrency_max as usize;
            let most = if is_probe { cap } else { limits[number].max(self.limits()[number]) };
            let running = self.running(registry);
            assert!(running <= most, "{running} at once, {most} may be");
            if is_probe {
                self.workers[worker].probes.push((id, registry));
                assert_eq!(self.probes(registry), 1, "probes at once");
            }
        }
        for (worker, registry) in (0..self.workers.len()).flat_map(|worker| [(worker, 0), (worker, 1)]) {
            if !are_open[usize::from(registry)] {
                self.workers[worker].probes.retain(|(_, other)| *other != registry);
            }
        }
        assert!(self.all() <= self.policy.fetches_max, "{} at once over all", self.all());
    }

    fn are_open(&self) -> Vec<bool> {
        (0..REGISTRIES).map(|registry| self.stats(0, registry).breaker == Breaker::Open).collect()
    }

    fn stats(&self, worker: usize, registry: u8) -> backendify_core::miss::RegistryStats {
        self.workers[worker].misses.registry_stats(registry, self.now).unwrap()
    }

    fn limits(&self) -> Vec<usize> {
        (0..REGISTRIES).map(|registry| self.stats(0, registry).limit as usize).collect()
    }

    /// Tries that really run.
    fn running(&self, registry: u8) -> usize {
        let of = |worker: &Worker| worker.tries.iter().filter(|(_, other)| *other == registry).count();
        self.workers.iter().map(of).sum()
    }

    /// Those of them that began while its breaker was open.
    fn probes(&self, registry: u8) -> usize {
        let of = |worker: &Worker| {
            let runs = |probe: &&(TryId, u8)| probe.1 == registry && worker.tries.contains(probe);
            worker.probes.iter().filter(runs).count()
        };
        self.workers.iter().map(of).sum()
    }

    fn all(&self) -> usize {
        self.workers.iter().map(|worker| worker.tries.len()).sum()
    }
}

fn reply(status: u16, retry_after_us: Option<u64>) -> Tried {
    let outcome = Outcome::of_reply(status, b"application/x-company-v1", br#"{"cn":"x"}"#);
    Tried::Reply { told: Told { outcome, fwd_status: Some(status), stored: true, age_ds: 0 }, retry_after_us }
}

#[test]
fn a_cap_is_one_for_all_workers_and_a_free_worker_may_have_all_of_it() {
    for (asking, expected) in [(vec![0; 5], [3, 0]), (vec![1; 5], [0, 3]), (vec![0, 1, 0, 1], [2, 1])] {
        let mut machine = Machine::with_caps(2, 3, 3);
        for worker in &asking {
            machine.ask(*worker, 0);
        }
        let running = [0, 1].map(|worker: usize| machine.workers[worker].tries.len());
        assert_eq!(running, expected, "{asking:?}");
        assert_eq!((machine.stats(0, 0).running, machine.stats(1, 0).running), (3, 3));
    }
}

#[test]
fn room_that_another_worker_left_is_found() {
    let mut machine = Machine::with_caps(2, 3, 3);
    (0..3).for_each(|_| machine.ask(0, 0));
    machine.ask(1, 0);
    machine.pass(100 * MS);
    assert_eq!(machine.workers[1].tries.len(), 0);
    machine.end(0, 0, reply(200, None));
    machine.pass(LOOK_US);
    assert_eq!(machine.workers[1].tries.len(), 1);
    assert_eq!(machine.running(0), 3);
}

#[test]
fn a_dead_workers_room_is_found_once_it_is_replaced() {
    let mut machine = Machine::with_caps(2, 3, 3);
    (0..5).for_each(|_| machine.ask(0, 0));
    (0..5).for_each(|_| machine.ask(1, 0));
    assert_eq!(machine.workers[0].tries.len(), 3);
    machine.kill(0);
    assert_eq!(machine.running(0), 0);
    machine.replace(0);
    machine.pass(LOOK_US);
    assert_eq!(machine.workers[1].tries.len(), 3, "no permit is lost");
    machine.kill(1);
    machine.replace(1);
    (0..5).for_each(|_| machine.ask(0, 0));
    machine.pass(LOOK_US);
    assert_eq!(machine.workers[0].tries.len(), 3);
}

#[test]
fn all_fetches_together_are_bounded_over_all_workers() {
    let caps = Caps { concurrency_start: 1000, concurrency_max: 1000 };
    let registries = vec![caps; usize::from(REGISTRIES)];
    let mut machine =
        Machine::new(3, Policy { registries, fetches_max: 60, tries_max: 1, ..Policy::default() });
    for _ in 0..200 {
        (0..3).for_each(|worker| machine.ask(worker, 0));
    }
    assert_eq!(machine.all(), 40, "one registry leaves a third of it");
    machine.pass(LOOK_US);
    assert_eq!(machine.all(), 40);
    (0..100).for_each(|_| machine.ask(2, 1));
    assert_eq!(machine.all(), 56, "and the next one at least sixteen");
}

/// Workers that have more to ask than there is room for, all a second later than the first: how many tries each began in the
/// ten seconds after that.
fn compete(cap: u32, workers: usize) -> Vec<usize> {
    let mut machine = Machine::with_caps(workers, cap, cap);
    let mut before = Vec::new();
    for at_ms in 0..11_000_usize {
        if at_ms == 1000 {
            before = machine.workers.iter().map(|worker| worker.begun).collect();
        }
        // None is always the first.
        for worker in (0..workers).map(|nth| (at_ms + at_ms / 20 + nth) % workers) {
            if worker == 0 || at_ms > 900 {
                machine.ask(worker, 0);
            }
            // Each try takes about 20 ms.
            for nth in (0..machine.workers[worker].tries.len()).rev() {
                if (at_ms + 7 * nth) % 20 == 0 {
                    machine.end(worker, nth, reply(200, None));
                }
            }
        }
        machine.pass(MS);
    }
    machine.workers.iter().zip(before).map(|(worker, before)| worker.begun - before).collect()
}

#[test]
fn who_comes_late_gets_his_share_of_a_full_registry() {
    for (cap, workers) in [(1, 2), (3, 2), (10, 2), (3, 4), (10, 4)] {
        let begun = compete(cap, workers);
        let all: usize = begun.iter().sum();
        let fair = all / workers;
        assert!(begun.iter().all(|begun| begun * 4 > fair * 3), "{cap} for {workers}: {begun:?}");
        assert!(all * 20 * 4 > 10_000 * cap as usize * 3, "{cap} for {workers}, {all}: room stands empty");
    }
}

#[test]
fn the_limit_the_pause_and_the_breaker_are_one() {
    let mut machine = Machine::with_caps(2, 4, 100);
    for _ in 0..4 {
        machine.ask(0, 0);
        machine.end(0, 0, reply(200, None));
    }
    assert_eq!(machine.stats(1, 0).limit, 4, "one at a time asks for no more");
    for _ in 0..20 {
        (0..4).for_each(|nth| machine.ask(nth % 2, 0));
        (0..4).for_each(|nth| machine.end(nth % 2, 0, reply(200, None)));
    }
    assert!(machine.stats(1, 0).limit > 4);
    assert_eq!(machine.stats(0, 0).limit, machine.stats(1, 0).limit);

    machine.end_all(0, 0, || reply(503, Some(5 * S)));
    machine.ask(1, 0);
    assert_eq!(machine.workers[1].answers.last(), Some(&Outcome::Unanswered(Silence::Throttled)));
    assert_eq!(machine.stats(1, 1).paused_for_us, 0, "the other registry asked for nothing");

    machine.end_all(0, 1, || Tried::Reset);
    let answers = machine.workers[1].answers.len();
    machine.ask(1, 1);
    assert_eq!(machine.workers[1].answers.len(), answers + 1, "refused at once");
    machine.pass(S);
    (0..5).for_each(|nth| machine.ask(nth % 2, 1));
    assert_eq!(machine.running(1), 1, "one probe for all");
    let prober = usize::from(!machine.workers[1].tries.is_empty());
    machine.end(prober, 0, reply(200, None));
    machine.ask(1 - prober, 1);
    assert_eq!(machine.running(1), 1, "it is closed for all");
}

#[test]
fn no_worker_probes_a_registry_before_the_pause_that_it_asked_for_is_over() {
    let mut machine = Machine::with_caps(2, 20, 20);
    machine.end_all(0, 0, || Tried::Reset);
    assert_eq!(machine.stats(1, 0).breaker, Breaker::Open);
    let began = machine.now;
    let mut probes = Vec::new();
    for worker in [0, 1].into_iter().cycle().take(9000) {
        machine.pass(10 * MS);
        machine.ask(worker, 0);
        if !machine.workers[worker].tries.is_empty() {
            probes.push(machine.now.since(began) / S);
            // It is in maintenance for half a minute and says so, and then it is well.
            let is_back = machine.now.since(began) > 30 * S;
            machine.end(worker, 0, if is_back { reply(200, None) } else { reply(503, Some(30 * S)) });
        }
        if machine.stats(worker, 0).breaker == Breaker::Closed {
            break;
        }
    }
    assert_eq!(machine.stats(1, 0).breaker, Breaker::Closed);
    assert!(probes.len() <= 10, "five refusals, at either worker, say that it is meant: {probes:?}");
    probes.dedup();
    assert_eq!(probes.last(), Some(&30), "{probes:?}: seconds at which it was probed");
    assert!(probes.iter().all(|at_s| *at_s <= 1 || *at_s == 30), "{probes:?}: none in the pause");
}

/// So many workers at a registry that bears three a second: tries begun within half a minute, and 429s among them.
fn throttle(workers: usize) -> (u32, u32) {
    let mut machine = Machine::with_caps(workers, 20, 20);
    let (mut tokens, mut begun, mut refused) = (3.0_f64, 0, 0);
    for at_ms in 0..40_000_usize {
        tokens = (tokens + 0.003).min(3.0);
        for worker in 0..workers {
            if at_ms % (10 * workers) == 10 * worker {
                machine.ask(worker, 0);
            }
            while !machine.workers[worker].tries.is_empty() {
                let is_borne = tokens >= 1.0;
                tokens -= f64::from(u8::from(is_borne));
                begun += u32::from(at_ms >= 10_000);
                refused += u32::from(at_ms >= 10_000 && !is_borne);
                machine.end(worker, 0, reply(if is_borne { 200 } else { 429 }, None));
            }
        }
        machine.pass(MS);
    }
    (begun, refused)
}

#[test]
fn a_throttling_registry_is_asked_by_many_as_often_as_by_one() {
    let (begun, refused) = throttle(1);
    for workers in [2, 4] {
        let found = throttle(workers);
        assert!(
            found.0.abs_diff(begun) < 9 && found.1.abs_diff(refused) < 4,
            "{found:?} beside {begun}, {refused}"
        );
    }
}

#[test]
fn who_waits_at_one_worker_is_refused_when_another_opens_the_breaker() {
    let mut machine = Machine::with_caps(2, 2, 2);
    for _ in 0..10 {
        machine.ask(0, 0);
        machine.pass(60 * MS);
        machine.end(0, 0, Tried::ConnectFailed);
    }
    machine.ask(0, 0);
    machine.ask(0, 0);
    machine.ask(1, 0);
    assert_eq!(machine.stats(1, 0).queued, 1);
    machine.end(0, 0, Tried::ConnectFailed);
    assert_eq!(machine.stats(1, 0).breaker, Breaker::Open);
    machine.pass(LOOK_US);
    let last = machine.workers[1].answers.last();
    assert_eq!(last, Some(&Outcome::Unanswered(Silence::Unreachable)));
}

#[derive(Clone, Debug)]
enum Event {
    Ask { worker: usize, registry: u8 },
    End { worker: usize, nth: usize, how: u8 },
    Pass { us: u64 },
    Kill { worker: usize },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_usize..3, 0..REGISTRIES).prop_map(|(worker, registry)| Event::Ask { worker, registry }),
        5 => (0_usize..3, any::<usize>(), any::<u8>())
            .prop_map(|(worker, nth, how)| Event::End { worker, nth, how }),
        3 => (0_u64..10 * MS).prop_map(|us| Event::Pass { us }),
        1 => (0_u64..2 * S).prop_map(|us| Event::Pass { us }),
        1 => (0_usize..3).prop_map(|worker| Event::Kill { worker }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The machine looks at every try that begins.
    #[test]
    fn no_bound_is_passed_and_no_permit_lost(
        start in 1_u32..12,
        max in 1_u32..12,
        fetches_max in 1_usize..30,
        tries_max in 1_u32..=3,
        events in prop::collection::vec(event(), 0..400),
    ) {
        let caps = Caps { concurrency_start: start, concurrency_max: max };
        let registries = vec![caps; usize::from(REGISTRIES)];
        let mut machine = Machine::new(3, Policy { registries, fetches_max, tries_max, ..Policy::default() });
        for event in events {
            match event {
                Event::Ask { worker, registry } => machine.ask(worker, registry),
                Event::End { worker, nth, how } => {
                    if let Some(nth) = nth.checked_rem(machine.workers[worker].tries.len()) {
                        machine.end(worker, nth, match how % 8 {
                            0..5 => reply(200, None),
                            5 => reply(503, Some(50 * MS)),
                            6 => Tried::TimedOut,
                            _ => Tried::Reset,
                        });
                    }
                }
                Event::Pass { us } => machine.pass(us),
                Event::Kill { worker } => {
                    machine.kill(worker);
                    machine.replace(worker);
                }
            }
        }
        // Time alone ends all fetches, and then nothing is counted.
        machine.pass(60 * S);
        prop_assert_eq!(machine.all(), 0);
        for registry in 0..REGISTRIES {
            prop_assert_eq!(machine.stats(0, registry).running, 0);
        }
    }
}
