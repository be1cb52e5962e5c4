//! Patience: when the first byte is late, a second try begins and the first goes on; the first good reply wins.
//!
//! Hedged requests (Dean and Barroso, "The Tail at Scale", CACM 2013), at the delay that the budget and the customers'
//! deadline make the best one. A second try after `t` brings an answer that would have been late in time with the chance
//! F(deadline - t), F being the share of replies that take at most so long. Begun early it succeeds more often, but more
//! tries are still running then than the budget has second tries for. What is made the most of is
//! `late × F(deadline - t) × min(1, budget / (1 - F(t)))`, less a little for each request.

use super::latency::Latencies;
use super::moment::MS;

/// With fewer latencies than this nothing is known.
const KNOWN_MIN: u32 = 20;
/// An answer in time is worth fifty requests to the registry.
const REQUEST_COST: f64 = 0.02;
/// Where no second try would be in time, or all first ones are: by this beyond the slowest of a hundred.
const SLOW_FACTOR: f64 = 1.25;
const SLOW_QUANTILE: f64 = 0.99;
/// Silence for so many times the usual is no slowness any more.
const SILENCE_FACTOR: u64 = 2;
const SILENCE_US_MIN: u64 = 500 * MS;
/// And for so many times the usual it is lost.
const LOST_FACTOR: u64 = 4;
const SILENCE_US_UNKNOWN: u64 = 2500 * MS;

/// How long one registry's tries are waited for, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patience {
    /// Then a second try begins.
    pub(super) second_try: u64,
    /// Then a try is overdue: it counts for the breaker's silence.
    pub(super) overdue: u64,
    /// What a try usually takes; None while that is not known.
    pub(super) usual: Option<u64>,
}

/// What patience depends on, beside the latencies.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Terms {
    /// No second try is earlier.
    pub(super) min_us: u64,
    /// What a customer has.
    pub(super) deadline_us: u64,
    /// What a fetch has.
    pub(super) fetch_us: u64,
    /// Second tries, as a share of first ones.
    pub(super) budget: f64,
}

impl Patience {
    /// What has been silent for longer will hardly be answered; None while that is not known.
    pub(super) fn lost(self) -> Option<u64> {
        self.usual.map(|us| us * LOST_FACTOR)
    }

    /// Nearly all good replies take less.
    pub(super) fn settles(self) -> u64 {
        self.usual.map_or(SILENCE_US_MIN, |us| us * SILENCE_FACTOR)
    }

    /// By what is known of a registry.
    pub(super) fn of(latencies: &Latencies, terms: Terms) -> Self {
        let known = |share| latencies.quantile_us(share).filter(|_| latencies.total() >= KNOWN_MIN);
        let usual = known(0.5);
        let second_try = match usual {
            Some(_) => best_us(latencies, terms).unwrap_or_else(|| slow_us(latencies, terms)),
            None => (terms.deadline_us / 2).max(terms.min_us),
        };
        Self {
            second_try,
            overdue: usual.map_or(SILENCE_US_UNKNOWN, |us| (us * SILENCE_FACTOR).max(SILENCE_US_MIN)),
            usual,
        }
    }
}

/// The delay that brings the most answers in time; None when none is worth its requests.
fn best_us(latencies: &Latencies, terms: Terms) -> Option<u64> {
    let within = |us| latencies.share_within(us);
    let late = 1.0 - within(terms.deadline_us);
    let worth = |us: u64| {
        let over = (1.0 - within(us)).max(f64::EPSILON);
        let begun = over.min(terms.budget);
        late * within(terms.deadline_us - us) * begun / over - REQUEST_COST * begun
    };
    let candidates = latencies.ends_us().filter(|us| (terms.min_us..terms.deadline_us).contains(us));
    let best = std::iter::once(terms.min_us).chain(candidates).map(|us| (worth(us), us));
    // Of those that are worth as much the earliest: whoever waits has it sooner.
    let (gain, us) = best.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    (gain > 0.0).then_some(us)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "20 s at most")]
#[expect(clippy::cast_precision_loss, reason = "16 s at most")]
fn slow_us(latencies: &Latencies, terms: Terms) -> u64 {
    let slow_us = latencies.quantile_us(SLOW_QUANTILE).unwrap_or(terms.deadline_us);
    ((slow_us as f64 * SLOW_FACTOR) as u64).clamp(terms.min_us, (terms.fetch_us / 2).max(terms.min_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::moment::S;

    const TERMS: Terms = Terms { min_us: 250 * MS, deadline_us: 900 * MS, fetch_us: 10 * S, budget: 0.1 };

    fn patience(replies: &[(u32, u64)]) -> Patience {
        let mut latencies = Latencies::new();
        for (count, ms) in replies {
            (0..*count).for_each(|_| latencies.add(ms * MS));
        }
        Patience::of(&latencies, TERMS)
    }

    #[test]
    fn second_tries_begin_when_they_help_most() {
        for (what, replies, least_ms, most_ms) in [
            ("nothing is known", &[(19, 5)][..], 450, 450),
            ("all are fast: late enough to be rare", &[(980, 50), (20, 80)], 250, 250),
            (
                "a few hang: any time will do at which the others have come",
                &[(900, 200), (50, 10_000)],
                250,
                700,
            ),
            ("slow ones, for which a second try must come early", &[(600, 400), (300, 1000)], 250, 500),
            ("none is in time: only what hangs is tried again", &[(900, 2000), (100, 2500)], 2500, 4000),
            ("none ever comes", &[(1000, 10_000)], 5000, 5000),
        ] {
            let found = patience(replies).second_try;
            assert!((least_ms * MS..=most_ms * MS).contains(&found), "{what}: {found} us");
        }
    }

    #[test]
    fn it_is_never_shorter_than_the_least_nor_fooled_by_odd_terms() {
        let latencies = Latencies::new();
        for (min_us, deadline_us) in [(0, 0), (0, 900 * MS), (900 * MS, 900 * MS)] {
            let found = Patience::of(&latencies, Terms { min_us, deadline_us, ..TERMS });
            assert!((min_us..=deadline_us).contains(&found.second_try));
        }
    }

    #[test]
    fn a_try_is_overdue_after_twice_the_usual() {
        for (replies, overdue_ms, slack_ms) in
            [(&[(19, 5)][..], 2500, 0), (&[(100, 20)], 500, 0), (&[(100, 700)], 1400, 150)]
        {
            let found = patience(replies).overdue;
            assert!(
                (overdue_ms * MS..=(overdue_ms + slack_ms) * MS).contains(&found),
                "{replies:?}: {found}"
            );
        }
    }
}
