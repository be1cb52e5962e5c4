//! What the workers of a service keep together, for Python to hand it from the process that forks to the workers.

use backendify_core::miss;
use backendify_core::region::WORKERS_MAX;
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

/// Limits and tries of each registry, over all workers.
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Ledger {
    pub(crate) shared: miss::Ledger,
}

#[pymethods]
impl Ledger {
    /// A ledger for so many registries, which this process and those that it forks have together.
    ///
    /// Raises `MemoryError` when there is no memory for it.
    #[new]
    fn new(registries: usize) -> PyResult<Self> {
        let shared = miss::Ledger::inherited(registries);
        Ok(Self { shared: shared.ok_or_else(|| PyMemoryError::new_err("no memory for the ledger"))? })
    }

    /// The same for one worker, 0 to 63, whose predecessor under this number is dead: what that had under way is forgotten.
    ///
    /// Raises `ValueError` for another number.
    fn of_worker(&self, index: u8) -> PyResult<Self> {
        if u32::from(index) >= WORKERS_MAX {
            return Err(PyValueError::new_err("a worker's number is 0 to 63"));
        }
        Ok(Self { shared: self.shared.of_worker(index) })
    }
}
