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

#[cfg(test)]
mod tests {
    use super::super::Profile;

    fn refused(registry: &str) -> String {
        let text = format!(
            r#"{{"customers":{{"rate_per_s":1,"duration_s":1,"companies":1}},
                "registries":{{"us":{{"latency":{{"shape":"fixed","ms":1}}{registry}}}}}}}"#
        );
        Profile::from_json(&text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let away = |fields: &str| format!(r#","servers":3,"outages":[{{"begin_s":0,"length_s":1{fields}}}]"#);
        for (registry, expected) in [
            (r#","cut_share":1.1"#.to_owned(), "registries.us.cut_share: is 1.1; expected 0 to 1"),
            (r#","lies":{"no_name":-0.1}"#.to_owned(), "registries.us.lies.no_name: is -0.1"),
            (r#","lies":{"no_names":0.1}"#.to_owned(), "unknown field `no_names`"),
            (r#","unusable_companies_share":2"#.to_owned(), "registries.us.unusable_companies_share: is 2"),
            (r#","unavailable":[{"share":2}]"#.to_owned(), "registries.us.unavailable.share: is 2"),
            (r#","unavailable":[{"retry_after_s":1}]"#.to_owned(), "missing field `share`"),
            (r#","unavailable":[{"share":0.1,"retry":1}]"#.to_owned(), "unknown field `retry`"),
            (r#","unavailable":[{"share":0.1,"retry_after_s":86401}]"#.to_owned(), "retry_after_s: is 86401"),
            (r#","unavailable":[{"share":0.1,"retry_after_s":0.5}]"#.to_owned(), "expected u32"),
            (
                r#","error_share":0.5,"lies":{"no_name":0.2},"cut_share":0.2,"unavailable":[{"share":0.2}]"#
                    .to_owned(),
                "registries.us.*_share, lies and unavailable together: is 1.1; expected 0 to 1",
            ),
            (r#","servers":0"#.to_owned(), "registries.us.servers: is 0; expected 1 to 1000000"),
            (away(r#","servers":0"#), "registries.us.outages.servers: is 0 of 3; expected fewer"),
            (away(r#","servers":3"#), "registries.us.outages.servers: is 3 of 3; expected fewer"),
            (away(r#","how":"gone""#), "unknown variant `gone`"),
            (away(r#","announced":true"#), "registries.us.outages.announced: of a 503; expected how = "),
            (away(r#","how":"hang","retry_after_s":1"#), "registries.us.outages.retry_after_s: of a 503"),
            (
                away(r#","how":"unavailable","retry_after_s":1,"announced":true"#),
                "registries.us.outages: announced and retry_after_s; expected one of them",
            ),
        ] {
            let found = refused(&registry);
            assert!(found.contains(expected), "{registry}: {found:?}");
        }
    }

    #[test]
    fn what_can_be_is_taken() {
        let tenths =
            r#","error_share":0.1,"hang_share":0.2,"reset_share":0.3,"cut_share":0.1,"lie_share":0.1"#;
        let away = r#"{"begin_s":0,"length_s":1,"how":"unavailable","servers":2,"announced":true}"#;
        for registry in [
            format!(
                r#"{tenths},"lies":{{"bad_date":0.1}},"unavailable":[{{"share":0.1,"retry_after_s":0}}]"#
            ),
            format!(r#","servers":3,"outages":[{away}]"#),
        ] {
            assert_eq!(refused(&registry), "");
        }
    }
}
