//! The region as a whole: against a model, under threads, past its times, over damaged memory.

use super::bucket::{Resident, Wanted};
use super::file::{Vain, Wish, in_steps};
use super::layout::{DATA, HEADER_WORDS, PAGE_WORDS, SLOTS_MAX, USE_LOCK, VISITED};
use super::lock::{Mode, try_lock};
use super::sync::Ordering;
use super::{
    BootTime, Difference, ENTRY_BYTES_MAX, Kept, OpenOptions, Opened, PAGE_BYTES, Page, Region, RegionError,
};
use crate::date::Timestamp;
use crate::freshness::Lifetimes;
use crate::key::Key;
use crate::record::Record;
use nix::errno::Errno;
use proptest::prelude::*;
use std::collections::HashMap;

const DAY: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
const HEADER_BYTES: usize = HEADER_WORDS * 8;

fn region(buckets: usize, lifetimes: Lifetimes) -> Region {
    Region::on_heap(HEADER_BYTES + buckets * PAGE_BYTES, lifetimes, [0x1234, 0x5678]).unwrap()
}

fn key(id: &[u8]) -> Key<'_> {
    Key { registry: 1, id }
}

fn company(name: &str) -> Record<'_> {
    Record::Company { name, active_until: None }
}

/// Something of every length, told from the key and a version: what a reader can check alone.
fn name_of(id: u32, version: u32) -> String {
    let mut name = format!("{id}/{version}/");
    let longest = if id % 97 == 0 { 900 } else { 60 };
    let length = (id.wrapping_mul(31) ^ version.wrapping_mul(7)) % longest;
    name.extend((0..length).map(|index| char::from(b'a' + u8::try_from((index + version) % 26).unwrap())));
    name
}

fn check(region: &Region) {
    for index in 0..region.buckets() {
        let bucket = region.bucket(index).unwrap();
        let shape = bucket.shape();
        let (slots, bytes) = bucket
            .residents(shape)
            .fold((0, 0), |(slots, bytes), Resident { span, .. }| (slots + span.slots, bytes + span.bytes));
        assert_eq!((slots, bytes), (shape.slots, shape.used_bytes), "bucket {index} is not packed");
        assert!(bucket.is_whole(region.checksum), "bucket {index}");
        assert!(bucket.state().owner().is_none(), "bucket {index} is still held");
    }
}

#[test]
fn what_is_put_is_found() {
    let region = region(8, DAY);
    let mut page = Page::default();
    let until = Timestamp::from_unix(1_640_988_000, 500_000_000);
    let records = [
        (&b"1"[..], Record::Company { name: "ООО «Ромашка»", active_until: until }),
        (b"2", Record::Company { name: "", active_until: Timestamp::from_unix(Timestamp::UNIX_S_MIN, 0) }),
        (b"", Record::NotFound),
        (b"17937688759 7J", Record::NotFound),
    ];
    for (id, record) in &records {
        assert_eq!(region.get(key(id), BootTime(70), &mut page), None);
        assert_eq!(region.put(key(id), record, BootTime(70)), Kept::Stored);
    }
    for (id, record) in &records {
        let found = region.get(key(id), BootTime(77), &mut page).unwrap();
        assert_eq!((found.record, found.age_ds, found.visited_before), (*record, 7, false));
        assert!(region.get(key(id), BootTime(77), &mut page).unwrap().visited_before);
        assert_eq!(region.get(Key { registry: 2, id }, BootTime(77), &mut page), None);
    }
    assert_eq!(region.put(key(b"1"), &company("another"), BootTime(80)), Kept::Stored);
    let found = region.get(key(b"1"), BootTime(80), &mut page).unwrap();
    assert_eq!((found.record, found.age_ds, found.visited_before), (company("another"), 0, false));
    let stats = region.stats();
    assert_eq!((stats.hits, stats.misses, stats.stores, stats.records), (9, 8, 5, 4));
    check(&region);
}

