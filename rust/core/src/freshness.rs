//! May a record still be told, for how long, and is its company active now.
//!
//! Ages are counted on a clock that is never set (`CLOCK_BOOTTIME`), so that a wall clock that jumps changes no age; the
//! wall clock decides only what "active" means.

use crate::date::Timestamp;
use crate::record::Record;

/// How long records are told, in deciseconds (100 ms).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// A company, after its registry told it.
    pub ttl_ds: u32,
    /// A registry's 404.
    pub negative_ttl_ds: u32,
    /// How much longer either is told while its registry fails; 0 for never.
    pub stale_ds: u32,
}

/// What a record's age makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// May be told; deciseconds until it may not.
    Fresh {
        /// What is left of its life.
        left_ds: u32,
    },
    /// May be told only while its registry fails; deciseconds since it ran out.
    Stale {
        /// How long ago its life ended.
        over_ds: u32,
    },
    /// May not be told.
    Gone,
}

impl Lifetimes {
    /// How long such a record is told, in deciseconds.
    #[must_use]
    pub const fn of(&self, record: &Record<'_>) -> u32 {
        match record {
            Record::Company { .. } => self.ttl_ds,
            Record::NotFound => self.negative_ttl_ds,
        }
    }

    /// What an age of `age_ds` makes of `record`: at exactly its lifetime it is no longer fresh.
    #[must_use]
    pub const fn judge(&self, record: &Record<'_>, age_ds: u32) -> Freshness {
        let life_ds = self.of(record);
        if age_ds < life_ds {
            Freshness::Fresh { left_ds: life_ds - age_ds }
        } else if age_ds - life_ds < self.stale_ds {
            Freshness::Stale { over_ds: age_ds - life_ds }
        } else {
            Freshness::Gone
        }
    }

    /// Is a fresh record of this age due for a refresh behind the answer?
    ///
    /// At 75 to 85 % of its life: `spread`, any number that differs between keys, moves the moment, so that records
    /// kept in one burst are not refreshed in one.
    #[must_use]
    pub fn is_refresh_due(&self, record: &Record<'_>, age_ds: u32, spread: u64) -> bool {
        let share = 750 + spread % 101;
        u64::from(age_ds) * 1000 >= u64::from(self.of(record)) * share
    }
}

/// Is a company with this end of activity active at `now`? It is when there is no end, or when it lies ahead.
#[must_use]
pub fn is_active(active_until: Option<Timestamp>, now: Timestamp) -> bool {
    active_until.is_none_or(|until| now < until)
}

/// Whole seconds for which an answer made at `now` stays true: what is left of its life, and never past the instant
/// at which `active` flips.
#[must_use]
pub fn max_age_s(left_ds: u32, active_until: Option<Timestamp>, now: Timestamp) -> u32 {
    let remaining_s = left_ds / 10;
    let Some(until) = active_until.filter(|until| now < *until) else { return remaining_s };
    let borrowed = i64::from(until.nanoseconds() < now.nanoseconds());
    let flips_in_s = until.unix_s() - now.unix_s() - borrowed;
    u32::try_from(flips_in_s).map_or(remaining_s, |flips_in_s| remaining_s.min(flips_in_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes { ttl_ds: 1000, negative_ttl_ds: 100, stale_ds: 50 };
    const COMPANY: Record<'static> = Record::Company { name: "x", active_until: None };

    fn at(unix_s: i64, nanoseconds: u32) -> Timestamp {
        Timestamp::from_unix(unix_s, nanoseconds).unwrap()
    }

    #[test]
    fn an_age_is_judged() {
        let table = [
            (COMPANY, 0, Freshness::Fresh { left_ds: 1000 }),
            (COMPANY, 999, Freshness::Fresh { left_ds: 1 }),
            (COMPANY, 1000, Freshness::Stale { over_ds: 0 }),
            (COMPANY, 1049, Freshness::Stale { over_ds: 49 }),
            (COMPANY, 1050, Freshness::Gone),
            (COMPANY, u32::MAX, Freshness::Gone),
            (Record::NotFound, 99, Freshness::Fresh { left_ds: 1 }),
            (Record::NotFound, 100, Freshness::Stale { over_ds: 0 }),
            (Record::NotFound, 150, Freshness::Gone),
        ];
        for (record, age_ds, freshness) in table {
            assert_eq!(LIFETIMES.judge(&record, age_ds), freshness, "{record:?} at {age_ds}");
        }
        let never_stale = Lifetimes { stale_ds: 0, ..LIFETIMES };
        assert_eq!(never_stale.judge(&COMPANY, 1000), Freshness::Gone);
    }

    #[test]
    fn a_refresh_is_due_between_75_and_85_percent() {
        for (age_ds, spread, due) in
            [(749, 0, false), (750, 0, true), (849, 100, false), (850, 100, true), (750, 101, true)]
        {
            assert_eq!(LIFETIMES.is_refresh_due(&COMPANY, age_ds, spread), due, "{age_ds} {spread}");
        }
    }

    #[test]
    fn active_ends_at_the_instant_itself() {
        let until = Some(at(100, 500));
        for (now, active) in
            [(at(100, 499), true), (at(100, 500), false), (at(100, 501), false), (at(99, 999), true)]
        {
            assert_eq!(is_active(until, now), active, "{now:?}");
        }
        assert!(is_active(None, at(100, 0)));
    }

    #[test]
    fn max_age_never_reaches_past_the_flip() {
        let table = [
            (None, at(0, 0), 86_400),
            (Some(at(10, 0)), at(0, 0), 10),
            (Some(at(10, 0)), at(0, 1), 9),
            (Some(at(10, 2)), at(0, 1), 10),
            (Some(at(0, 999_999_999)), at(0, 0), 0),
            (Some(at(0, 0)), at(0, 0), 86_400), // it has flipped: nothing changes any more
            (Some(at(Timestamp::UNIX_S_MAX, 0)), at(0, 0), 86_400),
            (Some(at(Timestamp::UNIX_S_MIN, 0)), at(0, 0), 86_400),
        ];
        for (until, now, seconds) in table {
            assert_eq!(max_age_s(864_000, until, now), seconds, "{until:?} at {now:?}");
        }
        assert_eq!(max_age_s(19, None, at(0, 0)), 1, "a begun second is not promised");
    }
}
