//! Who waits: all with the same patience, so whoever came first is the first to run out of it.
//!
//! One list of all in the order in which they came, and one chain for each fetch. The oldest of all is also the oldest of
//! his fetch, so a chain only ever loses its first: joining, leaving and making room cost the same few writes.

use slab::Slab;

use super::moment::Moment;

#[derive(Debug)]
struct Waiter<W> {
    who: W,
    deadline: Moment,
    flight: usize,
    joined: bool,
    older: Option<usize>,
    newer: Option<usize>,
    next_of_flight: Option<usize>,
}

/// Who waits for one fetch, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Chain {
    first: Option<usize>,
    last: Option<usize>,
}

impl Chain {
    /// Do two or more wait?
    pub(super) fn has_several(&self) -> bool {
        self.first != self.last
    }
}

/// Everybody who waits.
#[derive(Debug)]
pub(super) struct Waiters<W> {
    all: Slab<Waiter<W>>,
    oldest: Option<usize>,
    newest: Option<usize>,
}

impl<W> Waiters<W> {
    pub(super) const fn new() -> Self {
        Self { all: Slab::new(), oldest: None, newest: None }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The first to run out of patience: when, and for which fetch he waits.
    pub(super) fn oldest(&self) -> Option<(Moment, usize)> {
        self.all.get(self.oldest?).map(|waiter| (waiter.deadline, waiter.flight))
    }

    /// One more, for the fetch of this number and chain, which he found under way or not. No earlier one's deadline may
    /// be later than his.
    pub(super) fn push(
        &mut self,
        who: W,
        deadline: Moment,
        (flight, joined): (usize, bool),
        chain: &mut Chain,
    ) {
        let older = self.newest;
        let waiter = Waiter { who, deadline, flight, joined, older, newer: None, next_of_flight: None };
        let place = self.all.insert(waiter);
        self.newest = Some(place);
        match older.and_then(|older| self.all.get_mut(older)) {
            Some(older) => older.newer = Some(place),
            None => self.oldest = Some(place),
        }
        match chain.last.and_then(|last| self.all.get_mut(last)) {
            Some(last) => last.next_of_flight = Some(place),
            None => chain.first = Some(place),
        }
        chain.last = Some(place);
    }

    /// The oldest of a chain, and whether he found the fetch under way.
    pub(super) fn pop(&mut self, chain: &mut Chain) -> Option<(W, bool)> {
        let waiter = self.all.try_remove(chain.first?)?;
        chain.first = waiter.next_of_flight;
        if chain.first.is_none() {
            chain.last = None;
        }
        match waiter.older.and_then(|older| self.all.get_mut(older)) {
            Some(older) => older.newer = waiter.newer,
            None => self.oldest = waiter.newer,
        }
        match waiter.newer.and_then(|newer| self.all.get_mut(newer)) {
            Some(newer) => newer.older = waiter.older,
            None => self.newest = waiter.older,
        }
        Some((waiter.who, waiter.joined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::chance::Chance;

    #[test]
    fn whoever_came_first_leaves_first_in_each_chain_and_over_all() {
        let mut waiters = Waiters::new();
        let mut chains: Vec<Chain> = (0..5).map(|_| Chain::default()).collect();
        let mut model: Vec<(u64, usize)> = Vec::new();
        let mut chance = Chance::new(2);
        for came in 0..20_000 {
            let flight = usize::try_from(chance.up_to(4)).unwrap();
            match chance.up_to(2) {
                0 => {
                    let (deadline, oldest_of) = waiters.oldest().unzip();
                    assert_eq!(deadline.map(|deadline| deadline.0), model.first().map(|(came, _)| *came));
                    let Some(flight) = oldest_of else { continue };
                    let (who, _) = waiters.pop(&mut chains[flight]).unwrap();
                    assert_eq!((who, flight), model.remove(0));
                }
                1 if chance.up_to(3) == 0 => {
                    while let Some((who, _)) = waiters.pop(&mut chains[flight]) {
                        let first = model.iter().position(|(_, of)| *of == flight).unwrap();
                        assert_eq!(model.remove(first).0, who);
                    }
                    assert!(chains[flight].first.is_none() && !model.iter().any(|(_, of)| *of == flight));
                }
                _ => {
                    waiters.push(came, Moment(came), (flight, false), &mut chains[flight]);
                    model.push((came, flight));
                }
            }
            assert_eq!(waiters.len(), model.len());
        }
    }
}
