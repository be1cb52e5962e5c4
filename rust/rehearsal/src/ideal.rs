//! What an ideal cache could have told: one that forgets nothing and begins a fetch at a company's first request.
//!
//! It meets the draws and outages of each try, and neither throttling nor collapse, which depend on who else asks. A fetch is
//! up to three tries, each begun when the one before it failed. Who begins a second try while a slow or hanging one goes on
//! may do better; what nobody could better with three tries is to begin all of them at once, or as soon as the registry is
//! back.

use std::collections::HashMap;

use crate::behaviour::Outcome;
use crate::profile::{Away, Outage, Registry};
use crate::truth::Company;

const TRIES: u32 = 3;
/// How many outages may follow one another before a try is given up.
const OUTAGES_MAX: usize = 16;

/// Whether a request could have been answered within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answerable {
    /// By a fetch whose tries follow one another.
    pub(crate) in_turn: bool,
    /// By three tries at once.
    pub(crate) at_once: bool,
}

/// What a cache has of a company.
#[derive(Clone, Copy)]
struct Fetched {
    /// When it came, or will; the last instant of all when no try brought it.
    at_us: u64,
    tries: u32,
    /// Until when its registry wants it not to be asked for again (`Retry-After`).
    not_before_us: u64,
}

impl Fetched {
    const NOT: Self = Self { at_us: u64::MAX, tries: 0, not_before_us: 0 };

    const fn is_coming(self) -> bool {
        self.at_us != u64::MAX
    }
}

/// The ideal cache.
pub(crate) struct Ideal {
    seed: u64,
    limit_us: u64,
    in_turn: HashMap<Company, Fetched>,
    at_once: HashMap<Company, Fetched>,
}

impl Ideal {
    pub(crate) fn new(seed: u64, limit_us: u64) -> Self {
        Self { seed, limit_us, in_turn: HashMap::new(), at_once: HashMap::new() }
    }

    /// Whether it could answer a request of this time within the limit. To be called in the order of arrival.
    pub(crate) fn answers(&mut self, registry: &Registry, company: Company, now_us: u64) -> Answerable {
        let asked = Asked { registry, seed: self.seed, company };
        let in_turn = self.in_turn.entry(company).or_insert(Fetched::NOT);
        if !in_turn.is_coming() {
            *in_turn = asked.in_turn(*in_turn, now_us);
        }
        let at_once = self.at_once.entry(company).or_insert(Fetched::NOT);
        if !at_once.is_coming() {
            *at_once = asked.at_once(at_once.tries, now_us);
        }
        let last_us = now_us + self.limit_us;
        Answerable { in_turn: in_turn.at_us <= last_us, at_once: at_once.at_us <= last_us }
    }
}

/// A company, and whom to ask for it.
struct Asked<'a> {
    registry: &'a Registry,
    seed: u64,
    company: Company,
}

