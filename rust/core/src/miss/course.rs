//! The course of a fetch: admitted or queued, begun, patient or not, retried, landed.
//!
//! It is over 300 lines: one fetch's steps call one another, and are followed best on one page.

use std::sync::Arc;

use super::Misses;
use super::act::{Act, Told, Tried, TryId};
use super::flight::{Flight, is_unusable};
use super::guard::Room;
use super::lesson::{self, Lesson};
use super::memo::Kept;
use super::moment::Moment;
use super::pause::PAUSE_US_MAX;
use super::{retry, stats};
use crate::outcome::{Outcome, Silence};

/// One request to a registry that runs.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) id: TryId,
    pub(super) flight: usize,
    pub(super) begun: Moment,
    pub(super) first_byte_at: Option<Moment>,
    /// So many ran when it began, itself included.
    pub(super) nth: usize,
    /// Is it known whether it was in time?
    pub(super) is_judged: bool,
    /// Did others of its fetch begin before it?
    pub(super) is_further: bool,
}

/// Failures that need no registry, made once: shedding thousands must cost nothing.
#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) overloaded: Arc<Told>,
    pub(super) timed_out: Arc<Told>,
    pub(super) unreachable: Arc<Told>,
    pub(super) throttled: Arc<Told>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self {
            overloaded: Arc::new(Told::overloaded()),
            timed_out: Arc::new(Told::unanswered(Silence::TimedOut)),
            unreachable: Arc::new(Told::unanswered(Silence::Unreachable)),
            throttled: Arc::new(Told::unanswered(Silence::Throttled)),
        }
    }
}

impl<W> Misses<W> {
    /// Begins a flight's next try, or has it wait for room.
    pub(super) fn admit(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get(number) else { return };
        let registry = flight.registry;
        let Some(guard) = self.guards.get(usize::from(registry)) else { return };
        if guard.breaker.state() == stats::Breaker::Open {
            return self.refuse(number, &Arc::clone(&self.refusals.unreachable), acts);
        }
        let room = self.claim_for(number, now, acts);
        if room == Room::Now {
            return self.begin(number, now, acts);
        }
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
        if guard.breaker.state() == stats::Breaker::Open {
            return self.refuse(number, &Arc::clone(&self.refusals.unreachable), acts);
        }
        if guard.pause.left_us(now) > self.policy.queue_wait_us {
            return self.refuse(number, &Arc::clone(&self.refusals.throttled), acts);
        }
        guard.queue.push(number, now, &mut self.flights.all);
        self.keep_places(registry, now, acts);
        self.look_after_queue(registry, room);
    }

    /// Has the oldest give up who wait beyond a registry's places.
    fn keep_places(&mut self, registry: u8, now: Moment, acts: &mut Vec<Act<W>>) {
        while let Some(guard) = self.guards.get(usize::from(registry)) {
            if guard.queue.len() <= guard.places(&self.policy) {
                return;
            }
            let Some(least) = guard.queue.least(&self.flights.all, now) else { return };
            self.give_up(least, now, acts);
        }
    }

    /// Begins a flight's next try, for which room was claimed.
    pub(super) fn begin(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        let registry = flight.registry;
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
        let Some(slot) = flight.running.iter_mut().find(|slot| slot.is_none()) else {
            return self.give_back(registry);
        };
        self.tries_begun += 1;
        let entry = self.tries.vacant_entry();
        let id = TryId::new(self.tries_begun, entry.key());
        *slot = Some(entry.key());
        let nth = guard.running();
        entry.insert(Try {
            id,
            flight: number,
            begun: now,
            first_byte_at: None,
            nth,
            is_judged: false,
            is_further: flight.tries > 0,
        });
        guard.ceiling.begin(nth, now);
        guard.pace.begin(now);
        guard.counted.tries += 1;
        if flight.tries == 0 {
            guard.budget.earn();
        }
        guard.counted.retries += u64::from(std::mem::take(&mut flight.retry_is_paid));
        flight.tries += 1;
        let ends_at = *flight.ends_at.get_or_insert(now + self.policy.fetch_timeout_us);
        flight.begun = now;
        flight.overdue_at = Some(now + guard.patience().overdue);
        flight.late_at = Some(now + self.policy.deadline_us);
        let may_follow = flight.tries < self.policy.tries_max && flight.probe.is_none();
        flight.patience_at = may_follow.then(|| now + guard.patience().second_try);
        acts.push(Act::Try { id, registry, company: Arc::clone(&flight.id), ends_at });
        self.leave_queue(number); // a newer try may still be in time
        self.arm(number);
    }

