//! Pause: a registry that refuses as a whole and asks to be left alone (`Retry-After`, RFC 9110 §10.2.3) is, for an hour at
//! most.
//!
//! One refusal binds the question that met it, and no other: one bad server of ten behind a registry's balancer asks for
//! patience for itself. The registry asks for it when so many in a row were refused that it is no chance. It is believed for
//! as long as no good reply contradicts it: one to a try that began after the first of these refusals.

use super::ledger::{Line, Word};
use super::moment::{Moment, S};
use super::streak::Streak;

/// A registry that asks for more is asked again after this, so that a typo heals by itself.
pub(super) const PAUSE_US_MAX: u64 = 3600 * S;
/// So many in a row must be refused at least.
const REFUSED_MIN: u32 = 5;
/// It may be for an hour, so it must be less probable than this.
const CHANCE: f64 = 1e-9;
const PRIOR: f64 = 0.1;

/// Until when one registry is left alone, by all workers: the word of one that was told holds for all.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    line: Line,
    /// Is such a wish obeyed at all?
    obeys: bool,
    /// Replies that asked for patience.
    refused: Streak,
    /// When the first try of the streak began.
    refused_from: Moment,
    /// Until when the last of them wanted it to be left alone.
    wished_until: [Moment; REFUSED_MIN as usize],
    /// When the youngest try began that was told a fact.
    told_of: Moment,
}

impl Pause {
    /// None; where it does not `obey`, there never is.
    pub(super) const fn new(obeys: bool, line: Line) -> Self {
        let refused = Streak::new(REFUSED_MIN, CHANCE, PRIOR);
        Self {
            line,
            obeys,
            refused,
            refused_from: Moment(0),
            wished_until: [Moment(0); REFUSED_MIN as usize],
            told_of: Moment(0),
        }
    }

    /// A try that began then was refused, and the registry asks for so much patience. The registry as a whole is left alone for as long as the last five ask for: one server may ask for longer. Where
    /// nothing it says is of use anyway, or it has told nothing yet, five are enough.
    pub(super) fn refuse(&mut self, wish_us: u64, begun: Moment, now: Moment, is_of_no_use: bool) {
        self.refused_from = if self.refused.length() == 0 { begun } else { self.refused_from.min(begun) };
        self.refused.lengthen(now);
        self.wished_until.rotate_left(1);
        if let Some(last) = self.wished_until.last_mut() {
            *last = now + wish_us.min(PAUSE_US_MAX);
        }
        // Whoever was asked since the first refusal and is told something contradicts it: nothing has to settle first.
        let is_whole = self.refused.is_no_chance(0, now)
            || (is_of_no_use || self.told_of == Moment(0)) && self.refused.length() >= REFUSED_MIN;
        if self.obeys && is_whole {
            let all_until = self.wished_until.iter().map(|until| until.0).min();
            self.line.raise(Word::PausedUntil, all_until.unwrap_or(0));
        }
    }

    /// A try failed in another way: not everybody is asked for patience.
    pub(super) fn fail(&mut self, now: Moment) {
        if self.left_us(now) == 0 {
            self.refused.end();
        }
    }

    /// A try that began then was told a fact: others are not refused.
    pub(super) fn tell(&mut self, begun: Moment, now: Moment) {
        self.told_of = self.told_of.max(begun);
        // What began before the first refusal says nothing of how the registry is since.
        let is_older = self.refused.length() > 0 && begun <= self.refused_from;
        if self.left_us(now) > 0 {
            if is_older {
                return;
            }
            if self.refused.length() > 0 {
                self.line.store(Word::PausedUntil, 0);
            }
        }
        self.refused.end();
    }

    /// Has the registry told anybody anything who was asked for after this?
    pub(super) fn has_told_since(&self, moment: Moment) -> bool {
        self.told_of > moment
    }

    /// For how much longer; 0 when it may be asked.
    pub(super) fn left_us(&self, now: Moment) -> u64 {
        self.until().since(now)
    }

    /// When it is over.
    pub(super) fn until(&self) -> Moment {
        Moment(self.line.load(Word::PausedUntil))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::moment::MS;

    fn refused(pause: &mut Pause, times: u32, wish_s: u64, now: Moment) {
        (0..times).for_each(|_| pause.refuse(wish_s * S, now, now, false));
    }

    #[test]
    fn what_all_of_the_last_ask_for_counts_up_to_an_hour() {
        let mut pause = Pause::new(true, Line::alone());
        refused(&mut pause, 20, 0, Moment(0));
        for (times, wish_s, now_s, left_s) in [
            (5, 5, 0, 5),
            (5, 1, 1, 4), // a shorter wish never ends a longer one
            (4, 90, 5, 0),
            (1, 2, 5, 2), // one of them asks for less
            (5, 86_400, 10, 3600),
            (5, u64::MAX / S, 10, 3600),
        ] {
            refused(&mut pause, times, wish_s, Moment(now_s * S));
            assert_eq!(pause.left_us(Moment(now_s * S)), left_s * S, "{times} {wish_s} at {now_s}");
        }
    }

    #[test]
    fn it_takes_as_many_as_are_no_chance() {
        for (good, every, expected) in [
            (0, 0, 8),    // hardly anything is known
            (500, 0, 5),  // it never refused
            (500, 10, 9), // one in ten is usual
            (500, 2, 30),
        ] {
            let mut pause = Pause::new(true, Line::alone());
            for number in 1..=good {
                if every > 0 && number % every == 0 {
                    refused(&mut pause, 1, 60, Moment(number * S));
                } else {
                    pause.tell(Moment(number * S), Moment(number * S));
                }
            }
            let now = Moment(900 * S);
            pause.tell(now, now);
            let paused = |pause: &mut Pause| {
                refused(pause, 1, 60, now);
                pause.left_us(now) > 0
            };
            assert_eq!((1..99).find(|_| paused(&mut pause)), Some(expected), "{good} {every}");
        }
    }

    #[test]
    fn a_good_reply_to_one_that_began_later_contradicts_it() {
        for (begun_ms, left_s) in [(99, 60), (100, 60), (101, 0)] {
            let mut pause = Pause::new(true, Line::alone());
            let now = Moment(100 * MS);
            refused(&mut pause, 18, 60, now);
            pause.tell(Moment(begun_ms * MS), now);
            assert_eq!(pause.left_us(now), left_s * S, "{begun_ms}");
        }
        let mut pause = Pause::new(false, Line::alone());
        refused(&mut pause, 99, 60, Moment(0));
        assert_eq!(pause.left_us(Moment(0)), 0, "one that does not obey");
    }
}
