//! Queries: what is percent-encoded is found again, and nothing panics.

use backendify_core::query;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn rules(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3986),
        ..ProptestConfig::default()
    }
}

/// `text` with every byte escaped that `bare` does not spare: `hex` small or capital, a space perhaps as a plus.
fn encode(text: &str, bare: &[bool], small: bool, plus: bool) -> String {
    let escape = |(byte, bare): (u8, &bool)| {
        let special = matches!(byte, b'%' | b'&' | b'+') || !byte.is_ascii();
        match byte {
            b' ' if plus => "+".to_owned(),
            _ if *bare && !special => char::from(byte).to_string(),
            _ if small => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        }
    };
    text.bytes().zip(bare.iter().cycle()).map(escape).collect()
}

proptest! {
    #![proptest_config(rules(2_000))]

    #[test]
    fn round_trip(
        id in any::<String>().prop_filter("not empty", |id| !id.is_empty()), country in "\\PC{1,6}",
        bare in prop::collection::vec(any::<bool>(), 1..20), small: bool, plus: bool, swapped: bool,
        others in prop::collection::vec("[a-h]{1,2}=[^&]{0,8}", 0..3),
    ) {
        let mut pairs = vec![
            format!("id={}", encode(&id, &bare, small, plus)),
            format!("country_iso={}", encode(&country, &bare, !small, !plus)),
        ];
        if swapped {
            pairs.swap(0, 1);
        }
        pairs.splice(1..1, others);
        let text = pairs.join("&");
        let question = query::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(question.id, id);
        prop_assert_eq!(question.country, country);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = query::parse(&bytes);
    }

    /// Pieces that mean something, put together at random: what comes out was there.
    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop_oneof![
        Just("id"), Just("country_iso"), Just("="), Just("&"), Just("%"), Just("%6"), Just("%69"), Just("+"), Just("d"),
        Just("\u{e4}"), Just("%ff"), Just("1"), Just("ru"),
    ], 0..24)) {
        if let Ok(question) = query::parse(pieces.concat().as_bytes()) {
            prop_assert!(!question.id.is_empty() && !question.country.is_empty());
        }
    }
}

/// The hot path takes no memory: what is not escaped is the query's own bytes.
#[test]
fn plain_text_is_borrowed() {
    let question = query::parse(b"id=0012345V&country_iso=im").unwrap();
    assert!(matches!(question.id, std::borrow::Cow::Borrowed("0012345V")));
    assert!(matches!(question.country, std::borrow::Cow::Borrowed("im")));
}
