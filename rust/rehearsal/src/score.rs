//! What came of it: counters, nothing else.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::arrivals::Arrival;
use crate::failures::Failures;
use crate::ideal::Answerable;
use crate::latencies::Latencies;
use crate::truth::Company;

/// So long after an outage begins, a server can know of it.
pub(crate) const SETTLED_US: u64 = 3_000_000;
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
    Failed(u16),
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
    pub(crate) answerable: Answerable,
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
    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            answerable: self.answerable + other.answerable,
            right: self.right + other.right,
            right_after_retries: self.right_after_retries + other.right_after_retries,
        }
    }

    fn count(&mut self, asked: Asked, right_at: Option<u32>) {
        self.asked += 1;
        self.answerable += u64::from(asked.answerable.in_turn);
        self.right += u64::from(right_at == Some(0));
        self.right_after_retries += u64::from(right_at.is_some());
    }
}

/// Requests of one registry, by what was known when they came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Warmth {
    /// Of companies told before.
    pub(crate) warm: Tally,
    /// Of others.
    pub(crate) cold: Tally,
}

impl Warmth {
    fn count(&mut self, asked: Asked, right_at: Option<u32>) {
        let tally = if asked.warm { &mut self.warm } else { &mut self.cold };
        tally.count(asked, right_at);
    }
}

/// What befell the customers of one registry during one outage.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct During {
    #[serde(flatten)]
    pub(crate) customers: Warmth,
    /// All tries that began in it and failed.
    pub(crate) failures: Failures,
    /// Those of them that began when it could be known.
    pub(crate) failures_settled: Failures,
}

/// All counters.
pub(crate) struct Score {
    pub(crate) all: Tally,
    /// What three tries at once could have told, of all.
    pub(crate) answerable_at_once: u64,
    /// By registry.
    pub(crate) customers: Vec<Warmth>,
    /// By registry, then by the second in which they came.
    pub(crate) seconds: Vec<Vec<Tally>>,
    /// By registry, then by outage.
    pub(crate) outages: Vec<Vec<During>>,
    /// All tries, by the second in which they began.
    pub(crate) tries: Vec<u64>,
    /// Of all tries.
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) aborted: u64,
    pub(crate) broken: u64,
    /// Requests sent once more, on a connection of their own: the kept one was lost before a reply began.
    pub(crate) asked_again: u64,
    /// Requests never sent: too many customers were there. They are late too.
    pub(crate) kept_out: u64,
    pub(crate) wrong: u64,
    pub(crate) wrong_examples: Vec<String>,
    /// Requests sent later than they were due.
    pub(crate) late: u64,
    pub(crate) late_us_peak: u64,
    /// Of right answers, from when the request was due.
    pub(crate) latencies: Latencies,
    told: HashSet<Company>,
}

impl Score {
    /// For registries with so many outages each.
    pub(crate) fn new(outages: &[usize]) -> Self {
        Self {
            all: Tally::default(),
            answerable_at_once: 0,
            customers: vec![Warmth::default(); outages.len()],
            seconds: vec![Vec::new(); outages.len()],
            outages: outages.iter().map(|count| vec![During::default(); *count]).collect(),
            tries: Vec::new(),
            statuses: BTreeMap::new(),
            aborted: 0,
            broken: 0,
            asked_again: 0,
            kept_out: 0,
            wrong: 0,
            wrong_examples: Vec::new(),
            late: 0,
            late_us_peak: 0,
            latencies: Latencies::default(),
            told: HashSet::new(),
        }
    }

    /// Whether customers were told of this company before.
    pub(crate) fn was_told(&self, company: Company) -> bool {
        self.told.contains(&company)
    }

    /// A request went out, so much after it was due; `late_us_max` is still in time.
    pub(crate) fn sent(&mut self, late_us: u64, late_us_max: u64) {
        self.late += u64::from(late_us > late_us_max);
        self.late_us_peak = self.late_us_peak.max(late_us);
    }

    /// A customer for whom there was no room: his request is as good as late, and nobody knows by how much.
    pub(crate) fn kept_out(&mut self, asked: Asked) {
        self.kept_out += 1;
        self.late += 1;
        self.done(asked, None, 0);
    }

