//! Ceiling: a registry that tells less in time the more it is asked for is asked for no more than it tells in time.
//!
//! A loss-based limit never sees a registry that only gets slower: nothing is lost, everything is late. So tries are counted by
//! how many ran when they began, and by whether they were answered within what a customer waits. Of all splits of these
//! counts in few and many at once, the one that explains most is looked at (a regression tree's first: Breiman, Friedman,
//! Olshen and Stone, 1984): where, beyond it, less than half of the share is in time, by four standard errors, is the ceiling.
//!
//! It is no limit that follows latency: a registry that is slow whatever is asked of it has no such split. A ceiling that keeps
//! nothing in time is given up, and what is borne is found anew. Now and then a few tries go beyond it, to see whether more
//! is borne by now: the first time after 5 s, and each time in vain after twice as long.

use super::ledger::{Line, Word};
use super::moment::{Moment, S};

/// So many at once are counted each by themselves; above, 16 steps to a doubling.
const ALONE: usize = 128;
const STEPS_A_DOUBLING: f64 = 16.0;
/// Up to 4,096 at once.
const BANDS: usize = ALONE + 80;
/// After so many results all count half.
const RESULTS_MAX: u32 = 2048;
/// Standard errors by which the shares must differ: one such split among hundreds, thousands of times, is no chance.
const ERRORS_MIN: f64 = 4.0;
/// Fewer results than these say nothing.
const FEW_MIN: f64 = 20.0;
const MANY_MIN: f64 = 10.0;
/// A ceiling is judged, and looked beyond, in such times.
const JUDGED_US: u64 = 5 * S;
const LOOK_APART_US_MAX: u64 = 80 * S;
/// What is borne is found anew from this part of the ceiling on: few enough to see how it is with few, and four doublings away.
const ANEW: u32 = 16;
/// The share in time, in the ceiling's word.
const WHOLE: f64 = 1_000_000.0;

/// Tries, and those in time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    all: u32,
    in_time: u32,
}

impl Counts {
    const NONE: Self = Self { all: 0, in_time: 0 };

    fn add(&mut self, in_time: bool) {
        self.all += 1;
        self.in_time += u32::from(in_time);
    }

    fn share(self) -> f64 {
        f64::from(self.in_time) / f64::from(self.all.max(1))
    }
}

/// A look beyond the ceiling.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// So many tries may still begin beyond it.
    left: u32,
    planned: u32,
    counts: Counts,
    began: Moment,
}

/// How many at once a registry answers in time.
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    line: Line,
    /// Is one looked for at all?
    is_sought: bool,
    bands: [Counts; BANDS],
    total: u32,
    /// Those of the last sixty-four or so.
    recent: Counts,
    /// Those since it was last judged.
    kept: Counts,
    judged_at: Moment,
    look: Option<Look>,
    look_at: Moment,
    look_apart_us: u64,
}

impl Ceiling {
    /// None yet; where none `is_sought`, there never is.
    pub(super) const fn new(is_sought: bool, line: Line) -> Self {
        Self {
            line,
            is_sought,
            bands: [Counts::NONE; BANDS],
            total: 0,
            recent: Counts::NONE,
            kept: Counts::NONE,
            judged_at: Moment(0),
            look: None,
            look_at: Moment(0),
            look_apart_us: JUDGED_US,
        }
    }

    /// So many may run at most; None when there is no ceiling.
    pub(super) fn get(&self) -> Option<u32> {
        let (most, _) = self.found()?;
        Some(most + self.look.filter(|look| look.left > 0).map_or(0, |look| look.planned))
    }

    /// So many may run at most, those of a look beyond the ceiling among them until it is judged.
    pub(super) fn reach(&self) -> Option<u32> {
        let (most, _) = self.found()?;
        Some(most + self.look.map_or(0, |look| look.planned))
    }

    /// Is there one?
    pub(super) fn is_found(&self) -> bool {
        self.line.load(Word::Ceiling) != 0
    }

