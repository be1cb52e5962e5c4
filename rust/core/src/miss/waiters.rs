//! Who waits: all with the same patience, so whoever came first is the first to run out of it.
//!
//! One list of all in the order in which they came, one for each registry, and one chain for each fetch. The oldest of all,
//! or of a registry, is also the oldest of his fetch, so a chain only ever loses its first: joining, leaving and making room
//! cost the same few writes.
//!
//! Room is made where most wait (longest queue drop: Wei, Coyle and Hsiao, GLOBECOM 1991): all places are there for whoever
//! needs them, yet a registry's crowd pushes out nobody's customers but its own.

use slab::Slab;

use super::moment::Moment;

/// His neighbours in a list.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    older: Option<usize>,
    newer: Option<usize>,
}

#[derive(Debug)]
struct Waiter<W> {
    who: W,
    deadline: Moment,
    registry: u8,
    flight: usize,
    joined: bool,
    of_all: Links,
    of_registry: Links,
    next_of_flight: Option<usize>,
}

/// Which of his links a list is made of.
type Pick<W> = fn(&mut Waiter<W>) -> &mut Links;

/// In the order in which they came.
#[derive(Clone, Copy, Debug, Default)]
struct List {
    oldest: Option<usize>,
    newest: Option<usize>,
    count: u32,
}

impl List {
    /// Adds the newest.
    fn push<W>(&mut self, place: usize, all: &mut Slab<Waiter<W>>, links: Pick<W>) {
        if let Some(waiter) = all.get_mut(place) {
            links(waiter).older = self.newest;
        }
        match self.newest.and_then(|newest| all.get_mut(newest)) {
            Some(newest) => links(newest).newer = Some(place),
            None => self.oldest = Some(place),
        }
        self.newest = Some(place);
        self.count += 1;
    }

    /// Closes the gap that one leaves.
    fn close<W>(&mut self, gap: Links, all: &mut Slab<Waiter<W>>, links: Pick<W>) {
        match gap.older.and_then(|older| all.get_mut(older)) {
            Some(older) => links(older).newer = gap.newer,
            None => self.oldest = gap.newer,
        }
        match gap.newer.and_then(|newer| all.get_mut(newer)) {
            Some(newer) => links(newer).older = gap.older,
            None => self.newest = gap.older,
        }
        self.count -= 1;
    }
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
    places: Slab<Waiter<W>>,
    all: List,
    registries: Vec<List>,
}

impl<W> Waiters<W> {
    /// For the registries of numbers below this.
    pub(super) fn new(registries: usize) -> Self {
        Self { places: Slab::new(), all: List::default(), registries: vec![List::default(); registries] }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The first to run out of patience: when, and for which fetch he waits.
    pub(super) fn oldest(&self) -> Option<(Moment, usize)> {
        self.places.get(self.all.oldest?).map(|waiter| (waiter.deadline, waiter.flight))
    }

    /// The fetch for which he waits who makes room for a customer of this registry: the oldest of the registry for which
    /// most wait, the newcomer among them. Nobody makes room for one of a registry for which as many wait as for his own.
    pub(super) fn spare(&self, newcomers: u8) -> Option<usize> {
        let own = self.registries.get(usize::from(newcomers))?;
        let most =
            self.registries.iter().fold(own, |most, list| if list.count > most.count { list } else { most });
        let list = if most.count > own.count + 1 || own.count == 0 { most } else { own };
        self.places.get(list.oldest?).map(|waiter| waiter.flight)
    }

    /// One more, for the fetch of this registry, number and chain, which he found under way or not. No earlier one's
    /// deadline may be later than his.
    pub(super) fn push(
        &mut self,
        who: W,
        deadline: Moment,
        (registry, flight, joined): (u8, usize, bool),
        chain: &mut Chain,
    ) {
        let (of_all, of_registry) = (Links::default(), Links::default());
        let waiter =
            Waiter { who, deadline, registry, flight, joined, of_all, of_registry, next_of_flight: None };
        let place = self.places.insert(waiter);
        self.all.push(place, &mut self.places, |waiter| &mut waiter.of_all);
        if let Some(list) = self.registries.get_mut(usize::from(registry)) {
            list.push(place, &mut self.places, |waiter| &mut waiter.of_registry);
        }
        match chain.last.and_then(|last| self.places.get_mut(last)) {
            Some(last) => last.next_of_flight = Some(place),
            None => chain.first = Some(place),
        }
        chain.last = Some(place);
    }

    /// The oldest of a chain, and whether he found the fetch under way.
    pub(super) fn pop(&mut self, chain: &mut Chain) -> Option<(W, bool)> {
        let waiter = self.places.try_remove(chain.first?)?;
        chain.first = waiter.next_of_flight;
        if chain.first.is_none() {
            chain.last = None;
        }
        self.all.close(waiter.of_all, &mut self.places, |waiter| &mut waiter.of_all);
        if let Some(list) = self.registries.get_mut(usize::from(waiter.registry)) {
            list.close(waiter.of_registry, &mut self.places, |waiter| &mut waiter.of_registry);
        }
        Some((waiter.who, waiter.joined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::chance::Chance;

    const REGISTRIES: usize = 3;

    /// The fetches of a registry are those whose numbers leave this rest.
    fn registry_of(flight: usize) -> usize {
        flight % REGISTRIES
    }

    /// Whom the rule names, of all who wait, in their order.
    fn expected_spare(model: &[(u64, usize)], newcomers: usize) -> Option<usize> {
        let count = |registry| model.iter().filter(|(_, flight)| registry_of(*flight) == registry).count();
        let most = (0..REGISTRIES).map(count).max()?;
        let own = count(newcomers);
        let sheds_own = own > 0 && own + 1 >= most;
        let registry = if sheds_own { newcomers } else { (0..REGISTRIES).find(|one| count(*one) == most)? };
        model.iter().find(|(_, flight)| registry_of(*flight) == registry).map(|(_, flight)| *flight)
    }

    #[test]
    fn whoever_came_first_leaves_first_in_each_chain_of_each_registry_and_over_all() {
        let mut waiters = Waiters::new(REGISTRIES);
        let mut chains: Vec<Chain> = (0..5).map(|_| Chain::default()).collect();
        let mut model: Vec<(u64, usize)> = Vec::new();
        let mut chance = Chance::new(2);
        for came in 0..20_000 {
            let flight = usize::try_from(chance.up_to(4)).unwrap();
            let newcomers = registry_of(flight);
            let spare = waiters.spare(u8::try_from(newcomers).unwrap());
            assert_eq!(spare, expected_spare(&model, newcomers), "{model:?}");
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
                1 => {
                    let Some(flight) = spare else { continue };
                    let (who, _) = waiters.pop(&mut chains[flight]).unwrap();
                    let first = model.iter().position(|(_, of)| registry_of(*of) == registry_of(flight));
                    assert_eq!((who, flight), model.remove(first.unwrap()));
                }
                _ => {
                    let registry = u8::try_from(newcomers).unwrap();
                    waiters.push(came, Moment(came), (registry, flight, false), &mut chains[flight]);
                    model.push((came, flight));
                }
            }
            assert_eq!(waiters.len(), model.len());
        }
    }
}