    /// A try that began then ended after so long; `outage` is the one of its registry in which it began, with that one's
    /// begin.
    pub(crate) fn tried(
        &mut self,
        asked: Asked,
        (begun_us, took_us): (u64, u64),
        outage: Option<(usize, u64)>,
        outcome: &Try,
    ) {
        let second = (begun_us / 1_000_000) as usize;
        if self.tries.len() <= second {
            self.tries.resize(second + 1, 0);
        }
        if let Some(tries) = self.tries.get_mut(second) {
            *tries += 1;
        }
        if let Some((outage, began_us)) = outage {
            let place = (asked.arrival.registry, outage);
            self.tried_in_outage(place, begun_us.saturating_sub(began_us), outcome, took_us);
        }
        match outcome {
            Try::Right => {
                self.told.insert(asked.arrival.company);
            }
            Try::Failed(_) => {}
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
        self.answerable_at_once += u64::from(asked.answerable.at_once);
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
        if let Some(customers) = self.customers.get_mut(registry) {
            customers.count(asked, right_at);
        }
        let outage = asked.outage.and_then(|outage| self.outages.get_mut(registry)?.get_mut(outage));
        if let Some(during) = outage {
            during.customers.count(asked, right_at);
        }
        if right_at.is_some() {
            self.latencies.add(took_us);
        }
    }

    /// A try that began in an outage of a registry, so long after the outage began, came to this.
    fn tried_in_outage(
        &mut self,
        (registry, outage): (usize, usize),
        into_us: u64,
        outcome: &Try,
        took_us: u64,
    ) {
        if let Some(during) = self.outages.get_mut(registry).and_then(|all| all.get_mut(outage)) {
            during.failures.add(outcome, took_us);
            if into_us >= SETTLED_US {
                during.failures_settled.add(outcome, took_us);
            }
        }
    }

    /// How long after an outage's end it took until a whole second's customers had 95 % of what the ideal cache could
    /// tell them, in seconds; none when they never had. A second in which it could tell nothing says nothing.
    pub(crate) fn recovery_s(&self, registry: usize, end_us: u64) -> Option<f64> {
        let returned_s = end_us as f64 / 1e6;
        let first = returned_s.ceil() as usize;
        let seconds = self.seconds.get(registry)?.iter().enumerate().skip(first);
        let well = |tally: &Tally| tally.answerable > 0 && tally.right * 100 >= tally.answerable * 95;
        let second = seconds.filter(|(_, tally)| well(tally)).map(|(second, _)| second).next()?;
        Some(second as f64 - returned_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at_us: u64, outage: Option<usize>, warm: bool) -> Asked {
        let company = Company { country: *b"us", number: 0 };
        let answerable = Answerable { in_turn: true, at_once: true };
        Asked { arrival: Arrival { at_us, registry: 0, company }, answerable, outage, warm }
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
        assert_eq!(score.outages[0][0].customers, Warmth { warm: tally(1, 0, 1), cold: tally(1, 0, 0) });
        assert_eq!(score.customers, [Warmth { warm: tally(1, 0, 1), cold: tally(2, 1, 1) }]);
    }

    #[test]
    fn latencies_are_of_right_answers() {
        let mut score = Score::new(&[0]);
        for (right_at, took_us) in [(Some(0), 1000), (Some(2), 2000), (None, 60_000_000)] {
            score.done(asked(0, None, false), right_at, took_us);
        }
        assert!((score.latencies.percentile_ms(1.0) - 2.1).abs() < 1e-9);
    }

    #[test]
    fn tries_are_counted_in_the_second_in_which_they_begin() {
        let mut score = Score::new(&[1]);
        for (begun_us, took_us, outage) in
            [(0, 0, None), (999_999, 5_000_000, None), (2_000_000, 40_000, Some((0, 1_500_000)))]
        {
            score.tried(asked(0, None, false), (begun_us, took_us), outage, &Try::Failed(504));
        }
        assert_eq!(score.tries, [2, 0, 1]);
        let mut failures = Failures::default();
        failures.add(&Try::Failed(504), 40_000);
        assert_eq!(score.outages[0][0].failures, failures);
    }

    #[test]
    fn failures_in_an_outage_are_told_apart_once_it_could_be_known() {
        let mut score = Score::new(&[0, 1]);
        for (into_us, took_us) in [(0, 900_000), (SETTLED_US - 1, 500_000), (SETTLED_US, 40_000)] {
            score.tried_in_outage((1, 0), into_us, &Try::Failed(504), took_us);
        }
        score.tried_in_outage((0, 0), 0, &Try::Aborted, 0); // there is no such outage
        let mut settled = Failures::default();
        settled.add(&Try::Failed(504), 40_000);
        assert_eq!(score.outages[1][0].failures_settled, settled);
        assert_ne!(score.outages[1][0].failures, settled);
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
    fn a_second_in_which_nothing_could_be_told_is_no_good_one() {
        let mut score = Score::new(&[1]);
        for (second, in_turn, right_at) in [(1, false, None), (2, true, None), (3, true, Some(0))] {
            let answerable = Answerable { in_turn, at_once: in_turn };
            score.done(Asked { answerable, ..asked(second * 1_000_000, None, false) }, right_at, 0);
        }
        assert_eq!(score.recovery_s(0, 1_000_000), Some(2.0));
    }

    #[test]
    fn who_was_kept_out_is_late_by_nobody_knows_how_much() {
        let mut score = Score::new(&[0]);
        score.sent(20_000, 10_000);
        score.kept_out(asked(0, None, false));
        assert_eq!((score.kept_out, score.late, score.late_us_peak), (1, 2, 20_000));
        assert_eq!((score.all.asked, score.all.right), (1, 0));
    }

    #[test]
    fn only_more_than_the_most_is_late() {
        let mut score = Score::new(&[0]);
        for late_us in [0, 10_000, 10_001, 50_000] {
            score.sent(late_us, 10_000);
        }
        assert_eq!((score.late, score.late_us_peak), (2, 50_000));
    }
}
