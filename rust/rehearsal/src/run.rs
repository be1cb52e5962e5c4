//! All of it together, on this thread.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::customer::Crowd;
use crate::ideal::Ideal;
use crate::profile::Profile;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::report::Report;
use crate::score::Score;

/// How often the watcher may end it.
const PULSE: Duration = Duration::from_millis(100);
const PULSES_PER_LINE: u32 = 10;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// Who follows a rehearsal; an error ends it.
pub trait Watcher {
    /// Why it is to end.
    type Error;

    /// The registries listen: (country, base URL). Gives the server to ask; none only serves the registries.
    ///
    /// # Errors
    /// Ends the rehearsal.
    fn listening(&mut self, registries: &[(String, String)]) -> Result<Option<SocketAddr>, Self::Error>;

    /// Ten times a second.
    ///
    /// # Errors
    /// Ends the rehearsal.
    fn pulse(&mut self) -> Result<(), Self::Error>;

    /// Once a second: how it goes.
    ///
    /// # Errors
    /// Ends the rehearsal.
    fn line(&mut self, line: &str) -> Result<(), Self::Error>;
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E> {
    /// A socket: which, and what is wrong.
    #[error("{0}: {1}")]
    Socket(String, io::Error),
    /// The watcher ended it.
    #[error("ended")]
    Ended(E),
}

/// Plays a profile; without a server to ask, until the watcher ends it.
///
/// # Errors
/// When a registry cannot listen, or the watcher ends it.
pub fn run<W: Watcher>(profile: &Profile, watcher: &mut W) -> Result<Report, Failure<W::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Socket("the event loop".to_owned(), error))?;
    LocalSet::new().block_on(&runtime, play(profile, watcher))
}

async fn play<W: Watcher>(profile: &Profile, watcher: &mut W) -> Result<Report, Failure<W::Error>> {
    let clock = Rc::new(Clock::default());
    let mut registries = Vec::new();
    let mut urls = Vec::new();
    for (country, behaviour) in profile.countries() {
        let known = (profile.seed, profile.customers.companies);
        let registry = Rc::new(Registry::new(country, behaviour.clone(), known, Rc::clone(&clock)));
        let country = String::from_utf8_lossy(&country).into_owned();
        let port = listen(&registry).map_err(|error| {
            Failure::Socket(format!("registry {country}, port {}", behaviour.port), error)
        })?;
        urls.push((country, format!("http://127.0.0.1:{port}")));
        registries.push(registry);
    }
    let server = watcher.listening(&urls).map_err(Failure::Ended)?;
    clock.start();
    let Some(server) = server else {
        loop {
            sleep(PULSE).await;
            watcher.pulse().map_err(Failure::Ended)?;
        }
    };
    let crowd = Rc::new(Crowd {
        server,
        customers: profile.customers.clone(),
        score: RefCell::new(Score::new(
            &registries.iter().map(|registry| registry.behaviour.whole_outages().count()).collect::<Vec<_>>(),
        )),
        ideal: RefCell::new(Ideal::new(profile.seed, (profile.customers.limit_ms * 1000.0) as u64)),
        registries,
        clock: Rc::clone(&clock),
        pool: RefCell::default(),
        at_once: Cell::new(0),
    });
    let coming = tokio::task::spawn_local(Rc::clone(&crowd).come(Arrivals::new(profile)));
    watch(&crowd, &coming, watcher).await.map_err(Failure::Ended)?;
    let report = Report::new(&crowd.score.borrow(), &crowd.registries);
    Ok(report)
}

/// Tells how it goes until the last customer is served, and for the time after that.
async fn watch<W: Watcher>(
    crowd: &Crowd,
    coming: &tokio::task::JoinHandle<()>,
    watcher: &mut W,
) -> Result<(), W::Error> {
    let mut progress = Progress::default();
    let mut pulses = 0;
    let mut left = Duration::from_secs_f64(crowd.customers.watch_after_s);
    loop {
        if coming.is_finished() && crowd.at_once.get() == 0 {
            let Some(less) = left.checked_sub(PULSE) else { return Ok(()) };
            left = less;
        }
        sleep(PULSE).await;
        watcher.pulse()?;
        pulses += 1;
        if pulses % PULSES_PER_LINE == 0 {
            let (now_us, open) = (crowd.clock.now_us(), crowd.at_once.get());
            watcher.line(&progress.line(&crowd.score.borrow(), &crowd.registries, now_us, open))?;
        }
    }
}

fn listen(registry: &Rc<Registry>) -> io::Result<u16> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, registry.behaviour.port).into())?;
    let listener = socket.listen(BACKLOG)?;
    let port = listener.local_addr()?.port();
    tokio::task::spawn_local(Rc::clone(registry).serve(listener));
    Ok(port)
}
