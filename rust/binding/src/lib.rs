//! The border: everything Python sees of the rules, and nothing else.
#![deny(unsafe_code)]

mod app; // App.__call__: a hit is answered here, a miss waits
mod clock; // the only reader of clocks
mod customer; // who waits for a registry
mod error; // the core's errors as exceptions
mod lane; // hits answered before the event loop
mod ledger; // what workers keep together
mod limiter; // who asks too often
mod misses; // the miss path between the lane's thread and the loop's
mod outcome; // what became of a try
mod policy; // the miss path's settings and counters
mod question; // what a miss is about
mod region; // where records lie
mod reply; // an answer on its way to the server
mod rehearse; // the rehearsal of a server
mod scope; // the little we read of a request

use pyo3::prelude::*;

/// The module `backendify._core`.
// Free-threaded CPython is not claimed: nothing here was tested on it yet.
#[pymodule(gil_used = true)]
mod _core {
    use std::io;
    use std::path::PathBuf;

    use backendify_core::memory;
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use pyo3::types::PyDict;

    #[pymodule_export]
    use crate::app::App;
    #[pymodule_export]
    use crate::error::RegionError;
    #[pymodule_export]
    use crate::lane::Lane;
    #[pymodule_export]
    use crate::ledger::Ledger;
    #[pymodule_export]
    use crate::outcome::Outcome;
    #[pymodule_export]
    use crate::question::Question;
    #[pymodule_export]
    use crate::region::Region;

    /// `release`, `profiling` or `debug`: a benchmark of a debug build says nothing.
    #[pymodule_export]
    const BUILD_PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

    /// The version of both crates and of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Do the pages of a file in this directory count as memory (tmpfs), or are they the kernel's to drop (a disk)?
    ///
    /// Raises `OSError` for a directory that is not there.
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 hands over what it extracted")]
    #[pyfunction]
    fn is_memory(directory: PathBuf) -> PyResult<bool> {
        Ok(memory::file_system(&directory)? == memory::FileSystem::Memory)
    }

    /// Has the kernel send SIGTERM to this process when its parent ends; does so at once when `parent` is gone.
    #[pyfunction]
    fn end_with_parent(parent: i32) -> PyResult<()> {
        let terminate = rustix::process::Signal::TERM;
        rustix::process::set_parent_process_death_signal(Some(terminate)).map_err(io::Error::from)?;
        if rustix::process::getppid().map(rustix::process::Pid::as_raw_pid) != Some(parent) {
            rustix::process::kill_process(rustix::process::getpid(), terminate).map_err(io::Error::from)?;
        }
        Ok(())
    }

    /// Reads a registry's 200: see `backendify_core::registry::normalise`.
    #[pyfunction]
    fn normalise(content_type: &[u8], body: &[u8]) -> Outcome {
        Outcome::of_reply(200, content_type, body, None)
    }

    /// Reads a query string into (country, id).
    ///
    /// Raises `ValueError` with the reason when it does not name one company.
    #[pyfunction]
    fn parse_query(query: &[u8]) -> PyResult<(String, String)> {
        backendify_core::query::parse(query)
            .map(|question| (question.country.into_owned(), question.id.into_owned()))
            .map_err(|problem| PyValueError::new_err(problem.to_string()))
    }

    /// Plays a profile, given as JSON, against the server that `on_listening` names; gives the report as JSON.
    ///
    /// Raises `ValueError` for a wrong profile, `OSError` when a registry cannot listen, and what the callables raise.
    #[pyfunction]
    fn rehearse(
        py: Python<'_>,
        profile: &str,
        on_listening: Py<PyAny>,
        on_line: Py<PyAny>,
    ) -> PyResult<String> {
        crate::rehearse::rehearse(py, profile, on_listening, on_line)
    }

    /// Plays a profile, given as JSON, in virtual time against the rules of the miss path; gives the report as JSON.
    ///
    /// Raises `ValueError` for a wrong profile or setting, and what `on_line` raises.
    #[pyfunction]
    fn simulate(
        py: Python<'_>,
        profile: &str,
        policy: &Bound<'_, PyDict>,
        on_line: Py<PyAny>,
    ) -> PyResult<String> {
        crate::rehearse::simulate(py, profile, policy, on_line)
    }

    /// Draws a set of registries at random, the same each time: the profile as JSON.
    #[pyfunction]
    #[pyo3(signature = (seed, number, *, collapsing))]
    fn random_set(seed: u64, number: u64, collapsing: bool) -> PyResult<String> {
        crate::rehearse::random_set(seed, number, collapsing)
    }

    /// Plays such a set by the rules of the miss path, and by one plain try; gives the row as JSON.
    ///
    /// Raises `ValueError` for a wrong setting.
    #[pyfunction]
    #[pyo3(signature = (seed, number, policy, *, collapsing))]
    fn compare(
        py: Python<'_>,
        seed: u64,
        number: u64,
        policy: &Bound<'_, PyDict>,
        collapsing: bool,
    ) -> PyResult<String> {
        crate::rehearse::compare(py, (seed, number, collapsing), policy)
    }
}
