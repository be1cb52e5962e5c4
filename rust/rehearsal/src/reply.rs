//! What the simulated service makes of a registry's reply, and a customer of the service's.

use backendify_core::miss::{S, Told, Tried};
use backendify_core::outcome::Outcome;
use backendify_core::registry::Company;

use crate::met::Met;
use crate::score::Try;

/// What the service makes of it; None while it hangs.
pub(crate) fn tried(met: Met) -> Option<Tried> {
    let reply = |status, outcome, retry_after_us| {
        let told = Told { outcome, fwd_status: Some(status), stored: matches!(status, 200 | 404), age_ds: 0 };
        Some(Tried::Reply { told, retry_after_us })
    };
    let without_body = |status| Outcome::of_reply(status, b"", b"");
    match met {
        Met::Told(..) => {
            reply(200, Outcome::Company(Company { name: String::new(), active_until: None }), None)
        }
        Met::Unknown => reply(404, Outcome::NotFound, None),
        Met::Throttled(retry_after_s) => reply(429, without_body(429), Some(u64::from(retry_after_s) * S)),
        Met::Unavailable(retry_after_s) => {
            reply(503, without_body(503), retry_after_s.map(|seconds| u64::from(seconds) * S))
        }
        Met::Error => reply(500, without_body(500), None),
        Met::Lie(company, wording, lie) => {
            let (kind, body) = company.registry_garbles(wording, lie);
            reply(200, Outcome::of_reply(200, kind.as_bytes(), body.as_bytes()), None)
        }
        Met::Hang(None) => None,
        Met::Reset | Met::Cut(..) | Met::Hang(Some(_)) => Some(Tried::Reset),
    }
}

/// The status of an answer, and what a customer makes of it: what the miss path tells as a fact is one.
pub(crate) fn judged(told: &Told) -> (u16, Try) {
    match told.outcome.fact() {
        Ok(_) if told.outcome == Outcome::NotFound => (404, Try::Right),
        Ok(_) => (200, Try::Right),
        Err(problem) => (problem.status(), Try::Failed(problem.status())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Format, Lie};
    use crate::truth::{Company as Asked, Wording};

    #[test]
    fn the_service_hears_what_a_registry_says() {
        let asked = Asked { country: *b"us", number: 1 };
        let wording = Wording { format: Format::V2, says_null: true, offset_min: 0 };
        for (met, status, is_usable, seconds) in [
            (Met::Told(asked, wording), 200, true, None),
            (Met::Unknown, 404, true, None),
            (Met::Throttled(2), 429, false, Some(2)),
            (Met::Unavailable(Some(3)), 503, false, Some(3)),
            (Met::Unavailable(None), 503, false, None),
            (Met::Error, 500, false, None),
            (Met::Lie(asked, wording, Lie::NoName), 200, false, None),
        ] {
            let Some(Tried::Reply { told, retry_after_us }) = tried(met) else { panic!("{met:?}") };
            assert_eq!(told.fwd_status, Some(status));
            assert_eq!(told.outcome.fact().is_ok(), is_usable, "{met:?}");
            assert_eq!(retry_after_us, seconds.map(|seconds: u64| seconds * S));
        }
        for met in [Met::Reset, Met::Cut(asked, wording), Met::Hang(Some(1))] {
            assert_eq!(tried(met), Some(Tried::Reset));
        }
        assert_eq!(tried(Met::Hang(None)), None);
    }
}
