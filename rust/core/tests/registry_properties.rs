//! Registries' replies: what a second parser reads is what we read, and hostile bodies harm nothing.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use backendify_core::registry::{self, BadReply, Company, Fact};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

const V1: &[u8] = b"application/x-company-v1";
const V2: &[u8] = b"application/x-company-v2";
const DEPTH: usize = 10_000;

fn rules(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(8259),
        ..ProptestConfig::default()
    }
}

/// Any JSON value, a few levels deep.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("2021-12-31T22:00:00Z")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// A reply of either version with the members that count, others, and any white space that the printer makes.
fn bodies() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let members = prop::collection::btree_map(
        prop_oneof![
            Just("cn".to_owned()),
            Just("closed_on".to_owned()),
            Just("company_name".to_owned()),
            Just("dissolved_on".to_owned()),
            any::<String>(),
        ],
        values(),
        0..8,
    );
    (any::<bool>(), members, any::<bool>()).prop_map(|(first, members, pretty)| {
        let body = if pretty { serde_json::to_vec_pretty(&members) } else { serde_json::to_vec(&members) };
        (first, body.unwrap())
    })
}

proptest! {
    #![proptest_config(rules(2_000))]

    #[test]
    fn any_name(name: String, unix_s in -62_167_219_200..=253_402_300_799_i64, nanoseconds in 0..1_000_000_000_u32) {
        let until = backendify_core::date::Timestamp::from_unix(unix_s, nanoseconds).unwrap();
        let body = json!({"company_name": name, "dissolved_on": until.to_string()}).to_string();
        let company = registry::normalise(V2, body.as_bytes());
        prop_assert_eq!(company, Ok(Company { name, active_until: Some(until) }));
    }

    /// The same facts as in a tree built by serde_json.
    #[test]
    fn as_a_tree((first, body) in bodies()) {
        let tree: Value = serde_json::from_slice(&body).unwrap();
        let (kind, name, date) = if first { (V1, "cn", "closed_on") } else { (V2, "company_name", "dissolved_on") };
        let found = registry::normalise(kind, &body);
        match (tree.get(name), tree.get(date)) {
            (None, _) => prop_assert_eq!(found, Err(BadReply::NameMissing)),
            (Some(Value::String(name)), None | Some(Value::Null)) => {
                prop_assert_eq!(found, Ok(Company { name: name.clone(), active_until: None }));
            }
            (Some(Value::String(name)), Some(Value::String(date))) => {
                match (found, backendify_core::date::parse(date)) {
                    (Ok(company), Ok(until)) => {
                        prop_assert_eq!(company, Company { name: name.clone(), active_until: Some(until) });
                    }
                    (Err(BadReply::Date(found)), Err(fault)) => prop_assert_eq!(found, fault),
                    (found, date) => prop_assert!(false, "{:?} for {:?}", found, date),
                }
            }
            (Some(Value::String(_)), _) => prop_assert_eq!(found, Err(BadReply::NotString(Fact::ActiveUntil))),
            _ => prop_assert_eq!(found, Err(BadReply::NotString(Fact::Name))),
        }
    }

    #[test]
    fn any_bytes(
        kind in prop_oneof![Just(V1.to_vec()), prop::collection::vec(any::<u8>(), 0..40)],
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = registry::normalise(&kind, &body);
    }

    /// Good bodies with bytes changed, put in, cut out, doubled: whatever is taken is JSON for a second parser too.
    #[test]
    fn mutated_bodies(
        (first, mut body) in bodies(),
        strokes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        for (place, byte, stroke) in strokes {
            let at = place.index(body.len() + 1);
            match stroke {
                0 => body.insert(at, byte),
                1 => body.insert(at, b"\"\\{}[]:,u0"[usize::from(byte) % 10]),
                2 => body.truncate(at),
                _ => body.extend_from_within(at..),
            }
        }
        if registry::normalise(if first { V1 } else { V2 }, &body).is_ok() {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
        }
    }
}

/// Runs on a stack that recursion to this depth would overflow.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(64 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn ignored_members_may_be_deep() {
    on_a_small_stack(|| {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH));
            for body in
                [format!(r#"{{"x":{deep},"cn":"A"}}"#), format!(r#"{{"cn":{deep},"x":{deep},"cn":"A"}}"#)]
            {
                let company = registry::normalise(V1, body.as_bytes());
                assert_eq!(company, Ok(Company { name: "A".to_owned(), active_until: None }));
            }
        }
    });
}

#[test]
fn deep_facts_and_deep_garbage_are_refused() {
    on_a_small_stack(|| {
        let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        for (body, fault) in [
            (format!(r#"{{"cn":{deep}}}"#), BadReply::NotString(Fact::Name)),
            (format!(r#"{{"cn":"A","closed_on":{deep}}}"#), BadReply::NotString(Fact::ActiveUntil)),
            (deep.clone(), BadReply::NotObject),
            ("[".repeat(DEPTH), BadReply::NotObject),
            (r#"{"cn":"#.repeat(DEPTH), BadReply::NotObject),
            (format!(r#"{{"cn":"A","x":{}"#, r#"{"a":["#.repeat(DEPTH)), BadReply::NotObject),
        ] {
            assert_eq!(registry::normalise(V1, body.as_bytes()), Err(fault));
        }
    });
}

#[test]
fn no_fault_tells_the_body() {
    for body in [
        r#"{"cn":"s3cret","closed_on":"s3cret"}"#,
        r#"{"cn":["s3cret"]}"#,
        r#"{"s3cret":"s3cret"}"#,
        "s3cret",
    ] {
        let fault = registry::normalise(V1, body.as_bytes()).unwrap_err();
        assert!(!fault.to_string().contains("s3cret"), "{fault}");
        assert!(!registry::normalise(b"s3cret", b"{}").unwrap_err().to_string().contains("s3cret"));
    }
}
