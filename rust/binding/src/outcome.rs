//! What became of a question, as Python hands it on.

use backendify_core::outcome::{self, Fault, Silence};
use backendify_core::record::Record;
use backendify_core::registry::Company;
use pyo3::prelude::*;

/// What became of a question, and whether it is in the region now.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Outcome {
    pub(crate) what: outcome::Outcome,
    /// The registry's own status; None when it did not answer.
    #[pyo3(get)]
    pub(crate) fwd_status: Option<u16>,
    /// Is it in the region now?
    #[pyo3(get)]
    pub(crate) stored: bool,
    /// How long ago it was learnt, in deciseconds; 0 unless another worker learnt it.
    pub(crate) age_ds: u32,
}

impl Outcome {
    pub(crate) fn of_reply(status: u16, content_type: &[u8], body: &[u8]) -> Self {
        let what = outcome::Outcome::of_reply(status, content_type, body);
        Self { what, fwd_status: Some(status), stored: false, age_ds: 0 }
    }

    /// What another worker kept.
    pub(crate) fn recalled(record: &Record<'_>, age_ds: u32) -> Self {
        let (what, status) = match *record {
            Record::Company { name, active_until } => {
                (outcome::Outcome::Company(Company { name: name.to_owned(), active_until }), 200)
            }
            Record::NotFound => (outcome::Outcome::NotFound, 404),
        };
        Self { what, fwd_status: Some(status), stored: true, age_ds }
    }

    const fn without_reply(what: outcome::Outcome) -> Self {
        Self { what, fwd_status: None, stored: false, age_ds: 0 }
    }
}

#[pymethods]
impl Outcome {
    /// Nothing came in time.
    #[classattr]
    const TIMED_OUT: Self = Self::without_reply(outcome::Outcome::Unanswered(Silence::TimedOut));
    /// No connection, or a broken one.
    #[classattr]
    const UNREACHABLE: Self = Self::without_reply(outcome::Outcome::Unanswered(Silence::Unreachable));
    /// The registry asked to be left alone, and is not asked now.
    #[classattr]
    const THROTTLED: Self = Self::without_reply(outcome::Outcome::Unanswered(Silence::Throttled));
    /// More bytes than an answer may have.
    #[classattr]
    const TOO_LARGE: Self = Self::without_reply(outcome::Outcome::Unusable(Fault::TooLarge));
    /// Bytes that are no HTTP.
    #[classattr]
    const NOT_HTTP: Self = Self::without_reply(outcome::Outcome::Unusable(Fault::NotHttp));
    /// The service is over its own limits and does not ask.
    #[classattr]
    const OVERLOADED: Self = Self::without_reply(outcome::Outcome::Overloaded);

    /// What it is, for another worker: 0 for a fact, which lies in the region, and a number for each failure.
    #[getter]
    const fn code(&self) -> u8 {
        match &self.what {
            outcome::Outcome::Company(_) | outcome::Outcome::NotFound => 0,
            outcome::Outcome::Unanswered(Silence::TimedOut) => 1,
            outcome::Outcome::Unanswered(Silence::Unreachable) => 2,
            outcome::Outcome::Unanswered(Silence::Throttled) => 3,
            outcome::Outcome::Overloaded => 4,
            outcome::Outcome::Unusable(_) => 5,
        }
    }

    /// The failure that another worker told; what was wrong with an unusable answer is not passed on.
    #[staticmethod]
    const fn of_code(code: u8) -> Self {
        Self::without_reply(match code {
            1 => outcome::Outcome::Unanswered(Silence::TimedOut),
            3 => outcome::Outcome::Unanswered(Silence::Throttled),
            4 => outcome::Outcome::Overloaded,
            5 => outcome::Outcome::Unusable(Fault::ToldElsewhere),
            _ => outcome::Outcome::Unanswered(Silence::Unreachable),
        })
    }

    /// The HTTP status that tells it: 200, 404, 502, 503 or 504.
    #[getter]
    fn status(&self) -> u16 {
        match self.what.fact() {
            Ok(Record::Company { .. }) => 200,
            Ok(Record::NotFound) => 404,
            Err(problem) => problem.status(),
        }
    }

    /// Is it a fact, which may be kept: a company, or that there is none?
    #[getter]
    fn is_fact(&self) -> bool {
        self.what.fact().is_ok()
    }

    /// The company's name.
    #[getter]
    fn name(&self) -> Option<&str> {
        match &self.what {
            outcome::Outcome::Company(company) => Some(&company.name),
            _ => None,
        }
    }

    /// When the company's activity ends or ended, RFC 3339 in UTC.
    #[getter]
    fn active_until(&self) -> Option<String> {
        match &self.what {
            outcome::Outcome::Company(company) => company.active_until.map(|until| until.to_string()),
            _ => None,
        }
    }

    /// Why there is no fact, in one sentence; empty when there is one.
    #[getter]
    fn detail(&self) -> String {
        self.what.fact().err().map(|problem| problem.to_string()).unwrap_or_default()
    }
}
