//! One timer for each of many numbered things: a binary heap that knows where each stands, so that a timer can be moved.

use super::moment::Moment;

const NOWHERE: usize = usize::MAX;

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: Vec<(Moment, usize)>,
    /// Where in the heap a number's timer stands.
    places: Vec<usize>,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self { heap: Vec::new(), places: Vec::new() }
    }

    /// The soonest: when, and whose.
    pub(super) fn first(&self) -> Option<(Moment, usize)> {
        self.heap.first().copied()
    }

    /// Sets or moves the timer of `number`; a small number, as a slab's are.
    pub(super) fn set(&mut self, number: usize, at: Moment) {
        if self.places.len() <= number {
            self.places.resize(number + 1, NOWHERE);
        }
        let place = match self.places.get(number) {
            Some(&place) if place != NOWHERE => place,
            _ => {
                self.heap.push((at, number));
                self.heap.len() - 1
            }
        };
        self.put(place, (at, number));
        self.settle(place);
    }

    /// Unsets the timer of `number`, if it is set.
    pub(super) fn clear(&mut self, number: usize) {
        let Some(place) = self.places.get_mut(number).filter(|place| **place != NOWHERE) else { return };
        let place = std::mem::replace(place, NOWHERE);
        let Some(last) = self.heap.pop() else { return };
        if place < self.heap.len() {
            self.put(place, last);
            self.settle(place);
        }
    }

    /// Moves what stands here up or down to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.at(place) < self.at((place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let sooner = if self.at(right) < self.at(left) { right } else { left };
            if self.at(sooner) >= self.at(place) {
                return;
            }
            self.swap(place, sooner);
            place = sooner;
        }
    }

    /// Beyond the heap is after everything.
    fn at(&self, place: usize) -> Moment {
        self.heap.get(place).map_or(Moment(u64::MAX), |(at, _)| *at)
    }

    fn swap(&mut self, one: usize, other: usize) {
        if let (Some(&first), Some(&second)) = (self.heap.get(one), self.heap.get(other)) {
            self.put(one, second);
            self.put(other, first);
        }
    }

    fn put(&mut self, place: usize, timer: (Moment, usize)) {
        if let (Some(slot), Some(number)) = (self.heap.get_mut(place), self.places.get_mut(timer.1)) {
            *slot = timer;
            *number = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::chance::Chance;

    #[test]
    fn the_first_is_the_soonest_whatever_was_moved() {
        let (mut timers, mut chance) = (Timers::new(), Chance::new(5));
        let mut model = std::collections::BTreeMap::new();
        for _ in 0..20_000 {
            let number = usize::try_from(chance.up_to(60)).unwrap();
            if chance.up_to(2) == 0 {
                timers.clear(number);
                model.remove(&number);
            } else {
                let at = Moment(chance.up_to(1_000_000));
                timers.set(number, at);
                model.insert(number, at);
            }
            assert_eq!(timers.first().map(|(at, _)| at), model.values().min().copied());
            assert_eq!(timers.heap.len(), model.len());
            if let Some((at, number)) = timers.first() {
                assert_eq!(model.get(&number), Some(&at));
            }
        }
    }
}
