//! Which company is asked for: the query string to a country and an id.
//!
//! A decoder of our own because broken escapes are errors here, which the well-kept crates let pass as text.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// What a customer asks: one company of one country. Borrowed from the query where nothing in it is escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question<'a> {
    /// The country as it was given, in any case, not checked; never empty.
    pub country: Cow<'a, str>,
    /// The company's number, byte for byte; never empty.
    pub id: Cow<'a, str>,
}

/// A parameter that a question needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// The company's number.
    Id,
    /// The country's two letters.
    CountryIso,
}

impl Parameter {
    const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::CountryIso => "country_iso",
        }
    }

    /// Which parameter an encoded name is; None for any other, broken ones too.
    fn named(encoded: &[u8]) -> Option<Self> {
        [Self::Id, Self::CountryIso]
            .into_iter()
            .find(|parameter| Decoded(encoded).eq(parameter.name().bytes().map(Some)))
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a query string is no question. The text is a sentence for the customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadQuery {
    /// The parameter is not there.
    #[error("The parameter {0} is missing.")]
    Missing(Parameter),
    /// The parameter has no value.
    #[error("The parameter {0} is empty.")]
    Empty(Parameter),
    /// The parameter is there more than once, be it with the same value.
    #[error("The parameter {0} is given twice.")]
    Twice(Parameter),
    /// A `%` in the value is not followed by two hexadecimal digits.
    #[error("The parameter {0} has a % without two hexadecimal digits after it.")]
    Escape(Parameter),
    /// The decoded value is not UTF-8.
    #[error("The parameter {0} is not UTF-8.")]
    NotUtf8(Parameter),
}

/// The question in a query string, given without its `?`.
///
/// `&` parts the parameters, `+` is a space, names may be percent-encoded like values
/// (<https://url.spec.whatwg.org/#urlencoded-parsing>). Other parameters are ignored, whatever they hold.
///
/// # Errors
/// [`BadQuery`] when `id` or `country_iso` is missing, empty, given twice, or cannot be decoded.
pub fn parse(query: &[u8]) -> Result<Question<'_>, BadQuery> {
    let mut id = None;
    let mut country = None;
    for pair in query.split(|&byte| byte == b'&') {
        let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
            None => (pair, [].as_slice()),
        };
        let Some(parameter) = Parameter::named(name) else { continue };
        let place = match parameter {
            Parameter::Id => &mut id,
            Parameter::CountryIso => &mut country,
        };
        if place.is_some() {
            return Err(BadQuery::Twice(parameter));
        }
        *place = Some(decode(parameter, value)?);
    }
    Ok(Question {
        country: country.ok_or(BadQuery::Missing(Parameter::CountryIso))?,
        id: id.ok_or(BadQuery::Missing(Parameter::Id))?,
    })
}

/// The value that a parameter holds: borrowed when nothing in it is escaped.
fn decode(parameter: Parameter, value: &[u8]) -> Result<Cow<'_, str>, BadQuery> {
    if value.is_empty() {
        return Err(BadQuery::Empty(parameter));
    }
    if !value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return match std::str::from_utf8(value) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => Err(BadQuery::NotUtf8(parameter)),
        };
    }
    let bytes = Decoded(value).collect::<Option<Vec<u8>>>().ok_or(BadQuery::Escape(parameter))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(BadQuery::NotUtf8(parameter)),
    }
}

/// The bytes that an encoded text stands for; None in place of a broken escape.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Self::Item> {
        let (byte, rest) = match self.0 {
            [] => return None,
            [b'%', high, low, rest @ ..] => (hex(*high, *low), rest),
            [b'%', rest @ ..] => (None, rest),
            [b'+', rest @ ..] => (Some(b' '), rest),
            [byte, rest @ ..] => (Some(*byte), rest),
        };
        self.0 = rest;
        Some(byte)
    }
}

/// The byte that two hexadecimal digits stand for, in either case.
fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
