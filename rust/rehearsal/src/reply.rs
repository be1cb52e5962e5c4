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
