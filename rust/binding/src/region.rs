//! The region, for Python.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use backendify_core::answer::Answer;
use backendify_core::freshness::{Freshness, Lifetimes};
use backendify_core::key::Key;
use backendify_core::miss::Tried;
use backendify_core::record::Record;
use backendify_core::region::{self, OpenOptions, Opened};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock;
use crate::error::RegionError;
use crate::outcome::Outcome;
use crate::question::Question;

/// Younger records are what another worker kept while this one waited for the lease.
const JUST_NOW_DS: u32 = 10;

/// Where records lie: bounded in bytes.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Region {
    shared: region::Region,
    pub(crate) lifetimes: Lifetimes,
}

/// A fresh record's answer, and whether its question should be asked again behind it.
pub(crate) struct Hit {
    pub(crate) answer: Answer,
    pub(crate) is_refresh_due: bool,
}

impl Region {
    /// Answers from a fresh record.
    pub(crate) fn find(&self, key: Key<'_>, id: &str) -> Option<Hit> {
        let mut page = region::Page::default();
        let found = self.shared.get(key, clock::boot(), &mut page)?;
        let age_ds = age_ds(&found);
        let freshness = self.lifetimes.judge(&found.record, age_ds);
        let Freshness::Fresh { .. } = freshness else { return None };
        let is_due = self.lifetimes.is_refresh_due(&found.record, age_ds, spread(key.id));
        let answer = Answer::found(id, &found.record, freshness, None, clock::wall())?;
        Some(Hit { answer, is_refresh_due: is_due && found.visited_before })
    }

    /// Answers from a record past its time, for when its registry fails with `fwd_status` or stays silent.
    pub(crate) fn find_stale(&self, question: &Question, fwd_status: Option<u16>) -> Option<Answer> {
        if self.lifetimes.stale_ds == 0 {
            return None;
        }
        let mut page = region::Page::default();
        let found = self.shared.peek(question.key(), clock::boot(), &mut page)?;
        let freshness = self.lifetimes.judge(&found.record, age_ds(&found));
        Answer::found(&question.id, &found.record, freshness, fwd_status, clock::wall())
    }

    fn put(&self, question: &Question, record: &Record<'_>) -> bool {
        // A lifetime of 0 keeps nothing, not even for when the registry fails.
        self.lifetimes.of(record) > 0
            && self.shared.put(question.key(), record, clock::boot()) == region::Kept::Stored
    }
}

/// Ages are differences of cut clocks, up to a tenth of a second too small: never longer than promised is told.
const fn age_ds(found: &region::Found<'_>) -> u32 {
    found.age_ds.saturating_add(1)
}

