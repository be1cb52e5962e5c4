//! The shared memory where records lie: a fixed number of page-sized buckets, for all workers, without a manager.
//!
//! A hash of the question names two buckets; the emptier one is filled. Readers never lock. Writers hold one bucket for less
//! than a microsecond, and nobody waits for them: what finds its bucket busy is not kept. `docs/region-format.md` draws
//! the bytes, `SAFETY.md` lists what holds at every instant.

mod age;
mod bucket;
mod checksum;
mod counters;
mod entry;
mod error;
mod evict;
#[cfg(test)]
#[cfg(feature = "shuttle")]
mod explored;
#[cfg(not(feature = "shuttle"))]
mod file;
mod ghost;
mod held;
mod identity;
mod layout;
#[cfg(not(feature = "shuttle"))]
mod lease;
#[cfg(not(feature = "shuttle"))]
mod lock;
mod lookup;
#[cfg(not(feature = "shuttle"))]
mod map;
#[cfg(not(feature = "shuttle"))]
mod owners;
mod page;
#[cfg(not(feature = "shuttle"))]
mod path;
#[cfg(feature = "shuttle")]
mod plain;
mod registries;
mod shift;
mod store;
pub(crate) mod sync;
#[cfg(test)]
#[cfg(not(feature = "shuttle"))]
mod tests;
mod visited;
mod vouch;

pub use age::BootTime;

pub use counters::Stats;
pub use error::{Difference, RegionError};
#[cfg(not(feature = "shuttle"))]
pub use file::{OpenOptions, Opened};
pub use identity::{FORMAT_VERSION, Rebuild};
pub use layout::{ENTRY_BYTES_MAX, PAGE_BYTES};
#[cfg(not(feature = "shuttle"))]
pub use lease::{Lease, WORKERS_MAX};
pub use page::Page;
pub use registries::Registry;

use crate::freshness::Lifetimes;
use crate::key::Key;
use crate::record::Record;
use age::Ages;
use bucket::Bucket;
use checksum::Checksum;
use counters::{COUNTER_WORDS, Counter};
use entry::Draft;
#[cfg(not(feature = "shuttle"))]
use file::{Opening, open_region};
#[cfg(not(feature = "shuttle"))]
use identity::Identity;
use layout::{
    BUCKETS_MIN, COUNTERS, HEADER_WORDS, OWNERS_MAX, Owner, PAGE_WORDS, SWEEP_CURSOR, Words, low_half,
};
#[cfg(not(feature = "shuttle"))]
pub(crate) use map::Mapping;
#[cfg(not(feature = "shuttle"))]
use map::prefetch;
#[cfg(not(feature = "shuttle"))]
use owners::is_alive;
#[cfg(feature = "shuttle")]
pub(crate) use plain::Mapping;
#[cfg(feature = "shuttle")]
use plain::{is_alive, prefetch};
use registries::Member;
#[cfg(not(feature = "shuttle"))]
use std::path::Path;
use sync::Ordering;
use vouch::Vouched;

/// How often a store begins again because somebody else wrote meanwhile.
const PUT_TRIES: usize = 4;

/// On a disk one visit in so many is marked: a mark dirties a page, which then is written back.
const VISITS_ON_DISK: usize = 8;

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found<'b> {
    /// The registry's answer, word for word.
    pub record: Record<'b>,
    /// Deciseconds since it was stored; always less than its lifetime and the stale time together.
    pub age_ds: u32,
    /// Was it found before, since it was stored?
    pub visited_before: bool,
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It lies in the region.
    Stored,
    /// It is too long for a bucket; an older answer to the same question may still lie there.
    Oversize,
    /// Another worker held the bucket; an older answer to the same question may still lie there.
    Busy,
}

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Buckets looked at.
    pub buckets: u32,
    /// Records cleared because their time was up, or their registry is asked no longer.
    pub cleared: u32,
}

