//! Numbers that look random and are the same each time (`SplitMix64`: Steele, Lea and Flood, OOPSLA 2014).

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Every bit of the result hangs on every bit of `number`.
pub(crate) const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(STEP);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// A sequence of draws.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// The next 64 bits.
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }
}
