//! The ledger of the miss path, where all workers have it: in the file's header, a line for each registry number.

use super::layout::{LEDGER, LEDGER_WORDS, REGISTRIES_MAX};
use super::sync::{AtomicU64, Ordering};
use super::{Region, owners};
use crate::miss::{LINE_WORDS, Ledger, forget_worker};

/// All registries together have the line of the number that is nobody's.
const ALL: u8 = 0;

impl Ledger for Region {
    fn line(&self, registry: Option<u8>) -> &[AtomicU64] {
        match registry {
            None => line(&self.words, ALL),
            Some(registry) => match self.members.get(usize::from(registry)) {
                Some(member) => line(&self.words, member.number),
                None => &[],
            },
        }
    }

    fn place(&self) -> u8 {
        self.me.slot()
    }

    fn bury(&self, places: &mut dyn Iterator<Item = u8>) {
        for place in places.filter(|place| *place != self.me.slot()) {
            owners::in_place_of_dead(&self.words, place, || self.forget_tallies(place));
        }
    }
}

impl Region {
    /// Does it lie in a file, which other processes may have too?
    #[must_use]
    pub const fn is_file(&self) -> bool {
        self.words.file().is_some()
    }

    /// Frees what whoever had this worker's place before has left in it: by its place alone it would seem alive.
    pub(super) fn succeed(&self) {
        self.forget_leases();
        self.forget_tallies(self.place());
    }

    /// Takes away what whoever had this place has counted: its tries died with it.
    pub(super) fn forget_tallies(&self, place: u8) {
        for number in 0..=u8::MAX {
            forget_worker(line(&self.words, number), place);
        }
    }
}

/// Forgets everything, for one who is alone with the file: what is there may be an earlier service's, or damage.
pub(super) fn clear(header: &[AtomicU64]) {
    for word in header.get(LEDGER..LEDGER + LEDGER_WORDS).unwrap_or_default() {
        word.store(0, Ordering::Relaxed);
    }
}

const _: () = assert!(REGISTRIES_MAX == u8::MAX as usize + 1, "every number has a line");

fn line(header: &[AtomicU64], number: u8) -> &[AtomicU64] {
    let start = LEDGER + usize::from(number) * LINE_WORDS;
    header.get(start..start + LINE_WORDS).unwrap_or_default()
}
