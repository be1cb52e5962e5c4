//! What a registry says, to a company: one shape a version, chosen by the reply's own media type.

mod v1;
mod v2;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::date::{self, BadDate, Timestamp};
use crate::record::Record;

/// What we know of a company.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Company {
    /// Exactly the registry's string.
    pub name: String,
    /// When its activity ends or ended; None when the registry has no such date.
    pub active_until: Option<Timestamp>,
}

impl Company {
    /// What is remembered of it.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record::Company { name: &self.name, active_until: self.active_until }
    }
}

/// Why a 200 of a registry is no company. The texts name the fault, never the body.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadReply {
    /// Neither version's media type.
    #[error("The registry's answer has an unknown Content-Type.")]
    UnknownContentType,
    /// JSON is UTF-8 (RFC 8259 §8.1), all of it.
    #[error("The registry's answer is not UTF-8.")]
    NotUtf8,
    /// Not JSON at all.
    #[error("The registry's answer is not JSON.")]
    NotJson,
    /// JSON, but an array, a string, a number, …
    #[error("The registry's answer is not a JSON object.")]
    NotAnObject,
    /// No name.
    #[error("The registry's answer has no name.")]
    NameMissing,
    /// A name that is null, a number, …
    #[error("The registry's answer has a name that is not a string.")]
    NameNotAString,
    /// A date that is a number, an object, …
    #[error("The registry's answer has a date that is not a string.")]
    DateNotAString,
    /// A date that is no RFC 3339 date-time.
    #[error("The registry's answer has a date that is no RFC 3339 date-time: {0}.")]
    BadDate(#[from] BadDate),
}

/// The members of one version's object that we read.
struct Shape {
    name: &'static str,
    date: &'static str,
}

/// Reads the body of a registry's 200.
///
/// Members that we do not read may hold anything that JSON allows. Of a member that stands there twice the last one
/// counts, as with Python's, JavaScript's and Go's parsers.
///
/// # Errors
/// [`BadReply`]: the first fault that is met.
pub fn normalise(content_type: &[u8], body: &[u8]) -> Result<Company, BadReply> {
    let shape = shape_of(content_type).ok_or(BadReply::UnknownContentType)?;
    let text = std::str::from_utf8(body).map_err(|_| BadReply::NotUtf8)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_any(Members { shape }).map_err(|error| fault_of(&error))?;
    json.end().map_err(|_| BadReply::NotJson)?;
    let name = match members.name {
        Some(Member::Text(name)) => name.into_owned(),
        Some(Member::Null | Member::Other) => return Err(BadReply::NameNotAString),
        None => return Err(BadReply::NameMissing),
    };
    let active_until = match members.date {
        Some(Member::Text(text)) => Some(date::parse(&text)?),
        Some(Member::Other) => return Err(BadReply::DateNotAString),
        Some(Member::Null) | None => None,
    };
    Ok(Company { name, active_until })
}

fn shape_of(content_type: &[u8]) -> Option<Shape> {
    let media_type = content_type.split(|byte| *byte == b';').next()?.trim_ascii();
    if media_type.eq_ignore_ascii_case(v1::MEDIA_TYPE) {
        Some(v1::SHAPE)
    } else if media_type.eq_ignore_ascii_case(v2::MEDIA_TYPE) {
        Some(v2::SHAPE)
    } else {
        None
    }
}

fn fault_of(error: &serde_json::Error) -> BadReply {
    if error.is_data() { BadReply::NotAnObject } else { BadReply::NotJson }
}

/// The members found so far, and the visitor of the object that holds them.
struct Members {
    shape: Shape,
}

struct Found<'de> {
    name: Option<Member<'de>>,
    date: Option<Member<'de>>,
}

impl<'de> Visitor<'de> for Members {
    type Value = Found<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found { name: None, date: None };
        while let Some(key) = object.next_key_seed(KeySeed(&self.shape))? {
            match key {
                Key::Name => found.name = Some(object.next_value()?),
                Key::Date => found.date = Some(object.next_value()?),
                // Does not recurse, so that no depth of nesting can exhaust the stack.
                Key::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Which member a key names.
enum Key {
    Name,
    Date,
    Other,
}

/// Reads keys as bytes: a key that is no Unicode (a lone surrogate, escaped) is still one that we do not read.
struct KeySeed<'a>(&'a Shape);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Key, D::Error> {
        key.deserialize_bytes(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Key, E> {
        Ok(if key == self.0.name.as_bytes() {
            Key::Name
        } else if key == self.0.date.as_bytes() {
            Key::Date
        } else {
            Key::Other
        })
    }
}

/// The value of a member that we read.
enum Member<'de> {
    Text(Cow<'de, str>),
    Null,
    Other,
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Member<'de>, A::Error> {
        IgnoredAny.visit_seq(array).map(|_| Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Member<'de>, A::Error> {
        IgnoredAny.visit_map(object).map(|_| Member::Other)
    }
}
