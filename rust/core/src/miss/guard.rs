//! Allow: whether a registry may be asked now, by all that is known of it. No registry's troubles touch another's guard.

use super::breaker::Breaker;
use super::ceiling::Ceiling;
use super::chance::Chance;
use super::latency::Latencies;
use super::ledger::Line;
use super::lesson::{Burden, Lesson};
use super::limit::Limit;
use super::moment::{MS, Moment, S};
use super::pace::Pace;
use super::patience::{Patience, Terms};
use super::pause::Pause;
use super::policy::{Caps, Policy};
use super::queue::{self, Queue};
use super::retry::Budget;
use super::stats::{self, RegistryStats};

/// Patience is worked out anew after so many latencies.
const PATIENCE_EVERY: u32 = 16;

/// What a try usually takes, until that is known.
const ROUND_TRIP_US_UNKNOWN: u64 = 250 * MS;

/// When another try may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    Now,
    /// When time comes.
    At(Moment),
    /// When another try ends, here or at another worker.
    Full,
}

/// One registry.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) line: Line,
    pub(super) limit: Limit,
    pub(super) pace: Pace,
    pub(super) pause: Pause,
    pub(super) breaker: Breaker,
    pub(super) budget: Budget,
    pub(super) queue: Queue,
    pub(super) ceiling: Ceiling,
    pub(super) counted: RegistryStats,
    latencies: Latencies,
    patience: Patience,
    patience_age: u32,
    terms: Terms,
    /// When this worker looks again, while others wait for room too.
    pub(super) look_at: Moment,
    /// Have the others been told that this worker waits?
    is_waiting: bool,
}

impl Guard {
    pub(super) fn new(caps: Caps, policy: &Policy, line: Line) -> Self {
        let latencies = Latencies::new();
        let terms = Terms {
            min_us: policy.patience_min_us.min(policy.deadline_us),
            deadline_us: policy.deadline_us,
            fetch_us: policy.fetch_timeout_us,
            budget: policy.retry_share,
        };
        let patience = Patience::of(&latencies, terms);
        Self {
            limit: Limit::new(caps, line.clone()),
            pace: Pace::new(line.clone()),
            pause: Pause::new(line.clone()),
            breaker: Breaker::new(policy.breaker, line.clone()),
            budget: Budget::new(policy.retry_share, policy.retries_per_s),
            queue: Queue::default(),
            ceiling: Ceiling::new(policy.ceiling, line.clone()),
            counted: RegistryStats::default(),
            latencies,
            patience,
            patience_age: 0,
            terms,
            look_at: Moment(0),
            is_waiting: false,
            line,
        }
    }

    /// How long its tries are waited for.
    pub(super) const fn patience(&self) -> Patience {
        self.patience
    }

    /// May another try begin, as far as this registry is concerned?
    pub(super) fn room(&mut self, now: Moment) -> Room {
        if self.pause.left_us(now) > 0 {
            return Room::At(self.pause.until());
        }
        if self.running() >= self.most() as usize {
            return Room::Full;
        }
        match self.pace.wait_us(now) {
            0 => Room::Now,
            wait_us => Room::At(now + wait_us),
        }
    }

    /// So many tries may run at once.
    pub(super) fn most(&self) -> u32 {
        self.ceiling.get().unwrap_or(u32::MAX).min(self.limit.get())
    }

    /// Is it asked for nearly as much as it can tell in time?
    pub(super) fn is_pressed(&self) -> bool {
        self.ceiling.is_pressed(self.running())
    }

    /// A try that began then, as one of so many, was answered within what a customer waits, or was not. What is late while the
    /// registry says nothing to anybody is an outage's doing, and not because there is much of it.
    pub(super) fn count_in_time(&mut self, (running, begun): (usize, Moment), in_time: bool, now: Moment) {
        let is_heard = in_time || self.breaker.was_heard_since(begun);
        if is_heard && self.breaker.state() == stats::Breaker::Closed {
            if let Some(from) = self.ceiling.count(running, in_time, now) {
                self.limit.begin_from(from);
            }
        }
    }

    /// So many questions may wait for room.
    pub(super) fn places(&self, policy: &Policy) -> usize {
        queue::places(self.most(), self.patience.usual, self.pace.rate_per_s(), policy)
    }

