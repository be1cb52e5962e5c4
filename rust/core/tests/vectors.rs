//! The cases in `/tests/vectors`, which the Python tests read too.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

use std::fs;

use backendify_core::registry::{self, Company};
use backendify_core::{date, query};
use serde_json::Value;

/// The cases of one file, at least `count_min` of them: an empty file must not pass.
fn cases(file: &str, count_min: usize) -> Vec<Value> {
    let path = format!("{}/../../tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() >= count_min, "{file} has only {} cases", cases.len());
    cases
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{case} lacks {key}"))
}

/// Bytes that are told as one character each.
fn bytes_of(latin_1: &str) -> Vec<u8> {
    latin_1.chars().map(|char| u8::try_from(char).unwrap()).collect()
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn dates() {
    for case in cases("dates", 150) {
        match (date::parse(text(&case, "text")), case["utc"].as_str()) {
            (Ok(found), Some(utc)) => {
                assert_eq!(found.to_string(), utc, "{case}");
                assert_eq!(date::parse(utc), Ok(found), "{case}");
            }
            (Err(fault), None) => assert_eq!(fault.to_string(), text(&case, "fault"), "{case}"),
            (found, _) => panic!("{found:?} for {case}"),
        }
    }
}

#[test]
fn queries() {
    for case in cases("queries", 60) {
        let raw = bytes_of(text(&case, "query"));
        match (query::parse(&raw), case["id"].as_str()) {
            (Ok(question), Some(id)) => {
                assert_eq!(question.id, id, "{case}");
                assert_eq!(question.country, text(&case, "country"), "{case}");
            }
            (Err(fault), None) => assert_eq!(fault.to_string(), text(&case, "fault"), "{case}"),
            (found, _) => panic!("{found:?} for {case}"),
        }
    }
}

fn replies(file: &str) {
    for case in cases(file, 60) {
        let content_type = bytes_of(text(&case, "content_type"));
        let body = match case["body_hex"].as_str() {
            Some(hex) => bytes_of_hex(hex),
            None => text(&case, "body").as_bytes().to_vec(),
        };
        match (registry::normalise(&content_type, &body), &case["company"]) {
            (Ok(Company { name, active_until }), company @ Value::Object(_)) => {
                assert_eq!(name, text(company, "name"), "{case}");
                let active_until = active_until.map(|until| until.to_string());
                assert_eq!(active_until.as_deref(), company["active_until"].as_str(), "{case}");
            }
            (Err(fault), Value::Null) => assert_eq!(fault.to_string(), text(&case, "fault"), "{case}"),
            (found, _) => panic!("{found:?} for {case}"),
        }
    }
}

#[test]
fn replies_of_version_1() {
    replies("registry_v1");
}

#[test]
fn replies_of_version_2() {
    replies("registry_v2");
}
