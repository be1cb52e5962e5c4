//! What became of a question: what its registry said, or why nothing useful was said.

use crate::answer::Problem;
use crate::record::Record;
use crate::registry::{self, BadReply, Company};

/// What became of a question. Only the first two are facts, and only they are ever kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The registry knows the company.
    Company(Company),
    /// The registry said 404.
    NotFound,
    /// The registry answered, but not with a company in a shape we know.
    Unusable(Fault),
    /// The registry did not answer in time.
    Unanswered(Silence),
    /// The service itself would not ask: it is over its own limits.
    Overloaded,
}

/// Why a registry's answer cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// A status that means neither a company, nor none, nor "later".
    #[error("The registry answered with status {0}.")]
    Status(u16),
    /// A 200 whose body is no company.
    #[error(transparent)]
    Body(#[from] BadReply),
    /// More bytes than an answer may have.
    #[error("The registry's answer is too large.")]
    TooLarge,
    /// Another worker asked, and could not use what it was told.
    #[error("The registry's answer cannot be used.")]
    ToldElsewhere,
    /// Not HTTP.
    #[error("The registry's answer is not valid HTTP.")]
    NotHttp,
}

/// Why a registry's answer did not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Silence {
    /// Nothing came within the time allowed.
    #[error("The registry did not answer in time.")]
    TimedOut,
    /// No connection, or one that broke before the answer was whole.
    #[error("The registry could not be reached.")]
    Unreachable,
    /// 429 or 503: the registry asked for patience.
    #[error("The registry asked to be left alone for a while.")]
    Throttled,
}

impl Outcome {
    /// Reads a registry's whole reply: 200 is a company or unusable, 404 is "none", 429 and 503 mean "later", all else
    /// is unusable.
    #[must_use]
    pub fn of_reply(status: u16, content_type: &[u8], body: &[u8]) -> Self {
        match status {
            200 => match registry::normalise(content_type, body) {
                Ok(company) => Self::Company(company),
                Err(fault) => Self::Unusable(Fault::Body(fault)),
            },
            404 => Self::NotFound,
            429 | 503 => Self::Unanswered(Silence::Throttled),
            other => Self::Unusable(Fault::Status(other)),
        }
    }

    /// The fact that it tells, which may be kept.
    ///
    /// # Errors
    /// The [`Problem`] to tell instead: a failure is never kept.
    pub fn fact(&self) -> Result<Record<'_>, Problem> {
        match self {
            Self::Company(company) => Ok(company.record()),
            Self::NotFound => Ok(Record::NotFound),
            Self::Unusable(fault) => Err(Problem::Unusable(fault.clone())),
            Self::Unanswered(silence) => Err(Problem::Unanswered(*silence)),
            Self::Overloaded => Err(Problem::Overloaded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &[u8] = b"application/x-company-v1";

    #[test]
    fn a_status_decides_first() {
        let table = [
            (404, Outcome::NotFound),
            (429, Outcome::Unanswered(Silence::Throttled)),
            (503, Outcome::Unanswered(Silence::Throttled)),
            (204, Outcome::Unusable(Fault::Status(204))),
            (206, Outcome::Unusable(Fault::Status(206))),
            (301, Outcome::Unusable(Fault::Status(301))),
            (400, Outcome::Unusable(Fault::Status(400))),
            (500, Outcome::Unusable(Fault::Status(500))),
            (504, Outcome::Unusable(Fault::Status(504))),
            (999, Outcome::Unusable(Fault::Status(999))),
        ];
        for (status, outcome) in table {
            assert_eq!(Outcome::of_reply(status, V1, br#"{"cn":"x"}"#), outcome, "{status}");
        }
    }

    #[test]
    fn only_facts_are_kept() {
        let company = Outcome::of_reply(200, V1, br#"{"cn":"x"}"#);
        assert_eq!(company.fact(), Ok(Record::Company { name: "x", active_until: None }));
        assert_eq!(Outcome::NotFound.fact(), Ok(Record::NotFound));
        for (failed, status) in [
            (Outcome::of_reply(200, V1, b"[]"), 502),
            (Outcome::Unusable(Fault::TooLarge), 502),
            (Outcome::Unusable(Fault::NotHttp), 502),
            (Outcome::Unanswered(Silence::TimedOut), 504),
            (Outcome::Unanswered(Silence::Unreachable), 504),
            (Outcome::Overloaded, 503),
        ] {
            assert_eq!(failed.fact().unwrap_err().status(), status, "{failed:?}");
        }
    }
}
