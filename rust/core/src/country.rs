//! Which registry a country's questions go to.

/// How many registries one service can front: every pair of two ASCII letters could be one, but a record names its
/// registry in one byte.
pub const REGISTRIES_MAX: usize = 255;

const LETTERS: usize = 26;

/// From two ASCII letters, in any case, to the number of a registry: its place in the configuration.
#[derive(Clone, Debug)]
pub struct Countries {
    registry_of: [Option<u8>; LETTERS * LETTERS],
}

/// Why a list of countries cannot be served.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadCountries {
    /// Not two ASCII letters.
    #[error("'{0}' is no country: two ASCII letters are expected")]
    NotTwoLetters(String),
    /// The same country twice, in whatever case.
    #[error("'{0}' is given twice: one registry a country is expected")]
    Twice(String),
    /// More than [`REGISTRIES_MAX`].
    #[error("there are {0} registries: at most {REGISTRIES_MAX} are expected")]
    TooMany(usize),
}

impl Countries {
    /// Numbers `countries` in their order, from 0.
    ///
    /// # Errors
    /// [`BadCountries`], naming the first country that is none or that stands there twice.
    pub fn new<S: AsRef<str>>(countries: &[S]) -> Result<Self, BadCountries> {
        if countries.len() > REGISTRIES_MAX {
            return Err(BadCountries::TooMany(countries.len()));
        }
        let mut registry_of = [None; LETTERS * LETTERS];
        for (country, number) in countries.iter().map(AsRef::as_ref).zip(0_u8..) {
            let slot = place(country).and_then(|place| registry_of.get_mut(place));
            match slot {
                None => return Err(BadCountries::NotTwoLetters(country.to_owned())),
                Some(Some(_)) => return Err(BadCountries::Twice(country.to_owned())),
                Some(free) => *free = Some(number),
            }
        }
        Ok(Self { registry_of })
    }

    /// The registry of `country`; None when none is configured, as for everything that is not two letters.
    #[must_use]
    pub fn registry_of(&self, country: &str) -> Option<u8> {
        place(country).and_then(|place| self.registry_of.get(place).copied().flatten())
    }
}

fn place(country: &str) -> Option<usize> {
    let &[first, second] = country.as_bytes() else { return None };
    Some(letter(first)? * LETTERS + letter(second)?)
}

fn letter(byte: u8) -> Option<usize> {
    byte.is_ascii_alphabetic().then(|| usize::from(byte.to_ascii_lowercase() - b'a'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        let countries = Countries::new(&["ru", "US", "Zz"]).unwrap();
        for (country, registry) in
            [("ru", Some(0)), ("RU", Some(0)), ("us", Some(1)), ("zZ", Some(2)), ("aa", None)]
        {
            assert_eq!(countries.registry_of(country), registry, "{country}");
        }
    }

    #[test]
    fn what_is_not_two_letters_has_no_registry() {
        let countries = Countries::new(&["ru"]).unwrap();
        for country in ["", "r", "rus", "r1", "r ", "рф", "é"] {
            assert_eq!(countries.registry_of(country), None, "{country}");
        }
    }

    #[test]
    fn wrong_lists_are_refused() {
        assert_eq!(Countries::new(&["ru", "x1"]).unwrap_err(), BadCountries::NotTwoLetters("x1".into()));
        assert_eq!(Countries::new(&["ru", "RU"]).unwrap_err(), BadCountries::Twice("RU".into()));
        let many: Vec<String> = (b'a'..=b'j')
            .flat_map(|a| (b'a'..=b'z').map(move |b| format!("{}{}", a as char, b as char)))
            .collect();
        assert!(Countries::new(&many[..REGISTRIES_MAX]).is_ok());
        assert_eq!(Countries::new(&many).unwrap_err(), BadCountries::TooMany(260));
    }
}