/// The region, as one worker sees it.
#[derive(Debug)]
pub struct Region {
    words: Mapping,
    buckets: u32,
    seed: [u64; 2],
    checksum: Checksum,
    ages: Ages,
    me: Owner,
    /// Each registry, by its place in the configuration.
    members: Box<[Member]>,
    /// One bit a number: the registries whose records may be told.
    live: [u64; 4],
    vouched: Vouched,
}

impl Region {
    /// A region of at most `bytes` in memory of this process and those it forks, gone with them.
    ///
    /// `seed` must be unpredictable: it keeps customers from aiming ids at one bucket. Every registry is known by its place.
    ///
    /// # Errors
    /// [`RegionError::TooSmall`] under the header and two buckets, [`RegionError::TooLarge`] for more than can be had.
    pub fn on_heap(bytes: usize, lifetimes: Lifetimes, seed: [u64; 2]) -> Result<Self, RegionError> {
        let (buckets, words) = size(bytes)?;
        let words = Mapping::anonymous(words).ok().ok_or(RegionError::TooLarge { given: bytes })?;
        let members = (0..=u8::MAX).map(|number| Member { number, salt: number.into() }).collect();
        Ok(Self::over(words, buckets, seed, lifetimes, Owner::new(1, 1), members, true))
    }

    /// The region in the file at `path`, made if there is none, of at most `options.bytes`.
    ///
    /// Fork first: a fork shares the locks by which workers know each other alive.
    ///
    /// # Errors
    /// Whatever keeps the file from being ours, whole and reserved: see [`RegionError`].
    #[cfg(not(feature = "shuttle"))]
    pub fn open(path: &Path, options: &OpenOptions<'_>) -> Result<(Self, Opened), RegionError> {
        let (buckets, words) = size(options.bytes)?;
        let Opening { mapping, identity, members, owner, opened } =
            open_region(path, options, buckets, words)?;
        let is_new = opened != Opened::Attached;
        let Identity { seed, lifetimes, .. } = identity;
        let region = Self::over(mapping, buckets, seed, lifetimes, owner, members.into(), is_new);
        region.forget_leases();
        Ok((region, opened))
    }

    fn over(
        words: Mapping,
        buckets: u32,
        seed: [u64; 2],
        lifetimes: Lifetimes,
        me: Owner,
        members: Box<[Member]>,
        is_new: bool,
    ) -> Self {
        let mut live = [0; 4];
        for Member { number, .. } in &members {
            if let Some(bits) = live.get_mut(usize::from(number / 64)) {
                *bits |= 1 << (number % 64);
            }
        }
        let (checksum, ages) = (Checksum::new(seed), Ages::new(lifetimes));
        Self {
            words,
            buckets,
            seed,
            checksum,
            ages,
            me,
            members,
            live,
            vouched: Vouched::new(buckets, is_new),
        }
    }

    /// How many buckets there are: what [`Region::sweep`] counts in.
    #[must_use]
    pub const fn buckets(&self) -> u32 {
        self.buckets
    }

    /// What lies there, fresh or stale, with its age; copied into `page`, and counted as a hit or a miss.
    pub fn get<'b>(&self, key: Key<'_>, now: BootTime, page: &'b mut Page) -> Option<Found<'b>> {
        let found = self.peek(key, now, page);
        self.count(if found.is_some() { Counter::Hits } else { Counter::Misses }, 1);
        found
    }

    /// The same, counted as nothing: for those who look again behind a question that was counted.
    pub fn peek<'b>(&self, key: Key<'_>, now: BootTime, page: &'b mut Page) -> Option<Found<'b>> {
        let hit = self.wanted(key).and_then(|(places, wanted)| {
            // Both buckets come at once; from a disk, the second while the first is searched.
            self.approach(places);
            if !self.words.is_memory() {
                self.words.read_ahead(HEADER_WORDS + places.second as usize * PAGE_WORDS);
            }
            self.look(places.first, &wanted, now, page)
                .or_else(|| self.look(places.second, &wanted, now, page))
        });
        hit.and_then(|(bucket, span)| {
            let entry = page.entry(span)?;
            let age_ds = self.ages.age_ds(entry.head.stamp, entry.head.is_company(), now)?;
            let record = entry.record()?;
            let visited_before = bucket.is_visited(span.slot);
            if !visited_before && (self.words.is_memory() || is_marked_on_disk(span.slot, now)) {
                bucket.visit(span.slot);
            }
            Some(Found { record, age_ds, visited_before })
        })
    }

