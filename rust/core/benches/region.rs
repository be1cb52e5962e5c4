//! What a look-up and a store cost, with real companies.
//!
//! In regions of 256 KB and 4 MB, which the processor's caches hold (as they hold what customers ask for most), and in one of 40 MB, of
//! the process and on tmpfs, with every company asked for equally often: there most of the time is spent waiting for memory.
#![expect(missing_docs, reason = "criterion's macros write none")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]

#[path = "../testing/companies.rs"]
mod companies;

use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::record::Record;
use backendify_core::region::{BootTime, Kept, OpenOptions, Page, Region, Registry};
use companies::Company;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const LIFETIMES: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
const NOW: BootTime = BootTime(1000);

/// Companies side by side in memory and in an order that no prefetcher knows, so that what is measured is the region.
struct Questions {
    all: Vec<(u8, [u8; 7], [u8; 104], u8)>,
    next: usize,
}

impl Questions {
    fn of(companies: &[Company]) -> Self {
        let mut all: Vec<_> = companies
            .iter()
            .map(|company| {
                let mut name = [0; 104];
                name[..company.name.len()].copy_from_slice(company.name.as_bytes());
                let id = company.id.as_bytes().try_into().expect("seven bytes");
                (company.registry, id, name, u8::try_from(company.name.len()).expect("short"))
            })
            .collect();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for index in (1..all.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            all.swap(index, usize::try_from(random >> 33).expect("31 bits") % (index + 1));
        }
        Self { all, next: 0 }
    }

    fn next(&mut self) -> (Key<'_>, &str) {
        self.next = if self.next + 1 == self.all.len() { 0 } else { self.next + 1 };
        let (registry, id, name, length) = &self.all[self.next];
        let name = std::str::from_utf8(&name[..usize::from(*length)]).expect("a name");
        (Key { registry: *registry, id }, name)
    }
}

fn put(region: &Region, questions: &mut Questions) {
    let (key, name) = questions.next();
    assert_eq!(region.put(key, &Record::Company { name, active_until: None }, NOW), Kept::Stored);
}

/// In a file that nobody else can open, because it has lost its name.
fn on_tmpfs(bytes: usize) -> Region {
    let path = std::path::Path::new("/dev/shm/backendify-bench-region");
    let registries = [0_u8, 1, 2, 3].map(|number| Registry::new([b'a', b'a' + number], "http://localhost"));
    let options =
        OpenOptions { bytes, lifetimes: LIFETIMES, registries: &registries, boot_id: [0; 16], seed: [1, 2] };
    let (region, _) = Region::open(path, &options).expect("a file on tmpfs");
    std::fs::remove_file(path).expect("a name to remove");
    region
}

fn region(c: &mut Criterion) {
    for (size, bytes, capacity, is_file) in [
        ("256 KB", 256 << 10, 4_000, false),
        ("4 MB", 4 << 20, 90_000, false),
        ("40 MB", 40 << 20, 1_000_000, false),
        ("40 MB on tmpfs", 40 << 20, 1_000_000, true),
    ] {
        let companies = companies::varied(2 * capacity);
        let mut known = Questions::of(&companies[..capacity]);
        let mut unknown = Questions::of(&companies[capacity..]);
        let mut all = Questions::of(&companies);
        let mut page = Page::default();

        let empty = || {
            if is_file { on_tmpfs(bytes) } else { Region::on_heap(bytes, LIFETIMES, [1, 2]).expect("memory") }
        };
        let mut fresh = (empty(), 0);
        c.bench_function(&format!("{size}: store, room left"), |b| {
            b.iter(|| {
                if fresh.1 == capacity {
                    fresh = (empty(), 0);
                }
                put(&fresh.0, &mut known);
                fresh.1 += 1;
            });
        });
        let region = empty();
        for _ in 0..capacity {
            put(&region, &mut known);
        }
        c.bench_function(&format!("{size}: look-up, hit"), |b| {
            b.iter(|| black_box(region.get(known.next().0, NOW, &mut page).is_some()));
        });
        c.bench_function(&format!("{size}: look-up, miss"), |b| {
            b.iter(|| black_box(region.get(unknown.next().0, NOW, &mut page).is_some()));
        });
        c.bench_function(&format!("{size}: store, again"), |b| b.iter(|| put(&region, &mut known)));
        c.bench_function(&format!("{size}: store, full"), |b| b.iter(|| put(&region, &mut all)));
        let stats = region.stats();
        assert!(stats.evictions > 0 && stats.busy == 0, "{stats:?}");
    }
}

criterion_group!(benches, region);
criterion_main!(benches);
