//! Queue: who comes last is served first, and who has waited too long gives up.
//!
//! Adaptive LIFO and a short bound on waiting (Maurer, "Fail at Scale", ACM Queue 2015): when there is more than can be
//! done, what is done is done in time. A question that is asked again counts as new.

use slab::Slab;

use super::flight::{Flight, Queued};
use super::moment::Moment;

/// The flights that wait for one registry to have room, linked through the flights themselves.
#[derive(Debug, Default)]
pub(super) struct Queue {
    oldest: Option<usize>,
    newest: Option<usize>,
    len: usize,
}

impl Queue {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn newest(&self) -> Option<usize> {
        self.newest
    }

    /// Who has waited longest, and since when.
    pub(super) fn oldest(&self, flights: &Slab<Flight>) -> Option<(usize, Moment)> {
        let number = self.oldest?;
        Some((number, flights.get(number)?.queued?.since))
    }

    /// Puts a flight that does not wait yet behind all others: in front of them, when there is room.
    pub(super) fn push(&mut self, number: usize, since: Moment, flights: &mut Slab<Flight>) {
        let older = self.newest;
        let Some(flight) = flights.get_mut(number) else { return };
        flight.queued = Some(Queued { since, older, newer: None });
        self.newest = Some(number);
        self.len += 1;
        match older.and_then(|older| flights.get_mut(older)?.queued.as_mut()) {
            Some(older) => older.newer = Some(number),
            None => self.oldest = Some(number),
        }
    }

    /// Takes a flight out, if it waits.
    pub(super) fn remove(&mut self, number: usize, flights: &mut Slab<Flight>) {
        let Some(queued) = flights.get_mut(number).and_then(|flight| flight.queued.take()) else { return };
        self.len -= 1;
        match queued.older.and_then(|older| flights.get_mut(older)?.queued.as_mut()) {
            Some(older) => older.newer = queued.newer,
            None => self.oldest = queued.newer,
        }
        match queued.newer.and_then(|newer| flights.get_mut(newer)?.queued.as_mut()) {
            Some(newer) => newer.older = queued.older,
            None => self.newest = queued.older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::act::Question;
    use crate::miss::chance::Chance;

    #[test]
    fn it_keeps_the_order_whoever_leaves() {
        let mut flights = Slab::new();
        for _ in 0..40 {
            flights.insert(Flight::new(0, Question { registry: 0, id: "1" }));
        }
        let (mut queue, mut chance) = (Queue::default(), Chance::new(4));
        let mut model: Vec<(usize, Moment)> = Vec::new();
        for at in 0..20_000 {
            let number = usize::try_from(chance.up_to(39)).unwrap();
            let place = model.iter().position(|(other, _)| *other == number);
            match place {
                Some(place) if chance.up_to(1) == 0 => {
                    queue.remove(number, &mut flights);
                    model.remove(place);
                }
                Some(_) => {}
                None => {
                    queue.push(number, Moment(at), &mut flights);
                    model.push((number, Moment(at)));
                }
            }
            queue.remove(100, &mut flights);
            assert_eq!(queue.oldest(&flights), model.first().copied());
            assert_eq!(queue.newest(), model.last().map(|(number, _)| *number));
            assert_eq!(queue.len(), model.len());
        }
    }
}
