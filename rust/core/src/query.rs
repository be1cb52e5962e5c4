//! Which company is asked for: a query string to a question.
//!
//! `application/x-www-form-urlencoded` as browsers write it (WHATWG URL §5.1), read strictly where it matters: what is
//! wrong in `id` or `country_iso` is told, never guessed. Other parameters are ignored, whatever they hold.

use std::borrow::Cow;

/// One company of one country, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question<'a> {
    /// The value of `country_iso`, in the customer's case, whether a country or not.
    pub country: Cow<'a, str>,
    /// The value of `id`, decoded; never empty.
    pub id: Cow<'a, str>,
}

/// A parameter that a question needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// `id`
    Id,
    /// `country_iso`
    Country,
}

impl Parameter {
    const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Country => "country_iso",
        }
    }
}

/// Why a query string is no question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadQuery {
    /// It is not there.
    #[error("The parameter {} is missing.", .0.name())]
    Missing(Parameter),
    /// It is there, with nothing in it.
    #[error("The parameter {} is empty.", .0.name())]
    Empty(Parameter),
    /// It is there more than once.
    #[error("The parameter {} is given more than once.", .0.name())]
    Twice(Parameter),
    /// A `%` without two hexadecimal digits after it (RFC 3986 §2.1).
    #[error("The parameter {} has a broken percent-encoding.", .0.name())]
    BrokenEscape(Parameter),
    /// Decoded bytes that are no UTF-8.
    #[error("The parameter {} is not UTF-8.", .0.name())]
    NotUtf8(Parameter),
}

/// Reads what stands after the `?` of a request target.
///
/// Borrows from `query` where nothing is escaped.
///
/// # Errors
/// [`BadQuery`], for the first fault in the order of the string; what is missing comes last.
pub fn parse(query: &[u8]) -> Result<Question<'_>, BadQuery> {
    let (mut id, mut country) = (None, None);
    for pair in query.split(|byte| *byte == b'&') {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        // A name that cannot be decoded is none that we know.
        let (parameter, value) = match decode(name).as_deref() {
            Ok(b"id") => (Parameter::Id, &mut id),
            Ok(b"country_iso") => (Parameter::Country, &mut country),
            _ => continue,
        };
        let text = text(parameter, halves.next().unwrap_or_default())?;
        if value.replace(text).is_some() {
            return Err(BadQuery::Twice(parameter));
        }
    }
    Ok(Question {
        id: id.ok_or(BadQuery::Missing(Parameter::Id))?,
        country: country.ok_or(BadQuery::Missing(Parameter::Country))?,
    })
}

fn text(parameter: Parameter, value: &[u8]) -> Result<Cow<'_, str>, BadQuery> {
    if value.is_empty() {
        return Err(BadQuery::Empty(parameter));
    }
    match decode(value).map_err(|BrokenEscape| BadQuery::BrokenEscape(parameter))? {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    }
    .ok_or(BadQuery::NotUtf8(parameter))
}

struct BrokenEscape;

/// `%41` is `A`, `+` is a space. Own code: the `percent-encoding` crate passes broken escapes on as they are.
fn decode(encoded: &[u8]) -> Result<Cow<'_, [u8]>, BrokenEscape> {
    if !encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(encoded));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, after @ ..] = rest {
        rest = after;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => {
                let [high, low, after @ ..] = after else { return Err(BrokenEscape) };
                rest = after;
                hex_digit(*high)? << 4 | hex_digit(*low)?
            }
            other => *other,
        });
    }
    Ok(Cow::Owned(decoded))
}

const fn hex_digit(byte: u8) -> Result<u8, BrokenEscape> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(BrokenEscape),
    }
}
