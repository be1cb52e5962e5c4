//! When something happens in a rehearsal.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// Microseconds since the customers began to come; 0 before.
#[derive(Debug, Default)]
pub(crate) struct Clock(Cell<Option<Instant>>);

impl Clock {
    /// Begins to count.
    pub(crate) fn start(&self) {
        self.0.set(Some(Instant::now()));
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.0.get().map_or(0, |start| start.elapsed().as_micros() as u64)
    }

    /// The instant at this time.
    pub(crate) fn at(&self, time_us: u64) -> Instant {
        self.0.get().unwrap_or_else(Instant::now) + Duration::from_micros(time_us)
    }
}
