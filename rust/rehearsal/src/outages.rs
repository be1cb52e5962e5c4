//! When a registry is away, and when only the server is that a request meets.

use crate::draws::Draws;
use crate::profile::{Outage, Registry};
use crate::truth::Company;

/// Draws about servers begin with this word: no country has such a number.
const SERVER: u64 = 0x6120_7365_7276_6572;

impl Registry {
    /// The times at which all of it is away.
    pub(crate) fn whole_outages(&self) -> impl Iterator<Item = Outage> {
        self.outages.iter().copied().filter(|outage| outage.servers.is_none())
    }

    /// Which of these it is at this time, and when it began.
    pub(crate) fn outage(&self, now_us: u64) -> Option<(usize, u64)> {
        let mut all = self.whole_outages().enumerate();
        all.find(|(_, outage)| outage.is_at(now_us)).map(|(index, outage)| (index, outage.begin_us()))
    }

    /// What all requests meet at this time, if it is away.
    pub(crate) fn away(&self, now_us: u64) -> Option<Outage> {
        self.whole_outages().find(|outage| outage.is_at(now_us))
    }

    /// What the `nth` request for a company meets at this time, if only its server is away.
    pub(crate) fn broken(&self, seed: u64, company: Company, nth: u32, now_us: u64) -> Option<Outage> {
        let is_partial = |outage: &&Outage| outage.servers.is_some() && outage.is_at(now_us);
        let mut partial = self.outages.iter().filter(is_partial).peekable();
        partial.peek()?;
        let [country, number] = company.words();
        let mut draws = Draws::about(seed, &[SERVER, country, number, u64::from(nth)]);
        let server = draws.below(self.servers.into());
        partial.find(|outage| outage.servers.is_some_and(|away| server < away.into())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Away;

    fn registry(servers: u32, outages: &str) -> Registry {
        serde_json::from_str(&format!(
            r#"{{"latency":{{"shape":"fixed","ms":1}},"error_share":0.3,"servers":{servers},"outages":[{outages}]}}"#
        ))
        .unwrap()
    }

    fn company(number: u64) -> Company {
        Company { country: *b"us", number }
    }

    #[test]
    fn it_is_away_from_the_begin_to_before_the_end() {
        let registry = registry(1, r#"{"begin_s":1,"length_s":2,"how":"hang"}"#);
        for (now_us, is_away) in [(999_999, false), (1_000_000, true), (2_999_999, true), (3_000_000, false)]
        {
            let away = registry.away(now_us).map(|outage| (outage.how, outage.end_us()));
            assert_eq!(away, is_away.then_some((Away::Hang, 3_000_000)));
            assert_eq!(registry.outage(now_us), is_away.then_some((0, 1_000_000)));
            assert_eq!(registry.broken(1, company(0), 0, now_us), None);
        }
    }

    #[test]
    fn an_announced_end_is_rounded_up() {
        for (fields, now_us, expected) in [
            (r#","announced":true"#, 1_000_000, Some(2)),
            (r#","announced":true"#, 1_000_001, Some(2)),
            (r#","announced":true"#, 2_000_000, Some(1)),
            (r#","announced":true"#, 2_999_999, Some(1)),
            (r#","retry_after_s":7"#, 2_999_999, Some(7)),
            ("", 2_999_999, None),
        ] {
            let registry =
                registry(1, &format!(r#"{{"begin_s":1,"length_s":2,"how":"unavailable"{fields}}}"#));
            let outage = registry.away(now_us).unwrap();
            assert_eq!(outage.retry_after_s(now_us), expected, "{fields} at {now_us}");
        }
    }

    #[test]
    fn a_broken_server_is_met_as_often_as_there_are_others() {
        for (servers, away, expected) in [(10, 1, 2_000), (10, 3, 6_000), (4, 1, 5_000), (3, 2, 13_333)] {
            let registry = registry(servers, &format!(r#"{{"begin_s":1,"length_s":2,"servers":{away}}}"#));
            let met = |nth| {
                let all = (0..20_000).map(company);
                all.filter(|company| registry.broken(1, *company, nth, 1_000_000).is_some()).count()
            };
            for nth in [0, 1] {
                assert!(met(nth).abs_diff(expected) < 300, "{away} of {servers}: {}", met(nth));
            }
            assert_eq!(registry.broken(1, company(0), 0, 999_999), None);
            // Nobody says that it is away: the others answer.
            assert_eq!((registry.away(1_000_000), registry.outage(1_000_000)), (None, None));
        }
    }

    #[test]
    fn the_next_try_meets_another_server_and_no_other_draw_moves() {
        let outage = r#"{"begin_s":0,"length_s":9,"servers":1}"#;
        let (one, two) = (registry(1, ""), registry(2, outage));
        let (mut both, mut errors) = (0, 0);
        for number in 0..20_000 {
            let is_broken = |nth| two.broken(1, company(number), nth, 0).is_some();
            both += usize::from(is_broken(0) && is_broken(1));
            let turn = two.turn(1, company(number), 0);
            assert_eq!(turn, one.turn(1, company(number), 0));
            errors += usize::from(is_broken(0) && turn.outcome == crate::behaviour::Outcome::Error);
        }
        assert!(both.abs_diff(5_000) < 300, "{both}");
        assert!(
            errors.abs_diff(3_000) < 300,
            "what a server is and what a try draws are independent: {errors}"
        );
    }

    #[test]
    fn outages_are_counted_that_take_all_servers() {
        let all =
            r#"{"begin_s":0,"length_s":9,"servers":1},{"begin_s":2,"length_s":1},{"begin_s":5,"length_s":1}"#;
        let registry = registry(2, all);
        assert_eq!(registry.whole_outages().count(), 2);
        assert_eq!(registry.outage(5_500_000), Some((1, 5_000_000)));
    }
}
