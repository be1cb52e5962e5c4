//! Failure memo: who asks again at once what just failed meets the same failure, and the registry is left alone.
//!
//! For 250 ms, and twice as long each time it fails again soon, up to 2 s. So a storm of retries costs the registry at most
//! one fetch a question in that time (negative caching of failures: RFC 2308 §7 for DNS, RFC 9520).

use std::sync::Arc;

use hashbrown::HashTable;

use super::act::{Question, Told};
use super::moment::{MS, Moment};
use crate::outcome::Outcome;

const LIFE_US_MIN: u64 = 250 * MS;
const LIFE_US_MAX: u64 = 2000 * MS;
/// Where there was no room, just long enough that who is refused does not ask again at once in front of those who come.
const REFUSED_LIFE_US: u64 = 100 * MS;

#[derive(Debug)]
struct Failure {
    hash: u64,
    registry: u8,
    id: Arc<str>,
    told: Arc<Told>,
    life_us: u64,
    ends_at: Moment,
}

impl Failure {
    fn is_about(&self, question: Question<'_>) -> bool {
        self.registry == question.registry && *self.id == *question.id
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

    /// The failure that this question met just now.
    pub(super) fn find(&self, hash: u64, question: Question<'_>, now: Moment) -> Option<&Arc<Told>> {
        let failure = self.ring.get(self.place(hash, question)?)?;
        (now < failure.ends_at).then_some(&failure.told)
    }

    /// Has this question failed, as far back as can be told?
    pub(super) fn knows(&self, hash: u64, question: Question<'_>) -> bool {
        self.place(hash, question).is_some()
    }

    /// A question failed.
    pub(super) fn keep(&mut self, hash: u64, registry: u8, id: &Arc<str>, told: &Arc<Told>, now: Moment) {
        if self.most == 0 {
            return;
        }
        let is_refused = told.outcome == Outcome::Overloaded;
        let first_us = if is_refused { REFUSED_LIFE_US } else { LIFE_US_MIN };
        let known = self.place(hash, Question { registry, id });
        if let Some(failure) = known.and_then(|place| self.ring.get_mut(place)) {
            let is_soon = now.since(failure.ends_at) <= failure.life_us && !is_refused;
            failure.life_us = if is_soon { (failure.life_us * 2).min(LIFE_US_MAX) } else { first_us };
            failure.ends_at = now + failure.life_us;
            failure.told = Arc::clone(told);
            return;
        }
        let failure = Failure {
            hash,
            registry,
            id: Arc::clone(id),
            told: Arc::clone(told),
            life_us: first_us,
            ends_at: now + first_us,
        };
        let place = self.next;
        self.next = (self.next + 1) % self.most;
        if let Some(oldest) = self.ring.get_mut(place) {
            if let Ok(entry) = self.places.find_entry(oldest.hash, |other| *other == place) {
                entry.remove();
            }
            *oldest = failure;
        } else {
            self.ring.push(failure);
        }
        let ring = &self.ring;
        let hash_of = |place: &usize| ring.get(*place).map_or(0, |failure| failure.hash);
        self.places.insert_unique(hash, place, hash_of);
    }

    fn place(&self, hash: u64, question: Question<'_>) -> Option<usize> {
        let is_it = |place: &usize| self.ring.get(*place).is_some_and(|failure| failure.is_about(question));
        self.places.find(hash, is_it).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Silence;

    fn keep(memo: &mut Memo, number: u64, now: Moment) {
        let told = Arc::new(Told::unanswered(Silence::TimedOut));
        memo.keep(number % 3, 0, &number.to_string().into(), &told, now);
    }

    fn knows(memo: &Memo, number: u64, now: Moment) -> bool {
        memo.find(number % 3, Question { registry: 0, id: &number.to_string() }, now).is_some()
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
        assert!(!knows(&memo, 4, now), "the same hash, another question");
    }

    #[test]
    fn a_refusal_for_want_of_room_is_remembered_for_a_moment_however_often() {
        let mut memo = Memo::new(10);
        let told = Arc::new(Told::overloaded());
        let question = Question { registry: 0, id: "1" };
        for at_ms in [0, 110, 220, 330] {
            let now = Moment(at_ms * MS);
            memo.keep(1, 0, &"1".into(), &told, now);
            assert!(memo.find(1, question, now + 99 * MS).is_some());
            assert!(memo.find(1, question, now + 100 * MS).is_none() && memo.knows(1, question));
        }
        assert!(!memo.knows(2, Question { registry: 0, id: "2" }));
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