#[test]
fn every_kind_has_its_time() {
    let lifetimes = Lifetimes { ttl_ds: 1000, negative_ttl_ds: 100, stale_ds: 50 };
    let start = 5_000_000;
    for (record, passed, age) in [
        (company("x"), 0, Some(0)),
        (company("x"), 1049, Some(1049)),
        (company("x"), 1050, None),
        (Record::NotFound, 149, Some(149)),
        (Record::NotFound, 150, None),
        (Record::NotFound, 1 << 24, None), // the stamp has gone round
        (company("x"), (1 << 24) + 10, None),
        (company("x"), 3 << 24, None),
        (company("x"), u32::MAX - start, None),
    ] {
        let region = region(2, lifetimes);
        region.put(key(b"id"), &record, BootTime(start));
        let found =
            region.get(key(b"id"), BootTime(start + passed), &mut Page::default()).map(|found| found.age_ds);
        assert_eq!(found, age, "{record:?} after {passed}");
    }
}

#[test]
fn a_clock_that_goes_back_is_harmless() {
    let region = region(2, DAY);
    let mut page = Page::default();
    region.put(key(b"id"), &company("x"), BootTime(20_000_000));
    for (now, age) in
        [(20_000_000, Some(0)), (19_999_950, Some(0)), (19_999_000, None), (20_000_001, Some(1))]
    {
        let found = region.get(key(b"id"), BootTime(now), &mut page).map(|found| found.age_ds);
        assert_eq!(found, age, "{now}");
    }
    for now in [0, 1 << 23, (1 << 24) - 1, 20_000_000 - (1 << 24), 20_000_000 - (1 << 24) + 9] {
        assert_eq!(region.get(key(b"id"), BootTime(now), &mut page), None, "{now}");
    }
    region.put(key(b"id"), &company("y"), BootTime(3));
    assert_eq!(region.get(key(b"id"), BootTime(3), &mut page).unwrap().record, company("y"));
    check(&region);
}

#[test]
fn what_is_too_long_is_refused_and_counted() {
    let region = region(2, DAY);
    let longest = "x".repeat(ENTRY_BYTES_MAX - 5 - 2);
    assert_eq!(region.put(key(b"id"), &company(&longest), BootTime(0)), Kept::Stored);
    let mut page = Page::default();
    assert_eq!(region.get(key(b"id"), BootTime(0), &mut page).unwrap().record, company(&longest));
    for name in [longest.clone() + "x", "x".repeat(70_000)] {
        assert_eq!(region.put(key(b"id"), &company(&name), BootTime(0)), Kept::Oversize);
    }
    assert_eq!(region.put(key(&vec![b'i'; 70_000]), &Record::NotFound, BootTime(0)), Kept::Oversize);
    assert_eq!(region.get(key(&vec![b'i'; 70_000]), BootTime(0), &mut page), None);
    assert_eq!(region.stats().oversize, 3);
}

#[test]
fn too_little_memory_is_an_error() {
    for given in [0, 4096, HEADER_BYTES + 2 * PAGE_BYTES - 1] {
        let refused = Region::on_heap(given, DAY, [0, 0]).unwrap_err();
        assert_eq!(refused, RegionError::TooSmall { given, needed: HEADER_BYTES + 2 * PAGE_BYTES });
    }
}

#[test]
fn the_sweeper_clears_what_is_past_its_time_and_nothing_else() {
    let region = region(16, DAY);
    for id in 0..600_u32 {
        let record = if id % 3 == 0 { Record::NotFound } else { company("some name") };
        region.put(key(&id.to_le_bytes()), &record, BootTime(id));
    }
    assert_eq!(region.sweep(16, BootTime(600)).cleared, 0);
    let cleared = region.sweep(16, BootTime(36_000 + 300)).cleared;
    assert_eq!(cleared, 101, "404s of 0, 3, … 300");
    assert_eq!(region.stats().records, 499);
    let mut page = Page::default();
    let now = BootTime(36_000 + 300);
    let left = (0..600_u32).filter(|id| region.get(key(&id.to_le_bytes()), now, &mut page).is_some()).count();
    assert_eq!(left, 499);
    check(&region);
    assert_eq!(region.sweep(100, BootTime(2_000_000)).cleared, 499);
    assert_eq!((region.stats().records, region.stats().bytes, region.stats().expired), (0, 0, 600));
    check(&region);
}

