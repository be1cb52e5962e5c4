//! What customers ask for, as indices of companies.

use crate::draws::Draws;
use crate::zipf::Zipf;

/// A trace and its name.
pub(crate) struct Trace {
    pub(crate) name: &'static str,
    pub(crate) asked: Vec<u32>,
}

/// The popularity never changes.
pub(crate) fn steady(zipf: &Zipf, length: usize, seed: u64) -> Trace {
    let mut draws = Draws(seed);
    let asked = (0..length).map(|_| zipf.company_of(zipf.rank(&mut draws))).collect();
    Trace { name: "Zipf 1.0", asked }
}

/// Between the customers somebody reads whole stretches, each company once: a fifth of all requests, in runs of half as many
/// companies as fit the cache.
pub(crate) fn scanned(zipf: &Zipf, length: usize, entries: usize, seed: u64) -> Trace {
    let mut trace = Trace { name: "with scans", ..steady(zipf, length, seed) };
    let run = entries / 2;
    for (position, asked) in (0_u32..).zip(&mut trace.asked) {
        let is_scanned = position as usize / run % 5 == 4;
        if is_scanned {
            *asked = zipf.universe() + position; // nobody else asks for it, and the scan asks once
        }
    }
    trace
}

/// What is popular becomes unpopular, and the other way round, each time that `period` requests were made.
pub(crate) fn shifting(zipf: &Zipf, length: usize, period: usize, seed: u64) -> Trace {
    let mut draws = Draws(seed);
    let asked = (0..length)
        .map(|position| {
            let shift = u64::try_from(position / period).unwrap_or_default() * u64::from(zipf.universe()) / 7;
            let rank = (u64::from(zipf.rank(&mut draws)) + shift) % u64::from(zipf.universe());
            zipf.company_of(u32::try_from(rank).unwrap_or_default())
        })
        .collect();
    Trace { name: "popular set shifts", asked }
}
