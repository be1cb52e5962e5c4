//! Leases: which worker asks a registry for a question, and which workers wait for what it learns.
//!
//! A lease is a hint, never a promise: it ends by time or with its holder's process, the table may be full, and two
//! workers may race. Then a question is asked twice, which costs a request and harms nothing.

use super::age::BootTime;
use super::sync::{AtomicU64, Ordering};

/// Workers that may wait: one bit each.
pub const WORKERS_MAX: u32 = 64;
/// Words of one lease: who holds it, and who waits.
const LEASE_WORDS: usize = 2;
/// Places in which one question's lease may lie.
const PROBES: usize = 8;

/// What a worker is to do with a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lease {
    /// Ask the registry; tell the others when it is done.
    Mine,
    /// Wait: that worker asks, and knows that this one waits.
    Theirs(u8),
}

/// The table of leases, on borrowed words: zeros are an empty one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leases<'a>(&'a [AtomicU64]);

/// A lease's first word: the question's tag above, the deciseconds at which it ends, and who holds it (1 to 64).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Holder(u64);

impl Holder {
    const FREE: Self = Self(0);

    fn new(hash: u64, worker: u8, ends: BootTime) -> Self {
        Self(hash & 0xffff_ffff_0000_0000 | u64::from(ends.0 & 0xff_ffff) << 8 | u64::from(worker) + 1)
    }

    /// None where nobody holds it.
    const fn worker(self) -> Option<u8> {
        self.0.to_le_bytes()[0].checked_sub(1)
    }

    const fn is_for(self, hash: u64) -> bool {
        self.0 >> 32 == hash >> 32
    }

    /// Is it over? Of its end 24 bits are kept, 19 days: the shorter way round tells before from after.
    fn is_over(self, now: BootTime) -> bool {
        let ends = (self.0 >> 8) & 0xff_ffff;
        let past = u64::from(now.0).wrapping_sub(ends) & 0xff_ffff;
        past < 1 << 23
    }
}

impl<'a> Leases<'a> {
    pub(super) const fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    /// Takes the lease of the question with this hash until `ends`, or waits for the worker who holds it.
    ///
    /// `worker` is below [`WORKERS_MAX`]; `is_alive` tells whether a worker's process still runs.
    pub(super) fn take(
        &self,
        hash: u64,
        worker: u8,
        now: BootTime,
        ends: BootTime,
        is_alive: impl Fn(u8) -> bool,
    ) -> Lease {
        let wanted = Holder::new(hash, worker, ends);
        // Each round that ends here met another worker's progress; a bound, because a hint is not worth a long wait.
        for _ in 0..PROBES {
            let mut free = None;
            for [holder, waiting] in self.places(hash) {
                let seen = Holder(holder.load(Ordering::Acquire));
                let holds = seen.worker().filter(|other| !seen.is_over(now) && is_alive(*other));
                match holds {
                    None if free.is_none() => free = Some((holder, seen)),
                    Some(other) if seen.is_for(hash) && other != worker => {
                        waiting.fetch_or(1 << worker, Ordering::AcqRel);
                        // Still held after the bit is set: then whoever lets go sees it.
                        if holder.load(Ordering::Acquire) == seen.0 {
                            return Lease::Theirs(other);
                        }
                        break;
                    }
                    _ => {}
                }
            }
            let Some((holder, seen)) = free else { continue };
            if holder.compare_exchange(seen.0, wanted.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Lease::Mine;
            }
        }
        Lease::Mine
    }

    /// Lets a question's lease go: the workers who wait, one bit each.
    pub(super) fn release(&self, hash: u64, worker: u8) -> u64 {
        for [holder, waiting] in self.places(hash) {
            let seen = Holder(holder.load(Ordering::Acquire));
            let is_mine = seen.is_for(hash) && seen.worker() == Some(worker);
            if is_mine && holder.compare_exchange(seen.0, Holder::FREE.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return waiting.swap(0, Ordering::AcqRel);
            }
        }
        0
    }

    fn places(&self, hash: u64) -> impl Iterator<Item = &'a [AtomicU64; LEASE_WORDS]> {
        let (leases, _) = self.0.as_chunks::<LEASE_WORDS>();
        let count = leases.len();
        let first = usize::try_from(hash & 0xffff_ffff).unwrap_or(0);
        (0..PROBES.min(count)).filter_map(move |step| leases.get(first.wrapping_add(step) % count))
    }
}
