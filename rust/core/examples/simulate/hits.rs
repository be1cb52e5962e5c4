//! How many requests each cache answers on the same trace, at the same number of entries.

use backendify_core::region::{Page, Region};

use crate::companies::Companies;
use crate::policy::{Cache, Lru, Moka, Sieve};
use crate::trace::{Trace, scanned, shifting, steady};
use crate::zipf::Zipf;
use crate::{NOW, region};

/// The region behind the face of the others.
pub(crate) struct Ours<'a> {
    pub(crate) region: Region,
    pub(crate) companies: &'a Companies,
    pub(crate) page: Page,
}

impl Cache for Ours<'_> {
    fn ask(&mut self, company: u32) -> bool {
        let company = self.companies.company(company);
        let is_hit = self.region.get(company.key(), NOW, &mut self.page).is_some();
        if !is_hit {
            self.region.put(company.key(), &company.record(), NOW);
        }
        is_hit
    }
}

/// The share of hits in percent after the first fifth, in which the cache fills.
fn hit_percent(cache: &mut impl Cache, trace: &Trace) -> f64 {
    let (warm_up, counted) = trace.asked.split_at(trace.asked.len() / 5);
    for company in warm_up {
        cache.ask(*company);
    }
    let hits = counted.iter().filter(|company| cache.ask(**company)).count();
    100.0 * hits as f64 / counted.len() as f64
}

/// Prints the table; `bytes` is the region's size.
pub(crate) fn print(
    companies: &Companies,
    bytes: usize,
    seed: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    // As many as fit when everybody is asked for once.
    let mut filled = Ours { region: region(bytes)?, companies, page: Page::default() };
    for company in 0..u32::try_from(bytes / 20)? {
        filled.ask(company);
    }
    let capacity = usize::try_from(filled.region.stats().records)?;
    let zipf = Zipf::new(u32::try_from(10 * capacity)?);
    println!(
        "Hits in percent of the requests after the first fifth. Universe: ten times {capacity} companies."
    );
    println!(
        "{:<22}{:>10}{:>10}{:>14}{:>10}{:>10}",
        "trace", "entries", "region", "global SIEVE", "LRU", "moka"
    );
    for trace in [
        steady(&zipf, 100 * capacity, seed),
        scanned(&zipf, 100 * capacity, capacity, seed),
        shifting(&zipf, 100 * capacity, 20 * capacity, seed),
    ] {
        let mut ours = Ours { region: region(bytes)?, companies, page: Page::default() };
        let hits = hit_percent(&mut ours, &trace);
        let entries = usize::try_from(ours.region.stats().records)?;
        let sieve = hit_percent(&mut Sieve::new(entries), &trace);
        let lru = hit_percent(&mut Lru::new(entries), &trace);
        let moka = hit_percent(&mut Moka::new(entries), &trace);
        println!("{:<22}{entries:>10}{hits:>10.2}{sieve:>14.2}{lru:>10.2}{moka:>10.2}", trace.name);
    }
    Ok(())
}
