//! Why there is no company to tell, and how that is told.

use axum::http::StatusCode;

/// Why there is no company to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// `id` or `country_iso` is missing, empty or given twice.
    BadQuery,
    /// No registry is configured for the country.
    NoRegistry,
    /// The registry knows no such company.
    Unknown,
    /// The registry's answer cannot be used.
    Unusable,
    /// The registry did not answer in time.
    TimedOut,
}

impl Failure {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadQuery => StatusCode::BAD_REQUEST,
            Self::NoRegistry | Self::Unknown => StatusCode::NOT_FOUND,
            Self::Unusable => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// A problem document (RFC 9457).
    pub(crate) fn body(self) -> &'static str {
        match self {
            Self::BadQuery => r#"{"status":400,"detail":"id and country_iso are needed, once each"}"#,
            Self::NoRegistry => r#"{"status":404,"detail":"there is no registry for this country"}"#,
            Self::Unknown => r#"{"status":404,"detail":"the registry knows no such company"}"#,
            Self::Unusable => r#"{"status":502,"detail":"the registry's answer cannot be used"}"#,
            Self::TimedOut => r#"{"status":504,"detail":"the registry did not answer in time"}"#,
        }
    }
}
