//! The same rehearsal in virtual time: the service is its miss path and a cache that forgets nothing, and costs nothing.
//!
//! The registries, customers, ideal cache and score are those of a real rehearsal; the decisions are those of the real
//! service. What is missing is what work costs: sockets, parsing, a busy processor. So it tells what a policy can do at best.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt::Write as _;
use std::iter::Peekable;
use std::rc::Rc;

use backendify_core::miss::{Act, Breaker, Caps, Misses, Moment, Policy, Question, RegistryStats, S, TryId};

use crate::arrivals::{Arrival, Arrivals};
use crate::clock::Clock;
use crate::ideal::Ideal;
use crate::met::Met;
use crate::profile::Profile;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::reply::{judged, tried};
use crate::report::Report;
use crate::score::{Asked, Score, Try};
use crate::truth::Company;

/// Plays a profile against this policy, and tells once a virtual second how it goes. `policy.registries` are the profile's, in
/// the order of their names; where there are too few of them the last one stands for the others.
///
/// # Errors
/// Those of `on_line`, which end it.
pub fn simulate<E>(
    profile: &Profile,
    policy: &Policy,
    mut on_line: impl FnMut(&str) -> Result<(), E>,
) -> Result<Report, E> {
    let mut simulation = Simulation::new(profile, policy);
    let mut progress = Progress::default();
    let mut second = 1;
    while let Some(at_us) = simulation.next_us() {
        while second * S <= at_us && simulation.has_customers() {
            on_line(&simulation.line(&mut progress, second * S))?;
            second += 1;
        }
        simulation.step(at_us);
    }
    Ok(Report::new(&simulation.score, &simulation.registries))
}

/// A customer's try: who, and which of his.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiter {
    customer: usize,
    nth: u32,
}

/// What happens at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask(Waiter),
    HangUp(Waiter),
    Reply(TryId),
}

struct Customer {
    asked: Asked,
    /// Which of his tries he waits for; none when he is done.
    waits_for: Option<u32>,
    tried_at_us: u64,
}

struct Running {
    registry: usize,
    company: Option<Company>,
    met: Met,
}

struct Simulation<'a> {
    profile: &'a Profile,
    limit_us: u64,
    registries: Vec<Rc<Registry>>,
    arrivals: Peekable<Arrivals>,
    /// (when, which of all, what): in the order in which they were planned, where times are equal.
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
    customers: Vec<Customer>,
    running: HashMap<TryId, Running>,
    cache: HashSet<Company>,
    misses: Misses<Waiter>,
    acts: Vec<Act<Waiter>>,
    score: Score,
    ideal: Ideal,
}

impl<'a> Simulation<'a> {
    fn new(profile: &'a Profile, policy: &Policy) -> Self {
        let clock = Rc::new(Clock::default());
        let known = (profile.seed, profile.customers.companies);
        let registries: Vec<Rc<Registry>> = profile
            .countries()
            .map(|(country, behaviour)| {
                Rc::new(Registry::new(country, behaviour.clone(), known, Rc::clone(&clock)))
            })
            .collect();
        let mut policy = policy.clone();
        let last = policy.registries.last().copied().unwrap_or_else(Caps::default);
        policy.registries.resize(registries.len(), last);
        let limit_us = (profile.customers.limit_ms * 1000.0) as u64;
        let outages: Vec<usize> =
            registries.iter().map(|registry| registry.behaviour.whole_outages().count()).collect();
        Self {
            profile,
            limit_us,
            arrivals: Arrivals::new(profile).peekable(),
            registries,
            events: BinaryHeap::new(),
            planned: 0,
            customers: Vec::new(),
            running: HashMap::new(),
            cache: HashSet::new(),
            misses: Misses::new(policy, profile.seed),
            acts: Vec::new(),
            score: Score::new(&outages),
            ideal: Ideal::new(profile.seed, limit_us),
        }
    }

    /// Does one wait, or will one come?
    fn has_customers(&mut self) -> bool {
        self.arrivals.peek().is_some() || self.misses.stats().waiters > 0
    }

    /// When something happens next; none when all customers are done and nothing is under way.
    fn next_us(&mut self) -> Option<u64> {
        let arrival = self.arrivals.peek().map(|arrival| arrival.at_us);
        let event = self.events.peek().map(|Reverse((at_us, _, _))| *at_us);
        let due = self.misses.due().map(|due| due.0);
        [arrival, event, due].into_iter().flatten().min()
    }

    /// How it goes, and how the rules see each registry.
    fn line(&self, progress: &mut Progress, now_us: u64) -> String {
        let open = self.misses.stats().waiters;
        let mut line = progress.line(&self.score, &self.registries, now_us, open);
        for (number, registry) in (0..).zip(&self.registries) {
            let Some(stats) = self.misses.registry_stats(number, Moment(now_us)) else { break };
            let RegistryStats { limit, queued, breaker, patience_us, paused_for_us, rate_per_s, .. } = stats;
            let country = String::from_utf8_lossy(&registry.country);
            let _written = write!(line, "  {country}: limit {limit}, {queued} queued");
            let _written = write!(line, ", second try after {} ms", patience_us / 1000);
            if rate_per_s.is_finite() {
                let _written = write!(line, ", pace {rate_per_s:.0}/s");
            }
            if paused_for_us > 0 {
                let _written = write!(line, ", paused for {:.1} s", paused_for_us as f64 / S as f64);
            }
            if breaker == Breaker::Open {
                line.push_str(", breaker open");
            }
        }
        line
    }

