//! The region's file: who makes it, who attaches, who is refused, and what damage comes to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop at the first surprise")]

use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::record::Record;
use backendify_core::region::{
    BootTime, Difference, Kept, OpenOptions, Opened, Page, Rebuild, Region, RegionError, Registry,
};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const BYTES: usize = 256 << 10;
const NOW: BootTime = BootTime(5000);
const DAY: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };

/// A directory of this test's own, empty.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("region_file-{name}"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn registries() -> [Registry; 2] {
    [Registry::new(*b"ru", "http://localhost:9001"), Registry::new(*b"us", "http://localhost:9002")]
}

fn options(registries: &[Registry]) -> OpenOptions<'_> {
    OpenOptions { bytes: BYTES, lifetimes: DAY, registries, boot_id: [7; 16], seed: [11, 12] }
}

fn open(path: &Path) -> Result<(Region, Opened), RegionError> {
    Region::open(path, &options(&registries()))
}

fn name_of(id: u32) -> String {
    format!("company {id} {}", "x".repeat(usize::try_from(id).unwrap() % 40))
}

fn key(id: u32, bytes: &[u8; 4]) -> Key<'_> {
    Key { registry: u8::try_from(id % 2).unwrap(), id: bytes }
}

fn fill(region: &Region, ids: std::ops::Range<u32>) {
    for id in ids {
        let record = &Record::Company { name: &name_of(id), active_until: None };
        assert_eq!(region.put(key(id, &id.to_le_bytes()), record, NOW), Kept::Stored);
    }
}

/// How many of these are found; every one that is found must be right.
fn count(region: &Region, ids: std::ops::Range<u32>) -> usize {
    let mut page = Page::default();
    ids.filter(|id| {
        let found = region.get(key(*id, &id.to_le_bytes()), NOW, &mut page);
        if let Some(found) = found {
            assert_eq!(found.record, Record::Company { name: &name_of(*id), active_until: None });
            assert!(found.age_ds < 864_000);
        }
        found.is_some()
    })
    .count()
}

#[test]
fn a_file_is_made_shared_and_found_again() {
    let path = directory("shared").join("region");
    let (first, opened) = open(&path).unwrap();
    assert_eq!(opened, Opened::Created);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (256 << 10, 0o600));
    assert!(metadata.blocks() * 512 >= metadata.len(), "reserved in full");
    fill(&first, 0..500);
    let (second, opened) = open(&path).unwrap();
    assert_eq!(opened, Opened::Attached);
    assert_eq!(count(&second, 0..500), 500);
    fill(&second, 500..600);
    assert_eq!(count(&first, 0..600), 600);
    let stats = first.stats();
    assert_eq!((stats.hits, stats.stores, stats.records), (1100, 600, 600), "counted over both");
    assert_eq!(stats, second.stats());
    drop((first, second));
    let (third, opened) = open(&path).unwrap();
    assert_eq!((opened, count(&third, 0..600)), (Opened::Attached, 600));
    assert_eq!(third.stats().damaged, 0);
}

#[test]
fn what_cannot_work_is_refused_in_a_sentence() {
    let directory = directory("refused");
    let path = directory.join("region");
    let sentence = |path: &Path| open(path).unwrap_err().to_string();
    let shown = |path: &Path| path.display().to_string();

    let small = Region::open(&path, &OpenOptions { bytes: 70_000, ..options(&registries()) }).unwrap_err();
    assert_eq!(small.to_string(), "The cache needs at least 73728 bytes, and was given 70000.");
    assert!(!path.exists());

    let nowhere = directory.join("no/region");
    let expected = format!("The directory of the cache file {} does not exist.", shown(&nowhere));
    assert_eq!(sentence(&nowhere), expected);
    assert_eq!(open(&directory).unwrap_err(), RegionError::NotAFile { path: directory.clone() });

    // In sysfs nobody may make a file, not even root.
    let sealed = Path::new("/sys/region");
    assert_eq!(sentence(sealed), "The cache file /sys/region cannot be written.");

    let link = directory.join("link");
    symlink(&path, &link).unwrap();
    let expected = format!("The cache file {} is a symbolic link, which is not followed.", shown(&link));
    assert_eq!(sentence(&link), expected);
    assert!(!path.exists());

    fs::write(&path, b"").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(open(&path).unwrap_err(), RegionError::OpenToOthers { path: path.clone(), mode: 0o644 });
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let other = directory.join("other");
    fs::hard_link(&path, &other).unwrap();
    assert_eq!(open(&path).unwrap_err(), RegionError::NotAFile { path: path.clone() });
    fs::remove_file(&other).unwrap();
    if chown(&path, Some(12_345), None).is_ok() {
        assert_eq!(open(&path).unwrap_err(), RegionError::ForeignOwner { path: path.clone(), uid: 12_345 });
        fs::remove_file(&path).unwrap();
    }
    assert!(open(&path).is_ok());
}

