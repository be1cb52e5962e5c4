//! The miss path: who asks a registry, when, how often, and who waits for it.
//!
//! A state machine without input and output (as quinn-proto and h11 are): it is told what happens and when, and says what
//! is to be done. Two clocks rule it: a customer's deadline ends his wait, a fetch's own time-out ends the fetch, and
//! nobody's leaving ends a fetch. `docs/miss-path.md` has the rules on one page. This page is over 300 lines: all that it is told.
//!
//! ```text
//! ask ── under way? ── join it
//!     └─ breaker, memo ── refused at once
//!     └─ limit, pace, pause, share ── begin a try, or queue
//! tried ── a fact: everybody is answered, other tries are abandoned
//!       └─ a failure: retry within the budget, or everybody is told
//! tick ── deadlines, patience (a second try), retries, the queue's end
//! ```

mod act; // what is asked and told, and what is to be done
mod ledger; // what all workers keep together
mod moment; // when
mod policy; // how long, how often, how many
#[cfg(test)]
#[cfg(feature = "shuttle")]
mod explored; // every order of steps of the tally
mod flight; // join: one fetch a question
mod waiters; // who waits, and who runs out of time first
mod memo; // refuse: it failed just now
mod breaker; // refuse: the registry fails
mod probe; // is it back?
mod guard; // allow: all that is known of one registry
mod room; // may another try begin, beside all others
mod tally; // how many there are
mod limit; // how many at once
mod ceiling; // how many at once it answers in time
mod pace; // how many a second
mod pause; // not now, it says
mod streak; // can that be chance?
mod share; // what the other registries need
mod queue; // who waits for room
mod patience; // when a second try begins
mod latency; // how long it usually takes
mod retry; // which failures are tried again, when, how often
mod lesson; // what a try's end means
mod course; // all of it, for one fetch
mod overstay; // which fetch makes place
mod timers; // what is due first
mod chance; // jitter
mod stats; // what is counted

use std::sync::Arc;

use slab::Slab;

pub use act::{Act, Question, Told, Tried, TryId};
pub use ledger::Ledger;
pub use moment::{MS, Moment, S};
pub use policy::{Caps, Policy, TRIES_MAX};
pub use stats::{Breaker, RegistryStats, Stats};

use chance::Chance;
use course::{Refusals, Try};
use flight::{Flight, Flights};
use guard::Guard;
use ledger::Line;
use memo::Memo;
use queue::Queued;
use timers::Timers;
use waiters::Waiters;

/// All misses of a worker. `W` is a customer who waits: whatever the driver needs to answer him.
#[derive(Debug)]
pub struct Misses<W> {
    policy: Policy,
    flights: Flights,
    waiters: Waiters<W>,
    tries: Slab<Try>,
    tries_begun: u64,
    guards: Vec<Guard>,
    /// Tries of all workers, over all registries.
    all: Line,
    memo: Memo,
    refusals: Refusals,
    /// By flight.
    timers: Timers,
    /// By registry, for its queue.
    registry_timers: Timers,
    chance: Chance,
    /// The latest moment that was passed in: time never goes back here.
    now: Moment,
    is_closed: bool,
    counted: Stats,
}

