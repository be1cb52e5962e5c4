//! What is so about a company: a pure function of its country and number.

use std::borrow::Cow;

use serde::Deserialize;

use crate::draws::Draws;
use crate::profile::{Format, Lie};

/// Companies are made from this alone: they are the same in each rehearsal.
const SEED: u64 = 0x6e61_6d65;
const DAY_S: u64 = 86_400;

/// A company that somebody may ask for; those from `Customers::companies` on do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Company {
    pub(crate) country: [u8; 2],
    pub(crate) number: u64,
}

/// How a company's registry tells of it this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wording {
    /// V1 or V2; never mixed.
    pub(crate) format: Format,
    /// Whether a missing date is told as null, or left out.
    pub(crate) says_null: bool,
    /// The offset in which a date is told.
    pub(crate) offset_min: i64,
}

/// What a customer reads.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    active: bool,
    #[serde(borrow)]
    active_until: Option<Cow<'a, str>>,
}

impl Company {
    /// What the draws about it begin with.
    pub(crate) fn words(self) -> [u64; 2] {
        [u64::from(u16::from_be_bytes(self.country)), self.number]
    }

    fn draws(self) -> Draws {
        Draws::about(SEED, &self.words())
    }

    /// Its id: mostly plain, some with what must be encoded in a path.
    pub(crate) fn id(self) -> String {
        let mut draws = self.draws();
        let between = ["", "", "", "-", " ", "/", "é", "%"].get(draws.below(8) as usize).unwrap_or(&"");
        let check = char::from(b'A' + draws.below(26) as u8);
        format!("{:08}{between}{check}", self.number)
    }

    /// The company with this id, if it is written exactly so.
    pub(crate) fn of_id(country: [u8; 2], id: &str) -> Option<Self> {
        let number = id.get(..8)?.parse().ok()?;
        let company = Self { country, number };
        (company.id() == id).then_some(company)
    }

    /// Its name.
    pub(crate) fn name(self) -> String {
        let kinds =
            ["ООО «Ромашка»", "Müller & Söhne", "\"Acme\" Ltd", "株式会社", "Ł\\B Holdings", "Plain Trading"];
        let kind = kinds.get((self.draws().number() % 6) as usize).unwrap_or(&"");
        let [country, number] = self.words();
        format!("{kind} {country}.{number}")
    }

    /// Until when it is or was active, in seconds since 1970: none, well past, or well ahead.
    fn until_s(self) -> Option<u64> {
        let mut draws = Draws::about(SEED + 1, &self.words());
        let within = draws.below(7_000 * DAY_S);
        match draws.below(3) {
            0 => None,
            1 => Some(10_000 * DAY_S + within), // 1997 to 2016
            _ => Some(60_000 * DAY_S + within), // 2134 to 2153
        }
    }

