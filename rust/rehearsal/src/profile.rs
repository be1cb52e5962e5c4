//! What is to happen: the rates and behaviours that a profile asks for, within their bounds.

mod bounds; // what may be asked for
mod noise; // what a registry's replies are worth
mod outage; // when a registry is away
mod registry; // whom customers ask about

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use noise::{Lie, Lies, Unavailable};
pub(crate) use outage::{Away, Outage};
pub(crate) use registry::{Collapse, Format, Latency, Registry, Throttle};

use bounds::within;

/// Microseconds in a second: the unit in which everything here is counted, from the start of the run.
pub(crate) const US_PER_S: f64 = 1e6;

/// Why a profile cannot be played: one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadProfile(String);

/// A whole rehearsal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customers {
    /// New requests a second after the ramp, 0.1 to 100,000.
    pub(crate) rate_per_s: f64,
    /// For so long the rate rises from nothing.
    #[serde(default, skip_serializing_if = "is_default")]
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
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) watch_after_s: f64,
}

const fn ten_milliseconds() -> f64 {
    10.0
}

const fn one_second() -> f64 {
    1000.0
}

/// Need it not be written?
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
