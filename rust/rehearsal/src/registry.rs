//! A registry with sockets, and what it saw.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::behaviour::{Bucket, Outcome};
use crate::clock::Clock;
use crate::load::Load;
use crate::met::Met;
use crate::profile::{Away, Registry as Behaviour, Throttle};
use crate::truth::Company;

/// A request's head may be so long.
const HEAD_BYTES_MAX: usize = 16_384;

/// A fake registry.
pub(crate) struct Registry {
    pub(crate) country: [u8; 2],
    pub(crate) behaviour: Behaviour,
    pub(crate) load: RefCell<Load>,
    /// How often each company was asked for.
    asked: RefCell<HashMap<u64, u32>>,
    bucket: RefCell<Bucket>,
    seed: u64,
    /// Companies from this number on do not exist.
    companies: u64,
    clock: Rc<Clock>,
}

impl Registry {
    pub(crate) fn new(
        country: [u8; 2],
        behaviour: Behaviour,
        (seed, companies): (u64, u64),
        clock: Rc<Clock>,
    ) -> Self {
        let (load, asked, bucket) = (RefCell::default(), RefCell::default(), RefCell::new(Bucket::new()));
        Self { country, behaviour, load, asked, bucket, seed, companies, clock }
    }

    /// How many companies were asked for.
    pub(crate) fn distinct(&self) -> usize {
        self.asked.borrow().len()
    }

