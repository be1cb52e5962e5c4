//! How a registry meets one request: drawn from (seed, country, company, nth try).

use crate::draws::Draws;
use crate::profile::{Format, Latency, Lie, Registry, Throttle, US_PER_S};
use crate::truth::{Company, Wording};

/// Draws about a company alone begin with this word: no country has such a number.
const UNUSABLE: u64 = 0x756e_7573_6162_6c65;

/// What comes of one request, if nothing else befalls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The truth: the company, or 404.
    Answer,
    /// 500.
    Error,
    /// Nothing.
    Hang,
    /// TCP's RST.
    Reset,
    /// 200 with what cannot be used.
    Lie(Lie),
    /// Less than was announced.
    Cut,
    /// 503, with what `Retry-After` says.
    Unavailable(Option<u32>),
}

/// How one request is met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turn {
    pub(crate) outcome: Outcome,
    pub(crate) latency_us: u64,
    pub(crate) wording: Wording,
}

impl Registry {
    /// The turn of the `nth` request for a company, from 0: the same each time, whoever else asks.
    pub(crate) fn turn(&self, seed: u64, company: Company, nth: u32) -> Turn {
        let [country, number] = company.words();
        let mut draws = Draws::about(seed, &[country, number, u64::from(nth)]);
        let outcome = match self.outcome(draws.share()) {
            Outcome::Answer => self.unusable(seed, company).map_or(Outcome::Answer, Outcome::Lie),
            other => other,
        };
        let latency_ms = self.latency.draw(&mut draws);
        let format = match (self.format, draws.below(2)) {
            (Format::Mixed, 0) => Format::V1,
            (Format::Mixed, _) => Format::V2,
            (format, _) => format,
        };
        let offset_min = i64::from(draws.below(97) as u32) * 15 - 720;
        let wording = Wording { format, says_null: draws.below(2) == 0, offset_min };
        Turn { outcome, latency_us: (latency_ms * 1000.0) as u64, wording }
    }

    /// What comes of a request that drew this, of less than 1.
    fn outcome(&self, drawn: f64) -> Outcome {
        let apart = [
            (self.error_share, Outcome::Error),
            (self.hang_share, Outcome::Hang),
            (self.reset_share, Outcome::Reset),
        ];
        let mixed = Lie::ALL.map(|lie| (self.lie_share / Lie::ALL.len() as f64, Outcome::Lie(lie)));
        let lies = self.lies.shares().map(|(lie, share)| (share, Outcome::Lie(lie)));
        let cut = [(self.cut_share, Outcome::Cut)];
        let unavailable =
            self.unavailable.iter().map(|one| (one.share, Outcome::Unavailable(one.retry_after_s)));
        let mut left = drawn;
        // A new kind goes behind the others, so that they are drawn as before.
        let mut all = apart.into_iter().chain(mixed).chain(lies).chain(cut).chain(unavailable);
        let found = all.find(|(share, _)| {
            let is_it = left < *share;
            left -= share;
            is_it
        });
        found.map_or(Outcome::Answer, |(_, outcome)| outcome)
    }

    /// What is told of this company whenever it would be the truth, if that is never to be had.
    fn unusable(&self, seed: u64, company: Company) -> Option<Lie> {
        if self.unusable_companies_share <= 0.0 {
            return None;
        }
        let [country, number] = company.words();
        let mut draws = Draws::about(seed, &[UNUSABLE, country, number]);
        let is_unusable = draws.share() < self.unusable_companies_share;
        Lie::ALL.get(draws.below(Lie::ALL.len() as u64) as usize).copied().filter(|_| is_unusable)
    }
}

impl Latency {
    fn draw(self, draws: &mut Draws) -> f64 {
        match self {
            Self::Fixed { ms } => ms,
            Self::Uniform { from_ms, to_ms } => from_ms + draws.share() * (to_ms - from_ms),
            // Over an hour is never: nobody waits for it, and it fits every sum.
            Self::Lognormal { median_ms, sigma } => (median_ms * (sigma * draws.normal()).exp()).min(3.6e6),
        }
    }
}

