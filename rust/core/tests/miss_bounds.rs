//! Each bound of the miss path, filled; and its rules, told as stories.
#![expect(clippy::needless_pass_by_value, reason = "a test reads better so")]

use std::sync::Arc;

use backendify_core::miss::{
    Act, Breaker, Caps, MS, Misses, Moment, Policy, Question, S, Told, Tried, TryId,
};
use backendify_core::outcome::{Outcome, Silence};

const START: Moment = Moment(5 * S);

/// A service whose clock is set by hand.
struct Service {
    misses: Misses<u32>,
    now: Moment,
    /// Begun and not ended, with their ids.
    tries: Vec<(TryId, Arc<str>)>,
    abandoned: Vec<TryId>,
    /// Who was answered what, and when.
    answers: Vec<(u32, Outcome, Moment)>,
}

impl Service {
    fn new(policy: Policy) -> Self {
        let registries = vec![Caps::default(); 2];
        let misses = Misses::new(Policy { registries, ..policy }, 1);
        Self { misses, now: START, tries: Vec::new(), abandoned: Vec::new(), answers: Vec::new() }
    }

    fn with_caps(caps: Caps, policy: Policy) -> Self {
        let misses = Misses::new(Policy { registries: vec![caps; 2], ..policy }, 1);
        Self { misses, ..Self::new(Policy::default()) }
    }

    fn ask(&mut self, waiter: u32, id: u32) {
        self.ask_at(0, waiter, id);
    }

    fn ask_at(&mut self, registry: u8, waiter: u32, id: u32) {
        let mut acts = Vec::new();
        self.misses.ask(Question { registry, id: &id.to_string() }, waiter, self.now, &mut acts);
        self.follow(acts);
    }

    fn pass(&mut self, us: u64) {
        let end = self.now + us;
        while let Some(due) = self.misses.due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            let mut acts = Vec::new();
            self.misses.tick(self.now, &mut acts);
            self.follow(acts);
        }
        self.now = end;
    }

    fn end(&mut self, place: usize, tried: Tried) {
        let (id, _) = self.tries.remove(place);
        let mut acts = Vec::new();
        self.misses.tried(id, tried, self.now, &mut acts);
        self.follow(acts);
    }

    /// Has so many tries end so, one after another, over a second: long enough for what is right to be seen beside them.
    fn end_all(&mut self, times: u32, tried: impl Fn() -> Tried) {
        for nth in 0..times {
            if self.tries.is_empty() {
                self.ask(9000 + nth, 9000 + nth);
            }
            if self.tries.is_empty() {
                return; // it is not asked any more
            }
            self.end(0, tried());
            self.pass(S / u64::from(times));
        }
        while !self.tries.is_empty() {
            self.end(0, tried());
        }
    }

    /// Has so many new tries end so, at this instant.
    fn end_newest(&mut self, times: u32, tried: impl Fn() -> Tried) {
        for nth in 0..times {
            let before = self.tries.len();
            self.ask(8000 + nth, 8000 + nth);
            if self.tries.len() > before {
                self.end(before, tried());
            }
        }
    }

    fn follow(&mut self, acts: Vec<Act<u32>>) {
        for act in acts {
            match act {
                Act::Try { id, company, .. } => self.tries.push((id, company)),
                Act::Abandon { id } => {
                    self.tries.retain(|(other, _)| *other != id);
                    self.abandoned.push(id);
                }
                Act::Answer { waiter, told, .. } => {
                    self.answers.push((waiter, told.outcome.clone(), self.now));
                }
            }
        }
    }

    fn answer(&self, waiter: u32) -> Option<&Outcome> {
        self.answers.iter().find(|(other, _, _)| *other == waiter).map(|(_, outcome, _)| outcome)
    }
}

