//! How long a registry takes: a histogram that forgets.
//!
//! Steps grow by 9 % (eight to a doubling, as HDR histograms do), so that one size fits fast and slow registries.

/// Eight steps for each doubling, from 1 ms to 16 s.
const STEPS: usize = 112;
const FIRST_US: f64 = 1000.0;
/// After so many, everything counts half: what is remembered is the last thousand or so.
const COUNT_MAX: u32 = 1024;

/// The latencies of one registry.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    counts: [u32; STEPS],
    total: u32,
}

impl Latencies {
    pub(super) const fn new() -> Self {
        Self { counts: [0; STEPS], total: 0 }
    }

    /// How many are remembered.
    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    /// One more.
    pub(super) fn add(&mut self, us: u64) {
        if let Some(count) = self.counts.get_mut(step_of(us)) {
            *count += 1;
            self.total += 1;
        }
        if self.total >= COUNT_MAX {
            for count in &mut self.counts {
                *count /= 2;
            }
            self.total = self.counts.iter().sum();
        }
    }

    /// Within what time this share of them came; None while there are none.
    pub(super) fn quantile_us(&self, share: f64) -> Option<u64> {
        let wanted = share * f64::from(self.total);
        let mut sum = 0;
        let reached = |count: &u32| {
            sum += count;
            f64::from(sum) >= wanted
        };
        let step = self.counts.iter().position(reached)?;
        (self.total > 0).then(|| end_us(step))
    }

    /// The share that came within this time; 1 while there are none.
    pub(super) fn share_within(&self, us: u64) -> f64 {
        if self.total == 0 {
            return 1.0;
        }
        f64::from(self.counts.iter().take(step_of(us) + 1).sum::<u32>()) / f64::from(self.total)
    }

    /// The times at which shares change.
    #[expect(clippy::unused_self, reason = "it speaks of these latencies")]
    pub(super) fn ends_us(&self) -> impl Iterator<Item = u64> + use<> {
        (0..STEPS).map(end_us)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the steps")]
#[expect(clippy::cast_precision_loss, reason = "microseconds of hours have room in a float")]
fn step_of(us: u64) -> usize {
    ((us as f64 / FIRST_US).log2() * 8.0).ceil().clamp(0.0, (STEPS - 1) as f64) as usize
}

/// The longest time that falls into a step.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "16 s at most")]
#[expect(clippy::cast_precision_loss, reason = "a step is a small number")]
fn end_us(step: usize) -> u64 {
    (FIRST_US * (step as f64 / 8.0).exp2()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_step() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantile_us(0.5), None);
        for ms in 1..=1000 {
            latencies.add(ms * 1000);
        }
        for (share, ms) in [(0.01, 10), (0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1000)] {
            let found = latencies.quantile_us(share).unwrap();
            assert!((ms * 1000..=ms * 1100).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut latencies = Latencies::new();
        for us in [10_000, 700_000] {
            (0..5000).for_each(|_| latencies.add(us));
            assert!(latencies.total() < COUNT_MAX);
        }
        assert!(latencies.quantile_us(0.05).unwrap() > 600_000);
    }

    #[test]
    fn nothing_is_too_short_or_too_long() {
        let mut latencies = Latencies::new();
        for us in [0, 1, u64::MAX] {
            latencies.add(us);
        }
        assert_eq!((latencies.total(), latencies.quantile_us(0.6)), (3, Some(1000)));
        assert!(latencies.quantile_us(1.0).unwrap() > 14_000_000);
    }
}
