//! What is asked of the miss path, what it is told, and what it wants done.

use std::sync::Arc;

use super::moment::Moment;
use crate::outcome::{Fault, Outcome, Silence};

/// One company that no record tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question<'a> {
    /// Which registry, by its place in the configuration.
    pub registry: u8,
    /// The company's id, decoded.
    pub id: &'a str,
}

/// One request to a registry. No two are ever equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TryId(pub u64);

/// The low bits of a try's id tell where it is kept, the others that it is that one: the 40-bit count of tries lasts
/// for 34 years of a thousand a second.
const NUMBER_BITS: u32 = 24;

impl TryId {
    /// The id of the try that is the `begun`th, kept at this number.
    pub(super) const fn new(begun: u64, number: usize) -> Self {
        Self(begun << NUMBER_BITS | number as u64)
    }

    /// Where it is kept, if it still runs.
    pub(super) const fn number(self) -> usize {
        (self.0 & ((1 << NUMBER_BITS) - 1)) as usize
    }
}

/// What became of a question, and what an answer says about how it was learnt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What became of it.
    pub outcome: Outcome,
    /// The registry's own status; None when it did not answer.
    pub fwd_status: Option<u16>,
    /// Is it in the region now?
    pub stored: bool,
    /// How long ago it was learnt, in deciseconds; 0 unless another worker learnt it.
    pub age_ds: u32,
}

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub enum Act<W> {
    /// Begin to ask a registry; report by [`tried`](super::Misses::tried).
    Try {
        /// Its name from now on.
        id: TryId,
        /// Whom to ask.
        registry: u8,
        /// About which company.
        company: Arc<str>,
        /// It is abandoned then at the latest.
        ends_at: Moment,
    },
    /// Stop asking and close the socket: another try brought the answer, or the time is over. What is reported of it
    /// later is ignored.
    Abandon {
        /// Which try.
        id: TryId,
    },
    /// Answer a customer; his handle comes back here, exactly once.
    Answer {
        /// Whom.
        waiter: W,
        /// With what.
        told: Arc<Told>,
        /// Did he wait for a fetch that another customer began?
        collapsed: bool,
    },
}

/// What became of a try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tried {
    /// The registry replied, and this is what it comes to. `told.fwd_status` decides what is learnt of the registry.
    Reply {
        /// What it comes to.
        told: Told,
        /// What `Retry-After` asks for, in microseconds.
        retry_after_us: Option<u64>,
    },
    /// No connection could be made.
    ConnectFailed,
    /// A connection broke before the reply was whole.
    Reset,
    /// The driver's own time-out.
    TimedOut,
    /// The reply was refused for its size while it was read.
    TooLarge,
    /// The reply is no HTTP.
    NotHttp,
    /// It could not even be begun, for want of a socket of our own: says nothing of the registry.
    NotBegun,
    /// Another worker asked, and told us: says nothing of the registry.
    Elsewhere(Told),
}

impl Told {
    /// What became of a question that its registry did not answer.
    #[must_use]
    pub const fn unanswered(silence: Silence) -> Self {
        Self::without_reply(Outcome::Unanswered(silence))
    }

    /// The service is over its own limits.
    #[must_use]
    pub const fn overloaded() -> Self {
        Self::without_reply(Outcome::Overloaded)
    }

    /// What could not be used, without the registry's status.
    #[must_use]
    pub const fn unusable(fault: Fault) -> Self {
        Self::without_reply(Outcome::Unusable(fault))
    }

    const fn without_reply(outcome: Outcome) -> Self {
        Self { outcome, fwd_status: None, stored: false, age_ds: 0 }
    }
}
