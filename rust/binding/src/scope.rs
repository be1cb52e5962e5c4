//! The little we read of a request, as Granian (RSGI 1.6) or any ASGI server (ASGI HTTP specification 2.3) hands it over.

use std::net::SocketAddr;

use backendify_core::request::{self, Request};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// What of a request decides its answer; it keeps the Python objects alive that a [`Request`] borrows from.
pub(crate) struct Scope<'py> {
    method: Bound<'py, PyString>,
    path: Bound<'py, PyString>,
    query: Octets<'py>,
    raw_path_bytes: usize,
    headers: Headers,
    is_http_10: bool,
    source: Source<'py>,
}

/// Where what is seldom wanted is read from when it is.
enum Source<'py> {
    Asgi(Bound<'py, PyDict>),
    Rsgi(Bound<'py, PyAny>),
}

/// What decides of the header fields: the bytes of all names and values, and how many name a host.
struct Headers {
    bytes: usize,
    hosts: usize,
}

impl<'py> Scope<'py> {
    /// Reads an HTTP scope of ASGI; fails only on a server that does not keep to it.
    pub(crate) fn of_asgi(scope: &Bound<'py, PyDict>) -> PyResult<Self> {
        let py = scope.py();
        let path = required(scope, intern!(py, "path"))?.cast_into::<PyString>()?;
        // Optional in ASGI; both servers tested here give it.
        let raw_path = scope.get_item(intern!(py, "raw_path"))?;
        let raw_path_bytes = match raw_path.as_ref().and_then(|raw_path| raw_path.cast::<PyBytes>().ok()) {
            Some(raw_path) => raw_path.as_bytes().len(),
            None => path.to_str().map_or(0, str::len),
        };
        let version = required(scope, intern!(py, "http_version"))?.cast_into::<PyString>()?;
        Ok(Self {
            method: required(scope, intern!(py, "method"))?.cast_into()?,
            path,
            query: Octets::of(required(scope, intern!(py, "query_string"))?)?,
            raw_path_bytes,
            headers: Headers::measure(&required(scope, intern!(py, "headers"))?)?,
            // Uvicorn says "1.0", Granian "1".
            is_http_10: matches!(version.to_str()?, "1" | "1.0"),
            source: Source::Asgi(scope.clone()),
        })
    }

    /// Reads an HTTP scope of RSGI; fails only on a server that does not keep to it.
    ///
    /// It has the path decoded only, and no field whose value is not visible ASCII: those count for nothing.
    pub(crate) fn of_rsgi(scope: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = scope.py();
        let path = scope.getattr(intern!(py, "path"))?.cast_into::<PyString>()?;
        let version = scope.getattr(intern!(py, "http_version"))?;
        let fields = scope.getattr(intern!(py, "headers"))?.call_method0(intern!(py, "items"))?;
        let mut headers = Headers::measure(&fields)?;
        if headers.hosts == 0 && !scope.getattr(intern!(py, "authority"))?.is_none() {
            headers.hosts = 1;
        }
        Ok(Self {
            method: scope.getattr(intern!(py, "method"))?.cast_into()?,
            raw_path_bytes: path.to_str().map_or(0, str::len),
            path,
            query: Octets::of(scope.getattr(intern!(py, "query_string"))?)?,
            headers,
            is_http_10: version.cast::<PyString>()?.to_str()? == "1",
            source: Source::Rsgi(scope.clone()),
        })
    }

    /// The address of who is connected, if it has one.
    pub(crate) fn peer(&self) -> Option<String> {
        match &self.source {
            Source::Asgi(scope) => {
                let client = scope.get_item(intern!(scope.py(), "client")).ok()??;
                client.get_item(0).ok()?.extract().ok()
            }
            Source::Rsgi(scope) => {
                let client = scope.getattr(intern!(scope.py(), "client")).ok()?;
                let address: SocketAddr = client.extract::<String>().ok()?.parse().ok()?;
                Some(address.ip().to_string())
            }
        }
    }

    /// The values of a header, whose `name` is in small letters, in their order.
    pub(crate) fn values(&self, name: &str) -> PyResult<Vec<Octets<'py>>> {
        let fields = match &self.source {
            Source::Asgi(scope) => required(scope, intern!(scope.py(), "headers"))?,
            Source::Rsgi(scope) => {
                scope.getattr(intern!(scope.py(), "headers"))?.call_method0(intern!(scope.py(), "items"))?
            }
        };
        let mut values = Vec::new();
        for field in fields.try_iter()? {
            let (found, value) = pair(&field?)?;
            if found.as_bytes().eq_ignore_ascii_case(name.as_bytes()) {
                values.push(value);
            }
        }
        Ok(values)
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
            headers_bytes: self.headers.bytes,
            hosts: self.headers.hosts,
            is_http_10: self.is_http_10,
        }
    }
}

impl Headers {
    /// Measures pairs of name and value. A single host field that names no host counts as none: behind ASGI Granian adds
    /// an empty one where there is none.
    fn measure(fields: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (mut bytes, mut hosts, mut is_host_named) = (0, 0, false);
        let mut add = |field: &Bound<'_, PyAny>| -> PyResult<()> {
            let (name, value) = pair(field)?;
            let (name, value) = (name.as_bytes(), value.as_bytes());
            bytes += name.len() + value.len();
            if name.eq_ignore_ascii_case(b"host") {
                hosts += 1;
                is_host_named = request::is_host(value);
            }
            Ok(())
        };
        match fields.cast::<PyList>() {
            Ok(list) => list.iter().try_for_each(|field| add(&field))?,
            Err(_) => fields.try_iter()?.try_for_each(|field| add(&field?))?,
        }
        Ok(Self { bytes, hosts: if hosts == 1 && !is_host_named { 0 } else { hosts } })
    }
}

/// What ASGI hands over as bytes, and RSGI as a str.
pub(crate) enum Octets<'py> {
    Bytes(Bound<'py, PyBytes>),
    Text(Bound<'py, PyString>),
}

impl<'py> Octets<'py> {
    fn of(value: Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(match value.cast_into::<PyString>() {
            Ok(text) => Self::Text(text),
            Err(other) => Self::Bytes(other.into_inner().cast_into()?),
        })
    }

    /// The octets that came; none for a str that has no UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Text(text) => text.to_str().unwrap_or_default().as_bytes(),
        }
    }
}

fn required<'py>(scope: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    scope.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyKeyError::new_err(name.to_string()))
}

fn pair<'py>(field: &Bound<'py, PyAny>) -> PyResult<(Octets<'py>, Octets<'py>)> {
    let (name, value) = match field.cast::<PyTuple>() {
        Ok(pair) => (pair.get_item(0)?, pair.get_item(1)?),
        Err(_) => (field.get_item(0)?, field.get_item(1)?),
    };
    Ok((Octets::of(name)?, Octets::of(value)?))
}
