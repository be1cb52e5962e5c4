//! What the region's layout and its eviction are worth, counted and not timed: the same numbers on every machine.
//!
//! `cargo run --release --example simulate` prints them; with a number after it, for a region of so many MiB.
#![expect(clippy::print_stdout, reason = "to print is what it is for")]
#![expect(clippy::cast_precision_loss, reason = "counts of this size have room in a float")]

mod companies;
mod draws;
mod hits;
mod policy;
mod trace;

use std::error::Error;

use backendify_core::freshness::Lifetimes;
use backendify_core::region::{BootTime, Region, RegionError};

const SEED: u64 = 20_241_031;
/// Nothing grows old here.
const NOW: BootTime = BootTime(1000);

fn region(bytes: usize) -> Result<Region, RegionError> {
    let lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
    Region::on_heap(bytes, lifetimes, [SEED, !SEED])
}

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::env::args().nth(1).map_or(Ok(4), |mib| mib.parse::<usize>())? << 20;
    let companies = companies::Companies::read()?;
    hits::print(&companies, bytes, SEED)
}
