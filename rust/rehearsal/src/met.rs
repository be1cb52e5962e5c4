//! How a request is met, and the octets that say so.

use crate::behaviour::{Outcome, Turn};
use crate::profile::{Away, Lie, Outage};
use crate::truth::{Company, Wording};

/// How a request is met, after its latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Met {
    /// With what is so about a company that exists.
    Told(Company, Wording),
    /// 404.
    Unknown,
    /// 429, with what `Retry-After` says.
    Throttled(u32),
    /// 503, with what `Retry-After` says.
    Unavailable(Option<u32>),
    /// 500.
    Error,
    /// 200 with what cannot be used.
    Lie(Company, Wording, Lie),
    /// The half of a reply; then the connection closes.
    Cut(Company, Wording),
    /// TCP's RST.
    Reset,
    /// Says nothing for so many microseconds, then resets; none is for ever.
    Hang(Option<u64>),
}

impl Met {
    /// By what was drawn; does the company exist?
    pub(crate) const fn turn(company: Company, turn: Turn, exists: bool) -> Self {
        match turn.outcome {
            Outcome::Answer if exists => Self::Told(company, turn.wording),
            Outcome::Answer => Self::Unknown,
            Outcome::Error => Self::Error,
            Outcome::Hang => Self::Hang(None),
            Outcome::Reset => Self::Reset,
            Outcome::Lie(lie) => Self::Lie(company, turn.wording, lie),
            Outcome::Cut => Self::Cut(company, turn.wording),
            Outcome::Unavailable(retry_after_s) => Self::Unavailable(retry_after_s),
        }
    }

    /// By an outage, at this time.
    pub(crate) fn outage(outage: Outage, now_us: u64) -> Self {
        match outage.how {
            Away::Reset => Self::Reset,
            Away::Hang => Self::Hang(Some(outage.end_us().saturating_sub(now_us))),
            Away::Unavailable => Self::Unavailable(outage.retry_after_s(now_us)),
            Away::Error => Self::Error,
        }
    }

    /// Does the connection close behind what is written?
    pub(crate) const fn closes(self) -> bool {
        matches!(self, Self::Cut(..))
    }

    /// The reply's octets.
    pub(crate) fn written(self) -> String {
        let ok = "200 OK";
        match self {
            Self::Told(company, wording) => {
                let (kind, body) = company.registry_says(wording);
                reply(ok, "", kind, &body)
            }
            Self::Unknown => reply("404 Not Found", "", "text/plain", ""),
            Self::Throttled(retry_after_s) => {
                reply("429 Too Many Requests", &retry_after(retry_after_s), "text/plain", "")
            }
            Self::Unavailable(retry_after_s) => {
                let field = retry_after_s.map(retry_after).unwrap_or_default();
                reply("503 Service Unavailable", &field, "text/plain", "")
            }
            Self::Error => reply("500 Internal Server Error", "", "text/plain", ""),
            Self::Lie(company, wording, lie) => {
                let (kind, body) = company.registry_garbles(wording, lie);
                reply(ok, "", kind, &body)
            }
            Self::Cut(company, wording) => {
                let (kind, body) = company.registry_says(wording);
                let mut whole = reply(ok, "", kind, &body);
                whole.truncate(whole.len() - CUT_BYTES);
                whole
            }
            Self::Reset | Self::Hang(_) => String::new(), // nothing is written
        }
    }
}

/// So many octets of a body that is cut off are not sent: its end is `,"registered":true}`.
const CUT_BYTES: usize = 9;

fn retry_after(seconds: u32) -> String {
    format!("Retry-After: {seconds}\r\n")
}

fn reply(status: &str, field: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{field}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Format;

    #[test]
    fn what_is_written_says_how_it_ends() {
        let company = Company { country: *b"us", number: 1 };
        let wording = Wording { format: Format::V1, says_null: true, offset_min: 0 };
        for (met, head, is_whole) in [
            (
                Met::Told(company, wording),
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\n",
                true,
            ),
            (
                Met::Cut(company, wording),
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\n",
                false,
            ),
            (Met::Unknown, "HTTP/1.1 404 ", true),
            (Met::Throttled(3), "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\n", true),
            (Met::Unavailable(Some(20)), "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 20\r\n", true),
            (Met::Unavailable(None), "HTTP/1.1 503 Service Unavailable\r\nContent-Type: ", true),
            (Met::Error, "HTTP/1.1 500 ", true),
            (
                Met::Lie(company, wording, Lie::UnknownType),
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n",
                true,
            ),
        ] {
            let written = met.written();
            let (found, body) = written.split_once("\r\n\r\n").unwrap();
            assert!(written.starts_with(head), "{met:?}: {found}");
            let length: usize = found.split_once("Content-Length: ").unwrap().1.parse().unwrap();
            assert_eq!(length == body.len(), is_whole, "{met:?}: {written}");
            assert_eq!(met.closes(), !is_whole);
            assert!(length >= body.len());
        }
    }

    #[test]
    fn an_outage_is_met_as_it_says() {
        for (how, expected) in [
            (r#""reset""#, Met::Reset),
            (r#""hang""#, Met::Hang(Some(1_500_000))),
            (r#""error""#, Met::Error),
            (r#""unavailable""#, Met::Unavailable(None)),
            (r#""unavailable","retry_after_s":9"#, Met::Unavailable(Some(9))),
            (r#""unavailable","announced":true"#, Met::Unavailable(Some(2))),
        ] {
            let outage =
                serde_json::from_str(&format!(r#"{{"begin_s":1,"length_s":2,"how":{how}}}"#)).unwrap();
            assert_eq!(Met::outage(outage, 1_500_000), expected);
        }
    }
}
