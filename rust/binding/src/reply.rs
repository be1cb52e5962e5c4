//! An answer on its way to the server: by ASGI an awaitable that sends head and body, by RSGI one call.

use std::borrow::Cow;
use std::sync::Mutex;

use backendify_core::answer::Answer;
use pyo3::exceptions::PyStopIteration;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyString};

/// Awaits `send(head)`, then `send(body)`: what an ASGI app does, without a coroutine.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Reply {
    send: Py<PyAny>,
    progress: Mutex<Progress>,
}

/// How far a reply is; each message is made when its turn comes.
struct Progress {
    head: Option<Py<PyDict>>,
    body: Option<Py<PyDict>>,
    awaited: Option<Py<PyIterator>>,
}

impl Reply {
    /// An `answer` for the server behind `send`; a HEAD's body stays out, its length is told.
    pub(crate) fn new(py: Python<'_>, answer: &Answer, is_head: bool, send: Py<PyAny>) -> PyResult<Self> {
        let (head, body) = messages(py, answer, is_head)?;
        let progress = Progress { head: Some(head.unbind()), body: Some(body.unbind()), awaited: None };
        Ok(Self { send, progress: Mutex::new(progress) })
    }

    /// What is awaited now, or what is sent next; None at the end. The lock is held for no Python call.
    fn awaited<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyIterator>>> {
        let message = {
            let mut progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(awaited) = &progress.awaited {
                return Ok(Some(awaited.bind(py).clone()));
            }
            progress.head.take().or_else(|| progress.body.take())
        };
        let Some(message) = message else { return Ok(None) };
        let awaitable = self.send.bind(py).call1((message,))?;
        let awaited = awaitable.call_method0(intern!(py, "__await__"))?.cast_into::<PyIterator>()?;
        self.set_awaited(Some(awaited.clone().unbind()));
        Ok(Some(awaited))
    }

    fn set_awaited(&self, awaited: Option<Py<PyIterator>>) {
        let mut progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = std::mem::replace(&mut progress.awaited, awaited);
        drop(progress);
        // Not under the lock: its end may run Python.
        drop(before);
    }
}

#[pymethods]
impl Reply {
    const fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    const fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        while let Some(mut awaited) = self.awaited(py)? {
            if let Some(step) = awaited.next() {
                return step.map(Some);
            }
            self.set_awaited(None);
        }
        Ok(None)
    }

    /// Part of the iterator protocol of awaitables (PEP 492): a cancelled task throws into what it awaits.
    #[pyo3(signature = (typ, value = None, traceback = None))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        typ: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let awaited = self.awaited(py)?;
        let thrown_into = awaited.filter(|awaited| awaited.hasattr(intern!(py, "throw")).unwrap_or(false));
        let Some(awaited) = thrown_into else {
            self.close();
            let raised = value.filter(|value| !value.is_none()).unwrap_or(typ);
            return Err(PyErr::from_value(raised));
        };
        match awaited.call_method1(intern!(py, "throw"), (typ, value, traceback)) {
            Ok(step) => Ok(Some(step)),
            Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                self.set_awaited(None);
                self.__next__(py)?.map_or_else(|| Err(PyStopIteration::new_err(())), |step| Ok(Some(step)))
            }
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Sends nothing more.
    fn close(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = std::mem::replace(&mut *progress, Progress { head: None, body: None, awaited: None });
        drop(progress);
        drop(before);
    }
}

/// The two messages that tell an answer (ASGI HTTP specification 2.3); a HEAD's body stays out, its length is told.
pub(crate) fn messages<'py>(
    py: Python<'py>,
    answer: &Answer,
    is_head: bool,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let head = PyDict::new(py);
    head.set_item(intern!(py, "type"), intern!(py, "http.response.start"))?;
    head.set_item(intern!(py, "status"), answer.status)?;
    let octets = |(name, value): (&str, Cow<'_, str>)| {
        (PyBytes::new(py, name.as_bytes()), PyBytes::new(py, value.as_bytes()))
    };
    head.set_item(intern!(py, "headers"), fields(answer).map(octets).collect::<Vec<_>>())?;
    let body = PyDict::new(py);
    body.set_item(intern!(py, "type"), intern!(py, "http.response.body"))?;
    body.set_item(intern!(py, "body"), PyBytes::new(py, told_body(answer, is_head)))?;
    Ok((head, body))
}

/// Answers through RSGI's protocol, whole: from any thread, without waiting; one who has left costs nothing more.
pub(crate) fn respond(protocol: &Bound<'_, PyAny>, answer: &Answer, is_head: bool) -> PyResult<()> {
    let py = protocol.py();
    let text = |(name, value): (&str, Cow<'_, str>)| (PyString::new(py, name), PyString::new(py, &value));
    let fields: Vec<_> = fields(answer).map(text).collect();
    let body = PyBytes::new(py, told_body(answer, is_head));
    protocol.call_method1(intern!(py, "response_bytes"), (answer.status, fields, body))?;
    Ok(())
}

/// A HEAD's body stays out.
fn told_body(answer: &Answer, is_head: bool) -> &[u8] {
    if is_head { b"" } else { &answer.body }
}

/// The header fields of an answer, in the order in which they are sent.
fn fields(answer: &Answer) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let cache_control = match answer.max_age_s {
        Some(seconds) => format!("max-age={seconds}").into(),
        None => "no-store".into(),
    };
    [
        Some(("content-type", answer.media_type.into())),
        Some(("content-length", answer.body.len().to_string().into())),
        Some(("cache-control", cache_control)),
        answer.cache_status.as_deref().map(|cache_status| ("cache-status", cache_status.into())),
        answer.extra.as_ref().map(|(name, value)| (*name, value.as_str().into())),
        answer.closes().then_some(("connection", "close".into())),
    ]
    .into_iter()
    .flatten()
}
