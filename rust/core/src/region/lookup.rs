//! How a record is found: in one of two buckets, each of them checked at its first touch.

use super::Region;
use super::age::BootTime;
use super::bucket::{Bucket, Wanted};
use super::counters::Counter;
use super::page::{Page, Span};
use super::prefetch;
use super::registries::Member;
use crate::key::{Key, Places};

/// Words of a cache line.
const LINE_WORDS: usize = 8;

impl Region {
    /// Where a key's record lies, and by what it is known; None for a registry that was not named when the region was opened.
    #[inline]
    pub(super) fn wanted<'k>(&self, key: Key<'k>) -> Option<(Places, Wanted<'k>)> {
        let Member { number, salt } = *self.members.get(usize::from(key.registry))?;
        let places = Places::of(salt, key.id, self.seed, self.buckets);
        Some((places, Wanted { fingerprint: places.fingerprint, number, id: key.id }))
    }

    /// Has the processor fetch what every search of the two buckets reads: their heads and most of their fingerprints.
    #[inline]
    pub(super) fn approach(&self, places: Places) {
        for bucket in [places.first, places.second].into_iter().filter_map(|index| self.bucket(index)) {
            for line in [0, 63, 62, 61] {
                prefetch(bucket.word(line * LINE_WORDS));
            }
        }
    }

    /// Finds an entry in one bucket, if nobody holds it.
    #[inline]
    pub(super) fn look(
        &self,
        index: u32,
        wanted: &Wanted<'_>,
        now: BootTime,
        page: &mut Page,
    ) -> Option<(Bucket<'_>, Span)> {
        let bucket = self.bucket(index)?;
        if !self.vouched.has(index) {
            self.vouch(index, bucket, now)?;
        }
        let (_, span) = bucket
            .read_whole(|bucket| {
                let span = bucket.find(wanted).filter(|_| bucket.is_in_window(self.ages, now))?;
                bucket.lift(span, page);
                Some(span)
            })
            .ok()?;
        Some((bucket, span?))
    }

    /// Sums a bucket up the first time this process touches it: one that is damaged is emptied, and what registries left behind
    /// that are asked no longer is cleared. How many of their records went; None: not now.
    #[cold]
    pub(super) fn vouch(&self, index: u32, bucket: Bucket<'_>, now: BootTime) -> Option<u64> {
        let has_retired = |bucket: Bucket<'_>| {
            bucket.residents(bucket.shape()).any(|resident| self.is_retired(resident.head.number))
        };
        let (state, (is_whole, has_retired)) =
            bucket.read_whole(|bucket| (bucket.is_whole(self.checksum), has_retired(bucket))).ok()?;
        let mut cleared = 0;
        if !is_whole {
            self.empty(self.take(bucket, state)?);
            self.count(Counter::Damaged, 1);
        } else if has_retired {
            cleared = self.expire(self.take(bucket, state)?, now);
        }
        self.vouched.add(index);
        Some(cleared)
    }
}
