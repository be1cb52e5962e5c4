//! The core's errors as Python's exceptions.

use pyo3::create_exception;
use pyo3::exceptions::PyException;

create_exception!(backendify._core, RegionError, PyException, "Why there is no region, in one sentence.");
