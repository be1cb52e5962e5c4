//! What a profile may ask of a registry.

use super::noise::{Lies, Unavailable};
use super::{Away, BadProfile, Latency, Outage, Registry};

const DAY_S: f64 = 86_400.0;

impl Registry {
    pub(super) fn check(&self, country: &str) -> Result<(), BadProfile> {
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(BadProfile(format!("registries.{country}: expected two small letters")));
        }
        let key = |name: &str| format!("registries.{country}.{name}");
        within(&key("weight"), self.weight, 1e-6, 1e6)?;
        self.check_shares(key)?;
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
        within(&key("servers"), f64::from(self.servers), 1.0, 1e6)?;
        self.outages.iter().try_for_each(|outage| outage.check(&key("outages"), self.servers))
    }

    fn check_shares(&self, key: impl Fn(&str) -> String) -> Result<(), BadProfile> {
        let Lies { broken_json, wrong_type, no_name, bad_date, unknown_type } = self.lies;
        let mut shares = vec![
            ("error_share", self.error_share),
            ("hang_share", self.hang_share),
            ("reset_share", self.reset_share),
            ("lie_share", self.lie_share),
            ("cut_share", self.cut_share),
            ("lies.broken_json", broken_json),
            ("lies.wrong_type", wrong_type),
            ("lies.no_name", no_name),
            ("lies.bad_date", bad_date),
            ("lies.unknown_type", unknown_type),
        ];
        for Unavailable { share, retry_after_s } in &self.unavailable {
            shares.push(("unavailable.share", *share));
            within(&key("unavailable.retry_after_s"), retry_after_s.unwrap_or(0).into(), 0.0, DAY_S)?;
        }
        for (name, share) in &shares {
            within(&key(name), *share, 0.0, 1.0)?;
        }
        // Ten tenths are one, whatever floating point makes of their sum.
        let together = (shares.iter().map(|(_, share)| share).sum::<f64>() * 1e9).round() / 1e9;
        within(&key("*_share, lies and unavailable together"), together, 0.0, 1.0)?;
        within(&key("unusable_companies_share"), self.unusable_companies_share, 0.0, 1.0)
    }
}

impl Outage {
    fn check(self, key: &str, servers: u32) -> Result<(), BadProfile> {
        within(&format!("{key}.begin_s"), self.begin_s, 0.0, DAY_S)?;
        within(&format!("{key}.length_s"), self.length_s, 0.001, DAY_S)?;
        within(&format!("{key}.retry_after_s"), self.retry_after_s.unwrap_or(0).into(), 0.0, DAY_S)?;
        if let Some(away) = self.servers.filter(|away| !(1..servers).contains(away)) {
            let expected = "expected fewer than the registry's and at least 1; left out, all are away";
            return Err(BadProfile(format!("{key}.servers: is {away} of {servers}; {expected}")));
        }
        let says_when = self.announced || self.retry_after_s.is_some();
        if says_when && self.how != Away::Unavailable {
            let name = if self.announced { "announced" } else { "retry_after_s" };
            return Err(BadProfile(format!(
                "{key}.{name}: of a 503; expected how = \"unavailable\" beside it"
            )));
        }
        if self.announced && self.retry_after_s.is_some() {
            return Err(BadProfile(format!("{key}: announced and retry_after_s; expected one of them")));
        }
        Ok(())
    }
}

pub(super) fn within(key: &str, value: f64, least: f64, most: f64) -> Result<(), BadProfile> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(BadProfile(format!("{key}: is {value}; expected {least} to {most}")))
}
