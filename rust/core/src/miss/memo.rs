//! Failure memo: who asks again at once what just failed meets the same failure, and the registry is left alone.
//!
//! For 250 ms, and twice as long each time it fails again soon, up to 2 s. So a storm of retries costs the registry at most
//! one fetch a question in that time (negative caching of failures: RFC 2308 §7 for DNS, RFC 9520).
//!
//! What its registry asked to wait for (`Retry-After`) is obeyed for as long as that; but once the registry has told others
//! something since, for no longer than any failure is remembered: then the wish was one server's, and another may answer.
//!
//! Questions are known by their hash alone, so that what is remembered takes the same memory however long their ids are: two
//! of the same 128 bits are not to be met with, nor made by who does not know the key, and would cost a wrong 502 or 504.

use std::sync::Arc;

use hashbrown::HashTable;

use super::act::Told;
use super::flight::QuestionHash;
use super::moment::{MS, Moment};
use crate::outcome::Outcome;

const LIFE_US_MIN: u64 = 250 * MS;
const LIFE_US_MAX: u64 = 2000 * MS;
/// Where there was no room, just long enough that who is refused does not ask again at once in front of those who come.
const REFUSED_LIFE_US: u64 = 100 * MS;

#[derive(Debug)]
struct Failure {
    hash: QuestionHash,
    told: Arc<Told>,
    life_us: u64,
    ends_at: Moment,
    /// When it failed.
    kept_at: Moment,
    /// Until when the registry wants it not to be asked for again.
    wait_until: Option<Moment>,
    /// Tries in a row whose data was bad.
    bad_data: u32,
}

const _: () = assert!(
    size_of::<Failure>() <= 80,
    "4,096 of them: 320 KiB, and as much for what was told and for the table"
);

/// What is to be remembered of a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) told: &'a Arc<Told>,
    /// Until when the registry wants it not to be asked for again.
    pub(super) wait_until: Option<Moment>,
    /// Tries in a row whose data was bad.
    pub(super) bad_data: u32,
}

impl<'a> Kept<'a> {
    /// What was not asked at all.
    pub(super) const fn refused(told: &'a Arc<Told>) -> Self {
        Self { told, wait_until: None, bad_data: 0 }
    }
}

/// The last failures, in a ring: the oldest makes room.
#[derive(Debug)]
pub(super) struct Memo {
    ring: Vec<Failure>,
    next: usize,
    most: usize,
    places: HashTable<usize>,
}

impl Memo {
    pub(super) fn new(most: usize) -> Self {
        Self { ring: Vec::new(), next: 0, most, places: HashTable::new() }
    }

    /// The failure that this question met just now; `has_told_since` says whether its registry has told others something.
    pub(super) fn find(
        &self,
        hash: QuestionHash,
        now: Moment,
        has_told_since: impl Fn(Moment) -> bool,
    ) -> Option<&Arc<Told>> {
        let failure = self.ring.get(self.place(hash)?)?;
        let waits = || failure.wait_until.is_some_and(|until| now < until);
        let is_contradicted = || now.since(failure.kept_at) >= LIFE_US_MAX && has_told_since(failure.kept_at);
        (now < failure.ends_at || waits() && !is_contradicted()).then_some(&failure.told)
    }

    /// Has this question failed, as far back as can be told? So many tries in a row met bad data then.
    pub(super) fn knows(&self, hash: QuestionHash) -> Option<u32> {
        self.ring.get(self.place(hash)?).map(|failure| failure.bad_data)
    }

    /// A question failed.
    pub(super) fn keep(&mut self, hash: QuestionHash, kept: Kept<'_>, now: Moment) {
        if self.most == 0 {
            return;
        }
        let Kept { told, wait_until, bad_data } = kept;
        let is_refused = told.outcome == Outcome::Overloaded;
        let first_us = if is_refused { REFUSED_LIFE_US } else { LIFE_US_MIN };
        if let Some(failure) = self.place(hash).and_then(|place| self.ring.get_mut(place)) {
            let is_soon = now.since(failure.ends_at) <= failure.life_us && !is_refused;
            failure.life_us = if is_soon { (failure.life_us * 2).min(LIFE_US_MAX) } else { first_us };
            failure.ends_at = now + failure.life_us;
            failure.told = Arc::clone(told);
            (failure.kept_at, failure.wait_until, failure.bad_data) = (now, wait_until, bad_data);
            return;
        }
        let (told, ends_at) = (Arc::clone(told), now + first_us);
        let failure = Failure { hash, told, life_us: first_us, ends_at, kept_at: now, wait_until, bad_data };
        let place = self.next;
        self.next = (self.next + 1) % self.most;
        if let Some(oldest) = self.ring.get_mut(place) {
            if let Ok(entry) = self.places.find_entry(oldest.hash.for_table(), |other| *other == place) {
                entry.remove();
            }
            *oldest = failure;
        } else {
            self.ring.push(failure);
        }
        let ring = &self.ring;
        let hash_of = |place: &usize| ring.get(*place).map_or(0, |failure| failure.hash.for_table());
        self.places.insert_unique(hash.for_table(), place, hash_of);
    }

    fn place(&self, hash: QuestionHash) -> Option<usize> {
        let is_it = |place: &usize| self.ring.get(*place).is_some_and(|failure| failure.hash == hash);
        self.places.find(hash.for_table(), is_it).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Silence;

    /// Of three kinds that are in the same place of the table.
    fn hash(number: u64) -> QuestionHash {
        QuestionHash(u128::from(number) << 64 | u128::from(number % 3))
    }

    fn keep(memo: &mut Memo, number: u64, now: Moment) {
        let told = Arc::new(Told::unanswered(Silence::TimedOut));
        memo.keep(hash(number), Kept::refused(&told), now);
    }

    fn knows(memo: &Memo, number: u64, now: Moment) -> bool {
        memo.find(hash(number), now, |_| true).is_some()
    }

    #[test]
    fn a_failure_is_remembered_longer_each_time_it_comes_again_soon() {
        let mut memo = Memo::new(10);
        let mut now = Moment(0);
        for life_ms in [250, 500, 1000, 2000, 2000] {
            keep(&mut memo, 1, now);
            assert!(
                knows(&memo, 1, now + (life_ms * MS - 1)) && !knows(&memo, 1, now + life_ms * MS),
                "{life_ms}"
            );
            now = now + (life_ms + 100) * MS;
        }
        now = now + 4100 * MS;
        keep(&mut memo, 1, now);
        assert!(!knows(&memo, 1, now + 250 * MS), "it had been well for a while");
        assert!(!knows(&memo, 4, now), "the same place, another question");
    }

    #[test]
    fn a_refusal_for_want_of_room_is_remembered_for_a_moment_however_often() {
        let mut memo = Memo::new(10);
        let told = Arc::new(Told::overloaded());
        for at_ms in [0, 110, 220, 330] {
            let now = Moment(at_ms * MS);
            memo.keep(hash(1), Kept::refused(&told), now);
            assert!(knows(&memo, 1, now + 99 * MS));
            assert!(!knows(&memo, 1, now + 100 * MS) && memo.knows(hash(1)).is_some());
        }
        assert!(memo.knows(hash(2)).is_none());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut memo = Memo::new(100);
        for number in 0..1000 {
            keep(&mut memo, number, Moment(number));
        }
        assert_eq!((memo.ring.len(), memo.places.len()), (100, 100));
        for (number, known) in [(0, false), (899, false), (900, true), (999, true)] {
            assert_eq!(knows(&memo, number, Moment(1000)), known, "{number}");
        }
        keep(&mut Memo::new(0), 1, Moment(0));
    }
}
