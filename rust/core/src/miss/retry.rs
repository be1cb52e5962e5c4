//! Retries: only what another try may mend is tried again, after a random wait, and never more than a share of first tries.
//!
//! Full jitter: Brooker, "Exponential Backoff And Jitter" (AWS, 2015). The budget is Finagle's: first tries earn, further
//! ones pay, and a little comes with time, so that a registry that is seldom asked may be asked again too.

use super::chance::Chance;
use super::moment::{MS, Moment, S};

/// The longest wait before the first retry; doubled before each further one.
const WAIT_US: u64 = 50 * MS;
/// And this part of it where nothing says that load is the trouble.
const UNSTRAINED: u64 = 10;
/// More tries than this are not saved for bad times.
pub(super) const SAVED_MAX: f64 = 100.0;

/// Full jitter: anything up to the wait that grows with each retry, from 0. Where nothing says that load is the trouble, there
/// is no crowd to be spread, and the customer's time is short.
pub(super) fn wait_us(nth: u32, is_strained: bool, chance: &mut Chance) -> u64 {
    let most_us = WAIT_US << nth.min(8);
    chance.up_to(if is_strained { most_us } else { most_us / UNSTRAINED })
}

/// May a question be asked again after a reply of no use with this status? What was refused, sent elsewhere or throttled may not.
pub(super) const fn is_mended_by_another(status: u16) -> bool {
    matches!(status, 200 | 500..)
}

/// What second tries and retries one registry may be asked for.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    share: f64,
    per_s: f64,
    per_help: f64,
    saved: f64,
    /// For retries alone.
    helped: f64,
    counted_at: Moment,
}

impl Budget {
    /// `share` of first tries, `per_s` beside them, and `per_help` for each retry that helped. What a few seconds bring is there
    /// at once.
    pub(super) fn new(share: f64, per_s: f64, per_help: f64) -> Self {
        let saved = (5.0 * per_s).min(SAVED_MAX);
        Self { share, per_s, per_help, saved, helped: 0.0, counted_at: Moment::default() }
    }

    /// A first try began.
    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + self.share).min(SAVED_MAX);
    }

    /// A retry mended what had failed, and load is not the trouble: others may follow. Second tries for slowness earn nothing: of
    /// these nobody knows whether they were needed.
    pub(super) fn help(&mut self) {
        self.helped = (self.helped + self.per_help).min(SAVED_MAX);
    }

    /// May something that failed be tried again?
    pub(super) fn has_retry(&mut self, now: Moment) -> bool {
        self.helped >= 1.0 || self.has(0.0, now)
    }

    /// It is, or is to be soon.
    pub(super) fn spend_retry(&mut self) {
        if self.helped >= 1.0 {
            self.helped -= 1.0;
        } else {
            self.spend();
        }
    }

    /// Is there a further try in it, and `rest` beside that?
    pub(super) fn has(&mut self, rest: f64, now: Moment) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of days have room in a float")]
        let passed_s = now.since(self.counted_at) as f64 / S as f64;
        self.counted_at = self.counted_at.max(now);
        self.saved = (self.saved + passed_s * self.per_s).min(SAVED_MAX);
        self.saved >= 1.0 + rest
    }

    /// A further try begins, or is to begin soon, which it [has](Self::has).
    pub(super) fn spend(&mut self) {
        self.saved -= 1.0;
    }

    /// One that was to begin did not.
    pub(super) fn give_back(&mut self) {
        self.saved = (self.saved + 1.0).min(SAVED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_try_may_mend_is_tried_again() {
        for (status, expected) in [
            (200, true), // another server, or another moment, may word it better
            (204, false),
            (301, false),
            (404, false),
            (429, false),
            (400, false),
            (500, true),
            (503, true),
        ] {
            assert_eq!(is_mended_by_another(status), expected, "{status}");
        }
    }

    #[test]
    fn waits_are_anything_up_to_twice_the_last() {
        let mut chance = Chance::new(3);
        for (nth, is_strained, most) in [
            (0, true, WAIT_US),
            (1, true, 2 * WAIT_US),
            (200, true, 256 * WAIT_US),
            (0, false, WAIT_US / 10),
            (1, false, WAIT_US / 5),
        ] {
            let waits: Vec<u64> = (0..200).map(|_| wait_us(nth, is_strained, &mut chance)).collect();
            assert!(waits.iter().all(|wait| *wait <= most));
            assert!(
                waits.iter().any(|wait| *wait > most / 10 * 9) && waits.iter().any(|wait| *wait < most / 10)
            );
        }
    }

    #[test]
    fn the_budget_is_a_share_and_a_little() {
        let mut budget = Budget::new(0.1, 2.0, 20.0);
        for (earned, at_s, expected, why) in [
            (0, 0, 10, "what five seconds bring"),
            (50, 0, 4, "a tenth of 50, but for rounding"),
            (0, 3, 6, "two a second"),
            (10_000, 900, 100, "no more is saved"),
        ] {
            (0..earned).for_each(|_| budget.earn());
            let mut spent = 0;
            while budget.has(0.0, Moment(at_s * S)) {
                budget.spend();
                spent += 1;
            }
            assert_eq!(spent, expected, "{why}");
        }
    }
}
