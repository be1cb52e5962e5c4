//! Real processes over one file, killed and stopped at random moments while they read and write.
//!
//! `cargo test --test processes` does a few hundred rounds, `cargo test --test processes -- 5000` as many as it says. Names tell what they
//! belong to, so every reader can tell a wrong answer alone; it then ends with a status of its own. What depends on the exact moment
//! of a stop or a death, and not on luck, is shown by a worker that takes every bucket and then stops itself.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test of its own harness"
)]

use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::record::Record;
use backendify_core::region::{
    BootTime, Kept, Lease, OpenOptions, Opened, Page, Region, RegionError, Registry,
};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BUCKETS: usize = 12;
const PAGE_BYTES: usize = 4096;
const HEADER_BYTES: usize = 16 * PAGE_BYTES;
const BYTES: usize = HEADER_BYTES + BUCKETS * PAGE_BYTES;
const NOW: BootTime = BootTime(5000);
const DAY: Lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
const IDS: u32 = 3000;
const WRONG_ANSWER: i32 = 3;
const ROUNDS: usize = 300;

fn open(path: &Path) -> Result<(Region, Opened), RegionError> {
    let registries = [Registry::new(*b"ru", "http://localhost:9001")];
    let options = OpenOptions {
        bytes: BYTES,
        lifetimes: DAY,
        registries: &registries,
        boot_id: [7; 16],
        seed: [11, 12],
    };
    Region::open(path, &options)
}

/// A name that says whose it is and which version, of a length that both decide.
fn name_of(id: u32, version: u32) -> String {
    let mut name = format!("{id}/{version}/");
    let longest = if id % 97 == 0 { 900 } else { 60 };
    let length = (id.wrapping_mul(31) ^ version.wrapping_mul(7)) % longest;
    name.extend((0..length).map(|index| char::from(b'a' + u8::try_from((index + version) % 26).unwrap())));
    name
}

fn is_right(id: u32, record: &Record<'_>) -> bool {
    let Record::Company { name, active_until: None } = record else { return false };
    let mut parts = name.split('/');
    let told = parts.next().and_then(|id| id.parse().ok());
    let version = parts.next().and_then(|version| version.parse().ok());
    told == Some(id) && version.is_some_and(|version| *name == name_of(id, version))
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Reads and writes; false when an answer was wrong.
fn work(region: &Region, random: &mut Random, steps: u32) -> bool {
    let mut page = Page::default();
    (0..steps).all(|step| {
        let id = random.below(IDS);
        let bytes = id.to_le_bytes();
        let key = Key { registry: 0, id: &bytes };
        if step % 2 == 0 {
            let name = name_of(id, random.below(1_000_000));
            let kept = region.put(key, &Record::Company { name: &name, active_until: None }, NOW);
            return kept != Kept::Oversize;
        }
        region.get(key, NOW, &mut page).is_none_or(|found| is_right(id, &found.record))
    })
}

/// A worker's life: until somebody ends it.
fn live(path: &Path, seed: u64) -> ! {
    let Ok((region, _)) = open(path) else { std::process::exit(4) };
    let mut random = Random(seed);
    // Bounded, should whoever started it be gone: a minute's work or so.
    for _ in 0..100_000 {
        if !work(&region, &mut random, 1000) {
            std::process::exit(WRONG_ANSWER);
        }
    }
    std::process::exit(0)
}

/// The file as `docs/region-format.md` draws it.
struct Drawn(File);

impl Drawn {
    fn open(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }

    fn word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at as u64).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn set_word(&self, at: usize, word: u64) {
        self.0.write_all_at(&word.to_ne_bytes(), at as u64).unwrap();
    }

    /// What the worker in this place writes into the buckets that it holds.
    fn owner(&self, place: u8) -> u64 {
        let generation = self.word(3 * PAGE_BYTES + usize::from(place) * 128 + 15 * 8);
        (generation & 0xff_ffff) << 8 | u64::from(place)
    }
}

/// Where the first entry of a bucket begins.
const FIRST_ENTRY: usize = 152;

/// A worker that stops itself with every bucket in its hands, half of an entry overwritten in each; when it is woken it puts
/// all right, lets go and ends.
fn hold(path: &Path) -> ! {
    let (region, _) = open(path).unwrap();
    let file = Drawn::open(path);
    let owner = file.owner(region.place());
    let buckets = || (HEADER_BYTES..BYTES).step_by(PAGE_BYTES);
    let first_entry = |bucket: usize| bucket + FIRST_ENTRY;
    for bucket in buckets() {
        file.set_word(bucket, file.word(bucket) | owner);
        file.set_word(first_entry(bucket), !file.word(first_entry(bucket)));
    }
    raise(Signal::SIGSTOP).unwrap();
    for bucket in buckets() {
        file.set_word(first_entry(bucket), !file.word(first_entry(bucket)));
        let sequence = file.word(bucket) >> 32;
        file.set_word(bucket, (sequence + 1) << 32);
    }
    std::process::exit(0)
}

