//! Tries that brought neither right nor wrong: what they brought instead, and how long that took.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::latencies::Latencies;
use crate::score::Try;

/// Failed tries.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failures {
    /// Answered with an error: by status, from when the try began.
    statuses: BTreeMap<u16, Latencies>,
    hung_up: u64,
    broken: u64,
}

impl Failures {
    /// A try came to this, so long after it began; a right or wrong one is no failure.
    pub(crate) fn add(&mut self, outcome: &Try, took_us: u64) {
        match outcome {
            Try::Failed(status) => self.statuses.entry(*status).or_default().add(took_us),
            Try::Aborted => self.hung_up += 1,
            Try::Broken => self.broken += 1,
            Try::Right | Try::Wrong(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_what_they_are() {
        let mut failures = Failures::default();
        for (outcome, took_us) in [
            (Try::Right, 7),
            (Try::Failed(504), 900_000),
            (Try::Failed(504), 20_000),
            (Try::Failed(502), 1000),
            (Try::Aborted, 1_000_000),
            (Try::Broken, 1),
            (Try::Wrong(String::new()), 1),
        ] {
            failures.add(&outcome, took_us);
        }
        assert_eq!((failures.hung_up, failures.broken), (1, 1));
        let found: Vec<(u16, f64, f64)> = failures
            .statuses
            .iter()
            .map(|(status, latencies)| (*status, latencies.percentile_ms(0.5), latencies.percentile_ms(1.0)))
            .collect();
        assert_eq!(found, [(502, 1.1, 1.1), (504, 20.1, 900.1)]);
    }
}