#[test]
fn another_configuration_is_refused_while_the_file_is_in_use() {
    let path = directory("in-use").join("region");
    let (first, _) = open(&path).unwrap();
    fill(&first, 0..100);
    let registries = registries();
    let moved = [registries[0], Registry::new(*b"us", "http://localhost:9003")];
    let reversed = [registries[1], registries[0]];
    let base = options(&registries);
    for (other, because) in [
        (OpenOptions { bytes: BYTES + 4096, ..base }, Difference::Size),
        (OpenOptions { lifetimes: Lifetimes { ttl_ds: 1, ..DAY }, ..base }, Difference::Lifetimes),
        (OpenOptions { registries: &moved, ..base }, Difference::Registries),
        (OpenOptions { registries: &registries[..1], ..base }, Difference::Registries),
        (OpenOptions { boot_id: [8; 16], ..base }, Difference::Unreadable(Rebuild::Boot)),
    ] {
        assert_eq!(
            Region::open(&path, &other).unwrap_err(),
            RegionError::InUse { path: path.clone(), because }
        );
    }
    // Another order or another seed is no other configuration.
    let reordered = OpenOptions { registries: &reversed, seed: [0, 0], ..base };
    let (second, opened) = Region::open(&path, &reordered).unwrap();
    assert_eq!(opened, Opened::Attached);
    let found =
        second.get(Key { registry: 1, id: &2_u32.to_le_bytes() }, NOW, &mut Page::default()).is_some();
    assert!(found, "the first is the second here");
    assert_eq!(count(&first, 0..100), 100);
}

/// Workers with another configuration come while the old service is still there, and wait for it to go: they all get the file.
#[test]
fn workers_wait_for_the_service_before_them() {
    let path = directory("handover").join("region");
    let registries = registries();
    for (workers, round) in
        [2_u64, 4].into_iter().flat_map(|workers| (0..3).map(move |round| (workers, round)))
    {
        // Again when this thread was kept from letting go until the others had given up.
        while !hand_over(&path, &registries, workers, round) {}
    }
}

fn hand_over(path: &Path, registries: &[Registry], workers: u64, round: u64) -> bool {
    let base = options(registries);
    let held = Region::open(path, &base).unwrap().0;
    let (is_free, is_over) = (AtomicBool::new(false), Barrier::new(usize::try_from(workers).unwrap()));
    std::thread::scope(|scope| {
        let open = |worker| {
            let (is_free, is_over) = (&is_free, &is_over);
            move || {
                let lifetimes = Lifetimes { ttl_ds: 1000, ..DAY };
                let opened = Region::open(path, &OpenOptions { lifetimes, seed: [worker, round], ..base });
                let is_early = opened.is_err() && !is_free.load(Ordering::SeqCst);
                is_over.wait(); // nobody goes before all have come
                assert!(is_early || opened.is_ok(), "{workers} workers, round {round}: {opened:?}");
                !is_early
            }
        };
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(open(worker))).collect();
        std::thread::sleep(Duration::from_millis(50));
        is_free.store(true, Ordering::SeqCst);
        drop(held);
        threads.into_iter().all(|thread| thread.join().unwrap())
    })
}

#[test]
fn a_changed_configuration_keeps_what_still_holds() {
    let path = directory("changed").join("region");
    let registries = registries();
    let base = options(&registries);
    fill(&open(&path).unwrap().0, 0..100);

    // One registry moves: its records are never told again, not even when it moves back.
    let moved = [registries[0], Registry::new(*b"us", "http://localhost:9003")];
    let (region, opened) = Region::open(&path, &OpenOptions { registries: &moved, ..base }).unwrap();
    assert_eq!((opened, count(&region, 0..100)), (Opened::Attached, 50));
    drop(region);
    let (region, opened) = open(&path).unwrap();
    assert_eq!((opened, count(&region, 0..100)), (Opened::Attached, 50));
    fill(&region, 0..100);
    drop(region);

    // Shorter lives are judged anew; a life in another unit, another size and another boot begin anew.
    let short = Lifetimes { ttl_ds: 10, ..DAY };
    let (region, opened) = Region::open(&path, &OpenOptions { lifetimes: short, ..base }).unwrap();
    assert_eq!(opened, Opened::Attached);
    assert_eq!(region.get(key(2, &2_u32.to_le_bytes()), BootTime(NOW.0 + 10), &mut Page::default()), None);
    drop(region);
    for (other, why) in [
        (OpenOptions { lifetimes: Lifetimes { ttl_ds: u32::MAX, ..DAY }, ..base }, Rebuild::Lifetimes),
        (OpenOptions { bytes: BYTES + 4096, ..base }, Rebuild::Size),
        (OpenOptions { boot_id: [8; 16], ..base }, Rebuild::Boot),
    ] {
        fill(&Region::open(&path, &base).unwrap().0, 0..100);
        let (region, opened) = Region::open(&path, &other).unwrap();
        assert_eq!((opened, count(&region, 0..100)), (Opened::Rebuilt(why), 0));
    }
}

