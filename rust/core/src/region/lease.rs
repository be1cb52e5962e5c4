//! Leases: which worker asks a registry for a question, and which workers wait for what it learns.
//!
//! A lease is a hint, never a promise: it ends by time or with its holder's process, the table may be full, and two
//! workers may race. Then a question is asked twice, which costs a request and harms nothing.

use siphasher::sip::SipHasher13;

use super::age::BootTime;
use super::sync::{AtomicU64, Ordering};
use super::{Region, layout, owners};
use crate::key::Key;

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
        Self(
            (hash & !0xffff_ffff)
                | (u64::from(ends.0 & 0xff_ffff) << 8)
                | u64::from(worker.saturating_add(1)),
        )
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
            for (holder, waiting) in self.places(hash) {
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

    /// Frees what a dead predecessor in this worker's place still holds: by its place alone it would seem alive.
    pub(super) fn forget(&self, worker: u8) {
        for pair in self.0.chunks_exact(LEASE_WORDS) {
            let Some(holder) = pair.first() else { continue };
            let seen = Holder(holder.load(Ordering::Acquire));
            if seen.worker() == Some(worker) {
                let _ = holder.compare_exchange(seen.0, Holder::FREE.0, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }

    /// Lets a question's lease go: the workers who wait, one bit each.
    pub(super) fn release(&self, hash: u64, worker: u8) -> u64 {
        for (holder, waiting) in self.places(hash) {
            let seen = Holder(holder.load(Ordering::Acquire));
            let is_mine = seen.is_for(hash) && seen.worker() == Some(worker);
            if is_mine
                && holder
                    .compare_exchange(seen.0, Holder::FREE.0, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
            {
                return waiting.swap(0, Ordering::AcqRel);
            }
        }
        0
    }

    fn places(&self, hash: u64) -> impl Iterator<Item = (&'a AtomicU64, &'a AtomicU64)> {
        let words = self.0;
        let count = words.len() / LEASE_WORDS;
        let first = usize::try_from(hash & 0xffff_ffff).unwrap_or(0);
        (0..PROBES.min(count)).filter_map(move |step| {
            let place = first.wrapping_add(step) % count * LEASE_WORDS;
            Some((words.get(place)?, words.get(place + 1)?))
        })
    }
}

impl Region {
    /// This worker's place among all who have the file: 1 to 255, of which those to [`WORKERS_MAX`] know leases.
    #[must_use]
    pub const fn place(&self) -> u8 {
        self.me.slot()
    }

    /// Takes a question's lease for `life_ds` deciseconds, or waits for the worker who holds it.
    #[must_use]
    pub fn take_lease(&self, key: Key<'_>, now: BootTime, life_ds: u32) -> Lease {
        let (Some(hash), Some(worker)) = (self.lease_hash(key), self.lease_worker()) else {
            return Lease::Mine;
        };
        let ends = BootTime(now.0.saturating_add(life_ds));
        Leases::new(self.leases()).take(hash, worker, now, ends, |other| {
            owners::is_place_held(&self.words, other.saturating_add(1))
        })
    }

    /// Lets a question's lease go: the places of the workers who wait for it, one bit each, bit 0 for place 1.
    #[must_use]
    pub fn release_lease(&self, key: Key<'_>) -> u64 {
        match (self.lease_hash(key), self.lease_worker()) {
            (Some(hash), Some(worker)) => Leases::new(self.leases()).release(hash, worker),
            _ => 0,
        }
    }

    /// Frees the leases of whoever had this worker's place before.
    pub(super) fn forget_leases(&self) {
        if let Some(worker) = self.lease_worker() {
            Leases::new(self.leases()).forget(worker);
        }
    }

    fn leases(&self) -> &[AtomicU64] {
        self.words.get(layout::LEASES..layout::LEASES + layout::LEASE_WORDS).unwrap_or_default()
    }

    fn lease_worker(&self) -> Option<u8> {
        self.place().checked_sub(1).filter(|worker| u32::from(*worker) < WORKERS_MAX)
    }

    fn lease_hash(&self, key: Key<'_>) -> Option<u64> {
        let salt = self.members.get(usize::from(key.registry))?.salt;
        let [seed, other] = self.seed;
        // Keys swapped: a lease's place says nothing about its record's.
        Some(SipHasher13::new_with_keys(other ^ salt, seed).hash(key.id))
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    const NOW: BootTime = BootTime(1000);
    const ENDS: BootTime = BootTime(1100);

    fn table(leases: usize) -> Vec<AtomicU64> {
        (0..leases * LEASE_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn take(words: &[AtomicU64], hash: u64, worker: u8) -> Lease {
        Leases::new(words).take(hash, worker, NOW, ENDS, |_| true)
    }

    #[test]
    fn the_first_asks_and_the_others_wait() {
        let words = table(64);
        let hash = 0x1234_5678_9abc_def0;
        assert_eq!(take(&words, hash, 3), Lease::Mine);
        assert_eq!(take(&words, hash, 5), Lease::Theirs(3));
        assert_eq!(take(&words, hash, 0), Lease::Theirs(3));
        assert_eq!(Leases::new(&words).release(hash, 5), 0, "only its holder lets it go");
        assert_eq!(Leases::new(&words).release(hash, 3), 1 << 5 | 1 << 0);
        assert_eq!(Leases::new(&words).release(hash, 3), 0);
        assert_eq!(take(&words, hash, 5), Lease::Mine);
    }

    #[test]
    fn a_successor_frees_what_its_place_held() {
        let words = table(64);
        assert_eq!(take(&words, 9 << 32, 0), Lease::Mine);
        assert_eq!(take(&words, 8 << 32, 1), Lease::Mine);
        Leases::new(&words).forget(0);
        assert_eq!(take(&words, 9 << 32, 1), Lease::Mine);
        assert_eq!(take(&words, 8 << 32, 0), Lease::Theirs(1), "others keep theirs");
    }

    #[test]
    fn other_questions_do_not_wait() {
        let words = table(64);
        assert_eq!(take(&words, 1 << 32 | 7, 0), Lease::Mine);
        assert_eq!(take(&words, 2 << 32 | 7, 1), Lease::Mine);
        assert_eq!(take(&words, 1 << 32 | 7, 1), Lease::Theirs(0));
    }

    #[test]
    fn a_lease_ends_by_time() {
        for (now, lease) in [
            (BootTime(1099), Lease::Theirs(0)),
            (ENDS, Lease::Mine),
            (BootTime(1100 + (1 << 22)), Lease::Mine),
        ] {
            let words = table(8);
            assert_eq!(take(&words, 9 << 32, 0), Lease::Mine);
            assert_eq!(Leases::new(&words).take(9 << 32, 1, now, ENDS, |_| true), lease, "{now:?}");
        }
    }

    #[test]
    fn a_lease_ends_with_its_holder() {
        let words = table(8);
        assert_eq!(take(&words, 9 << 32, 0), Lease::Mine);
        assert_eq!(Leases::new(&words).take(9 << 32, 1, NOW, ENDS, |worker| worker != 0), Lease::Mine);
        assert_eq!(take(&words, 9 << 32, 2), Lease::Theirs(1));
    }

    #[test]
    fn a_full_table_asks_twice_and_stops_nobody() {
        let words = table(PROBES);
        for question in 0..PROBES as u64 {
            assert_eq!(take(&words, question << 32, 0), Lease::Mine);
        }
        assert_eq!(take(&words, 99 << 32, 1), Lease::Mine);
        assert_eq!(take(&words, 99 << 32, 2), Lease::Mine, "it has no place: nobody knows of it");
        assert_eq!(take(&table(0), 1, 1), Lease::Mine);
    }

    #[test]
    fn garbage_in_the_table_only_costs_time() {
        let words = table(16);
        for (place, word) in words.iter().enumerate() {
            word.store((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), Ordering::Relaxed);
        }
        for hash in 0..1000_u64 {
            let _ = take(&words, hash.wrapping_mul(0xd134_2543_de82_ef95), 1);
        }
    }

    #[test]
    fn of_many_threads_at_once_at_most_one_asks() {
        let words = table(1024);
        for round in 0..500_u64 {
            let hash = round << 40 | round;
            let asking: usize = std::thread::scope(|scope| {
                let workers: Vec<_> = (0..4)
                    .map(|worker| {
                        scope.spawn({
                            let words = &words;
                            move || usize::from(take(words, hash, worker) == Lease::Mine)
                        })
                    })
                    .collect();
                workers.into_iter().map(|worker| worker.join().unwrap()).sum()
            });
            assert_eq!(asking, 1, "round {round}");
        }
    }
}
