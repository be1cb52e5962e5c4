//! The tally under shuttle: every load and store is a step, and schedules are drawn at random.
//!
//! `cargo test --package backendify-core --features shuttle --lib explored`. shuttle explores orders of steps, not weak memory.

use std::sync::Arc;

use super::tally::Tally;
use crate::region::sync::{AtomicU64, Ordering};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};

const SCHEDULES: usize = 2_000;
const MOST: u64 = 2;

fn explore(test: impl Fn() + Copy + Send + Sync + 'static) {
    Runner::new(RandomScheduler::new(SCHEDULES), Config::new()).run(test);
    Runner::new(PctScheduler::new(3, SCHEDULES), Config::new()).run(test);
}

/// What all workers have, and what an onlooker counts.
#[derive(Default)]
struct Machine {
    words: [AtomicU64; 2],
    running: AtomicU64,
}

impl Machine {
    /// Begins a try if it may; false when it may not.
    fn begin(&self, place: u8) -> bool {
        let begins = Tally::new(&self.words, place).take(usize::try_from(MOST).unwrap());
        if begins {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(running <= MOST, "{running} at once");
        }
        begins
    }

    fn end(&self, place: u8) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        Tally::new(&self.words, place).give_back();
    }
}

/// Two in one word and one in another.
fn all_at_once(machine: &Arc<Machine>, live: impl Fn(&Machine, u8) + Copy + Send + 'static) {
    let workers: Vec<_> = [1, 2, 5]
        .into_iter()
        .map(|place| {
            let machine = Arc::clone(machine);
            thread::spawn(move || live(&machine, place))
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn never_more_than_may_be_and_nothing_is_left() {
    explore(|| {
        let machine = Arc::new(Machine::default());
        all_at_once(&machine, |machine, place| {
            for _ in 0..2 {
                if machine.begin(place) {
                    machine.end(place);
                }
            }
        });
        assert_eq!(Tally::new(&machine.words, 3).total(), 0);
        assert!(machine.begin(1) && machine.begin(2), "there is room for as many as before");
    });
}

/// The worker in place 2 does this and dies. Its successor clears what it left, while the others go on.
fn survive(last_deed: fn(&Machine)) {
    explore(move || {
        let machine = Arc::new(Machine::default());
        all_at_once(&machine, move |machine, place| {
            if place == 2 {
                last_deed(machine);
                Tally::new(&machine.words, place).clear();
            }
            let begins = machine.begin(place);
            if machine.begin(place) {
                machine.end(place);
            }
            if begins {
                machine.end(place);
            }
        });
        assert_eq!(Tally::new(&machine.words, 3).total(), 0);
        assert!(machine.begin(1) && machine.begin(5), "no room is lost");
    });
}

#[test]
fn a_death_with_a_try_under_way_loses_no_room() {
    survive(|machine| {
        // With its process its try ends, and then its count is cleared.
        if machine.begin(2) {
            machine.running.fetch_sub(1, Ordering::SeqCst);
        }
    });
}

#[test]
fn a_death_before_what_was_too_many_is_given_back_loses_no_room() {
    survive(|machine| {
        Tally::new(&machine.words, 2).raise();
    });
}