#[test]
fn slots_run_out_before_bytes_do() {
    let region = region(2, DAY);
    for id in 0..4_000_u32 {
        assert_eq!(region.put(key(&id.to_le_bytes()), &Record::NotFound, BootTime(0)), Kept::Stored);
    }
    assert!(region.stats().records <= 2 * SLOTS_MAX as u64 && region.stats().records > 480);
    check(&region);
}

#[test]
fn what_is_read_stays_longer_than_what_is_not() {
    let region = region(4, DAY);
    let mut page = Page::default();
    for id in 0..2_000_u32 {
        region.put(key(&id.to_le_bytes()), &company("a company of an ordinary length"), BootTime(0));
        for hot in 0..20_u32 {
            region.get(key(&hot.to_le_bytes()), BootTime(0), &mut page);
        }
    }
    let kept =
        (0..20_u32).filter(|hot| region.get(key(&hot.to_le_bytes()), BootTime(0), &mut page).is_some());
    assert_eq!(kept.count(), 20);
    assert!(region.stats().evictions > 1000);
    check(&region);
}

#[derive(Clone, Debug)]
enum Step {
    Put { id: u32, record: Option<(String, bool)> },
    Get { id: u32 },
    Pass { ds: u32 },
    Sweep { buckets: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let record =
        prop::option::weighted(0.8, (prop_oneof![9 => ".{0,40}", 1 => "[a-z]{200,1100}"], any::<bool>()));
    prop_oneof![
        4 => (0..400_u32, record).prop_map(|(id, record)| Step::Put { id, record }),
        4 => (0..400_u32).prop_map(|id| Step::Get { id }),
        1 => prop_oneof![0..5_u32, 0..1000_u32, Just(1 << 23), Just(1 << 24)].prop_map(|ds| Step::Pass { ds }),
        1 => (1..4_u32).prop_map(|buckets| Step::Sweep { buckets }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_get_is_nothing_or_the_last_put(steps in prop::collection::vec(step(), 1..600), start in any::<u32>()) {
        let lifetimes = Lifetimes { ttl_ds: 2000, negative_ttl_ds: 500, stale_ds: 100 };
        let region = region(3, lifetimes);
        let mut now = start / 2;
        let mut model = HashMap::new();
        let mut page = Page::default();
        let until = Timestamp::from_unix(1_000_000, 7);
        for step in steps {
            match step {
                Step::Put { id, record } => {
                    let told = record.as_ref().map_or(Record::NotFound, |(name, has_date)| Record::Company {
                        name, active_until: until.filter(|_| *has_date),
                    });
                    let bytes = id.to_le_bytes();
                    match region.put(key(&bytes), &told, BootTime(now)) {
                        Kept::Stored => {
                            let found = region.get(key(&bytes), BootTime(now), &mut page).unwrap();
                            prop_assert_eq!((found.record, found.age_ds, found.visited_before), (told, 0, false));
                            model.insert(id, (record, now));
                        }
                        Kept::Oversize => prop_assert!(record.unwrap().0.len() > 980),
                        Kept::Busy => prop_assert!(false, "nobody else is here"),
                    }
                }
                Step::Get { id } => {
                    if let Some(found) = region.get(key(&id.to_le_bytes()), BootTime(now), &mut page) {
                        let (record, stored) = &model[&id];
                        let told = record.as_ref().map_or(Record::NotFound, |(name, has_date)| Record::Company {
                            name, active_until: until.filter(|_| *has_date),
                        });
                        prop_assert_eq!((found.record, found.age_ds), (told, now - stored));
                        let life_ds = if record.is_some() { 2100 } else { 600 };
                        prop_assert!(found.age_ds < life_ds);
                    }
                }
                Step::Pass { ds } => now = now.saturating_add(ds),
                Step::Sweep { buckets } => { region.sweep(buckets, BootTime(now)); }
            }
        }
        check(&region);
        let lying: usize = (0..3).map(|index| {
            let bucket = region.bucket(index).unwrap();
            bucket.residents(bucket.shape()).count()
        }).sum();
        prop_assert_eq!(region.stats().records, lying as u64);
    }
}

#[test]
fn threads_never_see_what_was_not_put() {
    let region = region(6, DAY);
    let rounds = 60_000_u32;
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let region = &region;
            scope.spawn(move || {
                let mut page = Page::default();
                let mut random = u64::from(thread) + 1;
                for round in 0..rounds {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let id = u32::try_from(random >> 33).unwrap() % 1000;
                    let bytes = id.to_le_bytes();
                    if (random >> 40) % 4 == 0 {
                        region.put(key(&bytes), &company(&name_of(id, round)), BootTime(round));
                    } else if let Some(found) = region.get(key(&bytes), BootTime(rounds), &mut page) {
                        let Record::Company { name, active_until: None } = found.record else {
                            panic!("{found:?}")
                        };
                        let mut parts = name.split('/');
                        assert_eq!(parts.next().unwrap().parse::<u32>().unwrap(), id);
                        let version = parts.next().unwrap().parse().unwrap();
                        assert_eq!(name, name_of(id, version));
                    }
                }
            });
        }
    });
    let stats = region.stats();
    assert!(stats.hits > 1000 && stats.evictions > 1000, "{stats:?}");
    check(&region);
    for id in 0..1000_u32 {
        let bytes = id.to_le_bytes();
        assert_eq!(
            region.put(key(&bytes), &company("after"), BootTime(rounds)),
            Kept::Stored,
            "no lock is stuck"
        );
    }
}

