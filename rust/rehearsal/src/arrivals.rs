//! Who asks for what, and when: a Poisson process with a ramp, and companies by Zipf's law.

use crate::draws::Draws;
use crate::profile::{Customers, Profile, US_PER_S};
use crate::truth::Company;

/// A request that is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at_us: u64,
    /// Which registry, in the profile's order.
    pub(crate) registry: usize,
    pub(crate) company: Company,
}

/// The requests of a rehearsal, in order.
pub(crate) struct Arrivals {
    draws: Draws,
    customers: Customers,
    countries: Vec<[u8; 2]>,
    /// For each country, the share of requests for it and for all before it.
    shares: Vec<f64>,
    /// How many requests were due before, if they came evenly.
    due: f64,
    /// For each company, the share of it and of all more popular ones.
    popularity: Vec<f64>,
}

impl Arrivals {
    pub(crate) fn new(profile: &Profile) -> Self {
        let customers = profile.customers.clone();
        let ranks = 1..=customers.companies;
        Self {
            draws: Draws::about(profile.seed, &[0x6172_7269_7661_6c73]),
            countries: profile.countries().map(|(country, _)| country).collect(),
            shares: cumulated(profile.countries().map(|(_, registry)| registry.weight)),
            due: 0.0,
            popularity: cumulated(ranks.map(|rank| (rank as f64).powf(-customers.zipf))),
            customers,
        }
    }

    /// When so many requests have become due, in seconds.
    fn time_s(&self, due: f64) -> f64 {
        let Customers { rate_per_s, ramp_s, .. } = self.customers;
        let in_ramp = rate_per_s * ramp_s / 2.0;
        if due < in_ramp {
            (2.0 * due * ramp_s / rate_per_s).sqrt()
        } else {
            ramp_s + (due - in_ramp) / rate_per_s
        }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        self.due += self.draws.exponential();
        let at_s = self.time_s(self.due);
        if at_s >= self.customers.duration_s {
            return None;
        }
        let registry = drawn(&self.shares, &mut self.draws);
        let is_unknown = self.draws.share() < self.customers.unknown_share;
        let rank = drawn(&self.popularity, &mut self.draws) as u64;
        // Those who do not exist have numbers behind those who do, and are as popular among themselves.
        let number = if is_unknown { self.customers.companies + rank } else { rank };
        let country = *self.countries.get(registry)?;
        Some(Arrival { at_us: (at_s * US_PER_S) as u64, registry, company: Company { country, number } })
    }
}

/// For each weight, the share of it and of all before it.
fn cumulated(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut shares: Vec<f64> = weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let total = shares.last().copied().unwrap_or(1.0);
    for share in &mut shares {
        *share /= total;
    }
    shares
}

/// Which of them, as often as its share says.
fn drawn(cumulated: &[f64], draws: &mut Draws) -> usize {
    let share = draws.share();
    cumulated.partition_point(|before| *before <= share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(fields: &str) -> Vec<Arrival> {
        weighted(fields, &[1.0, 1.0])
    }

    fn weighted(fields: &str, weights: &[f64]) -> Vec<Arrival> {
        let registry = |weight: f64| format!(r#"{{"latency":{{"shape":"fixed","ms":1}},"weight":{weight}}}"#);
        let registries: Vec<String> = ["im", "ru", "us"]
            .iter()
            .zip(weights)
            .map(|(country, weight)| format!(r#""{country}":{}"#, registry(*weight)))
            .collect();
        let text = format!(
            r#"{{"seed":1,"customers":{{"rate_per_s":1000,"duration_s":20,"companies":1000{fields}}},
                "registries":{{{}}}}}"#,
            registries.join(",")
        );
        Arrivals::new(&Profile::from_json(&text).unwrap()).collect()
    }

    #[test]
    fn the_rate_rises_in_the_ramp_and_stays() {
        let all = arrivals(r#","ramp_s":10"#);
        for (from_s, to_s, expected) in [(0, 5, 1250), (5, 10, 3750), (10, 15, 5000), (15, 20, 5000)] {
            let times = from_s * 1_000_000..to_s * 1_000_000;
            let found = all.iter().filter(|arrival| times.contains(&arrival.at_us)).count();
            assert!(found.abs_diff(expected) < expected / 10, "{from_s} s: {found}");
        }
        assert!(all.is_sorted_by_key(|arrival| arrival.at_us));
    }

    #[test]
    fn popularity_follows_the_exponent() {
        for (fields, first_expected) in [("", 0.001), (r#","zipf":1.0"#, 1.0 / 7.485)] {
            let all = arrivals(fields);
            let first = all.iter().filter(|arrival| arrival.company.number == 0).count() as f64;
            let found = first / all.len() as f64;
            assert!((found - first_expected).abs() < 0.01, "{fields}: {found}");
            assert!(all.iter().all(|arrival| arrival.company.number < 1000));
        }
    }

    #[test]
    fn a_share_is_unknown_and_every_country_is_asked() {
        let all = arrivals(r#","unknown_share":0.25"#);
        for count in [
            all.iter().filter(|arrival| arrival.company.number >= 1000).count() as f64 / 0.25,
            all.iter().filter(|arrival| arrival.registry == 1).count() as f64 / 0.5,
        ] {
            assert!((count / all.len() as f64 - 1.0).abs() < 0.05, "{count}");
        }
    }

    #[test]
    fn each_country_is_asked_as_often_as_its_weight_says() {
        for weights in [&[1.0, 1.0, 1.0][..], &[70.0, 25.0, 5.0], &[0.5, 1e-6, 0.5], &[3.0]] {
            let all = weighted("", weights);
            let total: f64 = weights.iter().sum();
            for (registry, weight) in weights.iter().enumerate() {
                let asked = all.iter().filter(|arrival| arrival.registry == registry).count() as f64;
                let (found, expected) = (asked / all.len() as f64, weight / total);
                assert!((found - expected).abs() < 0.01, "{weights:?} {registry}: {found}");
            }
        }
    }

    #[test]
    fn equal_weights_draw_the_same_whatever_they_are() {
        let companies = |weight: f64| -> Vec<_> {
            weighted("", &[weight; 3]).iter().map(|arrival| (arrival.at_us, arrival.company)).collect()
        };
        assert_eq!(companies(1.0), companies(7.0));
    }
}
