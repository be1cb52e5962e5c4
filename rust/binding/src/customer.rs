//! A customer who waits for a registry: what it takes to answer him.

use backendify_core::answer::Answer;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::question::Question;
use crate::reply;

/// A customer who waits, and what for.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) question: Question,
    way: Way,
}

/// How his answer reaches him.
#[derive(Debug)]
enum Way {
    /// The server's own object, which sends from any thread. Without an answer its connection would end with a 500.
    Protocol(Py<PyAny>),
    /// A future of the event loop, for a coroutine that sends: only on the loop's thread.
    Future(Py<PyAny>),
}

impl Customer {
    /// One who came by the lane.
    pub(crate) const fn on_lane(question: Question, protocol: Py<PyAny>) -> Self {
        Self { question, way: Way::Protocol(protocol) }
    }

    /// One whose coroutine awaits `future`: its result are the two messages of the answer.
    pub(crate) const fn on_loop(question: Question, future: Py<PyAny>) -> Self {
        Self { question, way: Way::Future(future) }
    }

    /// Can he be answered on this thread, whichever it is?
    pub(crate) const fn is_on_lane(&self) -> bool {
        matches!(self.way, Way::Protocol(_))
    }

    /// Answers him. One who has left meanwhile costs nothing more.
    pub(crate) fn answer(self, py: Python<'_>, answer: &Answer) -> PyResult<()> {
        let is_head = self.question.is_head;
        match self.way {
            Way::Protocol(protocol) => reply::respond(protocol.bind(py), answer, is_head),
            Way::Future(future) => {
                let future = future.bind(py);
                let is_done: bool = future.call_method0(intern!(py, "done"))?.extract()?;
                if !is_done {
                    let (head, body) = reply::messages(py, answer, is_head)?;
                    future.call_method1(intern!(py, "set_result"), ((head, body),))?;
                }
                Ok(())
            }
        }
    }
}

/// Tells of what went wrong with one customer: the others are answered all the same.
pub(crate) fn report(py: Python<'_>, result: std::thread::Result<PyResult<()>>) {
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error.write_unraisable(py, None),
        Err(_) => PyRuntimeError::new_err("a panic while a customer was answered").write_unraisable(py, None),
    }
}