    pub(super) fn arm(&mut self, number: usize) {
        match self.flights.all.get(number).and_then(Flight::due) {
            Some(due) => self.timers.set(number, due),
            None => self.timers.clear(number),
        }
    }

    /// Takes a try that ended out of everything but its registry's statistics.
    pub(super) fn take(&mut self, id: TryId) -> Option<Try> {
        let number = id.number();
        self.tries.get(number).filter(|running| running.id == id)?;
        let ended = self.tries.try_remove(number)?;
        if let Some(flight) = self.flights.all.get_mut(ended.flight) {
            for slot in &mut flight.running {
                *slot = slot.filter(|running| *running != number);
            }
            let registry = flight.registry;
            self.give_back(registry);
        }
        Some(ended)
    }

    /// A try ended: lands its flight, or has it go on.
    pub(super) fn end(&mut self, ended: &Try, tried: Tried, now: Moment, acts: &mut Vec<Act<W>>) {
        let lesson = Lesson::of(&tried);
        let retry_after_us = match tried {
            Tried::Reply { retry_after_us, .. } => retry_after_us,
            Tried::ConnectFailed
            | Tried::Reset
            | Tried::TimedOut
            | Tried::TooLarge
            | Tried::NotHttp
            | Tried::NotBegun
            | Tried::Elsewhere(_) => None,
        };
        let told = lesson::told(tried);
        self.judge(ended, told.outcome.fact().is_ok(), now);
        match lesson {
            Some(lesson) => self.learn(ended, lesson, retry_after_us, now, acts),
            None => self.forget(ended, now),
        }
        let Some(flight) = self.flights.all.get_mut(ended.flight) else { return };
        if told.outcome.fact().is_ok() {
            if let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) {
                guard.counted.answered += 1;
                if ended.is_further && flight.failure.is_some() {
                    guard.help(now);
                }
            }
            return self.land(ended.flight, &Arc::new(told), now, acts);
        }
        if let Some(wish_us) = retry_after_us.filter(|_| self.policy.obeys) {
            flight.wait_until = flight.wait_until.max(Some(now + wish_us.min(PAUSE_US_MAX)));
        }
        let is_bad_data = lesson.is_some_and(|lesson| lesson.is_bad_data);
        flight.bad_data = if is_bad_data { flight.bad_data.saturating_add(1) } else { 0 };
        // Of several failures the one that tells most: what the registry said, even if it is of no use.
        let tells_more = flight.unusable().is_none() || is_unusable(&told);
        if tells_more {
            flight.failure = Some(Arc::new(told));
        }
        if flight.has_running() {
            // Another try is waited for too long already: where this one failed at once, the next need not wait as long.
            if ended.is_further && lesson.is_some_and(|lesson| lesson.is_mendable) {
                let guard = self.guards.get(usize::from(flight.registry));
                let is_strained = guard.is_none_or(|guard| guard.is_strained(now));
                let wait_us = retry::wait_us(flight.tries.saturating_sub(2), is_strained, &mut self.chance);
                flight.patience_at = flight.patience_at.map(|at| at.min(now + wait_us));
            }
            return self.arm(ended.flight);
        }
        self.leave_queue(ended.flight);
        if lesson.is_some_and(|lesson| lesson.is_mendable) && self.retry(ended.flight, now) {
            return;
        }
        self.land_failed(ended.flight, now, acts);
    }

    fn learn(
        &mut self,
        ended: &Try,
        lesson: Lesson,
        retry_after_us: Option<u64>,
        now: Moment,
        acts: &mut Vec<Act<W>>,
    ) {
        let Some(flight) = self.flights.all.get(ended.flight) else { return };
        let registry = flight.registry;
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
        let took_us = ended.first_byte_at.unwrap_or(now).since(ended.begun);
        if guard.learn((lesson, retry_after_us), (ended.begun, took_us), now, &mut self.chance) {
            self.refuse_queue(registry, acts);
        }
    }

    /// Was a try that ended in time for a customer who came when it began? What failed sooner does not tell.
    fn judge(&mut self, ended: &Try, is_told: bool, now: Moment) {
        let in_time = now.since(ended.begun) <= self.policy.deadline_us;
        let Some(flight) = self.flights.all.get(ended.flight).filter(|_| !ended.is_judged) else { return };
        if is_told || !in_time {
            if let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) {
                guard.count_in_time((ended.nth, ended.begun), in_time, now);
            }
        }
    }

    /// The same of those that still run after as long as a customer waits: they are too late.
    fn judge_late(&mut self, number: usize, now: Moment) {
        let Some(flight) = self.flights.all.get(number) else { return };
        let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) else { return };
        for running in flight.running.into_iter().flatten() {
            let Some(running) = self.tries.get_mut(running).filter(|running| !running.is_judged) else {
                continue;
            };
            if now.since(running.begun) >= self.policy.deadline_us {
                running.is_judged = true;
                guard.count_in_time((running.nth, running.begun), false, now);
            }
        }
    }

    /// The registry was not asked after all.
    fn forget(&self, ended: &Try, now: Moment) {
        let flight = self.flights.all.get(ended.flight);
        if let Some(guard) = flight.and_then(|flight| self.guards.get(usize::from(flight.registry))) {
            guard.pace.give_back(now);
        }
    }

    /// Sets a time for another try, if there may be one. It is paid for at once, so that no two plan what only one may have;
    /// if it never begins, the budget has it back.
    fn retry(&mut self, number: usize, now: Moment) -> bool {
        let Some(flight) = self.flights.all.get_mut(number) else { return false };
        let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) else { return false };
        let nth = flight.tries.saturating_sub(1);
        let jittered_at = now + retry::wait_us(nth, guard.is_strained(now), &mut self.chance);
        // Where the registry wants it to wait for longer than anybody does, it is asked for again when somebody asks again.
        let retry_at = flight.wait_until.map_or(jittered_at, |until| until.max(jittered_at));
        let may = flight.tries < self.policy.tries_max
            && (flight.wait_until.is_none() || retry_at < flight.hoped_until)
            && !(flight.bad_data > 0 && guard.is_record_bad(flight.bad_data))
            && flight.probe.is_none()
            && flight.ends_at.is_some_and(|ends_at| retry_at < ends_at)
            && guard.breaker.state() == stats::Breaker::Closed
            && guard.pause.left_us(now) == 0
            && guard.budget.has_retry(now);
        if may {
            guard.budget.spend_retry();
            flight.retry_is_paid = true;
            (flight.retry_at, flight.patience_at, flight.overdue_at) = (Some(retry_at), None, None);
            flight.late_at = None;
            self.arm(number);
        }
        may
    }

    /// Does for each flight what is due by now.
    pub(super) fn wake_due(&mut self, now: Moment, acts: &mut Vec<Act<W>>) {
        while let Some((_, number)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.wake(number, now, acts);
        }
    }

    /// What a flight's timer was set for.
    fn wake(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        let is_due = |at: &mut Option<Moment>| at.take_if(|at| *at <= now).is_some();
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        let registry = flight.registry;
        let is_probe_over = flight.probe.is_some_and(|probe| probe.ends_at <= now);
        if is_due(&mut flight.ends_at) || is_probe_over {
            return self.time_out(number, now, acts);
        }
        if flight.probe.as_mut().is_some_and(|probe| is_due(&mut probe.outlives_at)) {
            let begun = flight.begun;
            if let Some(guard) = self.guards.get_mut(usize::from(registry)) {
                guard.breaker.outlived(begun, now);
            }
        }
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        if is_due(&mut flight.retry_at) {
            self.arm(number);
            return self.admit(number, now, acts);
        }
        if is_due(&mut flight.late_at) {
            self.judge_late(number, now);
        }
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        if is_due(&mut flight.overdue_at) {
            let begun = flight.begun;
            let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return };
            // It is later than was thought when something was heard meanwhile.
            let overdue_at = guard.overdue_at(begun);
            flight.overdue_at = overdue_at.filter(|at| *at > now);
            if overdue_at.is_some_and(|at| at <= now) && guard.overdue(begun, now, &mut self.chance) {
                self.refuse_queue(registry, acts);
            }
        }
        self.note_overstay(number, now);
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        if is_due(&mut flight.patience_at) && !self.try_again(number, now, acts) {
            // No room or no budget for it now: perhaps a little later.
            if let Some(flight) = self.flights.all.get_mut(number) {
                flight.patience_at = Some(now + self.policy.patience_min_us.max(1));
            }
        }
        self.arm(number);
    }

    /// Begins a second try while the first goes on, if the budget allows and its registry has room: half of the budget is
    /// kept for retries, and for what several customers wait for. Room is claimed last: a claim may use up this worker's look.
    fn try_again(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) -> bool {
        let Some(flight) = self.flights.all.get(number) else { return true };
        let (registry, has_failed) = (flight.registry, flight.failure.is_some());
        let rest = if flight.waiters.has_several() { 0.0 } else { retry::SAVED_MAX / 2.0 };
        let Some(guard) = self.guards.get_mut(usize::from(registry)) else { return true };
        // What a registry bears below its ceiling is for first tries.
        let may = guard.breaker.state() == stats::Breaker::Closed
            && !guard.is_pressed()
            && if has_failed { guard.budget.has_retry(now) } else { guard.budget.has(rest, now) };
        if !may || self.claim(registry, now) != Room::Now {
            return false;
        }
        if let Some(guard) = self.guards.get_mut(usize::from(registry)) {
            if has_failed {
                guard.budget.spend_retry();
                guard.counted.retries += 1;
            } else {
                guard.budget.spend();
                guard.counted.hedges += 1;
            }
        }
        self.begin(number, now, acts);
        true
    }

    /// May no other try follow, and were those that run silent for so long that they will hardly be answered?
    pub(super) fn is_lost(&self, number: usize, now: Moment) -> bool {
        let Some(flight) = self.flights.all.get(number) else { return false };
        let Some(guard) = self.guards.get(usize::from(flight.registry)) else { return false };
        let Some(lost_us) = guard.patience().lost().map(|us| us.max(self.policy.deadline_us)) else {
            return false;
        };
        let mut running = flight.running.iter().flatten().filter_map(|running| self.tries.get(*running));
        self.policy.breaker
            && flight.tries >= self.policy.tries_max
            && flight.has_running()
            && running.all(|running| running.first_byte_at.is_none() && now.since(running.begun) >= lost_us)
    }

    /// Gives up the tries of a fetch that are lost, and begins it again for who has just asked.
    pub(super) fn begin_again(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        self.abandon_running(number, now, acts);
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        (flight.tries, flight.ends_at, flight.failure) = (0, None, None);
        self.leave_queue(number);
        self.admit(number, now, acts);
    }

    /// A flight's own time is over.
    pub(super) fn time_out(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        self.abandon_running(number, now, acts);
        self.land_failed(number, now, acts);
    }

    /// Gives up what has been waited for too long.
    fn abandon_running(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get(number) else { return };
        let (running, registry) = (flight.running, usize::from(flight.registry));
        for running in running.into_iter().flatten() {
            let Some(id) = self.tries.get(running).map(|running| running.id) else { continue };
            let Some(ended) = self.take(id) else { continue };
            acts.push(Act::Abandon { id });
            if let Some(lesson) = Lesson::of(&Tried::TimedOut) {
                self.learn(&ended, lesson, None, now, acts);
            }
            if let Some(guard) = self.guards.get_mut(registry) {
                guard.time(now.since(ended.begun));
            }
        }
    }

    pub(super) fn land_failed(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        let told = flight.failure.take().unwrap_or_else(|| Arc::clone(&self.refusals.timed_out));
        // A probe's failure tells of its registry, and not of the company.
        if told.outcome != Outcome::Overloaded && flight.probe.is_none() {
            let kept = Kept { told: &told, wait_until: flight.wait_until, bad_data: flight.bad_data };
            self.memo.keep(flight.hash, kept, now);
        }
        self.land(number, &told, now, acts);
    }

    /// A flight that waits for room in vain.
    pub(super) fn give_up(&mut self, number: usize, now: Moment, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get_mut(number) else { return };
        let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) else { return };
        guard.counted.gave_up += 1;
        if flight.failure.is_some() {
            return self.land_failed(number, now, acts);
        }
        let is_throttled = matches!(guard.room(now), Room::At(_));
        let told = if is_throttled { &self.refusals.throttled } else { &self.refusals.overloaded };
        let told = Arc::clone(told);
        if let Some(flight) = self.flights.all.get(number) {
            self.memo.keep(flight.hash, Kept::refused(&told), now);
        }
        self.settle(number, &told, acts);
    }

    /// While the registry's breaker is open, who waits for room waits in vain. Is it?
    pub(super) fn refuse_queue(&mut self, registry: u8, acts: &mut Vec<Act<W>>) -> bool {
        let told = Arc::clone(&self.refusals.unreachable);
        loop {
            let Some(guard) = self.guards.get(usize::from(registry)) else { return true };
            if guard.breaker.state() == stats::Breaker::Closed {
                return false;
            }
            let Some((oldest, _)) = guard.queue.oldest(&self.flights.all) else { return true };
            self.refuse(oldest, &told, acts);
        }
    }

    /// Ends a flight whose next try may not begin.
    fn refuse(&mut self, number: usize, told: &Arc<Told>, acts: &mut Vec<Act<W>>) {
        let Some(flight) = self.flights.all.get(number) else { return };
        let told = Arc::clone(flight.unusable().unwrap_or(told));
        self.settle(number, &told, acts);
    }

    pub(super) fn land(&mut self, number: usize, told: &Arc<Told>, now: Moment, acts: &mut Vec<Act<W>>) {
        if let Some(running) = self.flights.all.get(number).map(|flight| flight.running) {
            for running in running.into_iter().flatten() {
                let Some(id) = self.tries.get(running).map(|running| running.id) else { continue };
                let Some(ended) = self.take(id) else { continue };
                acts.push(Act::Abandon { id });
                let registry = self.flights.all.get(number).map(|flight| usize::from(flight.registry));
                if let Some(guard) = registry.and_then(|registry| self.guards.get_mut(registry)) {
                    guard.time(now.since(ended.begun));
                }
            }
        }
        self.settle(number, told, acts);
    }

    /// Ends a flight of which no try runs: everybody who waits is told.
    fn settle(&mut self, number: usize, told: &Arc<Told>, acts: &mut Vec<Act<W>>) {
        self.leave_queue(number);
        if let Some(registry) = self.flights.all.get(number).map(|flight| usize::from(flight.registry)) {
            if let Some(guard) = self.guards.get_mut(registry) {
                if guard.queue.len() == 0 {
                    guard.set_waiting(false);
                }
            }
        }
        let Some(mut flight) = self.flights.remove(number) else { return };
        if flight.retry_is_paid {
            if let Some(guard) = self.guards.get_mut(usize::from(flight.registry)) {
                guard.budget.give_back();
            }
        }
        self.timers.clear(number);
        if let (Some(probe), Some(guard)) = (flight.probe, self.guards.get(usize::from(flight.registry))) {
            guard.breaker.probed(probe, self.now);
        }
        while let Some((waiter, collapsed)) = self.waiters.pop(&mut flight.waiters) {
            acts.push(Act::Answer { waiter, told: Arc::clone(told), collapsed });
        }
    }
}