/// What a registry left behind that is asked no longer goes at the first sweep, long before its time, and takes nobody's room.
#[test]
fn records_of_former_registries_make_room() {
    let path = directory("retired").join("region");
    let registries = registries();
    fill(&open(&path).unwrap().0, 0..3000);
    let moved = [registries[0], Registry::new(*b"us", "http://localhost:9003")];
    let (region, _) =
        Region::open(&path, &OpenOptions { registries: &moved, ..options(&registries) }).unwrap();
    let before = region.stats();
    let cleared = u64::from(region.sweep(region.buckets(), NOW).cleared);
    assert!((1400..=1500).contains(&cleared), "{cleared}");
    assert_eq!(region.sweep(region.buckets(), NOW).cleared, 0);
    let after = region.stats();
    assert_eq!((after.records, after.expired), (before.records - cleared, before.expired + cleared));
    assert_eq!(count(&region, 0..3000) as u64, after.records, "what is left is found");
    drop(region);

    // Nor do they where nobody sweeps.
    let (region, _) = open(&path).unwrap();
    fill(&region, 5000..6000);
    assert_eq!(count(&region, 5000..6000), 1000);
    assert_eq!(region.stats().evictions, before.evictions);
}

#[test]
fn there_is_a_place_for_63_workers() {
    let path = directory("workers").join("region");
    let workers: Vec<_> = (0..63).map(|_| open(&path).unwrap().0).collect();
    assert_eq!(open(&path).unwrap_err(), RegionError::TooManyWorkers { path: path.clone() });
    fill(&workers[40], 0..10);
    drop(workers);
    assert_eq!(count(&open(&path).unwrap().0, 0..10), 10);
}

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Opens a damaged file: whatever comes of it, no answer is wrong, and it works again.
fn survives(path: &Path, context: &str) -> (Opened, usize) {
    let (region, opened) = open(path).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = count(&region, 0..3000);
    for id in 5000..5100 {
        fill(&region, id..id + 1);
        assert_eq!(count(&region, id..id + 1), 1, "{context}");
    }
    region.sweep(region.buckets(), BootTime(NOW.0 + 40_000));
    (opened, found)
}

#[test]
fn every_byte_of_the_file_may_be_damaged_while_nobody_maps_it() {
    let path = directory("damage").join("region");
    fill(&open(&path).unwrap().0, 0..3000);
    let whole = fs::read(&path).unwrap();
    let intact = survives(&path, "intact").1;
    assert!(intact > 2500, "{intact}");
    let mut random = Random(1);
    // Every byte of the first page's beginning and of the table's first rows, then every few bytes to the end.
    for place in (0..200).chain(4096..4300).chain((0..whole.len()).step_by(211)) {
        let mut damaged = whole.clone();
        damaged[place] ^= random.byte().max(1);
        fs::write(&path, &damaged).unwrap();
        survives(&path, &format!("byte {place}"));
    }
    for round in 0..150 {
        let mut damaged = whole.clone();
        let start = random.below(whole.len());
        let length = random.below(9000).min(whole.len() - start);
        match round % 3 {
            0 => damaged[start..start + length].fill(0),
            1 => damaged[start..start + length].fill(0xff),
            _ => damaged[start..start + length].iter_mut().for_each(|byte| *byte = random.byte()),
        }
        fs::write(&path, &damaged).unwrap();
        survives(&path, &format!("round {round}: {length} bytes from {start}"));
    }
    for length in [0, 1, 8, 4095, 4096, 65_536, 69_632, whole.len() - 4096, whole.len() - 1, whole.len() + 1]
    {
        let mut cut = whole.clone();
        cut.resize(length, 0);
        fs::write(&path, &cut).unwrap();
        let (opened, found) = survives(&path, &format!("cut to {length}"));
        let expected = if length == 0 { Opened::Created } else { Opened::Rebuilt(Rebuild::Size) };
        assert_eq!((opened, found), (expected, 0), "{length}");
    }
}

