//! The few keys we read of an ASGI scope (ASGI HTTP specification 2.3).

use backendify_core::request::{self, Request};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// What of a scope decides its answer; it keeps the Python objects alive that a [`Request`] borrows from.
pub(crate) struct Scope<'py> {
    method: Bound<'py, PyString>,
    path: Bound<'py, PyString>,
    query: Bound<'py, PyBytes>,
    raw_path_bytes: usize,
    headers_bytes: usize,
    hosts: usize,
    is_http_10: bool,
}

impl<'py> Scope<'py> {
    /// Reads an HTTP scope; fails only on a server that does not keep to ASGI.
    pub(crate) fn read(scope: &Bound<'py, PyDict>) -> PyResult<Self> {
        let py = scope.py();
        let path = required(scope, intern!(py, "path"))?.cast_into::<PyString>()?;
        // Optional in ASGI; both servers tested here give it.
        let raw_path = scope.get_item(intern!(py, "raw_path"))?;
        let raw_path_bytes = match raw_path.as_ref().and_then(|raw_path| raw_path.cast::<PyBytes>().ok()) {
            Some(raw_path) => raw_path.as_bytes().len(),
            None => path.to_str().map_or(0, str::len),
        };
        let version = required(scope, intern!(py, "http_version"))?.cast_into::<PyString>()?;
        let (headers_bytes, hosts) = measure(&required(scope, intern!(py, "headers"))?)?;
        Ok(Self {
            method: required(scope, intern!(py, "method"))?.cast_into()?,
            path,
            query: required(scope, intern!(py, "query_string"))?.cast_into()?,
            raw_path_bytes,
            headers_bytes,
            hosts,
            // Granian says "1", uvicorn "1.0".
            is_http_10: matches!(version.to_str()?, "1" | "1.0"),
        })
    }

    /// Is it a HEAD, whose answer's body stays here?
    pub(crate) fn is_head(&self) -> bool {
        self.method.to_str().is_ok_and(|method| method == "HEAD")
    }

    /// The request as the rules see it.
    pub(crate) fn request(&self) -> Request<'_> {
        let query = self.query.as_bytes();
        Request {
            // A method or path that is no UTF-8 is none that we know.
            method: self.method.to_str().unwrap_or_default(),
            path: self.path.to_str().unwrap_or_default(),
            query,
            target_bytes: self.raw_path_bytes + usize::from(!query.is_empty()) + query.len(),
            headers_bytes: self.headers_bytes,
            hosts: self.hosts,
            is_http_10: self.is_http_10,
        }
    }
}

fn required<'py>(scope: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    scope.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyKeyError::new_err(name.to_string()))
}

/// (bytes of all names and values, how many `host` fields there are). A single one that names no host counts as none:
/// Granian adds an empty one where there is none.
fn measure(headers: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    let (mut bytes, mut hosts, mut is_host_named) = (0, 0, false);
    let mut add = |field: &Bound<'_, PyAny>| -> PyResult<()> {
        let (name, value) = match field.cast::<PyTuple>() {
            Ok(pair) => (pair.get_item(0)?, pair.get_item(1)?),
            Err(_) => (field.get_item(0)?, field.get_item(1)?),
        };
        let (name, value) = (name.cast::<PyBytes>()?.as_bytes(), value.cast::<PyBytes>()?.as_bytes());
        bytes += name.len() + value.len();
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
            is_host_named = request::is_host(value);
        }
        Ok(())
    };
    match headers.cast::<PyList>() {
        Ok(list) => list.iter().try_for_each(|field| add(&field))?,
        Err(_) => headers.try_iter()?.try_for_each(|field| add(&field?))?,
    }
    Ok((bytes, if hosts == 1 && !is_host_named { 0 } else { hosts }))
}
