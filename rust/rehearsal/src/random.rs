//! Sets of registries and customers drawn at random: a pure function of (seed, number).

use crate::draws::Draws;
use crate::profile::{
    Away, Collapse, Customers, Format, Latency, Lie, Lies, Outage, Profile, Registry, Throttle, Unavailable,
};

/// From and to.
type Range = (f64, f64);

// The ranges: docs/rehearse.md has them as a table.
const COUNTRIES: [&str; 3] = ["im", "ru", "us"];
const MEDIAN_MS: Range = (5.0, 500.0);
const SPREAD: Range = (0.1, 0.9);
const SIGMA: Range = (0.1, 0.8);
const ERRORS_MAX: f64 = 0.6;
const UNUSABLE_MAX: f64 = 0.15;
const RESETS_MAX: f64 = 0.1;
const HANGS_MAX: f64 = 0.1;
const CUT_MAX: f64 = 0.05;
const UNAVAILABLE_MAX: f64 = 0.05;
const UNAVAILABLE_RETRY_AFTER_S: Range = (0.0, 30.0);
const UNUSABLE_COMPANIES_MAX: f64 = 0.03;
const THROTTLED_ONE_IN: u64 = 5;
const THROTTLE_PER_S: Range = (20.0, 400.0);
const THROTTLE_RETRY_AFTER_S: u32 = 1;
const AWAY_ONE_IN: u64 = 5;
const AWAY_BEGIN_S: Range = (5.0, 50.0);
const AWAY_LENGTHS_S: [f64; 2] = [1.0, 4.0];
const BROKEN_ONE_IN: u64 = 6;
const BROKEN_SERVERS: Range = (5.0, 10.0);
const BROKEN_RETRY_AFTER_S: Range = (1.0, 120.0);
const RATE_PER_S: Range = (20.0, 500.0);
const DURATION_S: f64 = 60.0;
const COMPANIES: Range = (200.0, 50_000.0);
const ZIPF: Range = (0.6, 1.2);
const RETRIES_MAX: u64 = 2;
const UNKNOWN_MAX: f64 = 0.05;

// Where a registry collapses: most of what is asked is new to the service, so that the demand is about what is asked.
// Slower than its customers wait, where it collapses: a registry that is still in time bears what it is asked for.
const COLLAPSING_MEDIAN_MS: Range = (350.0, 500.0);
const COLLAPSING_ERRORS_MAX: f64 = 0.2;
const COLLAPSE_OVER: Range = (40.0, 100.0);
const COLLAPSE_FACTOR: Range = (4.0, 6.0);
const DEMAND: Range = (0.5, 2.0);
const COLLAPSING_COMPANIES: Range = (20_000.0, 50_000.0);
const COLLAPSING_ZIPF: Range = (0.0, 0.8);

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Registries that fail in every way, and bear whatever they are asked for.
    Noisy,
    /// One or two, of which one at least breaks down when it is asked for too much at once.
    Collapsing,
}

/// The set of this number.
#[must_use]
pub fn drawn(kind: Kind, seed: u64, number: u64) -> Profile {
    let mut draws = Draws::about(seed, &[0x7261_6e64_6f6d, kind as u64, number]);
    let seed = draws.below(1 << 31);
    let (registries, rate_per_s) = match kind {
        Kind::Noisy => (noisy(&mut draws), whole(logarithmic(&mut draws, RATE_PER_S))),
        Kind::Collapsing => collapsing(&mut draws),
    };
    let (companies, zipf) = match kind {
        Kind::Noisy => (COMPANIES, ZIPF),
        Kind::Collapsing => (COLLAPSING_COMPANIES, COLLAPSING_ZIPF),
    };
    let customers = Customers {
        rate_per_s,
        ramp_s: 0.0,
        duration_s: DURATION_S,
        companies: logarithmic(&mut draws, companies) as u64,
        zipf: hundredth(even(&mut draws, zipf)),
        unknown_share: thousandth(even(&mut draws, (0.0, UNKNOWN_MAX))),
        limit_ms: 1000.0,
        late_ms: 10.0,
        retries: draws.below(RETRIES_MAX + 1) as u32,
        watch_after_s: 0.0,
    };
    let registries = COUNTRIES.iter().map(|&country| country.to_owned()).zip(registries).collect();
    Profile { seed, customers, registries }
}

