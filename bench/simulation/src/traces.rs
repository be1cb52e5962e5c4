//! What customers ask for: companies by number, drawn from a popularity.

/// Pseudo-random numbers, the same in every run (Steele et al., `SplitMix64`, 2014).
#[derive(Clone, Copy)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(((self.next() >> 32) * u64::from(bound)) >> 32).expect("under the bound")
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks by Zipf's law, by the alias method (Walker 1977): two draws each.
pub(crate) struct Zipf {
    share: Vec<f64>,
    alias: Vec<u32>,
}

impl Zipf {
    pub(crate) fn new(count: u32, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=count).map(|rank| f64::from(rank).powf(-exponent)).collect();
        let total: f64 = weights.iter().sum();
        let mut share: Vec<f64> = weights.iter().map(|weight| weight / total * f64::from(count)).collect();
        let mut alias: Vec<u32> = (0..count).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..count).partition(|rank| share[*rank as usize] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
            alias[poor as usize] = rich;
            share[rich as usize] -= 1.0 - share[poor as usize];
            if share[rich as usize] < 1.0 { small.push(rich) } else { large.push(rich) }
        }
        for rank in small.into_iter().chain(large) {
            share[rank as usize] = 1.0;
        }
        Self { share, alias }
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let column = random.below(u32::try_from(self.share.len()).expect("a u32 made it"));
        if random.unit() < self.share[column as usize] { column } else { self.alias[column as usize] }
    }
}

/// What happens beside the popularity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disturbance {
    /// Nothing.
    None,
    /// After every five capacities of requests somebody walks through half a capacity of companies that nobody else asks for.
    Scans,
    /// After every capacity of requests a tenth of the companies change places in the popularity.
    Shifts,
}

/// An endless trace over `universe` companies; scans walk through as many more after them.
pub(crate) struct Trace<'a> {
    zipf: &'a Zipf,
    random: Random,
    order: Vec<u32>,
    disturbance: Disturbance,
    capacity: u32,
    turn: u32,
    scan_left: u32,
    scan_next: u32,
}

impl<'a> Trace<'a> {
    pub(crate) fn new(zipf: &'a Zipf, capacity: u32, disturbance: Disturbance) -> Self {
        let universe = u32::try_from(zipf.share.len()).expect("a u32 made it");
        let order = (0..universe).collect();
        Self { zipf, random: Random(7), order, disturbance, capacity, turn: 0, scan_left: 0, scan_next: 0 }
    }
}

impl Iterator for Trace<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let universe = u32::try_from(self.order.len()).expect("a u32 made it");
        self.turn += 1;
        match self.disturbance {
            Disturbance::None => {}
            Disturbance::Scans => {
                if self.turn >= 5 * self.capacity {
                    (self.turn, self.scan_left) = (0, self.capacity / 2);
                }
                if self.scan_left > 0 {
                    self.scan_left -= 1;
                    self.scan_next = (self.scan_next + 1) % universe;
                    return Some(universe + self.scan_next);
                }
            }
            Disturbance::Shifts => {
                if self.turn >= self.capacity {
                    self.turn = 0;
                    for _ in 0..universe / 20 {
                        let (one, other) = (self.random.below(universe), self.random.below(universe));
                        self.order.swap(one as usize, other as usize);
                    }
                }
            }
        }
        let rank = self.zipf.draw(&mut self.random);
        Some(self.order[rank as usize])
    }
}
