//! The bucket protocol under shuttle: every load and store is a step, and schedules are drawn at random.
//!
//! `cargo test --package backendify-core --features shuttle --lib explored`. shuttle explores orders of steps, not weak memory.

use super::bucket::Wanted;
use super::layout::{Owner, STATE, State};
use super::plain::DEAD_SLOT;
use super::sync::Ordering;
use super::{BootTime, Kept, Page, Region};
use crate::freshness::Lifetimes;
use crate::key::Key;
use crate::record::Record;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};
use std::sync::Arc;

const DAY: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
const NOW: BootTime = BootTime(1000);
const SCHEDULES: usize = 2_000;

fn explore(test: fn()) {
    fn run(scheduler: impl Scheduler + 'static, test: fn()) {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config.max_steps = shuttle::MaxSteps::FailAfter(2_000_000);
        Runner::new(scheduler, config).run(test);
    }
    run(RandomScheduler::new(SCHEDULES), test);
    run(PctScheduler::new(3, SCHEDULES), test);
}

fn region() -> Region {
    Region::on_heap((super::HEADER_WORDS + 2 * super::PAGE_WORDS) * 8, DAY, [1, 2]).unwrap()
}

/// Another worker over the same memory.
fn worker(region: &Region, slot: u8) -> Region {
    Region::over(
        region.words.clone(),
        region.buckets,
        region.seed,
        DAY,
        Owner::new(slot, 1),
        region.members.clone(),
        false,
    )
}

fn company(name: &str) -> Record<'_> {
    Record::Company { name, active_until: None }
}

fn put(region: &Region, id: &[u8], name: &str) -> Kept {
    region.put(Key { registry: 1, id }, &company(name), NOW)
}

fn name_in(region: &Region, id: &[u8]) -> Option<String> {
    let mut page = Page::default();
    match region.get(Key { registry: 1, id }, NOW, &mut page)?.record {
        Record::Company { name, .. } => Some(name.to_owned()),
        Record::NotFound => panic!("nobody put that"),
    }
}

fn check(region: &Region) {
    for index in 0..2 {
        let bucket = region.bucket(index).unwrap();
        assert!(bucket.is_whole(region.checksum));
        assert_eq!(bucket.state().owner(), None);
    }
}

fn copies(region: &Region, id: &[u8]) -> usize {
    let (places, _) = region.wanted(Key { registry: 1, id }).unwrap();
    let wanted = Wanted { fingerprint: places.fingerprint, number: 1, id };
    (0..2).filter(|index| region.bucket(*index).unwrap().find(&wanted).is_some()).count()
}

#[test]
fn two_writers_of_one_key_leave_one_answer() {
    explore(|| {
        let region = Arc::new(region());
        // The buckets are equally full but for a little, so that one store changes which one the next prefers.
        put(&region, b"a", "a neighbour");
        let writers: Vec<_> = [("first", 2), ("second, of another length", 3)]
            .into_iter()
            .map(|(name, slot)| {
                let worker = worker(&region, slot);
                thread::spawn(move || {
                    put(&worker, b"one", name);
                    put(&worker, name.as_bytes(), name);
                })
            })
            .collect();
        let reader = thread::spawn({
            let worker = worker(&region, 4);
            move || {
                for _ in 0..3 {
                    if let Some(name) = name_in(&worker, b"one") {
                        assert!(name == "first" || name == "second, of another length", "{name}");
                    }
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        reader.join().unwrap();
        assert!(copies(&region, b"one") <= 1);
        assert_eq!(put(&region, b"one", "last"), Kept::Stored);
        assert_eq!(name_in(&region, b"one").as_deref(), Some("last"));
        check(&region);
    });
}

/// One writer has looked, and chosen the emptier bucket; before it takes it, another makes the other bucket the emptier
/// one and stores the same key there.
#[test]
fn two_writers_with_two_choices_leave_one_answer() {
    explore(|| {
        let region = Arc::new(region());
        put(&region, b"a", "a name");
        put(&region, b"b", "a longer name");
        let writer = thread::spawn({
            let worker = worker(&region, 2);
            move || {
                put(&worker, b"b", "");
                put(&worker, b"one", "second");
            }
        });
        put(&worker(&region, 3), b"one", "first");
        writer.join().unwrap();
        assert!(copies(&region, b"one") <= 1);
        check(&region);
    });
}

#[test]
fn a_reader_never_sees_half_of_a_move() {
    explore(|| {
        let region = Arc::new(region());
        for id in 0..4_u8 {
            put(&region, &[id], &format!("{id}{}", "x".repeat(usize::from(id))));
        }
        let writer = thread::spawn({
            let worker = worker(&region, 2);
            move || {
                for id in 0..3_u8 {
                    put(&worker, &[id], &format!("{id} again"));
                }
            }
        });
        for id in 0..4_u8 {
            if let Some(name) = name_in(&region, &[id]) {
                let known = [format!("{id}{}", "x".repeat(usize::from(id))), format!("{id} again")];
                assert!(known.contains(&name), "{id}: {name}");
            }
        }
        writer.join().unwrap();
        check(&region);
    });
}

#[test]
fn a_dead_writers_bucket_is_taken_once() {
    explore(|| {
        let region = Arc::new(region());
        put(&region, b"one", "before");
        for index in 0..2 {
            // It died in the middle: the bucket is its, and what lies in it fits nothing.
            let bucket = region.bucket(index).unwrap();
            let held = State(bucket.state().0).held_by(Owner::new(DEAD_SLOT, 9));
            bucket.word(STATE).store(held.0, Ordering::SeqCst);
            bucket.word(super::layout::SHAPE).fetch_add(3, Ordering::SeqCst);
        }
        let writers: Vec<_> = [2, 3]
            .into_iter()
            .map(|slot| {
                let worker = worker(&region, slot);
                thread::spawn(move || put(&worker, &[slot], "after"))
            })
            .collect();
        assert_eq!(name_in(&worker(&region, 4), b"one"), None);
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(put(&region, b"last", "kept"), Kept::Stored);
        assert_eq!(region.stats().takeovers, 2);
        check(&region);
    });
}
