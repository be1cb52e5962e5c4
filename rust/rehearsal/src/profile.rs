//! What is to happen: the rates and behaviours that a profile asks for, within their bounds.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Microseconds in a second: the unit in which everything here is counted, from the start of the run.
pub(crate) const US_PER_S: f64 = 1e6;

/// Why a profile cannot be played: one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadProfile(String);

/// A whole rehearsal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Another seed, other draws.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Who asks.
    pub(crate) customers: Customers,
    /// Who is asked, by country: two small letters.
    pub(crate) registries: BTreeMap<String, Registry>,
}

/// An open loop: they come when they come, however the others fare.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customers {
    /// New requests a second after the ramp, 0.1 to 100,000.
    pub(crate) rate_per_s: f64,
    /// For so long the rate rises from nothing.
    #[serde(default)]
    pub(crate) ramp_s: f64,
    /// For so long they come, the ramp included; at most a day.
    pub(crate) duration_s: f64,
    /// A country's companies that exist, 1 to 5,000,000.
    pub(crate) companies: u64,
    /// Exponent of the popularity; 0 makes all companies alike.
    #[serde(default)]
    pub(crate) zipf: f64,
    /// Share of requests for companies that no registry knows.
    #[serde(default)]
    pub(crate) unknown_share: f64,
    /// After so long a customer hangs up.
    #[serde(default = "one_second")]
    pub(crate) limit_ms: f64,
    /// A request sent so much after it was due is late: too many, and the load was not the one asked for.
    #[serde(default = "ten_milliseconds")]
    pub(crate) late_ms: f64,
    /// How often one whose try failed asks again, at once.
    #[serde(default)]
    pub(crate) retries: u32,
    /// When the last is served, the registries stay for so long: what the server left open can be seen.
    #[serde(default)]
    pub(crate) watch_after_s: f64,
}

/// One country's registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    /// It listens here; 0 is any free port.
    #[serde(default)]
    pub(crate) port: u16,
    /// Its share of all requests is its weight among those of all registries; a millionth to a million.
    #[serde(default = "as_many_as_another")]
    pub(crate) weight: f64,
    /// How it writes a company.
    #[serde(default)]
    pub(crate) format: Format,
    /// How long it takes.
    pub(crate) latency: Latency,
    /// Share of requests answered 500.
    #[serde(default)]
    pub(crate) error_share: f64,
    /// Share of requests never answered.
    #[serde(default)]
    pub(crate) hang_share: f64,
    /// Share of requests met by TCP's RST.
    #[serde(default)]
    pub(crate) reset_share: f64,
    /// Share of requests answered 200 with what cannot be used: broken JSON, wrong types, wrong Content-Type.
    #[serde(default)]
    pub(crate) lie_share: f64,
    /// Beyond what rate it answers 429.
    pub(crate) throttle: Option<Throttle>,
    /// Beyond how many at once it breaks down.
    pub(crate) collapse: Option<Collapse>,
    /// When it is away.
    #[serde(default)]
    pub(crate) outages: Vec<Outage>,
}

/// Which object a registry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// `application/x-company-v1`.
    V1,
    /// `application/x-company-v2`.
    V2,
    /// Drawn anew for each reply.
    #[default]
    Mixed,
}

/// How long a reply takes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "shape", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Latency {
    /// Always the same.
    Fixed {
        /// So long.
        ms: f64,
    },
    /// Anything between two bounds.
    Uniform {
        /// At least so long.
        from_ms: f64,
        /// At most so long.
        to_ms: f64,
    },
    /// Log-normal: many near the median, a few far above.
    Lognormal {
        /// Half take longer.
        median_ms: f64,
        /// Standard deviation of the latency's natural logarithm.
        sigma: f64,
    },
}

/// A token bucket that holds what one second brings.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Throttle {
    /// Requests a second.
    pub(crate) per_s: f64,
    /// What `Retry-After` of the 429 says.
    pub(crate) retry_after_s: u32,
}

/// What happens to requests beyond so many at once.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collapse {
    /// So many are still well.
    pub(crate) over: u32,
    /// Takes so many times as long; left out, the answer is 503 at once.
    pub(crate) latency_factor: Option<f64>,
}

/// A time of being away.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outage {
    /// So long after the start.
    pub(crate) begin_s: f64,
    /// For so long.
    pub(crate) length_s: f64,
    /// What requests meet.
    #[serde(default)]
    pub(crate) how: Away,
}