    fn step(&mut self, now_us: u64) {
        let now = Moment(now_us);
        if self.misses.due().is_some_and(|due| due <= now) {
            self.misses.tick(now, &mut self.acts);
        } else if self.events.peek().is_some_and(|Reverse((at_us, _, _))| *at_us <= now_us) {
            match self.events.pop() {
                Some(Reverse((_, _, Event::Ask(waiter)))) => self.ask(waiter, now),
                Some(Reverse((_, _, Event::HangUp(waiter)))) => self.hear(waiter, None, &Try::Aborted, now),
                Some(Reverse((_, _, Event::Reply(id)))) => self.reply(id, now),
                None => {}
            }
        } else if let Some(arrival) = self.arrivals.next() {
            self.arrive(arrival, now);
        }
        self.act(now);
    }

    fn arrive(&mut self, arrival: Arrival, now: Moment) {
        let Some(registry) = self.registries.get(arrival.registry) else { return };
        let asked = Asked {
            arrival,
            answerable: self.ideal.answers(&registry.behaviour, arrival.company, arrival.at_us),
            outage: registry.behaviour.outage(arrival.at_us).map(|(outage, _)| outage),
            warm: self.score.was_told(arrival.company),
        };
        self.score.sent(0, 0);
        let waiter = Waiter { customer: self.customers.len(), nth: 0 };
        self.customers.push(Customer { asked, waits_for: None, tried_at_us: now.0 });
        self.ask(waiter, now);
    }

    fn ask(&mut self, waiter: Waiter, now: Moment) {
        let Some(customer) = self.customers.get_mut(waiter.customer) else { return };
        (customer.waits_for, customer.tried_at_us) = (Some(waiter.nth), now.0);
        let Arrival { company, registry, .. } = customer.asked.arrival;
        if self.cache.contains(&company) {
            let status = if company.number < self.profile.customers.companies { 200 } else { 404 };
            return self.hear(waiter, Some(status), &Try::Right, now);
        }
        // Who is answered before he hangs up needs no alarm.
        self.plan(now + self.limit_us, Event::HangUp(waiter));
        let question = Question { registry: registry as u8, id: &company.id() };
        self.misses.ask(question, waiter, now, &mut self.acts);
    }

    /// A customer's try came to something, and had this status if it was answered.
    fn hear(&mut self, waiter: Waiter, status: Option<u16>, outcome: &Try, now: Moment) {
        let Some(customer) = self.customers.get_mut(waiter.customer) else { return };
        if customer.waits_for != Some(waiter.nth) {
            return; // he hung up, or had hung up
        }
        customer.waits_for = None;
        if let Some(status) = status {
            *self.score.statuses.entry(status).or_default() += 1;
        }
        let (asked, begun_us) = (customer.asked, customer.tried_at_us);
        let registry = self.registries.get(asked.arrival.registry);
        let outage = registry.and_then(|registry| registry.behaviour.outage(begun_us));
        self.score.tried(asked, (begun_us, now.since(Moment(begun_us))), outage, outcome);
        let took_us = now.since(Moment(asked.arrival.at_us));
        if *outcome == Try::Right {
            self.score.done(asked, Some(waiter.nth), took_us);
        } else if waiter.nth < self.profile.customers.retries {
            self.plan(now, Event::Ask(Waiter { nth: waiter.nth + 1, ..waiter }));
        } else {
            self.score.done(asked, None, took_us);
        }
    }

    fn act(&mut self, now: Moment) {
        let mut acts = std::mem::take(&mut self.acts);
        for act in acts.drain(..) {
            match act {
                Act::Try { id, registry, company, .. } => self.begin(id, registry.into(), &company, now),
                Act::Abandon { id } => self.end(id),
                Act::Answer { waiter, told, .. } => {
                    let (status, outcome) = judged(&told);
                    self.hear(waiter, Some(status), &outcome, now);
                }
            }
        }
        self.acts = acts;
    }

    fn begin(&mut self, id: TryId, registry: usize, company: &str, now: Moment) {
        let Some(asked) = self.registries.get(registry) else { return };
        let company = Company::of_id(asked.country, company);
        let (met, latency_us) = asked.begin(company, now.0);
        self.running.insert(id, Running { registry, company, met });
        let wait_us = match met {
            Met::Hang(Some(us)) => us,
            _ => latency_us,
        };
        self.plan(now + wait_us, Event::Reply(id));
    }

