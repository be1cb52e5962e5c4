//! Queue: who comes last is served first, and who has waited too long gives up.
//!
//! Adaptive LIFO and a short bound on waiting (Maurer, "Fail at Scale", ACM Queue 2015): when there is more than can be
//! done, what is done is done in time. A question that is asked again counts as new, and goes before those that are asked for
//! the first time: it will be asked again. Last is what nobody hopes for any more. Only so many wait as have room soon
//! (Little, "A Proof for the Queuing Formula L = λW", 1961): 128 for a fast registry, 32 for a slow one, over all workers.

use slab::Slab;

use super::flight::Flight;
use super::moment::{Moment, S};
use super::policy::Policy;

/// Of the longest wait, within which all who wait have room if nobody else comes. With half of it a registry throttling at
/// 250/s answered less than with 32 places: who had waited long took the room of those who could still be in time.
const WAIT_SHARE: f64 = 1.0 / 3.0;

/// How many may wait at this worker for a registry that bears `limit` tries at once of all workers, each of which usually takes
/// `usual_us`, and so many a second: its share of as many as it takes in the time (Little 1961). While it is not known how long one takes, as many as the policy allows
/// wait for what may be a fast registry; not more, as it may be one that hangs, and who waits takes a connection that the others
/// need.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the policy's")]
#[expect(clippy::cast_precision_loss, reason = "microseconds of hours have room in a float")]
pub(super) fn places(limit: u32, usual_us: Option<u64>, rate_per_s: f64, policy: &Policy) -> usize {
    let time_us = policy.queue_wait_us as f64 * WAIT_SHARE;
    let at_once = usual_us.map_or(f64::INFINITY, |usual_us| f64::from(limit) * time_us / usual_us as f64);
    let at_its_pace = rate_per_s * time_us / S as f64;
    let share = at_once.min(at_its_pace) / f64::from(policy.workers);
    (share as usize).max(policy.queue_min).min(policy.queue_max)
}

/// A flight's place: in which row, since when, and between whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    row: Row,
    since: Moment,
    older: Option<usize>,
    newer: Option<usize>,
}

impl Queued {
    /// Does it wait for room? Otherwise it makes some.
    pub(super) const fn waits(self) -> bool {
        !matches!(self.row, Row::Overstays)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    /// Waits, and is asked for the first time.
    First,
    /// Waits, and was asked for before: it will be again.
    Again,
    /// Runs, and nobody hopes for it any more.
    Overstays,
}

/// The flights of one registry that wait for room, and those that make it, in rows that are linked through the flights themselves.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rows: [Ends; 3],
}

/// A row's ends.
#[derive(Debug, Default)]
struct Ends {
    oldest: Option<usize>,
    newest: Option<usize>,
    len: usize,
}

impl Queue {
    /// So many wait.
    pub(super) fn len(&self) -> usize {
        self.row(Row::First).len + self.row(Row::Again).len
    }

    /// Who is served next: the newest that somebody hopes for. A retry that nobody hopes for any more has what is left.
    pub(super) fn next_served(&self, flights: &Slab<Flight>, now: Moment) -> Option<usize> {
        let older = |number: &usize| flights.get(*number)?.queued?.older;
        let waiting = || {
            let rows = [Row::Again, Row::First].into_iter();
            rows.flat_map(|row| std::iter::successors(self.row(row).newest, older))
        };
        waiting().find(|number| is_hoped_for(*number, flights, now)).or_else(|| waiting().next())
    }

    /// Who has waited longest, and since when.
    pub(super) fn oldest(&self, flights: &Slab<Flight>) -> Option<(usize, Moment)> {
        let oldest = [Row::First, Row::Again].into_iter().filter_map(|row| self.oldest_of(row, flights));
        oldest.min_by_key(|(_, since)| *since)
    }

    /// Who gives up where too many wait: the oldest that nobody hopes for, else the oldest that is asked for the first time.
    pub(super) fn least(&self, flights: &Slab<Flight>, now: Moment) -> Option<usize> {
        let newer = |number: &usize| flights.get(*number)?.queued?.newer;
        let waiting = || {
            let rows = [Row::First, Row::Again].into_iter();
            rows.flat_map(|row| std::iter::successors(self.row(row).oldest, newer))
        };
        waiting().find(|number| !is_hoped_for(*number, flights, now)).or_else(|| waiting().next())
    }