    /// A try that began then ended after `took_us`. True when this opened or closed the breaker.
    pub(super) fn learn(
        &mut self,
        lesson: Lesson,
        (begun, took_us): (Moment, u64),
        now: Moment,
        chance: &mut Chance,
    ) -> bool {
        if lesson.is_timed {
            self.time(took_us);
        } else {
            self.counted.failed += 1;
        }
        if lesson.burden == Burden::TooSoon {
            self.counted.throttled += 1;
            self.pace.refuse(now);
        }
        if self.breaker.state() == stats::Breaker::Closed {
            // The try itself was one of those that ran. What was lost in an outage says nothing of how many it bears.
            self.limit.count(
                lesson.burden != Burden::Borne,
                self.running() + 1,
                self.patience.usual.unwrap_or(ROUND_TRIP_US_UNKNOWN),
                now,
            );
        }
        let turned = self.breaker.count(lesson.health, begun, now, chance);
        self.restart_if_open(turned, now);
        turned
    }

    /// When a try that began then is overdue; None when that would say nothing of the registry.
    pub(super) fn overdue_at(&self, begun: Moment) -> Option<Moment> {
        self.breaker.overdue_at(begun, self.patience.overdue)
    }

    /// A try that began then is overdue. True when this opened the breaker.
    pub(super) fn overdue(&mut self, begun: Moment, now: Moment, chance: &mut Chance) -> bool {
        let turned = self.breaker.overdue(begun, now, chance);
        self.restart_if_open(turned, now);
        turned
    }

    fn restart_if_open(&mut self, turned: bool, now: Moment) {
        if turned && self.breaker.state() == stats::Breaker::Open {
            self.limit.restart();
            self.ceiling.restart(now);
        }
    }

    /// A latency, or at least so much of one.
    pub(super) fn time(&mut self, took_us: u64) {
        self.latencies.add(took_us);
        self.patience_age += 1;
        if self.patience_age >= PATIENCE_EVERY {
            self.patience_age = 0;
            self.patience = Patience::of(&self.latencies, self.terms);
        }
    }

    /// Has it room to spare for what nobody waits for?
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        self.breaker.state() == stats::Breaker::Closed
            && self.pause.left_us(now) == 0
            && self.queue.len() == 0
            && self.running() < self.most().div_ceil(2) as usize
    }

    /// Tries under way, of all workers.
    pub(super) fn running(&self) -> usize {
        self.line.tally().total()
    }

    /// Tells the other workers whether this one waits for room here.
    pub(super) fn set_waiting(&mut self, is_waiting: bool) {
        if self.is_waiting != is_waiting {
            self.is_waiting = is_waiting;
            self.line.tally().set_waiting(is_waiting);
        }
    }

    /// What is counted of it.
    pub(super) fn stats(&self, now: Moment) -> RegistryStats {
        RegistryStats {
            running: u32::try_from(self.running()).unwrap_or(u32::MAX),
            limit: self.ceiling.reach().unwrap_or(u32::MAX).min(self.limit.get()),
            queued: self.queue.len(),
            breaker: self.breaker.state(),
            paused_for_us: self.pause.left_us(now).min(3600 * S),
            rate_per_s: self.pace.rate_per_s(),
            patience_us: self.patience.second_try,
            opened: self.breaker.opened(),
            ..self.counted
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::miss::ledger::Word;

    #[test]
    fn the_limit_that_is_told_counts_a_look_beyond_the_ceiling_for_as_long_as_it_lasts() {
        let mut guard = Guard::new(
            Caps { concurrency_start: 50, concurrency_max: 200 },
            &Policy::default(),
            Line::alone(),
        );
        let told = |guard: &Guard| (guard.most(), guard.stats(Moment(S)).limit);
        assert_eq!(told(&guard), (50, 50), "no ceiling");
        guard.line.store(Word::Ceiling, 20 + (500_000 << 32));
        assert_eq!(told(&guard), (20, 20));
        guard.ceiling.begin(20, Moment(S));
        assert_eq!(told(&guard), (30, 30), "ten may begin beyond it");
        (0..10).for_each(|_| guard.ceiling.begin(21, Moment(S)));
        assert_eq!(told(&guard), (20, 30), "they have begun, and no other may");
    }
}
