//! Real companies, varied to as many as are asked for: the register of the Isle of Man again and again, each time under
//! another registry or with another suffix to the numbers, so that lengths and alphabets stay real.

use std::io::{self, Read};

use backendify_core::date::Timestamp;
use backendify_core::key::Key;
use backendify_core::record::Record;

const REGISTER: &[u8] = include_bytes!("../../../../python/backendify/rehearsal/companies-im.csv.gz");

/// Registries that the companies are spread over before their numbers take a suffix.
const REGISTRIES: u32 = 4;
/// The longest number, its suffix included.
const NUMBER_BYTES_MAX: usize = 16;

/// The register's numbers and names.
pub(crate) struct Companies {
    listed: Vec<(String, String)>,
}

/// One company of many.
pub(crate) struct Company<'a> {
    registry: u8,
    number: [u8; NUMBER_BYTES_MAX],
    number_bytes: usize,
    name: &'a str,
    active_until: Option<Timestamp>,
}

impl Companies {
    /// Unpacks the register.
    ///
    /// # Errors
    /// When it is no gzip, or no line of it holds a company.
    pub(crate) fn read() -> io::Result<Self> {
        let mut text = String::new();
        flate2::read::GzDecoder::new(REGISTER).read_to_string(&mut text)?;
        let listed: Vec<_> = text.lines().skip(1).filter_map(company_of).collect();
        if listed.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the register is empty"));
        }
        Ok(Self { listed })
    }

    /// The company of this index: the same for the same index, another for another.
    #[expect(clippy::indexing_slicing, reason = "the remainder by the length is less than the length")]
    pub(crate) fn company(&self, index: u32) -> Company<'_> {
        let listed = self.listed.len();
        let (number, name) = &self.listed[index as usize % listed];
        let round = u32::try_from(index as usize / listed).unwrap_or(u32::MAX);
        let mut company = Company {
            registry: u8::try_from(round % REGISTRIES).unwrap_or_default(),
            number: [0; NUMBER_BYTES_MAX],
            number_bytes: 0,
            name,
            active_until: active_until(index),
        };
        company.write(number.bytes());
        let mut suffix = round / REGISTRIES;
        while suffix > 0 {
            company.write([b'0' + u8::try_from(suffix % 10).unwrap_or_default()]);
            suffix /= 10;
        }
        company
    }
}

impl Company<'_> {
    fn write(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for (place, byte) in self.number.iter_mut().skip(self.number_bytes).zip(bytes) {
            *place = byte;
            self.number_bytes += 1;
        }
    }

    /// What a customer asks for.
    pub(crate) fn key(&self) -> Key<'_> {
        Key { registry: self.registry, id: self.number.get(..self.number_bytes).unwrap_or_default() }
    }

    /// What its registry says.
    pub(crate) fn record(&self) -> Record<'_> {
        Record::Company { name: self.name, active_until: self.active_until }
    }
}

/// One company in four has no day of closing; of the days one in eight has a fraction of a second.
fn active_until(index: u32) -> Option<Timestamp> {
    let draw = crate::draws::mixed(u64::from(index));
    let unix_s = i64::try_from(draw >> 8 & 0xffff_ffff).unwrap_or_default();
    let nanoseconds = if (draw >> 2) % 8 == 0 { 123_000_000 } else { 0 };
    Timestamp::from_unix(unix_s, nanoseconds).filter(|_| draw & 3 != 0)
}

/// Number and name of a line of CSV (RFC 4180).
fn company_of(line: &str) -> Option<(String, String)> {
    let (number, rest) = line.split_once(',')?;
    let name = match rest.strip_prefix('"') {
        None => rest.split(',').next()?.to_owned(),
        Some(quoted) => quoted.split_once("\",")?.0.replace("\"\"", "\""),
    };
    Some((number.to_owned(), name))
}