fn reply(status: u16) -> Tried {
    let outcome = Outcome::of_reply(status, b"application/x-company-v1", br#"{"cn":"x"}"#);
    Tried::Reply {
        told: Told { outcome, fwd_status: Some(status), stored: true, age_ds: 0 },
        retry_after_us: None,
    }
}

#[test]
fn one_fetch_a_question_and_its_answer_is_everybodys() {
    let mut service = Service::new(Policy::default());
    (0..100).for_each(|waiter| service.ask(waiter, 7));
    assert_eq!(service.tries.len(), 1);
    service.end(0, reply(404));
    assert!((0..100).all(|waiter| service.answer(waiter) == Some(&Outcome::NotFound)));
    assert_eq!(service.misses.stats().joined, 99);
}

#[test]
fn the_deadline_ends_the_wait_and_not_the_fetch() {
    let mut service = Service::new(Policy { tries_max: 1, ..Policy::default() });
    service.ask(1, 7);
    service.pass(899 * MS);
    assert_eq!(service.answer(1), None);
    service.pass(MS);
    assert_eq!(service.answer(1), Some(&Outcome::Unanswered(Silence::TimedOut)));
    assert_eq!((service.tries.len(), service.abandoned.len()), (1, 0));
    service.pass(9 * S);
    service.ask(2, 7);
    assert_eq!(service.tries.len(), 1, "he joins the old one");
    service.pass(100 * MS);
    assert_eq!((service.tries.len(), service.abandoned.len()), (0, 1), "ten seconds are over");
}

#[test]
fn a_second_try_begins_for_slowness_and_the_first_good_reply_wins() {
    let mut service = Service::new(Policy::default());
    for waiter in [1, 2] {
        service.ask(waiter, 7);
    }
    service.pass(449 * MS);
    assert_eq!(service.tries.len(), 1);
    service.pass(MS);
    assert_eq!(service.tries.len(), 2);
    service.end(1, reply(500));
    assert_eq!(service.answer(1), None, "the first still runs");
    service.end(0, reply(200));
    assert!(matches!(service.answer(1), Some(Outcome::Company(_))));

    // The other way round the slower one is abandoned. He waits alone, so there must be some budget to spare.
    service.pass(60 * S);
    service.ask(3, 8);
    service.pass(450 * MS);
    service.end(1, reply(200));
    assert_eq!((service.tries.len(), service.abandoned.len()), (0, 1));
}

#[test]
fn a_fetch_has_three_tries_at_most_whatever_the_policy_says_and_each_gives_its_room_back() {
    for (tries_max, expected) in [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3), (u32::MAX, 3)] {
        let deadline_us = S;
        let policy = Policy { tries_max, deadline_us, retries_per_s: 100.0, ..Policy::default() };
        let mut service = Service::new(policy);
        service.ask(1, 7);
        service.pass(9 * S);
        let running =
            |service: &Service| service.misses.registry_stats(0, service.now).unwrap().running as usize;
        assert_eq!((service.tries.len(), running(&service)), (expected, expected), "{tries_max}");
        service.pass(S);
        assert_eq!((service.tries.len(), running(&service)), (0, 0), "{tries_max}");
    }
}

#[test]
fn the_first_byte_ends_impatience() {
    let mut service = Service::new(Policy::default());
    service.ask(1, 7);
    service.misses.first_byte(service.tries[0].0, service.now);
    service.pass(5 * S);
    assert_eq!(service.tries.len(), 1);
}

#[test]
fn a_failure_is_retried_at_most_twice_and_then_told_and_remembered() {
    let mut service = Service::new(Policy::default());
    service.ask(1, 7);
    for _ in 0..3 {
        assert_eq!(service.tries.len(), 1);
        service.end(0, Tried::Reset);
        service.pass(100 * MS);
    }
    assert_eq!(service.answer(1), Some(&Outcome::Unanswered(Silence::Unreachable)));
    service.ask(2, 7);
    assert_eq!((service.tries.len(), service.answer(2).is_some()), (0, true), "told again, and not asked");
    service.pass(250 * MS);
    service.ask(3, 7);
    assert_eq!(service.tries.len(), 1);
}

#[test]
fn a_full_memo_of_long_ids_keeps_none_of_them() {
    let policy = Policy { breaker: false, tries_max: 1, memo_max: 1000, ..Policy::default() };
    let mut service = Service::new(policy);
    let long = |id: u32| format!("{id}{}", "x".repeat(7_900));
    let ask = |service: &mut Service, id: u32| {
        let mut acts = Vec::new();
        service.misses.ask(Question { registry: 0, id: &long(id) }, id, service.now, &mut acts);
        service.follow(acts);
    };
    let mut ids = Vec::new();
    for id in 0..1500 {
        ask(&mut service, id);
        ids.push(Arc::clone(&service.tries[0].1));
        service.end(0, reply(500));
    }
    assert!(ids.iter().all(|id| Arc::strong_count(id) == 1), "the rules keep an id that they are done with");
    (500..1500).for_each(|id| ask(&mut service, id));
    assert_eq!(
        (service.misses.stats().memo_hits, service.tries.len()),
        (1000, 0),
        "and know it all the same"
    );
}

#[test]
fn an_id_is_held_once_however_many_wait_for_it() {
    let policy = Policy { registries: vec![Caps::default()], tries_max: 1, ..Policy::default() };
    let mut misses: Misses<Arc<str>> = Misses::new(policy, 1);
    let ids: Vec<Arc<str>> = (0..1000).map(|_| "x".repeat(7_900).into()).collect();
    let mut acts = Vec::new();
    for id in &ids {
        let mut id = Arc::clone(id);
        misses.share(0, &mut id);
        misses.ask_shared(0, &id, Arc::clone(&id), START, &mut acts);
    }
    assert_eq!(misses.stats().waiters, 1000);
    assert!(ids[1..].iter().all(|id| Arc::strong_count(id) == 1), "who joined holds an id of his own");
    misses.tick(START + 10 * S, &mut acts);
    assert_eq!(misses.stats().fetches, 0);
    acts.clear();
    assert_eq!(Arc::strong_count(&ids[0]), 1, "and nobody holds it any more");
}

