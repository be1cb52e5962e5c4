//! Pace: a registry that says 429 is asked no more often than it bears, learnt by its 429s.
//!
//! A token bucket whose rate follows Chiu and Jain's rule (1989): a 429 takes it below what was borne, quiet time adds a
//! little. Until the first 429 there is no rate. All workers have one bucket, kept as the moment at which it was empty
//! (the generic cell rate algorithm, ITU-T I.371), so that a worker that takes from it changes one word.

use super::ledger::{Line, Word};
use super::moment::{MS, Moment, S};

/// A 429 leaves this share of what was borne in the second before it.
const DECREASE: f64 = 0.9;
/// 429s within so much of one another speak of the same excess.
const DECREASE_APART_US: u64 = S;
/// Each second in which the pace held somebody back adds this share, and this rate.
const INCREASE_SHARE: f64 = 0.01;
const INCREASE_PER_S: f64 = 0.2;
/// The slowest pace, tries a second: one that is never asked could never tell that it bears more.
const RATE_MIN: f64 = 1.0;
/// What is not asked for at once may be asked for within so much.
const BURST_US: u64 = 50 * MS;

/// The lowest bit of [`Word::PaceRaisedAt`].
const HELD_BACK: u64 = 1;
/// The low half of [`Word::Borne`].
const THIS_SECOND: u64 = 0xffff_ffff;

/// How often one registry may be asked, by all workers.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    line: Line,
}

impl Pace {
    pub(super) const fn new(line: Line) -> Self {
        Self { line }
    }

    /// Tries a second; infinite until it is known.
    pub(super) fn rate_per_s(&self) -> f64 {
        match self.line.load(Word::Pace) {
            0 => f64::INFINITY,
            rate => f64::from_bits(rate).max(RATE_MIN),
        }
    }

    /// Microseconds until another try may begin; 0 for now.
    pub(super) fn wait_us(&self, now: Moment) -> u64 {
        if self.rate_per_s().is_infinite() {
            return 0;
        }
        self.raise(now);
        let rate_per_s = self.rate_per_s();
        let empty_at = empty_at(self.line.load(Word::PaceEmptyAt), now, rate_per_s);
        let wait_ns = (empty_at + apart_ns(rate_per_s)).saturating_sub(nanoseconds(now));
        if wait_ns > 0 {
            self.line.update(Word::PaceRaisedAt, |raised| raised | HELD_BACK);
        }
        wait_ns.div_ceil(1000)
    }

    /// A try begins.
    pub(super) fn begin(&self, now: Moment) {
        self.turn_second(now);
        self.line.add(Word::Borne, 1);
        let rate_per_s = self.rate_per_s();
        if rate_per_s.is_finite() {
            let take = |word| empty_at(word, now, rate_per_s) + apart_ns(rate_per_s);
            self.line.update(Word::PaceEmptyAt, take);
        }
    }

    /// A try that began did not reach the registry.
    pub(super) fn give_back(&self, now: Moment) {
        self.was_not_borne(now);
        let rate_per_s = self.rate_per_s();
        if rate_per_s.is_finite() {
            self.line.update(Word::PaceEmptyAt, |word| word.saturating_sub(apart_ns(rate_per_s)));
        }
    }

    /// The registry said 429 to a try.
    pub(super) fn refuse(&self, now: Moment) {
        self.was_not_borne(now);
        let rate_per_s = self.rate_per_s();
        let lowered_at = self.line.load(Word::PaceLoweredAt);
        let is_known = rate_per_s.is_finite() && now.since(Moment(lowered_at)) < DECREASE_APART_US;
        // Where two workers hear it at once, it is lowered once.
        if is_known || !self.line.change(Word::PaceLoweredAt, lowered_at, now.0) {
            return;
        }
        let lower = (rate_per_s.min(self.borne_per_s(now)) * DECREASE).max(RATE_MIN);
        self.line.store(Word::Pace, lower.to_bits());
        self.line.store(Word::PaceRaisedAt, now.0 << 1);
        self.line.raise(Word::PaceEmptyAt, nanoseconds(now));
    }

    /// Raises the rate, once a second, if it held somebody back.
    fn raise(&self, now: Moment) {
        let raised = self.line.load(Word::PaceRaisedAt);
        let is_due = now.since(Moment(raised >> 1)) >= S;
        if is_due && self.line.change(Word::PaceRaisedAt, raised, now.0 << 1) && raised & HELD_BACK != 0 {
            let higher = |rate| (f64::from_bits(rate) * (1.0 + INCREASE_SHARE) + INCREASE_PER_S).to_bits();
            self.line.update(Word::Pace, higher);
        }
    }

