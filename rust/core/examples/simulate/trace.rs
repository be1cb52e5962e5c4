//! What customers ask for, as indices of companies.

use crate::draws::Draws;

/// Popularity after Zipf with exponent 1: the company of rank r is asked for in proportion to 1/r.
pub(crate) struct Zipf {
    /// For each rank, the share of requests for it and every rank before it.
    cumulated: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(universe: u32) -> Self {
        let mut total = 0.0;
        let mut cumulated: Vec<f64> = (1..=universe)
            .map(|rank| {
                total += 1.0 / f64::from(rank);
                total
            })
            .collect();
        for share in &mut cumulated {
            *share /= total;
        }
        Self { cumulated }
    }

    fn universe(&self) -> u32 {
        u32::try_from(self.cumulated.len()).unwrap_or(u32::MAX)
    }

    /// A rank from 0.
    fn rank(&self, draws: &mut Draws) -> u32 {
        let point = unit(draws);
        let rank = self.cumulated.partition_point(|share| *share <= point);
        u32::try_from(rank).unwrap_or(u32::MAX).min(self.universe() - 1)
    }

    /// Which company has this rank: neighbours in rank are no neighbours in the register.
    fn company_of(&self, rank: u32) -> u32 {
        const PRIME: u64 = 2_654_435_761;
        u32::try_from(u64::from(rank) * PRIME % u64::from(self.universe())).unwrap_or_default()
    }
}

/// Any number from 0 to 1.
fn unit(draws: &mut Draws) -> f64 {
    (draws.bits() >> 11) as f64 / (1_u64 << 53) as f64 // 53 bits are what a float has room for
}

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
