//! What a miss is about.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use backendify_core::key::Key;
use pyo3::prelude::*;

/// One company that a customer asks for and that no record tells. Equal questions have equal registry and id.
#[derive(Clone, Debug)]
#[pyclass(frozen, module = "backendify._core")]
pub(crate) struct Question {
    /// Which registry, by its place in the configuration.
    #[pyo3(get)]
    pub(crate) registry: u8,
    /// The id, decoded: one for all who wait for it.
    pub(crate) id: Arc<str>,
    /// Is it a HEAD? Then the answer's body stays here.
    pub(crate) is_head: bool,
}

impl Question {
    pub(crate) fn key(&self) -> Key<'_> {
        Key { registry: self.registry, id: self.id.as_bytes() }
    }
}

#[pymethods]
impl Question {
    #[new]
    #[pyo3(signature = (registry, id, *, is_head = false))]
    fn new(registry: u8, id: &str, is_head: bool) -> Self {
        Self { registry, id: id.into(), is_head }
    }

    /// The id, decoded.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.registry == other.registry && self.id == other.id
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.registry, &self.id).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("Question({}, {:?})", self.registry, self.id)
    }
}
