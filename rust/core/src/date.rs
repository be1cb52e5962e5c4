//! RFC 3339 text to an instant, and back.
//!
//! A parser of our own because the contract is exact: any number of digits in the fraction, a space for the `T`,
//! leap seconds only where UTC can have one, and a reason for everything that is refused.

use std::fmt;

use thiserror::Error;

const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_HOUR: i64 = 3_600;
const SECONDS_PER_DAY: i64 = 86_400;

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

/// RFC 3339 in UTC with `Z`; the fraction to the nanosecond without trailing zeros, none when it is zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.unix_s.div_euclid(SECONDS_PER_DAY));
        let second_of_day = self.unix_s.rem_euclid(SECONDS_PER_DAY);
        let [y0, y1, y2, y3] = decimal(year);
        let [mo0, mo1] = decimal(month);
        let [d0, d1] = decimal(day);
        let [h0, h1] = decimal(second_of_day / SECONDS_PER_HOUR);
        let [mi0, mi1] = decimal(second_of_day / SECONDS_PER_MINUTE % 60);
        let [s0, s1] = decimal(second_of_day % 60);
        let whole =
            [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0, s1];
        f.write_str(std::str::from_utf8(&whole).map_err(|_| fmt::Error)?)?;
        if self.nanoseconds > 0 {
            let digits: [u8; 9] = decimal(i64::from(self.nanoseconds));
            f.write_str(".")?;
            f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Why a text is no RFC 3339 date-time: the first part, read from the left, that is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadDate {
    /// The text does not begin with four digits, `-`, two digits, `-`, two digits.
    #[error("the date is not written YYYY-MM-DD")]
    Date,
    /// There is no such month.
    #[error("the month is not 01 to 12")]
    Month,
    /// That month of that year has no such day.
    #[error("the month has no such day")]
    Day,
    /// After the date stands something other than `T`, `t` or a space, or nothing.
    #[error("no T or space parts the date from the time")]
    Separator,
    /// After the separator do not follow two digits, `:`, two digits, `:`, two digits.
    #[error("the time is not written HH:MM:SS")]
    Time,
    /// There is no such hour; 24 is none.
    #[error("the hour is not 00 to 23")]
    Hour,
    /// There is no such minute.
    #[error("the minute is not 00 to 59")]
    Minute,
    /// There is no such second.
    #[error("the second is not 00 to 59, or 60 for a leap second")]
    Second,
    /// A point without a digit after it.
    #[error("the fraction of a second has no digit")]
    Fraction,
    /// The text does not end in `Z`, `z`, or a sign, two digits, `:`, two digits.
    #[error("the offset from UTC is not written Z, +HH:MM or -HH:MM")]
    Offset,
    /// The offset has an hour over 23 or a minute over 59.
    #[error("the offset from UTC is not within 23:59")]
    OffsetRange,
    /// A second 60 elsewhere than at 23:59:60 UTC on the last day of a month.
    #[error("UTC cannot have a leap second then")]
    LeapSecond,
    /// In UTC it lies before the year 0000 or after 9999.
    #[error("in UTC it is not within the years 0000 to 9999")]
    Year,
}

/// The instant that an RFC 3339 `date-time` (section 5.6) names.
///
/// The offset may be anything that section 5.6 can write, `-00:00` too; the `T` may be `t` or a space, the `Z` may
/// be `z`. Of the fraction nine digits are kept, the rest is cut. A leap second is taken where ITU-R TF.460-6 allows
/// one, at 23:59:60 UTC on the last day of any month, and told as the second after it, its fraction kept.
///
/// # Errors
/// [`BadDate`] for anything else, and for what lies in UTC outside the years 0000 to 9999.
pub fn parse(text: &str) -> Result<Timestamp, BadDate> {
    let (day, rest) = read_date(text.as_bytes())?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return Err(BadDate::Separator) };
    let (hour, minute, second, rest) = read_time(rest)?;
    let (nanoseconds, rest) = read_fraction(rest)?;
    let offset_s = read_offset(rest)?;

    // The years end on whole minutes, so the minute tells whether the instant lies within them. A second 60 is held
    // against UTC, not against the local time it is written in.
    let minute_s = day * SECONDS_PER_DAY + hour * SECONDS_PER_HOUR + minute * SECONDS_PER_MINUTE - offset_s;
    if !(Timestamp::UNIX_S_MIN..=Timestamp::UNIX_S_MAX).contains(&minute_s) {
        return Err(BadDate::Year);
    }
    if second == 60 && !begins_month(minute_s + 60) {
        return Err(BadDate::LeapSecond);
    }
    Timestamp::from_unix(minute_s + second, nanoseconds).ok_or(BadDate::Year)
}