/// A token bucket, full at first; it holds what one second brings, or one token if that is less.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    filled_at_us: u64,
}

impl Bucket {
    pub(crate) const fn new() -> Self {
        Self { tokens: f64::INFINITY, filled_at_us: 0 }
    }

    /// Takes a token; false when none is left.
    pub(crate) fn take(&mut self, throttle: Throttle, now_us: u64) -> bool {
        let gained = now_us.saturating_sub(self.filled_at_us) as f64 / US_PER_S * throttle.per_s;
        self.filled_at_us = now_us;
        self.tokens = (self.tokens + gained).min(throttle.per_s.max(1.0));
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use super::*;

    fn registry(fields: &str) -> Registry {
        serde_json::from_str(&format!(
            r#"{{"latency":{{"shape":"lognormal","median_ms":100,"sigma":0.5}}{fields}}}"#
        ))
        .unwrap()
    }

    fn turns(registry: &Registry, nth: u32) -> Vec<Turn> {
        (0..20_000).map(|number| registry.turn(1, Company { country: *b"us", number }, nth)).collect()
    }

    #[test]
    fn shares_and_the_median_are_as_asked() {
        let registry = registry(
            r#","error_share":0.1,"hang_share":0.2,"reset_share":0.05,"lie_share":0.05,"cut_share":0.07,
               "lies":{"broken_json":0.02,"bad_date":0.04},
               "unavailable":[{"share":0.03,"retry_after_s":1},{"share":0.06}]"#,
        );
        let turns = turns(&registry, 0);
        for (outcome, expected) in [
            (Outcome::Answer, 0.38),
            (Outcome::Error, 0.1),
            (Outcome::Hang, 0.2),
            (Outcome::Reset, 0.05),
            (Outcome::Cut, 0.07),
            (Outcome::Lie(Lie::BrokenJson), 0.03),
            (Outcome::Lie(Lie::WrongType), 0.01),
            (Outcome::Lie(Lie::NoName), 0.01),
            (Outcome::Lie(Lie::BadDate), 0.05),
            (Outcome::Lie(Lie::UnknownType), 0.01),
            (Outcome::Unavailable(Some(1)), 0.03),
            (Outcome::Unavailable(None), 0.06),
        ] {
            let found = turns.iter().filter(|turn| turn.outcome == outcome).count() as f64 / 20_000.0;
            assert!((found - expected).abs() < 0.01, "{outcome:?}: {found}");
        }
        let above = turns.iter().filter(|turn| turn.latency_us > 100_000).count();
        assert!((9_600..10_400).contains(&above), "{above}");
    }

    #[test]
    fn what_was_drawn_before_there_were_more_kinds_is_drawn_still() {
        let lognormal = |fields: &str| {
            let text = format!(r#"{{"latency":{{"shape":"lognormal",{fields}}}"#);
            serde_json::from_str::<Registry>(&text).unwrap()
        };
        // Those of the profile `fire`, and of `quick`.
        let im = lognormal(r#""median_ms":120,"sigma":0.4},"error_share":0.01"#);
        let ru = lognormal(r#""median_ms":350,"sigma":0.4},"error_share":0.03"#);
        let us = lognormal(r#""median_ms":700,"sigma":0.6},"hang_share":0.05"#);
        let quick: Registry = serde_json::from_str(
            r#"{"latency":{"shape":"uniform","from_ms":50,"to_ms":300},
                "error_share":0.02,"lie_share":0.01,"reset_share":0.01}"#,
        )
        .unwrap();
        let wording = |format, says_null, offset_min| Wording { format, says_null, offset_min };
        for (registry, country, number, nth, latency_us, told) in [
            (&im, b"im", 0, 0, 85_741, wording(Format::V2, true, -420)),
            (&im, b"im", 0, 1, 99_641, wording(Format::V2, true, -360)),
            (&im, b"im", 123, 2, 159_175, wording(Format::V2, true, 15)),
            (&ru, b"ru", 7, 0, 366_865, wording(Format::V1, false, 375)),
            (&ru, b"ru", 299_999, 0, 386_651, wording(Format::V1, false, -60)),
            (&us, b"us", 7, 0, 1_136_697, wording(Format::V1, false, 585)),
            (&us, b"us", 123, 2, 909_031, wording(Format::V1, true, -390)),
            (&quick, b"us", 0, 1, 147_605, wording(Format::V2, true, 330)),
            (&quick, b"us", 123, 2, 239_966, wording(Format::V1, true, -135)),
        ] {
            let found = registry.turn(1, Company { country: *country, number }, nth);
            let expected = Turn { outcome: Outcome::Answer, latency_us, wording: told };
            assert_eq!(found, expected, "{country:?} {number} {nth}");
        }
        for (registry, country, outcome, expected) in [
            (&im, b"im", Outcome::Error, 92),
            (&ru, b"ru", Outcome::Error, 314),
            (&us, b"us", Outcome::Hang, 485),
            (&quick, b"us", Outcome::Error, 185),
            (&quick, b"us", Outcome::Reset, 94),
            (&quick, b"us", Outcome::Lie(Lie::NoName), 93), // of whatever kind
        ] {
            let all = (0..10_000).map(|number| registry.turn(1, Company { country: *country, number }, 0));
            let found = all.filter(|turn| discriminant(&turn.outcome) == discriminant(&outcome)).count();
            assert_eq!(found, expected, "{country:?} {outcome:?}");
        }
    }

    #[test]
    fn a_company_that_is_unusable_is_so_at_each_try_and_moves_no_other_draw() {
        let (plain, some) = (registry(""), registry(r#","unusable_companies_share":0.05"#));
        let (first, later) = (turns(&some, 0), turns(&some, 5));
        for (first, later) in first.iter().zip(&later) {
            assert_eq!(first.outcome, later.outcome);
        }
        for lie in Lie::ALL {
            let found = first.iter().filter(|turn| turn.outcome == Outcome::Lie(lie)).count();
            assert!(found.abs_diff(200) < 50, "{lie:?}: {found}");
        }
        for (with, without) in first.iter().zip(turns(&plain, 0)) {
            assert_eq!((with.latency_us, with.wording), (without.latency_us, without.wording));
        }
        // Whoever fails otherwise fails so there too.
        let failing = registry(r#","error_share":0.5,"unusable_companies_share":1"#);
        let errors = turns(&failing, 0).iter().filter(|turn| turn.outcome == Outcome::Error).count();
        assert!(errors.abs_diff(10_000) < 300, "{errors}");
    }

    #[test]
    fn another_try_is_another_draw_and_the_same_try_the_same() {
        let registry = registry("");
        let company = Company { country: *b"us", number: 5 };
        assert_eq!(registry.turn(1, company, 0), registry.turn(1, company, 0));
        assert_ne!(registry.turn(1, company, 0).latency_us, registry.turn(1, company, 1).latency_us);
        assert_ne!(registry.turn(1, company, 0).latency_us, registry.turn(2, company, 0).latency_us);
    }

    #[test]
    fn a_bucket_gives_what_a_second_brings() {
        let throttle = Throttle { per_s: 3.0, retry_after_s: 1 };
        let mut bucket = Bucket::new();
        let taken: Vec<bool> = [0, 0, 0, 0, 300_000, 400_000, 9_000_000, 9_000_000, 9_000_000, 9_000_000]
            .into_iter()
            .map(|now_us| bucket.take(throttle, now_us))
            .collect();
        assert_eq!(taken, [true, true, true, false, false, true, true, true, true, false]);
    }
}
