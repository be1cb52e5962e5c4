//! Per-client limits between Python's settings and the core's rules.

use std::sync::{Mutex, PoisonError};

use backendify_core::client::{Client, Clients, Proxies};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock;
use crate::scope::{Octets, Scope};

/// Who may ask how often for what is not known.
pub(crate) struct Limiter {
    clients: Mutex<Clients>,
    /// The header that names a client, in small letters.
    header: Option<String>,
    proxies: Proxies,
}

impl Limiter {
    /// `per_s` misses a second; a client is known by `header`, else by its address, behind `proxies`.
    ///
    /// Raises `ValueError` for a proxy that is no network.
    pub(crate) fn new(per_s: u32, header: Option<String>, proxies: &[String]) -> PyResult<Self> {
        let proxies = Proxies::new(proxies)
            .map_err(|text| PyValueError::new_err(format!("'{text}' is no network of addresses")))?;
        let [seed, _] = clock::seed();
        let header = header.map(|name| name.to_ascii_lowercase());
        Ok(Self { clients: Mutex::new(Clients::new(per_s, seed)), header, proxies })
    }

    /// The seconds after which this customer may ask for what is not known; None when he may now. Who cannot be told from
    /// others is not limited.
    pub(crate) fn refusal(&self, scope: &Scope<'_>) -> PyResult<Option<u64>> {
        let named = match &self.header {
            Some(name) => scope.values(name)?.pop(),
            None => None,
        };
        if let Some(value) = named {
            return Ok(self.admit(&Client::Named(value.as_bytes())));
        }
        let forwarded = scope.values("x-forwarded-for")?;
        let Some(peer) = scope.peer() else { return Ok(None) };
        let client = self.proxies.client_of(&peer, forwarded.iter().map(Octets::as_bytes));
        Ok(client.and_then(|client| self.admit(&client)))
    }

    fn admit(&self, client: &Client<'_>) -> Option<u64> {
        // Held for no Python call.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.admit(client, clock::monotonic()).err().map(|too_early_us| too_early_us.div_ceil(1_000_000))
    }
}