impl Asked<'_> {
    /// A fetch that begins now, after the one before it: the next try begins when one failed, and not before `Retry-After`.
    fn in_turn(&self, before: Fetched, now_us: u64) -> Fetched {
        let Fetched { mut tries, not_before_us, .. } = before;
        let mut begin_us = now_us.max(not_before_us);
        let mut wait_us = 0;
        for _ in 0..TRIES {
            let broken = || self.registry.broken(self.seed, self.company, tries, begin_us);
            if let Some(outage) = self.registry.away(begin_us).or_else(broken) {
                // Who meets one broken server has had his try; who meets nobody was not even counted.
                tries += u32::from(outage.servers.is_some());
                wait_us = microseconds(outage.retry_after_s(begin_us));
                begin_us = if outage.how == Away::Hang { outage.end_us() } else { begin_us + wait_us };
                continue;
            }
            let turn = self.registry.turn(self.seed, self.company, tries);
            tries += 1;
            let at_us = begin_us + turn.latency_us;
            let is_lost = self.loses(at_us).is_some();
            wait_us = match turn.outcome {
                Outcome::Hang => break, // it never fails
                Outcome::Answer if !is_lost => return Fetched { at_us, tries, ..Fetched::NOT },
                Outcome::Unavailable(retry_after_s) => microseconds(retry_after_s),
                _ => 0,
            };
            begin_us = at_us + wait_us;
        }
        Fetched { tries, not_before_us: if wait_us > 0 { begin_us } else { 0 }, ..Fetched::NOT }
    }

    /// Three tries that want to begin now.
    fn at_once(&self, tries: u32, now_us: u64) -> Fetched {
        let all = tries..tries + TRIES;
        let at_us = all.filter_map(|nth| self.comes_at(nth, now_us)).min().unwrap_or(u64::MAX);
        Fetched { at_us, tries: tries + TRIES, ..Fetched::NOT }
    }

    /// When a try that wants to begin now brings the answer, if it does; an outage only delays it.
    fn comes_at(&self, nth: u32, now_us: u64) -> Option<u64> {
        let turn = self.registry.turn(self.seed, self.company, nth);
        if turn.outcome != Outcome::Answer {
            return None;
        }
        let mut begin_us = now_us;
        for _ in 0..OUTAGES_MAX {
            let broken = || self.registry.broken(self.seed, self.company, nth, begin_us);
            if let Some(outage) = self.registry.away(begin_us).or_else(broken) {
                begin_us = outage.end_us();
                continue;
            }
            let at_us = begin_us + turn.latency_us;
            match self.loses(at_us) {
                // Lost in an outage: begun again after it.
                Some(outage) => begin_us = outage.end_us(),
                None => return Some(at_us),
            }
        }
        None
    }

    /// The outage that loses a reply of this time.
    fn loses(&self, at_us: u64) -> Option<Outage> {
        self.registry.away(at_us).filter(|outage| outage.how == Away::Reset)
    }
}