impl<W> Misses<W> {
    /// Nothing is under way yet. `seed` makes the jitter and the hash: a secret, another one in each worker.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> Self {
        let ledger = Ledger::own(policy.registries.len());
        Self::beside_others(policy, seed, &ledger)
    }

    /// The same for one of several workers, who keep to the policy's caps together.
    #[must_use]
    pub fn beside_others(policy: Policy, seed: u64, ledger: &Ledger) -> Self {
        let policy = Policy { tries_max: policy.tries_max.clamp(1, TRIES_MAX), ..policy };
        let guards =
            policy.registries.iter().zip(0..=u8::MAX).map(|(caps, registry)| {
                Guard::new(*caps, &policy, Line::new(ledger.clone(), Some(registry)))
            });
        let guards = guards.collect();
        let waiters = Waiters::new(policy.registries.len());
        let memo = Memo::new(policy.memo_max);
        Self {
            policy,
            flights: Flights::new(seed),
            waiters,
            tries: Slab::new(),
            tries_begun: 0,
            guards,
            all: Line::new(ledger.clone(), None),
            memo,
            refusals: Refusals::new(),
            timers: Timers::new(),
            registry_timers: Timers::new(),
            chance: Chance::new(seed),
            now: Moment(0),
            is_closed: false,
            counted: Stats::default(),
        }
    }

    /// A customer asks what no record tells. The fetch keeps this id, and no other: see [`share`](Self::share).
    pub fn ask_shared(
        &mut self,
        registry: u8,
        id: &Arc<str>,
        waiter: W,
        now: Moment,
        acts: &mut Vec<Act<W>>,
    ) {
        let (now, question) = (self.at(now), Question { registry, id });
        let Some(guard) = self.guards.get_mut(usize::from(question.registry)).filter(|_| !self.is_closed)
        else {
            return refuse(waiter, &self.refusals.overloaded, acts);
        };
        let hash = self.flights.hash(question);
        let under_way = self.flights.find(hash, question);
        if guard.breaker.state() == Breaker::Open {
            // Nobody waits for a registry that is away, not even for a fetch that began before.
            refuse(waiter, &self.refusals.unreachable, acts);
            if under_way.is_none_or(|number| self.hangs(number, now)) {
                self.probe(hash, (registry, id), now, acts);
            }
            return;
        }
        if self.policy.waiters_max == 0 {
            return refuse(waiter, &self.refusals.overloaded, acts);
        }
        let has_told_since = |kept_at| guard.pause.has_told_since(kept_at);
        if let (None, Some(told)) = (under_way, self.memo.find(hash, now, has_told_since)) {
            self.counted.memo_hits += 1;
            return refuse(waiter, told, acts);
        }
        if self.waiters.len() >= self.policy.waiters_max {
            self.shed_for(question.registry, acts);
        }
        let joined = under_way.is_some();
        let number = under_way.unwrap_or_else(|| {
            let known = self.memo.knows(hash);
            let (is_again, bad_data) = (known.is_some(), known.unwrap_or(0));
            self.flights.insert(Flight { is_again, bad_data, ..Flight::new(hash, registry, Arc::clone(id)) })
        });
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        let deadline = now + self.policy.deadline_us;
        if !flight.is_told {
            flight.hoped_until = deadline;
            flight.is_again |= joined;
        }
        self.waiters.push(waiter, deadline, (question.registry, number, joined), &mut flight.waiters);
        if !joined {
            return self.admit(number, now, acts);
        }
        self.counted.joined += 1;
        if flight.queued.is_some_and(Queued::waits) {
            if let Some(guard) = self.guards.get_mut(usize::from(question.registry)) {
                guard.queue.remove(number, &mut self.flights.all);
                guard.queue.push(number, now, &mut self.flights.all);
            }
        }
        self.adopt_probe(number);
        if self.is_lost(number, now) {
            self.begin_again(number, now, acts);
        }
    }

    /// A record that is asked for often runs out soon: fetched behind the answer, if its registry has room to spare.
    pub fn refresh(&mut self, question: Question<'_>, now: Moment, acts: &mut Vec<Act<W>>) {
        let now = self.at(now);
        let Some(guard) = self.guards.get(usize::from(question.registry)).filter(|_| !self.is_closed) else {
            return;
        };
        let hash = self.flights.hash(question);
        let is_wanted = guard.is_idle(now)
            && self.all.tally().total() * 2 < self.policy.fetches_max
            && self.flights.find(hash, question).is_none()
            && self.memo.find(hash, now, |kept_at| guard.pause.has_told_since(kept_at)).is_none();
        if is_wanted {
            let number = self.flights.insert(Flight::new(hash, question.registry, question.id.into()));
            self.admit(number, now, acts);
        }
    }

    /// The first byte of a try's reply came: no second try for slowness any more.
    pub fn first_byte(&mut self, id: TryId, now: Moment) {
        let now = self.at(now);
        let Some(running) = self.tries.get_mut(id.number()).filter(|running| running.id == id) else {
            return;
        };
        running.first_byte_at.get_or_insert(now);
        let (number, begun) = (running.flight, running.begun);
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        (flight.patience_at, flight.overdue_at) = (None, None);
        if let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) {
            guard.breaker.hear(begun, now);
        }
        self.arm(number);
    }

    /// What became of a try. One that was abandoned, or reported before, is ignored.
    pub fn tried(&mut self, id: TryId, result: Tried, now: Moment, acts: &mut Vec<Act<W>>) {
        let now = self.at(now);
        if let Some(ended) = self.take(id) {
            self.end(&ended, result, now, acts);
            self.serve_queues(now, acts);
        }
    }

    /// Does what is due by now. Early and needless calls harm nothing.
    pub fn tick(&mut self, now: Moment, acts: &mut Vec<Act<W>>) {
        let now = self.at(now);
        while let Some((_, number)) = self.waiters.oldest().filter(|(deadline, _)| *deadline <= now) {
            self.counted.timed_out += 1;
            let unusable = self.flights.all.get(number).and_then(Flight::unusable);
            let told = Arc::clone(unusable.unwrap_or(&self.refusals.timed_out));
            self.answer_oldest_of(number, &told, acts);
            self.note_told(number, now);
        }
        self.wake_due(now, acts);
        while let Some((_, registry)) = self.registry_timers.first().filter(|(at, _)| *at <= now) {
            self.registry_timers.clear(registry);
            self.end_waits(registry, now, acts);
        }
        self.serve_queues(now, acts);
    }

    /// When [`tick`](Self::tick) wants to be called next; None while nothing is under way. Any call may change it.
    #[must_use]
    pub fn due(&self) -> Option<Moment> {
        let waiter = self.waiters.oldest().map(|(deadline, _)| deadline);
        let timer = self.timers.first().map(|(at, _)| at);
        let queue = self.registry_timers.first().map(|(at, _)| at);
        [waiter, timer, queue].into_iter().flatten().min()
    }

    /// Everybody who waits is told that the service is over its limits, every try is abandoned, and nothing new begins.
    pub fn close(&mut self, now: Moment, acts: &mut Vec<Act<W>>) {
        let now = self.at(now);
        self.is_closed = true;
        let told = Arc::clone(&self.refusals.overloaded);
        let numbers: Vec<usize> = self.flights.all.iter().map(|(number, _)| number).collect();
        for number in numbers {
            self.land(number, &told, now, acts);
        }
    }

    /// What is counted over all registries.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            fetches: self.flights.all.len(),
            running: self.tries.len(),
            waiters: self.waiters.len(),
            ..self.counted
        }
    }

    /// What is counted of one registry; None for a number that is none.
    #[must_use]
    pub fn registry_stats(&self, registry: u8, now: Moment) -> Option<RegistryStats> {
        self.guards.get(usize::from(registry)).map(|guard| guard.stats(now))
    }

    fn at(&mut self, now: Moment) -> Moment {
        self.now = self.now.max(now);
        self.now
    }

    /// Makes room for a newer customer of this registry.
    fn shed_for(&mut self, registry: u8, acts: &mut Vec<Act<W>>) {
        let Some(number) = self.waiters.spare(registry) else { return };
        self.counted.shed += 1;
        self.answer_oldest_of(number, &Arc::clone(&self.refusals.overloaded), acts);
    }

    fn answer_oldest_of(&mut self, number: usize, told: &Arc<Told>, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        if let Some((waiter, collapsed)) = self.waiters.pop(&mut flight.waiters) {
            acts.push(Act::Answer { waiter, told: Arc::clone(told), collapsed });
        }
    }
}

/// Answers a customer at once.
fn refuse<W>(waiter: W, told: &Arc<Told>, acts: &mut Vec<Act<W>>) {
    acts.push(Act::Answer { waiter, told: Arc::clone(told), collapsed: false });
}