#[test]
fn what_the_registry_said_for_good_is_not_tried_again() {
    for status in [200, 404, 429, 400, 410] {
        let mut service = Service::new(Policy::default());
        service.ask(1, 7);
        service.end(0, reply(status));
        service.pass(S);
        assert_eq!((service.tries.len(), service.answers.len()), (0, 1), "{status}");
    }
}

/// `Retry-After` beside a status.
fn reply_after(status: u16, retry_after_us: u64) -> Tried {
    let Tried::Reply { told, .. } = reply(status) else { unreachable!() };
    Tried::Reply { told, retry_after_us: Some(retry_after_us) }
}

#[test]
fn what_the_registry_said_is_told_though_it_is_of_no_use_when_nothing_better_comes_in_time() {
    let own_tries = Policy { retries_per_s: 100.0, ..Policy::default() };
    let told_at_the_end = |first: Tried, before: fn(&mut Service), meanwhile: fn(&mut Service)| {
        let mut service = Service::new(own_tries.clone());
        before(&mut service);
        // Each question's first try: the one that is told of, and another that goes on.
        service.ask(1, 7);
        service.ask(2, 8);
        service.end(0, first);
        assert_eq!(service.answer(1), None, "a retry is planned");
        meanwhile(&mut service);
        service.pass(S);
        service.answer(1).cloned()
    };
    let hangs: fn(&mut Service) = |_| {};
    let nothing: fn(&mut Service) = |_| {};
    let fails: fn(&mut Service) = |service| service.end_all(44, || Tried::Reset);
    let breaks: fn(&mut Service) = |service| service.end_newest(10, || Tried::ConnectFailed);
    for (why, before, meanwhile, silence) in [
        ("the retry hangs", nothing, hangs, Silence::TimedOut),
        ("the breaker", fails, breaks, Silence::Unreachable),
    ] {
        let told = told_at_the_end(reply(500), before, meanwhile);
        assert!(matches!(told, Some(Outcome::Unusable(_))), "{why}: {told:?}");
        let told = told_at_the_end(Tried::Reset, before, meanwhile);
        assert_eq!(told, Some(Outcome::Unanswered(silence)), "{why}, and it had said nothing");
    }
}

#[test]
fn who_waits_for_room_for_a_retry_is_told_what_the_registry_said_when_the_breaker_opens() {
    let caps = Caps { concurrency_start: 4, concurrency_max: 4 };
    let policy = Policy { queue_wait_us: 2 * S, patience_min_us: S, ..Policy::default() };
    let mut service = Service::with_caps(caps, policy);
    (0..5).for_each(|id| service.ask(id, id));
    service.end(0, reply(500));
    // The fifth has its room, so its retry has to wait.
    service.pass(60 * MS);
    assert_eq!((service.tries.len(), service.misses.registry_stats(0, service.now).unwrap().queued), (4, 1));
    // The newest are served first, and fail.
    (100..110).for_each(|id| service.ask(id, id));
    (0..12).for_each(|_| {
        service.end(service.tries.len() - 1, Tried::ConnectFailed);
        service.pass(65 * MS);
    });
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().breaker, Breaker::Open);
    assert!(matches!(service.answer(0), Some(Outcome::Unusable(_))), "{:?}", service.answer(0));
}

#[test]
fn a_retry_that_may_not_begin_costs_the_budget_nothing() {
    // Forty-six first tries earn one retry.
    let policy = Policy { retry_share: 1.01 / 46.0, retries_per_s: 0.0, ..Policy::default() };
    let mut service = Service::new(policy);
    service.end_all(44, || Tried::Reset);
    let retries = |service: &Service| service.misses.registry_stats(0, service.now).unwrap().retries;
    service.ask(1, 1);
    service.ask(2, 2);
    service.end(0, Tried::Reset);
    assert_eq!(service.answer(1), None, "a retry is planned");
    service.end_newest(10, || Tried::ConnectFailed);
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().breaker, Breaker::Open);
    service.pass(100 * MS);
    assert!(service.answer(1).is_some() && retries(&service) == 0, "the breaker forbids it");
    service.end(0, reply(200));
    service.pass(S);
    service.ask(3, 3);
    service.end(0, reply(200));
    service.ask(4, 4);
    service.end(0, Tried::Reset);
    service.pass(100 * MS);
    assert_eq!((service.tries.len(), retries(&service)), (1, 1), "what was paid is there again");
}

