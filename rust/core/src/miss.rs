//! The miss path: who asks a registry, when, how often, and who waits for it.
//!
//! A state machine without input and output (as quinn-proto and h11 are): it is told what happens and when, and says what
//! is to be done. Two clocks rule it: a customer's deadline ends his wait, a fetch's own time-out ends the fetch, and
//! nobody's leaving ends a fetch. `docs/miss-path.md` has the rules on one page.

mod act; // what is asked and told, and what is to be done
mod moment; // when
mod policy; // how long, how often, how many
mod stats; // what is counted

pub use act::{Act, Question, Told, Tried, TryId};
pub use moment::{MS, Moment, S};
pub use policy::{Caps, Policy, TRIES_MAX};
pub use stats::{Breaker, RegistryStats, Stats};

/// All misses of a worker. `W` is a customer who waits: whatever the driver needs to answer him.
#[derive(Debug)]
pub struct Misses<W> {
    policy: Policy,
    seed: u64,
    waiters: Vec<W>,
}

impl<W> Misses<W> {
    /// Nothing is under way yet. `seed` makes the jitter: another one in each worker.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self { policy, seed, waiters: Vec::new() }
    }

    /// A customer asks what no record tells.
    pub fn ask(&mut self, question: Question<'_>, waiter: W, now: Moment, acts: &mut Vec<Act<W>>) {
        let _ = (question, now, &self.policy, self.seed, acts);
        self.waiters.push(waiter);
    }

    /// A record that is asked for often runs out soon: fetched behind the answer, if its registry has room to spare.
    pub fn refresh(&mut self, question: Question<'_>, now: Moment, acts: &mut Vec<Act<W>>) {
        let _ = (question, now, &self.waiters, acts);
    }

    /// The first byte of a try's reply came: no second try for slowness any more.
    pub fn first_byte(&mut self, id: TryId, now: Moment) {
        let _ = (id, now, &mut self.waiters);
    }

    /// What became of a try. One that was abandoned, or reported before, is ignored.
    pub fn tried(&mut self, id: TryId, result: Tried, now: Moment, acts: &mut Vec<Act<W>>) {
        let _ = (id, result, now, &mut self.waiters, acts);
    }

    /// Does what is due by now. Early and needless calls harm nothing.
    pub fn tick(&mut self, now: Moment, acts: &mut Vec<Act<W>>) {
        let _ = (now, &mut self.waiters, acts);
    }

    /// When [`tick`](Self::tick) wants to be called next; None while nothing is under way. Any call may change it.
    #[must_use]
    pub fn due(&self) -> Option<Moment> {
        None
    }

    /// Everybody who waits is told that the service is over its limits, every try is abandoned, and nothing new begins.
    pub fn close(&mut self, now: Moment, acts: &mut Vec<Act<W>>) {
        let _ = (now, &mut self.waiters, acts);
    }

    /// What is counted over all registries.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// What is counted of one registry; None for a number that is none.
    #[must_use]
    pub fn registry_stats(&self, registry: u8, now: Moment) -> Option<RegistryStats> {
        let _ = now;
        self.policy.registries.get(usize::from(registry)).map(|_| RegistryStats::default())
    }
}
