//! Atomics and fences: the standard ones, or shuttle's, which let a test choose the order of every step.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering, fence};

/// Gives the one who holds a bucket a moment to finish.
pub(super) fn pause() {
    #[cfg(not(feature = "shuttle"))]
    std::hint::spin_loop();
    #[cfg(feature = "shuttle")]
    shuttle::thread::yield_now();
}
