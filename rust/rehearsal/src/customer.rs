//! The customers: each comes when due, hangs up at the limit, and asks again at once.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::arrivals::{Arrival, Arrivals};
use crate::clock::Clock;
use crate::connection::{Lost, Pool, Reply, ask, connect};
use crate::ideal::Ideal;
use crate::profile::Customers;
use crate::registry::Registry;
use crate::score::{Asked, Score, Try};

/// More customers at once than this are not let in: their requests count as failed and late.
const AT_ONCE_MAX: usize = 20_000;

/// All customers.
pub(crate) struct Crowd {
    pub(crate) server: SocketAddr,
    pub(crate) customers: Customers,
    pub(crate) registries: Vec<Rc<Registry>>,
    pub(crate) clock: Rc<Clock>,
    pub(crate) score: RefCell<Score>,
    pub(crate) ideal: RefCell<Ideal>,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) at_once: Cell<usize>,
}

impl Crowd {
    /// Has them come, each in time; ends when the last has come, not when he is served.
    pub(crate) async fn come(self: Rc<Self>, arrivals: Arrivals) {
        for arrival in arrivals {
            if arrival.at_us > self.clock.now_us() {
                sleep_until(self.clock.at(arrival.at_us)).await;
            }
            let Some(asked) = self.asked(arrival) else { continue };
            if self.at_once.get() >= AT_ONCE_MAX {
                self.score.borrow_mut().kept_out(asked);
                continue;
            }
            self.at_once.set(self.at_once.get() + 1);
            tokio::task::spawn_local(Rc::clone(&self).serve(asked));
        }
    }

    /// None of a registry that is none.
    fn asked(&self, arrival: Arrival) -> Option<Asked> {
        let behaviour = &self.registries.get(arrival.registry)?.behaviour;
        Some(Asked {
            arrival,
            answerable: self.ideal.borrow_mut().answers(behaviour, arrival.company, arrival.at_us),
            outage: behaviour.outage(arrival.at_us).map(|(outage, _)| outage),
            warm: self.score.borrow().was_told(arrival.company),
        })
    }

    /// One customer, with all his tries.
    async fn serve(self: Rc<Self>, asked: Asked) {
        let due_us = asked.arrival.at_us;
        let late_us_max = (self.customers.late_ms * 1000.0) as u64;
        self.score.borrow_mut().sent(self.clock.now_us().saturating_sub(due_us), late_us_max);
        let limit = Duration::from_secs_f64(self.customers.limit_ms / 1000.0);
        let request = self.request(asked.arrival);
        let mut right_at = None;
        // The first try's time counts from when it was due, not from when we got to it.
        let mut begun_us = due_us;
        for nth in 0..=self.customers.retries {
            let outcome = self.attempt(asked.arrival, &request, self.clock.at(begun_us) + limit).await;
            self.count(asked, begun_us, &outcome);
            match outcome {
                Try::Right => {
                    right_at = Some(nth);
                    break;
                }
                Try::Wrong(_) => break,
                Try::Failed(_) | Try::Aborted | Try::Broken => begun_us = self.clock.now_us(),
            }
        }
        let took_us = self.clock.now_us().saturating_sub(due_us);
        self.score.borrow_mut().done(asked, right_at, took_us);
        self.at_once.set(self.at_once.get() - 1);
    }

    fn count(&self, asked: Asked, begun_us: u64, outcome: &Try) {
        let took_us = self.clock.now_us().saturating_sub(begun_us);
        let registry = self.registries.get(asked.arrival.registry);
        let outage = registry.and_then(|registry| registry.behaviour.outage(begun_us));
        self.score.borrow_mut().tried(asked, (begun_us, took_us), outage, outcome);
    }

    async fn attempt(&self, arrival: Arrival, request: &str, deadline: Instant) -> Try {
        match timeout_at(deadline, self.exchange(request)).await {
            Err(_) => Try::Aborted,
            // A late answer that the event loop brings before its own alarm is late all the same.
            Ok(Ok(_)) if Instant::now() > deadline => Try::Aborted,
            Ok(Err(_)) => Try::Broken,
            Ok(Ok(reply)) => {
                *self.score.borrow_mut().statuses.entry(reply.status).or_default() += 1;
                self.judge(arrival, &reply)
            }
        }
    }

    /// Asks on an idle connection or a new one. An idle one may have been closed just now: when nothing was heard on it, a
    /// new one is tried (RFC 9112 §9.3.1), and that is counted.
    async fn exchange(&self, request: &str) -> Result<Reply, Lost> {
        let idle = self.pool.borrow_mut().take();
        if let Some(mut stream) = idle {
            match ask(&mut stream, request).await {
                Ok(reply) => {
                    self.pool.borrow_mut().keep(stream, &reply);
                    return Ok(reply);
                }
                Err(Lost::Unheard) => self.score.borrow_mut().asked_again += 1,
                Err(Lost::Cut) => return Err(Lost::Cut),
            }
        }
        let mut stream = connect(self.server).await.map_err(|_| Lost::Unheard)?;
        let reply = ask(&mut stream, request).await?;
        self.pool.borrow_mut().keep(stream, &reply);
        Ok(reply)
    }

    fn judge(&self, arrival: Arrival, reply: &Reply) -> Try {
        let exists = arrival.company.number < self.customers.companies;
        match reply.status {
            404 if !exists => Try::Right,
            200 if exists && arrival.company.agrees(&reply.body) => Try::Right,
            200 | 404 => {
                let body: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
                Try::Wrong(format!(
                    "{} {}: {} {body}",
                    String::from_utf8_lossy(&arrival.company.country),
                    arrival.company.id(),
                    reply.status
                ))
            }
            status => Try::Failed(status),
        }
    }

    fn request(&self, arrival: Arrival) -> String {
        let country = String::from_utf8_lossy(&arrival.company.country).into_owned();
        let id = query_value(&arrival.company.id());
        let host = self.server;
        format!("GET /company?id={id}&country_iso={country} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }
}

fn query_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_encoded_in_queries() {
        for (text, encoded) in [("1-A", "1-A"), ("1 A", "1%20A"), ("é/%+&", "%C3%A9%2F%25%2B%26")] {
            assert_eq!(query_value(text), encoded);
        }
    }
}