fn noisy(draws: &mut Draws) -> Vec<Registry> {
    let count = 1 + draws.below(COUNTRIES.len() as u64);
    let one = |_| {
        let latency = latency(draws, MEDIAN_MS);
        let mut registry = with_noise(draws, latency, ERRORS_MAX);
        if one_in(draws, THROTTLED_ONE_IN) {
            let per_s = whole(logarithmic(draws, THROTTLE_PER_S));
            registry.throttle = Some(Throttle { per_s, retry_after_s: THROTTLE_RETRY_AFTER_S });
        }
        if one_in(draws, AWAY_ONE_IN) {
            registry.outages.push(away(draws));
        }
        if one_in(draws, BROKEN_ONE_IN) {
            registry.servers = even(draws, whole_range(BROKEN_SERVERS)) as u32;
            registry.outages.push(broken(draws));
        }
        registry
    };
    (0..count).map(one).collect()
}

/// Registries of which the first collapses, and all customers' rate.
fn collapsing(draws: &mut Draws) -> (Vec<Registry>, f64) {
    let count = 1 + draws.below(2);
    let one = |place| {
        let latency = latency(draws, COLLAPSING_MEDIAN_MS);
        let mut registry = with_noise(draws, latency, COLLAPSING_ERRORS_MAX);
        registry.weight = whole(logarithmic(draws, RATE_PER_S));
        if place == 0 || one_in(draws, 2) {
            let over = even(draws, whole_range(COLLAPSE_OVER)) as u32;
            let factor = hundredth(even(draws, COLLAPSE_FACTOR));
            let latency_factor = (!one_in(draws, 2)).then_some(factor);
            registry.collapse = Some(Collapse { over, latency_factor });
            let bears_per_s = f64::from(over) * 1000.0 / mean_ms(latency);
            registry.weight = whole(bears_per_s * logarithmic(draws, DEMAND)).max(1.0);
        }
        registry
    };
    let registries: Vec<Registry> = (0..count).map(one).collect();
    let rate_per_s = registries.iter().map(|registry| registry.weight).sum();
    (registries, rate_per_s)
}

fn latency(draws: &mut Draws, median_ms: Range) -> Latency {
    let median_ms = tenth(logarithmic(draws, median_ms));
    let spread = even(draws, SPREAD);
    let sigma = hundredth(even(draws, SIGMA));
    match draws.below(3) {
        0 => Latency::Fixed { ms: median_ms },
        1 => Latency::Uniform {
            from_ms: tenth(median_ms * (1.0 - spread)),
            to_ms: tenth(median_ms * (1.0 + spread)),
        },
        _ => Latency::Lognormal { median_ms, sigma },
    }
}

fn mean_ms(latency: Latency) -> f64 {
    match latency {
        Latency::Fixed { ms } => ms,
        Latency::Uniform { from_ms, to_ms } => f64::midpoint(from_ms, to_ms),
        Latency::Lognormal { median_ms, sigma } => median_ms * (sigma * sigma / 2.0).exp(),
    }
}

/// A registry that fails in some of the ways in which one can.
fn with_noise(draws: &mut Draws, latency: Latency, errors_max: f64) -> Registry {
    let errors = even(draws, (0.0, errors_max));
    let unusable = sometimes(draws, UNUSABLE_MAX);
    let kind = Lie::ALL.get(draws.below(Lie::ALL.len() as u64 + 1) as usize).copied();
    let (reset_share, hang_share) = (sometimes(draws, RESETS_MAX), sometimes(draws, HANGS_MAX));
    let (cut_share, share) = (sometimes(draws, CUT_MAX), sometimes(draws, UNAVAILABLE_MAX));
    let retry_after_s = even(draws, whole_range(UNAVAILABLE_RETRY_AFTER_S)) as u32;
    let unavailable = Unavailable { share, retry_after_s: one_in(draws, 2).then_some(retry_after_s) };
    let others = unusable + reset_share + hang_share + cut_share + share;
    Registry {
        port: 0,
        weight: 1.0,
        format: Format::Mixed,
        latency,
        // All ways together are at most nearly all.
        error_share: thousandth(errors.min(0.95 - others)),
        hang_share,
        reset_share,
        lie_share: if kind.is_none() { unusable } else { 0.0 },
        lies: kind.map(|kind| Lies::of(kind, unusable)).unwrap_or_default(),
        cut_share,
        unavailable: if share > 0.0 { vec![unavailable] } else { Vec::new() },
        unusable_companies_share: sometimes(draws, UNUSABLE_COMPANIES_MAX),
        throttle: None,
        collapse: None,
        servers: 1,
        outages: Vec::new(),
    }
}

/// Away for a while.
fn away(draws: &mut Draws) -> Outage {
    let begin_s = hundredth(even(draws, AWAY_BEGIN_S));
    let length_s = AWAY_LENGTHS_S.get(draws.below(AWAY_LENGTHS_S.len() as u64) as usize);
    let (how, announced) = match draws.below(6) {
        0 | 1 => (Away::Reset, false),
        2 | 3 => (Away::Hang, false),
        4 => (Away::Unavailable, true),
        _ => (Away::Unavailable, false),
    };
    let length_s = length_s.copied().unwrap_or(1.0);
    Outage { begin_s, length_s, how, servers: None, retry_after_s: None, announced }
}