#[test]
fn full_waiters_shed_the_oldest_and_serve_the_newest() {
    let mut service = Service::new(Policy { waiters_max: 100, ..Policy::default() });
    (0..150).for_each(|waiter| service.ask(waiter, 7));
    assert_eq!((service.misses.stats().waiters, service.misses.stats().shed), (100, 50));
    assert!((0..50).all(|waiter| service.answer(waiter) == Some(&Outcome::Overloaded)));
    service.end(0, reply(404));
    assert!((50..150).all(|waiter| service.answer(waiter) == Some(&Outcome::NotFound)));
}

#[test]
fn a_crowd_at_one_registry_pushes_out_its_own_customers_alone() {
    let mut service = Service::new(Policy { waiters_max: 100, ..Policy::default() });
    (0..10).for_each(|waiter| service.ask_at(1, waiter, 7)); // the oldest of all
    (10..1000).for_each(|waiter| service.ask_at(0, waiter, 7));
    assert_eq!((service.misses.stats().waiters, service.misses.stats().shed), (100, 900));
    assert!((10..910).all(|waiter| service.answer(waiter) == Some(&Outcome::Overloaded)));
    (1000..1040).for_each(|waiter| service.ask_at(1, waiter, waiter));
    assert!((910..950).all(|waiter| service.answer(waiter) == Some(&Outcome::Overloaded)), "room for others");
    (1040..1100).for_each(|waiter| service.ask_at(1, waiter, 8));
    assert!((0..10).all(|waiter| service.answer(waiter).is_some()), "half is no less than the others have");
    assert!((950..1000).all(|waiter| service.answer(waiter).is_none()), "and so they keep the other half");
}

#[test]
fn a_full_queue_serves_the_newest_and_its_oldest_give_up() {
    let caps = Caps { concurrency_start: 1, concurrency_max: 1 };
    let policy = Policy { queue_max: 10, tries_max: 1, ..Policy::default() };
    let mut service = Service::with_caps(caps, policy);
    (0..20).for_each(|id| service.ask(id, id));
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().queued, 10);
    assert!((1..10).all(|waiter| service.answer(waiter) == Some(&Outcome::Overloaded)));
    service.ask(100, 12);
    service.end(0, reply(200));
    assert_eq!(&*service.tries[0].1, "12", "asked again, so it is the newest");
    service.end(0, reply(200));
    assert_eq!(&*service.tries[0].1, "19");
    service.pass(300 * MS);
    assert_eq!(service.answer(10), Some(&Outcome::Overloaded));
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().queued, 0);
}

/// Room for one at a registry that was always in time so far, and a try of which nobody hopes anything any more.
fn overstayed() -> Service {
    let caps = Caps { concurrency_start: 1, concurrency_max: 1 };
    let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
    for id in 100..130 {
        service.ask(id, id);
        service.end(0, reply(200));
    }
    service.ask(1, 1);
    service.pass(900 * MS);
    assert_eq!(service.answer(1), Some(&Outcome::Unanswered(Silence::TimedOut)));
    service
}

#[test]
fn what_nobody_hopes_for_makes_place_for_what_somebody_does() {
    let mut service = overstayed();
    assert_eq!(&*service.tries[0].1, "1", "it goes on while nobody needs its place");
    service.ask(2, 1);
    assert_eq!(service.answer(2), None, "who asks again waits for it");
    service.ask(3, 3);
    assert_eq!((&*service.tries[0].1, service.abandoned.len()), ("3", 1));
    assert_eq!(service.answer(2), Some(&Outcome::Unanswered(Silence::TimedOut)));
    service.ask(4, 1);
    assert_eq!(
        service.answer(4),
        Some(&Outcome::Unanswered(Silence::TimedOut)),
        "and is not asked for again at once"
    );
    service.ask(5, 5);
    assert_eq!(&*service.tries[0].1, "3", "somebody hopes for this one");
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().overstayed, 1);
}

#[test]
fn who_had_to_wait_for_room_makes_place_once_it_has_run_as_long_as_a_customer_waits() {
    for (waited_us, then_us, makes_place) in [
        (0, 899 * MS, false),
        (0, 900 * MS, true),
        (200 * MS, 900 * MS, false),
        (200 * MS, 1099 * MS, false),
        (200 * MS, 1100 * MS, true),
    ] {
        let caps = Caps { concurrency_start: 1, concurrency_max: 1 };
        let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
        for id in 100..130 {
            service.ask(id, id);
            service.end(0, reply(200));
        }
        if waited_us > 0 {
            service.ask(0, 0);
        }
        service.ask(1, 1);
        service.pass(waited_us);
        if waited_us > 0 {
            service.end(0, reply(200));
        }
        service.pass(then_us - waited_us);
        service.ask(2, 2);
        assert_eq!(&*service.tries[0].1 == "2", makes_place, "{waited_us} {then_us}");
    }
}

