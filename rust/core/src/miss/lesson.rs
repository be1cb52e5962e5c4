//! What a try's end means: for the customer, for its registry's health, and for how much the registry is asked for.

use super::act::{Told, Tried};
use super::breaker::Health;
use super::retry;
use crate::outcome::{Fault, Silence};

/// How a registry bears what it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Burden {
    /// It says nothing of it.
    Borne,
    /// Too many at once.
    TooMany,
    /// Too soon after the others.
    TooSoon,
}

/// What a try's end says of its registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lesson {
    pub(super) health: Health,
    pub(super) burden: Burden,
    /// Does the time that it took tell how long good replies take?
    pub(super) is_timed: bool,
    /// May another try do better?
    pub(super) is_mendable: bool,
}

impl Lesson {
    /// Of a try; None when it says nothing of the registry.
    pub(super) fn of(tried: &Tried) -> Option<Self> {
        let burden = Burden::Borne;
        let failing = Self { health: Health::Failing, burden, is_timed: false, is_mendable: true };
        Some(match tried {
            Tried::Reply { told, .. } => Self::of_reply(told),
            Tried::ConnectFailed => Self { health: Health::Away, burden: Burden::TooMany, ..failing },
            Tried::TimedOut => Self { burden: Burden::TooMany, ..failing },
            Tried::Reset => failing,
            Tried::TooLarge | Tried::NotHttp => Self { is_mendable: false, ..failing },
            Tried::NotBegun | Tried::Elsewhere(_) => return None,
        })
    }

    fn of_reply(told: &Told) -> Self {
        let status = told.fwd_status.unwrap_or(0);
        let is_told = told.outcome.fact().is_ok();
        // A registry that refuses a question, or asks for time, is well.
        let is_well = is_told || (400..500).contains(&status);
        Self {
            health: if is_well { Health::Well } else { Health::Failing },
            burden: match status {
                429 => Burden::TooSoon,
                503 => Burden::TooMany,
                _ => Burden::Borne,
            },
            is_timed: is_told,
            is_mendable: retry::is_mended_by_another(status),
        }
    }
}

/// What a customer is told of it.
pub(super) fn told(tried: Tried) -> Told {
    match tried {
        Tried::Reply { told, .. } | Tried::Elsewhere(told) => told,
        Tried::ConnectFailed | Tried::Reset => Told::unanswered(Silence::Unreachable),
        Tried::TimedOut => Told::unanswered(Silence::TimedOut),
        Tried::TooLarge => Told::unusable(Fault::TooLarge),
        Tried::NotHttp => Told::unusable(Fault::NotHttp),
        Tried::NotBegun => Told::overloaded(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    fn reply(status: u16) -> Tried {
        let outcome = Outcome::of_reply(status, b"application/x-company-v1", br#"{"cn":"x"}"#);
        let told = Told { outcome, fwd_status: Some(status), stored: false, age_ds: 0 };
        Tried::Reply { told, retry_after_us: None }
    }

    #[test]
    fn each_end_teaches_what_it_should() {
        use Burden::{Borne, TooMany, TooSoon};
        use Health::{Away, Failing, Well};
        for (tried, health, burden, is_timed, is_mendable) in [
            (reply(200), Well, Borne, true, false),
            (reply(404), Well, Borne, true, false),
            (reply(429), Well, TooSoon, false, false),
            (reply(400), Well, Borne, false, false),
            (reply(301), Failing, Borne, false, false),
            (reply(500), Failing, Borne, false, true),
            (reply(503), Failing, TooMany, false, true),
            (Tried::ConnectFailed, Away, TooMany, false, true),
            (Tried::TimedOut, Failing, TooMany, false, true),
            (Tried::Reset, Failing, Borne, false, true),
            (Tried::TooLarge, Failing, Borne, false, false),
            (Tried::NotHttp, Failing, Borne, false, false),
        ] {
            let expected = Lesson { health, burden, is_timed, is_mendable };
            assert_eq!(Lesson::of(&tried), Some(expected), "{tried:?}");
        }
        assert_eq!(Lesson::of(&Tried::NotBegun), None);
        assert_eq!(Lesson::of(&Tried::Elsewhere(Told::overloaded())), None);
    }
}
