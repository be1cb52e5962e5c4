//! What a customer costs who waits: joining, being shed, running out of time. `cargo bench -p backendify-core --bench misses`.
#![expect(missing_docs, reason = "criterion's macros write items without")]

use backendify_core::miss::{Act, Caps, MS, Misses, Moment, Policy, Question, S, Told, Tried};
use backendify_core::outcome::Outcome;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const WAITERS: u32 = 4000;

fn misses(waiters_max: usize) -> Misses<u32> {
    let registries = vec![Caps { concurrency_start: 200, concurrency_max: 200 }];
    Misses::new(Policy { registries, waiters_max, queue_max: 100, ..Policy::default() }, 1)
}

/// A service on which as many wait as may, for 40 questions.
fn full(ids: &[String]) -> (Misses<u32>, Vec<Act<u32>>) {
    let (mut misses, mut acts) = (misses(WAITERS as usize), Vec::with_capacity(2 * WAITERS as usize));
    for (waiter, id) in (0..WAITERS).zip(ids.iter().take(40).cycle()) {
        misses.ask(Question { registry: 0, id }, waiter, Moment(S), &mut acts);
    }
    (misses, acts)
}

fn costs(criterion: &mut Criterion) {
    let ids: Vec<String> = (0..WAITERS).map(|number| format!("{number:08} A")).collect();
    let mut group = criterion.benchmark_group("4000 customers");
    group.bench_function("begin or join one of 40 fetches", |bencher| {
        bencher.iter_batched(|| (), |()| full(&ids), BatchSize::LargeInput);
    });
    group.bench_function("push out the oldest of 4000", |bencher| {
        let ask = |(mut misses, mut acts): (Misses<u32>, Vec<Act<u32>>)| {
            acts.clear();
            for (waiter, id) in (0..WAITERS).zip(ids.iter().take(40).cycle()) {
                misses.ask(Question { registry: 0, id }, waiter, Moment(S + MS), &mut acts);
            }
            (misses, acts)
        };
        bencher.iter_batched(|| full(&ids), ask, BatchSize::LargeInput);
    });
    group.bench_function("run out of time", |bencher| {
        let wait = |(mut misses, mut acts): (Misses<u32>, Vec<Act<u32>>)| {
            misses.tick(Moment(2 * S), &mut acts);
            (misses, acts)
        };
        bencher.iter_batched(|| full(&ids), wait, BatchSize::LargeInput);
    });
    group.bench_function("each a fetch of his own, begun and answered", |bencher| {
        let fetch = |(mut misses, mut acts): (Misses<u32>, Vec<Act<u32>>)| {
            for (waiter, id) in (0..WAITERS).zip(&ids) {
                misses.ask(Question { registry: 0, id }, waiter, Moment(S), &mut acts);
                if let Some(Act::Try { id, .. }) = acts.pop() {
                    let told =
                        Told { outcome: Outcome::NotFound, fwd_status: Some(404), stored: true, age_ds: 0 };
                    let tried = Tried::Reply { told, retry_after_us: None };
                    misses.tried(id, tried, Moment(S), &mut acts);
                }
                acts.clear();
            }
            (misses, acts)
        };
        bencher.iter_batched(|| (misses(WAITERS as usize), Vec::new()), fetch, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, costs);
criterion_main!(benches);
