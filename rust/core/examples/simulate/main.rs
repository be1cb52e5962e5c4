//! What the region's layout and its eviction are worth, counted and not timed: the same numbers everywhere, but for moka's.
//!
//! `cargo run --release --example simulate` prints them for a region of 40 MiB, or of so many MiB as a number after it
//! says; hits are counted in a tenth of that, because the traces are a hundred times as long as the region is large.
#![expect(clippy::print_stdout, reason = "to print is what it is for")]
#![expect(clippy::cast_precision_loss, reason = "counts of this size have room in a float")]

mod companies;
mod draws;
mod hits;
mod overhead;
mod policy;
mod trace;
mod zipf;

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
    let mib: usize = std::env::args().nth(1).map_or(Ok(40), |mib| mib.parse())?;
    let companies = companies::Companies::read()?;
    overhead::print(&companies, mib << 20)?;
    hits::print(&companies, (mib << 20) / 10, SEED)
}