#[test]
fn a_retry_that_nobody_hopes_for_takes_no_place_in_the_queue_from_what_somebody_does() {
    let caps = Caps { concurrency_start: 1, concurrency_max: 1 };
    let policy = Policy { queue_min: 1, queue_max: 1, patience_min_us: 900 * MS, ..Policy::default() };
    let mut service = Service::with_caps(caps, policy);
    for id in 100..130 {
        service.ask(id, id);
        service.end(0, reply(200));
    }
    service.ask(1, 1);
    service.pass(900 * MS);
    service.end(0, reply(500)); // a retry is planned, for nobody
    service.ask(2, 2); // runs
    service.ask(3, 3); // waits in the only place
    service.pass(60 * MS); // the retry is due
    assert_eq!(service.answer(3), None, "somebody hopes for it");
}

#[test]
fn a_retry_that_nobody_hopes_for_keeps_no_place_from_what_somebody_does() {
    let caps = Caps { concurrency_start: 2, concurrency_max: 2 };
    for (what, ends_us, makes_place) in
        [("before it is too late", 90 * MS, false), ("what nobody hopes for makes place", 100 * MS, true)]
    {
        let mut service = Service::with_caps(caps, Policy { patience_min_us: 900 * MS, ..Policy::default() });
        for id in 100..130 {
            service.ask(id, id);
            service.end(0, reply(200));
        }
        service.ask(1, 1);
        service.pass(100 * MS);
        service.ask(2, 2);
        service.pass(800 * MS);
        // Too late for the first, and it is to be asked for again, but another one takes its place.
        service.end(0, reply(500));
        service.ask(3, 3);
        service.ask(4, 4);
        service.pass(60 * MS);
        let queued = |service: &Service| service.misses.registry_stats(0, service.now).unwrap().queued;
        assert_eq!(
            (service.answer(1).is_some(), queued(&service)),
            (true, 2),
            "{what}: the retry is the newest"
        );
        service.pass(ends_us - 60 * MS);
        let begun: Vec<_> = service.tries.iter().map(|(_, id)| &**id).collect();
        assert_eq!(begun, if makes_place { ["3", "4"] } else { ["2", "3"] }, "{what}");
        service.end(0, reply(200));
        let begun: Vec<_> = service.tries.iter().map(|(_, id)| &**id).collect();
        assert_eq!(begun, if makes_place { ["4", "1"] } else { ["3", "4"] }, "{what}: the retry comes last");
    }
}

#[test]
fn who_joins_in_time_keeps_it_until_it_is_overdue() {
    for (joined_after_us, then_us, makes_place) in
        [(None, 900 * MS, true), (Some(400 * MS), 1200 * MS, false), (Some(400 * MS), 1400 * MS, true)]
    {
        let caps = Caps { concurrency_start: 1, concurrency_max: 1 };
        let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
        for id in 100..140 {
            service.ask(id, id);
            service.pass(650 * MS);
            service.end(0, reply(200));
        }
        service.ask(1, 1);
        let joined_us = joined_after_us.unwrap_or(0);
        service.pass(joined_us);
        if joined_us > 0 {
            service.ask(2, 1);
        }
        service.pass(then_us - joined_us);
        service.ask(3, 3);
        assert_eq!(&*service.tries[0].1 == "3", makes_place, "{joined_after_us:?} {then_us}");
    }
}

#[test]
fn a_fetch_goes_on_where_new_ones_would_be_late_too() {
    let caps = Caps { concurrency_start: 1, concurrency_max: 1 };
    let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
    for id in 100..130 {
        service.ask(id, id);
        service.pass(2 * S);
        service.end(0, reply(200));
    }
    service.ask(1, 1);
    service.pass(S);
    service.ask(2, 2);
    assert_eq!((&*service.tries[0].1, service.abandoned.len()), ("1", 0));
}

#[test]
fn a_registry_that_hangs_is_noticed_however_many_make_place() {
    let caps = Caps { concurrency_start: 5, concurrency_max: 5 };
    let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
    for id in 100..130 {
        service.ask(id, id);
        service.pass(700 * MS);
        service.end(0, reply(200));
    }
    // Twenty that make place at 900 ms, before they are overdue at twice the usual.
    for id in 0..40 {
        service.ask(id, id);
        service.pass(200 * MS);
    }
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().breaker, Breaker::Open);
}

