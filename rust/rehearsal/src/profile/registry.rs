//! What a profile says of one registry.

use serde::{Deserialize, Serialize};

use super::is_default;
use super::noise::{Lies, Unavailable};
use super::outage::Outage;

/// One country's registry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    /// It listens here; 0 is any free port.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) port: u16,
    /// Its share of all requests is its weight among those of all registries; a millionth to a million.
    #[serde(default = "as_many_as_another")]
    pub(crate) weight: f64,
    /// How it writes a company.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) format: Format,
    /// How long it takes.
    pub(crate) latency: Latency,
    /// Share of requests answered 500.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) error_share: f64,
    /// Share of requests never answered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) hang_share: f64,
    /// Share of requests met by TCP's RST.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) reset_share: f64,
    /// Share of requests answered 200 with what cannot be used: an even mix of all kinds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) lie_share: f64,
    /// The same, each kind apart.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) lies: Lies,
    /// Share of requests answered with less than was announced; then the connection closes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) cut_share: f64,
    /// Shares of requests answered 503.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) unavailable: Vec<Unavailable>,
    /// Share of companies of which nothing usable is ever told, whoever asks and however often.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) unusable_companies_share: f64,
    /// Beyond what rate it answers 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) throttle: Option<Throttle>,
    /// Beyond how many at once it breaks down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collapse: Option<Collapse>,
    /// So many servers stand behind its address; each request meets one of them.
    #[serde(default = "one_server", skip_serializing_if = "is_one")]
    pub(crate) servers: u32,
    /// When it is away, or some of its servers are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) outages: Vec<Outage>,
}

/// Which object a registry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// `application/x-company-v1`.
    V1,
    /// `application/x-company-v2`.
    V2,
    /// Drawn anew for each reply.
    #[default]
    Mixed,
}

/// How long a reply takes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(tag = "shape", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Latency {
    /// Always the same.
    Fixed {
        /// So long.
        ms: f64,
    },
    /// Anything between two bounds.
    Uniform {
        /// At least so long.
        from_ms: f64,
        /// At most so long.
        to_ms: f64,
    },
    /// Log-normal: many near the median, a few far above.
    Lognormal {
        /// Half take longer.
        median_ms: f64,
        /// Standard deviation of the latency's natural logarithm.
        sigma: f64,
    },
}

/// A token bucket that holds what one second brings.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Throttle {
    /// Requests a second.
    pub(crate) per_s: f64,
    /// What `Retry-After` of the 429 says.
    pub(crate) retry_after_s: u32,
}

/// What happens to requests beyond so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collapse {
    /// So many are still well.
    pub(crate) over: u32,
    /// Takes so many times as long; left out, the answer is 503 at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_factor: Option<f64>,
}

const fn as_many_as_another() -> f64 {
    1.0
}

const fn one_server() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_one(servers: &u32) -> bool {
    *servers == 1
}
