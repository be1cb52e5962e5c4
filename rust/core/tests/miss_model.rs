//! Whatever happens, and in whatever order: every customer is answered once and in time, no permit is lost, and no bound
//! is passed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![expect(clippy::cast_precision_loss, reason = "small counts")]

use std::collections::BTreeMap;

use backendify_core::miss::{
    Act, Breaker, Caps, MS, Misses, Moment, Policy, Question, S, Told, Tried, TryId,
};
use backendify_core::outcome::{Outcome, Silence};
use proptest::prelude::*;

const REGISTRIES: u8 = 3;

#[derive(Clone, Debug)]
enum Event {
    Ask { registry: u8, id: u8 },
    Refresh { registry: u8, id: u8 },
    FirstByte { nth: usize },
    End { nth: usize, how: u8 },
    Pass { ms: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..=REGISTRIES, 0_u8..40).prop_map(|(registry, id)| Event::Ask { registry, id }),
        1 => (0..=REGISTRIES, 0_u8..40).prop_map(|(registry, id)| Event::Refresh { registry, id }),
        1 => any::<usize>().prop_map(|nth| Event::FirstByte { nth }),
        4 => (any::<usize>(), any::<u8>()).prop_map(|(nth, how)| Event::End { nth, how }),
        2 => (0_u64..40).prop_map(|ms| Event::Pass { ms }),
        1 => (0_u64..1500).prop_map(|ms| Event::Pass { ms }),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (1_u32..30, 1_u32..40, 1_usize..60, 0_usize..50, 0_usize..20, 0_usize..30).prop_map(
        |(concurrency_start, concurrency_max, fetches_max, waiters_max, queue_max, memo_max)| Policy {
            registries: vec![Caps { concurrency_start, concurrency_max }; usize::from(REGISTRIES)],
            fetches_max,
            waiters_max,
            queue_max,
            memo_max,
            ..Policy::default()
        },
    )
}