#[test]
fn a_crowd_before_a_fast_registry_of_which_nothing_is_known_is_served() {
    let mut service = Service::new(Policy::default());
    (0..148).for_each(|id| service.ask(id, id));
    // Each round trip of 20 ms, as many as run.
    while !service.tries.is_empty() {
        service.pass(20 * MS);
        (0..service.tries.len()).for_each(|_| service.end(0, reply(404)));
    }
    assert!((0..148).all(|waiter| service.answer(waiter) == Some(&Outcome::NotFound)));
}

#[test]
fn all_fetches_together_are_bounded_and_one_registry_leaves_room() {
    let caps = Caps { concurrency_start: 1000, concurrency_max: 1000 };
    let mut service = Service::with_caps(caps, Policy { fetches_max: 100, ..Policy::default() });
    (0..300).for_each(|id| service.ask(id, id));
    assert_eq!(service.tries.len(), 67);
    let mut acts = Vec::new();
    for id in 0..300 {
        service.misses.ask(Question { registry: 1, id: &id.to_string() }, id, service.now, &mut acts);
    }
    service.follow(acts);
    assert_eq!(service.tries.len(), 89, "two thirds of what was left");
}

#[test]
fn a_pause_is_obeyed_and_a_long_one_refuses_at_once() {
    for (pause_us, is_queued) in [(400 * MS, true), (5 * S, false)] {
        let mut service = Service::new(Policy::default());
        service.end_all(20, || reply_after(503, pause_us));
        service.ask(2, 2);
        assert_eq!(service.tries.len(), 0);
        assert_eq!(service.answer(2).is_none(), is_queued);
        service.pass(pause_us);
        service.ask(3, 3);
        assert!(service.tries.iter().any(|(_, id)| **id == *"3"));
    }
}

#[test]
fn an_open_breaker_refuses_in_no_time_and_one_probe_closes_it() {
    let mut service = Service::new(Policy { retry_share: 0.0, retries_per_s: 0.0, ..Policy::default() });
    service.end_all(50, || Tried::Reset);
    let breaker = |service: &Service| service.misses.registry_stats(0, service.now).unwrap().breaker;
    assert_eq!(breaker(&service), Breaker::Open);
    for id in 100..200 {
        service.ask(id, id);
    }
    assert_eq!((service.tries.len(), service.misses.stats().waiters), (0, 0));
    service.pass(S);
    for id in 200..300 {
        service.ask(id, id);
    }
    assert_eq!(service.tries.len(), 1, "one probe, for which nobody waits");
    assert_eq!(service.misses.stats().waiters, 0);
    service.end(0, reply(200));
    assert_eq!(breaker(&service), Breaker::Closed);
    (300..400).for_each(|id| service.ask(id, id));
    assert!(service.tries.len() <= 20, "no herd: {}", service.tries.len());
}

#[test]
fn a_registry_that_says_nothing_is_given_up_before_its_time_outs() {
    let mut service = Service::new(Policy { tries_max: 1, ..Policy::default() });
    (0..20).for_each(|id| service.ask(id, id));
    service.pass(2499 * MS);
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().breaker, Breaker::Closed);
    service.pass(MS);
    assert_eq!(service.misses.registry_stats(0, service.now).unwrap().breaker, Breaker::Open);
    assert_eq!(service.tries.len(), 20, "what was begun goes on");
}

#[test]
fn customers_who_ask_again_and_again_cost_the_registry_nothing() {
    let load = |retries: u32| {
        let mut service = Service::new(Policy { retry_share: 0.0, retries_per_s: 0.0, ..Policy::default() });
        let mut begun = 0;
        for round in 0..100 {
            for customer in 0..10 {
                for retry in 0..=retries {
                    service.ask(round * 1000 + customer * 100 + retry, customer);
                }
            }
            begun += service.tries.len();
            while !service.tries.is_empty() {
                service.end(0, reply(500));
            }
            service.pass(20 * MS);
        }
        begun
    };
    assert_eq!(load(0), load(30));
}

#[test]
fn a_refresh_takes_only_what_is_spare() {
    let mut service = Service::new(Policy::default());
    let refresh = |service: &mut Service, id: u32| {
        let mut acts = Vec::new();
        service.misses.refresh(Question { registry: 0, id: &id.to_string() }, service.now, &mut acts);
        service.follow(acts);
    };
    (0..100).for_each(|id| refresh(&mut service, id));
    assert_eq!(service.tries.len(), 10, "half of the limit");
    refresh(&mut service, 0);
    assert_eq!(service.tries.len(), 10, "under way already");
}

