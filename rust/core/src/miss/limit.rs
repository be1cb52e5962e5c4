//! Bulkhead: a registry is asked for as many at once as it bears, learnt by what is lost.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain 1989), with TCP's slow start until the first loss (Jacobson
//! 1988) and growth only while the limit is in use (RFC 7661). By loss and not by latency: limits that follow latency
//! (gradient, Vegas) shed the healthy traffic of a registry that is merely slow.
//!
//! What is lost is not believed to come of load until a trial says so (as in PCC: Dong and others, NSDI 2015): for a round the
//! registry is asked for half as many. Where load is the cause, up to twice the share is told then, and the limit becomes
//! what was borne. Where as large a share is lost as before (one of four servers is broken, say), that is how the registry
//! is: it is tolerated from then on, and the limit is what it was.
//!
//! There is one limit for a registry, however many workers ask it: all learn it together, by the results of all.

use super::ledger::{Line, Word};
use super::moment::{Moment, S};
use super::policy::Caps;

/// What a decrease leaves of what was borne.
const DECREASE: f64 = 0.95;
/// A share of losses up to this is the registry's nature and not its load: without it, one that loses 5 % whatever is asked
/// of it would be asked for about ten at once (`BBRv2` tolerates 2 %, of a network).
const LOSS_TOLERATED: f64 = 0.1;
/// And so many standard errors of what is always lost: of few results more may be, by chance.
const ERRORS_TOLERATED: f64 = 2.0;
/// A round trip with fewer results goes on: one loss among few says little.
const ROUND_RESULTS_MIN: u32 = 20;
/// It takes so many to say that too many are lost, and whether half as many are not.
const TRIAL_RESULTS_MIN: u32 = 50;
/// So long a trial that found load to be the cause is believed.
const BELIEVED_US: u64 = 60 * S;
/// What was borne is what ran beside the tries that were lost: each counts by so much. A share of losses does not tell it, as those
/// that are refused at once are soon followed by others.
const BESIDE_SHARE: f64 = 0.125;
/// By so much of the difference what is always lost falls in a round in which less is.
const FORGET: f64 = 0.125;

/// A result, as the round's word counts them; a loss is one more in its low half.
const ONE_RESULT: u64 = 1 << 32;

/// How a registry bore a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Result {
    /// Well: it may bear more.
    Borne,
    /// It was not lost, but much slower than at the registry's best: no reason to ask for more. Where most are, slow start is
    /// over (`HyStart`: Ha and Rhee 2008).
    Slow {
        /// Are most?
        are_most: bool,
    },
    /// It was refused, or never answered.
    Lost,
}

/// How many tries of all workers may run at once.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    line: Line,
    start: f64,
    max: f64,
    /// Beside so many, of late, a try was lost.
    beside: f64,
    /// In this round: how long lost tries took, and all.
    took_us: (u64, u64),
}

