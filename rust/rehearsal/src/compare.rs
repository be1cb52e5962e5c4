//! One set of registries played by the rules, and by one plain try: what do the rules win or cost?

use std::convert::Infallible;
use std::fmt::Write as _;

use backendify_core::miss::{Caps, Policy};
use serde::Serialize;

use crate::profile::{Latency, Profile, Registry};
use crate::report::Report;
use crate::simulation::simulate;

/// More than a rehearsal brings.
const ALL: usize = 1_000_000;

/// What came of one set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which set.
    pub number: u64,
    /// What it is, in a line.
    pub text: String,
    /// Does one of its registries throttle?
    pub throttles: bool,
    /// What an ideal cache could have told, of all.
    pub bound_percent: f64,
    /// By the rules.
    pub rules: Side,
    /// By one plain try.
    pub one_try: Side,
}

/// What one policy came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Right at the first try, of what an ideal cache could have told.
    pub of_bound_percent: f64,
    /// How often the registries were asked, for each company that they were asked for.
    pub requests_per_company: f64,
    /// The most at once at any registry.
    pub at_once_peak: u64,
    /// The most at once at a registry that collapses, as a share of what it bears; none where none does.
    pub of_borne: Option<f64>,
}

/// Plays a set by these rules, and by one plain try.
#[must_use]
pub fn compare(number: u64, set: &Profile, rules: &Policy) -> Row {
    let [rules, one_try] = [rules, &one_try(rules)].map(|policy| played(set, policy));
    Row {
        number,
        text: told(set),
        throttles: set.registries.values().any(|registry| registry.throttle.is_some()),
        bound_percent: rules.bound_percent,
        rules: Side::new(set, &rules),
        one_try: Side::new(set, &one_try),
    }
}

/// One fetch a question and one try a fetch, and no rule that holds it back.
fn one_try(rules: &Policy) -> Policy {
    let unlimited = Caps { concurrency_start: 100_000, concurrency_max: 100_000 };
    Policy {
        registries: vec![unlimited; rules.registries.len().max(1)],
        breaker: false,
        ceiling: false,
        obeys: false,
        tries_max: 1,
        memo_max: 0,
        fetches_max: ALL,
        waiters_max: ALL,
        queue_max: ALL,
        ..rules.clone()
    }
}

fn played(set: &Profile, policy: &Policy) -> Report {
    match simulate(set, policy, |_| Ok::<_, Infallible>(())) {
        Ok(report) => report,
        Err(never) => match never {},
    }
}

impl Side {
    fn new(set: &Profile, report: &Report) -> Self {
        let registries = report.registries.values();
        let requests: u64 = registries.clone().map(|registry| registry.load.requests).sum();
        let distinct: usize = registries.clone().map(|registry| registry.distinct).sum();
        let peaks = registries.map(|registry| registry.load.at_once_peak);
        let of_borne = set.registries.values().zip(peaks.clone()).filter_map(|(registry, peak)| {
            registry.collapse.map(|collapse| peak as f64 / f64::from(collapse.over.max(1)))
        });
        Self {
            of_bound_percent: report.of_bound_percent,
            requests_per_company: requests as f64 / distinct.max(1) as f64,
            at_once_peak: peaks.max().unwrap_or(0),
            of_borne: of_borne.reduce(f64::max),
        }
    }
}

/// A set in a line.
fn told(set: &Profile) -> String {
    let customers = &set.customers;
    let mut text = format!("{} /s for {} companies", customers.rate_per_s, customers.companies);
    for (country, registry) in &set.registries {
        let _written = write!(text, "; {country}: {}", told_registry(registry));
    }
    text
}

fn told_registry(registry: &Registry) -> String {
    let mut text = match registry.latency {
        Latency::Fixed { ms } => format!("{ms} ms"),
        Latency::Uniform { from_ms, to_ms } => format!("{from_ms} to {to_ms} ms"),
        Latency::Lognormal { median_ms, sigma } => format!("{median_ms} ms, sigma {sigma}"),
    };
    let lies: f64 = registry.lies.shares().iter().map(|(_, share)| share).sum();
    let unavailable: f64 = registry.unavailable.iter().map(|one| one.share).sum();
    for (name, share) in [
        ("errors", registry.error_share),
        ("unusable", registry.lie_share + lies),
        ("resets", registry.reset_share),
        ("hangs", registry.hang_share),
        ("cut", registry.cut_share),
        ("503s", unavailable),
        ("companies unusable", registry.unusable_companies_share),
    ] {
        if share > 0.0 {
            let _written = write!(text, ", {:.1} % {name}", share * 100.0);
        }
    }
    if let Some(throttle) = registry.throttle {
        let _written = write!(text, ", throttles at {} /s", throttle.per_s);
    }
    if let Some(collapse) = registry.collapse {
        let _written = match collapse.latency_factor {
            Some(factor) => write!(text, ", over {} at once {factor} times slower", collapse.over),
            None => write!(text, ", over {} at once 503", collapse.over),
        };
    }
    for outage in &registry.outages {
        let how = format!("{:?}", outage.how).to_lowercase();
        let _written = match outage.servers {
            Some(away) => write!(text, ", {away} of {} servers {how}", registry.servers),
            None => write!(text, ", away {} s ({how})", outage.length_s),
        };
        if outage.announced {
            text.push_str(" announced");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Kind, drawn};

    #[test]
    fn a_plain_try_asks_for_each_company_once_and_holds_nothing_back() {
        let set = Profile::from_json(
            r#"{"customers":{"rate_per_s":500,"duration_s":10,"companies":2000},
                "registries":{"us":{"latency":{"shape":"fixed","ms":100},"error_share":0.2,
                    "collapse":{"over":30},"throttle":{"per_s":1e6,"retry_after_s":1}}}}"#,
        )
        .unwrap();
        let policy = Policy {
            registries: vec![Caps { concurrency_start: 5, concurrency_max: 5 }],
            ..Policy::default()
        };
        let row = compare(7, &set, &policy);
        assert_eq!((row.number, row.throttles), (7, true));
        assert_eq!(row.rules.at_once_peak, 5);
        assert!(row.one_try.at_once_peak > 30, "{row:?}");
        assert!(row.one_try.of_borne.unwrap() > 1.0, "{row:?}");
        let text = "500 /s for 2000 companies; us: 100 ms, 20.0 % errors, throttles at 1000000 /s, over 30 at once 503";
        assert_eq!(row.text, text);
    }

    #[test]
    fn a_set_plays_the_same_each_time() {
        for kind in [Kind::Noisy, Kind::Collapsing] {
            for number in 1..=3 {
                let play = || compare(number, &drawn(kind, 1, number), &Policy::default());
                assert_eq!(play(), play());
            }
        }
    }
}