#[test]
fn a_registry_that_hangs_while_old_replies_come_is_given_up_too() {
    let caps = Caps { concurrency_start: 100, concurrency_max: 100 };
    let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
    // It is known to take 100 ms, so one is overdue after 500.
    for id in 0..40 {
        service.ask(id, id);
        service.pass(100 * MS);
        service.end(0, reply(200));
    }
    // It begins to hang with five under way. What hangs fills the limit before the last of the five is answered.
    (100..105).for_each(|id| service.ask(id, id));
    service.pass(MS);
    (200..350).for_each(|id| service.ask(id, id));
    service.pass(200 * MS);
    (0..5).for_each(|_| service.end(0, reply(200)));
    let breaker = |service: &Service| service.misses.registry_stats(0, service.now).unwrap().breaker;
    service.pass(499 * MS);
    assert_eq!(breaker(&service), Breaker::Closed);
    service.pass(MS);
    assert_eq!(breaker(&service), Breaker::Open);
}

#[test]
fn tries_that_hang_among_others_that_are_answered_are_no_silence() {
    let caps = Caps { concurrency_start: 100, concurrency_max: 100 };
    let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
    // A crowd, of which every third is never answered; and nobody after it.
    for id in 0..90 {
        service.pass(MS);
        service.ask(id, id);
    }
    (0..30).rev().for_each(|third| {
        service.end(3 * third + 2, reply(200));
        service.end(3 * third, reply(200));
    });
    service.pass(9 * S);
    let stats = service.misses.registry_stats(0, service.now).unwrap();
    assert_eq!((stats.breaker, service.tries.len()), (Breaker::Closed, 30));
}

/// A service whose breaker has just opened, by silence, at a registry that may be asked for so many at once.
fn opened(cap: u32) -> Service {
    let caps = Caps { concurrency_start: cap, concurrency_max: cap };
    let mut service = Service::with_caps(
        caps,
        Policy { retry_share: 0.0, retries_per_s: 0.0, fetch_timeout_us: 3 * S, ..Policy::default() },
    );
    for id in 0..20 {
        service.ask(id, id);
        service.pass(3 * S);
    }
    service.abandoned.clear();
    let breaker = service.misses.registry_stats(0, service.now).map(|stats| stats.breaker);
    assert_eq!(breaker, Some(Breaker::Open));
    service
}

#[test]
fn probes_go_out_one_at_a_time_and_one_that_hangs_makes_way_for_the_next() {
    for cap in [1, 3, 20] {
        let mut service = opened(cap);
        let mut begun = Vec::new();
        for id in 100..3100 {
            service.pass(10 * MS);
            service.ask(id, id);
            assert!(service.tries.len() <= 1, "{cap}: {} probes at once", service.tries.len());
            begun.extend(service.tries.last().map(|(try_id, _)| (*try_id, service.now)));
        }
        begun.dedup_by_key(|(try_id, _)| *try_id);
        // None is known to be longer away than three seconds less what a reply takes, whenever the registry comes back.
        let slowest = begun.windows(2).map(|pair| pair[1].1.since(pair[0].1)).max();
        assert!(slowest.is_some_and(|us| us < 2100 * MS), "{cap}: {slowest:?} us between two probes");
        let of_abandoned = service.abandoned.len();
        assert!(of_abandoned + 1 >= begun.len(), "{cap}: {of_abandoned} of {} ended", begun.len());
    }
}

#[test]
fn a_probe_takes_the_place_of_a_try_that_hangs_where_the_cap_is_full() {
    for cap in [20, 25] {
        let caps = Caps { concurrency_start: cap, concurrency_max: cap };
        let mut service = Service::with_caps(caps, Policy { tries_max: 1, ..Policy::default() });
        for id in 0..cap {
            service.pass(MS);
            service.ask(id, id);
        }
        service.pass(2500 * MS);
        let breaker = |service: &Service| service.misses.registry_stats(0, service.now).unwrap().breaker;
        assert_eq!((breaker(&service), service.tries.len()), (Breaker::Open, cap as usize));
        service.pass(250 * MS);
        service.ask(100, 100);
        assert_eq!(service.abandoned.len(), 1, "the oldest");
        assert_eq!((service.tries.len(), &*service.tries[0].1), (cap as usize, "1"));
        let probe = service.tries.len() - 1;
        assert_eq!(&*service.tries[probe].1, "100");
        service.end(probe, reply(200));
        assert_eq!(breaker(&service), Breaker::Closed);
    }
}

#[test]
fn a_company_that_was_a_probe_is_asked_for_again_once_its_registry_is_back() {
    let mut service = opened(20);
    service.pass(300 * MS);
    service.ask(100, 777);
    assert_eq!(service.tries.len(), 1, "the probe, and it hangs");
    let began = service.now;
    while !service.tries.is_empty() {
        service.pass(MS);
    }
    assert!(service.now.since(began) <= 2 * S);
    service.ask(101, 778);
    service.end(0, reply(200));
    service.ask(102, 777);
    service.end(0, reply(200));
    assert!(matches!(service.answer(102), Some(Outcome::Company(_))), "{:?}", service.answer(102));
}

