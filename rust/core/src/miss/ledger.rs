//! Ledger: what all workers keep together of each registry, so that it is asked by one service and not by many.
//!
//! A line of words for each registry, and one for all together; zeros are a registry of which nothing is known yet. Every
//! word may be read and changed by every worker at any time, and each makes sense by itself: a worker that dies between
//! two of them leaves nothing half done. The words lie in memory that workers inherit from the process that forks them, so
//! they begin and end with the service.

use std::sync::Arc;

use super::tally::Tally;
use crate::region::Mapping;
use crate::region::sync::{AtomicU64, Ordering};

/// Words of a line: five lines of a processor's cache, of which the tally has two.
const LINE_WORDS: usize = 40;
/// Tries under way, each worker's own count: [`super::tally`].
const TALLY_WORDS: usize = 16;

/// The words behind the tally, by their place in the line; the others are reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(super) enum Word {
    /// The adaptive limit, an `f64`.
    Limit = TALLY_WORDS,
    /// Below which it grows fast, an `f64`; 0 where nothing was lost yet.
    SlowStartBelow,
    /// Results of this round (high half), and losses among them.
    Round,
    /// When the round began, in microseconds, as all moments here.
    RoundBegan,
    /// Until when the registry wants to be left alone.
    PausedUntil,
    /// When the breaker last turned, times eight; odd while it is open, and the two bits above say why.
    Turned,
    /// When the next probe may go out; none runs any more by then, whoever sent it.
    ProbeAt,
    /// Tries a second, an `f64`; 0 until it is known.
    Pace,
    /// What a 429 told that it does not bear, an `f64`; 0 while none did.
    PaceCeiling,
    /// The most that was borne in a second of the last minute, an `f32` (high half), and which second that was.
    PaceBest,
    /// When the pace's bucket was empty, in nanoseconds.
    PaceEmptyAt,
    /// When the pace was last lowered.
    PaceLoweredAt,
    /// When it was last raised, times two; odd when it held somebody back since.
    PaceRaisedAt,
    /// When the second began in which is counted what was borne.
    BorneFrom,
    /// What was borne in it (low half), and in the second before it.
    Borne,
    /// So many at once are answered in time (low half), and the share of them that is; 0 where nothing limits that.
    Ceiling,
    /// The limit of which half is tried (an `f32`, high half), and the share that it lost (an `f32`); 0 while none is tried.
    Trial,
    /// 1 where the last round lowered the limit without a trial.
    Lowered,
    /// When load was last found to be the cause of losses.
    OverloadedAt,
    /// The share that is lost however few are asked for, an `f64`.
    AlwaysLost,
}

const _: () = assert!((Word::AlwaysLost as usize) < LINE_WORDS);

/// What all workers keep together, as one of them has it.
#[derive(Clone, Debug)]
pub struct Ledger {
    memory: Arc<Memory>,
    place: u8,
}

#[derive(Debug)]
enum Memory {
    Own(Box<[AtomicU64]>),
    Inherited(Mapping),
}

impl Ledger {
    /// For so many registries, and for this process and those that it will fork. None when there is no memory for it.
    #[must_use]
    pub fn inherited(registries: usize) -> Option<Self> {
        let mapping = Mapping::anonymous((registries + 1) * LINE_WORDS).ok()?;
        Some(Self { memory: Arc::new(Memory::Inherited(mapping)), place: 0 })
    }

    /// For a worker that has the registries for itself.
    pub(super) fn own(registries: usize) -> Self {
        let words = (0..(registries + 1) * LINE_WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { memory: Arc::new(Memory::Own(words)), place: 0 }
    }

    /// The same ledger for the worker in this place, 0 to 63. Whoever had the place before must be dead: what it had under
    /// way ended with it, and is forgotten.
    #[must_use]
    pub fn of_worker(&self, place: u8) -> Self {
        for line in self.words().chunks_exact(LINE_WORDS) {
            Tally::new(line.get(..TALLY_WORDS).unwrap_or_default(), place).clear();
        }
        Self { memory: Arc::clone(&self.memory), place }
    }

    fn words(&self) -> &[AtomicU64] {
        match &*self.memory {
            Memory::Own(words) => words,
            Memory::Inherited(mapping) => mapping,
        }
    }
}

/// One line of a ledger.
#[derive(Clone, Debug)]
pub(super) struct Line {
    ledger: Ledger,
    start: usize,
}

impl Line {
    /// The line of a registry, by its place in the configuration, or of all together.
    pub(super) fn new(ledger: Ledger, registry: Option<u8>) -> Self {
        Self { ledger, start: registry.map_or(0, |registry| usize::from(registry) + 1) * LINE_WORDS }
    }

    /// How many tries are under way.
    pub(super) fn tally(&self) -> Tally<'_> {
        let words = self.ledger.words().get(self.start..self.start + TALLY_WORDS);
        Tally::new(words.unwrap_or_default(), self.ledger.place)
    }

    pub(super) fn load(&self, word: Word) -> u64 {
        self.word(word).map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub(super) fn store(&self, word: Word, value: u64) {
        if let Some(word) = self.word(word) {
            word.store(value, Ordering::Release);
        }
    }

    /// Adds, and gives what it is then.
    pub(super) fn add(&self, word: Word, by: u64) -> u64 {
        self.word(word).map_or(0, |word| word.fetch_add(by, Ordering::AcqRel).wrapping_add(by))
    }

    /// Raises it to this, unless it is more.
    pub(super) fn raise(&self, word: Word, value: u64) {
        if let Some(word) = self.word(word) {
            word.fetch_max(value, Ordering::AcqRel);
        }
    }

    /// Changes it from what was seen; false when another worker has changed it since.
    pub(super) fn change(&self, word: Word, seen: u64, value: u64) -> bool {
        self.word(word).is_some_and(|word| {
            word.compare_exchange(seen, value, Ordering::AcqRel, Ordering::Acquire).is_ok()
        })
    }

    /// Changes it, whatever it is, and gives what it is then.
    pub(super) fn update(&self, word: Word, next: impl Fn(u64) -> u64) -> u64 {
        let Some(word) = self.word(word) else { return next(0) };
        word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |seen| Some(next(seen))).map_or(0, &next)
    }

    fn word(&self, word: Word) -> Option<&AtomicU64> {
        self.ledger.words().get(self.start + word as usize)
    }
}

#[cfg(test)]
impl Line {
    /// The line of a registry that one worker has for itself.
    pub(super) fn alone() -> Self {
        Self::new(Ledger::own(1), Some(0))
    }
}
