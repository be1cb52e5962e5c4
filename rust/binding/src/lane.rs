//! Hits answered before the event loop: what Granian calls for each request in place of its own scheduler's function.
//!
//! Granian's way to the event loop costs more than a hit itself (docs/decisions/0003-lane.md). It calls this on a thread of its own,
//! raw, and clears no exception: one that came out of here would leave the worker broken. So nothing does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::app::{App, Immediate};
use crate::reply;

/// A callable for each request's watcher: answers what needs no waiting, hands all else to `fallback`.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Lane {
    app: Py<App>,
    fallback: Py<PyAny>,
    fault: Option<Py<PyAny>>,
    answered: AtomicU64,
    faults: AtomicU64,
}

/// How far a request got: what is to be done when something goes wrong depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Untouched,
    Sending,
    Answered,
}

impl Lane {
    /// Answers if it can; `progress` is right at every point at which it may fail.
    fn answer(&self, watcher: &Bound<'_, PyAny>, progress: &mut Progress) -> PyResult<()> {
        let py = watcher.py();
        self.step(py, "scope")?;
        let scope = watcher.getattr(intern!(py, "scope"))?.cast_into::<PyDict>()?;
        self.step(py, "decide")?;
        let Some(Immediate { answer, is_head }) = self.app.get().answer_now(py, &scope)? else {
            return Ok(());
        };
        self.step(py, "proto")?;
        let proto = watcher.getattr(intern!(py, "proto"))?;
        let (head, body) = reply::messages(py, &answer, is_head)?;
        self.step(py, "head")?;
        *progress = Progress::Sending;
        proto.call_method1(intern!(py, "send"), (head,))?;
        self.step(py, "body")?;
        proto.call_method1(intern!(py, "send"), (body,))?;
        *progress = Progress::Answered;
        Ok(())
    }

    /// Where a test may have something go wrong.
    fn step(&self, py: Python<'_>, name: &'static str) -> PyResult<()> {
        let Some(fault) = &self.fault else { return Ok(()) };
        let is_panic: bool = fault.bind(py).call1((name,))?.extract()?;
        #[expect(clippy::panic, reason = "asked for by a test, to show that it is caught")]
        if is_panic {
            panic!("asked for at {name}");
        }
        Ok(())
    }

    /// Runs a step that must not fail beyond here; false when it did, which is told and counted.
    fn guarded(&self, watcher: &Bound<'_, PyAny>, step: impl FnOnce() -> PyResult<()>) -> bool {
        let error = match catch_unwind(AssertUnwindSafe(step)) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error,
            Err(_) => PyRuntimeError::new_err("a panic on the lane"),
        };
        self.faults.fetch_add(1, Ordering::Relaxed);
        // What is reported may call Python, which may fail in its turn: that, too, ends here.
        let _caught = catch_unwind(AssertUnwindSafe(|| error.write_unraisable(watcher.py(), Some(watcher))));
        false
    }
}

#[pymethods]
impl Lane {
    /// A lane of `app`; `fallback` is the function in whose place it is called. `fault`, for tests, is called with the name of each
    /// step: what it raises fails the step, and when it returns true, the step panics.
    #[new]
    #[pyo3(signature = (app, fallback, *, fault = None))]
    const fn new(app: Py<App>, fallback: Py<PyAny>, fault: Option<Py<PyAny>>) -> Self {
        Self { app, fallback, fault, answered: AtomicU64::new(0), faults: AtomicU64::new(0) }
    }

    /// Answers the request of a watcher, or has it scheduled. Never raises.
    fn __call__(&self, watcher: &Bound<'_, PyAny>) {
        let mut progress = Progress::Untouched;
        self.guarded(watcher, || self.answer(watcher, &mut progress));
        match progress {
            Progress::Answered => {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Progress::Untouched => {
                if !self.guarded(watcher, || self.fallback.bind(watcher.py()).call1((watcher,)).map(drop)) {
                    self.end(watcher);
                }
            }
            Progress::Sending => self.end(watcher),
        }
    }

    /// Requests answered on the lane since the start.
    #[getter]
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Steps that failed, each told by `sys.unraisablehook`.
    #[getter]
    fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}

impl Lane {
    /// Tells the server that there will be no more of this answer.
    fn end(&self, watcher: &Bound<'_, PyAny>) {
        self.guarded(watcher, || watcher.call_method0(intern!(watcher.py(), "done")).map(drop));
    }
}