/// `cargo test --release --test region_file -- --ignored`: 30,000 rounds. Each damages up to eight places at once: a byte, a bit, what a
/// writer notes about a bucket, a page or a few bytes of another place; now and then the file's length, too.
#[test]
#[ignore = "minutes; the test above does the same for seconds"]
fn many_bytes_of_the_file_may_be_damaged_again_and_again() {
    let path = directory("damage-long").join("region");
    fill(&open(&path).unwrap().0, 0..3000);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    let mut random = Random(3);
    for round in 0..30_000 {
        let mut damaged = whole.clone();
        for _ in 0..=random.below(8) {
            let page = 4096 * random.below(pages);
            match random.below(6) {
                0 => damaged[page + random.below(4096)] = random.byte(),
                1 => damaged[page + random.below(4096)] ^= 1 << random.below(8),
                2 => damaged[page + random.below(64)] = random.byte(), // the head
                3 => damaged[page + 4096 - 1 - random.below(200)] ^= random.byte(), // fingerprints and lengths
                4 => {
                    let from = 4096 * random.below(pages);
                    damaged.copy_within(from..from + 4096, page);
                }
                _ => {
                    let (from, bytes) = (random.below(whole.len() - 64), random.below(64));
                    damaged.copy_within(from..from + bytes, page + random.below(4096 - 64));
                }
            }
        }
        if random.below(16) == 0 {
            damaged.resize(random.below(whole.len() + 4096), random.byte());
        }
        fs::write(&path, &damaged).unwrap();
        survives(&path, &format!("round {round}"));
    }
}

#[test]
fn pages_of_another_version_of_the_file_are_dropped_or_right() {
    let directory = directory("versions");
    let (path, other) = (directory.join("region"), directory.join("other"));
    // The same file earlier, with another registry's answers to the same ids; and another file, with another seed.
    let registries = registries();
    let earlier = [registries[1], Registry::new(*b"xx", "http://localhost:9009")];
    let (region, _) =
        Region::open(&path, &OpenOptions { registries: &earlier, ..options(&registries) }).unwrap();
    let wrong = Record::Company { name: "another registry's", active_until: None };
    for id in 0..3000_u32 {
        region.put(Key { registry: 1, id: &id.to_le_bytes() }, &wrong, NOW);
    }
    drop(region);
    let before = fs::read(&path).unwrap();
    fill(&open(&path).unwrap().0, 0..3000);
    let after = fs::read(&path).unwrap();
    let (region, _) = Region::open(&other, &OpenOptions { seed: [99, 98], ..options(&registries) }).unwrap();
    fill(&region, 0..3000);
    drop(region);
    let foreign = fs::read(&other).unwrap();
    let mut random = Random(2);
    let pages = after.len() / 4096;
    for round in 0..200 {
        let mut mixed = after.clone();
        let source = if round % 2 == 0 { &before } else { &foreign };
        for _ in 0..=random.below(pages) {
            let start = 4096 * if round % 5 == 0 { random.below(16) } else { random.below(pages) };
            mixed[start..start + 4096].copy_from_slice(&source[start..start + 4096]);
        }
        fs::write(&path, &mixed).unwrap();
        survives(&path, &format!("round {round}"));
    }
}

/// A page may be newer than the header, or damaged, and name as its holder whoever would have come next.
#[test]
fn a_bucket_is_not_held_by_those_who_come() {
    let path = directory("named").join("region");
    fill(&open(&path).unwrap().0, 0..500);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    for round in 0..5 {
        let mut generation = [0; 8];
        for page in 16..BYTES as u64 / 4096 {
            let place = 1 + page % 2;
            file.read_exact_at(&mut generation, 3 * 4096 + place * 128 + 15 * 8).unwrap();
            let next = u64::from_ne_bytes(generation) + 1 + page / 2 % 3;
            file.write_all_at(&((next & 0xff_ffff) << 8 | place).to_ne_bytes(), page * 4096).unwrap();
        }
        let workers = [open(&path).unwrap().0, open(&path).unwrap().0];
        for (worker, ids) in workers.iter().zip([0..500, 500..1000]) {
            fill(worker, ids.clone());
            assert_eq!(count(worker, ids), 500, "round {round}");
        }
    }
}

#[test]
fn a_file_with_holes_is_filled_before_it_is_used() {
    let path = directory("holes").join("region");
    drop(open(&path).unwrap());
    let whole = fs::read(&path).unwrap();
    let file = File::create(&path).unwrap();
    file.write_all_at(&whole[..65_536], 0).unwrap();
    file.set_len(whole.len() as u64).unwrap();
    let (_region, opened) = open(&path).unwrap();
    assert_eq!(opened, Opened::Attached);
    assert!(fs::metadata(&path).unwrap().blocks() * 512 >= whole.len() as u64);
}