/// Two writers of one key never leave two answers behind, of which the older could come back.
#[test]
fn threads_never_bring_an_older_answer_back() {
    for round in 0..300_u32 {
        let region = region(2, DAY);
        std::thread::scope(|scope| {
            for thread in 0..2_u32 {
                let region = &region;
                scope.spawn(move || {
                    for version in 0..20_u32 {
                        region.put(key(b"one"), &company(&name_of(thread, version)), BootTime(round));
                        region.put(key(&version.to_le_bytes()), &company("another"), BootTime(round));
                    }
                });
            }
        });
        let copies: usize = (0..2)
            .map(|index| {
                let bucket = region.bucket(index).unwrap();
                let wanted = Wanted {
                    fingerprint: crate::key::Places::of(1, b"one", region.seed, 2).fingerprint,
                    number: 1,
                    id: b"one",
                };
                usize::from(bucket.find(&wanted).is_some())
            })
            .sum();
        assert_eq!(copies, 1);
        check(&region);
    }
}

#[test]
fn an_entry_is_found_by_its_own_id_alone() {
    let id: Vec<u8> = (0..300_u32).map(|n| b'a' + u8::try_from(n % 23).unwrap()).collect();
    let until = Timestamp::from_unix(1_640_988_000, 500_000_000);
    for length in (0..80).chain([254, 255, 256, 299]) {
        for record in [company("a name"), Record::Company { name: "", active_until: until }, Record::NotFound]
        {
            let region = region(2, DAY);
            let stored = &id[..length];
            region.put(key(stored), &record, BootTime(0));
            let (places, wanted) = region.wanted(key(stored)).unwrap();
            let bucket = region.bucket(places.first).unwrap();
            assert!(bucket.find(&wanted).is_some(), "{length}");
            let finds = |number, id: &[u8]| {
                bucket.find(&Wanted { number, id, ..wanted }).is_some() // by the same fingerprint
            };
            assert!(!finds(2, stored), "{length}");
            for other in (0..id.len()).filter(|other| *other != length) {
                assert!(!finds(1, &id[..other]), "{length} {other}");
            }
            for changed in 0..length {
                let mut other = stored.to_vec();
                other[changed] ^= 0x80;
                assert!(!finds(1, &other), "{length} {changed}");
            }
        }
    }
}

fn fill(region: &Region, seed: u64) {
    let mut random = seed;
    for word in &region.words[HEADER_WORDS..] {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        word.store(random, Ordering::Relaxed);
    }
}