/// One server is broken from before the first request to after the last.
fn broken(draws: &mut Draws) -> Outage {
    let retry_after_s = logarithmic(draws, BROKEN_RETRY_AFTER_S).round() as u32;
    let how = [Away::Reset, Away::Unavailable, Away::Error].get(draws.below(3) as usize);
    let how = how.copied().unwrap_or_default();
    let retry_after_s = (how == Away::Unavailable).then_some(retry_after_s);
    let length_s = 2.0 * DURATION_S;
    Outage { begin_s: 0.0, length_s, how, servers: Some(1), retry_after_s, announced: false }
}

/// In half of all cases nothing; else mostly little: its square is even.
fn sometimes(draws: &mut Draws, most: f64) -> f64 {
    let (is_there, share) = (one_in(draws, 2), draws.share());
    if is_there { thousandth(most * share * share) } else { 0.0 }
}

fn one_in(draws: &mut Draws, many: u64) -> bool {
    draws.below(many) == 0
}

fn even(draws: &mut Draws, (from, to): Range) -> f64 {
    from + draws.share() * (to - from)
}

/// As often between 5 and 50 as between 50 and 500.
fn logarithmic(draws: &mut Draws, (from, to): Range) -> f64 {
    from * (to / from).powf(draws.share())
}

/// So that the whole numbers of a range are alike, once what is drawn is cut to one.
fn whole_range((from, to): Range) -> Range {
    (from, to + 1.0)
}

fn whole(value: f64) -> f64 {
    value.round()
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Short decimals: they are the same once they were written and read.
fn thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(kind: Kind) -> Vec<Profile> {
        (1..=1000).map(|number| drawn(kind, 1, number)).collect()
    }

    #[test]
    fn a_set_is_the_same_each_time_also_once_it_was_written_and_read() {
        for kind in [Kind::Noisy, Kind::Collapsing] {
            for (number, set) in (1..).zip(sets(kind)) {
                assert_eq!(set, drawn(kind, 1, number));
                let text = serde_json::to_string(&set).unwrap();
                assert_eq!(set, Profile::from_json(&text).unwrap(), "{text}");
            }
            assert_ne!(drawn(kind, 1, 1), drawn(kind, 1, 2));
            assert_ne!(drawn(kind, 1, 1), drawn(kind, 2, 1));
        }
        assert_ne!(drawn(Kind::Noisy, 1, 1), drawn(Kind::Collapsing, 1, 1));
    }

    #[test]
    fn noise_is_as_frequent_as_it_is_to_be() {
        let sets = sets(Kind::Noisy);
        let registries: Vec<&Registry> = sets.iter().flat_map(|set| set.registries.values()).collect();
        let share_of = |is_it: fn(&Registry) -> bool| {
            registries.iter().filter(|registry| is_it(registry)).count() as f64 / registries.len() as f64
        };
        for (what, found, expected) in [
            ("sets' registries", registries.len() as f64 / 1000.0, 2.0),
            ("throttled", share_of(|one| one.throttle.is_some()), 0.2),
            ("away", share_of(|one| one.whole_outages().count() > 0), 0.2),
            ("broken", share_of(|one| one.servers > 1), 1.0 / 6.0),
            ("collapsing", share_of(|one| one.collapse.is_some()), 0.0),
            ("503s", share_of(|one| !one.unavailable.is_empty()), 0.5),
            (
                "failing",
                registries.iter().map(|one| failing(one)).sum::<f64>() / registries.len() as f64,
                0.375,
            ),
        ] {
            assert!((found - expected).abs() < 0.05, "{what}: {found}, not {expected}");
        }
    }

    #[test]
    fn where_one_collapses_nobody_throttles_and_the_demand_is_about_what_it_bears() {
        for set in sets(Kind::Collapsing) {
            let registries: Vec<&Registry> = set.registries.values().collect();
            assert!((1..=2).contains(&registries.len()));
            assert!(registries[0].collapse.is_some());
            assert!(registries.iter().all(|registry| registry.throttle.is_none()));
            let borne_per_s =
                f64::from(registries[0].collapse.unwrap().over) * 1000.0 / mean_ms(registries[0].latency);
            assert!((0.45..2.05).contains(&(registries[0].weight / borne_per_s)));
        }
    }

    fn failing(registry: &Registry) -> f64 {
        let lies: f64 = registry.lies.shares().iter().map(|(_, share)| share).sum();
        let unavailable: f64 = registry.unavailable.iter().map(|one| one.share).sum();
        let others = registry.error_share + registry.lie_share + registry.cut_share;
        others + registry.hang_share + registry.reset_share + lies + unavailable
    }
}
