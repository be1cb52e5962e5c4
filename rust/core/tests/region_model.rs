//! The region against a dictionary: whatever is done to it, a look-up finds nothing or exactly what was put last, with its
//! age, and never anything past its time. Only what the crate shows is used.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own means may fail the test")]

use std::collections::HashMap;

use backendify_core::date::Timestamp;
use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::record::Record;
use backendify_core::region::{BootTime, ENTRY_BYTES_MAX, Kept, PAGE_BYTES, Page, Region, RegionError};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use siphasher::sip::SipHasher13;

const LIFETIMES: Lifetimes = Lifetimes { ttl_ds: 3000, negative_ttl_ds: 400, stale_ds: 50 };
const REGISTRIES: u8 = 4;
/// Different ids asked for: far more than a few buckets hold, few enough that they come again.
const IDS: u32 = 700;

/// As few buckets as there can be, and `more`.
fn tiny(more: usize, seed: [u64; 2]) -> Region {
    let Err(RegionError::TooSmall { needed, .. }) = Region::on_heap(0, LIFETIMES, seed) else {
        panic!("a region of no bytes")
    };
    Region::on_heap(needed + more * PAGE_BYTES, LIFETIMES, seed).unwrap()
}

/// An id whose length and bytes are told by its number: short, long, empty, not UTF-8, each a prefix of others, some so
/// long that no bucket takes them.
fn id_of(number: u32) -> Vec<u8> {
    let tail = number.to_le_bytes();
    match number % 50 {
        _ if number == 0 => Vec::new(),
        1 => [vec![0; usize::try_from(number).unwrap() % 40], tail.to_vec()].concat(),
        2 => [vec![0xff; 26 + usize::try_from(number / 50).unwrap() % 8], tail.to_vec()].concat(), // around 31 bytes
        3 => [vec![b'a'; 240 + usize::try_from(number / 50).unwrap()], tail.to_vec()].concat(), // around a slot's length
        4 => {
            [vec![b'x'; ENTRY_BYTES_MAX - 18 + usize::try_from(number / 50).unwrap()], tail.to_vec()].concat()
        }
        _ => format!("{number:07}C").into_bytes(),
    }
}

/// The fingerprint of an id in its bucket, as `docs/region-format.md` tells it.
fn fingerprint(seed: [u64; 2], registry: u8, id: &[u8]) -> u8 {
    let [seed, other] = seed;
    SipHasher13::new_with_keys(seed ^ u64::from(registry), other).hash(id).to_be_bytes()[0].max(1)
}

/// An id of `width` digits and this tail, with the fingerprint 1: the one that is next to that of a slot in the middle of an entry.
fn id_of_fingerprint_1(seed: [u64; 2], registry: u8, first: u32, width: usize, tail: &[u8]) -> Vec<u8> {
    (first..u32::MAX)
        .map(|number| [format!("{number:0width$}").as_bytes(), tail].concat())
        .find(|id| fingerprint(seed, registry, id) == 1)
        .unwrap()
}

#[derive(Clone, Debug)]
enum Told {
    Company { name: String, active_until: Option<Timestamp> },
    NotFound,
}

impl Told {
    fn record(&self) -> Record<'_> {
        match self {
            Self::Company { name, active_until } => Record::Company { name, active_until: *active_until },
            Self::NotFound => Record::NotFound,
        }
    }

    fn life_ds(&self) -> u32 {
        let stale_ds = LIFETIMES.stale_ds;
        stale_ds + if matches!(self, Self::NotFound) { LIFETIMES.negative_ttl_ds } else { LIFETIMES.ttl_ds }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put { registry: u8, number: u32, told: Told },
    Get { registry: u8, number: u32 },
    Forge(Forgery),
    Sweep { buckets: u32 },
    Pass { ds: u32 },
}

/// A long id or name, in which the entry of another key lies where the record goes on in its next slot.
#[derive(Clone, Debug)]
struct Forgery {
    registry: u8,
    number: u32,
    slot: usize,
    in_name: bool,
    victim: u8,
}

impl Forgery {
    /// Whose answer is forged; by which id; what its registry told.
    fn made(&self, seed: [u64; 2], now: u32) -> (Vec<u8>, Vec<u8>, Told) {
        let Self { registry, number, slot, in_name, victim } = *self;
        let of_victim = id_of_fingerprint_1(seed, victim, number, 7, b"");
        // Each slot but the last has 255 bytes. An entry begins with 5 bytes, and 2 more when its id is long.
        let start = slot * 255;
        let [low, middle, high, _] = now.to_le_bytes();
        let head = [victim, 1 | 7 << 3, if in_name { low & 0x7f } else { low }, middle, high];
        let entry = [&head[..], &of_victim, b"Forged Ltd"].concat();
        if !in_name {
            return (
                of_victim,
                id_of_fingerprint_1(seed, registry, number, start - 7, &entry),
                Told::NotFound,
            );
        }
        let id = id_of_fingerprint_1(seed, registry, number, 9, b"");
        let name = "x".repeat(start - 5 - id.len()) + &String::from_utf8_lossy(&entry);
        (of_victim, id, Told::Company { name, active_until: None })
    }
}

fn forgery() -> impl Strategy<Value = Forgery> {
    (0..REGISTRIES, 0..IDS, 1..4_usize, any::<bool>(), 0..REGISTRIES).prop_map(
        |(registry, number, slot, in_name, victim)| Forgery { registry, number, slot, in_name, victim },
    )
}