    /// Do nearly as many run as may?
    pub(super) fn is_pressed(&self, running: usize) -> bool {
        self.found().is_some_and(|(most, _)| running * 4 >= most as usize * 3)
    }

    /// The share of the tries that begin now that will be in time; None while that is not known.
    pub(super) fn share(&self) -> Option<f64> {
        let recent = Some(self.recent).filter(|recent| f64::from(recent.all) >= FEW_MIN);
        self.found().map(|(_, share)| share).or_else(|| recent.map(Counts::share))
    }

    /// A try begins as one of so many.
    pub(super) fn begin(&mut self, running: usize, now: Moment) {
        let Some((most, _)) = self.found() else { return };
        match &mut self.look {
            // Not enough of its tries have told anything, and will not any more.
            Some(look) if now.since(look.began) >= JUDGED_US => self.begin_anew(now),
            Some(look) if running > most as usize => look.left = look.left.saturating_sub(1),
            None if running >= most as usize && now >= self.look_at => {
                let planned = (most / 2).max(2);
                self.look = Some(Look { left: planned, planned, counts: Counts::NONE, began: now });
            }
            _ => {}
        }
    }

    /// A try that began as one of so many was answered in time, or was not. Some when what is borne is to be found anew, from so many on.
    pub(super) fn count(&mut self, running: usize, in_time: bool, now: Moment) -> Option<u32> {
        if self.recent.all >= 64 {
            self.recent = Counts { all: self.recent.all / 2, in_time: self.recent.in_time / 2 };
        }
        self.recent.add(in_time);
        if let Some(counts) = self.bands.get_mut(band(running)) {
            counts.add(in_time);
            self.total += 1;
        }
        if self.total >= RESULTS_MAX {
            for counts in &mut self.bands {
                *counts = Counts { all: counts.all / 2, in_time: counts.in_time / 2 };
            }
            self.total = self.bands.iter().map(|counts| counts.all).sum();
        }
        let Some((most, share)) = self.found() else {
            if !in_time && self.is_sought {
                self.split(u32::MAX, now);
            }
            return None;
        };
        if running > most as usize {
            self.judge_look(in_time, now);
            return None;
        }
        self.kept.add(in_time);
        if !in_time {
            self.split(most, now);
        }
        self.judge(share, now).then_some(most / ANEW)
    }

    /// An outage was seen: what was counted may be its doing.
    pub(super) fn restart(&mut self, now: Moment) {
        self.bands = [Counts::NONE; BANDS];
        self.total = 0;
        self.begin_anew(now);
    }