impl Limit {
    pub(super) fn new(caps: Caps, line: Line) -> Self {
        let max = f64::from(caps.concurrency_max.max(1));
        Self {
            line,
            start: f64::from(caps.concurrency_start).clamp(1.0, max),
            max,
            beside: max,
            took_us: (0, 0),
        }
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

    /// A try ended so after `took_us`, while so many ran, itself included; `round_trip_us` is what one usually takes.
    pub(super) fn count(
        &mut self,
        (result, took_us): (Result, u64),
        running: usize,
        round_trip_us: u64,
        now: Moment,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "tries that run: far below 2^53")]
        let in_use = running as f64 * 1.3 >= self.most(self.line.load(Word::Limit));
        let round_began = Moment(self.line.load(Word::RoundBegan));
        // What began before half was tried says nothing of half.
        let is_of_before = self.is_tried() && round_began + took_us > now;
        if !in_use || is_of_before {
            return;
        }
        if result == Result::Lost {
            #[expect(clippy::cast_precision_loss, reason = "tries that run: far below 2^53")]
            let beside = running.saturating_sub(1) as f64;
            self.beside += (beside - self.beside) * BESIDE_SHARE;
            self.took_us.0 += took_us;
        }
        self.took_us.1 += took_us;
        let round = self.line.add(Word::Round, ONE_RESULT + u64::from(result == Result::Lost));
        if result == Result::Borne && !self.is_tried() {
            let slow_start_below = f64::from_bits(self.line.load(Word::SlowStartBelow));
            self.change(|most| {
                let is_slow_start = slow_start_below == 0.0 || most < slow_start_below;
                most + if is_slow_start { 0.5 } else { 1.0 / most }
            });
        }
        if result == (Result::Slow { are_most: true }) {
            let most = self.most(self.line.load(Word::Limit));
            self.line.update(Word::SlowStartBelow, |below| {
                if below == 0 { most.to_bits() } else { f64::from_bits(below).min(most).to_bits() }
            });
        }
        let (results, losses) = (low_half(round >> 32), low_half(round));
        let is_over = now.since(round_began) >= round_trip_us && results >= ROUND_RESULTS_MIN;
        let lost = f64::from(losses) / f64::from(results.max(1));
        if !is_over || results < TRIAL_RESULTS_MIN && (self.is_tried() || self.is_too_much(lost, results)) {
            return;
        }
        // Where two workers end a round at once, it is ended once.
        if self.line.change(Word::Round, round, 0) {
            self.line.store(Word::RoundBegan, now.0);
            self.end_round(lost, results, now);
            self.took_us = (0, 0);
        }
    }

    /// So many were borne at once in this round: those beside which tries were lost, less the lost ones among them, which are as
    /// many as the share of time that they took (Little 1961).
    #[expect(clippy::cast_precision_loss, reason = "microseconds of days have room in a float")]
    fn borne(&self) -> f64 {
        let (lost_us, all_us) = self.took_us;
        let lost = lost_us as f64 / all_us.max(1) as f64;
        self.beside * ((1.0 - lost) / (1.0 - self.always_lost())).min(1.0)
    }

    /// Is more lost than the registry loses anyway?
    fn is_too_much(&self, lost: f64, results: u32) -> bool {
        let always = self.always_lost();
        let error = (always * (1.0 - always) / f64::from(results)).sqrt();
        lost > LOSS_TOLERATED + always + ERRORS_TOLERATED * error
    }

    /// What a round's losses say.
    fn end_round(&mut self, lost: f64, results: u32, now: Moment) {
        let always = self.always_lost();
        let trial = self.line.load(Word::Trial);
        if trial != 0 {
            self.line.store(Word::Trial, 0);
            return self.end_trial(of_halves(trial), lost, now);
        }
        if lost < always {
            self.line.store(Word::AlwaysLost, (always + (lost - always) * FORGET).to_bits());
        }
        if !self.is_too_much(lost, results) {
            self.line.store(Word::Lowered, 0);
            return;
        }
        // Where load was the cause a while ago, it is again, unless lowering the limit does not help.
        if self.was_overloaded_within(BELIEVED_US, now) && self.line.load(Word::Lowered) == 0 {
            self.line.store(Word::Lowered, 1);
            let borne = self.borne();
            return self.overload(|most| (most / 2.0).max(most.min(borne) * DECREASE), now);
        }
        let most = self.most(self.line.load(Word::Limit));
        self.line.store(Word::Lowered, 0);
        self.line.store(Word::Trial, halves(most, lost));
        self.beside = self.borne();
        self.change(|most| most / 2.0);
    }

    /// Of `all` so much was lost, and of half of it so much.
    fn end_trial(&self, (all, lost_of_all): (f64, f64), lost_of_half: f64, now: Moment) {
        let told_of_all = 1.0 - lost_of_all;
        // If load is the cause: as many are borne as before, up to what is told anyway.
        let told_if_load = (2.0 * told_of_all).min(1.0 - self.always_lost());
        if 1.0 - lost_of_half < f64::midpoint(told_of_all, told_if_load) {
            self.line.store(Word::AlwaysLost, lost_of_half.to_bits());
            self.change(|_| all);
            return;
        }
        self.overload(|half| half.max(all.min(self.beside) * DECREASE), now);
    }

    /// Load is the cause of losses: the limit becomes this.
    fn overload(&self, next: impl Fn(f64) -> f64, now: Moment) {
        let most = self.change(next);
        self.line.store(Word::SlowStartBelow, most.to_bits());
        self.line.store(Word::OverloadedAt, now.0);
    }

    fn always_lost(&self) -> f64 {
        f64::from_bits(self.line.load(Word::AlwaysLost))
    }

    /// Is it tried whether half as many lose less?
    fn is_tried(&self) -> bool {
        self.line.load(Word::Trial) != 0
    }

    /// Was load the cause of losses within this time?
    pub(super) fn was_overloaded_within(&self, us: u64, now: Moment) -> bool {
        let at = self.line.load(Word::OverloadedAt);
        at != 0 && now.since(Moment(at)) < us
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
        self.line.store(Word::Trial, 0);
    }

    /// What it bears is to be found anew, from so many on.
    pub(super) fn begin_from(&self, most: u32) {
        self.line.store(Word::SlowStartBelow, 0);
        self.line.store(Word::Round, 0);
        self.line.store(Word::Trial, 0);
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

/// [`Word::Trial`].
#[expect(clippy::cast_possible_truncation, reason = "a limit and a share need no more")]
fn halves(most: f64, lost: f64) -> u64 {
    u64::from((most as f32).to_bits()) << 32 | u64::from((lost as f32).to_bits())
}

fn of_halves(word: u64) -> (f64, f64) {
    (f32::from_bits((word >> 32) as u32).into(), f32::from_bits(low_half(word)).into())
}

const fn low_half(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(is_lost: bool) -> (Result, u64) {
        (if is_lost { Result::Lost } else { Result::Borne }, ROUND_TRIP_US)
    }
    use crate::miss::chance::Chance;
    use crate::miss::moment::MS;

    const ROUND_TRIP_US: u64 = 100 * MS;

    #[test]
    fn what_is_lost_whatever_is_asked_is_no_reason_to_ask_for_less() {
        for (what, bears, lost_anyway, least, most) in [
            ("one of four servers is broken", u64::MAX, 25, 150, 200),
            ("and it bears 60 at once", 60, 25, 40, 80),
            ("it bears 60 at once", 60, 0, 50, 75),
            ("it bears 10 at once", 10, 0, 5, 16),
        ] {
            let mut limit = Limit::new(Caps { concurrency_start: 160, concurrency_max: 200 }, Line::alone());
            let mut chance = Chance::new(11);
            let mut sum = 0;
            for round in 1..=400 {
                let running = limit.get();
                for _ in 0..running {
                    let is_beyond = chance.up_to(u64::from(running) - 1) >= bears;
                    let is_lost = is_beyond || chance.up_to(99) < lost_anyway;
                    limit.count(
                        result(is_lost),
                        running as usize,
                        ROUND_TRIP_US,
                        Moment(round * ROUND_TRIP_US),
                    );
                }
                sum += if round > 200 { limit.get() } else { 0 };
            }
            assert!((least..=most).contains(&(sum / 200)), "{what}: {}", sum / 200);
        }
    }

    /// The limit after so many round trips, each with as many results as the limit, of which every `loss_every`th is lost.
    fn after(round_trips: u64, loss_every: u32, caps: Caps) -> u32 {
        let mut limit = Limit::new(caps, Line::alone());
        let mut count = 0;
        for round in 1..=round_trips {
            for _ in 0..limit.get() {
                count += 1;
                let now = Moment(round * ROUND_TRIP_US);
                limit.count(result(count % loss_every == 0), limit.get() as usize, ROUND_TRIP_US, now);
            }
        }
        limit.get()
    }

    #[test]
    fn it_grows_by_half_until_a_loss_and_keeps_within_its_bounds() {
        let caps = Caps { concurrency_start: 20, concurrency_max: 200 };
        for (round_trips, loss_every, least, most) in [
            (1, u32::MAX, 30, 30),
            (2, u32::MAX, 45, 45),
            (9, u32::MAX, 200, 200),
            (9, 20, 195, 200), // 5 % lost, whatever is asked: its nature
            (60, 4, 190, 200), // a quarter is lost, whatever is asked
            (60, 2, 190, 200), // half is
        ] {
            let found = after(round_trips, loss_every, caps);
            assert!((least..=most).contains(&found), "{round_trips} {loss_every}: {found}");
        }
        let limit = Limit::new(Caps { concurrency_start: 20, concurrency_max: 0 }, Line::alone());
        assert_eq!(limit.get(), 1, "one is always allowed");
    }

    #[test]
    fn half_is_tried_and_what_was_borne_is_the_limit_afterwards() {
        for (lost_of_half, limit_after, always_lost) in
            [(0, 65, 0.0), (5, 79, 0.0), (15, 100, 0.3), (20, 100, 0.4)]
        {
            let mut limit = Limit::new(Caps { concurrency_start: 100, concurrency_max: 100 }, Line::alone());
            let round = |limit: &mut Limit, of: u32, lost: u32, at: u64| {
                let now = Moment(at * ROUND_TRIP_US);
                (0..of).for_each(|nth| limit.count(result(nth < lost), 100, ROUND_TRIP_US, now));
            };
            round(&mut limit, 50, 15, 1);
            assert_eq!(limit.get(), 50, "thirty in a hundred are lost");
            round(&mut limit, 50, lost_of_half, 2);
            assert_eq!(limit.get(), limit_after, "{lost_of_half}");
            assert!((limit.always_lost() - always_lost).abs() < 0.01, "{lost_of_half}");
            let is_load = limit.was_overloaded_within(ROUND_TRIP_US, Moment(2 * ROUND_TRIP_US));
            assert_eq!(is_load, always_lost == 0.0);
        }
    }

    #[test]
    fn slow_growth_after_a_loss() {
        let mut limit = Limit::new(Caps { concurrency_start: 90, concurrency_max: 200 }, Line::alone());
        limit.line.store(Word::SlowStartBelow, 90_f64.to_bits());
        (0..90).for_each(|_| limit.count(result(false), 90, ROUND_TRIP_US, Moment(ROUND_TRIP_US)));
        assert_eq!(limit.get(), 90, "one more, almost");
        limit.count(result(false), 90, ROUND_TRIP_US, Moment(ROUND_TRIP_US));
        assert_eq!(limit.get(), 91);
    }

    #[test]
    fn what_is_not_in_use_neither_grows_nor_shrinks() {
        let mut limit = Limit::new(Caps { concurrency_start: 100, concurrency_max: 200 }, Line::alone());
        for at in 0..1000 {
            limit.count(result(at % 2 == 0), 49, ROUND_TRIP_US, Moment(at * ROUND_TRIP_US));
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
                limit.overload(|_| 360.0, Moment(0));
            } else {
                limit.count(result(false), 400, ROUND_TRIP_US, Moment(0));
            }
            limit.start = 20.0;
            limit.restart();
            assert_eq!(limit.get(), if lost_before { 90 } else { 100 });
            (0..801).for_each(|_| limit.count(result(false), 500, ROUND_TRIP_US, Moment(ROUND_TRIP_US)));
            assert_eq!(limit.get(), soon);
        }
    }
}
