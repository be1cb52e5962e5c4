//! RFC 3339 text to an instant, and back.
//!
//! Own code: the contract takes more than `jiff` does (fractions of any length, a space for `T`, leap seconds told as
//! the next second) and less (no basic format, no annotations, no offset over 23:59).

use std::fmt;

const DAY_S: i64 = 86_400;
const NANOSECOND_DIGITS: usize = 9;

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

    /// The last instant there is: the end of the year 9999.
    pub const LAST: Self = Self { unix_s: Self::UNIX_S_MAX, nanoseconds: 999_999_999 };

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

/// Why a text is no RFC 3339 date-time (§5.6), or none of the years 0000 to 9999 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadDate {
    /// Not of the form `YYYY-MM-DDThh:mm:ss`, an optional fraction, and an offset.
    #[error("it is not written as YYYY-MM-DDThh:mm:ss with an optional fraction and an offset")]
    Form,
    /// No such month, or no such day in it.
    #[error("there is no such day")]
    Day,
    /// An hour over 23, or a minute or second over 59.
    #[error("there is no such time of day")]
    Time,
    /// A second 60 that is not the last one of a month in UTC.
    #[error("there can be no leap second at this time")]
    LeapSecond,
    /// An offset of 24 hours or more, or one of 60 minutes or more past its hour.
    #[error("there is no such offset")]
    Offset,
    /// Before the year 0000 or after 9999, once it is told in UTC.
    #[error("in UTC it lies outside the years 0000 to 9999")]
    Years,
}

/// Reads an RFC 3339 date-time: any offset, `T`, `t` or a space, `Z` or `z`, a fraction of any length.
///
/// The fraction is kept to the nanosecond, the rest is cut. A leap second is told as the next second, and is taken only
/// as the last second of a UTC month, where there can be one (ITU-R TF.460-6, annex 1, §2.1).
///
/// # Errors
/// [`BadDate`], for the first fault from the left.
pub fn parse(text: &str) -> Result<Timestamp, BadDate> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number::<4>()?;
    rest.one_of(b"-")?;
    let month = rest.number::<2>()?;
    rest.one_of(b"-")?;
    let day = rest.number::<2>()?;
    rest.one_of(b"Tt ")?;
    let hour = rest.number::<2>()?;
    rest.one_of(b":")?;
    let minute = rest.number::<2>()?;
    rest.one_of(b":")?;
    let second = rest.number::<2>()?;
    let nanoseconds = rest.fraction()?;
    let offset_s = rest.offset()?;

    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return Err(BadDate::Day);
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(BadDate::Time);
    }
    // Second 60 counts as the one after 59: that is how it is told.
    let unix_s = days_before(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    if second == 60 && !is_first_second_of_a_month(unix_s) {
        return Err(BadDate::LeapSecond);
    }
    Timestamp::from_unix(unix_s, nanoseconds).ok_or(BadDate::Years)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn one_of(&mut self, allowed: &[u8]) -> Result<u8, BadDate> {
        match self.0 {
            [first, rest @ ..] if allowed.contains(first) => {
                self.0 = rest;
                Ok(*first)
            }
            _ => Err(BadDate::Form),
        }
    }

    fn digit(&mut self) -> Option<i64> {
        let digit = self.one_of(b"0123456789").ok()?;
        Some(i64::from(digit - b'0'))
    }

    fn number<const DIGITS: usize>(&mut self) -> Result<i64, BadDate> {
        (0..DIGITS).try_fold(0, |number, _| Some(number * 10 + self.digit()?)).ok_or(BadDate::Form)
    }

    /// Nanoseconds; 0 where there is no fraction.
    fn fraction(&mut self) -> Result<u32, BadDate> {
        if self.one_of(b".").is_err() {
            return Ok(0);
        }
        let mut nanoseconds = 0;
        let mut digits = 0;
        while let Some(digit) = self.digit() {
            if digits < NANOSECOND_DIGITS {
                nanoseconds = nanoseconds * 10 + digit;
            }
            digits += 1;
        }
        if digits == 0 {
            return Err(BadDate::Form);
        }
        for _ in digits..NANOSECOND_DIGITS {
            nanoseconds *= 10;
        }
        u32::try_from(nanoseconds).map_err(|_| BadDate::Form)
    }

    /// Seconds east of UTC; nothing may follow.
    fn offset(&mut self) -> Result<i64, BadDate> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => 0,
        };
        let mut offset_s = 0;
        if sign != 0 {
            let hours = self.number::<2>()?;
            self.one_of(b":")?;
            let minutes = self.number::<2>()?;
            if hours > 23 || minutes > 59 {
                return Err(BadDate::Offset);
            }
            offset_s = sign * (hours * 3600 + minutes * 60);
        }
        if self.0.is_empty() { Ok(offset_s) } else { Err(BadDate::Form) }
    }
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`: years begin in March, so that the
/// leap day is the last.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The day (year, month, day) that lies `days` after 1970-01-01: `civil_from_days` of the same paper.
const fn civil_day(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

const fn is_first_second_of_a_month(unix_s: i64) -> bool {
    unix_s.rem_euclid(DAY_S) == 0 && matches!(civil_day(unix_s.div_euclid(DAY_S)), (_, _, 1))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with `Z`; the fraction only where there is one, without trailing zeros.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_day(self.unix_s.div_euclid(DAY_S));
        let second_of_day = self.unix_s.rem_euclid(DAY_S);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanoseconds != 0 {
            let (mut fraction, mut digits) = (self.nanoseconds, NANOSECOND_DIGITS);
            while fraction % 10 == 0 {
                fraction /= 10;
                digits -= 1;
            }
            write!(out, ".{fraction:0digits$}")?;
        }
        out.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_in_utc() {
        for (text, utc) in [
            ("2021-12-31T22:00:00Z", "2021-12-31T22:00:00Z"),
            ("2022-01-01t00:30:00.120+02:30", "2021-12-31T22:00:00.12Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2017-01-01 05:29:60.5+05:30", "2017-01-01T00:00:00.5Z"),
            ("0000-02-29T00:00:00-00:00", "0000-02-29T00:00:00Z"),
            ("9999-12-31T23:59:59.9999999999z", "9999-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(parse(text).map(|instant| instant.to_string()).as_deref(), Ok(utc), "{text}");
        }
    }

    #[test]
    fn each_fault_has_its_name() {
        for (text, fault) in [
            ("2021-12-31", BadDate::Form),
            ("2021-12-31T22:00:00", BadDate::Form),
            ("2021-12-31T22:00:00.Z", BadDate::Form),
            ("2021-02-29T00:00:00Z", BadDate::Day),
            ("2021-12-31T24:00:00Z", BadDate::Time),
            ("2021-12-31T23:59:61Z", BadDate::Time),
            ("2021-12-30T23:59:60Z", BadDate::LeapSecond),
            ("2021-12-31T22:00:00+24:00", BadDate::Offset),
            ("9999-12-31T23:59:60Z", BadDate::Years),
            ("0000-01-01T00:00:00+00:01", BadDate::Years),
        ] {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
    }
}
