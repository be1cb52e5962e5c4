//! A record as bytes: `docs/region-format.md` draws them.

use super::checksum::Checksum;
use super::layout::{ENTRY_BYTES_MAX, FINGERPRINT_CONTINUES, LENGTH_CONTINUES};
use crate::date::Timestamp;
use crate::record::Record;

const IS_COMPANY: u8 = 1;
const HAS_SECONDS: u8 = 1 << 1;
const HAS_NANOSECONDS: u8 = 1 << 2;
const ID_SHIFT: u32 = 3;
/// An id of this length or more has its length in two bytes after the head.
const ID_LONG: usize = 31;

/// What every entry begins with; enough to tell whether it has to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// The registry's number in this file.
    pub(super) number: u8,
    form: u8,
    /// When it was stored.
    pub(super) stamp: [u8; 3],
}

impl Head {
    /// Bytes of a head.
    pub(super) const BYTES: usize = 5;

    /// Reads the low bytes of a word.
    pub(super) const fn of(word: u64) -> Self {
        let [number, form, low, middle, high, ..] = word.to_le_bytes();
        Self { number, form, stamp: [low, middle, high] }
    }

    /// Where the id begins in an entry whose first word is `opening`; None when it is not of this length.
    #[inline]
    pub(super) const fn id_start(self, opening: u64, id_length: usize) -> Option<usize> {
        let (length, date_start) = match (self.form >> ID_SHIFT) as usize {
            ID_LONG => ((opening >> (Self::BYTES * 8) & 0xffff) as usize, Self::BYTES + 2),
            short => (short, Self::BYTES),
        };
        if length == id_length { Some(date_start + self.date_length()) } else { None }
    }

    /// Bytes of the date.
    #[inline]
    const fn date_length(self) -> usize {
        match self.form & (HAS_SECONDS | HAS_NANOSECONDS) {
            0 => 0,
            HAS_SECONDS => 5,
            _ => 9,
        }
    }

    /// A company, or a 404?
    pub(super) const fn is_company(self) -> bool {
        self.form & IS_COMPANY != 0
    }
}

/// Bytes of a draft: whole words.
const DRAFT_BYTES: usize = ENTRY_BYTES_MAX.next_multiple_of(8);

/// An entry that is about to be stored.
pub(super) struct Draft {
    /// Zero after the entry.
    bytes: [u8; DRAFT_BYTES],
    length: usize,
}

impl Draft {
    /// Writes a record down; None when it is too long to be kept.
    pub(super) fn of(number: u8, stamp: [u8; 3], id: &[u8], record: &Record<'_>) -> Option<Self> {
        let mut draft = Self { bytes: [0; DRAFT_BYTES], length: 0 };
        let (mut form, name, until) = match record {
            Record::Company { name, active_until } => (IS_COMPANY, name.as_bytes(), *active_until),
            Record::NotFound => (0, [].as_slice(), None),
        };
        if let Some(until) = until {
            form |= HAS_SECONDS | if until.nanoseconds() == 0 { 0 } else { HAS_NANOSECONDS };
        }
        let id_short = u8::try_from(id.len().min(ID_LONG)).ok()?;
        draft.push(&[number, form | id_short << ID_SHIFT])?;
        draft.push(&stamp)?;
        if id.len() >= ID_LONG {
            draft.push(&u16::try_from(id.len()).ok()?.to_le_bytes())?;
        }
        if let Some(until) = until {
            // Five bytes hold the years 0000 to 9999, counted from the first second of 0000.
            let seconds = u64::try_from(until.unix_s() - Timestamp::UNIX_S_MIN).ok()?;
            draft.push(seconds.to_le_bytes().get(..5)?)?;
            if until.nanoseconds() != 0 {
                draft.push(&until.nanoseconds().to_le_bytes())?;
            }
        }
        draft.push(id)?;
        draft.push(name)?;
        Some(draft)
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.bytes.get_mut(..ENTRY_BYTES_MAX)?.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    /// Bytes of the entry.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// The entry's bytes, eight to a word.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        let chunks = self.bytes.chunks_exact(8).take(self.length.div_ceil(8));
        chunks.filter_map(|chunk| chunk.first_chunk()).map(|eight| u64::from_le_bytes(*eight))
    }

    /// How many slots it takes: each but the last says that it goes on.
    pub(super) const fn slots(&self) -> usize {
        self.length / LENGTH_CONTINUES as usize + 1
    }

    /// Its slots' fingerprints and lengths, a byte each.
    pub(super) const fn slots_of(&self, fingerprint: u8) -> (u64, u64) {
        const { assert!(FINGERPRINT_CONTINUES == 0) }
        let bits = self.length / LENGTH_CONTINUES as usize * 8;
        let lengths = ((self.length % LENGTH_CONTINUES as usize) as u64) << bits | !(u64::MAX << bits);
        (fingerprint as u64, lengths)
    }