#[test]
fn garbage_in_memory_is_never_an_answer() {
    for seed in 1..40_u64 {
        let region = region(3, DAY);
        let mut page = Page::default();
        fill(&region, seed);
        if seed % 2 == 0 {
            // Nobody seems to hold a bucket, so that the garbage itself is read.
            for index in 0..3 {
                region.words[HEADER_WORDS + index * PAGE_WORDS].store(seed << 32, Ordering::Relaxed);
            }
        }
        for id in 0..500_u32 {
            assert_eq!(region.get(key(&id.to_le_bytes()), BootTime(1000), &mut page), None, "{seed} {id}");
        }
        region.sweep(3, BootTime(1_000_000));
        for id in 0..500_u32 {
            let bytes = id.to_le_bytes();
            let name = name_of(id, 1);
            region.put(key(&bytes), &company(&name), BootTime(1_000_000));
            if let Some(found) = region.get(key(&bytes), BootTime(1_000_000), &mut page) {
                assert_eq!(found.record, company(&name));
            }
        }
        let _ = region.stats();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Damage to the parts that a look-up believes most: shape, fingerprints and lengths.
    #[test]
    fn damaged_words_are_never_another_keys_answer(
        damage in prop::collection::vec((0..2 * PAGE_WORDS, any::<u64>()), 1..20),
        now in any::<u32>(),
    ) {
        let region = region(2, DAY);
        let mut page = Page::default();
        let lookup = |region: &Region, page: &mut Page| {
            for id in 0..150_u32 {
                if let Some(found) = region.get(key(&id.to_le_bytes()), BootTime(now), page) {
                    // The name itself may be damaged: only the checksum, at the first touch, can tell.
                    assert!(found.age_ds < 864_000);
                }
            }
        };
        for id in 0..150_u32 {
            region.put(key(&id.to_le_bytes()), &company(&name_of(id, 1)), BootTime(now));
        }
        for (index, word) in damage {
            region.words[HEADER_WORDS + index].store(word, Ordering::Relaxed);
            lookup(&region, &mut page);
            region.put(key(b"new"), &company("new"), BootTime(now));
        }
        region.sweep(2, BootTime(now.wrapping_add(900_000)));
        lookup(&region, &mut page);
    }
}

#[test]
fn a_damaged_bucket_is_emptied_at_the_first_touch() {
    let mut region = region(2, DAY);
    let mut page = Page::default();
    for id in 0..150_u32 {
        region.put(key(&id.to_le_bytes()), &company(&name_of(id, 1)), BootTime(0));
    }
    let words = region.words.len() - HEADER_WORDS;
    let mut noticed = 0;
    for index in 0..words {
        // Every word but the lock words, and the visited bits and ghosts, which are hints.
        if index % PAGE_WORDS == 0 || (VISITED..DATA).contains(&(index % PAGE_WORDS)) {
            continue;
        }
        let word = &region.words[HEADER_WORDS + index];
        let before = word.load(Ordering::Relaxed);
        word.store(before ^ 1 << (index % 64), Ordering::Relaxed);
        let bucket = region.bucket(u32::try_from(index / PAGE_WORDS).unwrap()).unwrap();
        if bucket.is_whole(region.checksum) {
            // Nothing lies there: every answer is still right.
            for id in 0..150_u32 {
                let found = region.get(key(&id.to_le_bytes()), BootTime(0), &mut page).unwrap();
                assert_eq!(found.record, company(&name_of(id, 1)), "word {index}");
            }
        } else {
            noticed += 1;
        }
        word.store(before, Ordering::Relaxed);
        assert!(bucket.is_whole(region.checksum));
    }
    assert!(noticed > 880, "{noticed} of {words}");
    region.words[HEADER_WORDS + 100].fetch_xor(1, Ordering::Relaxed);
    region.vouched = super::Vouched::new(2, false);
    let found = (0..150_u32)
        .filter(|id| region.get(key(&id.to_le_bytes()), BootTime(0), &mut page).is_some())
        .count();
    assert!(found > 0 && found < 100, "{found}");
    assert_eq!(region.stats().damaged, 1);
    check(&region);
}

/// A long id or name goes on in slots of its own, and what is written at their beginning may look like another key's entry.
/// It is none, not even where the filter of fingerprints lets its slot through: above one whose fingerprint is 1.
#[test]
fn a_long_entry_is_never_another_keys_answer() {
    let region = || region(2, DAY);
    let any = region();
    let is_1 = |key: Key<'_>| any.wanted(key).unwrap().1.fingerprint == 1;
    let ids = |width: usize, tail: Vec<u8>| {
        (0..100_000).map(move |number| [format!("{number:0width$}").into_bytes(), tail.clone()].concat())
    };
    let victim = ids(7, vec![]).find(|id| is_1(Key { registry: 2, id })).unwrap();
    let stamp = [b'a'; 3];
    let now = BootTime(u32::from_le_bytes([b'a', b'a', b'a', 0]) + 50);
    let forged = [&[2, 1 | 7 << 3][..], &stamp, &victim, b"Forged Ltd"].concat();

    // The head of an entry takes 5 bytes, and 2 more when its id is long.
    let long = ids(255 - 7, forged.clone()).find(|id| is_1(key(id))).unwrap();
    let short = ids(9, vec![]).find(|id| is_1(key(id))).unwrap();
    let name = "x".repeat(255 - 5 - short.len()) + std::str::from_utf8(&forged).unwrap();
    let mut page = Page::default();
    for (id, record) in [(&long, Record::NotFound), (&short, company(&name))] {
        let region = region();
        assert_eq!(region.put(key(id), &record, now), Kept::Stored);
        assert_eq!(region.get(Key { registry: 2, id: &victim }, now, &mut page), None, "nobody stored this");
        assert_eq!(region.get(key(id), now, &mut page).unwrap().record, record);
        check(&region);
    }
}

/// Two who want the file as nobody has it yet, and look at it again and again while it is in use, never are what keeps it from
/// each other: between their looks they hold nothing of it.
#[test]
fn who_waits_for_the_file_is_in_nobodys_way() {
    let path = std::env::temp_dir().join(format!("backendify-wait-{}", std::process::id()));
    let registries = [super::Registry::new(*b"ru", "http://localhost:9001")];
    let bytes = HEADER_BYTES + 2 * PAGE_BYTES;
    let options = |ttl_ds, seed| OpenOptions {
        bytes,
        lifetimes: Lifetimes { ttl_ds, ..DAY },
        registries: &registries,
        boot_id: [7; 16],
        seed: [seed, 2],
    };
    let (held, _) = Region::open(&path, &options(864_000, 1)).unwrap();
    let wanted = [options(1000, 2), options(1000, 3)];
    let look = |options| Wish { path: &path, options, buckets: 2, words: bytes / 8 }.look().unwrap();
    for options in &wanted {
        assert_eq!(look(options).unwrap_err(), Vain::InUse(Difference::Lifetimes));
    }
    drop(held);
    let first = look(&wanted[1]).unwrap();
    assert_eq!(first.opened, Opened::Attached);
    let second = look(&wanted[0]).unwrap();
    assert_eq!(second.opened, Opened::Attached);
    drop((first, second));

    // Its maker died, before he had begun or later, and somebody else looks at it at the same moment.
    for length in [0, bytes as u64] {
        let other = std::fs::File::options().write(true).open(&path).unwrap();
        other.set_len(0).unwrap();
        other.set_len(length).unwrap();
        assert!(try_lock(&other, USE_LOCK, Mode::Exclusive).unwrap());
        assert_eq!(look(&wanted[0]).unwrap_err(), Vain::Unfinished, "being made");
        drop(other);
        let other = std::fs::File::open(&path).unwrap();
        assert!(try_lock(&other, USE_LOCK, Mode::Shared).unwrap());
        assert_eq!(look(&wanted[0]).unwrap_err(), Vain::Unfinished, "{length}");
        drop(other);
        assert_ne!(look(&wanted[1]).unwrap().opened, Opened::Attached);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_a_signal_ended_is_begun_again() {
    let bytes = 100_000_007;
    let (mut calls, mut end) = (0, 0);
    let done = in_steps(bytes, |start, length| {
        calls += 1;
        if calls % 3 != 0 {
            return Err(Errno::EINTR);
        }
        assert_eq!(start, end);
        end += length;
        Ok(())
    });
    assert_eq!((done, usize::try_from(end).unwrap()), (Ok(()), bytes));
    assert!(calls > 10, "in steps that fit between two signals: {calls}");
    assert_eq!(in_steps(bytes, |_, _| Err(Errno::ENOSPC)), Err(Errno::ENOSPC));
}
