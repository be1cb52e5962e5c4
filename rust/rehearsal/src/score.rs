//! What came of it: counters, nothing else.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::arrivals::Arrival;
use crate::truth::Company;

/// A customer's request later than this was not sent by an open loop.
pub(crate) const LATE_US_MAX: u64 = 10_000;
/// Latencies are counted in steps of so much.
const STEP_US: u64 = 100;
/// The last step holds all above: a minute.
const STEPS: usize = 600_000;
/// So many wrong answers are told in full.
const EXAMPLES_MAX: usize = 5;

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Try {
    /// The truth.
    Right,
    /// Not the truth: what was said.
    Wrong(String),
    /// A status that says so of itself: nothing right, nothing wrong.
    Failed,
    /// The customer hung up.
    Aborted,
    /// The connection could not be made, or broke.
    Broken,
}

/// What is known of a request when it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) arrival: Arrival,
    /// Whether the ideal cache could answer.
    pub(crate) answerable: bool,
    /// Which outage it falls into, of its registry's.
    pub(crate) outage: Option<usize>,
    /// Whether its company had been told before.
    pub(crate) warm: bool,
}

/// How many of how many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) asked: u64,
    pub(crate) answerable: u64,
    /// At the first try.
    pub(crate) right: u64,
    /// At any try.
    pub(crate) right_after_retries: u64,
}

impl Tally {
    fn count(&mut self, asked: Asked, right_at: Option<u32>) {
        self.asked += 1;
        self.answerable += u64::from(asked.answerable);
        self.right += u64::from(right_at == Some(0));
        self.right_after_retries += u64::from(right_at.is_some());
    }
}

/// Requests of one registry during one outage.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct During {
    /// Of companies told before.
    pub(crate) warm: Tally,
    /// Of others.
    pub(crate) cold: Tally,
}

/// All counters.
pub(crate) struct Score {
    pub(crate) all: Tally,
    /// By registry, then by the second in which they came.
    pub(crate) seconds: Vec<Vec<Tally>>,
    /// By registry, then by outage.
    pub(crate) outages: Vec<Vec<During>>,
    /// All tries.
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) aborted: u64,
    pub(crate) broken: u64,
    pub(crate) wrong: u64,
    pub(crate) wrong_examples: Vec<String>,
    /// Requests sent later than they were due.
    pub(crate) late: u64,
    pub(crate) late_us_peak: u64,
    steps: Vec<u32>,
    told: HashSet<Company>,
}

impl Score {
    /// For registries with so many outages each.
    pub(crate) fn new(outages: &[usize]) -> Self {
        Self {
            all: Tally::default(),
            seconds: vec![Vec::new(); outages.len()],
            outages: outages.iter().map(|count| vec![During::default(); *count]).collect(),
            statuses: BTreeMap::new(),
            aborted: 0,
            broken: 0,
            wrong: 0,
            wrong_examples: Vec::new(),
            late: 0,
            late_us_peak: 0,
            steps: vec![0; STEPS],
            told: HashSet::new(),
        }
    }

    /// Whether customers were told of this company before.
    pub(crate) fn was_told(&self, company: Company) -> bool {
        self.told.contains(&company)
    }

    /// A request went out, so much after it was due.
    pub(crate) fn sent(&mut self, late_us: u64) {
        self.late += u64::from(late_us > LATE_US_MAX);
        self.late_us_peak = self.late_us_peak.max(late_us);
    }

    /// A try ended.
    pub(crate) fn tried(&mut self, asked: Asked, outcome: &Try) {
        match outcome {
            Try::Right => {
                self.told.insert(asked.arrival.company);
            }
            Try::Failed => {}
            Try::Aborted => self.aborted += 1,
            Try::Broken => self.broken += 1,
            Try::Wrong(said) => {
                self.wrong += 1;
                if self.wrong_examples.len() < EXAMPLES_MAX {
                    self.wrong_examples.push(said.clone());
                }
            }
        }
    }

