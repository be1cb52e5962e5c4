//! Popularity, as in the traces on which caches are compared (Breslau et al., "Web Caching and Zipf-like Distributions", INFOCOM 1999).

use crate::draws::Draws;

/// Popularity after Zipf with exponent 1: the company of rank r is asked for in proportion to 1/r.
pub(crate) struct Zipf {
    /// For each rank, the share of requests for it and every rank before it.
    cumulated: Vec<f64>,
}

impl Zipf {
    /// Of so many companies.
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

    /// How many companies there are.
    pub(crate) fn universe(&self) -> u32 {
        u32::try_from(self.cumulated.len()).unwrap_or(u32::MAX)
    }

    /// A rank from 0.
    pub(crate) fn rank(&self, draws: &mut Draws) -> u32 {
        let point = unit(draws);
        let rank = self.cumulated.partition_point(|share| *share <= point);
        u32::try_from(rank).unwrap_or(u32::MAX).min(self.universe() - 1)
    }

    /// Which company has this rank: neighbours in rank are no neighbours in the register.
    pub(crate) fn company_of(&self, rank: u32) -> u32 {
        const PRIME: u64 = 2_654_435_761;
        u32::try_from(u64::from(rank) * PRIME % u64::from(self.universe())).unwrap_or_default()
    }
}

/// Any number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a float has room for")]
fn unit(draws: &mut Draws) -> f64 {
    (draws.bits() >> 11) as f64 / (1_u64 << 53) as f64
}