    /// Remembers what a registry said, in the place of what it said before.
    #[expect(clippy::must_use_candidate, reason = "what became of it is for the curious")]
    pub fn put(&self, key: Key<'_>, record: &Record<'_>, now: BootTime) -> Kept {
        let Some((places, wanted)) = self.wanted(key) else { return Kept::Busy };
        self.approach(places);
        let Some(draft) = Draft::of(wanted.number, self.ages.stamp(now), key.id, record) else {
            self.count(Counter::Oversize, 1);
            return Kept::Oversize;
        };
        let life_ds = self.ages.life_ds(matches!(record, Record::Company { .. }));
        let mut page = Page::default();
        let kept =
            (0..PUT_TRIES).any(|_| self.try_put(places, &wanted, &draft, life_ds, now, &mut page).is_some());
        self.count(if kept { Counter::Stores } else { Counter::Busy }, 1);
        if kept { Kept::Stored } else { Kept::Busy }
    }

    /// Clears what is past its time in the next few buckets; where it stopped is remembered for all workers.
    #[expect(clippy::must_use_candidate, reason = "what became of it is for the curious")]
    pub fn sweep(&self, buckets: u32, now: BootTime) -> Swept {
        let mut swept = Swept::default();
        let Some(cursor) = self.words.get(SWEEP_CURSOR) else { return swept };
        for _ in 0..buckets.min(self.buckets) {
            // The low half alone counts: it goes round at 2^32, where a few buckets are swept early.
            let index = low_half(cursor.fetch_add(1, Ordering::Relaxed)) % self.buckets;
            swept.buckets += 1;
            let cleared = self.sweep_bucket(index, now).and_then(|cleared| u32::try_from(cleared).ok());
            swept.cleared = swept.cleared.saturating_add(cleared.unwrap_or(0));
        }
        swept
    }

    /// The whole service's counts since the region was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        counters::sum(self.words.get(COUNTERS..COUNTERS + OWNERS_MAX * COUNTER_WORDS).unwrap_or_default())
    }

    fn count(&self, counter: Counter, by: u64) {
        let start = COUNTERS + usize::from(self.me.slot()) * COUNTER_WORDS;
        counters::count(self.words.get(start..start + COUNTER_WORDS), counter, by);
    }

    fn bucket(&self, index: u32) -> Option<Bucket<'_>> {
        let start = HEADER_WORDS + usize::try_from(index).ok()? * PAGE_WORDS;
        Some(Bucket::new(<&Words>::try_from(self.words.get(start..start + PAGE_WORDS)?).ok()?))
    }

    /// Were this number's records purged, or left behind by another configuration?
    fn is_retired(&self, number: u8) -> bool {
        self.live.get(usize::from(number / 64)).is_none_or(|bits| bits >> (number % 64) & 1 == 0)
    }
}

/// Is this visit one of those that are marked on a disk? Each slot has its turn for a tenth of a second.
const fn is_marked_on_disk(slot: usize, now: BootTime) -> bool {
    (now.0 as usize).wrapping_add(slot) % VISITS_ON_DISK == 0
}

/// How many buckets and words `bytes` come to.
fn size(bytes: usize) -> Result<(u32, usize), RegionError> {
    let needed = (HEADER_WORDS + BUCKETS_MIN * PAGE_WORDS) * 8;
    if bytes < needed {
        return Err(RegionError::TooSmall { given: bytes, needed });
    }
    let pages = (bytes / 8 - HEADER_WORDS) / PAGE_WORDS;
    let buckets = u32::try_from(pages).map_err(|_| RegionError::TooLarge { given: bytes })?;
    Ok((buckets, HEADER_WORDS + pages * PAGE_WORDS))
}