    /// Who makes place.
    pub(super) fn overstays(&self) -> Option<usize> {
        self.row(Row::Overstays).oldest
    }

    /// So many make place.
    pub(super) fn overstays_len(&self) -> usize {
        self.row(Row::Overstays).len
    }

    /// Puts a flight that does not wait yet behind all others of its kind: in front of them, when there is room.
    pub(super) fn push(&mut self, number: usize, since: Moment, flights: &mut Slab<Flight>) {
        let is_again = flights.get(number).is_some_and(|flight| flight.is_again);
        self.link(number, if is_again { Row::Again } else { Row::First }, since, flights);
    }

    /// Has a flight that runs make place when it is needed.
    pub(super) fn push_overstay(&mut self, number: usize, since: Moment, flights: &mut Slab<Flight>) {
        self.link(number, Row::Overstays, since, flights);
    }

    /// Takes a flight out, if it is in.
    pub(super) fn remove(&mut self, number: usize, flights: &mut Slab<Flight>) {
        let Some(queued) = flights.get_mut(number).and_then(|flight| flight.queued.take()) else { return };
        let ends = self.row_mut(queued.row);
        ends.len -= 1;
        match queued.older.and_then(|older| flights.get_mut(older)?.queued.as_mut()) {
            Some(older) => older.newer = queued.newer,
            None => ends.oldest = queued.newer,
        }
        match queued.newer.and_then(|newer| flights.get_mut(newer)?.queued.as_mut()) {
            Some(newer) => newer.older = queued.older,
            None => ends.newest = queued.older,
        }
    }

    fn link(&mut self, number: usize, row: Row, since: Moment, flights: &mut Slab<Flight>) {
        let ends = self.row_mut(row);
        let older = ends.newest;
        let Some(flight) = flights.get_mut(number) else { return };
        flight.queued = Some(Queued { row, since, older, newer: None });
        ends.newest = Some(number);
        ends.len += 1;
        match older.and_then(|older| flights.get_mut(older)?.queued.as_mut()) {
            Some(older) => older.newer = Some(number),
            None => ends.oldest = Some(number),
        }
    }

    fn oldest_of(&self, row: Row, flights: &Slab<Flight>) -> Option<(usize, Moment)> {
        let number = self.row(row).oldest?;
        Some((number, flights.get(number)?.queued?.since))
    }

    const fn row(&self, row: Row) -> &Ends {
        let [first, again, overstays] = &self.rows;
        match row {
            Row::First => first,
            Row::Again => again,
            Row::Overstays => overstays,
        }
    }

    const fn row_mut(&mut self, row: Row) -> &mut Ends {
        let [first, again, overstays] = &mut self.rows;
        match row {
            Row::First => first,
            Row::Again => again,
            Row::Overstays => overstays,
        }
    }
}

