//! What a registry said of one question: a company, or that it knows none.

use crate::date::Timestamp;

/// What is remembered of a registry's answer: facts, not bytes of a body.
///
/// Whether the company is active is never part of it: that is worked out for each answer ([`Record::Company::active_until`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record<'a> {
    /// The registry knows the company.
    Company {
        /// Exactly the registry's string.
        name: &'a str,
        /// When the company stopped, or will stop, being active; None when the registry has no such date.
        active_until: Option<Timestamp>,
    },
    /// The registry said 404.
    NotFound,
}
