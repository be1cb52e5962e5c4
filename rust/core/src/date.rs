//! RFC 3339 text to an instant, and back.

/// An instant in UTC, years 0000 to 9999, to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Timestamp {
    unix_s: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// 0000-01-01T00:00:00Z.
    pub const UNIX_S_MIN: i64 = -62_167_219_200;
    /// 9999-12-31T23:59:59Z.
    pub const UNIX_S_MAX: i64 = 253_402_300_799;

    /// The instant `unix_s` seconds and `nanoseconds` after 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
    ///
    /// None when it lies outside the years 0000 to 9999, or when `nanoseconds` is a second or more.
    #[must_use]
    pub const fn from_unix(unix_s: i64, nanoseconds: u32) -> Option<Self> {
        if unix_s < Self::UNIX_S_MIN || unix_s > Self::UNIX_S_MAX || nanoseconds >= 1_000_000_000 {
            return None;
        }
        Some(Self { unix_s, nanoseconds })
    }

    /// Whole seconds since 1970-01-01T00:00:00Z; negative before it.
    #[must_use]
    pub const fn unix_s(self) -> i64 {
        self.unix_s
    }

    /// Nanoseconds after the whole second, 0 to 999,999,999.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}
