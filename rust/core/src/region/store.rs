//! How a record gets in, and out again when its time is up.
//!
//! A store looks at both buckets, takes the one it will change from the state in which it saw it, and then makes sure that the
//! other still is in the state in which it saw that one. Of two stores of one key that chose different buckets, at
//! least one sees the other's and begins again: a key never has two answers. Only the bucket that changes is written to,
//! so only its page has to go back to a disk.

use super::Region;
use super::age::BootTime;
use super::bucket::{Bucket, Wanted};
use super::counters::Counter;
use super::entry::Draft;
use super::evict::{self, Evicted, Load};
use super::ghost::Ghost;
use super::held::Held;
use super::layout::{Owner, State};
use super::page::{Page, Span};
use crate::key::Places;

/// A bucket as it was when nobody held it.
struct Survey<'a> {
    bucket: Bucket<'a>,
    state: State,
    load: Load,
    /// Where the record's predecessor lies.
    span: Option<Span>,
}

impl Region {
    pub(super) fn take<'a>(&self, bucket: Bucket<'a>, state: State) -> Option<Held<'a>> {
        bucket.take(state, self.me).then(|| Held::new(bucket, state, self.checksum))
    }

    /// Forgets all that lies in a bucket that cannot be believed.
    pub(super) fn empty(&self, mut held: Held<'_>) {
        let used_before = held.shape().used_bytes;
        held.clear();
        self.count_if(Counter::Records, 0_u64.wrapping_sub(held.removed()));
        self.count_if(Counter::Bytes, 0_u64.wrapping_sub(used_before as u64));
    }

    /// Can its holder still let go? False only when its process is gone.
    fn is_alive(&self, owner: Owner) -> bool {
        owner == self.me || super::is_alive(&self.words, owner)
    }

    /// A bucket as it is while nobody holds it; one whose holder is dead is emptied and taken back.
    fn survey(&self, index: u32, wanted: &Wanted<'_>, now: BootTime) -> Option<Survey<'_>> {
        let bucket = self.bucket(index)?;
        if !self.vouched.has(index) {
            let _ = self.vouch(index, bucket, now);
        }
        let read = |bucket: Bucket<'_>| {
            let shape = bucket.shape();
            let load = Load { shape, is_due: now.0 >= shape.soonest_ds };
            (load, bucket.find(wanted))
        };
        match bucket.read_whole(read) {
            Ok((state, (load, span))) => {
                self.vouched.has(index).then_some(Survey { bucket, state, load, span })
            }
            Err(state) => {
                if !self.is_alive(state.owner()?) {
                    self.empty(self.take(bucket, state)?);
                    self.vouched.add(index);
                    self.count(Counter::Takeovers, 1);
                }
                None // the caller looks again
            }
        }
    }

    /// Stores a record, unless somebody else holds or changes its buckets meanwhile.
    pub(super) fn try_put(
        &self,
        places: Places,
        wanted: &Wanted<'_>,
        draft: &Draft,
        life_ds: u32,
        now: BootTime,
        page: &mut Page,
    ) -> Option<()> {
        let first = self.survey(places.first, wanted, now)?;
        let second = self.survey(places.second, wanted, now)?;
        let need = (draft.length(), draft.slots());
        let to_second = match (first.span, second.span) {
            (Some(_), _) => false,
            (None, Some(_)) => true,
            (None, None) => evict::prefers_second(first.load, second.load, need.0, need.1),
        };
        let (target, other) = if to_second { (second, first) } else { (first, second) };
        let mut held = self.take(target.bucket, target.state)?;
        if !other.bucket.is_still(other.state) {
            // Somebody wrote there since we looked, perhaps this very key: begin again.
            return None;
        }
        let used_before = held.shape().used_bytes;
        let mut evicted = Evicted::default();
        let mut added = 1;
        let expires_ds = now.0.saturating_add(life_ds);
        let before = target.span.filter(|_| target.bucket.is_in_window(self.ages, now));
        if let Some(span) = before.filter(|span| span.bytes == need.0) {
            held.note_times(now, expires_ds);
            held.replace(span, draft, wanted.fingerprint);
            added = 0;
        } else {
            if let Some(span) = before {
                held.remove(span);
            } else if !target.bucket.is_in_window(self.ages, now) {
                held.clear();
            }
            let leaving;
            (evicted, leaving) = self.make_room(&mut held, need, now, page);
            held.note_times(now, expires_ds);
            let is_known = held.recall(Ghost::of(places.trace)) || before.is_some();
            evict::place(&mut held, leaving, draft, wanted.fingerprint, is_known);
        }
        let (used_after, removed) = (held.shape().used_bytes, held.removed());
        drop(held);
        self.count_if(Counter::Evictions, evicted.live);
        self.count_if(Counter::Expired, evicted.expired);
        self.count_if(Counter::Records, u64::wrapping_sub(added, removed));
        self.count_if(Counter::Bytes, (used_after as u64).wrapping_sub(used_before as u64));
        Some(())
    }

    fn count_if(&self, counter: Counter, by: u64) {
        if by != 0 {
            self.count(counter, by);
        }
    }

    /// Clears what is past its time in one bucket, which is checked first: how many records; None when somebody holds it.
    pub(super) fn sweep_bucket(&self, index: u32, now: BootTime) -> Option<u64> {
        let bucket = self.bucket(index)?;
        let retired = if self.vouched.has(index) { 0 } else { self.vouch(index, bucket, now)? };
        Some(retired + self.sweep_due(bucket, now).unwrap_or(0))
    }

    fn sweep_due(&self, bucket: Bucket<'_>, now: BootTime) -> Option<u64> {
        let (state, shape) = bucket.read_whole(Bucket::shape).ok()?;
        if shape.slots == 0 || now.0 < shape.soonest_ds {
            return None;
        }
        Some(self.expire(self.take(bucket, state)?, now))
    }

    /// Takes out what is past its time, or of a registry that is asked no longer: how many records.
    pub(super) fn expire(&self, mut held: Held<'_>, now: BootTime) -> u64 {
        let used_before = held.shape().used_bytes;
        if held.bucket().is_in_window(self.ages, now) {
            held.expire(self.ages, now, |number| self.is_retired(number));
        } else {
            held.clear();
        }
        let (used_after, removed) = (held.shape().used_bytes, held.removed());
        drop(held);
        self.count_if(Counter::Expired, removed);
        self.count_if(Counter::Records, 0_u64.wrapping_sub(removed));
        self.count_if(Counter::Bytes, (used_after as u64).wrapping_sub(used_before as u64));
        removed
    }
}
