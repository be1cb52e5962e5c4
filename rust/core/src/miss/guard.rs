//! Allow: whether a registry may be asked now, by all that is known of it. No registry's troubles touch another's guard.
//!
//! It is over 300 lines: all rules of one registry meet here, and each is a file of its own.

use super::breaker::Breaker;
use super::ceiling::Ceiling;
use super::chance::Chance;
use super::latency::Latencies;
use super::ledger::Line;
use super::lesson::{Burden, Lesson};
use super::limit::{self, Limit};
use super::moment::{MS, Moment, S};
use super::pace::Pace;
use super::patience::{Patience, Terms};
use super::pause::Pause;
use super::policy::{Caps, Policy, TRIES_MAX};
use super::queue::{self, Queue};
use super::retry::Budget;
use super::stats::{self, RegistryStats};
use super::streak::Usual;

/// Patience is worked out anew after so many latencies.
const PATIENCE_EVERY: u32 = 16;

/// So long after it was seen, a sign of too much load still says that load is the trouble.
const LATELY_US: u64 = 10 * S;

/// So seldom is as much bad data about one company chance.
const BAD_RECORD_CHANCE: f64 = 0.01;

/// So long it is remembered how fast a registry can be.
const BEST_US: u64 = 60 * S;

/// No more than so many slow replies in excess are counted; half of them say that most are slow.
const SLOW_MAX: u32 = 16;

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
    /// The shortest time that was usual within the last minute, and when that was.
    best_us: u64,
    best_at: Moment,
    /// So many more of the last replies were slow than were not.
    slow: u32,
    /// Replies whose data was bad.
    bad_data: Usual,
    obeys: bool,
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
            limit: Limit::new(if policy.obeys { caps } else { caps.without_limit() }, line.clone()),
            pace: Pace::new(line.clone()),
            pause: Pause::new(policy.obeys, line.clone()),
            breaker: Breaker::new(policy.breaker, line.clone()),
            budget: Budget::new(policy.retry_share, policy.retries_per_s, policy.retries_per_help),
            queue: Queue::default(),
            ceiling: Ceiling::new(policy.ceiling, line.clone()),
            counted: RegistryStats::default(),
            best_us: u64::MAX,
            best_at: Moment(0),
            slow: 0,
            bad_data: Usual::new(0.0),
            obeys: policy.obeys,
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

    /// A try that began then ended after `took_us`; the registry asked for so much patience. True when this opened or closed
    /// the breaker.
    pub(super) fn learn(
        &mut self,
        (lesson, retry_after_us): (Lesson, Option<u64>),
        (begun, took_us): (Moment, u64),
        now: Moment,
        chance: &mut Chance,
    ) -> bool {
        let settles_us = self.patience.settles();
        if lesson.is_timed {
            self.time(took_us);
            self.pause.tell(begun, now);
        } else {
            self.counted.failed += 1;
            match retry_after_us {
                Some(wish_us) => {
                    let is_open = self.breaker.state() == stats::Breaker::Open;
                    self.pause.refuse(wish_us, begun, now, is_open);
                }
                None => self.pause.fail(now),
            }
        }
        if lesson.is_timed || lesson.is_bad_data {
            self.bad_data.count(lesson.is_bad_data.into(), 1);
        }
        if lesson.burden == Burden::TooSoon && self.obeys {
            self.counted.throttled += 1;
            self.pace.refuse(now);
        }
        if self.obeys && self.breaker.state() == stats::Breaker::Closed && !self.breaker.is_of_before(begun) {
            // The try itself was one of those that ran. What was lost in an outage says nothing of how many it bears.
            let usual_us = self.patience.usual.unwrap_or(ROUND_TRIP_US_UNKNOWN);
            let result = match lesson.burden {
                Burden::Borne if self.is_slow(took_us, now) => {
                    limit::Result::Slow { are_most: self.are_most_slow() }
                }
                Burden::Borne => limit::Result::Borne,
                Burden::TooMany | Burden::TooSoon => limit::Result::Lost,
            };
            self.limit.count((result, took_us), self.running() + 1, usual_us, now);
        }
        let turned = self.breaker.count(lesson.health, begun, (now, settles_us), chance);
        self.restart_if_open(turned, now);
        turned
    }

    /// Did a reply take longer than a customer waits, and twice as long as most did when the registry was fastest?
    fn is_slow(&mut self, took_us: u64, now: Moment) -> bool {
        let Some(usual_us) = self.patience.usual else { return false };
        if usual_us <= self.best_us || now.since(self.best_at) >= BEST_US {
            (self.best_us, self.best_at) = (usual_us, now);
        }
        let is_slow = took_us > (2 * self.best_us).max(self.terms.deadline_us);
        self.slow = if is_slow { (self.slow + 1).min(SLOW_MAX) } else { self.slow.saturating_sub(1) };
        is_slow
    }

    /// Have more replies been slow lately than not?
    const fn are_most_slow(&self) -> bool {
        self.slow >= SLOW_MAX / 2
    }

    /// A further try brought an answer: others may follow, unless load is what they have to mend.
    pub(super) fn help(&mut self, now: Moment) {
        if !self.is_strained(now) {
            self.budget.help();
        }
    }

    /// Does anything say that the registry is asked for too much?
    pub(super) fn is_strained(&self, now: Moment) -> bool {
        self.limit.was_overloaded_within(LATELY_US, now)
            || self.ceiling.is_found()
            || self.pace.was_lowered_within(LATELY_US, now)
            || self.are_most_slow()
            || self.queue.len() > 0
            || self.breaker.state() == stats::Breaker::Open
    }

    /// After so much bad data about one company in a row, is that how its record is? Where much is bad, it takes more.
    pub(super) fn is_record_bad(&self, in_a_row: u32) -> bool {
        in_a_row >= TRIES_MAX && self.bad_data.share().powf(in_a_row.into()) < BAD_RECORD_CHANCE
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
