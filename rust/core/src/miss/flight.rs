//! Flights: one fetch a question, however many customers wait for it (the singleflight of Go's groupcache).

use std::sync::Arc;

use hashbrown::HashTable;
use siphasher::sip128::SipHasher13;
use slab::Slab;

use super::Misses;
use super::act::{Act, Question, Told};
use super::breaker::Probe;
use super::moment::Moment;
use super::policy::TRIES_MAX;
use super::queue::Queued;
use super::waiters::Chain;
use crate::outcome::Outcome;

/// A question's hash, by a key that nobody outside knows: two questions with one hash are not to be met with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct QuestionHash(pub(super) u128);

impl QuestionHash {
    /// Half of it, for a table that compares what it finds.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub(super) const fn for_table(self) -> u64 {
        self.0 as u64
    }
}

/// One fetch, from the first customer who asks to what becomes of it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) hash: QuestionHash,
    pub(super) registry: u8,
    pub(super) id: Arc<str>,
    pub(super) waiters: Chain,
    /// Tries begun.
    pub(super) tries: u32,
    /// Those that run.
    pub(super) running: [Option<usize>; TRIES_MAX as usize],
    /// When the newest of them began.
    pub(super) begun: Moment,
    /// When it ends; none before the first try.
    pub(super) ends_at: Option<Moment>,
    /// When the next try begins that waits for its time.
    pub(super) retry_at: Option<Moment>,
    /// The budget paid for a retry that has not begun.
    pub(super) retry_is_paid: bool,
    /// When patience with the newest try ends.
    pub(super) patience_at: Option<Moment>,
    /// When the newest try is overdue.
    pub(super) overdue_at: Option<Moment>,
    /// When the newest try is too late for a customer who came when it began.
    pub(super) late_at: Option<Moment>,
    /// Until when somebody waits who came before anybody was told that it takes too long.
    pub(super) hoped_until: Moment,
    /// Was somebody?
    pub(super) is_told: bool,
    /// Was it asked for before, by whoever found no answer or joined in time?
    pub(super) is_again: bool,
    /// The most useful failure so far.
    pub(super) failure: Option<Arc<Told>>,
    /// Until when its registry wants it not to be asked for again.
    pub(super) wait_until: Option<Moment>,
    /// Tries in a row whose data was bad, those of earlier fetches included.
    pub(super) bad_data: u32,
    /// Nobody waits for it, and no other try follows: it finds out whether the registry is back, until its time is over.
    pub(super) probe: Option<Probe>,
    pub(super) queued: Option<Queued>,
}

impl Flight {
    pub(super) fn new(hash: QuestionHash, registry: u8, id: Arc<str>) -> Self {
        Self {
            hash,
            registry,
            id,
            waiters: Chain::default(),
            tries: 0,
            running: [None; TRIES_MAX as usize],
            begun: Moment(0),
            ends_at: None,
            retry_at: None,
            retry_is_paid: false,
            patience_at: None,
            overdue_at: None,
            late_at: None,
            hoped_until: Moment(0),
            is_told: false,
            is_again: false,
            failure: None,
            wait_until: None,
            bad_data: 0,
            probe: None,
            queued: None,
        }
    }

    /// When something is to be done about it.
    pub(super) fn due(&self) -> Option<Moment> {
        let probe_ends_at = self.probe.map(|probe| probe.ends_at);
        let probe_outlives_at = self.probe.and_then(|probe| probe.outlives_at);
        let probe = [probe_ends_at, probe_outlives_at];
        [self.ends_at, self.retry_at, self.patience_at, self.overdue_at, self.late_at]
            .into_iter()
            .chain(probe)
            .flatten()
            .min()
    }

    /// What its registry said that is of no use: told when nothing better comes in time, whatever else went wrong.
    pub(super) fn unusable(&self) -> Option<&Arc<Told>> {
        self.failure.as_ref().filter(|told| is_unusable(told))
    }

    pub(super) fn has_running(&self) -> bool {
        self.running.iter().any(Option::is_some)
    }
}

pub(super) const fn is_unusable(told: &Told) -> bool {
    matches!(told.outcome, Outcome::Unusable(_))
}

impl<W> Misses<W> {
    /// Has a customer hold the id that the fetch under way holds, if there is one: ids may be long, and many may wait.
    pub fn share(&self, registry: u8, id: &mut Arc<str>) {
        let question = Question { registry, id };
        let under_way = self.flights.find(self.flights.hash(question), question);
        if let Some(flight) = under_way.and_then(|number| self.flights.all.get(number)) {
            *id = Arc::clone(&flight.id);
        }
    }

    /// A customer asks what no record tells, with an id that nobody else holds.
    pub fn ask(&mut self, question: Question<'_>, waiter: W, now: Moment, acts: &mut Vec<Act<W>>) {
        self.ask_shared(question.registry, &question.id.into(), waiter, now, acts);
    }
}

/// The fetches under way.
#[derive(Debug)]
pub(super) struct Flights {
    pub(super) all: Slab<Flight>,
    by_question: HashTable<usize>,
    hasher: SipHasher13,
}

impl Flights {
    /// Nobody can aim questions at one place of the table without knowing `seed` (`SipHash` 1-3, Aumasson and
    /// Bernstein, 2012).
    pub(super) fn new(seed: u64) -> Self {
        let hasher = SipHasher13::new_with_keys(seed, !seed);
        Self { all: Slab::new(), by_question: HashTable::new(), hasher }
    }

    pub(super) fn hash(&self, question: Question<'_>) -> QuestionHash {
        let of_id = self.hasher.hash(question.id.as_bytes()).as_u128();
        let of_registry =
            u128::from(question.registry).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        QuestionHash(of_id ^ of_registry)
    }

    pub(super) fn find(&self, hash: QuestionHash, question: Question<'_>) -> Option<usize> {
        let is_it = |number: &usize| {
            let flight = self.all.get(*number);
            flight.is_some_and(|flight| flight.registry == question.registry && *flight.id == *question.id)
        };
        self.by_question.find(hash.for_table(), is_it).copied()
    }

    pub(super) fn insert(&mut self, flight: Flight) -> usize {
        let hash = flight.hash.for_table();
        let number = self.all.insert(flight);
        let all = &self.all;
        let hash_of = |number: &usize| all.get(*number).map_or(0, |flight| flight.hash.for_table());
        self.by_question.insert_unique(hash, number, hash_of);
        number
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<Flight> {
        let flight = self.all.try_remove(number)?;
        if let Ok(entry) = self.by_question.find_entry(flight.hash.for_table(), |other| *other == number) {
            entry.remove();
        }
        Some(flight)
    }
}