fn result(how: u8) -> Tried {
    let reply = |status: u16, retry_after_us| {
        let outcome = Outcome::of_reply(status, b"application/x-company-v1", br#"{"cn":"x"}"#);
        Tried::Reply {
            told: Told { outcome, fwd_status: Some(status), stored: true, age_ds: 0 },
            retry_after_us,
        }
    };
    match how % 16 {
        0..5 => reply(200, None),
        5 => reply(404, None),
        6 => reply(500, None),
        7 => reply(503, None),
        8 => reply(429, Some(S)),
        9 => reply(429, None),
        10 => Tried::ConnectFailed,
        11 => Tried::TimedOut,
        12 => Tried::Reset,
        13 => Tried::TooLarge,
        14 => Tried::NotBegun,
        _ => Tried::Elsewhere(Told::unanswered(Silence::Unreachable)),
    }
}

/// What an onlooker knows.
struct Onlooker {
    policy: Policy,
    misses: Misses<u32>,
    now: Moment,
    asked: u32,
    waiting: BTreeMap<u32, Moment>,
    running: BTreeMap<TryId, (u8, String, Moment)>,
    /// By question and fetch: how many tries.
    tries: BTreeMap<(u8, String, Moment), u32>,
    /// By registry, while its breaker is open.
    probes: BTreeMap<u8, TryId>,
}

impl Onlooker {
    fn new(policy: Policy) -> Self {
        let misses = Misses::new(policy.clone(), 7);
        Self {
            policy,
            misses,
            now: Moment(0),
            asked: 0,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            tries: BTreeMap::new(),
            probes: BTreeMap::new(),
        }
    }

    fn meet(&mut self, event: &Event) {
        let mut acts = Vec::new();
        let limits: Vec<u32> = self.limits();
        self.probes.retain(|registry, _| is_open(&self.misses, *registry, self.now));
        let were_open = [0, 1, 2].map(|registry| is_open(&self.misses, registry, self.now));
        // No two fetches of a question begin at the same moment, so that they can be told apart.
        self.now = self.now + 1;
        let (now, misses) = (self.now, &mut self.misses);
        match *event {
            Event::Ask { registry, id } => {
                let id = id.to_string();
                self.waiting.insert(self.asked, now);
                misses.ask(Question { registry, id: &id }, self.asked, now, &mut acts);
                self.asked += 1;
            }
            Event::Refresh { registry, id } => {
                misses.refresh(Question { registry, id: &id.to_string() }, now, &mut acts);
            }
            Event::FirstByte { nth } => {
                if let Some(id) = self.nth(nth) {
                    self.misses.first_byte(id, now);
                }
            }
            Event::End { nth, how } => {
                if let Some(id) = self.nth(nth) {
                    self.running.remove(&id);
                    self.misses.tried(id, result(how), now, &mut acts);
                    // Twice told is once too often, and harmless.
                    self.misses.tried(id, result(0), now, &mut acts);
                }
            }
            Event::Pass { ms } => {
                self.now = self.now + ms * MS;
                self.misses.tick(self.now, &mut acts);
            }
        }
        self.follow(acts, &limits, were_open);
        if matches!(event, Event::Pass { .. }) {
            let mut waits = self.waiting.values().map(|asked| self.now.since(*asked));
            assert!(waits.all(|us| us < self.policy.deadline_us), "somebody waits beyond his deadline");
            assert!(self.misses.due().is_none_or(|due| due > self.now), "due at once, again");
        }
    }

    fn limits(&self) -> Vec<u32> {
        (0..REGISTRIES)
            .map(|registry| self.misses.registry_stats(registry, self.now).unwrap().limit)
            .collect()
    }

    fn nth(&self, nth: usize) -> Option<TryId> {
        self.running.keys().nth(nth.checked_rem(self.running.len())?).copied()
    }

    fn follow(&mut self, acts: Vec<Act<u32>>, limits: &[u32], were_open: [bool; 3]) {
        for act in acts {
            match act {
                Act::Try { id, registry, company, ends_at } => {
                    let question = (registry, company.to_string(), ends_at);
                    let others = self
                        .running
                        .values()
                        .filter(|(other, id, _)| (*other, &**id) == (registry, &*company));
                    assert!(
                        others.clone().all(|(_, _, other)| *other == ends_at),
                        "two fetches of one question"
                    );
                    let tries = self.tries.entry(question.clone()).or_default();
                    *tries += 1;
                    assert!(*tries <= self.policy.tries_max);
                    assert!(self.running.insert(id, question).is_none());
                    self.check_room(registry, id, limits, were_open[usize::from(registry)]);
                }
                Act::Abandon { id } => {
                    assert!(self.running.remove(&id).is_some(), "abandoned, and did not run");
                }
                Act::Answer { waiter, .. } => {
                    assert!(self.waiting.remove(&waiter).is_some(), "answered twice");
                }
            }
        }
        self.check();
    }

    /// A try just began: the limit, as it was before all this or is now, had room for it. A probe keeps to the registry's cap
    /// alone, and the one before it has ended.
    fn check_room(&mut self, registry: u8, id: TryId, limits: &[u32], was_open: bool) {
        let stats = self.misses.registry_stats(registry, self.now).unwrap();
        let is_probe = was_open && stats.breaker == Breaker::Open;
        let cap = self.policy.registries[usize::from(registry)].concurrency_max;
        let most = if is_probe { cap } else { stats.limit.max(limits[usize::from(registry)]) };
        let running = self.running.values().filter(|(other, ..)| *other == registry).count();
        assert!(running <= most as usize, "{running} of {most}, probe: {is_probe}");
        let before = if is_probe { self.probes.insert(registry, id) } else { None };
        assert!(before.is_none_or(|before| !self.running.contains_key(&before)), "two probes at once");
    }

    fn check(&self) {
        let stats = self.misses.stats();
        assert_eq!((stats.waiters, stats.running), (self.waiting.len(), self.running.len()));
        assert!(stats.waiters <= self.policy.waiters_max && stats.running <= self.policy.fetches_max);
        for registry in 0..REGISTRIES {
            let stats = self.misses.registry_stats(registry, self.now).unwrap();
            let running = self.running.values().filter(|(other, _, _)| *other == registry).count();
            assert_eq!(stats.running as usize, running);
            assert!(stats.queued <= self.policy.queue_max);
            assert!(stats.limit <= self.policy.registries[usize::from(registry)].concurrency_max);
            let further = (stats.hedges + stats.retries) as f64;
            let first = stats.tries as f64 - further;
            let Policy { retry_share, retries_per_s, .. } = self.policy;
            // What five seconds bring is there at once; the last is for rounding.
            let allowed = retry_share * first + retries_per_s * (5.0 + self.now.0 as f64 / 1e6) + 1e-6;
            assert!(further <= allowed, "{further} further tries beside {first}");
        }
    }

    /// Nobody reports anything any more: time alone must end it all.
    fn end(&mut self) {
        for _ in 0..400 {
            self.meet(&Event::Pass { ms: 100 });
        }
        let stats = self.misses.stats();
        assert_eq!((stats.fetches, stats.running, stats.waiters), (0, 0, 0));
        assert_eq!(self.misses.due(), None);
    }
}

fn is_open(misses: &Misses<u32>, registry: u8, now: Moment) -> bool {
    misses.registry_stats(registry, now).unwrap().breaker == Breaker::Open
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everybody_is_answered_once_and_in_time(policy in policy(), events in prop::collection::vec(event(), 0..400)) {
        let mut onlooker = Onlooker::new(policy);
        for event in &events {
            onlooker.meet(event);
        }
        onlooker.end();
    }

    #[test]
    fn closing_answers_everybody_and_ends_every_try(policy in policy(), events in prop::collection::vec(event(), 0..200)) {
        let mut onlooker = Onlooker::new(policy);
        for event in &events {
            onlooker.meet(event);
        }
        let mut acts = Vec::new();
        onlooker.misses.close(onlooker.now, &mut acts);
        onlooker.follow(acts, &[200; 3], [false; 3]);
        let stats = onlooker.misses.stats();
        prop_assert_eq!((stats.fetches, stats.running, stats.waiters), (0, 0, 0));
        onlooker.meet(&Event::Ask { registry: 0, id: 1 });
        onlooker.meet(&Event::Refresh { registry: 0, id: 1 });
        prop_assert!(onlooker.waiting.is_empty() && onlooker.running.is_empty());
    }
}