    fn was_not_borne(&self, now: Moment) {
        self.turn_second(now);
        self.line.update(Word::Borne, |borne| borne - u64::from(borne & THIS_SECOND > 0));
    }

    fn turn_second(&self, now: Moment) {
        let from = self.line.load(Word::BorneFrom);
        let passed_us = now.since(Moment(from));
        if passed_us < S {
            return;
        }
        let is_next = passed_us < 2 * S;
        let next = if is_next { from + S } else { now.0 };
        if self.line.change(Word::BorneFrom, from, next) {
            self.line.update(Word::Borne, |borne| if is_next { borne << 32 } else { 0 });
        }
    }

    /// Tries a second that were borne, over the second before now.
    #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
    fn borne_per_s(&self, now: Moment) -> f64 {
        let borne = self.line.load(Word::Borne);
        let share_before = 1.0 - seconds(now.since(Moment(self.line.load(Word::BorneFrom)))).min(1.0);
        (borne & THIS_SECOND) as f64 + share_before * (borne >> 32) as f64
    }
}

/// When the bucket was empty, by its word: no longer ago than it takes to fill it.
fn empty_at(word: u64, now: Moment, rate_per_s: f64) -> u64 {
    let full_ns = apart_ns(rate_per_s).max(BURST_US * 1000);
    word.max(nanoseconds(now).saturating_sub(full_ns))
}

const fn nanoseconds(moment: Moment) -> u64 {
    moment.0.saturating_mul(1000)
}

/// Nanoseconds from one try to the next.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second at most: RATE_MIN")]
fn apart_ns(rate_per_s: f64) -> u64 {
    (1e9 / rate_per_s).ceil() as u64
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of days have room in a float")]
fn seconds(us: u64) -> f64 {
    us as f64 / S as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry that bears so many a second, and saves up a second's worth, asked as often as the pace lets one.
    fn play(per_s: f64, from: Moment, to: Moment, pace: &Pace) -> (u32, u32) {
        let (mut tokens, mut counted, mut now) = (per_s, from, from);
        let (mut asked, mut refused) = (0, 0);
        while now < to {
            let wait = pace.wait_us(now).max(1000);
            if pace.wait_us(now) == 0 {
                tokens = (tokens + seconds(now.since(counted)) * per_s).min(per_s);
                counted = now;
                pace.begin(now);
                asked += 1;
                if tokens >= 1.0 {
                    tokens -= 1.0;
                } else {
                    refused += 1;
                    pace.refuse(now);
                }
            }
            now = now + wait;
        }
        (asked, refused)
    }

    #[test]
    fn until_the_first_429_nobody_waits() {
        let pace = Pace::new(Line::alone());
        for at in 0..10_000 {
            assert_eq!(pace.wait_us(Moment(at)), 0);
            pace.begin(Moment(at));
        }
        assert!(pace.rate_per_s().is_infinite());
    }

    #[test]
    fn the_rate_is_found_and_kept() {
        for per_s in [20.0, 100.0, 400.0] {
            let pace = Pace::new(Line::alone());
            play(per_s, Moment(0), Moment(10 * S), &pace);
            let (asked, refused) = play(per_s, Moment(10 * S), Moment(60 * S), &pace);
            assert!(f64::from(asked) > 0.85 * per_s * 50.0, "{per_s}: {asked}");
            assert!(f64::from(refused) < 0.05 * f64::from(asked), "{per_s}: {refused} of {asked}");
        }
    }

    #[test]
    fn a_try_that_did_not_reach_the_registry_costs_it_nothing() {
        let (pace, now) = (Pace::new(Line::alone()), Moment(10 * S));
        // Of twenty that began ten did not reach it, and one was refused: nine were borne.
        (0..20).for_each(|_| pace.begin(now));
        (0..10).for_each(|_| pace.give_back(now));
        pace.refuse(now);
        assert!((pace.rate_per_s() - 9.0 * DECREASE).abs() < 1e-9, "{}", pace.rate_per_s());
        // And it leaves its place to the next.
        let later = now + 10 * S;
        pace.begin(later);
        assert!(pace.wait_us(later) > 0);
        pace.give_back(later);
        assert_eq!(pace.wait_us(later), 0);
    }

    #[test]
    fn a_registry_that_bears_nothing_is_asked_once_a_second() {
        let pace = Pace::new(Line::alone());
        pace.begin(Moment(0));
        pace.refuse(Moment(0));
        for second in 1..20 {
            let now = Moment(second * 2 * S);
            assert_eq!(pace.wait_us(now), 0);
            pace.begin(now);
            pace.refuse(now);
            assert!((1..=S).contains(&pace.wait_us(now)));
        }
    }
}
