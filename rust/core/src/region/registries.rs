//! Which registry a number in a record means: a table in the file's header.
//!
//! A number means one registry, a country and its base URL, for as long as the file exists, and is never given out again: when the
//! configuration changes, or a country is purged, the country gets a new number and nothing that carries the old one is ever told.
//! Each row has a sum keyed by the file's seed; a row that does not fit is retired, because its records could be anyone's.

use super::identity::low_word;
use super::layout::{REGISTRIES, REGISTRIES_MAX, ROW_WORDS, fold};
use super::sync::{AtomicU64, Ordering};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// A registry, as far as a record's identity goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registry {
    country: [u8; 2],
    url_hash: u128,
}

impl Registry {
    /// The registry of a country (two letters, in one case) behind a base URL: another URL is another registry.
    #[must_use]
    pub fn new(country: [u8; 2], base_url: &str) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(base_url.as_bytes());
        Self { country, url_hash: hasher.finish128().as_u128() }
    }

    fn member(&self, number: u8) -> Member {
        let [first, second] = self.country;
        let country = u64::from(first) | u64::from(second) << 8;
        Member { number, salt: low_word(self.url_hash).rotate_left(16) ^ country }
    }
}

/// A registry as its records know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Its number in this file, the first byte of its records.
    pub(super) number: u8,
    /// Part of the hash that says where they lie. The number alone would do, if no page of the table could ever be an
    /// older one.
    pub(super) salt: u64,
}

/// What a row says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    Free,
    Live(Registry),
    Retired,
}

const FREE: u64 = 1;
const LIVE: u64 = 2;
const RETIRED: u64 = 3;

/// The table in a file's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    words: &'a [AtomicU64],
    seed: [u64; 2],
}

impl<'a> Table<'a> {
    /// The table of the file with this seed.
    pub(super) fn new(header: &'a [AtomicU64], seed: [u64; 2]) -> Self {
        let words = header.get(REGISTRIES..REGISTRIES + REGISTRIES_MAX * ROW_WORDS).unwrap_or_default();
        Self { words, seed }
    }

    /// Every number free, in a file that has no record yet.
    pub(super) fn clear(self) {
        for number in 0..REGISTRIES_MAX {
            self.write(number, Row::Free);
        }
    }

    /// The numbers of the live registries, in the table's order.
    pub(super) fn live(self) -> impl Iterator<Item = (u8, Registry)> {
        (1..REGISTRIES_MAX).filter_map(move |number| match self.read(number) {
            Row::Live(registry) => Some((u8::try_from(number).ok()?, registry)),
            Row::Free | Row::Retired => None,
        })
    }

    /// Makes the table say `registries` and nothing else, for one who is alone with the file; their numbers. None when
    /// the numbers ran out.
    pub(super) fn settle(self, registries: &[Registry]) -> Option<Vec<Member>> {
        for number in 1..REGISTRIES_MAX {
            match self.read(number) {
                Row::Live(registry) if registries.contains(&registry) => {}
                Row::Live(_) | Row::Retired => self.write(number, Row::Retired),
                Row::Free => {}
            }
        }
        let number = |registry: &Registry| self.number_of(registry).or_else(|| self.give(*registry));
        registries.iter().map(|registry| Some(registry.member(number(registry)?))).collect()
    }

    /// The numbers of `registries` when the table says just these; None when it says others.
    pub(super) fn agree(self, registries: &[Registry]) -> Option<Vec<Member>> {
        let member = |registry: &Registry| Some(registry.member(self.number_of(registry)?));
        let members: Option<Vec<Member>> = registries.iter().map(member).collect();
        members.filter(|_| self.live().all(|(_, registry)| registries.contains(&registry)))
    }

    fn number_of(self, wanted: &Registry) -> Option<u8> {
        self.live().find(|(_, registry)| registry == wanted).map(|(number, _)| number)
    }

    fn give(self, registry: Registry) -> Option<u8> {
        let number = (1..REGISTRIES_MAX).find(|number| self.read(*number) == Row::Free)?;
        self.write(number, Row::Live(registry));
        u8::try_from(number).ok()
    }

