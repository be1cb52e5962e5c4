//! Real companies, varied to as many as are wanted, so that lengths and alphabets stay real. For benchmarks and simulations.

use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// 37,782 companies of the Isle of Man's public register.
const REGISTER: &str = "../../python/backendify/rehearsal/companies-im.csv.gz";

/// Rounds over the register that one registry's numbers can tell apart.
const ROUNDS: usize = 27;

/// A company as its register writes it.
#[derive(Clone, Debug)]
pub(crate) struct Company {
    /// Which registry, from 1.
    pub(crate) registry: u8,
    /// Six digits and a letter.
    pub(crate) id: String,
    /// 22 bytes on average, 102 at most.
    pub(crate) name: String,
}

/// The first `count` companies of the register told over and over: each round writes its letter over the first digit of
/// the numbers, and after the alphabet the next registry begins. No two are the same, and none is longer.
///
/// # Panics
/// When the file is missing or damaged.
pub(crate) fn varied(count: usize) -> Vec<Company> {
    let register = register();
    let vary = |index: usize| {
        let mut company = register[index % register.len()].clone();
        let round = index / register.len();
        company.registry = u8::try_from(1 + round / ROUNDS).expect("under 255 registries");
        if round % ROUNDS > 0 {
            let letter = char::from(b'A' + u8::try_from(round % ROUNDS - 1).expect("a letter"));
            // The numbers begin with 0 or 1.
            let letter = if company.id.starts_with('0') { letter } else { letter.to_ascii_lowercase() };
            company.id.replace_range(..1, letter.encode_utf8(&mut [0; 4]));
        }
        company
    };
    (0..count).map(vary).collect()
}

fn register() -> Vec<Company> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REGISTER);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("gzip of UTF-8");
    text.lines().skip(1).map(company).collect()
}

fn company(line: &str) -> Company {
    let (id, rest) = line.split_once(',').expect("a number");
    let name = match rest.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.rfind("\",").expect("a closing quote");
            quoted[..end].replace("\"\"", "\"")
        }
        None => rest.split(',').next().expect("a name").to_owned(),
    };
    Company { registry: 1, id: id.to_owned(), name }
}
