//! What became of a try, as Python hands it on.

use backendify_core::miss::{Told, Tried};
use backendify_core::outcome::{self, Fault, Silence};
use backendify_core::record::Record;
use backendify_core::registry::Company;
use pyo3::prelude::*;

/// What became of a try: what a registry said, or why it said nothing.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Outcome {
    pub(crate) tried: Tried,
}

impl Outcome {
    /// A registry's whole reply; `retry_after_us` is how long it wants to be left alone.
    pub(crate) fn of_reply(
        status: u16,
        content_type: &[u8],
        body: &[u8],
        retry_after_us: Option<u64>,
    ) -> Self {
        let outcome = outcome::Outcome::of_reply(status, content_type, body);
        let told = Told { outcome, fwd_status: Some(status), stored: false, age_ds: 0 };
        Self { tried: Tried::Reply { told, retry_after_us } }
    }

    /// What another worker kept.
    pub(crate) fn recalled(record: &Record<'_>, age_ds: u32) -> Self {
        let (outcome, status) = match *record {
            Record::Company { name, active_until } => {
                (outcome::Outcome::Company(Company { name: name.to_owned(), active_until }), 200)
            }
            Record::NotFound => (outcome::Outcome::NotFound, 404),
        };
        Self { tried: Tried::Elsewhere(Told { outcome, fwd_status: Some(status), stored: true, age_ds }) }
    }

    const fn told(&self) -> Option<&Told> {
        match &self.tried {
            Tried::Reply { told, .. } | Tried::Elsewhere(told) => Some(told),
            Tried::ConnectFailed
            | Tried::Reset
            | Tried::TimedOut
            | Tried::TooLarge
            | Tried::NotHttp
            | Tried::NotBegun => None,
        }
    }
}

#[pymethods]
impl Outcome {
    /// No connection could be made.
    #[classattr]
    const CONNECT_FAILED: Self = Self { tried: Tried::ConnectFailed };
    /// A connection broke before the reply was whole.
    #[classattr]
    const RESET: Self = Self { tried: Tried::Reset };
    /// Nothing came in time.
    #[classattr]
    const TIMED_OUT: Self = Self { tried: Tried::TimedOut };
    /// More bytes than an answer may have.
    #[classattr]
    const TOO_LARGE: Self = Self { tried: Tried::TooLarge };
    /// Bytes that are no HTTP.
    #[classattr]
    const NOT_HTTP: Self = Self { tried: Tried::NotHttp };
    /// There was no socket to ask with.
    #[classattr]
    const NOT_BEGUN: Self = Self { tried: Tried::NotBegun };

    /// What it is, for another worker: 0 for a fact, which lies in the region, and a number for each failure.
    #[getter]
    fn code(&self) -> u8 {
        match &self.tried {
            Tried::ConnectFailed | Tried::Reset => 2,
            Tried::TimedOut => 1,
            Tried::NotBegun => 4,
            Tried::TooLarge | Tried::NotHttp => 5,
            Tried::Reply { told, .. } | Tried::Elsewhere(told) => match told.outcome {
                outcome::Outcome::Company(_) | outcome::Outcome::NotFound => 0,
                outcome::Outcome::Unanswered(Silence::TimedOut) => 1,
                outcome::Outcome::Unanswered(Silence::Unreachable) => 2,
                outcome::Outcome::Unanswered(Silence::Throttled) => 3,
                outcome::Outcome::Overloaded => 4,
                outcome::Outcome::Unusable(_) => 5,
            },
        }
    }

    /// The failure that another worker told; what was wrong with an unusable answer is not passed on.
    #[staticmethod]
    const fn of_code(code: u8) -> Self {
        let told = match code {
            1 => Told::unanswered(Silence::TimedOut),
            3 => Told::unanswered(Silence::Throttled),
            4 => Told::overloaded(),
            5 => Told::unusable(Fault::ToldElsewhere),
            _ => Told::unanswered(Silence::Unreachable),
        };
        Self { tried: Tried::Elsewhere(told) }
    }

    /// Is it a fact, which may be kept: a company, or that there is none?
    #[getter]
    fn is_fact(&self) -> bool {
        self.told().is_some_and(|told| told.outcome.fact().is_ok())
    }

    /// Is it in the region now?
    #[getter]
    fn stored(&self) -> bool {
        self.told().is_some_and(|told| told.stored)
    }

    /// The HTTP status that would tell it: 200, 404, 502, 503 or 504; None without a reply.
    #[getter]
    fn status(&self) -> Option<u16> {
        self.told().map(|told| match told.outcome.fact() {
            Ok(Record::Company { .. }) => 200,
            Ok(Record::NotFound) => 404,
            Err(problem) => problem.status(),
        })
    }

    /// The company's name.
    #[getter]
    fn name(&self) -> Option<&str> {
        match &self.told()?.outcome {
            outcome::Outcome::Company(company) => Some(&company.name),
            _ => None,
        }
    }

    /// When the company's activity ends or ended, RFC 3339 in UTC.
    #[getter]
    fn active_until(&self) -> Option<String> {
        match &self.told()?.outcome {
            outcome::Outcome::Company(company) => company.active_until.map(|until| until.to_string()),
            _ => None,
        }
    }

    /// Why there is no fact, in one sentence; empty when there is one, or no reply.
    #[getter]
    fn detail(&self) -> String {
        let problem = self.told().and_then(|told| told.outcome.fact().err());
        problem.map(|problem| problem.to_string()).unwrap_or_default()
    }
}
