//! What a look-up and a store cost, with real companies, in a region so full that stores evict.
//!
//! `cargo bench --bench region`. Look-ups and stores ask for companies in random order, all equally often: that is the worst
//! case, where most touch memory that no processor cache holds. "Zipf 1.0" asks as customers do, the company of rank r in
//! proportion to 1/r, of all that are in the region.
#![expect(missing_docs, reason = "criterion's macros make functions without any")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark fails loudly")]

#[path = "../examples/simulate/companies.rs"]
mod companies;
#[path = "../examples/simulate/draws.rs"]
mod draws;
#[path = "../examples/simulate/zipf.rs"]
mod zipf;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use backendify_core::freshness::Lifetimes;
use backendify_core::region::{BootTime, Page, Region};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use companies::{Companies, Company};
use draws::Draws;
use zipf::Zipf;

/// As much memory as a small container has for it, and as little as processor caches hold.
const REGIONS: [(usize, &str); 2] = [(40 << 20, "40 MiB"), (1 << 20, "1 MiB")];
const NOW: BootTime = BootTime(1000);
/// Companies asked for in one measurement.
const ASKED: u32 = 1024;
/// Requests of a trace, drawn before the clock starts: the table they are drawn from is larger than processor caches.
const TRACE: usize = 1 << 20;
/// Indices from here on are never stored.
const UNKNOWN: u32 = 100_000_000;

/// A region at the fill where live evictions have begun, and indices of companies that lie in it.
fn filled(companies: &Companies, bytes: usize) -> (Region, Vec<u32>) {
    let lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
    let region = Region::on_heap(bytes, lifetimes, [12, 34]).expect("enough memory for a region");
    let mut stored = 0;
    while region.stats().evictions < 1000 {
        for _ in 0..1000 {
            let company = companies.company(stored);
            region.put(company.key(), &company.record(), NOW);
            stored += 1;
        }
    }
    let mut page = Page::default();
    let known =
        (0..stored).filter(|index| region.get(companies.company(*index).key(), NOW, &mut page).is_some());
    let known = known.collect();
    (region, known)
}

/// Companies that are in the region, in random order; made before the clock starts.
fn drawn<'a>(companies: &'a Companies, known: &[u32], draws: &mut Draws) -> Vec<Company<'a>> {
    let place = |bits: u64| usize::try_from(bits >> 1).unwrap_or_default() % known.len();
    (0..ASKED).map(|_| companies.company(known[place(draws.bits())])).collect()
}

fn look_ups(criterion: &mut Criterion, companies: &Companies, (bytes, size): (usize, &str)) {
    let (region, known) = filled(companies, bytes);
    let mut page = Page::default();
    let mut draws = Draws(1);
    let mut group = criterion.benchmark_group(format!("look-up, {size}"));
    group.throughput(Throughput::Elements(u64::from(ASKED)));
    group.bench_function("hit", |bencher| {
        bencher.iter_batched_ref(
            || drawn(companies, &known, &mut draws),
            |asked| {
                for company in asked {
                    assert!(black_box(region.get(company.key(), NOW, &mut page)).is_some());
                }
            },
            BatchSize::LargeInput,
        );
    });
    let zipf = Zipf::new(u32::try_from(known.len()).expect("fewer than 2^32 companies"));
    let asked: Vec<u32> =
        (0..TRACE).map(|_| known[zipf.company_of(zipf.rank(&mut draws)) as usize]).collect();
    drop(zipf);
    let mut batches = asked.chunks_exact(ASKED as usize).cycle();
    group.bench_function("hit, Zipf 1.0", |bencher| {
        bencher.iter_batched_ref(
            || {
                batches
                    .next()
                    .unwrap_or_default()
                    .iter()
                    .map(|index| companies.company(*index))
                    .collect::<Vec<_>>()
            },
            |asked| {
                for company in asked {
                    assert!(black_box(region.get(company.key(), NOW, &mut page)).is_some());
                }
            },
            BatchSize::LargeInput,
        );
    });
    let mut unknown = UNKNOWN;
    group.bench_function("miss", |bencher| {
        bencher.iter_batched_ref(
            || {
                unknown += ASKED;
                (unknown..unknown + ASKED).map(|index| companies.company(index)).collect::<Vec<_>>()
            },
            |asked| {
                for company in asked {
                    assert!(black_box(region.get(company.key(), NOW, &mut page)).is_none());
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn stores(criterion: &mut Criterion, companies: &Companies, (bytes, size): (usize, &str)) {
    let (region, known) = filled(companies, bytes);
    let mut draws = Draws(2);
    let mut group = criterion.benchmark_group(format!("store, {size}"));
    group.throughput(Throughput::Elements(u64::from(ASKED)));
    group.bench_function("replacing", |bencher| {
        bencher.iter_batched_ref(
            || drawn(companies, &known, &mut draws),
            |asked| {
                for company in asked {
                    black_box(region.put(company.key(), &company.record(), NOW));
                }
            },
            BatchSize::LargeInput,
        );
    });
    let mut unknown = UNKNOWN;
    group.bench_function("new, evicting", |bencher| {
        bencher.iter_batched_ref(
            || {
                unknown += ASKED;
                (unknown..unknown + ASKED).map(|index| companies.company(index)).collect::<Vec<_>>()
            },
            |asked| {
                for company in asked {
                    black_box(region.put(company.key(), &company.record(), NOW));
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// One worker's work: nine look-ups, then one store.
fn work(region: &Region, companies: &Companies, known: &[u32], draws: &mut Draws, page: &mut Page) {
    for (turn, company) in drawn(companies, known, draws).iter().enumerate() {
        if turn % 10 == 9 {
            black_box(region.put(company.key(), &company.record(), NOW));
        } else {
            black_box(region.get(company.key(), NOW, page));
        }
    }
}

/// The first thread's time, alone and while a second does the same: equal times mean that two do twice as much.
fn two_threads(criterion: &mut Criterion) {
    let companies = Companies::read().expect("the register unpacks");
    let (region, known) = filled(&companies, REGIONS[0].0);
    let mut group = criterion.benchmark_group("nine look-ups and a store");
    group.throughput(Throughput::Elements(u64::from(ASKED)));
    for others in [0, 1] {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for other in 0..others {
                let (region, companies, known, is_over) = (&region, &companies, &known, &is_over);
                scope.spawn(move || {
                    let (mut draws, mut page) = (Draws(100 + other), Page::default());
                    while !is_over.load(Ordering::Relaxed) {
                        work(region, companies, known, &mut draws, &mut page);
                    }
                });
            }
            let (mut draws, mut page) = (Draws(3), Page::default());
            group.bench_function(format!("{} threads", others + 1), |bencher| {
                bencher.iter(|| work(&region, &companies, &known, &mut draws, &mut page));
            });
            is_over.store(true, Ordering::Relaxed);
        });
    }
    group.finish();
}

fn one_thread(criterion: &mut Criterion) {
    let companies = Companies::read().expect("the register unpacks");
    for region in REGIONS {
        look_ups(criterion, &companies, region);
        stores(criterion, &companies, region);
    }
}

criterion_group! {
    name = region;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1)).sample_size(50);
    targets = one_thread, two_threads
}
criterion_main!(region);
