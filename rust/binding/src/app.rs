//! The ASGI app: a hit is answered here, without any Python bytecode of ours; a miss goes to one Python coroutine.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backendify_core::answer::{Answer, Miss, Problem};
use backendify_core::country::Countries;
use backendify_core::key::Key;
use backendify_core::query;
use backendify_core::request::{self, Route};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::clock;
use crate::outcome::Outcome;
use crate::question::Question;
use crate::region::Region;
use crate::reply::Reply;
use crate::scope::Scope;

/// Every status that an answer can have: the counters' places.
const STATUSES: [u16; 9] = [200, 400, 404, 405, 414, 431, 502, 503, 504];

/// An ASGI 3 callable.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct App {
    countries: Countries,
    region: Py<Region>,
    on_miss: Py<PyAny>,
    on_refresh: Option<Py<PyAny>>,
    on_lifespan: Py<PyAny>,
    is_lame_duck: AtomicBool,
    is_closed: AtomicBool,
    answered: [AtomicU64; STATUSES.len()],
    hits: AtomicU64,
    misses: AtomicU64,
}

/// An answer that needs no waiting.
pub(crate) struct Immediate {
    pub(crate) answer: Answer,
    pub(crate) is_head: bool,
}

/// What is to be done with a request.
enum Decision {
    Answer(Answer),
    AnswerAndRefresh(Answer, Question),
    Ask(Question),
}

impl App {
    fn decide(&self, scope: &Scope<'_>) -> Decision {
        let request = scope.request();
        let is_head = request.method == "HEAD";
        match request::route(&request) {
            Err(problem) => Decision::Answer(Answer::problem(&problem)),
            Ok(Route::Root) => Decision::Answer(Answer::root(env!("CARGO_PKG_VERSION"))),
            Ok(Route::Status) => Decision::Answer(Answer::status(self.is_lame_duck.load(Ordering::Relaxed))),
            Ok(Route::Company(question)) => self.look_up(&question, is_head),
        }
    }

    fn look_up(&self, question: &query::Question<'_>, is_head: bool) -> Decision {
        let Some(registry) = self.countries.registry_of(&question.country) else {
            return Decision::Answer(Answer::problem(&Problem::NoRegistry));
        };
        let key = Key { registry, id: question.id.as_bytes() };
        let hit = self.region.get().find(key, &question.id);
        let counter = if hit.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        let to_ask = || Question { registry, id: question.id.clone().into_owned(), is_head };
        match hit {
            Some(hit) if hit.is_refresh_due && !self.is_closed.load(Ordering::Relaxed) => {
                Decision::AnswerAndRefresh(hit.answer, to_ask())
            }
            Some(hit) => Decision::Answer(hit.answer),
            None if self.is_closed.load(Ordering::Relaxed) => {
                Decision::Answer(Answer::problem(&Problem::Draining))
            }
            None => Decision::Ask(to_ask()),
        }
    }

    /// What answers a request at once; none when a registry has to be asked, of whatever this is left for the other way.
    pub(crate) fn answer_now(&self, py: Python<'_>, scope: &Bound<'_, PyDict>) -> PyResult<Option<Immediate>> {
        let scope = Scope::read(scope)?;
        match self.decide(&scope) {
            Decision::Answer(answer) => {
                self.count(&answer);
                Ok(Some(Immediate { answer, is_head: scope.request().method == "HEAD" }))
            }
            Decision::AnswerAndRefresh(answer, question) => {
                let _ = (py, question);
                self.count(&answer);
                Ok(Some(Immediate { answer, is_head: scope.request().method == "HEAD" }))
            }
            Decision::Ask(_) => Ok(None),
        }
    }

    fn count(&self, answer: &Answer) {
        let place = STATUSES.iter().position(|status| *status == answer.status);
        if let Some(counter) = place.and_then(|place| self.answered.get(place)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell(&self, py: Python<'_>, answer: &Answer, is_head: bool, send: Py<PyAny>) -> PyResult<Reply> {
        self.count(answer);
        Reply::new(py, answer, is_head, send)
    }
}

#[pymethods]
impl App {
    /// An app for `countries` (their registries are numbered in this order), over `region`.
    ///
    /// `on_miss(question, send)` returns the coroutine that answers a miss; `on_refresh(question)`, when given, is
    /// told of hits whose record will run out soon; `on_lifespan(receive, send)` returns the coroutine of ASGI's
    /// lifespan. Raises `ValueError` for countries that are none or that stand there twice.
    #[new]
    #[pyo3(signature = (countries, region, *, on_miss, on_refresh, on_lifespan))]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
    fn new(
        countries: Vec<String>,
        region: Py<Region>,
        on_miss: Py<PyAny>,
        on_refresh: Option<Py<PyAny>>,
        on_lifespan: Py<PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            countries: Countries::new(&countries).map_err(|bad| PyValueError::new_err(bad.to_string()))?,
            region,
            on_miss,
            on_refresh,
            on_lifespan,
            is_lame_duck: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            answered: Default::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
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
        let scope = Scope::read(scope)?;
        let (answer, refreshed) = match self.decide(&scope) {
            Decision::Answer(answer) => (answer, None),
            Decision::AnswerAndRefresh(answer, question) => (answer, Some(question)),
            Decision::Ask(question) => return self.on_miss.bind(py).call1((question, send)),
        };
        if let (Some(on_refresh), Some(question)) = (&self.on_refresh, refreshed) {
            on_refresh.bind(py).call1((question,))?;
        }
        let is_head = scope.request().method == "HEAD";
        Ok(Bound::new(py, self.tell(py, &answer, is_head, send.unbind())?)?.into_any())
    }

    /// Answers a miss with what became of it; a failed one with a stale record, where that is allowed and there is one.
    #[pyo3(signature = (question, outcome, send, *, collapsed))]
    fn reply(
        &self,
        py: Python<'_>,
        question: &Question,
        outcome: &Outcome,
        send: Py<PyAny>,
        collapsed: bool,
    ) -> PyResult<Reply> {
        let region = self.region.get();
        let is_failure = outcome.what.fact().is_err();
        let stale = if is_failure { region.find_stale(question, outcome.fwd_status) } else { None };
        let answer = stale.unwrap_or_else(|| {
            let miss = Miss {
                fwd_status: outcome.fwd_status,
                stored: outcome.stored,
                collapsed,
                age_ds: outcome.age_ds,
            };
            Answer::missed(&question.id, &outcome.what, miss, &region.lifetimes, clock::wall())
        });
        self.tell(py, &answer, question.is_head, send)
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
        self.misses.load(Ordering::Relaxed)
    }

    /// Answers since the start, by status.
    fn answers_by_status(&self) -> Vec<(u16, u64)> {
        STATUSES
            .iter()
            .zip(&self.answered)
            .map(|(status, count)| (*status, count.load(Ordering::Relaxed)))
            .collect()
    }
}