/// Differs between ids, so that what was kept in one burst is not refreshed in one.
fn spread(id: &[u8]) -> u64 {
    id.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

fn lifetimes(ttl_ms: u64, negative_ttl_ms: u64, stale_ms: u64) -> PyResult<Lifetimes> {
    Ok(Lifetimes {
        ttl_ds: deciseconds(ttl_ms)?,
        negative_ttl_ds: deciseconds(negative_ttl_ms)?,
        stale_ds: deciseconds(stale_ms)?,
    })
}

fn registry((country, url): &(String, String)) -> PyResult<region::Registry> {
    <[u8; 2]>::try_from(country.as_bytes()).map(|country| region::Registry::new(country, url)).map_err(|_| {
        PyValueError::new_err(format!("'{country}' is no country: two ASCII letters are expected"))
    })
}

fn deciseconds(milliseconds: u64) -> PyResult<u32> {
    // Cut, so that nothing is told for longer than was asked.
    u32::try_from(milliseconds / 100).map_err(|_| {
        PyValueError::new_err(format!("{milliseconds} ms is too long: at most 13 years are expected"))
    })
}

#[pymethods]
impl Region {
    /// A region of `bytes`, in this process's memory.
    ///
    /// Raises `ValueError` when it is too small or too large, or for lifetimes over 13 years.
    #[new]
    #[pyo3(signature = (*, bytes, ttl_ms, negative_ttl_ms, stale_ms))]
    fn new(bytes: usize, ttl_ms: u64, negative_ttl_ms: u64, stale_ms: u64) -> PyResult<Self> {
        let lifetimes = lifetimes(ttl_ms, negative_ttl_ms, stale_ms)?;
        let shared = region::Region::on_heap(bytes, lifetimes, clock::seed())
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { shared, lifetimes })
    }

    /// The region in the file at `path`, made if there is none: (region, what was found, in words).
    ///
    /// `registries` are (country, base URL), in the order in which questions number them. Keep none open
    /// over a fork, which shares the locks by which workers know each other alive. Raises :class:`RegionError`, in one sentence, for
    /// whatever keeps the file from being ours, whole and reserved; `ValueError` for lifetimes over 13 years.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
    #[pyo3(signature = (path, *, bytes, registries, ttl_ms, negative_ttl_ms, stale_ms))]
    fn open(
        path: PathBuf,
        bytes: usize,
        registries: Vec<(String, String)>,
        ttl_ms: u64,
        negative_ttl_ms: u64,
        stale_ms: u64,
    ) -> PyResult<(Self, String)> {
        let lifetimes = lifetimes(ttl_ms, negative_ttl_ms, stale_ms)?;
        let registries = registries.iter().map(registry).collect::<PyResult<Vec<_>>>()?;
        let (boot_id, seed) = (clock::boot_id()?, clock::seed());
        let options = OpenOptions { bytes, lifetimes, registries: &registries, boot_id, seed };
        let (shared, opened) =
            region::Region::open(&path, &options).map_err(|error| RegionError::new_err(error.to_string()))?;
        let found = match opened {
            Opened::Created => "new".to_owned(),
            Opened::Attached => "with what it held".to_owned(),
            Opened::Rebuilt(because) => format!("started anew: {because}"),
        };
        Ok((Self { shared, lifetimes }, found))
    }

    /// This worker's place among all who have the file: 1 to 255.
    #[getter]
    const fn place(&self) -> u8 {
        self.shared.place()
    }

    /// Takes a question's lease, for `life_ms`; false when another worker has it, who will tell this one.
    fn take_lease(&self, question: &Question, life_ms: u64) -> PyResult<bool> {
        let life = deciseconds(life_ms)?;
        Ok(self.shared.take_lease(question.key(), clock::boot(), life) == region::Lease::Mine)
    }

    /// Lets a question's lease go: the places of those who wait to be told, one bit each, bit 0 for place 1.
    fn release_lease(&self, question: &Question) -> u64 {
        self.shared.release_lease(question.key())
    }

    /// What another worker has just kept of this question, a second ago at most.
    fn recall(&self, question: &Question) -> Option<Outcome> {
        let mut page = region::Page::default();
        let found = self.shared.peek(question.key(), clock::boot(), &mut page)?;
        let age_ds = age_ds(&found);
        (age_ds <= JUST_NOW_DS).then(|| Outcome::recalled(&found.record, age_ds))
    }

    /// Reads a registry's whole reply and keeps it when it is a fact: a company, or that there is none.
    #[pyo3(signature = (question, status, content_type, body, *, retry_after_s = None))]
    fn keep(
        &self,
        question: &Question,
        status: u16,
        content_type: &[u8],
        body: &[u8],
        retry_after_s: Option<f64>,
    ) -> Outcome {
        let pause = retry_after_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let pause_us = pause.and_then(|pause| u64::try_from(pause.as_micros()).ok());
        let mut outcome = Outcome::of_reply(status, content_type, body, pause_us);
        if let Tried::Reply { told, .. } = &mut outcome.tried {
            told.stored = told.outcome.fact().is_ok_and(|record| self.put(question, &record));
        }
        outcome
    }

    /// Clears what is past its time in the next `buckets` buckets; returns how many records went.
    fn sweep(&self, py: Python<'_>, buckets: u32) -> u32 {
        // Detached: from a disk 64 buckets take milliseconds. The core's region may be used by many threads at once.
        py.detach(|| self.shared.sweep(buckets, clock::boot()).cleared)
    }

    /// What it holds, and totals since it was made, over all workers: see `backendify_core::region::Stats`.
    fn stats(&self) -> HashMap<&'static str, u64> {
        let counts = self.shared.stats();
        HashMap::from([
            ("bytes_capacity", u64::from(self.shared.buckets()) * region::PAGE_BYTES as u64),
            ("bytes", counts.bytes),
            ("records", counts.records),
            ("hits", counts.hits),
            ("misses", counts.misses),
            ("stores", counts.stores),
            ("evictions", counts.evictions),
            ("expired", counts.expired),
            ("oversize", counts.oversize),
            ("busy", counts.busy),
            ("damaged", counts.damaged),
            ("takeovers", counts.takeovers),
        ])
    }

    /// How many buckets there are.
    #[getter]
    fn buckets(&self) -> u32 {
        self.shared.buckets()
    }
}