#[test]
fn retry_after_binds_its_question_and_no_other() {
    // (asked for, what others were told meanwhile, when it is asked for again): in milliseconds.
    for (wish_ms, others_are_told, again_ms) in
        [(1000, true, 1000), (1000, false, 1000), (30_000, true, 2000), (30_000, false, 30_000)]
    {
        let mut service = Service::new(Policy::default());
        service.ask(1, 7);
        service.end(0, reply_after(503, wish_ms * MS));
        assert_eq!(service.answer(1), Some(&Outcome::Unanswered(Silence::Throttled)), "{wish_ms}");
        let failed = service.now;
        service.pass(MS);
        if others_are_told {
            service.ask(2, 8);
            service.end(0, reply(200));
            assert!(matches!(service.answer(2), Some(Outcome::Company(_))), "{wish_ms}");
        }
        while service.tries.is_empty() {
            service.pass(50 * MS);
            service.ask(3, 7);
        }
        let found = service.now.since(failed);
        assert!((again_ms * MS..=(again_ms + 60) * MS).contains(&found), "{wish_ms}: after {found} us");
    }
}

#[test]
fn a_record_that_is_always_bad_is_not_asked_for_three_times_by_each_who_comes() {
    let bad = || {
        let outcome = Outcome::of_reply(200, b"text/html", b"<h1>It works</h1>");
        Tried::Reply {
            told: Told { outcome, fwd_status: Some(200), stored: false, age_ds: 0 },
            retry_after_us: None,
        }
    };
    // Where hardly anything is bad, and where most is.
    for (bad_of_ten, tries) in [(0, 3 + 5), (7, 3 * 6)] {
        let mut service = Service::new(Policy { retries_per_s: 100.0, ..Policy::default() });
        for id in 100..300 {
            service.ask(id, id);
            while !service.tries.is_empty() {
                service.end(0, if id % 10 < bad_of_ten { bad() } else { reply(200) });
                service.pass(20 * MS);
            }
        }
        let mut begun = 0;
        for waiter in 1..=6 {
            service.pass(10 * S);
            service.ask(waiter, 7);
            while !service.tries.is_empty() {
                begun += 1;
                service.end(0, bad());
                service.pass(20 * MS);
            }
            assert!(matches!(service.answer(waiter), Some(Outcome::Unusable(_))), "{waiter}");
        }
        assert!(begun <= tries, "{bad_of_ten} of ten are bad: {begun} tries");
        assert!(bad_of_ten == 0 || begun > 8, "{begun}: much is bad there");
    }
}

#[test]
fn a_fetch_whose_tries_are_lost_is_begun_again_for_who_asks() {
    for (fetch, asked_at_ms, begins_again) in
        [("hangs", 1200, true), ("hangs", 800, false), ("drips", 1200, false)]
    {
        let mut service = Service::new(Policy { tries_max: 1, ..Policy::default() });
        for id in 100..150 {
            service.ask(id, id);
            service.pass(20 * MS);
            service.end(0, reply(200));
        }
        service.ask(1, 7);
        let lost = service.tries[0].0;
        if fetch == "drips" {
            service.misses.first_byte(lost, service.now);
        }
        service.pass(asked_at_ms * MS);
        service.ask(2, 7);
        assert_eq!(service.tries.len(), 1);
        assert_eq!(
            service.tries[0].0 != lost,
            begins_again,
            "{fetch}, asked for again after {asked_at_ms} ms"
        );
        assert_eq!(service.abandoned.contains(&lost), begins_again);
        service.end(0, reply(200));
        assert!(matches!(service.answer(2), Some(Outcome::Company(_))));
    }
}

#[test]
fn further_tries_are_many_while_they_help_and_few_where_load_is_the_trouble() {
    let percent_retried = |strain: fn(&mut Service)| {
        let mut service = Service::new(Policy::default());
        strain(&mut service);
        // Each first try fails, and each further one brings an answer.
        for id in 100..600 {
            service.ask(id, id);
            if service.tries.is_empty() {
                continue;
            }
            service.end(0, Tried::Reset);
            service.pass(100 * MS);
            while !service.tries.is_empty() {
                service.end(0, reply(200));
            }
        }
        let stats = service.misses.registry_stats(0, service.now).unwrap();
        100 * stats.retries / (stats.tries - stats.retries)
    };
    let nothing: fn(&mut Service) = |_| {};
    let throttles: fn(&mut Service) = |service| {
        for id in 0..50 {
            service.ask(id, id);
        }
        while !service.tries.is_empty() {
            service.end(0, reply(429));
        }
    };
    let (free, strained) = (percent_retried(nothing), percent_retried(throttles));
    assert!(free >= 99, "{free} %");
    assert!(strained <= 30, "{strained} %");
}
