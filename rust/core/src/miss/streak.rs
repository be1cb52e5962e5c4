//! Streak: how often in a row something went wrong, and whether that can be chance.
//!
//! A registry of whose replies a half fails has five failures in a row every second, and twenty in a row once in a million
//! replies. So a streak says something only beside what is usual there: it is no chance when it is longer than one in a
//! million would be (a run test: Wald and Wolfowitz, 1940). What is usual is learnt from earlier streaks, each when it has
//! ended, so that an outage does not become usual while it lasts.

use super::moment::Moment;

/// Where more than this goes wrong usually, next to nothing is of use: such a registry may be left alone.
const USUAL_MAX: f64 = 0.95;
/// After so many results all count half.
const RESULTS_MAX: u32 = 1024;

/// How often something usually goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// The share that is expected before anything is known, counted like two results.
    prior: f64,
    wrong: u32,
    results: u32,
}

impl Usual {
    pub(super) const fn new(prior: f64) -> Self {
        Self { prior, wrong: 0, results: 0 }
    }

    /// So many results, and what went wrong of them.
    pub(super) const fn count(&mut self, wrong: u32, results: u32) {
        self.wrong = self.wrong.saturating_add(wrong);
        self.results = self.results.saturating_add(results);
        while self.results >= RESULTS_MAX {
            (self.wrong, self.results) = (self.wrong / 2, self.results / 2);
        }
    }

    /// The share that goes wrong.
    pub(super) fn share(self) -> f64 {
        (f64::from(self.wrong) + 2.0 * self.prior) / (f64::from(self.results) + 2.0)
    }
}

/// One kind of trouble at one registry, and how often in a row it was seen.
#[derive(Clone, Debug)]
pub(super) struct Streak {
    /// Fewer say nothing, however unusual they are.
    least: u32,
    /// A streak that is less probable than this is no chance.
    chance: f64,
    length: u32,
    /// When the first of them ended.
    since: Moment,
    /// Of streaks that have ended.
    usual: Usual,
}

impl Streak {
    /// None yet. It is no chance from `least` on, where it is less probable than `chance`.
    pub(super) const fn new(least: u32, chance: f64, prior: f64) -> Self {
        Self { least, chance, length: 0, since: Moment(0), usual: Usual::new(prior) }
    }

    /// One more.
    pub(super) fn lengthen(&mut self, now: Moment) {
        if self.length == 0 {
            self.since = now;
        }
        self.length = self.length.saturating_add(1);
    }

    /// Something went right: what went wrong before it belongs to what is usual.
    pub(super) const fn end(&mut self) {
        self.usual.count(self.length, self.length.saturating_add(1));
        self.length = 0;
    }

    /// It is not known how it would have gone on.
    pub(super) const fn forget(&mut self) {
        self.length = 0;
    }

    /// So many in a row.
    pub(super) const fn length(&self) -> u32 {
        self.length
    }

    /// Is it too long to be chance, and has it lasted for so long that what takes longer to go right would have been seen?
    pub(super) fn is_no_chance(&self, settles_us: u64, now: Moment) -> bool {
        self.length >= self.least
            && f64::from(self.length) * self.usual.share().min(USUAL_MAX).ln() <= self.chance.ln()
            && now.since(self.since) >= settles_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many in a row are no chance after `good` results that went right and `bad` that went wrong, in turn.
    fn needed(least: u32, prior: f64, good: u32, bad: u32) -> u32 {
        let mut streak = Streak::new(least, 1e-6, prior);
        for number in 0..good {
            let share = |number: u32| u64::from(number) * u64::from(bad) / u64::from(good);
            (share(number)..share(number + 1)).for_each(|_| streak.lengthen(Moment(1)));
            streak.end();
        }
        let longer = |streak: &mut Streak| {
            streak.lengthen(Moment(1));
            streak.is_no_chance(0, Moment(1))
        };
        (1..1000).find(|_| longer(&mut streak)).unwrap_or(1000)
    }

    #[test]
    fn the_more_is_usual_the_longer_a_streak_must_be() {
        for (least, prior, good, bad, expected) in [
            (20, 0.5, 0, 0, 20..=20),
            (20, 0.5, 1000, 0, 20..=20),
            (20, 0.5, 500, 500, 19..=21),
            (20, 0.5, 250, 750, 46..=50),
            (20, 0.5, 50, 950, 250..=270),
            (20, 0.5, 1, 1000, 270..=270), // next to nothing is of use
            (5, 0.05, 0, 0, 5..=5),
            (5, 0.05, 1000, 0, 5..=5),
            (5, 0.05, 600, 300, 12..=14),
        ] {
            let found = needed(least, prior, good, bad);
            assert!(expected.contains(&found), "{least} {prior} {good} {bad}: {found}");
        }
    }

    #[test]
    fn a_streak_must_last_as_long_as_what_goes_right_takes() {
        let mut streak = Streak::new(5, 1e-6, 0.05);
        (0..100).for_each(|_| streak.lengthen(Moment(1000)));
        for (now, expected) in [(1000, false), (1499, false), (1500, true)] {
            assert_eq!(streak.is_no_chance(500, Moment(now)), expected, "{now}");
        }
        streak.end();
        streak.lengthen(Moment(2000));
        assert!(!streak.is_no_chance(0, Moment(9000)), "it ended");
    }

    #[test]
    fn what_is_usual_is_forgotten() {
        let mut streak = Streak::new(20, 1e-6, 0.5);
        (0..1000).for_each(|_| {
            streak.lengthen(Moment(1));
            streak.end();
        });
        assert!((streak.usual.share() - 0.5).abs() < 0.01);
        (0..5000).for_each(|_| streak.end());
        assert!(streak.usual.share() < 0.02, "{}", streak.usual.share());
    }
}
