//! Bulkhead: a registry is asked for as many at once as it bears, learnt by what is lost.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain 1989), with TCP's slow start until the first loss (Jacobson
//! 1988) and growth only while the limit is in use (RFC 7661). By loss and not by latency: limits that follow latency
//! (gradient, Vegas) shed the healthy traffic of a registry that is merely slow.
//!
//! There is one limit for a registry, however many workers ask it: all learn it together, by the results of all.

use super::ledger::{Line, Word};
use super::moment::Moment;
use super::policy::Caps;

/// What a decrease leaves.
const DECREASE: f64 = 0.9;
/// A share of losses up to this is the registry's nature and not its load: without it, one that loses 5 % whatever is asked
/// of it would be asked for about ten at once (`BBRv2` tolerates 2 %, of a network).
const LOSS_TOLERATED: f64 = 0.1;
/// A round trip with fewer results goes on: one loss among few says little.
const ROUND_RESULTS_MIN: u32 = 20;

/// A result, as the round's word counts them; a loss is one more in its low half.
const ONE_RESULT: u64 = 1 << 32;

/// How many tries of all workers may run at once.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    line: Line,
    start: f64,
    max: f64,
}

impl Limit {
    pub(super) fn new(caps: Caps, line: Line) -> Self {
        let max = f64::from(caps.concurrency_max.max(1));
        Self { line, start: f64::from(caps.concurrency_start).clamp(1.0, max), max }
    }

    /// So many may run now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to the cap, a u32")]
    pub(super) fn get(&self) -> u32 {
        self.most(self.line.load(Word::Limit)) as u32
    }

    /// So many may ever run.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cap, a u32")]
    pub(super) const fn max(&self) -> u32 {
        self.max as u32
    }

    /// A try ended while so many ran, itself included; `round_trip_us` is what one usually takes.
    pub(super) fn count(&self, is_lost: bool, running: usize, round_trip_us: u64, now: Moment) {
        #[expect(clippy::cast_precision_loss, reason = "tries that run: far below 2^53")]
        let in_use = running as f64 * 2.0 >= self.most(self.line.load(Word::Limit));
        if !in_use {
            return;
        }
        let round = self.line.add(Word::Round, ONE_RESULT + u64::from(is_lost));
        if !is_lost {
            let slow_start_below = f64::from_bits(self.line.load(Word::SlowStartBelow));
            self.change(|most| {
                let is_slow_start = slow_start_below == 0.0 || most < slow_start_below;
                most + if is_slow_start { 1.0 } else { 1.0 / most }
            });
        }
        let (results, losses) = (low_half(round >> 32), low_half(round));
        let is_over = now.since(Moment(self.line.load(Word::RoundBegan))) >= round_trip_us
            && results >= ROUND_RESULTS_MIN;
        // Where two workers end a round at once, it is ended once.
        if is_over && self.line.change(Word::Round, round, 0) {
            self.line.store(Word::RoundBegan, now.0);
            if f64::from(losses) > LOSS_TOLERATED * f64::from(results) {
                let most = self.change(|most| most * DECREASE);
                self.line.store(Word::SlowStartBelow, most.to_bits());
            }
        }
    }

    /// An outage begins. After it the registry is asked for a quarter of what it bore, or as at the start, if that is more,
    /// and soon for all of it: the limit is at most twice what was in use, so a quarter is half of that. Where nothing was
    /// lost yet, what it bears is not known: slow start goes on.
    pub(super) fn restart(&self) {
        let most = self.most(self.line.load(Word::Limit));
        let raised = |below| if below == 0 { 0 } else { f64::from_bits(below).max(most).to_bits() };
        self.line.update(Word::SlowStartBelow, raised);
        self.change(|most| most.min(self.start.max(most / 4.0)));
        self.line.store(Word::Round, 0);
    }

    /// What it bears is to be found anew, from so many on.
    pub(super) fn begin_from(&self, most: u32) {
        self.line.store(Word::SlowStartBelow, 0);
        self.line.store(Word::Round, 0);
        self.change(|_| f64::from(most));
    }

