//! Pace: a registry that says 429 is asked no more often than it bears, learnt by its 429s.
//!
//! A token bucket whose rate follows Chiu and Jain's rule (1989): a 429 takes it below what was borne, quiet time adds a
//! little. Until the first 429 there is no rate.

use super::moment::{MS, Moment, S};

/// A 429 leaves this share of what was borne in the second before it.
const DECREASE: f64 = 0.9;
/// 429s within so much of one another speak of the same excess.
const DECREASE_APART_US: u64 = S;
/// Each second in which the pace held somebody back adds this share.
const INCREASE_PER_S: f64 = 0.01;
/// The slowest pace, tries a second: one that is never asked could never tell that it bears more.
const RATE_MIN: f64 = 1.0;
/// What is not asked for at once may be asked for within so much.
const BURST_US: u64 = 50 * MS;

/// How often one registry may be asked.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Tries a second; infinite until it is known.
    rate_per_s: f64,
    tokens: f64,
    counted_at: Moment,
    decreased_at: Moment,
    /// Did it hold anybody back since it was last raised?
    held_back: bool,
    raised_at: Moment,
    /// Tries that were not refused, in this second and the one before it.
    borne: [u32; 2],
    borne_from: Moment,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            rate_per_s: f64::INFINITY,
            tokens: 0.0,
            counted_at: Moment(0),
            decreased_at: Moment(0),
            held_back: false,
            raised_at: Moment(0),
            borne: [0; 2],
            borne_from: Moment(0),
        }
    }

    /// Tries a second; infinite until it is known.
    pub(super) const fn rate_per_s(&self) -> f64 {
        self.rate_per_s
    }

    /// Microseconds until another try may begin; 0 for now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second at most: RATE_MIN")]
    pub(super) fn wait_us(&mut self, now: Moment) -> u64 {
        if self.rate_per_s.is_infinite() {
            return 0;
        }
        self.fill(now);
        let missing = 1.0 - self.tokens;
        if missing <= 0.0 {
            return 0;
        }
        self.held_back = true;
        (missing / self.rate_per_s * 1e6).ceil() as u64
    }

    /// A try begins.
    pub(super) fn begin(&mut self, now: Moment) {
        self.turn_second(now);
        let [this, _] = &mut self.borne;
        *this += 1;
        if self.rate_per_s.is_finite() {
            self.fill(now);
            self.tokens -= 1.0;
        }
    }

    /// The registry said 429 to a try.
    pub(super) fn refuse(&mut self, now: Moment) {
        self.turn_second(now);
        let [this, _] = &mut self.borne;
        *this = this.saturating_sub(1);
        if self.rate_per_s.is_finite() && now.since(self.decreased_at) < DECREASE_APART_US {
            return;
        }
        self.fill(now);
        self.rate_per_s = (self.rate_per_s.min(self.borne_per_s(now)) * DECREASE).max(RATE_MIN);
        (self.decreased_at, self.raised_at, self.held_back) = (now, now, false);
        self.tokens = self.tokens.min(0.0);
    }

    fn fill(&mut self, now: Moment) {
        if self.rate_per_s.is_infinite() {
            (self.counted_at, self.raised_at) = (now, now);
            return;
        }
        if now.since(self.raised_at) >= S {
            if self.held_back {
                self.rate_per_s *= 1.0 + INCREASE_PER_S;
            }
            (self.raised_at, self.held_back) = (now, false);
        }
        let most = (seconds(BURST_US) * self.rate_per_s).max(1.0);
        self.tokens = (self.tokens + seconds(now.since(self.counted_at)) * self.rate_per_s).min(most);
        self.counted_at = self.counted_at.max(now);
    }

    fn turn_second(&mut self, now: Moment) {
        let passed_us = now.since(self.borne_from);
        if passed_us >= S {
            let [this, _] = self.borne;
            self.borne = [0, if passed_us < 2 * S { this } else { 0 }];
            self.borne_from = if passed_us < 2 * S { self.borne_from + S } else { now };
        }
    }

    /// Tries a second that were borne, over the second before now.
    fn borne_per_s(&self, now: Moment) -> f64 {
        let [this, before] = self.borne;
        let share_before = 1.0 - seconds(now.since(self.borne_from)).min(1.0);
        f64::from(this) + share_before * f64::from(before)
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of days have room in a float")]
fn seconds(us: u64) -> f64 {
    us as f64 / S as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry that bears so many a second, and saves up a second's worth, asked as often as the pace lets one.
    fn play(per_s: f64, from: Moment, to: Moment, pace: &mut Pace) -> (u32, u32) {
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
        let mut pace = Pace::new();
        for at in 0..10_000 {
            assert_eq!(pace.wait_us(Moment(at)), 0);
            pace.begin(Moment(at));
        }
        assert!(pace.rate_per_s().is_infinite());
    }

    #[test]
    fn the_rate_is_found_and_kept() {
        for per_s in [20.0, 100.0, 400.0] {
            let mut pace = Pace::new();
            play(per_s, Moment(0), Moment(10 * S), &mut pace);
            let (asked, refused) = play(per_s, Moment(10 * S), Moment(60 * S), &mut pace);
            assert!(f64::from(asked) > 0.85 * per_s * 50.0, "{per_s}: {asked}");
            assert!(f64::from(refused) < 0.05 * f64::from(asked), "{per_s}: {refused} of {asked}");
        }
    }

    #[test]
    fn a_registry_that_bears_nothing_is_asked_once_a_second() {
        let mut pace = Pace::new();
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
