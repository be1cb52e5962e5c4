//! Requests served before the event loop: what Granian calls for each in place of its own scheduler's function.
//!
//! A hit is answered right here. A miss leaves its customer to the miss path and returns; he costs no coroutine while he waits.
//!
//! Granian's way to the event loop costs more than a hit itself (docs/decisions/0003-lane.md). It calls this on a thread of its own,
//! raw, and clears no exception: one that came out of here would leave the worker broken. So nothing does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::app::{App, Decision};
use crate::customer::Customer;
use crate::reply;
use crate::scope::Scope;

/// A callable for each request's watcher: answers what needs no waiting, hands all else to `fallback`.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Lane {
    app: Py<App>,
    fallback: Py<PyAny>,
    fault: Option<Py<PyAny>>,
    served: AtomicU64,
    faults: AtomicU64,
}

/// How far a request got: what is to be done when something goes wrong depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was done yet: the fallback may have it.
    Untouched,
    /// Its answer is begun, or its customer waits.
    Taken,
    /// The lane is done with it.
    Done,
}

impl Lane {
    /// Answers at once, or has the customer wait; `progress` is right at every point at which it may fail.
    fn serve(&self, watcher: &Bound<'_, PyAny>, progress: &mut Progress) -> PyResult<()> {
        let py = watcher.py();
        let app = self.app.get();
        self.step(py, "scope")?;
        let scope = Scope::of_rsgi(&watcher.getattr(intern!(py, "scope"))?)?;
        self.step(py, "decide")?;
        let decision = app.decide(py, &scope)?;
        self.step(py, "proto")?;
        let protocol = watcher.getattr(intern!(py, "proto"))?;
        match decision {
            Decision::Answer(answer) => {
                self.step(py, "send")?;
                *progress = Progress::Taken;
                app.count(answer.status);
                reply::respond(&protocol, &answer, scope.is_head())?;
                self.step(py, "sent")?;
            }
            Decision::Ask(question) => {
                self.step(py, "ask")?;
                *progress = Progress::Taken;
                app.wait(py, Customer::on_lane(question, protocol.unbind()))?;
                self.step(py, "asked")?;
            }
        }
        *progress = Progress::Done;
        Ok(())
    }

    /// Where a test may have something go wrong.
    fn step(&self, py: Python<'_>, name: &'static str) -> PyResult<()> {
        let Some(fault) = &self.fault else { return Ok(()) };
        let is_panic: bool = fault.bind(py).call1((name,))?.extract()?;
        assert!(!is_panic, "asked for at {name}");
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
        Self { app, fallback, fault, served: AtomicU64::new(0), faults: AtomicU64::new(0) }
    }

    /// Answers the request of a watcher, or has it scheduled. Never raises.
    fn __call__(&self, watcher: &Bound<'_, PyAny>) {
        let mut progress = Progress::Untouched;
        self.guarded(watcher, || self.serve(watcher, &mut progress));
        match progress {
            Progress::Done => {
                self.served.fetch_add(1, Ordering::Relaxed);
            }
            Progress::Untouched => {
                if !self.guarded(watcher, || self.fallback.bind(watcher.py()).call1((watcher,)).map(drop)) {
                    self.end(watcher);
                }
            }
            Progress::Taken => self.end(watcher),
        }
    }

    /// Requests that took the lane since the start.
    #[getter]
    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
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
