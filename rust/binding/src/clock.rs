//! The only reader of clocks: the rules take the time as an argument.

use backendify_core::date::Timestamp;
use backendify_core::miss::Moment;
use backendify_core::region::BootTime;
use rustix::time::{ClockId, clock_gettime};

/// The wall clock; it decides only what "active" means.
pub(crate) fn wall() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    u32::try_from(now.tv_nsec)
        .ok()
        .and_then(|nanoseconds| Timestamp::from_unix(now.tv_sec, nanoseconds))
        .unwrap_or(Timestamp::LAST)
}

/// The clock that ages are counted on: it is never set, and it goes on while the machine sleeps.
pub(crate) fn boot() -> BootTime {
    let now = clock_gettime(ClockId::Boottime);
    let deciseconds = now.tv_sec.saturating_mul(10).saturating_add(now.tv_nsec / 100_000_000);
    BootTime(u32::try_from(deciseconds).unwrap_or(u32::MAX))
}

/// The clock of the event loop (`asyncio`'s `loop.time()` reads the same one).
pub(crate) fn monotonic() -> Moment {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Moment(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(u64::try_from(now.tv_nsec / 1000).unwrap_or_default()),
    )
}

/// A seed that nobody outside can guess, so that nobody can aim keys at one bucket.
pub(crate) fn seed() -> [u64; 2] {
    use std::hash::{BuildHasher, RandomState};
    // The standard library's own keys: drawn from the operating system once a process.
    [RandomState::new().hash_one(0_u8), RandomState::new().hash_one(1_u8)]
}

/// Differs after each start of the machine (proc(5), `random/boot_id`): the file's ages mean nothing after it.
pub(crate) fn boot_id() -> std::io::Result<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).map(u128::to_be_bytes).map_err(std::io::Error::other)
}
