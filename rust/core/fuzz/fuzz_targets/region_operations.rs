//! Random operations on a region of a few buckets against a dictionary: `cargo +nightly fuzz run region_operations`.
//!
//! The same property as `tests/region_model.rs`, with the operations found by coverage instead of drawn.
#![no_main]

use std::collections::HashMap;

use arbitrary::Arbitrary;
use backendify_core::date::Timestamp;
use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::record::Record;
use backendify_core::region::{BootTime, Kept, PAGE_BYTES, Page, Region, RegionError};
use libfuzzer_sys::fuzz_target;

const LIFETIMES: Lifetimes = Lifetimes { ttl_ds: 3000, negative_ttl_ds: 400, stale_ds: 50 };

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Put { registry: u8, id: &'a [u8], name: Option<&'a str>, unix_s: i64, nanoseconds: u32 },
    Get { registry: u8, id: &'a [u8] },
    Sweep { buckets: u8 },
    Pass { ds: u32 },
}

#[derive(Arbitrary, Debug)]
struct Run<'a> {
    more_buckets: u8,
    seed: [u64; 2],
    start: u32,
    steps: Vec<Step<'a>>,
}

fuzz_target!(|run: Run<'_>| {
    let Err(RegionError::TooSmall { needed, .. }) = Region::on_heap(0, LIFETIMES, run.seed) else {
        panic!("a region of no bytes")
    };
    let bytes = needed + usize::from(run.more_buckets % 4) * PAGE_BYTES;
    let region = Region::on_heap(bytes, LIFETIMES, run.seed).expect("enough bytes");
    let mut page = Page::default();
    let mut model = HashMap::new();
    let mut now = run.start;
    for step in run.steps {
        match step {
            Step::Put { registry, id, name, unix_s, nanoseconds } => {
                let active_until = Timestamp::from_unix(unix_s, nanoseconds);
                let record = name.map_or(Record::NotFound, |name| Record::Company { name, active_until });
                match region.put(Key { registry, id }, &record, BootTime(now)) {
                    Kept::Stored => drop(model.insert((registry, id), (record, now))),
                    Kept::Oversize => assert!(id.len() + name.map_or(0, str::len) > 980),
                    Kept::Busy => panic!("nobody else is here"),
                }
            }
            Step::Get { registry, id } => {
                if let Some(found) = region.get(Key { registry, id }, BootTime(now), &mut page) {
                    let (record, stored) = model[&(registry, id)];
                    assert_eq!((found.record, found.age_ds), (record, now - stored));
                    let is_company = matches!(record, Record::Company { .. });
                    let life_ds = if is_company { LIFETIMES.ttl_ds } else { LIFETIMES.negative_ttl_ds };
                    assert!(found.age_ds < life_ds + LIFETIMES.stale_ds, "past its time");
                }
            }
            Step::Sweep { buckets } => {
                region.sweep(u32::from(buckets), BootTime(now));
            }
            Step::Pass { ds } => now = now.saturating_add(ds),
        }
    }
});