    /// So many at most, and the share of them that is in time.
    fn found(&self) -> Option<(u32, f64)> {
        let word = self.line.load(Word::Ceiling);
        let share = f64::from(u32::try_from(word >> 32).unwrap_or(0)) / WHOLE;
        (word != 0).then(|| (u32::try_from(word & 0xffff_ffff).unwrap_or(u32::MAX), share))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
    fn set(&mut self, most: u32, share: f64, now: Moment) {
        self.line.store(Word::Ceiling, u64::from(most.max(1)) | ((share * WHOLE) as u64) << 32);
        for counts in self.bands.iter_mut().skip(band(most as usize) + 1) {
            self.total -= counts.all;
            *counts = Counts::NONE;
        }
        self.begin_anew(now);
    }

    fn begin_anew(&mut self, now: Moment) {
        (self.kept, self.judged_at) = (Counts::NONE, now);
        (self.look, self.look_at) = (None, now + self.look_apart_us);
    }

    /// Looks for a ceiling below this one.
    fn split(&mut self, below: u32, now: Moment) {
        let all = self.bands.iter().fold(Counts::NONE, |sum, counts| Counts {
            all: sum.all + counts.all,
            in_time: sum.in_time + counts.in_time,
        });
        let (n, p) = (f64::from(all.all), all.share());
        let (mut few, mut best) = (Counts::NONE, None);
        for (number, counts) in self.bands.iter().enumerate() {
            few = Counts { all: few.all + counts.all, in_time: few.in_time + counts.in_time };
            let many = Counts { all: all.all - few.all, in_time: all.in_time - few.in_time };
            let (few_n, many_n) = (f64::from(few.all), f64::from(many.all));
            if few_n < FEW_MIN || many_n < MANY_MIN || many.share() * 2.0 >= few.share() {
                continue;
            }
            let error = (p * (1.0 - p) * n / (few_n * many_n)).sqrt();
            let errors = (few.share() - many.share()) / error;
            if best.is_none_or(|(most, _, _)| errors > most) {
                best = Some((errors, number, few.share()));
            }
        }
        let Some((_, number, share)) = best.filter(|(errors, _, _)| *errors >= ERRORS_MIN) else { return };
        let most = most_of(number);
        if most < below {
            self.look_apart_us = JUDGED_US;
            self.set(most, share, now);
        }
    }

    /// Is less than half as much in time as when the ceiling was found? Then it is of no use.
    fn judge(&mut self, share: f64, now: Moment) -> bool {
        if now.since(self.judged_at) < JUDGED_US || f64::from(self.kept.all) < FEW_MIN {
            return false;
        }
        let is_useless = self.kept.share() * 2.0 < share;
        (self.kept, self.judged_at) = (Counts::NONE, now);
        if is_useless {
            self.line.store(Word::Ceiling, 0);
            self.bands = [Counts::NONE; BANDS];
            self.total = 0;
            self.look = None;
        }
        is_useless
    }

    /// A result from beyond the ceiling: when most have come, it is raised, or stays for longer.
    fn judge_look(&mut self, in_time: bool, now: Moment) {
        let (Some((most, share)), Some(look)) = (self.found(), &mut self.look) else { return };
        look.counts.add(in_time);
        if look.counts.all * 4 < look.planned * 3 {
            return;
        }
        let (found, planned) = (look.counts.share(), look.planned);
        let share = if f64::from(self.kept.all) >= FEW_MIN { self.kept.share() } else { share };
        if found * 2.0 >= share {
            self.look_apart_us = JUDGED_US / 5;
            self.set(most + planned, share, now);
        } else {
            self.look_apart_us = (self.look_apart_us.max(JUDGED_US) * 2).min(LOOK_APART_US_MAX);
            (self.look, self.look_at) = (None, now + self.look_apart_us);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bands")]
#[expect(clippy::cast_precision_loss, reason = "tries that run: far below 2^53")]
fn band(running: usize) -> usize {
    if running < ALONE {
        return running;
    }
    let steps = (running as f64 / ALONE as f64).log2() * STEPS_A_DOUBLING;
    (ALONE + steps as usize).min(BANDS - 1)
}

/// The most at once that fall into a band.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "4,096 at most")]
#[expect(clippy::cast_precision_loss, reason = "bands are few")]
fn most_of(number: usize) -> u32 {
    if number < ALONE {
        return number as u32;
    }
    (ALONE as f64 * ((number + 1 - ALONE) as f64 / STEPS_A_DOUBLING).exp2()).ceil() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::chance::Chance;
    use crate::miss::moment::MS;

    /// A registry that answers so many percent in time while it is asked for so many at once at most, and so many beyond that.
    #[derive(Clone, Copy)]
    struct Bears {
        most: usize,
        percent: u64,
        percent_beyond: u64,
    }

    struct Asked {
        ceiling: Ceiling,
        chance: Chance,
        now: Moment,
        /// So many would run at once, twice.
        reached: usize,
        began_anew_from: Option<u32>,
    }

    impl Asked {
        fn new() -> Self {
            let ceiling = Ceiling::new(true, Line::alone());
            Self { ceiling, chance: Chance::new(7), now: Moment(S), reached: 0, began_anew_from: None }
        }

        /// Fifty tries a second, as many at once as may be, and `wanted` at most, which is reached after a while.
        fn ask(&mut self, bears: Bears, wanted: usize, seconds: usize) -> Option<u32> {
            for _ in 0..seconds * 50 {
                self.now = self.now + 20 * MS;
                let most = self.ceiling.get().map_or(wanted, |most| wanted.min(most as usize));
                self.reached = (self.reached + 1).min(2 * most);
                let running = self.reached.div_ceil(2);
                self.ceiling.begin(running, self.now);
                let percent = if running <= bears.most { bears.percent } else { bears.percent_beyond };
                let in_time = self.chance.up_to(99) < percent;
                let anew = self.ceiling.count(running, in_time, self.now);
                if let Some(from) = anew {
                    (self.reached, self.began_anew_from) = (2 * from as usize, anew);
                }
            }
            self.ceiling.found().map(|(most, _)| most)
        }
    }

    #[test]
    fn it_is_where_answers_begin_to_come_too_late() {
        for (what, most, percent, percent_beyond, expected) in [
            ("it gets slower beyond 40", 40, 63, 8, Some(30..=48)),
            ("and beyond 10", 10, 99, 10, Some(8..=12)),
            ("and beyond 150", 150, 90, 20, Some(120..=180)),
            ("it gets a little slower", 40, 90, 70, None),
            ("it is slow, whatever is asked of it", 40, 10, 10, None),
            ("it is fast", 40, 100, 100, None),
        ] {
            let found = Asked::new().ask(Bears { most, percent, percent_beyond }, 200, 20);
            assert_eq!(found.is_some(), expected.is_some(), "{what}: {found:?}");
            assert!(
                found.zip(expected).is_none_or(|(found, range)| range.contains(&found)),
                "{what}: {found:?}"
            );
        }
    }

    #[test]
    fn it_rises_when_more_is_borne_and_falls_when_less_is() {
        let mut asked = Asked::new();
        let bears = |most| Bears { most, percent: 70, percent_beyond: 5 };
        let found = asked.ask(bears(40), 100, 10).unwrap();
        assert!((30..=48).contains(&found), "{found}");
        let found = asked.ask(bears(80), 100, 120).unwrap();
        assert!((60..=100).contains(&found), "{found}");
        let found = asked.ask(bears(20), 100, 60).unwrap();
        assert!((15..=24).contains(&found), "{found}");
    }

    #[test]
    fn it_is_given_up_when_it_keeps_nothing_in_time() {
        let mut asked = Asked::new();
        let found = asked.ask(Bears { most: 40, percent: 63, percent_beyond: 5 }, 100, 10).unwrap();
        let slow = Bears { most: 40, percent: 5, percent_beyond: 5 };
        assert_eq!((asked.ask(slow, 100, 15), asked.began_anew_from), (None, Some(found / ANEW)));
    }

    #[test]
    fn a_look_beyond_ends_whether_or_not_its_tries_tell_anything() {
        let mut ceiling = Ceiling::new(true, Line::alone());
        ceiling.set(40, 0.6, Moment(S));
        ceiling.begin(40, Moment(7 * S));
        assert_eq!(ceiling.get(), Some(60));
        (0..20).for_each(|_| ceiling.begin(50, Moment(7 * S)));
        assert_eq!(ceiling.get(), Some(40), "all that were planned have begun");
        assert_eq!(ceiling.reach(), Some(60), "and run");
        ceiling.begin(40, Moment(13 * S));
        assert!(ceiling.look.is_none());
        assert_eq!(ceiling.reach(), Some(40));
    }

    #[test]
    fn bands_hold_every_number_once() {
        for number in 1..most_of(BANDS - 2) as usize {
            let most = most_of(band(number)) as usize;
            assert!(
                most >= number && band(most) == band(number) && band(most + 1) == band(number) + 1,
                "{number}"
            );
        }
        for number in [4095, 5000, 1 << 40] {
            assert_eq!(most_of(band(number)), 4095);
        }
    }
}
