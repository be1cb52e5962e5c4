//! When something happens: a number, because the core reads no clock.

use std::ops::Add;

/// Microseconds in a millisecond.
pub const MS: u64 = 1000;
/// Microseconds in a second.
pub const S: u64 = 1_000_000;

/// Microseconds of a monotonic clock, from any start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Microseconds since `earlier`; 0 when that is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Moment {
    type Output = Self;

    /// So many microseconds later.
    fn add(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}
