//! What no cache could better: one that never forgets and begins three tries at a company's first request, at once.
//!
//! It meets the draws and outages of each try, and neither throttling nor collapse, which depend on who else asks: so it
//! is a bound from above, for any cache that tries no more than three times within the limit.

use std::collections::HashMap;

use crate::behaviour::Outcome;
use crate::profile::Away;
use crate::profile::Registry;
use crate::truth::Company;

const TRIES: u32 = 3;
/// How many outages may follow one another before a try is given up.
const OUTAGES_MAX: usize = 16;

/// What the ideal cache has of a company.
struct Fetched {
    /// When it came, or will; the last instant of all when no try brought it.
    at_us: u64,
    tries: u32,
}

/// The ideal cache.
pub(crate) struct Ideal {
    seed: u64,
    limit_us: u64,
    fetched: HashMap<Company, Fetched>,
}

impl Ideal {
    pub(crate) fn new(seed: u64, limit_us: u64) -> Self {
        Self { seed, limit_us, fetched: HashMap::new() }
    }

    /// Whether it could answer a request of this time within the limit. To be called in the order of arrival.
    pub(crate) fn answers(&mut self, registry: &Registry, company: Company, now_us: u64) -> bool {
        let seed = self.seed;
        let fetched = self.fetched.entry(company).or_insert(Fetched { at_us: u64::MAX, tries: 0 });
        if fetched.at_us == u64::MAX {
            fetched.at_us = (fetched.tries..fetched.tries + TRIES)
                .filter_map(|nth| comes_at(registry, seed, company, nth, now_us))
                .min()
                .unwrap_or(u64::MAX);
            fetched.tries += TRIES;
        }
        fetched.at_us <= now_us + self.limit_us
    }
}

/// When a try that wants to begin now brings the answer, if it does.
fn comes_at(registry: &Registry, seed: u64, company: Company, nth: u32, now_us: u64) -> Option<u64> {
    let turn = registry.turn(seed, company, nth);
    if turn.outcome != Outcome::Answer {
        return None;
    }
    let mut begin_us = now_us;
    for _ in 0..OUTAGES_MAX {
        if let Some((_, end_us)) = registry.away(begin_us) {
            begin_us = end_us;
            continue;
        }
        let at_us = begin_us + turn.latency_us;
        match registry.away(at_us) {
            // Lost in an outage: begun again after it.
            Some((Away::Reset, end_us)) => begin_us = end_us,
            _ => return Some(at_us),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPANY: Company = Company { country: *b"us", number: 1 };

    fn registry(fields: &str) -> Registry {
        serde_json::from_str(&format!(r#"{{"latency":{fields}}}"#)).unwrap()
    }

    #[test]
    fn requests_are_answerable_when_one_begun_at_the_first_comes_in_time() {
        // Latency 2.5 s: the first request is too early, one 1.5 s later is not.
        let slow = r#"{"shape":"fixed","ms":2500}"#;
        let away = r#"{"shape":"fixed","ms":300},"outages":[{"begin_s":1,"length_s":2}]"#;
        for (fields, requests) in [
            (slow, vec![(0.0, false), (1.4, false), (1.5, true), (9.0, true)]),
            (r#"{"shape":"fixed","ms":1000}"#, vec![(0.0, true)]),
            (r#"{"shape":"fixed","ms":1001}"#, vec![(0.0, false), (0.1, true)]),
            (r#"{"shape":"fixed","ms":1},"error_share":1"#, vec![(0.0, false), (50.0, false)]),
            (r#"{"shape":"fixed","ms":1},"hang_share":1"#, vec![(0.0, false), (50.0, false)]),
            // Before the outage; lost in it, but in time after it or not; fetched before it.
            (away, vec![(0.6, true), (2.0, true)]),
            (away, vec![(0.8, false), (2.2, false), (2.3, true)]),
            (away, vec![(2.4, true)]),
        ] {
            let registry = registry(fields);
            let mut ideal = Ideal::new(1, 1_000_000);
            for (at_s, expected) in requests {
                let found = ideal.answers(&registry, COMPANY, (at_s * 1e6) as u64);
                assert_eq!(found, expected, "{fields} at {at_s}");
            }
        }
    }

    #[test]
    fn three_tries_help_as_often_as_they_must() {
        let registry = registry(r#"{"shape":"fixed","ms":1},"error_share":0.5"#);
        let mut ideal = Ideal::new(1, 1_000_000);
        let answered = (0..20_000)
            .filter(|number| ideal.answers(&registry, Company { number: *number, ..COMPANY }, 0))
            .count();
        assert!(answered.abs_diff(17_500) < 300, "{answered}");
    }
}