    /// Serves for ever.
    pub(crate) async fn serve(self: Rc<Self>, listener: TcpListener) {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(Rc::clone(&self).meet(stream));
            } else {
                // No descriptor left, most likely: one may be free in a moment.
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn meet(self: Rc<Self>, mut stream: TcpStream) {
        self.load.borrow_mut().connect();
        let _nodelay = stream.set_nodelay(true);
        let mut input = Vec::with_capacity(1024);
        while let Some((path, used)) = read_request(&mut stream, &mut input).await {
            input.drain(..used);
            let stays = self.answer(&mut stream, &mut input, &path).await;
            self.end();
            if !stays {
                break;
            }
        }
        self.load.borrow_mut().sockets -= 1;
    }

    /// Answers one request; false when the connection is over.
    async fn answer(&self, stream: &mut TcpStream, input: &mut Vec<u8>, path: &str) -> bool {
        let company = id_of(path).and_then(|id| Company::of_id(self.country, &id));
        let (met, latency_us) = self.begin(company, self.clock.now_us());
        if latency_us > 0 && !still_there(stream, input, Some(Duration::from_micros(latency_us))).await {
            return false;
        }
        match self.lost(met, self.clock.now_us()) {
            Met::Hang(time_us) => {
                if still_there(stream, input, time_us.map(Duration::from_micros)).await {
                    reset(stream);
                }
                false
            }
            Met::Reset => {
                reset(stream);
                false
            }
            met => stream.write_all(met.written().as_bytes()).await.is_ok() && !met.closes(),
        }
    }

    /// A request comes: how it is met, and after how many microseconds. To be followed by [`Self::end`].
    pub(crate) fn begin(&self, company: Option<Company>, now_us: u64) -> (Met, u64) {
        let mut load = self.load.borrow_mut();
        load.come(now_us);
        if let Some(outage) = self.behaviour.away(now_us) {
            load.away += 1;
            return (Met::outage(outage, now_us), 0);
        }
        let is_over = |throttle: &Throttle| !self.bucket.borrow_mut().take(*throttle, now_us);
        if let Some(throttle) = self.behaviour.throttle.filter(is_over) {
            load.throttle();
            return (Met::Throttled(throttle.retry_after_s), 0);
        }
        let at_once = load.at_once;
        let mut factor = 1.0;
        if let Some(collapse) = self.behaviour.collapse.filter(|collapse| at_once > u64::from(collapse.over))
        {
            load.collapsed += 1;
            let Some(slower) = collapse.latency_factor else { return (Met::Unavailable(None), 0) };
            factor = slower;
        }
        let Some(company) = company else {
            load.answered += 1;
            return (Met::Unknown, 0);
        };
        let nth = self.count(company);
        if let Some(outage) = self.behaviour.broken(self.seed, company, nth, now_us) {
            load.away += 1;
            return (Met::outage(outage, now_us), 0);
        }
        let turn = self.behaviour.turn(self.seed, company, nth);
        if turn.outcome == Outcome::Answer {
            load.answered += 1;
        } else {
            load.failed += 1;
        }
        let exists = company.number < self.companies;
        (Met::turn(company, turn, exists), (turn.latency_us as f64 * factor) as u64)
    }

    /// A request is over.
    pub(crate) fn end(&self) {
        self.load.borrow_mut().at_once -= 1;
    }

    /// How it is met after its latency: what was begun before an outage is lost in it.
    pub(crate) fn lost(&self, met: Met, now_us: u64) -> Met {
        let is_reset = self.behaviour.away(now_us).is_some_and(|outage| outage.how == Away::Reset);
        if is_reset { Met::Reset } else { met }
    }

    /// How often this company was asked for before.
    fn count(&self, company: Company) -> u32 {
        let mut asked = self.asked.borrow_mut();
        let count = asked.entry(company.number).or_default();
        *count += 1;
        *count - 1
    }
}

/// Closes with TCP's RST.
fn reset(stream: &TcpStream) {
    // Where it cannot be set, the customer sees a plain close before a reply: as bad.
    let _set = stream.set_zero_linger();
}

/// Waits, for ever without a time; false when the other side leaves before.
async fn still_there(stream: &mut TcpStream, input: &mut Vec<u8>, time: Option<Duration>) -> bool {
    let waiting = async {
        match time {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(waiting);
    loop {
        tokio::select! {
            () = &mut waiting => return true,
            read = stream.read_buf(input) => {
                if !matches!(read, Ok(1..)) || input.len() > HEAD_BYTES_MAX {
                    return false;
                }
            }
        }
    }
}

/// The next request: (its path, how many bytes it took); none when there is none, or it is no HTTP.
async fn read_request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<(String, usize)> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(used) = request.parse(input).ok()? {
            return Some((request.path?.to_owned(), used));
        }
        if input.len() > HEAD_BYTES_MAX || !matches!(stream.read_buf(input).await, Ok(1..)) {
            return None;
        }
    }
}

/// The id in `/companies/{id}`, with its percent-encoding undone.
fn id_of(path: &str) -> Option<String> {
    let mut bytes = path.strip_prefix("/companies/")?.bytes();
    let mut id = Vec::with_capacity(16);
    while let Some(byte) = bytes.next() {
        id.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                (high * 16 + low) as u8
            }
            b'/' | b'?' => return None,
            byte => byte,
        });
    }
    String::from_utf8(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(fields: &str) -> Registry {
        let text = format!(r#"{{"latency":{{"shape":"fixed","ms":1}}{fields}}}"#);
        let behaviour: Behaviour = serde_json::from_str(&text).unwrap();
        Registry::new(*b"us", behaviour, (1, 10), Rc::new(Clock::default()))
    }

    /// What a registry writes to who asks it for a company, until it has said something, or to the end.
    async fn heard(registry: Registry, to_the_end: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::task::spawn_local(Rc::new(registry).serve(listener));
        let plain = |id: &String| id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let id = (0..10).map(|number| Company { country: *b"us", number }.id()).find(plain).unwrap();
        stream.write_all(format!("GET /companies/{id} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        while stream.read_buf(&mut heard).await.unwrap() > 0 && to_the_end {}
        String::from_utf8(heard).unwrap()
    }

    #[test]
    fn a_cut_reply_ends_the_connection_before_its_end_and_a_503_says_when() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let cut = heard(registry(r#","cut_share":1"#), true).await;
            let (head, body) = cut.split_once("\r\n\r\n").unwrap();
            let length: usize = head.split_once("Content-Length: ").unwrap().1.parse().unwrap();
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\n") && !body.is_empty() && body.len() < length,
                "{cut}"
            );
            for (fields, has_field) in [(r#","retry_after_s":7"#, true), ("", false)] {
                let said =
                    heard(registry(&format!(r#","unavailable":[{{"share":1{fields}}}]"#)), false).await;
                assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
                assert_eq!(said.contains("\r\nRetry-After: 7\r\n"), has_field, "{said}");
            }
        });
    }

    #[test]
    fn who_meets_a_broken_server_has_had_a_try_and_who_meets_none_has_not() {
        let company = Company { country: *b"us", number: 1 };
        for (fields, tries) in [(r#","servers":1"#, 3), ("", 0)] {
            let outage = format!(r#"{{"begin_s":1,"length_s":1,"how":"unavailable"{fields}}}"#);
            let registry = registry(&format!(r#","servers":2,"outages":[{outage}]"#));
            let met: Vec<Met> = (0..3).map(|_| registry.begin(Some(company), 1_500_000).0).collect();
            assert_eq!(registry.count(company), tries, "{met:?}");
            let (broken, asked) = (registry.load.borrow().away, registry.load.borrow().answered);
            assert_eq!(broken + asked, 3);
            assert_eq!(asked > 0, tries > 0, "{met:?}");
            for (nth, met) in (0..).zip(met) {
                let is_broken = registry.behaviour.broken(1, company, nth, 1_500_000).is_some() || tries == 0;
                assert_eq!(met == Met::Unavailable(None), is_broken);
            }
        }
    }

    #[test]
    fn what_was_begun_is_lost_where_all_servers_reset_alone() {
        for (fields, is_lost) in [("", true), (r#","servers":1"#, false), (r#","how":"error""#, false)] {
            let outage = format!(r#"{{"begin_s":1,"length_s":1{fields}}}"#);
            let registry = registry(&format!(r#","servers":2,"outages":[{outage}]"#));
            assert_eq!(registry.lost(Met::Unknown, 1_500_000) == Met::Reset, is_lost, "{fields}");
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        for (path, id) in [
            ("/companies/1%20%C3%A9%2fB", Some("1 é/B")),
            ("/companies/1+2", Some("1+2")),
            ("/companies/1/2", None),
            ("/companies/1%2", None),
            ("/companies/%FF", None),
            ("/company/1", None),
        ] {
            assert_eq!(id_of(path).as_deref(), id, "{path}");
        }
    }
}