fn told() -> impl Strategy<Value = Told> {
    let name =
        prop_oneof![12 => ".{0,40}", 2 => "[a-z]{200,300}", 1 => "[a-z]{900,1030}", 1 => Just(String::new())];
    let seconds = Timestamp::UNIX_S_MIN..=Timestamp::UNIX_S_MAX;
    let until = (seconds, prop_oneof![Just(0), 0..1_000_000_000_u32])
        .prop_map(|(unix_s, nanoseconds)| Timestamp::from_unix(unix_s, nanoseconds).unwrap());
    let company =
        (name, prop::option::of(until)).prop_map(|(name, active_until)| Told::Company { name, active_until });
    prop_oneof![4 => company, 1 => Just(Told::NotFound)]
}

fn step() -> impl Strategy<Value = Step> {
    let passed = prop_oneof![
        6 => 0..20_u32,
        2 => 0..3200_u32,
        1 => prop_oneof![Just(449), Just(450), Just(3049), Just(3050), Just(1 << 23), Just(1 << 24)],
    ];
    prop_oneof![
        8 => (0..REGISTRIES, 0..IDS, told()).prop_map(|(registry, number, told)| Step::Put { registry, number, told }),
        8 => (0..REGISTRIES, 0..IDS).prop_map(|(registry, number)| Step::Get { registry, number }),
        1 => forgery().prop_map(Step::Forge),
        1 => (0..9_u32).prop_map(|buckets| Step::Sweep { buckets }),
        1 => passed.prop_map(|ds| Step::Pass { ds }),
    ]
}

/// What was put last under each key, and when.
type Model = HashMap<(u8, Vec<u8>), (Told, u32)>;

fn look(region: &Region, model: &Model, key: &(u8, Vec<u8>), now: u32) -> Result<bool, TestCaseError> {
    let (registry, id) = key;
    let mut page = Page::default();
    let Some(found) = region.get(Key { registry: *registry, id }, BootTime(now), &mut page) else {
        return Ok(false);
    };
    let Some((told, stored)) = model.get(key) else {
        return Err(TestCaseError::fail(format!("{key:?} was never put, and {found:?} was found")));
    };
    prop_assert_eq!((found.record, found.age_ds), (told.record(), now - stored));
    prop_assert!(found.age_ds < told.life_ds(), "{} is past its time", found.age_ds);
    Ok(true)
}

fn put(
    region: &Region,
    model: &mut Model,
    key: &(u8, Vec<u8>),
    told: Told,
    now: u32,
) -> Result<(), TestCaseError> {
    let (registry, id) = key;
    match region.put(Key { registry: *registry, id }, &told.record(), BootTime(now)) {
        Kept::Stored => {
            model.insert(key.clone(), (told, now));
            prop_assert!(look(region, model, key, now)?, "what was just put is found");
        }
        Kept::Oversize => prop_assert!(is_near_the_bound(id, &told)),
        Kept::Busy => prop_assert!(false, "nobody else is here"),
    }
    Ok(())
}

/// May this be too long? The entry's own head takes 5 to 16 bytes.
fn is_near_the_bound(id: &[u8], told: &Told) -> bool {
    let name_bytes = if let Told::Company { name, .. } = told { name.len() } else { 0 };
    id.len() + name_bytes + 16 > ENTRY_BYTES_MAX
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(4096),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_look_up_finds_nothing_or_the_last_put(
        steps in prop::collection::vec(step(), 1..900), start in any::<u32>(), more in 0..4_usize,
        seed in any::<[u64; 2]>(),
    ) {
        let region = tiny(more, seed);
        let mut model = Model::new();
        let mut now = start / 4;
        for step in steps {
            match step {
                Step::Put { registry, number, told } => put(&region, &mut model, &(registry, id_of(number)), told, now)?,
                Step::Get { registry, number } => {
                    look(&region, &model, &(registry, id_of(number)), now)?;
                }
                Step::Forge(forgery) => {
                    let (victim, id, told) = forgery.made(seed, now);
                    put(&region, &mut model, &(forgery.registry, id), told, now)?;
                    look(&region, &model, &(forgery.victim, victim), now)?;
                }
                Step::Sweep { buckets } => {
                    let swept = region.sweep(buckets, BootTime(now));
                    prop_assert_eq!(swept.buckets, buckets.min(region.buckets()));
                }
                Step::Pass { ds } => now = now.saturating_add(ds),
            }
        }
        let mut found = 0;
        for key in model.keys() {
            found += u64::from(look(&region, &model, key, now)?);
        }
        prop_assert!(found <= region.stats().records, "{found} of {}", region.stats().records);
        region.sweep(region.buckets(), BootTime(now));
        prop_assert_eq!(found, region.stats().records, "what a sweep left is found, and nothing else");
    }
}

/// The property above would hold for a region that keeps nothing: this one keeps what has room, and evicts what has not.
#[test]
fn a_full_region_keeps_most_of_what_it_has_room_for() {
    let region = tiny(2, [7, 8]);
    let mut model = Model::new();
    let ordinary = || (1000..3000).filter(|number| number % 50 > 4);
    for number in ordinary() {
        let told = Told::Company { name: "a company of an ordinary length".to_owned(), active_until: None };
        assert_eq!(
            region.put(Key { registry: 1, id: &id_of(number) }, &told.record(), BootTime(5)),
            Kept::Stored
        );
        model.insert((1, id_of(number)), (told, 5));
    }
    let found =
        ordinary().filter(|number| look(&region, &model, &(1, id_of(*number)), 9).unwrap()).count() as u64;
    let stats = region.stats();
    assert_eq!((found, stats.records, stats.evictions), (stats.records, found, 1800 - found));
    // Four buckets of 4096 bytes less 64; 46 bytes an entry, its slot included.
    assert!((300..=4 * 4032 / 46).contains(&usize::try_from(found).unwrap()), "{found}");
}