    /// A customer is done: right at this try, from 0, so long after the request was due; or not at all.
    pub(crate) fn done(&mut self, asked: Asked, right_at: Option<u32>, took_us: u64) {
        self.all.count(asked, right_at);
        let Arrival { at_us, registry, .. } = asked.arrival;
        if let Some(seconds) = self.seconds.get_mut(registry) {
            let second = (at_us / 1_000_000) as usize;
            if seconds.len() <= second {
                seconds.resize(second + 1, Tally::default());
            }
            if let Some(tally) = seconds.get_mut(second) {
                tally.count(asked, right_at);
            }
        }
        let outage = asked.outage.and_then(|outage| self.outages.get_mut(registry)?.get_mut(outage));
        if let Some(during) = outage {
            let tally = if asked.warm { &mut during.warm } else { &mut during.cold };
            tally.count(asked, right_at);
        }
        if right_at.is_some() {
            let step = (took_us / STEP_US) as usize;
            if let Some(count) = self.steps.get_mut(step.min(STEPS - 1)) {
                *count += 1;
            }
        }
    }

    /// Within what time this share of the right answers came, in ms, rounded up to a tenth.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let wanted = (share * self.all.right_after_retries as f64).ceil().max(1.0) as u64;
        let mut sum = 0;
        let step = self.steps.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        });
        step.map_or(0.0, |step| (step as u64 + 1) as f64 * STEP_US as f64 / 1000.0)
    }

    /// How long after an outage's end it took until a whole second's customers had 95 % of what the ideal cache could
    /// tell them, in seconds; none when they never had.
    pub(crate) fn recovery_s(&self, registry: usize, end_us: u64) -> Option<f64> {
        let returned_s = end_us as f64 / 1e6;
        let first = returned_s.ceil() as usize;
        let seconds = self.seconds.get(registry)?.iter().enumerate().skip(first);
        let well = |tally: &Tally| tally.asked > 0 && tally.right * 100 >= tally.answerable * 95;
        let second = seconds.filter(|(_, tally)| well(tally)).map(|(second, _)| second).next()?;
        Some(second as f64 - returned_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at_us: u64, outage: Option<usize>, warm: bool) -> Asked {
        let company = Company { country: *b"us", number: 0 };
        Asked { arrival: Arrival { at_us, registry: 0, company }, answerable: true, outage, warm }
    }

    #[test]
    fn tries_are_told_apart() {
        let mut score = Score::new(&[1]);
        for (at_us, outage, warm, right_at) in [
            (0, None, false, Some(0)),
            (1_500_000, Some(0), true, Some(2)),
            (1_600_000, Some(0), false, None),
        ] {
            score.done(asked(at_us, outage, warm), right_at, 1000);
        }
        let tally = |asked, right, right_after_retries| Tally {
            asked,
            answerable: asked,
            right,
            right_after_retries,
        };
        assert_eq!(score.all, tally(3, 1, 2));
        assert_eq!(score.seconds, [[tally(1, 1, 1), tally(2, 0, 1)]]);
        assert_eq!(score.outages[0][0].warm, tally(1, 0, 1));
        assert_eq!(score.outages[0][0].cold, tally(1, 0, 0));
    }

    #[test]
    fn percentiles_are_of_right_answers() {
        let mut score = Score::new(&[0]);
        for took_ms in 0..100 {
            score.done(asked(0, None, false), Some(0), took_ms * 1000);
        }
        score.done(asked(0, None, false), None, 60_000_000);
        for (share, expected) in [(0.5, 49.1), (0.99, 98.1), (1.0, 99.1)] {
            assert!((score.percentile_ms(share) - expected).abs() < 1e-9, "{share}");
        }
    }

    #[test]
    fn recovery_is_the_first_good_second_after_the_end() {
        let mut score = Score::new(&[1]);
        for (second, right_at) in [(0, Some(0)), (1, None), (2, None), (3, None), (4, Some(0))] {
            score.done(asked(second * 1_000_000, None, false), right_at, 0);
        }
        assert_eq!(score.recovery_s(0, 2_500_000), Some(1.5));
        assert_eq!(score.recovery_s(0, 4_000_001), None);
    }

    #[test]
    fn only_more_than_ten_milliseconds_are_late() {
        let mut score = Score::new(&[0]);
        for late_us in [0, 10_000, 10_001, 50_000] {
            score.sent(late_us);
        }
        assert_eq!((score.late, score.late_us_peak), (2, 50_000));
    }
}