fn microseconds(seconds: Option<u32>) -> u64 {
    u64::from(seconds.unwrap_or(0)) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPANY: Company = Company { country: *b"us", number: 1 };

    fn registry(fields: &str) -> Registry {
        serde_json::from_str(&format!(r#"{{"latency":{fields}}}"#)).unwrap()
    }

    #[test]
    fn requests_are_answerable_when_a_fetch_begun_at_the_first_comes_in_time() {
        const BOTH: Answerable = Answerable { in_turn: true, at_once: true };
        const NEITHER: Answerable = Answerable { in_turn: false, at_once: false };
        // Who keeps asking has it when the registry is back; whose fetch began before that has failed.
        const AT_ONCE: Answerable = Answerable { at_once: true, ..NEITHER };
        // Latency 2.5 s: the first request is too early, one 1.5 s later is not.
        let slow = r#"{"shape":"fixed","ms":2500}"#;
        let away = |how: &str| {
            format!(r#"{{"shape":"fixed","ms":300}},"outages":[{{"begin_s":1,"length_s":2,"how":"{how}"}}]"#)
        };
        let [reset, unavailable, hang] = ["reset", "unavailable", "hang"].map(away);
        for (fields, requests) in [
            (slow, vec![(0.0, NEITHER), (1.4, NEITHER), (1.5, BOTH), (9.0, BOTH)]),
            (r#"{"shape":"fixed","ms":1000}"#, vec![(0.0, BOTH)]),
            (r#"{"shape":"fixed","ms":1001}"#, vec![(0.0, NEITHER), (0.1, BOTH)]),
            (r#"{"shape":"fixed","ms":1},"error_share":1"#, vec![(0.0, NEITHER), (50.0, NEITHER)]),
            (r#"{"shape":"fixed","ms":1},"hang_share":1"#, vec![(0.0, NEITHER), (50.0, NEITHER)]),
            // Fetched before the outage; lost in it; begun in it, and long before or little before its end.
            (&reset, vec![(0.6, BOTH), (2.0, BOTH)]),
            (&reset, vec![(0.8, NEITHER), (2.2, NEITHER), (2.3, AT_ONCE), (3.0, BOTH)]),
            (&reset, vec![(2.4, AT_ONCE), (2.9, AT_ONCE), (3.0, BOTH)]),
            // What was begun before this one comes in it.
            (&unavailable, vec![(0.8, BOTH)]),
            (&unavailable, vec![(2.4, AT_ONCE), (3.0, BOTH)]),
            // It resets at its end, and then the second try begins.
            (&hang, vec![(2.2, NEITHER), (2.3, BOTH)]),
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
    fn a_broken_server_takes_a_try() {
        // One of two is broken: half the tries die, and behind one that hangs comes no other.
        for (how, in_turn, at_once) in [
            ("reset", 17_500, 17_500),
            ("error", 17_500, 17_500),
            ("unavailable", 17_500, 17_500),
            ("hang", 10_000, 17_500),
        ] {
            let fields = r#"{"shape":"fixed","ms":300},"servers":2"#;
            let outage = format!(r#"{{"begin_s":0,"length_s":60,"how":"{how}","servers":1}}"#);
            let registry = registry(&format!(r#"{fields},"outages":[{outage}]"#));
            let mut ideal = Ideal::new(1, 1_000_000);
            let all: Vec<Answerable> = (0..20_000)
                .map(|number| ideal.answers(&registry, Company { number, ..COMPANY }, 0))
                .collect();
            let found = [
                all.iter().filter(|answerable| answerable.in_turn).count(),
                all.iter().filter(|answerable| answerable.at_once).count(),
            ];
            assert!(found[0].abs_diff(in_turn) < 300 && found[1].abs_diff(at_once) < 300, "{how}: {found:?}");
        }
    }

    #[test]
    fn a_company_that_is_unusable_is_told_by_nobody() {
        let registry = registry(r#"{"shape":"fixed","ms":1},"unusable_companies_share":0.2"#);
        let mut ideal = Ideal::new(1, 1_000_000);
        for at_us in [0, 1_000_000, 50_000_000] {
            let found = (0..20_000)
                .map(|number| ideal.answers(&registry, Company { number, ..COMPANY }, at_us))
                .filter(|answerable| answerable.in_turn && answerable.at_once)
                .count();
            assert!(found.abs_diff(16_000) < 300, "{found}");
        }
    }

    #[test]
    fn three_tries_help_as_often_as_they_must() {
        // Where half the tries die, two more mend six in eight; one that hangs never fails, so none follows.
        for (share, in_turn, at_once) in [
            (r#""error_share":0.5"#, 17_500, 17_500),
            (r#""lies":{"bad_date":0.5}"#, 17_500, 17_500),
            (r#""cut_share":0.5"#, 17_500, 17_500),
            // Who is to wait for a minute has no further try: 0.5 + 0.3 * 0.5 + 0.3 * 0.3 * 0.5.
            (r#""unavailable":[{"share":0.3},{"share":0.2,"retry_after_s":60}]"#, 13_900, 17_500),
            (r#""hang_share":0.5"#, 10_000, 17_500),
        ] {
            let registry = registry(&format!(r#"{{"shape":"fixed","ms":1}},{share}"#));
            let mut ideal = Ideal::new(1, 1_000_000);
            let all: Vec<Answerable> = (0..20_000)
                .map(|number| ideal.answers(&registry, Company { number, ..COMPANY }, 0))
                .collect();
            let found = [
                all.iter().filter(|answerable| answerable.in_turn).count(),
                all.iter().filter(|answerable| answerable.at_once).count(),
            ];
            assert!(found[0].abs_diff(in_turn) < 300 && found[1].abs_diff(at_once) < 300, "{found:?}");
        }
    }

    #[test]
    fn tries_in_turn_take_their_time_one_after_another() {
        // Errors after 400 ms: a third try would come after 1.2 s.
        let registry = registry(r#"{"shape":"fixed","ms":400},"error_share":0.5"#);
        let mut ideal = Ideal::new(1, 1_000_000);
        let found = (0..20_000)
            .filter(|number| ideal.answers(&registry, Company { number: *number, ..COMPANY }, 0).in_turn)
            .count();
        assert!(found.abs_diff(15_000) < 300, "{found}");
    }
}
