//! The border: everything Python sees of the rules, and nothing else.
#![deny(unsafe_code)]

use pyo3::prelude::*;

/// The module `backendify._core`.
#[pymodule(gil_used = true)]
mod _core {}
