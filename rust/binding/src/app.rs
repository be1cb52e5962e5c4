//! The ASGI app: a hit is answered here, without any Python bytecode of ours; a miss waits for its registry.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backendify_core::answer::{Answer, Problem};
use backendify_core::country::Countries;
use backendify_core::key::Key;
use backendify_core::miss::{self, TryId};
use backendify_core::query;
use backendify_core::request::{self, Route};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::clock;
use crate::customer::Customer;
use crate::ledger::Ledger;
use crate::limiter::Limiter;
use crate::misses::Misses;
use crate::outcome::Outcome;
use crate::policy;
use crate::question::Question;
use crate::region::Region;
use crate::reply::Reply;
use crate::scope::Scope;

/// Every status that an answer can have: the counters' places.
const STATUSES: [u16; 10] = [200, 400, 404, 405, 414, 429, 431, 502, 503, 504];

/// An ASGI 3 callable.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct App {
    countries: Countries,
    region: Py<Region>,
    misses: Misses,
    on_miss: Py<PyAny>,
    on_lifespan: Py<PyAny>,
    limiter: Option<Limiter>,
    refreshes_ahead: bool,
    is_lame_duck: AtomicBool,
    is_closed: AtomicBool,
    answered: [AtomicU64; STATUSES.len()],
    hits: AtomicU64,
    misses_count: AtomicU64,
}

/// What is to be done with a request.
pub(crate) enum Decision {
    /// Nothing has to be waited for.
    Answer(Answer),
    /// A registry has to be asked.
    Ask(Question),
}

impl App {
    /// Decides on a request, and begins to refresh what runs out soon.
    pub(crate) fn decide(&self, py: Python<'_>, scope: &Scope<'_>) -> PyResult<Decision> {
        let request = scope.request();
        let answer = match request::route(&request) {
            Err(problem) => Answer::problem(&problem),
            Ok(Route::Root) => Answer::root(env!("CARGO_PKG_VERSION")),
            Ok(Route::Status) => Answer::status(self.is_lame_duck.load(Ordering::Relaxed)),
            Ok(Route::Company(question)) => return self.look_up(py, &question, scope),
        };
        Ok(Decision::Answer(answer))
    }

    fn look_up(
        &self,
        py: Python<'_>,
        question: &query::Question<'_>,
        scope: &Scope<'_>,
    ) -> PyResult<Decision> {
        let Some(registry) = self.countries.registry_of(&question.country) else {
            return Ok(Decision::Answer(Answer::problem(&Problem::NoRegistry)));
        };
        let key = Key { registry, id: question.id.as_bytes() };
        let is_closed = self.is_closed.load(Ordering::Relaxed);
        let Some(hit) = self.region.get().find(key, &question.id) else {
            self.misses_count.fetch_add(1, Ordering::Relaxed);
            if is_closed {
                return Ok(Decision::Answer(Answer::problem(&Problem::Draining)));
            }
            if let Some(limiter) = &self.limiter {
                if let Some(retry_after_s) = limiter.refusal(scope)? {
                    return Ok(Decision::Answer(Answer::problem(&Problem::ClientLimited { retry_after_s })));
                }
            }
            let id = (*question.id).into();
            return Ok(Decision::Ask(Question { registry, id, is_head: scope.is_head() }));
        };
        self.hits.fetch_add(1, Ordering::Relaxed);
        if hit.is_refresh_due && self.refreshes_ahead && !is_closed {
            let asked = miss::Question { registry, id: &question.id };
            self.misses.decide(py, self, |rules, now, acts| rules.refresh(asked, now, acts))?;
        }
        Ok(Decision::Answer(hit.answer))
    }

    /// Has a customer wait for what his registry says; his answer comes when it comes.
    pub(crate) fn wait(&self, py: Python<'_>, mut customer: Customer) -> PyResult<()> {
        self.misses.decide(py, self, |rules, now, acts| {
            let registry = customer.question.registry;
            rules.share(registry, &mut customer.question.id);
            let id = Arc::clone(&customer.question.id);
            rules.ask_shared(registry, &id, customer, now, acts);
        })
    }

    /// Where records lie.
    pub(crate) fn region(&self) -> &Region {
        self.region.get()
    }