/// `YYYY-MM-DD` → days since 1970-01-01, and what follows.
fn read_date(text: &[u8]) -> Result<(i64, &[u8]), BadDate> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, rest @ ..] = text else { return Err(BadDate::Date) };
    let year = number([*y0, *y1, *y2, *y3]).ok_or(BadDate::Date)?;
    let month = number([*m0, *m1]).ok_or(BadDate::Date)?;
    let day = number([*d0, *d1]).ok_or(BadDate::Date)?;
    if !(1..=12).contains(&month) {
        return Err(BadDate::Month);
    }
    if !(1..=days_in(year, month)).contains(&day) {
        return Err(BadDate::Day);
    }
    Ok((days_since_1970(year, month, day), rest))
}

/// `HH:MM:SS` → hour, minute, second (60 is allowed here), and what follows.
fn read_time(text: &[u8]) -> Result<(i64, i64, i64, &[u8]), BadDate> {
    let [h0, h1, b':', m0, m1, b':', s0, s1, rest @ ..] = text else { return Err(BadDate::Time) };
    let hour = number([*h0, *h1]).ok_or(BadDate::Time)?;
    let minute = number([*m0, *m1]).ok_or(BadDate::Time)?;
    let second = number([*s0, *s1]).ok_or(BadDate::Time)?;
    match (hour, minute, second) {
        (24.., _, _) => Err(BadDate::Hour),
        (_, 60.., _) => Err(BadDate::Minute),
        (_, _, 61..) => Err(BadDate::Second),
        _ => Ok((hour, minute, second, rest)),
    }
}

/// A point and digits, or nothing → nanoseconds, and what follows.
fn read_fraction(text: &[u8]) -> Result<(u32, &[u8]), BadDate> {
    let [b'.', text @ ..] = text else { return Ok((0, text)) };
    let mut nanoseconds = 0;
    let mut unit = 100_000_000;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        nanoseconds += u32::from(digit - b'0') * unit;
        unit /= 10; // 0 from the tenth digit on: cut, not rounded
        rest = after;
    }
    if rest.len() == text.len() { Err(BadDate::Fraction) } else { Ok((nanoseconds, rest)) }
}

/// `Z` or `±HH:MM`, and the end → seconds that the local time is ahead of UTC.
fn read_offset(text: &[u8]) -> Result<i64, BadDate> {
    let (sign, h0, h1, m0, m1) = match text {
        [b'Z' | b'z'] => return Ok(0),
        [b'+', h0, h1, b':', m0, m1] => (1, h0, h1, m0, m1),
        [b'-', h0, h1, b':', m0, m1] => (-1, h0, h1, m0, m1),
        _ => return Err(BadDate::Offset),
    };
    let hours = number([*h0, *h1]).ok_or(BadDate::Offset)?;
    let minutes = number([*m0, *m1]).ok_or(BadDate::Offset)?;
    if hours > 23 || minutes > 59 {
        return Err(BadDate::OffsetRange);
    }
    Ok(sign * (hours * SECONDS_PER_HOUR + minutes * SECONDS_PER_MINUTE))
}

/// The value of ASCII digits; None when one is something else.
fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(value)
}

/// The last N decimal digits of a value that is not negative.
fn decimal<const N: usize>(value: i64) -> [u8; N] {
    let mut value = value.unsigned_abs();
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    digits
}

/// How many days a month has in the Gregorian calendar, carried back to the year 0000.
const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a new month begins in UTC with the second `unix_s`.
fn begins_month(unix_s: i64) -> bool {
    let (_, _, day) = civil(unix_s.div_euclid(SECONDS_PER_DAY));
    unix_s.rem_euclid(SECONDS_PER_DAY) == 0 && day == 1
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": a year that begins in March has its leap day at the
// end, and the lengths of its months follow (153 * month + 2) / 5. The years are counted from -400, so that nothing
// in the years 0000 to 9999 is negative.
const DAYS_PER_400_YEARS: i64 = 146_097;
/// From 1 March of the year -400 to 1970-01-01.
const DAYS_TO_1970: i64 = 865_565;

/// Days since 1970-01-01 of a day of the years 0000 to 9999.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year + 400 } else { year + 399 };
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + (day - 1) - DAYS_TO_1970
}

/// Year, month and day of a day given in days since 1970-01-01, years 0000 to 10000.
const fn civil(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era - 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}