fn is_hoped_for(number: usize, flights: &Slab<Flight>, now: Moment) -> bool {
    flights.get(number).is_some_and(|flight| now < flight.hoped_until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miss::chance::Chance;
    use crate::miss::flight::QuestionHash;
    use crate::miss::moment::MS;

    #[test]
    fn as_many_wait_as_have_room_within_a_tenth_of_a_second() {
        let policy = Policy { queue_max: 300, queue_wait_us: 300 * MS, ..Policy::default() };
        for (what, limit, usual_ms, rate_per_s, expected) in [
            ("nothing is known", 20, None, f64::INFINITY, 300),
            ("fast", 20, Some(10), f64::INFINITY, 200),
            ("fast, and asked for more", 200, Some(10), f64::INFINITY, 300),
            ("slow", 40, Some(700), f64::INFINITY, 32),
            ("instant", 20, Some(0), f64::INFINITY, 300),
            ("fast and throttled", 20, Some(10), 400.0, 40),
            ("throttled to a crawl", 20, Some(10), 1.0, 32),
            ("throttled before anything was told", 20, None, 500.0, 50),
        ] {
            let usual_us = usual_ms.map(|ms| ms * MS);
            assert_eq!(places(limit, usual_us, rate_per_s, &policy), expected, "{what}");
        }
        let few = Policy { queue_max: 5, ..policy };
        assert_eq!(places(20, Some(10 * MS), f64::INFINITY, &few), 5, "the policy's bound is the last");
    }

    #[test]
    fn the_workers_together_have_as_many_places_as_one() {
        let policy = Policy { queue_max: 300, ..Policy::default() };
        for (what, usual_ms, rate_per_s, expected) in [
            ("nothing is known", None, f64::INFINITY, [300, 150, 75]),
            ("fast", Some(10), f64::INFINITY, [200, 100, 50]),
            ("slow", Some(700), f64::INFINITY, [32, 16, 8]),
            ("throttled", Some(10), 800.0, [80, 40, 20]),
        ] {
            let usual_us = usual_ms.map(|ms| ms * MS);
            let of = |workers| places(20, usual_us, rate_per_s, &policy.clone().beside_others(workers));
            assert_eq!([1, 2, 4].map(of), expected, "{what}");
            // Those without a ledger have a share of the tries each, and so of what follows from them.
            let alone = |workers| {
                places(
                    20 / workers,
                    usual_us,
                    rate_per_s / f64::from(workers),
                    &policy.clone().shared_by(workers),
                )
            };
            assert_eq!([1, 2, 4].map(alone), expected, "{what}, without a ledger");
        }
    }

    #[test]
    fn who_is_asked_for_again_is_served_first_and_gives_up_last() {
        let (mut queue, mut flights) = (Queue::default(), Slab::new());
        for number in 0..5 {
            let flight = Flight::new(QuestionHash(0), 0, "1".into());
            flights.insert(Flight { is_again: number % 2 == 1, ..flight });
        }
        (0..4).for_each(|number| queue.push(number, Moment(number as u64), &mut flights));
        queue.push_overstay(4, Moment(0), &mut flights);
        let mut served = Vec::new();
        assert_eq!((queue.len(), queue.least(&flights, Moment(0)), queue.overstays()), (4, Some(0), Some(4)));
        assert_eq!(queue.oldest(&flights), Some((0, Moment(0))));
        while let Some(next) = queue.next_served(&flights, Moment(0)) {
            queue.remove(next, &mut flights);
            served.push(next);
        }
        assert_eq!(served, [3, 1, 2, 0]);
        queue.remove(4, &mut flights);
        assert_eq!(queue.overstays(), None);
    }

    #[test]
    fn who_is_hoped_for_is_served_before_who_is_not() {
        for (what, hoped_for, expected, least) in [
            ("all", &[0, 1, 2, 3][..], [3, 1, 2, 0], 0),
            ("none", &[], [3, 1, 2, 0], 0),
            ("who are asked for the first time", &[0, 2], [2, 0, 3, 1], 1),
            ("the oldest", &[0], [0, 3, 1, 2], 2),
            ("all but the newest", &[0, 1, 2], [1, 2, 0, 3], 3),
        ] {
            let (mut queue, mut flights) = (Queue::default(), Slab::new());
            for number in 0..4 {
                let hoped_until = Moment(u64::from(hoped_for.contains(&number)));
                let flight = Flight::new(QuestionHash(0), 0, "1".into());
                flights.insert(Flight { is_again: number % 2 == 1, hoped_until, ..flight });
                queue.push(number, Moment(0), &mut flights);
            }
            assert_eq!(queue.least(&flights, Moment(0)), Some(least), "{what}");
            let served = [(); 4].map(|()| {
                let next = queue.next_served(&flights, Moment(0)).unwrap();
                queue.remove(next, &mut flights);
                next
            });
            assert_eq!(served, expected, "{what}");
        }
    }

    #[test]
    fn it_keeps_the_order_whoever_leaves() {
        let mut flights = Slab::new();
        for _ in 0..40 {
            flights.insert(Flight::new(QuestionHash(0), 0, "1".into()));
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
            assert_eq!(queue.next_served(&flights, Moment(0)), model.last().map(|(number, _)| *number));
            assert_eq!(queue.len(), model.len());
        }
    }
}
