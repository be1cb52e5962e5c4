//! The miss path's settings and counters, between Python's names and the core's.

use std::collections::HashMap;

use backendify_core::miss::{Breaker, Caps, MS, Policy, RegistryStats, Stats, TRIES_MAX};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Reads the settings, for so many registries; what is left out has its default. Several workers share the caps out, but for
/// those of which they keep a ledger.
///
/// Raises `ValueError` with the setting's name, for one that there is not or a value that it cannot have.
pub(crate) fn read(given: &Bound<'_, PyDict>, registries: usize, has_ledger: bool) -> PyResult<Policy> {
    let mut policy = Policy::default();
    let mut caps = Caps::default();
    let mut workers = 1;
    for (name, value) in given {
        let name: String = name.extract()?;
        let ms = || value.extract::<u64>().map(|ms| ms.saturating_mul(MS));
        let mut set = || -> PyResult<()> {
            match name.as_str() {
                "deadline_ms" => policy.deadline_us = ms()?,
                "fetch_timeout_ms" => policy.fetch_timeout_us = ms()?,
                "tries_max" => policy.tries_max = tries_max(value.extract()?)?,
                "patience_min_ms" => policy.patience_min_us = ms()?,
                "fetches_max" => policy.fetches_max = value.extract()?,
                "waiters_max" => policy.waiters_max = value.extract()?,
                "queue_max" => policy.queue_max = value.extract()?,
                "queue_wait_ms" => policy.queue_wait_us = ms()?,
                "breaker" => policy.breaker = value.extract::<u32>()? != 0,
                "ceiling" => policy.ceiling = value.extract::<u32>()? != 0,
                "obeys" => policy.obeys = value.extract::<u32>()? != 0,
                "memo_max" => policy.memo_max = value.extract()?,
                "retry_share" => policy.retry_share = value.extract()?,
                "retries_per_s" => policy.retries_per_s = value.extract()?,
                "retries_per_help" => policy.retries_per_help = value.extract()?,
                "concurrency_start" => caps.concurrency_start = value.extract()?,
                "concurrency_max" => caps.concurrency_max = value.extract()?,
                "workers" => workers = value.extract()?,
                _ => return Err(PyValueError::new_err("no setting of the miss path")),
            }
            Ok(())
        };
        set().map_err(|error| PyValueError::new_err(format!("{name}: {}", error.value(given.py()))))?;
    }
    caps.concurrency_start = caps.concurrency_start.min(caps.concurrency_max);
    policy.registries = vec![caps; registries];
    Ok(if has_ledger { policy.beside_others(workers) } else { policy.shared_by(workers) })
}

fn tries_max(tries: u32) -> PyResult<u32> {
    let is_one = (1..=TRIES_MAX).contains(&tries);
    is_one.then_some(tries).ok_or_else(|| PyValueError::new_err(format!("expected 1 to {TRIES_MAX}")))
}

/// The counters by their names.
pub(crate) fn stats(stats: &Stats) -> HashMap<&'static str, u64> {
    HashMap::from([
        ("fetches", stats.fetches as u64),
        ("running", stats.running as u64),
        ("waiters", stats.waiters as u64),
        ("joined", stats.joined),
        ("shed", stats.shed),
        ("memo_hits", stats.memo_hits),
        ("timed_out", stats.timed_out),
    ])
}

/// Those of one registry; `open` is 1 while its breaker is.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn registry_stats(stats: RegistryStats) -> HashMap<&'static str, f64> {
    HashMap::from([
        ("running", f64::from(stats.running)),
        ("limit", f64::from(stats.limit)),
        ("queued", stats.queued as f64),
        ("open", f64::from(u8::from(stats.breaker == Breaker::Open))),
        ("paused_for_s", stats.paused_for_us as f64 / 1e6),
        ("rate_per_s", stats.rate_per_s),
        ("patience_s", stats.patience_us as f64 / 1e6),
        ("tries", stats.tries as f64),
        ("hedges", stats.hedges as f64),
        ("retries", stats.retries as f64),
        ("answered", stats.answered as f64),
        ("failed", stats.failed as f64),
        ("throttled", stats.throttled as f64),
        ("overstayed", stats.overstayed as f64),
        ("gave_up", stats.gave_up as f64),
        ("opened", stats.opened as f64),
    ])
}
