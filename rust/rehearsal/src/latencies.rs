//! How long things took, counted in steps: percentiles come out rounded up to a tenth of a millisecond.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

const STEP_US: u64 = 100;
/// The last step holds all above: a minute.
const STEPS: usize = 600_000;
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Counts by step; it grows with the longest.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Latencies {
    steps: Vec<u32>,
    count: u64,
}

impl Latencies {
    /// One more took so long.
    pub(crate) fn add(&mut self, took_us: u64) {
        let step = ((took_us / STEP_US) as usize).min(STEPS - 1);
        if self.steps.len() <= step {
            self.steps.resize(step + 1, 0);
        }
        if let Some(count) = self.steps.get_mut(step) {
            *count += 1;
        }
        self.count += 1;
    }

    /// Within what time this share came, in ms; 0 when there are none.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut sum = 0;
        let step = self.steps.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        });
        step.map_or(0.0, |step| (step as u64 + 1) as f64 * STEP_US as f64 / 1000.0)
    }

    /// The usual percentiles, in ms.
    pub(crate) fn percentiles_ms(&self) -> BTreeMap<&'static str, f64> {
        PERCENTILES.map(|(name, share)| (name, self.percentile_ms(share))).into()
    }
}

/// As how many there were, and their percentiles.
impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told {
            count: u64,
            latency_ms: BTreeMap<&'static str, f64>,
        }
        Told { count: self.count, latency_ms: self.percentiles_ms() }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_rounded_up_to_a_step() {
        let mut latencies = Latencies::default();
        assert!(latencies.percentile_ms(0.5).abs() < 1e-9);
        for took_ms in 0..100 {
            latencies.add(took_ms * 1000);
        }
        for (share, expected) in [(0.5, 49.1), (0.99, 98.1), (1.0, 99.1)] {
            assert!((latencies.percentile_ms(share) - expected).abs() < 1e-9, "{share}");
        }
    }

    #[test]
    fn whatever_takes_longer_than_a_minute_takes_a_minute() {
        let mut latencies = Latencies::default();
        latencies.add(u64::MAX);
        assert!((latencies.percentile_ms(1.0) - 60_000.0).abs() < 1e-9);
        assert_eq!(latencies.steps.len(), STEPS);
    }
}
