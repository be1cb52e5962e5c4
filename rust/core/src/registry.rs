//! What a registry says, to a company: the Content-Type names the shape, the shape names two members of a JSON object.
//!
//! A new shape is one file like `registry/v1.rs` and one entry in the list of shapes here.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::date::{self, BadDate, Timestamp};
use crate::record::Record;

mod v1;
mod v2;

const SHAPES: [&Shape; 2] = [&v1::V1, &v2::V2];

/// What tells one kind of reply from another.
struct Shape {
    /// The Content-Type, lower case, without parameters.
    media_type: &'static [u8],
    /// The member that holds the company's name.
    name: &'static str,
    /// The member that holds the date when the company stopped, or will stop, being active.
    active_until: &'static str,
}

/// A company as its registry tells it, whatever the shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Company {
    /// Exactly the registry's string; may be empty.
    pub name: String,
    /// When the company stopped, or will stop, being active; None when the registry has no such date.
    pub active_until: Option<Timestamp>,
}

impl Company {
    /// The same facts as they are remembered.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record::Company { name: &self.name, active_until: self.active_until }
    }
}

/// What a reply must tell, or may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The company's name.
    Name,
    /// The date when it stopped, or will stop, being active.
    ActiveUntil,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "company's name",
            Self::ActiveUntil => "date of closing",
        })
    }
}

/// Why a reply is unusable. The text is a sentence for the customer: the kind of fault, nothing of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadReply {
    /// The Content-Type names no shape known here, or is missing.
    #[error("The registry's reply is of an unknown type.")]
    UnknownType,
    /// The body is not UTF-8 as a whole.
    #[error("The registry's reply is not UTF-8.")]
    NotUtf8,
    /// The body is not JSON (RFC 8259), or JSON but not an object.
    #[error("The registry's reply is not a JSON object.")]
    NotObject,
    /// There is no name.
    #[error("The company's name is missing in the registry's reply.")]
    NameMissing,
    /// The value is of another JSON type; for the date, `null` is right as well.
    #[error("The {0} in the registry's reply is not a string.")]
    NotString(Fact),
    /// The string escapes half of a surrogate pair: no text, and nothing that UTF-8 could tell.
    #[error("The {0} in the registry's reply is not Unicode text.")]
    NotUnicode(Fact),
    /// The date is no RFC 3339 date-time, or one that no answer could tell.
    #[error("The date of closing in the registry's reply is no valid RFC 3339 date-time: {0}.")]
    Date(BadDate),
}

/// The company in a registry's reply of status 200; `content_type` is the header's value, empty without the header.
///
/// Of members given twice the last one counts, as in the parsers of Python, JavaScript and Go. Members that are
/// neither the name nor the date may hold anything that JSON's grammar allows, to any depth.
///
/// # Errors
/// [`BadReply`] when the reply is none of the known shapes.
pub fn normalise(content_type: &[u8], body: &[u8]) -> Result<Company, BadReply> {
    let shape = shape_of(content_type).ok_or(BadReply::UnknownType)?;
    let text = std::str::from_utf8(body).map_err(|_| BadReply::NotUtf8)?;
    let facts = read_facts(shape, text).map_err(|_| BadReply::NotObject)?;

    let name = string(facts.name.ok_or(BadReply::NameMissing)?, Fact::Name)?.into_owned();
    let active_until = match facts.active_until {
        Some(value) if value.get() != "null" => {
            Some(date::parse(&string(value, Fact::ActiveUntil)?).map_err(BadReply::Date)?)
        }
        _ => None,
    };
    Ok(Company { name, active_until })
}

/// The shape that a Content-Type names, its parameters and its case ignored (RFC 9110, 8.3.1).
fn shape_of(content_type: &[u8]) -> Option<&'static Shape> {
    let media_type = content_type.split(|&byte| byte == b';').next()?.trim_ascii();
    SHAPES.into_iter().find(|shape| media_type.eq_ignore_ascii_case(shape.media_type))
}

/// The values of a shape's two members, still as JSON text, so that only the last of several is judged.
#[derive(Default)]
struct Facts<'a> {
    name: Option<&'a RawValue>,
    active_until: Option<&'a RawValue>,
}

fn read_facts<'a>(shape: &Shape, text: &'a str) -> serde_json::Result<Facts<'a>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let facts = json.deserialize_map(shape)?;
    json.end()?;
    Ok(facts)
}

impl<'de> Visitor<'de> for &Shape {
    type Value = Facts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Facts<'de>, A::Error> {
        let mut facts = Facts::default();
        // Member names are read raw as well: an ignored one may escape half of a surrogate pair.
        while let Some(member) = members.next_key::<&RawValue>()? {
            let member = unescape(member.get());
            if member.as_deref() == Some(self.name) {
                facts.name = Some(members.next_value()?);
            } else if member.as_deref() == Some(self.active_until) {
                facts.active_until = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(facts)
    }
}

/// The text of a value that must be a string.
fn string(value: &RawValue, fact: Fact) -> Result<Cow<'_, str>, BadReply> {
    if !value.get().starts_with('"') {
        return Err(BadReply::NotString(fact));
    }
    unescape(value.get()).ok_or(BadReply::NotUnicode(fact))
}

/// The text of a JSON string that is known to be well-formed; None when it escapes half of a surrogate pair.
fn unescape(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}
