//! When a registry is away, or some of its servers are.

use serde::{Deserialize, Serialize};

use super::{US_PER_S, is_default};

/// A time of being away.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outage {
    /// So long after the start.
    pub(crate) begin_s: f64,
    /// For so long.
    pub(crate) length_s: f64,
    /// What requests meet.
    #[serde(default)]
    pub(crate) how: Away,
    /// So many of the servers are away; left out, the registry is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) servers: Option<u32>,
    /// What `Retry-After` of the 503 says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u32>,
    /// It says when the outage ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) announced: bool,
}

/// What requests meet during an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Away {
    /// TCP's RST; where the whole registry is away, also for what was begun before.
    #[default]
    Reset,
    /// Nothing, until it ends; then TCP's RST.
    Hang,
    /// 503 at once.
    Unavailable,
    /// 500 at once.
    Error,
}

impl Outage {
    /// When it begins.
    pub(crate) fn begin_us(self) -> u64 {
        (self.begin_s * US_PER_S) as u64
    }

    /// When it is over.
    pub(crate) fn end_us(self) -> u64 {
        ((self.begin_s + self.length_s) * US_PER_S) as u64
    }

    /// Is it now?
    pub(crate) fn is_at(self, now_us: u64) -> bool {
        (self.begin_us()..self.end_us()).contains(&now_us)
    }

    /// What `Retry-After` says to who comes now.
    pub(crate) fn retry_after_s(self, now_us: u64) -> Option<u32> {
        let left_s = self.end_us().saturating_sub(now_us).div_ceil(US_PER_S as u64);
        if self.announced { Some(left_s as u32) } else { self.retry_after_s }
    }
}