/// What requests meet during an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Away {
    /// TCP's RST, also for what was begun before.
    #[default]
    Reset,
    /// Nothing, until it ends; then TCP's RST.
    Hang,
    /// 503 at once.
    Unavailable,
}

const fn as_many_as_another() -> f64 {
    1.0
}

const fn ten_milliseconds() -> f64 {
    10.0
}

const fn one_second() -> f64 {
    1000.0
}

impl Profile {
    /// Reads a profile from JSON.
    ///
    /// # Errors
    /// What is wrong with it, with the key's name and what was expected.
    pub fn from_json(text: &str) -> Result<Self, BadProfile> {
        let profile: Self = serde_json::from_str(text).map_err(|error| {
            // Where in the JSON means nothing to who wrote TOML.
            let told = error.to_string();
            BadProfile(told.split(" at line ").next().unwrap_or(&told).to_owned())
        })?;
        profile.check()?;
        Ok(profile)
    }

    /// The registries with their countries, in their order.
    pub(crate) fn countries(&self) -> impl Iterator<Item = ([u8; 2], &Registry)> {
        // It was checked: two letters.
        self.registries
            .iter()
            .map(|(country, registry)| (country.as_bytes().try_into().unwrap_or_default(), registry))
    }

    fn check(&self) -> Result<(), BadProfile> {
        let customers = &self.customers;
        within("customers.rate_per_s", customers.rate_per_s, 0.1, 100_000.0)?;
        within("customers.duration_s", customers.duration_s, 1.0, 86_400.0)?;
        within("customers.ramp_s", customers.ramp_s, 0.0, customers.duration_s)?;
        within("customers.companies", customers.companies as f64, 1.0, 5e6)?;
        within("customers.zipf", customers.zipf, 0.0, 5.0)?;
        within("customers.unknown_share", customers.unknown_share, 0.0, 1.0)?;
        within("customers.limit_ms", customers.limit_ms, 1.0, 60_000.0)?;
        within("customers.watch_after_s", customers.watch_after_s, 0.0, 600.0)?;
        within("customers.late_ms", customers.late_ms, 1.0, 60_000.0)?;
        within("customers.retries", f64::from(customers.retries), 0.0, 10.0)?;
        if self.registries.is_empty() {
            return Err(BadProfile("registries: none; expected at least one, as [registries.us]".to_owned()));
        }
        self.registries.iter().try_for_each(|(country, registry)| registry.check(country))
    }
}

impl Registry {
    fn check(&self, country: &str) -> Result<(), BadProfile> {
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(BadProfile(format!("registries.{country}: expected two small letters")));
        }
        let key = |name: &str| format!("registries.{country}.{name}");
        within(&key("weight"), self.weight, 1e-6, 1e6)?;
        let shares = [
            ("error_share", self.error_share),
            ("hang_share", self.hang_share),
            ("reset_share", self.reset_share),
            ("lie_share", self.lie_share),
        ];
        for (name, share) in shares {
            within(&key(name), share, 0.0, 1.0)?;
        }
        within(&key("*_share together"), shares.iter().map(|(_, share)| share).sum(), 0.0, 1.0)?;
        let latencies = match self.latency {
            Latency::Fixed { ms } => [ms, 0.0],
            Latency::Uniform { from_ms, to_ms } => [from_ms, to_ms - from_ms],
            Latency::Lognormal { median_ms, sigma } => [median_ms, sigma],
        };
        for latency in latencies {
            within(&key("latency"), latency, 0.0, 600_000.0)?;
        }
        if let Some(throttle) = self.throttle {
            within(&key("throttle.per_s"), throttle.per_s, 0.1, 1e6)?;
        }
        if let Some(factor) = self.collapse.and_then(|collapse| collapse.latency_factor) {
            within(&key("collapse.latency_factor"), factor, 1.0, 1000.0)?;
        }
        for outage in &self.outages {
            within(&key("outages.begin_s"), outage.begin_s, 0.0, 86_400.0)?;
            within(&key("outages.length_s"), outage.length_s, 0.001, 86_400.0)?;
        }
        Ok(())
    }
}

fn within(key: &str, value: f64, least: f64, most: f64) -> Result<(), BadProfile> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(BadProfile(format!("{key}: is {value}; expected {least} to {most}")))
}
