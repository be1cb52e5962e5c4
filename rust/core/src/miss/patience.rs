//! Patience: when the first byte is later than usual, a second try begins and the first goes on; the first good reply wins.
//!
//! Hedged requests (Dean and Barroso, "The Tail at Scale", CACM 2013).

use super::latency::Latencies;
use super::moment::{MS, S};

/// With fewer latencies than this nothing is known.
const KNOWN_MIN: u32 = 20;
/// More than the slowest of a hundred.
const SLOW_QUANTILE: f64 = 0.99;
const SLOW_FACTOR: f64 = 1.25;
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

impl Patience {
    /// Between the least patience and what a customer has.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "20 s at most")]
    #[expect(clippy::cast_precision_loss, reason = "16 s at most")]
    pub(super) fn of(latencies: &Latencies, min_us: u64, deadline_us: u64) -> Self {
        let known = |share| latencies.quantile_us(share).filter(|_| latencies.total() >= KNOWN_MIN);
        let slow_us = known(SLOW_QUANTILE).map_or(deadline_us / 2, |us| (us as f64 * SLOW_FACTOR) as u64);
        let usual_us = known(0.5);
        Self {
            second_try: slow_us.clamp(min_us, deadline_us.max(min_us)),
            overdue: usual_us.map_or(SILENCE_US_UNKNOWN, |us| (us * SILENCE_FACTOR).max(SILENCE_US_MIN)),
            usual: usual_us.unwrap_or(S / 4),
        }
    }
}
