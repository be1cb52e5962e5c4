//! What the region holds, when it begins to evict, and what it keeps beside other caches of as many entries.
//!
//! `cargo run --release --package simulation`
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a program that prints a table, and stops at the first surprise"
)]

#[path = "../../../rust/core/testing/companies.rs"]
mod companies;
mod policies;
mod traces;

use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::record::Record;
use backendify_core::region::{BootTime, Page, Region};
use companies::Company;
use policies::{Lru, Moka, Policy, Sieve};
use traces::{Disturbance, Random, Trace, Zipf};

const LIFETIMES: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
const NOW: BootTime = BootTime(1000);
const HEADER_BYTES: usize = 64 << 10;

fn key(company: &Company) -> Key<'_> {
    Key { registry: company.registry, id: company.id.as_bytes() }
}

fn put(region: &Region, company: &Company) {
    region.put(key(company), &Record::Company { name: &company.name, active_until: None }, NOW);
}

/// In an order that has nothing to do with the register's.
fn shuffled(count: usize) -> Vec<Company> {
    let mut companies = companies::varied(count);
    let mut random = Random(1);
    for index in (1..companies.len()).rev() {
        let bound = u32::try_from(index + 1).expect("under four billion");
        companies.swap(index, random.below(bound) as usize);
    }
    companies
}

/// Fills a region of `bytes` until well after it evicts.
fn density(bytes: usize) {
    let region = Region::on_heap(bytes, LIFETIMES, [3, 4]).expect("memory");
    let companies = shuffled(bytes / 30);
    let mut content_bytes = 0;
    println!("A region of {bytes} bytes, filled with real companies varied, none with a date:");
    println!("| stored | held | evicted since the line above | share of the bytes in use |");
    println!("|---:|---:|---:|---:|");
    let mut first_eviction = None;
    let mut evicted_before = 0;
    let step = companies.len() / 60;
    for (index, company) in companies.iter().enumerate() {
        put(&region, company);
        content_bytes += company.id.len() + company.name.len();
        if index + 1 == 1_000_000 {
            let mut page = Page::default();
            let found = companies[..=index].iter().filter(|company| {
                let told = Record::Company { name: &company.name, active_until: None };
                region.get(key(company), NOW, &mut page).is_some_and(|found| found.record == told)
            });
            println!(
                "| 1000000 | {} found again, each by its name | {} | |",
                found.count(),
                region.stats().evictions
            );
        }
        if (index + 1) % 64 == 0 || first_eviction.is_none() {
            let stats = region.stats();
            if first_eviction.is_none() && stats.evictions > 0 {
                let overhead = (bytes - content_bytes) as f64 / (index + 1) as f64;
                let used = (stats.bytes + 2 * stats.records + HEADER_BYTES as u64) as f64 / bytes as f64;
                first_eviction = Some((index + 1, overhead, used));
            }
            if (index + 1) % (step / 64 * 64) == 0 && used_share(&region, bytes) > 0.93 {
                println!(
                    "| {} | {} | {} | {:.2} % |",
                    index + 1,
                    stats.records,
                    stats.evictions - evicted_before,
                    100.0 * used_share(&region, bytes)
                );
                evicted_before = stats.evictions;
            }
        }
    }
    let (records, overhead, used) = first_eviction.expect("more companies than room");
    let stats = region.stats();
    println!("First live eviction at {records} records, {:.1} % full:", 100.0 * used);
    println!(
        "{:.2} bytes a record, {overhead:.2} of them over id and name, header and slack included.",
        bytes as f64 / records as f64
    );
    println!(
        "In the end {} records, {:.2} bytes each.\n",
        stats.records,
        bytes as f64 / stats.records as f64
    );
}

/// Entries, and the two bytes of each that lie outside them, beside the whole.
fn used_share(region: &Region, bytes: usize) -> f64 {
    let stats = region.stats();
    (stats.bytes + 2 * stats.records + 64 * u64::from(region.buckets())) as f64 / bytes as f64
}

/// The region as a policy.
struct Ours<'a> {
    region: Region,
    companies: &'a [Company],
    page: Page,
}

impl Policy for Ours<'_> {
    fn ask(&mut self, index: u32) -> bool {
        let company = &self.companies[index as usize];
        let is_hit = self.region.get(key(company), NOW, &mut self.page).is_some();
        if !is_hit {
            put(&self.region, company);
        }
        is_hit
    }

    fn held(&mut self) -> u64 {
        self.region.stats().records
    }
}

/// The share of hits after a warm-up, and how much is held in the end.
fn hits(policy: &mut dyn Policy, trace: Trace<'_>, capacity: u32) -> (f64, u64) {
    let (warm_up, counted) = (20 * capacity as usize, 60 * capacity as usize);
    let mut trace = trace;
    trace.by_ref().take(warm_up).for_each(|index| {
        policy.ask(index);
    });
    let hits = trace.take(counted).filter(|index| policy.ask(*index)).count();
    (100.0 * hits as f64 / counted as f64, policy.held())
}

fn main() {
    density(1_000_000 * 39);
    let bytes = 4 << 20;
    // What a region of this size holds; the others get as many.
    let capacity = 113_000;
    let companies = shuffled(20 * capacity as usize);
    let zipf = Zipf::new(10 * capacity, 1.0);
    println!("Share of hits, Zipf 1.0 over ten times the capacity of {capacity}:");
    println!("| | region | SIEVE | LRU | moka | held |");
    println!("|---|---:|---:|---:|---:|---|");
    for disturbance in [Disturbance::None, Disturbance::Scans, Disturbance::Shifts] {
        let region = Region::on_heap(bytes, LIFETIMES, [3, 4]).expect("memory");
        let mut ours = Ours { region, companies: &companies, page: Page::default() };
        let trace = || Trace::new(&zipf, capacity, disturbance);
        let (region_hits, held) = hits(&mut ours, trace(), capacity);
        let entries = usize::try_from(held).expect("few");
        let mut others: [Box<dyn Policy>; 3] =
            [Box::new(Sieve::new(entries)), Box::new(Lru::new(entries)), Box::new(Moka::new(entries))];
        let [sieve, lru, moka] = others.each_mut().map(|other| hits(other.as_mut(), trace(), capacity));
        println!(
            "| {disturbance:?} | {region_hits:.2} | {:.2} | {:.2} | {:.2} | {held}, {}, {}, {} |",
            sieve.0, lru.0, moka.0, sieve.1, lru.1, moka.1
        );
    }
}
