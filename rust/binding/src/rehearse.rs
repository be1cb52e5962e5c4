//! A rehearsal for Python: it runs without the GIL and takes it to tell how it goes.

use std::net::SocketAddr;

use backendify_rehearsal::{Failure, Kind, Profile, Watcher};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::policy;

/// Python's callables.
struct Callbacks {
    on_listening: Py<PyAny>,
    on_line: Py<PyAny>,
}

impl Watcher for Callbacks {
    type Error = PyErr;

    fn listening(&mut self, registries: &[(String, String)]) -> PyResult<Option<SocketAddr>> {
        Python::attach(|py| {
            let server: Option<String> = self.on_listening.call1(py, (registries.to_vec(),))?.extract(py)?;
            server
                .map(|server| {
                    let expected = "expected ADDRESS:PORT";
                    server.parse().map_err(|_| PyValueError::new_err(format!("'{server}': {expected}")))
                })
                .transpose()
        })
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself has one lifetime, not any: rustc refuses it"
    )]
    fn pulse(&mut self) -> PyResult<()> {
        Python::attach(|py| py.check_signals())
    }

    fn line(&mut self, line: &str) -> PyResult<()> {
        Python::attach(|py| self.on_line.call1(py, (line,)).map(drop))
    }
}

/// Plays a profile in virtual time, against the rules with these settings: see `backendify_rehearsal::simulate`. Gives the
/// report as JSON.
pub(crate) fn simulate(
    py: Python<'_>,
    profile: &str,
    policy: &Bound<'_, PyDict>,
    on_line: Py<PyAny>,
) -> PyResult<String> {
    let profile = read(profile)?;
    // Of one registry: the simulation takes its settings for all.
    let policy = policy::read(policy, 1, false)?;
    // Detached: it takes seconds.
    let report = py.detach(move || {
        backendify_rehearsal::simulate(&profile, &policy, |line| {
            Python::attach(|py| {
                py.check_signals()?;
                on_line.call1(py, (line,)).map(drop)
            })
        })
    })?;
    written(serde_json::to_string(&report))
}

/// The set of this number, drawn at random: a profile as JSON.
pub(crate) fn random_set(seed: u64, number: u64, collapsing: bool) -> PyResult<String> {
    written(serde_json::to_string(&backendify_rehearsal::drawn(kind(collapsing), seed, number)))
}

/// Plays it by the rules with these settings, and by one plain try: see `backendify_rehearsal::compare`. Gives the row as
/// JSON.
pub(crate) fn compare(
    py: Python<'_>,
    (seed, number, collapsing): (u64, u64, bool),
    policy: &Bound<'_, PyDict>,
) -> PyResult<String> {
    let policy = policy::read(policy, 1, false)?;
    let row = py.detach(move || {
        let set = backendify_rehearsal::drawn(kind(collapsing), seed, number);
        backendify_rehearsal::compare(number, &set, &policy)
    });
    written(serde_json::to_string(&row))
}

const fn kind(collapsing: bool) -> Kind {
    if collapsing { Kind::Collapsing } else { Kind::Noisy }
}

/// Plays a profile: see `backendify_rehearsal::run`. Gives the report as JSON.
pub(crate) fn rehearse(
    py: Python<'_>,
    profile: &str,
    on_listening: Py<PyAny>,
    on_line: Py<PyAny>,
) -> PyResult<String> {
    let profile = read(profile)?;
    let mut callbacks = Callbacks { on_listening, on_line };
    // Detached: it takes a minute.
    let report = py.detach(|| backendify_rehearsal::run(&profile, &mut callbacks));
    match report {
        Ok(report) => written(serde_json::to_string(&report)),
        Err(Failure::Ended(error)) => Err(error),
        Err(error @ Failure::Socket(..)) => Err(PyOSError::new_err(error.to_string())),
    }
}

fn read(profile: &str) -> PyResult<Profile> {
    Profile::from_json(profile).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn written(text: serde_json::Result<String>) -> PyResult<String> {
    text.map_err(|error| PyValueError::new_err(error.to_string()))
}
