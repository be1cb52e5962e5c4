//! What a customer is told: status, fields and body. The only writer of JSON.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use crate::date::Timestamp;
use crate::freshness::{self, Freshness, Lifetimes};
use crate::outcome::{Fault, Outcome, Silence};
use crate::query::BadQuery;
use crate::record::Record;

/// How long a customer who met a limit is asked to stay away, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// One whole answer, ready for any HTTP server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// Seconds for which caches may keep it; None is `no-store`.
    pub max_age_s: Option<u32>,
    /// The value of `Cache-Status` (RFC 9211); None where no cache was asked.
    pub cache_status: Option<String>,
    /// One more field, where the status calls for one.
    pub extra: Option<(&'static str, String)>,
    /// The body; a HEAD leaves it out but tells its length.
    pub body: Vec<u8>,
}

/// How a miss went, as `Cache-Status` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Miss {
    /// The registry's status, when it answered.
    pub fwd_status: Option<u16>,
    /// Is the answer in the cache now?
    pub stored: bool,
    /// Did this customer wait for a fetch that another began?
    pub collapsed: bool,
    /// How long ago it was learnt, in deciseconds.
    pub age_ds: u32,
}

impl fmt::Display for Miss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("backendify; fwd=uri-miss")?;
        if let Some(status) = self.fwd_status {
            write!(out, "; fwd-status={status}")?;
        }
        out.write_str(if self.stored { "; stored" } else { "" })?;
        out.write_str(if self.collapsed { "; collapsed" } else { "" })
    }
}

/// Why there is no company in an answer (RFC 9457 calls it a problem).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The request target is over [`crate::request::TARGET_BYTES_MAX`].
    #[error("The request target is longer than 8 KiB.")]
    TargetTooLong,
    /// The fields are over [`crate::request::HEADERS_BYTES_MAX`].
    #[error("The request's header fields are larger than 16 KiB.")]
    HeadersTooLarge,
    /// No `Host`, or more than one.
    #[error("A request needs exactly one Host field.")]
    BadHost,
    /// Neither `/company` nor `/status` nor `/`.
    #[error("There is nothing at this path; companies are at /company?id=…&country_iso=….")]
    UnknownPath,
    /// Neither GET nor HEAD.
    #[error("Only GET and HEAD are answered here.")]
    MethodNotAllowed,
    /// The query does not name one company.
    #[error(transparent)]
    BadQuery(BadQuery),
    /// No registry is configured for the country.
    #[error("No registry is configured for this country.")]
    NoRegistry,
    /// The registry said 404.
    #[error("The registry knows no company with this id.")]
    NoCompany,
    /// The registry's answer cannot be used.
    #[error(transparent)]
    Unusable(Fault),
    /// The registry's answer did not come.
    #[error(transparent)]
    Unanswered(Silence),
    /// The service is over its own limits.
    #[error("The service is over its limits at the moment.")]
    Overloaded,
    /// The service is about to stop.
    #[error("The service is shutting down.")]
    Draining,
    /// This client asks for too much that is not known yet.
    #[error("This client is over its rate limit; it may ask again in {retry_after_s} s.")]
    ClientLimited {
        /// Seconds until it may, rounded up.
        retry_after_s: u64,
    },
}

impl Problem {
    /// The HTTP status that tells it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadHost | Self::BadQuery(_) => 400,
            Self::UnknownPath | Self::NoRegistry | Self::NoCompany => 404,
            Self::MethodNotAllowed => 405,
            Self::TargetTooLong => 414,
            Self::ClientLimited { .. } => 429,
            Self::HeadersTooLarge => 431,
            Self::Unusable(_) => 502,
            Self::Overloaded | Self::Draining => 503,
            Self::Unanswered(_) => 504,
        }
    }
}

/// The reason phrase of a status that [`Problem::status`] can give (RFC 9110 §15, RFC 6585 §5).
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Gateway Timeout",
    }
}

