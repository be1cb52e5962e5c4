//! Pause: a registry that asks to be left alone (`Retry-After`, RFC 9110 §10.2.3) is, for an hour at most.

use super::ledger::{Line, Word};
use super::moment::{Moment, S};

/// A registry that asks for more is asked again after this, so that a typo heals by itself.
pub(super) const PAUSE_US_MAX: u64 = 3600 * S;

/// Until when one registry is left alone, by all workers: the word of one that was told holds for all.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    line: Line,
}

impl Pause {
    pub(super) const fn new(line: Line) -> Self {
        Self { line }
    }

    /// The registry asked for it; a shorter wish never ends a longer one.
    pub(super) fn ask(&self, wish_us: u64, now: Moment) {
        self.line.raise(Word::PausedUntil, (now + wish_us.min(PAUSE_US_MAX)).0);
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

    #[test]
    fn the_longest_wish_counts_up_to_an_hour() {
        let pause = Pause::new(Line::alone());
        for (wish_s, now_s, left_s) in
            [(0, 0, 0), (5, 0, 5), (1, 1, 4), (0, 5, 0), (86_400, 10, 3600), (u64::MAX / S, 10, 3600)]
        {
            pause.ask(wish_s * S, Moment(now_s * S));
            assert_eq!(pause.left_us(Moment(now_s * S)), left_s * S, "{wish_s} at {now_s}");
        }
    }
}