    fn row(self, number: usize) -> Option<&'a [AtomicU64]> {
        self.words.get(number * ROW_WORDS..(number + 1) * ROW_WORDS)
    }

    fn sum(self, number: usize, words: [u64; 3]) -> u64 {
        let [seed, other] = self.seed;
        words.into_iter().fold(seed ^ number as u64, |sum, word| {
            fold(u128::from(sum ^ word).wrapping_mul(u128::from(other | 1)).wrapping_add(0x9e37_79b9))
        })
    }

    fn read(self, number: usize) -> Row {
        let word = |index: usize| {
            self.row(number).and_then(|row| row.get(index)).map_or(0, |word| word.load(Ordering::Acquire))
        };
        let words = [word(0), word(1), word(2)];
        if word(3) != self.sum(number, words) {
            return Row::Retired;
        }
        let [kind, low, high] = words;
        let [state, first, second, ..] = kind.to_le_bytes();
        match u64::from(state) {
            FREE => Row::Free,
            LIVE => {
                let url_hash = u128::from(low) | u128::from(high) << 64;
                Row::Live(Registry { country: [first, second], url_hash })
            }
            _ => Row::Retired,
        }
    }

    fn write(self, number: usize, row: Row) {
        let words = match row {
            Row::Free => [FREE, 0, 0],
            Row::Retired => [RETIRED, 0, 0],
            Row::Live(Registry { country: [first, second], url_hash }) => {
                let kind = LIVE | u64::from(first) << 8 | u64::from(second) << 16;
                [kind, low_word(url_hash), low_word(url_hash >> 64)]
            }
        };
        let [kind, low, high] = words;
        for (index, value) in [kind, low, high, self.sum(number, words)].into_iter().enumerate() {
            if let Some(word) = self.row(number).and_then(|row| row.get(index)) {
                word.store(value, Ordering::Release);
            }
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::region::layout::HEADER_WORDS;

    fn header() -> Vec<AtomicU64> {
        (0..HEADER_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn numbers(members: Option<Vec<Member>>) -> Option<Vec<u8>> {
        members.map(|members| members.iter().map(|member| member.number).collect())
    }

    #[test]
    fn a_number_is_never_given_out_twice() {
        let header = header();
        let table = Table::new(&header, [7, 8]);
        table.clear();
        let (russia, america) = (Registry::new(*b"ru", "http://a"), Registry::new(*b"us", "http://a"));
        let moved = Registry::new(*b"ru", "http://b");
        assert_eq!(numbers(table.settle(&[russia, america])), Some(vec![1, 2]));
        assert_eq!(numbers(table.agree(&[america, russia])), Some(vec![2, 1]));
        assert_eq!(numbers(table.agree(&[america])), None);
        assert_eq!(numbers(table.agree(&[america, russia, moved])), None);
        assert_eq!(numbers(table.settle(&[america, moved])), Some(vec![2, 3]));
        assert_eq!(numbers(table.settle(&[russia, america])), Some(vec![4, 2]), "what was retired stays so");
        for round in 0..251_u32 {
            assert!(table.settle(&[Registry::new(*b"ru", &round.to_string())]).is_some(), "{round}");
        }
        assert_eq!(numbers(table.settle(&[Registry::new(*b"ru", "one too many")])), None);
    }

    #[test]
    fn a_row_that_was_damaged_is_nobodys() {
        let header = header();
        let table = Table::new(&header, [7, 8]);
        table.clear();
        let (russia, america) = (Registry::new(*b"ru", "http://a"), Registry::new(*b"us", "http://a"));
        table.settle(&[russia, america]);
        for index in 0..ROW_WORDS * 4 {
            for bit in 0..64 {
                let word = &table.words[index];
                word.fetch_xor(1 << bit, Ordering::Relaxed);
                let members = table.agree(&[russia, america]);
                assert_eq!(members.is_none(), (4..12).contains(&index), "word {index}");
                word.fetch_xor(1 << bit, Ordering::Relaxed);
            }
        }
        // A row of zeros is not a free one: records may carry its number.
        for word in &table.words[ROW_WORDS..2 * ROW_WORDS] {
            word.store(0, Ordering::Relaxed);
        }
        assert_eq!(numbers(table.settle(&[russia, america])), Some(vec![3, 2]));
    }
}
