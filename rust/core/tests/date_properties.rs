//! Dates against a second implementation, jiff's calendar.

use backendify_core::date::{self, BadDate, Timestamp};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same cases every time: a failure of the day would be nobody's fault. Nothing is left in the tree.
fn rules(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3339),
        ..ProptestConfig::default()
    }
}

fn at(year: i16, month: i8, day: i8, second_of_day: i64) -> Option<DateTime> {
    let midnight = Date::new(year, month, day).ok()?.at(0, 0, 0, 0);
    Some(midnight + SignedDuration::from_secs(second_of_day))
}

/// Years everywhere, and often where they end.
fn years() -> impl Strategy<Value = i16> {
    prop_oneof![4 => 0..=9999_i16, 1 => 0..=4_i16, 1 => 9995..=9999_i16, 2 => 1890..=2110_i16]
}

/// Minutes east of UTC that can be written, and often those at the ends.
fn offsets_min() -> impl Strategy<Value = i64> {
    prop_oneof![3 => -1439..=1439_i64, 1 => -2..=2_i64, 1 => prop_oneof![Just(-1439), Just(1439)]]
}

fn offset_text(offset_min: i64) -> String {
    let sign = if offset_min < 0 { '-' } else { '+' };
    let minutes = offset_min.abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A fraction of a second as the contract tells it: nine digits, the rest cut, trailing zeros gone.
fn told_fraction(digits: &str) -> String {
    let kept = digits.get(..9).unwrap_or(digits).trim_end_matches('0');
    if kept.is_empty() { String::new() } else { format!(".{kept}") }
}

proptest! {
    #![proptest_config(rules(5_000))]

    /// Every day that can be written, those that do not exist too, at any time, offset and fraction.
    #[test]
    fn as_jiff_reckons(
        year in years(), month in 1..=12_i8, day in 1..=31_i8, second_of_day in 0..86_400_i64,
        offset_min in offsets_min(), digits in "[0-9]{0,30}", separator in "[Tt ]",
    ) {
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let point = if digits.is_empty() { "" } else { "." };
        let text = format!(
            "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{point}{digits}{}",
            offset_text(offset_min),
        );
        let Some(local) = at(year, month, day, second_of_day) else {
            prop_assert_eq!(date::parse(&text), Err(BadDate::Day), "{}", text);
            return Ok(());
        };
        let utc = local.checked_sub(SignedDuration::from_mins(offset_min)).ok().filter(|utc| utc.year() >= 0);
        let Some(utc) = utc else {
            prop_assert_eq!(date::parse(&text), Err(BadDate::Year), "{}", text);
            return Ok(());
        };
        let found = date::parse(&text).unwrap();
        prop_assert_eq!(found.to_string(), format!("{utc}{}Z", told_fraction(&digits)), "{}", text);
        let epoch = Date::constant(1970, 1, 1).at(0, 0, 0, 0);
        prop_assert_eq!(found.unix_s(), utc.duration_since(epoch).as_secs(), "{}", text);
    }

    /// The end of every month in UTC may have a leap second, told in any offset; it becomes the second after it.
    #[test]
    fn leap_seconds(
        year in years(), month in 1..=12_i8, days_early in 0..=3_i64, minutes_late in 0..=2_i64,
        offset_min in offsets_min(), digits in "[0-9]{1,12}",
    ) {
        let first = Date::new(year, month, 1).unwrap();
        let last_minute = first.last_of_month().at(23, 59, 0, 0) - SignedDuration::from_hours(24 * days_early);
        let utc = last_minute.checked_add(SignedDuration::from_mins(minutes_late)).ok();
        let local = utc.and_then(|utc| utc.checked_add(SignedDuration::from_mins(offset_min)).ok());
        prop_assume!(local.is_some_and(|local| local.year() >= 0));
        let (utc, local) = (utc.unwrap(), local.unwrap());
        let text = format!("{}:60.{digits}{}", local.strftime("%Y-%m-%dT%H:%M"), offset_text(offset_min));
        let found = date::parse(&text);
        if days_early > 0 || minutes_late > 0 {
            prop_assert_eq!(found, Err(BadDate::LeapSecond), "{}", text);
        } else if let Ok(next) = utc.checked_add(SignedDuration::from_secs(60)) {
            let told = format!("{next}{}Z", told_fraction(&digits));
            prop_assert_eq!(found.unwrap().to_string(), told, "{}", text);
        } else {
            prop_assert_eq!(found, Err(BadDate::Year), "{}", text);
        }
    }

    /// What is written is read back as the same instant.
    #[test]
    fn round_trip(unix_s in Timestamp::UNIX_S_MIN..=Timestamp::UNIX_S_MAX, nanoseconds in 0..1_000_000_000_u32) {
        let instant = Timestamp::from_unix(unix_s, nanoseconds).unwrap();
        prop_assert_eq!(date::parse(&instant.to_string()), Ok(instant));
    }

    /// Nothing panics, and what is taken for a date is one that can be told.
    #[test]
    fn any_text(text in prop_oneof![".*", "[0-9TtZz:+. -]{0,40}", "[0-9]{4}-[01][0-9]-[0-3][0-9]T.{0,20}"]) {
        if let Ok(instant) = date::parse(&text) {
            prop_assert_eq!(date::parse(&instant.to_string()), Ok(instant));
        }
    }

    /// One character more, less or another: never a panic, never an instant that cannot be told.
    #[test]
    fn mutated_text(place in 0..36_usize, with in prop_oneof!["", "[0-9:TZ.+-]", "."], cut in 0..=1_usize) {
        let mut chars: Vec<char> = "2016-12-31T23:59:60.123456789+00:00Z".chars().collect();
        chars.splice(place..(place + cut).min(36), with.chars());
        let text: String = chars.into_iter().collect();
        if let Ok(instant) = date::parse(&text) {
            prop_assert_eq!(date::parse(&instant.to_string()), Ok(instant), "{}", text);
        }
    }
}

/// Every day of the calendar, once: 3,652,425 of them.
#[test]
fn every_day() {
    let epoch = Date::constant(1970, 1, 1);
    let mut day = Date::constant(0, 1, 1);
    loop {
        let days = day.duration_since(epoch).as_hours() / 24;
        let instant = Timestamp::from_unix(days * 86_400, 0).unwrap();
        let text = instant.to_string();
        assert_eq!(text.get(..10), Some(day.to_string().as_str()));
        assert_eq!(date::parse(&text), Ok(instant));
        match day.tomorrow() {
            Ok(next) => day = next,
            Err(_) => break,
        }
    }
}