    /// Counts an answer that is about to be sent.
    pub(crate) fn count(&self, status: u16) {
        let place = STATUSES.iter().position(|known| *known == status);
        if let Some(counter) = place.and_then(|place| self.answered.get(place)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[pymethods]
impl App {
    /// An app for `countries` (their registries are numbered in this order), over `region`.
    ///
    /// `policy` holds the miss path's settings, see `rust/binding/src/policy.rs`. `wake()` has :meth:`work` called soon on the
    /// event loop, from any thread. `on_miss(question, send)` returns the coroutine of a miss that came by ASGI;
    /// `on_lifespan(receive, send)` that of ASGI's lifespan. `client_limit` is (misses a second, header or none, proxies), `ledger`
    /// what several workers keep together. Raises `ValueError` for countries that are none or that stand there
    /// twice.
    #[new]
    #[pyo3(signature = (countries, region, *, policy, refreshes_ahead, wake, on_miss, on_lifespan, client_limit = None, ledger = None))]
    #[expect(
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        reason = "PyO3 hands over what it extracted, by name"
    )]
    fn new(
        countries: Vec<String>,
        region: Py<Region>,
        policy: &Bound<'_, PyDict>,
        refreshes_ahead: bool,
        wake: Py<PyAny>,
        on_miss: Py<PyAny>,
        on_lifespan: Py<PyAny>,
        client_limit: Option<(u32, Option<String>, Vec<String>)>,
        ledger: Option<Py<Ledger>>,
    ) -> PyResult<Self> {
        let limiter = client_limit.map(|(per_s, header, proxies)| Limiter::new(per_s, header, &proxies));
        let policy = policy::read(policy, countries.len(), ledger.is_some())?;
        let [seed, _] = clock::seed();
        let rules = match ledger {
            Some(ledger) => miss::Misses::beside_others(policy, seed, &ledger.get().shared),
            None => miss::Misses::new(policy, seed),
        };
        Ok(Self {
            countries: Countries::new(&countries).map_err(|bad| PyValueError::new_err(bad.to_string()))?,
            region,
            misses: Misses::new(rules, wake),
            on_miss,
            on_lifespan,
            limiter: limiter.transpose()?,
            refreshes_ahead,
            is_lame_duck: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            answered: Default::default(),
            hits: AtomicU64::new(0),
            misses_count: AtomicU64::new(0),
        })
    }

    /// Answers one request (ASGI 3): returns an awaitable.
    fn __call__<'py>(
        &self,
        scope: &Bound<'py, PyDict>,
        receive: Bound<'py, PyAny>,
        send: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        let kind = scope.get_item(intern!(py, "type"))?;
        let kind = kind.as_ref().and_then(|kind| kind.cast::<PyString>().ok()).map(|kind| kind.to_str());
        match kind.transpose()? {
            Some("http") => {}
            Some("lifespan") => return self.on_lifespan.bind(py).call1((receive, send)),
            _ => return Err(PyValueError::new_err("only the ASGI scopes http and lifespan are served")),
        }
        // Attached on purpose: a look-up costs less than handing the interpreter's lock back and forth.
        let scope = Scope::of_asgi(scope)?;
        match self.decide(py, &scope)? {
            Decision::Answer(answer) => {
                self.count(answer.status);
                Ok(Bound::new(py, Reply::new(py, &answer, scope.is_head(), send.unbind())?)?.into_any())
            }
            Decision::Ask(question) => self.on_miss.bind(py).call1((question, send)),
        }
    }

    /// Has a customer wait whose coroutine awaits `future`: its result are the two messages of his answer, as soon as
    /// :meth:`work` was called after they were known.
    fn ask(&self, py: Python<'_>, question: &Question, future: Py<PyAny>) -> PyResult<()> {
        self.wait(py, Customer::on_loop(question.clone(), future))
    }

    /// On the loop: does what is due; (tries to begin, tries to end, when to come again on the monotonic clock, in seconds).
    #[expect(clippy::cast_precision_loss, reason = "microseconds since the machine started: far below 2^53")]
    fn work(&self, py: Python<'_>) -> (Vec<(u64, Question)>, Vec<u64>, Option<f64>) {
        let (work, due_us) = self.misses.take_work(py, self);
        (work.tries, work.abandoned, due_us.map(|due_us| due_us as f64 / 1e6))
    }

    /// The first byte of a try's reply came.
    fn first_byte(&self, try_id: u64) {
        self.misses.note(|rules, now| rules.first_byte(TryId(try_id), now));
    }

    /// What became of a try.
    fn tried(&self, py: Python<'_>, try_id: u64, outcome: &Outcome) -> PyResult<()> {
        let tried = outcome.tried.clone();
        self.misses.decide(py, self, |rules, now, acts| rules.tried(TryId(try_id), tried, now, acts))
    }

    /// Answers everybody who waits, and abandons every try; nothing is asked any more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.refuse_misses();
        self.misses.decide(py, self, miss::Misses::close)
    }

    /// From now on `/status` is 503; everything else is still served.
    fn start_lame_duck(&self) {
        self.is_lame_duck.store(true, Ordering::Relaxed);
    }

    /// From now on misses are answered 503; hits are still served.
    fn refuse_misses(&self) {
        self.is_lame_duck.store(true, Ordering::Relaxed);
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Is `/status` 503?
    #[getter]
    fn is_draining(&self) -> bool {
        self.is_lame_duck.load(Ordering::Relaxed)
    }

    /// Company questions answered from the region since the start.
    #[getter]
    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Company questions that the region could not answer.
    #[getter]
    fn misses(&self) -> u64 {
        self.misses_count.load(Ordering::Relaxed)
    }

    /// Answers since the start, by status.
    fn answers_by_status(&self) -> Vec<(u16, u64)> {
        STATUSES
            .iter()
            .zip(&self.answered)
            .map(|(status, count)| (*status, count.load(Ordering::Relaxed)))
            .collect()
    }

    /// The miss path's counters: see `backendify_core::miss::Stats`.
    fn miss_stats(&self) -> HashMap<&'static str, u64> {
        policy::stats(&self.misses.counted(|rules, _| rules.stats()))
    }

    /// Those of each registry, in order: see `backendify_core::miss::RegistryStats`.
    fn registry_stats(&self) -> Vec<HashMap<&'static str, f64>> {
        self.misses.counted(|rules, now| {
            (0..u8::MAX)
                .map_while(|registry| rules.registry_stats(registry, now))
                .map(policy::registry_stats)
                .collect()
        })
    }
}
