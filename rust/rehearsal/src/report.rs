//! The score in numbers to read, and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::load::Load;
use crate::registry::Registry;
use crate::score::{During, Score, Tally, Warmth};

/// More late requests than this share, and it was no open loop.
const LATE_SHARE_MAX: f64 = 0.01;

/// What came of a rehearsal.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the load was as asked for: at most 1 % of requests were late.
    valid: bool,
    requests: Tally,
    right_percent: f64,
    right_after_retries_percent: f64,
    /// What the ideal cache could have told at the first try.
    pub(crate) bound_percent: f64,
    /// The same, had it begun three tries at once.
    bound_at_once_percent: f64,
    /// Right at the first try, of what the ideal cache could have told.
    pub(crate) of_bound_percent: f64,
    /// Of right answers, from when the request was due.
    latency_ms: BTreeMap<&'static str, f64>,
    wrong: u64,
    wrong_examples: Vec<String>,
    /// Of all tries.
    statuses: BTreeMap<u16, u64>,
    aborted: u64,
    broken: u64,
    /// Requests sent once more, as a kept connection was lost before the reply began: neither broken nor a try of their own.
    asked_again: u64,
    late: u64,
    /// Of the late ones, those never sent: too many customers were there.
    kept_out: u64,
    late_ms_peak: f64,
    pub(crate) registries: BTreeMap<String, RegistryReport>,
    /// Over all registries, by the second in which they came.
    seconds: Vec<Tally>,
    /// First tries and further ones, by the second in which they began.
    tries_by_second: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RegistryReport {
    #[serde(flatten)]
    pub(crate) load: Load,
    /// Its own customers.
    customers: Warmth,
    right_percent: f64,
    of_bound_percent: f64,
    pub(crate) distinct: usize,
    requests_per_distinct: f64,
    throttled_percent: f64,
    outages: Vec<OutageReport>,
}

#[derive(Debug, Serialize)]
struct OutageReport {
    begin_s: f64,
    length_s: f64,
    #[serde(flatten)]
    during: During,
    recovery_s: Option<f64>,
}

impl Report {
    pub(crate) fn new(score: &Score, registries: &[impl AsRef<Registry>]) -> Self {
        let all = score.all;
        let mut seconds = Vec::new();
        for tally in score.seconds.iter().flat_map(|seconds| seconds.iter().enumerate()) {
            add(&mut seconds, tally);
        }
        let registry_reports =
            registries.iter().zip(&score.outages).enumerate().map(|(index, (one, during))| {
                let one = one.as_ref();
                (
                    String::from_utf8_lossy(&one.country).into_owned(),
                    RegistryReport::new(score, one, index, during),
                )
            });
        Self {
            valid: score.late as f64 <= LATE_SHARE_MAX * all.asked as f64,
            requests: all,
            right_percent: percent(all.right, all.asked),
            right_after_retries_percent: percent(all.right_after_retries, all.asked),
            bound_percent: percent(all.answerable, all.asked),
            bound_at_once_percent: percent(score.answerable_at_once, all.asked),
            of_bound_percent: percent(all.right, all.answerable),
            latency_ms: score.latencies.percentiles_ms(),
            wrong: score.wrong,
            wrong_examples: score.wrong_examples.clone(),
            statuses: score.statuses.clone(),
            aborted: score.aborted,
            broken: score.broken,
            asked_again: score.asked_again,
            late: score.late,
            kept_out: score.kept_out,
            late_ms_peak: score.late_us_peak as f64 / 1000.0,
            registries: registry_reports.collect(),
            seconds,
            tries_by_second: score.tries.clone(),
        }
    }
}

impl RegistryReport {
    fn new(score: &Score, registry: &Registry, index: usize, during: &[During]) -> Self {
        let load = registry.load.borrow().clone();
        let distinct = registry.distinct();
        let customers = score.customers.get(index).copied().unwrap_or_default();
        let all = customers.warm.plus(customers.cold);
        let outages = registry.behaviour.whole_outages().zip(during).map(|(outage, during)| OutageReport {
            begin_s: outage.begin_s,
            length_s: outage.length_s,
            during: during.clone(),
            recovery_s: score.recovery_s(index, outage.end_us()),
        });
        Self {
            customers,
            right_percent: percent(all.right, all.asked),
            of_bound_percent: percent(all.right, all.answerable),
            distinct,
            requests_per_distinct: rounded(load.requests as f64 / distinct.max(1) as f64),
            throttled_percent: percent(load.throttled, load.requests),
            outages: outages.collect(),
            load,
        }
    }
}

fn add(seconds: &mut Vec<Tally>, (second, tally): (usize, &Tally)) {
    if seconds.len() <= second {
        seconds.resize(second + 1, Tally::default());
    }
    if let Some(sum) = seconds.get_mut(second) {
        *sum = sum.plus(*tally);
    }
}

/// Cut to a thousandth, so that no share is told as reached that was not.
fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 * 100_000.0 / whole.max(1) as f64).floor() / 1000.0
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_was_not_reached_is_not_told() {
        for (part, whole, expected) in
            [(949_999, 1_000_000, 94.999), (95, 100, 95.0), (0, 0, 0.0), (1, 3, 33.333)]
        {
            assert!((percent(part, whole) - expected).abs() < 1e-9, "{part} of {whole}");
        }
    }

    #[test]
    fn a_late_load_is_no_valid_one() {
        for (late, valid) in [(1, true), (2, false)] {
            let mut score = Score::new(&[]);
            score.all.asked = 100;
            score.late = late;
            let none: [std::rc::Rc<Registry>; 0] = [];
            assert_eq!(Report::new(&score, &none).valid, valid);
        }
    }
}