    /// What it adds to a bucket's sum.
    pub(super) fn sum(&self, fingerprint: u8, checksum: Checksum) -> u64 {
        checksum.of_entry(self.slots_of(fingerprint), self.slots(), self.words(), self.length)
    }
}

/// An entry that was read, perhaps from damaged memory: every part is optional until it was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'b> {
    /// What it begins with.
    pub(super) head: Head,
    /// The id.
    pub(super) id: &'b [u8],
    rest: &'b [u8],
    date: &'b [u8],
}

impl<'b> Entry<'b> {
    /// Takes an entry apart as far as its id.
    pub(super) fn of(bytes: &'b [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<{ Head::BYTES }>()?;
        let [number, form, stamp @ ..] = *head;
        let (id_length, rest) = match usize::from(form >> ID_SHIFT) {
            ID_LONG => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            short => (short, rest),
        };
        let head = Head { number, form, stamp };
        let (date, rest) = rest.split_at_checked(head.date_length())?;
        let (id, rest) = rest.split_at_checked(id_length)?;
        Some(Self { head, id, rest, date })
    }

    /// What was recorded; None when it is no record.
    pub(super) fn record(self) -> Option<Record<'b>> {
        if !self.head.is_company() {
            return (self.rest.is_empty() && self.date.is_empty()).then_some(Record::NotFound);
        }
        let name = std::str::from_utf8(self.rest).ok()?;
        let active_until = match *self.date {
            [] => None,
            [s0, s1, s2, s3, s4, ref fraction @ ..] => {
                let seconds = u64::from_le_bytes([s0, s1, s2, s3, s4, 0, 0, 0]);
                let nanoseconds = fraction.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                let unix_s = i64::try_from(seconds).ok()? + Timestamp::UNIX_S_MIN;
                Some(Timestamp::from_unix(unix_s, nanoseconds)?)
            }
            _ => return None,
        };
        Some(Record::Company { name, active_until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(draft: &Draft) -> Vec<u8> {
        let mut bytes: Vec<u8> = draft.words().flat_map(u64::to_le_bytes).collect();
        assert!(bytes.split_off(draft.length()).iter().all(|byte| *byte == 0));
        bytes
    }

    fn written_and_read(id: &[u8], record: &Record<'_>) -> Result<(), TestCaseError> {
        let Some(draft) = Draft::of(7, [1, 2, 3], id, record) else {
            let Record::Company { name, .. } = record else { panic!("a 404 of {} bytes", id.len()) };
            prop_assert!(id.len() + name.len() + 16 > ENTRY_BYTES_MAX, "{} {}", id.len(), name.len());
            return Ok(());
        };
        let (bytes, lengths) = (bytes_of(&draft), draft.slots_of(0).1.to_le_bytes());
        prop_assert_eq!(lengths.iter().copied().map(usize::from).sum::<usize>(), bytes.len());
        prop_assert!(lengths[..draft.slots() - 1].iter().all(|length| *length == LENGTH_CONTINUES));
        prop_assert!(lengths[draft.slots() - 1] < LENGTH_CONTINUES);
        let entry = Entry::of(&bytes).unwrap();
        prop_assert_eq!((entry.head.number, entry.head.stamp, entry.id), (7, [1, 2, 3], id));
        prop_assert_eq!(entry.record(), Some(*record));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_record_survives_its_bytes(
            id in prop::collection::vec(any::<u8>(), 0..80),
            name in ".{0,300}",
            until in prop::option::of((Timestamp::UNIX_S_MIN..=Timestamp::UNIX_S_MAX, prop_oneof![Just(0), 0..1_000_000_000_u32])),
        ) {
            let active_until = until.map(|(unix_s, nanoseconds)| Timestamp::from_unix(unix_s, nanoseconds).unwrap());
            written_and_read(&id, &Record::Company { name: &name, active_until })?;
            written_and_read(&id, &Record::NotFound)?;
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(entry) = Entry::of(&bytes) {
                let _ = entry.record();
            }
        }
    }

    #[test]
    fn every_length_around_the_borders_fits_or_is_refused() {
        for length in [0, 30, 31, 248, 249, 250, 503, 504, 505, 1013, 1014, 1015] {
            let id = vec![b'x'; length];
            match Draft::of(1, [0; 3], &id, &Record::NotFound) {
                Some(draft) => assert_eq!(Entry::of(&bytes_of(&draft)).unwrap().id, id, "{length}"),
                None => assert!(length + 7 > ENTRY_BYTES_MAX, "{length}"),
            }
        }
    }
}
