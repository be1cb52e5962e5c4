//! What a record costs beyond its facts, and how full the region is when records begin to make room for others.

use std::error::Error;
use std::fmt::Write as _;

use backendify_core::date::Timestamp;
use backendify_core::record::Record;
use backendify_core::region::PAGE_BYTES;

use crate::companies::{Companies, Company};
use crate::{NOW, region};

/// Bytes of a bucket before its entries.
const BUCKET_HEAD_BYTES: usize = 64;
/// Fingerprint and length, beside the bytes of its entry.
const SLOT_BYTES: u64 = 2;
/// Evictions are counted over so many stores.
const WINDOW: u32 = 5_000;
/// A line of the curve for every half percent from here on.
const CURVE_PERCENT: f64 = 90.0;

/// What the region held when the first of its windows saw evictions as often as this.
struct Threshold {
    name: &'static str,
    per_store: f64,
}

/// Id, name and date of a company, the date as five bytes of seconds and four of nanoseconds where there are any.
fn fact_bytes(company: &Company<'_>) -> usize {
    let record_bytes = match company.record() {
        Record::NotFound => 0,
        Record::Company { name, active_until } => {
            let until_bytes = |until: Timestamp| if until.nanoseconds() == 0 { 5 } else { 9 };
            name.len() + active_until.map_or(0, until_bytes)
        }
    };
    company.key().id.len() + record_bytes
}

/// Fills a region of `bytes` with companies, each once, and prints what evictions and overhead became of it.
pub(crate) fn print(companies: &Companies, bytes: usize) -> Result<(), Box<dyn Error>> {
    let region = region(bytes)?;
    let room_bytes = region.buckets() as usize * (PAGE_BYTES - BUCKET_HEAD_BYTES);
    let mut thresholds = vec![
        Threshold { name: "the first live eviction", per_store: 0.0 },
        Threshold { name: "1 store in 1000 evicts", per_store: 0.001 },
        Threshold { name: "1 store in 100 evicts", per_store: 0.01 },
        Threshold { name: "1 store in 2 evicts", per_store: 0.5 },
    ];
    let mut facts_total = 0;
    let mut evictions_before = 0;
    let mut next_percent = CURVE_PERCENT;
    let mut curve = String::new();
    println!(
        "{bytes} bytes, {} buckets. Overhead: all bytes of the region, its header too, less id, name and date.",
        region.buckets()
    );
    println!("{:<26}{:>10}{:>10}{:>14}{:>12}", "at", "fill %", "records", "bytes/record", "overhead");
    for index in 0..u32::MAX {
        let company = companies.company(index);
        region.put(company.key(), &company.record(), NOW);
        facts_total += fact_bytes(&company);
        if index % WINDOW != WINDOW - 1 {
            continue;
        }
        let stats = region.stats();
        let fill_percent = 100.0 * (stats.bytes + SLOT_BYTES * stats.records) as f64 / room_bytes as f64;
        let per_store = (stats.evictions - evictions_before) as f64 / f64::from(WINDOW);
        evictions_before = stats.evictions;
        // What was evicted had facts as long as all others, on average.
        let facts = facts_total as f64 / f64::from(index + 1);
        let per_record = bytes as f64 / stats.records as f64;
        while thresholds.first().is_some_and(|threshold| per_store > threshold.per_store) {
            let Threshold { name, .. } = thresholds.remove(0);
            let overhead = per_record - facts;
            println!("{name:<26}{fill_percent:>10.2}{:>10}{per_record:>14.2}{overhead:>12.2}", stats.records);
        }
        if fill_percent >= next_percent {
            writeln!(curve, "{fill_percent:>8.2}{:>12}{per_store:>18.4}", stats.records)?;
            next_percent += 0.5;
        }
        if per_store > 0.97 || stats.stores > 2 * stats.records {
            break;
        }
    }
    println!("\n{:>8}{:>12}{:>18}\n{curve}", "fill %", "records", "evictions/store");
    Ok(())
}
