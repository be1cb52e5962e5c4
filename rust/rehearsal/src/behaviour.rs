//! How a registry meets one request: drawn from (seed, country, company, nth try), and from when it is away.

use crate::draws::Draws;
use crate::profile::{Format, Latency, Lie, Outage, Registry, Throttle, US_PER_S};
use crate::truth::{Company, Wording};

/// Draws about a company alone begin with this word, and those about servers with the other: no country has such a number.
const UNUSABLE: u64 = 0x756e_7573_6162_6c65;
const SERVER: u64 = 0x6120_7365_7276_6572;

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
    use super::*;

    fn registry(fields: &str) -> Registry {
        serde_json::from_str(&format!(
            r#"{{"latency":{{"shape":"lognormal","median_ms":100,"sigma":0.5}}{fields}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn shares_and_the_median_are_as_asked() {
        let registry = registry(r#","error_share":0.1,"hang_share":0.2,"reset_share":0.05,"lie_share":0.15"#);
        let turns: Vec<Turn> =
            (0..20_000).map(|number| registry.turn(1, Company { country: *b"us", number }, 0)).collect();
        for (outcome, expected) in [
            (Outcome::Answer, 0.5),
            (Outcome::Error, 0.1),
            (Outcome::Hang, 0.2),
            (Outcome::Reset, 0.05),
            (Outcome::Lie, 0.15),
        ] {
            let found = turns.iter().filter(|turn| turn.outcome == outcome).count() as f64 / 20_000.0;
            assert!((found - expected).abs() < 0.01, "{outcome:?}: {found}");
        }
        let above = turns.iter().filter(|turn| turn.latency_us > 100_000).count();
        assert!((9_600..10_400).contains(&above), "{above}");
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
    fn it_is_away_from_the_begin_to_before_the_end() {
        let registry = registry(r#","outages":[{"begin_s":1,"length_s":2,"how":"hang"}]"#);
        for (now_us, away) in [
            (999_999, None),
            (1_000_000, Some((Away::Hang, 3_000_000))),
            (2_999_999, Some((Away::Hang, 3_000_000))),
            (3_000_000, None),
        ] {
            assert_eq!(registry.away(now_us), away);
        }
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
