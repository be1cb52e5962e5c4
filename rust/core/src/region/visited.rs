//! One bit a slot: was its entry read since it was stored?

use super::layout::VISITED_WORDS;

/// The visited bits of a bucket, from the first slot's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Visited(pub(super) [u64; VISITED_WORDS]);

impl Visited {
    /// With `by` (1 to 63) bits more, none of them set, before bit `at`.
    pub(super) fn opened(self, at: usize, by: usize) -> Self {
        let mut carried = 0;
        self.from(at, |bits, kept| {
            let moving = bits & !kept;
            let moved = moving << by | carried;
            carried = moving >> (64 - by);
            moved
        })
    }

    /// Without the `by` (1 to 63) bits from bit `at` on.
    pub(super) fn closed(self, at: usize, by: usize) -> Self {
        let mut above = self.0.into_iter().skip(at / 64 + 1);
        self.from(at, |bits, kept| {
            let carried = above.next().unwrap_or(0) << (64 - by);
            (bits >> by | carried) & !kept
        })
    }

    /// Changes the words from that of bit `at` on, but for the bits below it.
    fn from(mut self, at: usize, mut change: impl FnMut(u64, u64) -> u64) -> Self {
        let mut kept = !(u64::MAX << (at % 64));
        for bits in self.0.iter_mut().skip(at / 64) {
            *bits = change(*bits, kept) | *bits & kept;
            kept = 0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits_of(visited: Visited) -> Vec<bool> {
        visited.0.iter().flat_map(|word| (0..64).map(move |bit| word >> bit & 1 == 1)).collect()
    }

    proptest! {
        #[test]
        fn bits_move_as_a_list_does(words in any::<[u64; VISITED_WORDS]>(), at in 0..64 * VISITED_WORDS, by in 1..5_usize) {
            let visited = Visited(words);
            let mut opened = bits_of(visited);
            opened.splice(at..at, vec![false; by]);
            opened.truncate(64 * VISITED_WORDS);
            prop_assert_eq!(bits_of(visited.opened(at, by)), opened);
            let mut closed = bits_of(visited);
            closed.drain(at..(at + by).min(64 * VISITED_WORDS));
            closed.resize(64 * VISITED_WORDS, false);
            prop_assert_eq!(bits_of(visited.closed(at, by)), closed);
        }
    }
}