    /// Changes the limit, within its bounds, and gives what it is then. What another worker did meanwhile is kept.
    fn change(&self, next: impl Fn(f64) -> f64) -> f64 {
        let most = |word| next(self.most(word)).min(self.max).max(1.0).to_bits();
        f64::from_bits(self.line.update(Word::Limit, most))
    }

    /// What the word says, within what this worker allows.
    fn most(&self, word: u64) -> f64 {
        if word == 0 { self.start } else { f64::from_bits(word).min(self.max).max(1.0) }
    }
}

const fn low_half(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::moment::MS;

    const ROUND_TRIP_US: u64 = 100 * MS;

    /// The limit after so many round trips, each with as many results as the limit, of which every `loss_every`th is lost.
    fn after(round_trips: u64, loss_every: u32, caps: Caps) -> u32 {
        let limit = Limit::new(caps, Line::alone());
        let mut count = 0;
        for round in 1..=round_trips {
            for _ in 0..limit.get() {
                count += 1;
                let now = Moment(round * ROUND_TRIP_US);
                limit.count(count % loss_every == 0, limit.get() as usize, ROUND_TRIP_US, now);
            }
        }
        limit.get()
    }

    #[test]
    fn it_doubles_until_a_loss_and_keeps_within_its_bounds() {
        let caps = Caps { concurrency_start: 20, concurrency_max: 200 };
        for (round_trips, loss_every, least, most) in [
            (1, u32::MAX, 40, 40),
            (2, u32::MAX, 80, 80),
            (9, u32::MAX, 200, 200),
            (9, 20, 195, 200), // 5 % lost, whatever is asked: its nature
            (100, 2, 1, 12),   // half is lost: as few as results can tell of
        ] {
            let found = after(round_trips, loss_every, caps);
            assert!((least..=most).contains(&found), "{round_trips} {loss_every}: {found}");
        }
        let limit = Limit::new(Caps { concurrency_start: 20, concurrency_max: 0 }, Line::alone());
        assert_eq!(limit.get(), 1, "one is always allowed");
    }

    #[test]
    fn one_decrease_a_round_trip_and_slow_growth_afterwards() {
        let limit = Limit::new(Caps { concurrency_start: 100, concurrency_max: 200 }, Line::alone());
        for _ in 0..100 {
            limit.count(true, 100, ROUND_TRIP_US, Moment(ROUND_TRIP_US));
        }
        assert_eq!(limit.get(), 90);
        for _ in 0..90 {
            limit.count(false, 90, ROUND_TRIP_US, Moment(ROUND_TRIP_US + 1));
        }
        assert_eq!(limit.get(), 90, "one more, almost");
        limit.count(false, 90, ROUND_TRIP_US, Moment(ROUND_TRIP_US + 1));
        assert_eq!(limit.get(), 91);
    }

    #[test]
    fn what_is_not_in_use_neither_grows_nor_shrinks() {
        let limit = Limit::new(Caps { concurrency_start: 100, concurrency_max: 200 }, Line::alone());
        for at in 0..1000 {
            limit.count(at % 2 == 0, 49, ROUND_TRIP_US, Moment(at * ROUND_TRIP_US));
        }
        assert_eq!(limit.get(), 100);
    }

    #[test]
    fn after_an_outage_it_begins_with_a_quarter_and_soon_has_all() {
        for (lost_before, soon) in [
            (true, 360),  // fast up to what it bore, slowly from there
            (false, 500), // as nothing was ever lost: fast on
        ] {
            let mut limit = Limit::new(Caps { concurrency_start: 400, concurrency_max: 500 }, Line::alone());
            if lost_before {
                (0..20).for_each(|_| limit.count(true, 400, ROUND_TRIP_US, Moment(ROUND_TRIP_US)));
                assert_eq!(limit.get(), 360);
            } else {
                limit.count(false, 400, ROUND_TRIP_US, Moment(0));
            }
            limit.start = 20.0;
            limit.restart();
            assert_eq!(limit.get(), if lost_before { 90 } else { 100 });
            (0..401).for_each(|_| limit.count(false, 500, ROUND_TRIP_US, Moment(ROUND_TRIP_US)));
            assert_eq!(limit.get(), soon);
        }
    }
}
