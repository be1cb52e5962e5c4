//! Pace: a registry that says 429 is asked no more often than it bears, learnt by its 429s.
//!
//! A token bucket whose rate follows Chiu and Jain's rule (1989) with TCP's slow start (Jacobson 1988): a 429 takes it below
//! what was borne, and time without one adds a little to it; or doubles it, while it is below all that a 429 told. One 429 in a
//! second of few tries tells that something was too much and not what: it halves the rate, and sets no ceiling.
//!
//! It is over 300 lines, and half of them are tests: what a 429 does to the rate is followed best on one page.
//!
//! Until the first 429 there is no rate. All workers have one bucket, kept as the moment at which it was empty
//! (the generic cell rate algorithm, ITU-T I.371), so that a worker that takes from it changes one word.

use super::ledger::{Line, Word};
use super::moment::{MS, Moment, S};

/// A 429 leaves this share of what was borne in the second before it.
const DECREASE: f64 = 0.9;
/// Of a second with fewer tries than these, and than half of the rate, nothing is learnt of how many it bears.
const TRIES_TOLD_BY: f64 = 20.0;
/// A 429 says so long what is not borne, and a second says so long what is.
const TOLD_FOR_US: u64 = 60 * S;
/// 429s within so much of one another speak of the same excess.
const DECREASE_APART_US: u64 = S;
/// Each second in which the pace held somebody back doubles it below its ceiling, and else adds this share, and this rate.
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
/// A try of the second before, in its high half.
const ONE_BEFORE: u64 = 1 << 32;

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

    /// Did a 429 lower it within this time?
    pub(super) fn was_lowered_within(&self, us: u64, now: Moment) -> bool {
        let lowered_at = self.line.load(Word::PaceLoweredAt);
        lowered_at != 0 && now.since(Moment(lowered_at)) < us
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
        if is_known && self.line.load(Word::Borne) == 0 {
            // All that was asked was refused, which does not tell how many would be borne.
            self.line.store(Word::Pace, RATE_MIN.to_bits());
            self.line.store(Word::PaceCeiling, 0);
        }
        // Where two workers hear it at once, it is lowered once.
        if is_known || !self.line.change(Word::PaceLoweredAt, lowered_at, now.0) {
            return;
        }
        let lower = self.lower(rate_per_s, now).max(RATE_MIN);
        self.line.store(Word::Pace, lower.to_bits());
        self.line.store(Word::PaceRaisedAt, now.0 << 1);
        self.line.raise(Word::PaceEmptyAt, nanoseconds(now));
    }

    /// The rate after a 429, and what it tells of what is borne.
    fn lower(&self, rate_per_s: f64, now: Moment) -> f64 {
        let (borne_per_s, best_per_s) = (self.borne_per_s(now), self.best_per_s(now));
        if borne_per_s < TRIES_TOLD_BY.min(rate_per_s / 2.0) {
            return if rate_per_s.is_finite() { rate_per_s / 2.0 } else { best_per_s * DECREASE };
        }
        let lower = rate_per_s.min(borne_per_s) * DECREASE;
        // Far less than before: a bad moment, or it bears less now. Said again and again it is believed.
        let best_per_s = if borne_per_s < best_per_s / 2.0 { best_per_s / 2.0 } else { lower };
        self.line.store(Word::PaceBest, best_word(best_per_s, now));
        self.line.store(Word::PaceCeiling, best_per_s.max(RATE_MIN).to_bits());
        lower
    }

    /// Raises the rate, once a second, if it held somebody back.
    fn raise(&self, now: Moment) {
        let raised = self.line.load(Word::PaceRaisedAt);
        let is_due = now.since(Moment(raised >> 1)) >= S;
        if is_due && self.line.change(Word::PaceRaisedAt, raised, now.0 << 1) && raised & HELD_BACK != 0 {
            let ceiling = self.ceiling_per_s(now);
            // Without this a registry that bears nothing would be asked twice a second.
            let is_borne = self.borne_per_s(now) >= RATE_MIN;
            self.line.update(Word::Pace, |rate| {
                let rate = f64::from_bits(rate);
                let doubled = if is_borne { (rate * 2.0).min(ceiling) } else { 0.0 };
                doubled.max(rate * (1.0 + INCREASE_SHARE) + INCREASE_PER_S).to_bits()
            });
        }
    }

    /// What was said not to be borne; infinite when that is long ago.
    fn ceiling_per_s(&self, now: Moment) -> f64 {
        match self.line.load(Word::PaceCeiling) {
            ceiling if ceiling == 0 || self.is_long_ago(now) => f64::INFINITY,
            ceiling => f64::from_bits(ceiling),
        }
    }

    fn is_long_ago(&self, now: Moment) -> bool {
        now.since(Moment(self.line.load(Word::PaceLoweredAt))) >= TOLD_FOR_US
    }

    /// The most that was borne in a second of the last minute.
    fn best_per_s(&self, now: Moment) -> f64 {
        let (best_per_s, at) = best(self.line.load(Word::PaceBest));
        if now.since(at) < TOLD_FOR_US { best_per_s } else { 0.0 }
    }

    fn was_not_borne(&self, now: Moment) {
        self.turn_second(now);
        self.line.update(Word::Borne, |borne| match (borne >> 32, borne & THIS_SECOND) {
            (0, 0) => 0,
            (_, 0) => borne - ONE_BEFORE,
            _ => borne - 1,
        });
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
            #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
            let borne_per_s = (self.line.load(Word::Borne) & THIS_SECOND) as f64;
            if borne_per_s >= self.best_per_s(now) {
                self.line.store(Word::PaceBest, best_word(borne_per_s, now));
            }
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

/// [`Word::PaceBest`]: so many a second, in the second of this moment.
#[expect(clippy::cast_possible_truncation, reason = "a rate needs no more, and seconds of 136 years")]
fn best_word(per_s: f64, at: Moment) -> u64 {
    u64::from((per_s as f32).to_bits()) << 32 | ((at.0 / S) & THIS_SECOND)
}

fn best(word: u64) -> (f64, Moment) {
    let per_s = f32::from_bits((word >> 32) as u32);
    (per_s.into(), Moment((word & THIS_SECOND) * S))
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

    /// One worker asks as often as it may, from `from` on, and all is borne: seconds until it asks `per_s` a second.
    fn seconds_until(per_s: u32, from: Moment, pace: &Pace) -> Option<u64> {
        (0..300).find(|second| {
            let from = from + second * S;
            let may_ask = |ms: &u64| {
                let now = from + ms * MS;
                let may = pace.wait_us(now) == 0;
                if may {
                    pace.begin(now);
                }
                may
            };
            (0..1000_u64).filter(may_ask).count() >= per_s as usize
        })
    }

    #[test]
    fn a_429_that_does_not_tell_how_many_are_borne_is_forgotten_in_seconds() {
        // Tries each second for so many seconds, those of the last second, and 429s to these.
        for (why, before, last, refused, within_s) in [
            ("the first try ever", 0, 1, 1, 12),
            ("twenty at once, to a registry back from a maintenance", 0, 20, 20, 12),
            ("the only try of a quiet second, and it was busy before", 500, 1, 1, 3),
            ("one of a few, and it never was busy", 3, 3, 1, 12),
            ("all of many, and it was busy before", 500, 30, 30, 12),
        ] {
            let pace = Pace::new(Line::alone());
            let tries = |tries: u64, from: Moment| {
                (0..tries).for_each(|nth| pace.begin(from + nth * S / tries.max(1)));
            };
            (0..10).for_each(|second| tries(before, Moment(second * S)));
            tries(last, Moment(11 * S));
            (0..refused).for_each(|_| pace.refuse(Moment(12 * S)));
            let found = seconds_until(480, Moment(12 * S), &pace);
            assert!(found.is_some_and(|found| found <= within_s), "{why}: {found:?} s");
        }
    }

    #[test]
    fn a_429_says_for_a_minute_what_is_not_borne() {
        let pace = Pace::new(Line::alone());
        (0..100).for_each(|nth| pace.begin(Moment(nth * 10 * MS)));
        pace.refuse(Moment(S));
        let asked = |from_s: u64, to_s: u64| {
            let wait = |ms: &u64| pace.wait_us(Moment(ms * MS)) == 0;
            (from_s * 1000..to_s * 1000).filter(wait).for_each(|ms| pace.begin(Moment(ms * MS)));
            pace.rate_per_s()
        };
        let (after_30_s, after_80_s) = (asked(1, 30), asked(30, 80));
        assert!((90.0..140.0).contains(&after_30_s), "a little each second: {after_30_s}");
        assert!(after_80_s > 1000.0, "nothing was too much for a minute: {after_80_s}");
    }

    #[test]
    fn a_try_that_did_not_reach_the_registry_costs_it_nothing() {
        let (pace, now) = (Pace::new(Line::alone()), Moment(10 * S));
        // Of forty that began ten did not reach it, and one was refused: twenty-nine were borne.
        (0..40).for_each(|_| pace.begin(now));
        (0..10).for_each(|_| pace.give_back(now));
        pace.refuse(now);
        assert!((pace.rate_per_s() - 29.0 * DECREASE).abs() < 1e-9, "{}", pace.rate_per_s());
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
