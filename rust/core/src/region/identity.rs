//! The first page of a file: whose it is, how it is laid out, and whether it may be believed.

use super::layout::{HEADER_WORDS, PAGE_WORDS, fold, high_half, low_half};
use super::sync::{AtomicU64, Ordering};
use crate::freshness::Lifetimes;

/// Raised by every change of the layout; a file of another version is never read.
pub const FORMAT_VERSION: u32 = 2;

/// "backendy" as its bytes lie in the file; on a machine of the other byte order it reads as its own mirror image.
const MAGIC: u64 = u64::from_ne_bytes(*b"backendy");

const MAGIC_WORD: usize = 0;
const VERSION_WORD: usize = 1;
const SEED_WORDS: [usize; 2] = [2, 3];
const BOOT_WORDS: [usize; 2] = [4, 5];
const TTL_WORD: usize = 6;
const STALE_WORD: usize = 7;
const SUM_WORD: usize = 8;

/// Written into the version's word in the machine's own order.
const BYTE_ORDER: u32 = 0x0102_0304;

/// What distinguishes one file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) buckets: u32,
    pub(super) seed: [u64; 2],
    pub(super) boot_id: [u8; 16],
    pub(super) lifetimes: Lifetimes,
}

/// Why a file was started anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rebuild {
    /// Nobody had finished it, or it is no file of ours.
    #[error("it was no cache, or was never finished")]
    Foreign,
    /// Another version of the format, or another byte order.
    #[error("it was written by another version")]
    Version,
    /// Something in its header does not fit the rest.
    #[error("its header was damaged")]
    Damaged,
    /// Another size was asked for, or the file was cut.
    #[error("it had another size")]
    Size,
    /// The machine was started since, and the ages in it mean nothing.
    #[error("the machine was restarted")]
    Boot,
    /// Records are kept for another time, counted in another unit.
    #[error("records are to be kept for another time")]
    Lifetimes,
    /// Registries changed so often that their numbers ran out.
    #[error("no registry number was left in it")]
    Registries,
}

impl Identity {
    fn words(self) -> [(usize, u64); 8] {
        let [seed, other] = self.seed;
        let boot = u128::from_ne_bytes(self.boot_id);
        let [first, second] = SEED_WORDS;
        let [low, high] = BOOT_WORDS;
        let Lifetimes { ttl_ds, negative_ttl_ds, stale_ds } = self.lifetimes;
        [
            (VERSION_WORD, u64::from(FORMAT_VERSION) | u64::from(BYTE_ORDER) << 32),
            (first, seed),
            (second, other),
            (low, low_word(boot)),
            (high, low_word(boot >> 64)),
            (TTL_WORD, u64::from(ttl_ds) | u64::from(negative_ttl_ds) << 32),
            (STALE_WORD, u64::from(stale_ds) | u64::from(self.buckets) << 32),
            (MAGIC_WORD, MAGIC),
        ]
    }

    /// Over all of it, the seed included; depends on each word's place.
    fn sum(self) -> u64 {
        self.words().into_iter().fold(0, |sum, (place, word)| {
            fold(u128::from(sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15) + place as u128 + 1)
        })
    }

    /// Writes it down, the magic last: a file without it was never finished.
    pub(super) fn write(self, header: &[AtomicU64]) {
        set(header, MAGIC_WORD, 0);
        set(header, SUM_WORD, self.sum());
        for (place, word) in self.words() {
            set(header, place, word);
        }
    }

    /// Reads what the file says of itself.
    pub(super) fn read(header: &[AtomicU64], words: usize) -> Result<Self, Rebuild> {
        let get = |place: usize| header.get(place).map_or(0, |word| word.load(Ordering::Acquire));
        match get(MAGIC_WORD) {
            MAGIC => {}
            other if other == MAGIC.swap_bytes() => return Err(Rebuild::Version),
            _ => return Err(Rebuild::Foreign),
        }
        if get(VERSION_WORD) != u64::from(FORMAT_VERSION) | u64::from(BYTE_ORDER) << 32 {
            return Err(Rebuild::Version);
        }
        let [first, second] = SEED_WORDS;
        let [low, high] = BOOT_WORDS;
        let identity = Self {
            buckets: high_half(get(STALE_WORD)),
            seed: [get(first), get(second)],
            boot_id: (u128::from(get(low)) | u128::from(get(high)) << 64).to_ne_bytes(),
            lifetimes: Lifetimes {
                ttl_ds: low_half(get(TTL_WORD)),
                negative_ttl_ds: high_half(get(TTL_WORD)),
                stale_ds: low_half(get(STALE_WORD)),
            },
        };
        if identity.sum() != get(SUM_WORD) {
            return Err(Rebuild::Damaged);
        }
        let expected = usize::try_from(identity.buckets).unwrap_or(usize::MAX).saturating_mul(PAGE_WORDS);
        if expected.saturating_add(HEADER_WORDS) == words { Ok(identity) } else { Err(Rebuild::Size) }
    }
}

/// The low half of a double word.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
pub(super) const fn low_word(double: u128) -> u64 {
    double as u64
}

fn set(header: &[AtomicU64], place: usize, value: u64) {
    if let Some(word) = header.get(place) {
        word.store(value, Ordering::Release);
    }
}
