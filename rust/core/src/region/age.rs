//! How old a record is, from three bytes of time.
//!
//! A record keeps 24 bits of the moment it was stored, in units of 100 ms, or of a power of two of them when records live
//! longer than four days. Around any moment these bits say what is meant within 2^23 units on either side, twice the
//! longest life; a bucket with anything farther away is not believed at all ([`Ages::in_window`]).

use crate::freshness::Lifetimes;

/// Deciseconds (100 ms) of a clock that never goes back, such as `CLOCK_BOOTTIME`: four bytes last 13 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct BootTime(pub u32);

/// A record stored at most so long after `now` is as young as can be: another process read the clock a little later.
const FUTURE_DS_MAX: i64 = 100;

/// Half of what 24 bits can tell apart.
const HALF_WINDOW_UNITS: i64 = 1 << 23;

/// How long records are kept, and the unit in which their age is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ages {
    company_ds: u32,
    not_found_ds: u32,
    unit_shift: u32,
}

impl Ages {
    /// Records are kept for their lifetime, and the stale time on top.
    pub(super) fn new(lifetimes: Lifetimes) -> Self {
        let company_ds = lifetimes.ttl_ds.saturating_add(lifetimes.stale_ds);
        let not_found_ds = lifetimes.negative_ttl_ds.saturating_add(lifetimes.stale_ds);
        let longest_ds = company_ds.max(not_found_ds);
        // The smallest unit in which the longest life has at most 22 bits.
        let unit_shift = (u32::BITS - longest_ds.leading_zeros()).saturating_sub(22);
        Self { company_ds, not_found_ds, unit_shift }
    }

    /// Do stamps mean the same to both?
    pub(super) const fn has_unit_of(self, other: Self) -> bool {
        self.unit_shift == other.unit_shift
    }

    /// How long such a record is kept.
    pub(super) const fn life_ds(self, is_company: bool) -> u32 {
        if is_company { self.company_ds } else { self.not_found_ds }
    }

    /// The 24 bits of `now` that a record keeps.
    pub(super) const fn stamp(self, now: BootTime) -> [u8; 3] {
        let [low, middle, high, _] = (now.0 >> self.unit_shift).to_le_bytes();
        [low, middle, high]
    }

    /// The age of a record with this stamp, rounded up to the unit, or None when it has to go.
    pub(super) fn age_ds(self, stamp: [u8; 3], is_company: bool, now: BootTime) -> Option<u32> {
        let [low, middle, high] = stamp;
        let stored = u32::from_le_bytes([0, low, middle, high]);
        // Shifted to the top, so that the difference wraps at 24 bits and comes back with its sign.
        let difference = (now.0 >> self.unit_shift << 8).wrapping_sub(stored);
        let units = i32::from_ne_bytes(difference.to_ne_bytes()) >> 8;
        let age_ds = (i64::from(units) << self.unit_shift) + i64::from(now.0 & ((1 << self.unit_shift) - 1));
        if age_ds < -FUTURE_DS_MAX {
            return None;
        }
        u32::try_from(age_ds.max(0)).ok().filter(|age_ds| *age_ds < self.life_ds(is_company))
    }

    /// Can 24 bits tell the moments apart that lie in a bucket: its youngest record stored at `latest_ds`, the first
    /// to go at `soonest_ds`?
    pub(super) fn in_window(self, soonest_ds: u32, latest_ds: u32, now: BootTime) -> bool {
        let half_ds = HALF_WINDOW_UNITS << self.unit_shift;
        let oldest_ds = i64::from(soonest_ds) - i64::from(self.company_ds.max(self.not_found_ds));
        let now_ds = i64::from(now.0);
        now_ds - oldest_ds < half_ds && i64::from(latest_ds) - now_ds < half_ds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages(ttl_ds: u32, stale_ds: u32) -> Ages {
        Ages::new(Lifetimes { ttl_ds, negative_ttl_ds: ttl_ds / 24, stale_ds })
    }

    #[test]
    fn an_age_is_counted_until_it_has_to_go() {
        let day = ages(864_000, 600);
        for (stored, now, age) in [
            (0, 0, Some(0)),
            (5, 864_604, Some(864_599)),
            (5, 864_605, None),
            (1 << 24, (1 << 24) + 7, Some(7)), // the stamp's own border
            ((1 << 24) - 1, (1 << 24) + 1, Some(2)),
            (u32::MAX - 10, u32::MAX, Some(10)),
            (100, 0, Some(0)), // a clock read a little earlier
            (101, 0, None),
            (1 << 22, 0, None), // a clock that went back
        ] {
            assert_eq!(day.age_ds(day.stamp(BootTime(stored)), true, BootTime(now)), age, "{stored} {now}");
        }
        assert_eq!(day.age_ds(day.stamp(BootTime(0)), false, BootTime(36_599)), Some(36_599));
        assert_eq!(day.age_ds(day.stamp(BootTime(0)), false, BootTime(36_600)), None);
    }

    #[test]
    fn a_long_life_is_counted_in_coarser_units_and_never_too_young() {
        for ttl_ds in [1, 864_000, 1 << 22, (1 << 22) + 1, 30 * 864_000, u32::MAX] {
            let ages = ages(ttl_ds, 0);
            for stored in [0, 1, 12_345_678, u32::MAX / 2] {
                for passed in [0, 1, ttl_ds / 2, ttl_ds - 1] {
                    let Some(now) = u32::checked_add(stored, passed) else { continue };
                    let unit_ds = 1_u32 << ages.unit_shift;
                    let age = ages.age_ds(ages.stamp(BootTime(stored)), true, BootTime(now));
                    match age {
                        Some(age_ds) => assert!(age_ds >= passed && age_ds - passed < unit_ds),
                        None => assert!(
                            passed.saturating_add(unit_ds - 1) >= ttl_ds,
                            "{ttl_ds} {stored} {passed}"
                        ),
                    }
                }
            }
        }
    }

    #[test]
    fn what_lies_too_far_away_is_not_believed() {
        let day = ages(864_000, 0);
        let half = 1 << 23;
        let last = half - 1 - 864_000; // after the first record has to go
        for (soonest, latest, now, believed) in [
            (864_000, 0, 0, true),
            (864_000, 0, 864_000 + last, true),
            (864_000, 0, 864_000 + last + 1, false),
            (u32::MAX, half - 1, 0, true),
            (u32::MAX, half, 0, false),
        ] {
            assert_eq!(day.in_window(soonest, latest, BootTime(now)), believed, "{soonest} {latest} {now}");
        }
    }
}
