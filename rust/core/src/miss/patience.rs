//! Patience: when the first byte is late, a second try begins and the first goes on; the first good reply wins.
//!
//! Hedged requests (Dean and Barroso, "The Tail at Scale", CACM 2013), at the delay that the budget and the customers'
//! deadline make the best one. A second try after `t` brings an answer that would have been late in time with the chance
//! F(deadline - t), F being the share of replies that take at most so long. Begun early it succeeds more often, but more
//! tries are still running then than the budget has second tries for. What is made the most of is
//! `late × F(deadline - t) × min(1, budget / (1 - F(t)))`, less a little for each request.

use super::latency::Latencies;
use super::moment::{MS, S};

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
const SILENCE_US_UNKNOWN: u64 = 2500 * MS;

/// How long one registry's tries are waited for, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patience {
    /// Then a second try begins.
    pub(super) second_try: u64,
    /// Then a try is overdue: it counts for the breaker's silence.
    pub(super) overdue: u64,
    /// What a try usually takes.
    pub(super) usual: u64,
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
            usual: usual.unwrap_or(S / 4),
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
    let (gain, us) = best.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (gain > 0.0).then_some(us)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "20 s at most")]
#[expect(clippy::cast_precision_loss, reason = "16 s at most")]
fn slow_us(latencies: &Latencies, terms: Terms) -> u64 {
    let slow_us = latencies.quantile_us(SLOW_QUANTILE).unwrap_or(terms.deadline_us);
    ((slow_us as f64 * SLOW_FACTOR) as u64).clamp(terms.min_us, (terms.fetch_us / 2).max(terms.min_us))
}
