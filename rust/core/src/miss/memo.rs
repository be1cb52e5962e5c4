//! Failure memo: who asks again at once what just failed meets the same failure, and the registry is left alone.
//!
//! For 250 ms, and twice as long each time it fails again soon, up to 2 s. So a storm of retries costs the registry at most
//! one fetch a question in that time (negative caching of failures: RFC 2308 §7 for DNS, RFC 9520).
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
}

const _: () = assert!(
    size_of::<Failure>() <= 48,
    "4,096 of them: 192 KiB, and as much for what was told and for the table"
);

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

    /// The failure that this question met just now.
    pub(super) fn find(&self, hash: QuestionHash, now: Moment) -> Option<&Arc<Told>> {
        let failure = self.ring.get(self.place(hash)?)?;
        (now < failure.ends_at).then_some(&failure.told)
    }

    /// Has this question failed, as far back as can be told?
    pub(super) fn knows(&self, hash: QuestionHash) -> bool {
        self.place(hash).is_some()
    }

    /// A question failed.
    pub(super) fn keep(&mut self, hash: QuestionHash, told: &Arc<Told>, now: Moment) {
        if self.most == 0 {
            return;
        }
        let is_refused = told.outcome == Outcome::Overloaded;
        let first_us = if is_refused { REFUSED_LIFE_US } else { LIFE_US_MIN };
        if let Some(failure) = self.place(hash).and_then(|place| self.ring.get_mut(place)) {
            let is_soon = now.since(failure.ends_at) <= failure.life_us && !is_refused;
            failure.life_us = if is_soon { (failure.life_us * 2).min(LIFE_US_MAX) } else { first_us };
            failure.ends_at = now + failure.life_us;
            failure.told = Arc::clone(told);
            return;
        }
        let (told, ends_at) = (Arc::clone(told), now + first_us);
        let failure = Failure { hash, told, life_us: first_us, ends_at };
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
        memo.keep(hash(number), &told, now);
    }

    fn knows(memo: &Memo, number: u64, now: Moment) -> bool {
        memo.find(hash(number), now).is_some()
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
            memo.keep(hash(1), &told, now);
            assert!(memo.find(hash(1), now + 99 * MS).is_some());
            assert!(memo.find(hash(1), now + 100 * MS).is_none() && memo.knows(hash(1)));
        }
        assert!(!memo.knows(hash(2)));
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
