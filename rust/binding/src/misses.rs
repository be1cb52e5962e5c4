//! The miss path between two threads: the lane's, on which customers ask and are answered, and the event loop's, on
//! which registries are asked.
//!
//! The rules are `backendify_core::miss`. Here is what is under way between them and Python: acts that only the loop can
//! do wait until it takes them, and it is woken at most once for all that have come since it last did.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backendify_core::answer::{Answer, Miss};
use backendify_core::miss::{self, Act, Moment, Told, TryId};
use pyo3::prelude::*;

use crate::app::App;
use crate::clock;
use crate::customer::{self, Customer};
use crate::question::Question;

/// A moment that never comes.
const NEVER_US: u64 = u64::MAX;

/// All misses of this worker.
pub(crate) struct Misses {
    rules: Mutex<miss::Misses<Customer>>,
    work: Mutex<Work>,
    wake: Py<PyAny>,
    is_woken: AtomicBool,
    /// When the loop will look again by itself.
    due_us: AtomicU64,
}

/// What only the event loop can do.
#[derive(Default)]
pub(crate) struct Work {
    /// Tries to begin, with what to ask.
    pub(crate) tries: Vec<(u64, Question)>,
    /// Tries to end.
    pub(crate) abandoned: Vec<u64>,
    answers: Vec<(Customer, Arc<Told>, bool)>,
}

impl Work {
    /// Has a try ended; one that the loop has not begun yet never is.
    fn abandon(&mut self, id: u64) {
        let before = self.tries.len();
        self.tries.retain(|(begins, _)| *begins != id);
        if self.tries.len() == before {
            self.abandoned.push(id);
        }
    }
}

impl Misses {
    pub(crate) fn new(rules: miss::Misses<Customer>, wake: Py<PyAny>) -> Self {
        Self {
            rules: Mutex::new(rules),
            work: Mutex::default(),
            wake,
            is_woken: AtomicBool::new(false),
            due_us: AtomicU64::new(NEVER_US),
        }
    }

    /// Has the rules decide something, and does what they say; what only the loop can do is left for it, and wakes it.
    pub(crate) fn decide(
        &self,
        py: Python<'_>,
        app: &App,
        step: impl FnOnce(&mut miss::Misses<Customer>, Moment, &mut Vec<Act<Customer>>),
    ) -> PyResult<()> {
        let mut acts = Vec::new();
        let due_us = {
            // Held for no Python call: both threads hold the interpreter's lock, so nobody ever waits for this one.
            let mut rules = self.rules();
            step(&mut rules, clock::monotonic(), &mut acts);
            rules.due().map_or(NEVER_US, |due| due.0)
        };
        let has_work = self.perform(py, app, acts);
        if (has_work || due_us < self.due_us.load(Ordering::Relaxed))
            && !self.is_woken.swap(true, Ordering::Relaxed)
        {
            self.wake.bind(py).call0()?;
        }
        Ok(())
    }

    /// On the loop: does what is due, answers who could not be answered elsewhere, and gives the rest of the work, and when to
    /// come again, in microseconds of the monotonic clock.
    pub(crate) fn take_work(&self, py: Python<'_>, app: &App) -> (Work, Option<u64>) {
        // Before anything is taken: what comes from now on wakes the loop again.
        self.is_woken.store(false, Ordering::Relaxed);
        let mut acts = Vec::new();
        let due_us = {
            let mut rules = self.rules();
            rules.tick(clock::monotonic(), &mut acts);
            rules.due().map_or(NEVER_US, |due| due.0)
        };
        self.due_us.store(due_us, Ordering::Relaxed);
        self.perform(py, app, acts);
        let mut work = std::mem::take(&mut *self.work());
        for (customer, told, collapsed) in work.answers.drain(..) {
            answer(py, app, customer, &told, collapsed);
        }
        (work, Some(due_us).filter(|due_us| *due_us != NEVER_US))
    }

    /// Tells the rules something that calls for nothing.
    pub(crate) fn note(&self, step: impl FnOnce(&mut miss::Misses<Customer>, Moment)) {
        step(&mut self.rules(), clock::monotonic());
    }

    /// Reads the counters.
    pub(crate) fn counted<T>(&self, read: impl FnOnce(&miss::Misses<Customer>, Moment) -> T) -> T {
        read(&self.rules(), clock::monotonic())
    }

    /// Does what any thread can do; is there work for the loop?
    fn perform(&self, py: Python<'_>, app: &App, acts: Vec<Act<Customer>>) -> bool {
        let mut has_work = false;
        for act in acts {
            match act {
                Act::Answer { waiter, told, collapsed } if waiter.is_on_lane() => {
                    answer(py, app, waiter, &told, collapsed);
                    continue;
                }
                Act::Answer { waiter, told, collapsed } => {
                    self.work().answers.push((waiter, told, collapsed));
                }
                Act::Try { id: TryId(id), registry, company, .. } => {
                    let question = Question { registry, id: company, is_head: false };
                    self.work().tries.push((id, question));
                }
                Act::Abandon { id: TryId(id) } => self.work().abandon(id),
            }
            has_work = true;
        }
        has_work
    }

    fn rules(&self) -> MutexGuard<'_, miss::Misses<Customer>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a customer with what became of his question; a failed one with a stale record, where that is allowed and there
/// is one. What goes wrong is told and costs only this customer.
fn answer(py: Python<'_>, app: &App, customer: Customer, told: &Told, collapsed: bool) {
    let question = &customer.question;
    let stale = match told.outcome.fact() {
        Ok(_) => None,
        Err(_) => app.region().find_stale(question, told.fwd_status),
    };
    let answer = stale.unwrap_or_else(|| {
        let miss = Miss { fwd_status: told.fwd_status, stored: told.stored, collapsed, age_ds: told.age_ds };
        Answer::missed(&question.id, &told.outcome, miss, &app.region().lifetimes, clock::wall())
    });
    app.count(answer.status);
    let answered = catch_unwind(AssertUnwindSafe(|| customer.answer(py, &answer)));
    customer::report(py, answered);
}