impl Answer {
    /// Tells a problem that no cache and no registry has a part in.
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let status = problem.status();
        let mut body = Vec::with_capacity(160);
        body.extend_from_slice(br#"{"type":"about:blank","title":"#);
        write_string(&mut body, title(status));
        body.extend_from_slice(format!(r#","status":{status},"detail":"#).as_bytes());
        write_string(&mut body, &problem.to_string());
        body.push(b'}');
        let extra = match problem {
            Problem::MethodNotAllowed => Some(("allow", "GET, HEAD".to_owned())),
            Problem::Overloaded | Problem::Draining => Some(("retry-after", RETRY_AFTER_S.to_string())),
            Problem::ClientLimited { retry_after_s } => Some(("retry-after", retry_after_s.to_string())),
            _ => None,
        };
        Self {
            status,
            media_type: "application/problem+json",
            max_age_s: None,
            cache_status: None,
            extra,
            body,
        }
    }

    /// Answers `/status`.
    #[must_use]
    pub fn status(is_draining: bool) -> Self {
        let (status, word) = if is_draining { (503, "draining") } else { (200, "ok") };
        let extra = is_draining.then(|| ("retry-after", RETRY_AFTER_S.to_string()));
        let body = format!(r#"{{"status":"{word}"}}"#).into_bytes();
        Self { status, media_type: "application/json", max_age_s: None, cache_status: None, extra, body }
    }

    /// Answers `/`.
    #[must_use]
    pub fn root(version: &str) -> Self {
        let body = format!(r#"{{"service":"backendify","version":"{version}"}}"#).into_bytes();
        Self {
            status: 200,
            media_type: "application/json",
            max_age_s: None,
            cache_status: None,
            extra: None,
            body,
        }
    }

    /// Answers from the cache: `record` was found at an age that `freshness` judges.
    ///
    /// None when the record may not be told. A stale one may only be told instead of an error, which is the caller's
    /// to know; it names `fwd_status`, the status with which the registry failed, when there was one.
    #[must_use]
    pub fn found(
        id: &str,
        record: &Record<'_>,
        freshness: Freshness,
        fwd_status: Option<u16>,
        now: Timestamp,
    ) -> Option<Self> {
        let (left_ds, cache_status) = match freshness {
            Freshness::Fresh { left_ds } => (left_ds, format!("backendify; hit; ttl={}", left_ds / 10)),
            Freshness::Stale { over_ds } => {
                let mut text = "backendify; fwd=stale".to_owned();
                if let Some(status) = fwd_status {
                    let _ = write!(text, "; fwd-status={status}");
                }
                let _ = write!(text, "; ttl=-{}; detail=stale-if-error", over_ds.div_ceil(10));
                (0, text)
            }
            Freshness::Gone => return None,
        };
        Some(Self { cache_status: Some(cache_status), ..Self::told(id, record, left_ds, now) })
    }

    /// Answers a miss with what became of it.
    #[must_use]
    pub fn missed(id: &str, outcome: &Outcome, miss: Miss, lifetimes: &Lifetimes, now: Timestamp) -> Self {
        let answer = match outcome.fact() {
            Ok(record) => Self::told(id, &record, lifetimes.of(&record).saturating_sub(miss.age_ds), now),
            Err(problem) => Self::problem(&problem),
        };
        Self { cache_status: Some(miss.to_string()), ..answer }
    }

    /// Is the connection closed after it? Who is over the limits, or stays while the service stops, must not keep one of a
    /// bounded number from others.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.status == 503
    }

    fn told(id: &str, record: &Record<'_>, left_ds: u32, now: Timestamp) -> Self {
        match *record {
            Record::Company { name, active_until } => Self {
                status: 200,
                media_type: "application/json",
                max_age_s: Some(freshness::max_age_s(left_ds, active_until, now)),
                cache_status: None,
                extra: None,
                body: company_body(id, name, active_until, now),
            },
            Record::NotFound => Self { max_age_s: Some(left_ds / 10), ..Self::problem(&Problem::NoCompany) },
        }
    }
}

/// The keys in the contract's order, no white space.
fn company_body(id: &str, name: &str, active_until: Option<Timestamp>, now: Timestamp) -> Vec<u8> {
    let mut body = Vec::with_capacity(id.len() + name.len() + 96);
    body.extend_from_slice(br#"{"id":"#);
    write_string(&mut body, id);
    body.extend_from_slice(br#","name":"#);
    write_string(&mut body, name);
    body.extend_from_slice(br#","active":"#);
    body.extend_from_slice(if freshness::is_active(active_until, now) { b"true" } else { b"false" });
    if let Some(until) = active_until {
        body.extend_from_slice(br#","active_until":""#);
        // Writing to a Vec cannot fail.
        let _ = write!(body, "{until}");
        body.push(b'"');
    }
    body.push(b'}');
    body
}

/// A JSON string, escaped only where RFC 8259 §7 demands it.
fn write_string(body: &mut Vec<u8>, text: &str) {
    // Writing a str to a Vec cannot fail.
    let _ = serde_json::to_writer(body, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Company;

    const LIFETIMES: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 600 };
    const NOW: i64 = 1_700_000_000;

    fn at(unix_s: i64, nanoseconds: u32) -> Timestamp {
        Timestamp::from_unix(unix_s, nanoseconds).unwrap()
    }

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(&answer.body).unwrap()
    }

    #[test]
    fn a_company_is_told_in_the_contract_s_order() {
        let until = Some(at(1_640_988_000, 0));
        let record = Record::Company { name: "ООО «Ромашка»", active_until: until };
        let fresh = Freshness::Fresh { left_ds: 863_995 };
        let answer = Answer::found("17937688759 7J", &record, fresh, None, at(NOW, 0)).unwrap();
        assert_eq!(
            text(&answer),
            r#"{"id":"17937688759 7J","name":"ООО «Ромашка»","active":false,"active_until":"2021-12-31T22:00:00Z"}"#
        );
        assert_eq!(answer.status, 200);
        assert_eq!(answer.max_age_s, Some(86_399));
        assert_eq!(answer.cache_status.as_deref(), Some("backendify; hit; ttl=86399"));
    }

    #[test]
    fn active_is_worked_out_for_each_answer() {
        let record = Record::Company { name: "a", active_until: Some(at(NOW, 500)) };
        let fresh = Freshness::Fresh { left_ds: 1000 };
        for (now, active, max_age_s) in
            [(at(NOW - 7, 400), "true", 7), (at(NOW, 499), "true", 0), (at(NOW, 500), "false", 100)]
        {
            let answer = Answer::found("1", &record, fresh, None, now).unwrap();
            assert!(text(&answer).contains(&format!(r#""active":{active}"#)), "{now:?}");
            assert_eq!(answer.max_age_s, Some(max_age_s), "{now:?}");
        }
    }

    #[test]
    fn strings_are_escaped_only_where_json_demands_it() {
        let record = Record::Company { name: "\"\\/\u{8}\n\u{1f}\u{7f}é\u{2028}😀", active_until: None };
        let answer = Answer::found("\0", &record, Freshness::Fresh { left_ds: 1 }, None, at(NOW, 0)).unwrap();
        assert_eq!(
            text(&answer),
            "{\"id\":\"\\u0000\",\"name\":\"\\\"\\\\/\\b\\n\\u001f\u{7f}é\u{2028}😀\",\"active\":true}"
        );
    }

    #[test]
    fn a_record_past_its_time_is_told_as_stale_or_not_at_all() {
        let record = Record::Company { name: "a", active_until: None };
        let stale =
            Answer::found("1", &record, Freshness::Stale { over_ds: 31 }, Some(500), at(NOW, 0)).unwrap();
        assert_eq!(stale.max_age_s, Some(0));
        assert_eq!(
            stale.cache_status.as_deref(),
            Some("backendify; fwd=stale; fwd-status=500; ttl=-4; detail=stale-if-error")
        );
        assert_eq!(Answer::found("1", &record, Freshness::Gone, None, at(NOW, 0)), None);
    }

    #[test]
    fn a_miss_is_told_by_its_outcome() {
        let company = Outcome::Company(Company { name: "a".into(), active_until: None });
        let (fwd, none) = (Some(200), None);
        let table = [
            (company.clone(), fwd, true, false, 200, Some(86_400), "fwd=uri-miss; fwd-status=200; stored"),
            (company, fwd, false, true, 200, Some(86_400), "fwd=uri-miss; fwd-status=200; collapsed"),
            (
                Outcome::NotFound,
                Some(404),
                true,
                true,
                404,
                Some(3600),
                "fwd=uri-miss; fwd-status=404; stored; collapsed",
            ),
            (
                Outcome::Unusable(Fault::Status(500)),
                Some(500),
                false,
                false,
                502,
                None,
                "fwd=uri-miss; fwd-status=500",
            ),
            (Outcome::Unanswered(Silence::TimedOut), none, false, false, 504, None, "fwd=uri-miss"),
            (Outcome::Overloaded, none, false, false, 503, None, "fwd=uri-miss"),
        ];
        for (outcome, fwd_status, stored, collapsed, status, max_age_s, cache_status) in table {
            let miss = Miss { fwd_status, stored, collapsed, age_ds: 0 };
            let answer = Answer::missed("1", &outcome, miss, &LIFETIMES, at(NOW, 0));
            assert_eq!(answer.status, status, "{outcome:?}");
            assert_eq!(answer.max_age_s, max_age_s, "{outcome:?}");
            assert_eq!(answer.cache_status, Some(format!("backendify; {cache_status}")), "{outcome:?}");
        }
    }

    #[test]
    fn problems_are_problem_documents() {
        let answer = Answer::problem(&Problem::MethodNotAllowed);
        assert_eq!(
            text(&answer),
            r#"{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"Only GET and HEAD are answered here."}"#
        );
        assert_eq!(answer.extra, Some(("allow", "GET, HEAD".into())));
        assert_eq!(answer.max_age_s, None);
        for problem in [
            Problem::TargetTooLong,
            Problem::HeadersTooLarge,
            Problem::BadHost,
            Problem::UnknownPath,
            Problem::NoRegistry,
            Problem::NoCompany,
            Problem::Unusable(Fault::TooLarge),
            Problem::Unanswered(Silence::Unreachable),
            Problem::Overloaded,
            Problem::Draining,
        ] {
            let answer = Answer::problem(&problem);
            let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(document["status"], answer.status);
            assert_eq!(document["detail"], problem.to_string());
            assert_ne!(document["title"] == "Gateway Timeout", answer.status != 504, "{problem:?}");
            assert_eq!(answer.extra.is_some(), answer.status == 503, "{problem:?}");
            assert_eq!(answer.closes(), matches!(problem, Problem::Overloaded | Problem::Draining));
        }
    }
}