fn run(arguments: &[&str], path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).arg(path).stdin(Stdio::null());
    command.spawn().unwrap()
}

fn start(path: &Path, seed: u32) -> Child {
    run(&["worker", &seed.to_string()], path)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn signal(child: &Child, signal: Signal) {
    kill(pid(child), signal).unwrap();
}

/// Waits until a worker has stopped itself.
fn wait_for_stop(child: &Child) {
    let status = waitpid(pid(child), Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(status, WaitStatus::Stopped(pid(child), Signal::SIGSTOP));
}

/// Ends a worker; it must have been working until then.
fn end(mut child: Child) {
    signal(&child, Signal::SIGKILL);
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "a worker ended by itself: {status}");
}

fn pause(random: &mut Random, longest_us: u32) {
    std::thread::sleep(Duration::from_micros(u64::from(random.below(longest_us))));
}

/// A fresh look at the file: every bucket is whole, nothing is stuck, and what is there is right.
fn inspect(path: &Path) {
    let (region, _) = open(path).unwrap();
    let damaged = region.stats().damaged;
    let found = count(&region);
    assert!(found > 100, "{found}");
    assert!(put_all(&region, 1).iter().all(|kept| *kept == Kept::Stored), "a lock is stuck");
    assert_eq!(region.stats().damaged, damaged, "a bucket does not fit its sum");
}

/// Workers are killed, or stopped for a while, and started again; the others never notice.
fn torment(directory: &Path, rounds: usize) {
    let path = directory.join("torment");
    let mut random = Random(42);
    let mut workers: Vec<Child> = (0..3).map(|seed| start(&path, seed)).collect();
    while open(&path).is_err() {
        pause(&mut random, 1000);
    }
    let (mut region, _) = open(&path).unwrap();
    for round in 0..rounds {
        let victim = usize::try_from(random.below(3)).unwrap();
        pause(&mut random, 8000);
        match random.below(4) {
            0 => {
                signal(&workers[victim], Signal::SIGSTOP);
                assert!(work(&region, &mut random, 2000), "beside a stopped worker");
                signal(&workers[victim], Signal::SIGCONT);
            }
            1 => {
                // Stopped, so long that anything by time would have run out, then killed.
                signal(&workers[victim], Signal::SIGSTOP);
                pause(&mut random, 8000);
                end(std::mem::replace(&mut workers[victim], start(&path, random.below(1 << 30))));
            }
            _ => end(std::mem::replace(&mut workers[victim], start(&path, random.below(1 << 30)))),
        }
        assert!(work(&region, &mut random, 1000), "after round {round}");
        if round % 50 == 49 {
            // Everybody at once, and a new beginning over what they left.
            workers.into_iter().for_each(end);
            drop(region);
            inspect(&path);
            workers = (0..3).map(|_| start(&path, random.below(1 << 30))).collect();
            region = open(&path).unwrap().0;
        }
    }
    workers.into_iter().for_each(end);
    let stats = region.stats();
    drop(region);
    inspect(&path);
    assert_eq!(stats.damaged, 0, "{stats:?}");
    println!("{rounds} rounds: {stats:?}");
}

/// Several processes make the file at once, and are killed while they do.
fn births(directory: &Path, rounds: usize) {
    let path = directory.join("births");
    let mut random = Random(43);
    for round in 0..rounds {
        if round % 3 != 0 {
            let _ = fs::remove_file(&path);
        }
        let workers: Vec<Child> = (0..3).map(|seed| start(&path, seed)).collect();
        pause(&mut random, 6000);
        workers.into_iter().for_each(end);
        let (region, _) = open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(work(&region, &mut random, 200), "round {round}");
    }
}

fn put(region: &Region, id: u32, version: u32) -> Kept {
    let name = name_of(id, version);
    let record = Record::Company { name: &name, active_until: None };
    region.put(Key { registry: 0, id: &id.to_le_bytes() }, &record, NOW)
}

/// Stores every id under `version`: what became of each.
fn put_all(region: &Region, version: u32) -> Vec<Kept> {
    (0..IDS).map(|id| put(region, id, version)).collect()
}

/// How many ids are found; whatever is found is right.
fn count(region: &Region) -> usize {
    let mut page = Page::default();
    let mut is_found = |id: &u32| {
        let bytes = id.to_le_bytes();
        let found = region.get(Key { registry: 0, id: &bytes }, NOW, &mut page);
        assert!(found.is_none_or(|found| is_right(*id, &found.record)), "{id}: {found:?}");
        found.is_some()
    };
    (0..IDS).filter(&mut is_found).count()
}

/// While a worker is stopped with buckets in its hands the others do without, and never take them; once it goes on, all
/// is as before. When it dies instead, its buckets are taken and emptied at the next store.
fn stopped_is_not_dead(directory: &Path) {
    let path = directory.join("held");
    let (region, _) = open(&path).unwrap();
    put_all(&region, 1);
    let before = count(&region);
    assert!(before > 100, "{before}");

    let holder = || {
        let holder = run(&["hold"], &path);
        wait_for_stop(&holder);
        holder
    };
    let mut stopped = holder();
    assert!(put_all(&region, 2).iter().all(|kept| *kept == Kept::Busy), "it has every bucket");
    assert_eq!(count(&region), 0);
    assert_eq!(region.stats().takeovers, 0, "it was alive");
    signal(&stopped, Signal::SIGCONT);
    assert!(stopped.wait().unwrap().success());
    assert_eq!(count(&region), before);
    assert!(put_all(&region, 3).iter().all(|kept| *kept == Kept::Stored));

    let dead = holder();
    end(dead);
    assert_eq!(count(&region), 0, "a look-up takes nothing");
    // Other ids, until every bucket was taken: nothing of what lay there before is left, whole or half.
    let others = (IDS..2 * IDS).take_while(|id| {
        assert_eq!(put(&region, *id, 4), Kept::Stored, "a lock is stuck");
        region.stats().takeovers < BUCKETS as u64
    });
    assert!(others.count() < 500);
    assert_eq!(count(&region), 0, "what its writer died over is believed");
    assert!(put_all(&region, 4).iter().all(|kept| *kept == Kept::Stored), "a lock is stuck");
    assert_eq!(region.stats().takeovers, BUCKETS as u64);
    assert!(count(&region) > 100);
    drop(region);
    inspect(&path);
}

/// A key of everybody's.
const SHARED: Key<'_> = Key { registry: 0, id: b"shared" };

/// A worker that stops itself while it asks a registry.
fn lease(path: &Path) -> ! {
    let (region, _) = open(path).unwrap();
    assert_eq!(region.take_lease(SHARED, NOW, 1000), Lease::Mine);
    raise(Signal::SIGSTOP).unwrap();
    std::process::exit(0)
}

/// The lease of a worker that is stopped is its own; once it is dead, whoever comes first has it at once, though nobody has
/// taken the dead worker's place and the time that it was given is not over.
fn a_lease_ends_with_its_holder(directory: &Path) {
    let path = directory.join("lease");
    let (first, _) = open(&path).unwrap();
    let holder = run(&["lease"], &path);
    wait_for_stop(&holder);
    let (third, _) = open(&path).unwrap();
    assert_eq!((first.place(), third.place()), (1, 3));
    for region in [&first, &third] {
        assert_eq!(region.take_lease(SHARED, NOW, 1000), Lease::Theirs(1), "it lives, in place 2");
    }
    end(holder);
    assert_eq!(third.take_lease(SHARED, NOW, 1000), Lease::Mine);
    assert_eq!(first.take_lease(SHARED, NOW, 1000), Lease::Theirs(2), "of the one in place 3");
}

/// A worker that is stopped at random moments is never taken for dead.
fn stops(directory: &Path, rounds: usize) {
    let path = directory.join("stopped");
    let mut random = Random(44);
    let (region, _) = open(&path).unwrap();
    let worker = start(&path, 1);
    for _ in 0..rounds {
        pause(&mut random, 4000);
        signal(&worker, Signal::SIGSTOP);
        pause(&mut random, 2000);
        assert!(work(&region, &mut random, 2000));
        assert_eq!(region.stats().takeovers, 0, "it was alive");
        signal(&worker, Signal::SIGCONT);
    }
    end(worker);
    drop(region);
    inspect(&path);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["worker", seed, path] => live(Path::new(path), seed.parse().unwrap()),
        ["hold", path] => hold(Path::new(path)),
        ["lease", path] => lease(Path::new(path)),
        _ => {}
    }
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    stopped_is_not_dead(&directory);
    a_lease_ends_with_its_holder(&directory);
    births(&directory, rounds / 5);
    stops(&directory, rounds / 3);
    torment(&directory, rounds);
}
