//! What a registry's replies are worth: replies that cannot be used, and replies that ask for patience.

use serde::{Deserialize, Serialize};

use super::is_default;

/// What is wrong with a 200 that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Its body ends too early to be JSON.
    BrokenJson,
    /// The name is no text.
    WrongType,
    /// There is no name.
    NoName,
    /// The date is none.
    BadDate,
    /// Its Content-Type is no registry's.
    UnknownType,
}

impl Lie {
    /// Each kind once.
    pub(crate) const ALL: [Self; 5] =
        [Self::BrokenJson, Self::WrongType, Self::NoName, Self::BadDate, Self::UnknownType];
}

/// Shares of requests answered 200 with what cannot be used, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Lies {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) broken_json: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) wrong_type: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) no_name: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) bad_date: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) unknown_type: f64,
}

impl Lies {
    /// The share of each kind.
    pub(crate) const fn shares(self) -> [(Lie, f64); 5] {
        [
            (Lie::BrokenJson, self.broken_json),
            (Lie::WrongType, self.wrong_type),
            (Lie::NoName, self.no_name),
            (Lie::BadDate, self.bad_date),
            (Lie::UnknownType, self.unknown_type),
        ]
    }

    /// Of one kind alone.
    pub(crate) fn of(lie: Lie, share: f64) -> Self {
        let mut lies = Self::default();
        *match lie {
            Lie::BrokenJson => &mut lies.broken_json,
            Lie::WrongType => &mut lies.wrong_type,
            Lie::NoName => &mut lies.no_name,
            Lie::BadDate => &mut lies.bad_date,
            Lie::UnknownType => &mut lies.unknown_type,
        } = share;
        lies
    }
}

/// A share of requests answered 503.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unavailable {
    /// So many of all.
    pub(crate) share: f64,
    /// What `Retry-After` says; left out, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u32>,
}
