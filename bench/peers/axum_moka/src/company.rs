//! What a registry says of a company, and what is kept of it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use crate::failure::Failure;

/// What is kept of a company.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) name: Box<str>,
    pub(crate) active_until: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct V1 {
    cn: Box<str>,
    closed_on: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct V2 {
    company_name: Box<str>,
    dissolved_on: Option<DateTime<Utc>>,
}

impl Company {
    /// Reads a registry's reply by its Content-Type.
    pub(crate) fn read(content_type: &str, body: &[u8]) -> Result<Self, Failure> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let company = if kind.eq_ignore_ascii_case("application/x-company-v1") {
            serde_json::from_slice(body)
                .map(|V1 { cn, closed_on }| Self { name: cn, active_until: closed_on })
        } else if kind.eq_ignore_ascii_case("application/x-company-v2") {
            serde_json::from_slice(body).map(|V2 { company_name, dissolved_on }| Self {
                name: company_name,
                active_until: dissolved_on,
            })
        } else {
            return Err(Failure::Unusable);
        };
        company.map_err(|_| Failure::Unusable)
    }
}

/// Writes an instant in UTC, its fraction without trailing zeros.
pub(crate) fn written(instant: DateTime<Utc>) -> String {
    let text = instant.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    match text.strip_suffix('Z') {
        Some(rest) if rest.contains('.') => format!("{}Z", rest.trim_end_matches('0')),
        Some(_) | None => text,
    }
}
