//! Ledger: what all workers keep together of each registry, so that it is asked by one service and not by many.
//!
//! A line of words for each registry, and one for all together; zeros are a registry of which nothing is known yet. Every
//! word may be read and changed by every worker at any time, and each makes sense by itself: a worker that dies between
//! two of them leaves nothing half done.

use std::fmt::Debug;
use std::sync::Arc;

use super::tally::Tally;
use crate::region::sync::{AtomicU64, Ordering};

/// Words of a line.
pub const LINE_WORDS: usize = 32;
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
    /// When the breaker last turned, times two; odd while it is open.
    Turned,
    /// When the next probe may go out.
    ProbeAt,
    /// Tries a second, an `f64`; 0 until it is known.
    Pace,
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
}

const _: () = assert!((Word::Borne as usize) < LINE_WORDS);

/// Where the lines lie.
pub trait Ledger: Debug + Send + Sync {
    /// The [`LINE_WORDS`] words of a registry, by its place in the configuration, or of all together.
    fn line(&self, registry: Option<u8>) -> &[AtomicU64];

    /// Which worker this is: 1 to 63.
    fn place(&self) -> u8;

    /// Clears what these workers have left in all lines, if they are dead.
    fn bury(&self, places: &mut dyn Iterator<Item = u8>);
}

/// The ledger of a worker that has the registries for itself.
#[derive(Debug)]
pub(super) struct Alone {
    words: Box<[AtomicU64]>,
}

impl Alone {
    pub(super) fn new(registries: usize) -> Self {
        Self { words: (0..(registries + 1) * LINE_WORDS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Ledger for Alone {
    fn line(&self, registry: Option<u8>) -> &[AtomicU64] {
        let start = registry.map_or(0, |registry| usize::from(registry) + 1) * LINE_WORDS;
        self.words.get(start..start + LINE_WORDS).unwrap_or_default()
    }

    fn place(&self) -> u8 {
        1
    }

    fn bury(&self, _: &mut dyn Iterator<Item = u8>) {}
}

/// Takes away what the worker who had this place has counted in a line. Nobody may have it meanwhile.
pub fn forget_worker(line: &[AtomicU64], place: u8) {
    Tally::new(line.get(..TALLY_WORDS).unwrap_or_default(), place).clear();
}

/// One line of a ledger.
#[derive(Clone, Debug)]
pub(super) struct Line {
    ledger: Arc<dyn Ledger>,
    registry: Option<u8>,
}

impl Line {
    /// The line of a registry, or of all together.
    pub(super) const fn new(ledger: Arc<dyn Ledger>, registry: Option<u8>) -> Self {
        Self { ledger, registry }
    }

    /// How many tries are under way.
    pub(super) fn tally(&self) -> Tally<'_> {
        let words = self.ledger.line(self.registry);
        Tally::new(words.get(..TALLY_WORDS).unwrap_or_default(), self.ledger.place())
    }

    /// Clears what dead workers have left here.
    pub(super) fn bury_dead(&self) {
        self.ledger.bury(&mut self.tally().others());
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
        self.ledger.line(self.registry).get(word as usize)
    }
}

#[cfg(test)]
impl Line {
    /// The line of a registry that one worker has for itself.
    pub(super) fn alone() -> Self {
        Self::new(Arc::new(Alone::new(1)), Some(0))
    }
}
