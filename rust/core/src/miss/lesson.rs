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
    /// Is it bad data? That may be how this company's record is.
    pub(super) is_bad_data: bool,
}

impl Lesson {
    /// Of a try; None when it says nothing of the registry.
    pub(super) fn of(tried: &Tried) -> Option<Self> {
        let burden = Burden::Borne;
        let failing =
            Self { health: Health::Failing, burden, is_timed: false, is_mendable: true, is_bad_data: false };
        let bad_data = Self { health: Health::Heard, is_bad_data: true, ..failing };
        Some(match tried {
            Tried::Reply { told, .. } => Self::of_reply(told),
            Tried::ConnectFailed => Self { health: Health::Away, burden: Burden::TooMany, ..failing },
            Tried::TimedOut => Self { health: Health::Lost, burden: Burden::TooMany, ..failing },
            Tried::Reset => Self { health: Health::Lost, ..failing },
            Tried::TooLarge | Tried::NotHttp => bad_data,
            Tried::NotBegun | Tried::Elsewhere(_) => return None,
        })
    }

    fn of_reply(told: &Told) -> Self {
        let status = told.fwd_status.unwrap_or(0);
        let is_told = told.outcome.fact().is_ok();
        Self {
            // What it refuses, sends elsewhere or words badly is of this question.
            health: match status {
                _ if is_told => Health::Well,
                503 => Health::Lost,
                500.. => Health::Failing,
                _ => Health::Heard,
            },
            burden: match status {
                429 => Burden::TooSoon,
                503 => Burden::TooMany,
                _ => Burden::Borne,
            },
            is_timed: is_told,
            is_mendable: !is_told && retry::is_mended_by_another(status),
            is_bad_data: !is_told && status == 200,
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
        reply_with(status, br#"{"cn":"x"}"#)
    }

    fn unusable() -> Tried {
        reply_with(200, b"<h1>It works</h1>")
    }

    fn reply_with(status: u16, body: &[u8]) -> Tried {
        let outcome = Outcome::of_reply(status, b"application/x-company-v1", body);
        let told = Told { outcome, fwd_status: Some(status), stored: false, age_ds: 0 };
        Tried::Reply { told, retry_after_us: None }
    }

    #[test]
    fn each_end_teaches_what_it_should() {
        use Burden::{Borne, TooMany, TooSoon};
        use Health::{Away, Failing, Heard, Lost, Well};
        for (tried, health, burden, is_timed, is_mendable, is_bad_data) in [
            (reply(200), Well, Borne, true, false, false),
            (reply(404), Well, Borne, true, false, false),
            (unusable(), Heard, Borne, false, true, true),
            (reply(429), Heard, TooSoon, false, false, false),
            (reply(400), Heard, Borne, false, false, false),
            (reply(301), Heard, Borne, false, false, false),
            (reply(500), Failing, Borne, false, true, false),
            (reply(503), Lost, TooMany, false, true, false),
            (Tried::ConnectFailed, Away, TooMany, false, true, false),
            (Tried::TimedOut, Lost, TooMany, false, true, false),
            (Tried::Reset, Lost, Borne, false, true, false),
            (Tried::TooLarge, Heard, Borne, false, true, true),
            (Tried::NotHttp, Heard, Borne, false, true, true),
        ] {
            let expected = Lesson { health, burden, is_timed, is_mendable, is_bad_data };
            assert_eq!(Lesson::of(&tried), Some(expected), "{tried:?}");
        }
        assert_eq!(Lesson::of(&Tried::NotBegun), None);
        assert_eq!(Lesson::of(&Tried::Elsewhere(Told::overloaded())), None);
    }
}