    fn reply(&mut self, id: TryId, now: Moment) {
        let Some(running) = self.running.get(&id) else { return };
        let Some(registry) = self.registries.get(running.registry) else { return };
        let met = registry.lost(running.met, now.0);
        if let Some(tried) = tried(met) {
            if let (Met::Told(..) | Met::Unknown, Some(company)) = (met, running.company) {
                self.cache.insert(company);
            }
            self.end(id);
            if let Met::Cut(..) = met {
                self.misses.first_byte(id, now);
            }
            self.misses.tried(id, tried, now, &mut self.acts);
        }
    }

    fn end(&mut self, id: TryId) {
        let ended = self.running.remove(&id);
        if let Some(registry) = ended.and_then(|ended| self.registries.get(ended.registry)) {
            registry.end();
        }
    }

    fn plan(&mut self, at: Moment, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((at.0, self.planned, event)));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn played(registry: &str, customers: &str) -> serde_json::Value {
        let text = format!(
            r#"{{"seed":1,"customers":{{"rate_per_s":200,"duration_s":20,"companies":2000,"zipf":1.0{customers}}},
                "registries":{{"us":{{"latency":{{"shape":"lognormal","median_ms":100,"sigma":0.4}}{registry}}}}}}}"#
        );
        let profile = Profile::from_json(&text).unwrap();
        let report = simulate(&profile, &Policy::default(), |_| Ok::<_, Infallible>(())).unwrap();
        serde_json::to_value(report).unwrap()
    }

    fn number(report: &serde_json::Value, path: &str) -> f64 {
        report.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
    }

    #[test]
    fn a_good_registry_loses_nobody_and_is_asked_once_a_company() {
        let report = played("", r#","unknown_share":0.05"#);
        assert!(number(&report, "/of_bound_percent") > 99.9, "{report}");
        assert!(number(&report, "/registries/us/requests_per_distinct") < 1.02, "{report}");
    }

    #[test]
    fn the_same_seed_plays_the_same() {
        let play = || played(r#","error_share":0.1,"hang_share":0.05"#, r#","retries":2"#);
        assert_eq!(play(), play());
    }

    #[test]
    fn every_try_has_a_status_or_was_given_up() {
        for limit_ms in [50, 500, 2000] {
            let report = played(r#","hang_share":0.1"#, &format!(r#","retries":1,"limit_ms":{limit_ms}"#));
            let all = |path: &str| -> u64 {
                let numbers = report.pointer(path).unwrap();
                let numbers: Vec<_> = match numbers.as_object() {
                    Some(by_name) => by_name.values().collect(),
                    None => numbers.as_array().unwrap().iter().collect(),
                };
                numbers.into_iter().filter_map(serde_json::Value::as_u64).sum()
            };
            let aborted = report.pointer("/aborted").and_then(serde_json::Value::as_u64).unwrap();
            assert_eq!(all("/statuses") + aborted, all("/tries_by_second"), "{limit_ms}: {report}");
            assert_eq!(aborted > 0, limit_ms < 900, "{limit_ms}: {report}");
        }
    }

    #[test]
    fn an_outage_is_survived() {
        for how in ["reset", "hang", "unavailable"] {
            let outage = format!(r#","outages":[{{"begin_s":8,"length_s":6,"how":"{how}"}}]"#);
            let report = played(&outage, r#","retries":2"#);
            let outage = "/registries/us/outages/0";
            assert!(number(&report, &format!("{outage}/recovery_s")) <= 3.0, "{how}: {report}");
            let warm = number(&report, &format!("{outage}/warm/right"));
            assert!((warm - number(&report, &format!("{outage}/warm/asked"))).abs() < 0.5, "{how}: {report}");
            assert!(number(&report, "/registries/us/requests_per_distinct") < 1.25, "{how}: {report}");
        }
    }

    #[test]
    fn outages_of_some_servers_are_no_outages_of_the_registry() {
        let report = played(
            r#","servers":4,"outages":[{"begin_s":2,"length_s":9,"servers":1},{"begin_s":15,"length_s":1}]"#,
            r#","retries":2"#,
        );
        assert_eq!(
            report.pointer("/registries/us/outages").unwrap().as_array().unwrap().len(),
            1,
            "{report}"
        );
        assert!(number(&report, "/registries/us/outages/0/begin_s") > 14.0, "{report}");
        assert!(number(&report, "/registries/us/away") > 50.0, "{report}");
    }

    #[test]
    fn a_throttled_registry_is_asked_at_its_pace() {
        let throttle = r#","throttle":{"per_s":20,"retry_after_s":1}"#;
        let report = played(throttle, r#","retries":2"#);
        assert!(number(&report, "/registries/us/throttled_percent") < 5.0, "{report}");
        assert!(number(&report, "/registries/us/answered") > 0.7 * 20.0 * 20.0, "{report}");
    }

    #[test]
    fn customers_who_ask_again_cost_the_registry_nothing() {
        let requests = |retries: u32| {
            let hangs = r#","outages":[{"begin_s":5,"length_s":10,"how":"hang"}]"#;
            let report = played(hangs, &format!(r#","retries":{retries}"#));
            number(&report, "/registries/us/requests")
        };
        assert!(requests(3) <= 1.05 * requests(0), "{} {}", requests(3), requests(0));
    }
}