    /// The registry's reply: (Content-Type, body).
    pub(crate) fn registry_says(self, wording: Wording) -> (&'static str, String) {
        let (kind, name_key, date_key) = match wording.format {
            Format::V1 => ("application/x-company-v1", "cn", "closed_on"),
            Format::V2 | Format::Mixed => ("application/x-company-v2", "company_name", "dissolved_on"),
        };
        let date = match self.until_s() {
            Some(until_s) => format!(r#","{date_key}":"{}""#, date(until_s, wording.offset_min)),
            None if wording.says_null => format!(r#","{date_key}":null"#),
            None => String::new(),
        };
        let name = serde_json::Value::String(self.name());
        (kind, format!(r#"{{"{name_key}":{name}{date},"registered":true}}"#))
    }

    /// A registry's reply that nobody can use: (Content-Type, body).
    pub(crate) fn registry_garbles(self, wording: Wording, lie: Lie) -> (&'static str, String) {
        let (kind, body) = self.registry_says(wording);
        // Both shapes' members stand in it, for whichever is looked for.
        let body = match lie {
            Lie::BrokenJson => body.trim_end_matches('}').to_owned(),
            Lie::WrongType => r#"{"cn":1,"company_name":["a"]}"#.to_owned(),
            Lie::NoName => r#"{"name":"a","registered":true}"#.to_owned(),
            Lie::BadDate => {
                r#"{"cn":"a","closed_on":"soon","company_name":"a","dissolved_on":"2021-02-30"}"#.to_owned()
            }
            Lie::UnknownType => return ("text/html", "<h1>It works</h1>".to_owned()),
        };
        (kind, body)
    }

    /// Whether a customer was told the truth.
    pub(crate) fn agrees(self, body: &[u8]) -> bool {
        let Ok(told) = serde_json::from_slice::<Told<'_>>(body) else { return false };
        let until_s = self.until_s();
        told.id == self.id()
            && told.name == self.name()
            && told.active == until_s.is_none_or(|until_s| until_s > 30_000 * DAY_S)
            && told.active_until.as_deref() == until_s.map(|until_s| date(until_s, 0)).as_deref()
    }
}

/// RFC 3339, by Hinnant's `civil_from_days`; `offset_min` is where it is told.
fn date(unix_s: u64, offset_min: i64) -> String {
    let local_s = unix_s.saturating_add_signed(offset_min * 60);
    let days = local_s / DAY_S + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (local_s / 3600 % 24, local_s / 60 % 60, local_s % 60);
    let zone = if offset_min == 0 {
        "Z".to_owned()
    } else {
        let sign = if offset_min < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", offset_min.abs() / 60, offset_min.abs() % 60)
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
}

#[cfg(test)]
mod tests {
    use backendify_core::registry::{BadReply, Fact, normalise};

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_s, offset_min, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (951_868_799, 0, "2000-02-29T23:59:59Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (1_609_459_199, 330, "2021-01-01T05:29:59+05:30"),
            (1_609_459_200, -300, "2020-12-31T19:00:00-05:00"),
        ] {
            assert_eq!(date(unix_s, offset_min), text);
        }
    }

    #[test]
    fn each_kind_of_lie_is_unusable_for_its_own_reason() {
        for (format, number) in [(Format::V1, 1), (Format::V2, 2)] {
            let company = Company { country: *b"us", number };
            let wording = Wording { format, says_null: false, offset_min: 0 };
            let judged = |lie| {
                let (kind, body) = company.registry_garbles(wording, lie);
                normalise(kind.as_bytes(), body.as_bytes()).unwrap_err()
            };
            assert_eq!(judged(Lie::BrokenJson), BadReply::NotObject);
            assert_eq!(judged(Lie::WrongType), BadReply::NotString(Fact::Name));
            assert_eq!(judged(Lie::NoName), BadReply::NameMissing);
            assert!(matches!(judged(Lie::BadDate), BadReply::Date(_)));
            assert_eq!(judged(Lie::UnknownType), BadReply::UnknownType);
        }
    }

    #[test]
    fn an_id_names_its_company_and_nothing_near_it_does() {
        for number in 0..500 {
            let company = Company { country: *b"us", number };
            let id = company.id();
            assert_eq!(Company::of_id(*b"us", &id), Some(company));
            assert_eq!(Company::of_id(*b"us", &format!("{id} ")), None);
            assert_eq!(Company::of_id(*b"us", id.trim_end_matches(|_| true)), None);
        }
    }

    #[test]
    fn only_the_whole_truth_agrees() {
        for number in 0..50 {
            let company = Company { country: *b"ru", number };
            let until = company.until_s().map(|until_s| date(until_s, 0));
            let active = company.until_s().is_none_or(|until_s| until_s > 30_000 * DAY_S);
            let right = serde_json::json!({"id": company.id(), "name": company.name(), "active": active});
            let with = |key: &str, value: serde_json::Value| {
                let mut told = right.clone();
                if let Some(until) = &until {
                    told["active_until"] = until.clone().into();
                }
                if !key.is_empty() {
                    told[key] = value;
                }
                company.agrees(told.to_string().as_bytes())
            };
            assert!(with("", true.into()));
            assert!(!with("name", "Another".into()));
            assert!(!with("id", "1".into()));
            assert!(!with("active", (!active).into()));
            assert!(!with("active_until", "2000-01-01T00:00:00Z".into()));
            assert!(!company.agrees(b"{}"));
        }
    }
}
