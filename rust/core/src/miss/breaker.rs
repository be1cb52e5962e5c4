//! Breaker: a registry that is away, or silent, or of no use to anybody, is not asked, but for a probe now and then (Nygard,
//! "Release It!", 2007).
//!
//! Prompt failure is not silence: while some of what a registry says is of use, there is that much to be had of it. So the
//! breaker opens by streaks that are no chance ([`Streak`]): of replies of which none is of use, at least twenty; of
//! connections that could not be made, at least five; of overdue tries, at least twenty, none of them older than one that was
//! answered, after so long a silence for each (the time-outs of a registry that hangs would come ten seconds late). Bad data
//! and refused questions say nothing here, but that somebody is there.
//!
//! For the first two, a try that begins after that must fail too: hundreds of connections that break at one instant are one
//! event, after which the registry may be well at once. And the streak must have lasted as long as a good reply takes: where
//! failures come at once and answers after half a second, the first half second is all failures. Replies to what was asked
//! before overdue tries break the silence, and no more: the tries that hang fill the limit while they still come. A slow but
//! right reply is no failure.
//!
//! A probe goes out a quarter of a second after it opened, and then after a sixteenth of the outage so far, up to thirty
//! seconds: so the load falls as if the wait were doubled again and again, and yet a registry's return is seen within a
//! sixteenth of the time for which it was away. A probe that hangs is given up when it is overdue, after two seconds at the
//! latest, and the next one goes out. None goes out while the one before it runs, or in a pause for which the registry asked.
//!
//! It is over 300 lines: what opens it and what closes it again are one story.
//!
//! Each worker judges by its own results. But a breaker that one of them opens is open for all, and so is one that is
//! closed; all send one probe together.

use super::chance::Chance;
use super::ledger::{Line, Word};
use super::moment::{MS, Moment, S};
use super::stats;
use super::streak::Streak;

/// It opens when what is usual there would bring that once in a million results.
const CHANCE: f64 = 1e-6;
/// So many replies in a row must be of no use: 48 where nothing is known yet, as there may be one in ten that is.
const USELESS_MIN: u32 = 20;
const USELESS_PRIOR: f64 = 0.75;
/// So many in a row say that it is not a registry that fails, but none that is there.
const UNHEARD_MIN: u32 = 5;
/// So many connections in a row must fail, which are rare from the start.
const CONNECTS_MIN: u32 = 5;
const CONNECTS_PRIOR: f64 = 0.05;
/// So many tries in a row must be overdue.
const SILENT_MIN: u32 = 20;
const SILENT_PRIOR: f64 = 0.5;
const PROBE_APART_US_MIN: u64 = 250 * MS;
const PROBE_APART_US_MAX: u64 = 30 * S;
/// So long a probe is waited for at most, unless no other would go out then anyway: a registry that is back must be seen
/// within three seconds, even if the last probe before is lost.
pub(super) const PROBE_US_MAX: u64 = 2 * S;
/// But a registry that has just come back may be slower than usual: so much of the outage so far a probe may take.
const PROBE_US_SHARE: u64 = 2;
/// So much longer than the failures, and twice as long as they, is no prompt failure.
const OUTLIVES_US: u64 = 50 * MS;
/// Where failures are prompt, so many times as many probes go out.
const PROMPT_TIMES: u64 = 2;
/// The outage so far, by this, is the time to the next probe.
const PROBE_SHARE: u64 = 16;

/// What a try's end says about its registry's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    /// It does what it is there for, however slowly.
    Well,
    /// It is there: what it said of this question says nothing of others.
    Heard,
    /// It says that it fails.
    Failing,
    /// It says nothing of use: it refuses, breaks off, or is silent.
    Lost,
    /// Nobody takes connections.
    Away,
}

/// A probe's time: until it ends the word that all workers share says that none may go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_field_names, reason = "each is a moment")]
pub(super) struct Probe {
    /// It is given up then, and the next may go out.
    pub(super) ends_at: Moment,
    /// When it ends sooner, the next may go out from then on.
    next_at: Moment,
    /// When it has outlived the failures that opened the breaker: they were prompt, and this is none of them. None where tries
    /// hung.
    pub(super) outlives_at: Option<Moment>,
}

/// The lowest bit of [`Word::Turned`].
const OPEN: u64 = 1;
/// The next one: it opened because nothing was heard but 503. Then any other word closes it.
const UNHEARD: u64 = 2;
/// The one after that: it opened because tries hung.
const HUNG: u64 = 4;
const BITS: u32 = 3;

/// The health of one registry.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    line: Line,
    /// When it last turned, and to what, as far as the rest of this knows.
    turned: u64,
    /// May it open at all?
    opens: bool,
    /// Since when it is in trouble.
    trouble_at: Option<Moment>,
    /// Replies that were of no use, and none at all.
    useless: Streak,
    /// How long the slowest of these took.
    failed_us: u64,
    /// So many of the last in a row said nothing at all, but for 503.
    unheard: u32,
    /// Connections that could not be made.
    away: Streak,
    /// Overdue tries, none of them older than one that was answered.
    silent: Streak,
    /// When the oldest of them began.
    silent_from: Moment,
    heard_at: Moment,
    /// When the youngest try began that was answered.
    heard_of: Moment,
    opened: u64,
}

impl Breaker {
    /// Closed; one that never `opens` only watches.
    pub(super) const fn new(opens: bool, line: Line) -> Self {
        Self {
            line,
            opens,
            turned: 0,
            trouble_at: None,
            useless: Streak::new(USELESS_MIN, CHANCE, USELESS_PRIOR),
            failed_us: 0,
            unheard: 0,
            away: Streak::new(CONNECTS_MIN, CHANCE, CONNECTS_PRIOR),
            silent: Streak::new(SILENT_MIN, CHANCE, SILENT_PRIOR),
            silent_from: Moment(0),
            heard_at: Moment(0),
            heard_of: Moment(0),
            opened: 0,
        }
    }

    /// Open or closed.
    pub(super) fn state(&self) -> stats::Breaker {
        if self.line.load(Word::Turned) & OPEN == 0 { stats::Breaker::Closed } else { stats::Breaker::Open }
    }

    /// How often this worker opened it.
    pub(super) const fn opened(&self) -> u64 {
        self.opened
    }

    /// A probe, if it is time for one: it is expected to go out, or to be [`probed`](Self::probed) at once. It is waited for
    /// as long as any other try there, `hangs_us`, or longer.
    pub(super) fn probe(&self, hangs_us: u64, now: Moment, chance: &mut Chance) -> Option<Probe> {
        let turned = self.line.load(Word::Turned);
        let probe_at = self.line.load(Word::ProbeAt);
        // What the registry asked for holds for probes too.
        let paused_until = self.line.load(Word::PausedUntil);
        if turned & OPEN == 0 || now < Moment(probe_at.max(paused_until)) {
            return None;
        }
        let outage_us = now.since(moment_of(turned));
        // One that fails at once costs little.
        let times = if turned & HUNG == 0 { PROMPT_TIMES } else { 1 };
        let apart_us = (outage_us / PROBE_SHARE).clamp(PROBE_APART_US_MIN, PROBE_APART_US_MAX) / times;
        let next_at = now + jittered(apart_us, chance);
        let takes_us = hangs_us.max((outage_us / PROBE_US_SHARE).min(PROBE_US_MAX));
        let ends_at = next_at.max(now + takes_us);
        let outlives_at = (turned & HUNG == 0).then_some(now + OUTLIVES_US + 2 * self.failed_us);
        let probe = Probe { ends_at, next_at, outlives_at };
        self.line.change(Word::ProbeAt, probe_at, ends_at.0).then_some(probe)
    }

    /// A probe ended. Where tries hung and this one ended by itself, something has changed: the next one goes out soon.
    pub(super) fn probed(&self, probe: Probe, now: Moment) {
        let has_changed = self.line.load(Word::Turned) & HUNG != 0 && now < probe.ends_at;
        let soon = now + PROBE_APART_US_MIN / 4;
        let next_at = if has_changed { probe.next_at.min(soon) } else { probe.next_at };
        // When that failed, the next one is on its way already.
        self.line.change(Word::ProbeAt, probe.ends_at.0, next_at.0);
    }

    /// A probe that began then has outlived the failures: the registry is back, or silent. True when this closed the breaker.
    pub(super) fn outlived(&mut self, begun: Moment, now: Moment) -> bool {
        self.follow();
        self.turned & OPEN != 0 && begun >= moment_of(self.turned) && self.turn(now, 0)
    }

    /// A try that began then ended; good replies usually take less than `settles_us`. True when this closed the breaker or
    /// opened it.
    pub(super) fn count(
        &mut self,
        health: Health,
        begun: Moment,
        (now, settles_us): (Moment, u64),
        chance: &mut Chance,
    ) -> bool {
        if matches!(health, Health::Well | Health::Heard) {
            self.hear(begun, now);
        }
        self.follow();
        // When it last opened or closed: what began before says nothing of how the registry is now.
        if begun < moment_of(self.turned) {
            return false;
        }
        if self.turned & OPEN == 0 {
            let opens = self.fails(health, begun, (now, settles_us));
            let cause = if self.unheard >= UNHEARD_MIN { UNHEARD } else { 0 };
            return opens && self.open(OPEN | cause, now, chance);
        }
        match health {
            Health::Well | Health::Heard => self.turn(now, 0),
            // Prompt failure is not silence.
            Health::Failing => self.turned & UNHEARD != 0 && self.turn(now, 0),
            Health::Lost | Health::Away => false,
        }
    }

    /// Counts a result; is that enough?
    fn fails(&mut self, health: Health, begun: Moment, (now, settles_us): (Moment, u64)) -> bool {
        match health {
            Health::Away => self.away.lengthen(now),
            Health::Well | Health::Heard | Health::Failing | Health::Lost => self.away.end(),
        }
        self.unheard = match health {
            Health::Well | Health::Heard | Health::Failing => 0,
            Health::Lost | Health::Away => self.unheard.saturating_add(1),
        };
        match health {
            Health::Well => self.useless.end(),
            Health::Heard => return false,
            Health::Failing | Health::Lost | Health::Away => {
                let failed_us = if self.useless.length() == 0 { 0 } else { self.failed_us };
                self.failed_us = failed_us.max(now.since(begun));
                self.useless.lengthen(now);
            }
        }
        let is_trouble =
            [&self.useless, &self.away].iter().any(|streak| streak.is_no_chance(settles_us, now));
        if !is_trouble {
            self.trouble_at = None;
            return false;
        }
        begun >= *self.trouble_at.get_or_insert(now)
    }

    /// The registry says something to a try that began then.
    pub(super) fn hear(&mut self, begun: Moment, now: Moment) {
        self.heard_at = now;
        self.heard_of = self.heard_of.max(begun);
        if begun >= self.silent_from {
            self.silent.end();
        }
    }

    /// Did a try begin before the breaker last opened or closed? Then what becomes of it says nothing of how the registry is now.
    pub(super) fn is_of_before(&self, begun: Moment) -> bool {
        begun < moment_of(self.line.load(Word::Turned))
    }

    /// Has the registry said anything after this?
    pub(super) fn was_heard_since(&self, begun: Moment) -> bool {
        self.heard_at > begun
    }

    /// When a try that began then is overdue, for which one usually waits so long: after so much silence. None when one that
    /// began later was answered: what became of it says nothing of the registry.
    pub(super) fn overdue_at(&self, begun: Moment, overdue_us: u64) -> Option<Moment> {
        (begun > self.heard_of).then(|| begun.max(self.heard_at) + overdue_us)
    }

    /// A try that began then is overdue. True when this opened the breaker.
    pub(super) fn overdue(&mut self, begun: Moment, now: Moment, chance: &mut Chance) -> bool {
        self.follow();
        if begun < moment_of(self.turned) {
            return false; // as of what ends: it is of before
        }
        self.silent_from = if self.silent.length() == 0 { begun } else { self.silent_from.min(begun) };
        self.silent.lengthen(now);
        self.turned & OPEN == 0
            && self.silent.is_no_chance(0, now)
            && self.open(OPEN | UNHEARD | HUNG, now, chance)
    }

    /// False when it never opens, or when another worker was faster.
    fn open(&mut self, bits: u64, now: Moment, chance: &mut Chance) -> bool {
        let opens = self.opens && self.turn(now, bits);
        if opens {
            self.line.store(Word::ProbeAt, (now + jittered(PROBE_APART_US_MIN, chance)).0);
            self.opened += 1;
        }
        opens
    }

    fn turn(&mut self, now: Moment, bits: u64) -> bool {
        let turns = self.line.change(Word::Turned, self.turned, now.0 << BITS | bits);
        self.follow();
        turns
    }

    /// Forgets what was counted before the breaker turned, whoever turned it.
    fn follow(&mut self) {
        let turned = self.line.load(Word::Turned);
        if turned != self.turned {
            self.turned = turned;
            self.trouble_at = None;
            for streak in [&mut self.useless, &mut self.away, &mut self.silent] {
                streak.forget();
            }
        }
    }
}

/// When the breaker turned, by its word.
const fn moment_of(turned: u64) -> Moment {
    Moment(turned >> BITS)
}

/// Three quarters to all of it, so that services do not probe in step and none waits longer than it should.
fn jittered(us: u64, chance: &mut Chance) -> u64 {
    us - chance.up_to(us / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(S);
    /// So many results of a kind, in a second.
    type Fed = &'static [(Health, usize, u64)];

    fn fed(results: Fed) -> stats::Breaker {
        let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
        for (health, count, at_s) in results {
            for _ in 0..*count {
                breaker.count(*health, Moment(at_s * S), (Moment(at_s * S), 0), &mut chance);
            }
        }
        breaker.state()
    }

    #[test]
    fn it_opens_by_the_rule() {
        use Health::{Away, Failing, Heard, Well};
        use stats::Breaker::{Closed, Open};
        let table: [(Fed, stats::Breaker); 14] = [
            (&[(Failing, 48, 1)], Closed),
            (&[(Failing, 49, 1)], Open),
            (&[(Well, 100, 1), (Failing, 19, 2)], Closed),
            (&[(Well, 100, 1), (Failing, 20, 2)], Open),
            (&[(Well, 500, 1), (Failing, 19, 1), (Well, 1, 1), (Failing, 19, 1)], Closed),
            (&[(Failing, 30, 1), (Failing, 30, 12)], Open), // however slowly they come
            // Bad data and refused questions say nothing of it.
            (&[(Heard, 1000, 1)], Closed),
            (&[(Failing, 40, 1), (Heard, 100, 1), (Failing, 8, 1)], Closed),
            (&[(Failing, 40, 1), (Heard, 100, 1), (Failing, 9, 1)], Open),
            (&[(Away, 4, 1), (Well, 1, 1), (Away, 4, 1)], Closed),
            (&[(Away, 4, 1), (Heard, 1, 1), (Away, 4, 1)], Closed),
            (&[(Away, 4, 1)], Closed),
            (&[(Away, 5, 1)], Open),
            (&[(Well, 1, 1), (Away, 5, 1)], Open),
        ];
        for (results, expected) in table {
            assert_eq!(fed(results), expected, "{results:?}");
        }
    }

    #[test]
    fn prompt_failure_is_not_silence() {
        for (percent_well, opens) in
            [(100, false), (50, false), (25, false), (10, false), (1, true), (0, true)]
        {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            let opened = (1..20_000).any(|at| {
                let is_well = chance.up_to(99) < percent_well;
                let health = if is_well { Health::Well } else { Health::Failing };
                breaker.count(health, Moment(at * MS), (Moment(at * MS), 0), &mut Chance::new(2))
            });
            assert_eq!(opened, opens, "{percent_well} % of use");
        }
    }

    #[test]
    fn failures_that_come_before_any_answer_could_do_not_open_it() {
        for (last_ms, opens) in [(499, false), (501, true)] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            let opened = (0..=last_ms).any(|ms| {
                let now = START + ms * MS;
                breaker.count(Health::Failing, now, (now, 500 * MS), &mut chance)
            });
            assert_eq!(opened, opens, "{last_ms}");
        }
    }

    #[test]
    fn a_try_is_overdue_after_silence_unless_a_later_one_was_answered() {
        let mut breaker = Breaker::new(true, Line::alone());
        for (heard_of_ms, heard_at_ms, begun_ms, overdue_at_ms) in [
            (0, 0, 50, Some(550)),
            (0, 40, 50, Some(550)),
            (0, 90, 50, Some(590)), // what was asked before it is answered after it began
            (50, 150, 50, None),
            (20, 200, 60, Some(700)),
            (20, 200, 250, Some(750)),
        ] {
            breaker.hear(START + heard_of_ms * MS, START + heard_at_ms * MS);
            let found = breaker.overdue_at(START + begun_ms * MS, 500 * MS);
            assert_eq!(found, overdue_at_ms.map(|ms| START + ms * MS), "{heard_at_ms} {begun_ms}");
        }
    }

    #[test]
    fn what_began_before_another_worker_closed_it_is_no_silence() {
        for (begun_ms, opens) in [(199, false), (200, true)] {
            let line = Line::alone();
            let mut chance = Chance::new(1);
            let [mut one, mut other] = [0, 1].map(|_| Breaker::new(true, line.clone()));
            for _ in 0..20 {
                one.count(Health::Failing, START, (START, 0), &mut chance);
            }
            assert!(one.turn(START + 200 * MS, 0), "its probe was answered");
            for _ in 0..20 {
                other.overdue(START + begun_ms * MS, START + S, &mut chance);
            }
            assert_eq!(other.state() == stats::Breaker::Open, opens, "{begun_ms}");
        }
    }

    #[test]
    fn silence_opens_it_and_a_word_to_a_later_one_ends_it() {
        for (heard_of_ms, opens) in [(99, true), (100, false), (110, false), (200, false)] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            let at = |ms: u64| START + ms * MS;
            for nth in 0..u64::from(SILENT_MIN) - 1 {
                assert!(!breaker.overdue(at(100 + nth), at(600), &mut chance));
            }
            breaker.hear(at(heard_of_ms), at(650));
            assert_eq!(breaker.overdue(at(200), at(1150), &mut chance), opens, "{heard_of_ms}");
        }
    }

    #[test]
    fn one_that_is_off_never_opens() {
        let (mut breaker, mut chance) = (Breaker::new(false, Line::alone()), Chance::new(1));
        for at in 1..200 {
            assert!(!breaker.count(Health::Away, Moment(at), (Moment(at), 0), &mut chance));
            assert!(!breaker.overdue(Moment(at), Moment(at), &mut chance));
        }
        assert_eq!(breaker.state(), stats::Breaker::Closed);
    }

    #[test]
    fn a_word_ends_the_silence() {
        let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
        for at in 1..10 * u64::from(SILENT_MIN) {
            breaker.overdue(Moment(at * S), Moment(at * S + 1), &mut chance);
            if at % 19 == 0 {
                breaker.count(Health::Well, Moment(at * S), (Moment(at * S + 2), 0), &mut chance);
            }
        }
        assert_eq!(breaker.state(), stats::Breaker::Closed);
    }

    #[test]
    fn what_breaks_at_one_instant_is_one_event() {
        let broke = START + S;
        // What began after it tells how the registry is.
        for (health, opens) in [(Health::Failing, true), (Health::Well, false)] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            assert!((0..500).all(|_| !breaker.count(Health::Failing, START, (broke, 0), &mut chance)));
            assert_eq!(breaker.count(health, broke + 1, (broke + 2, 0), &mut chance), opens);
        }
    }

    #[test]
    fn probes_come_every_quarter_second_and_then_after_a_sixteenth() {
        // Where failures are prompt, twice as often.
        for (bits, times) in [(OPEN | UNHEARD | HUNG, 1), (OPEN | UNHEARD, 2), (OPEN, 2)] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            breaker.open(bits, START, &mut chance);
            let mut probes = Vec::new();
            for at in (START.0..700 * S).step_by(10_000) {
                if let Some(probe) = breaker.probe(S, Moment(at), &mut chance) {
                    // Each fails when its time is over, or at once.
                    let ended = if times == 1 { probe.ends_at } else { Moment(at) };
                    breaker.probed(Probe { ends_at: probe.next_at, ..probe }, ended);
                    breaker.line.store(Word::ProbeAt, probe.next_at.0);
                    probes.push(at);
                }
            }
            assert!(probes.iter().filter(|at| **at < 5 * S).count() >= 15);
            let gaps = probes.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
            for (at, gap) in gaps {
                let most = ((at - START.0) / 16).clamp(S / 4, 30 * S) / times;
                assert!((most / 4 * 3..=most + 20_000).contains(&gap), "{bits}: {gap} at {at}");
            }
        }
    }

    #[test]
    fn where_tries_hung_a_probe_that_ends_by_itself_is_followed_soon() {
        for (ended_ms, next_ms) in [(40, 103), (499, 500)] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            breaker.open(OPEN | UNHEARD | HUNG, START, &mut chance);
            let begun = START + 250 * MS;
            let probe = breaker.probe(500 * MS, begun, &mut chance).unwrap();
            breaker.probed(probe, begun + ended_ms * MS);
            let next = (0..2000).find(|ms| breaker.probe(S, begun + ms * MS, &mut chance.clone()).is_some());
            assert!(next.is_some_and(|ms| ms <= next_ms.max(ended_ms)), "{ended_ms}: {next:?}");
        }
    }

    #[test]
    fn a_probe_that_outlives_prompt_failures_closes_it() {
        for (failed_ms, bits, outlives_ms) in
            [(0, OPEN, Some(50)), (30, OPEN | UNHEARD, Some(110)), (30, OPEN | UNHEARD | HUNG, None)]
        {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            breaker.count(Health::Lost, START, (START + failed_ms * MS, 0), &mut chance);
            let opened = START + 100 * MS;
            breaker.open(bits, opened, &mut chance);
            let begun = opened + S;
            let probe = breaker.probe(S, begun, &mut chance).unwrap();
            assert_eq!(probe.outlives_at, outlives_ms.map(|ms: u64| begun + ms * MS), "{failed_ms} {bits}");
            assert!(!breaker.outlived(START, begun), "it began before");
            assert!(breaker.outlived(begun, begun + S));
            assert_eq!(breaker.state(), stats::Breaker::Closed);
        }
    }

    #[test]
    fn the_next_probe_waits_for_one_that_hangs_until_it_is_overdue() {
        for (outage_ms, hangs_ms, least_ms, most_ms) in [
            (250, 500, 500, 500),
            (250, 2000, 2000, 2000),
            (3000, 500, 1500, 1500), // what has just come back may be slow
            (20_000, 500, 2000, 2000),
            (160_000, 500, 7500, 10_000),
        ] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            breaker.open(OPEN | UNHEARD | HUNG, START, &mut chance);
            let begun = START + outage_ms * MS;
            let probe = breaker.probe(hangs_ms * MS, begun, &mut chance).unwrap();
            let found = probe.ends_at.since(begun);
            assert!((least_ms * MS..=most_ms * MS).contains(&found), "{found} after {outage_ms} ms");
            let before = Moment(probe.ends_at.0 - 1);
            assert_eq!(breaker.probe(hangs_ms * MS, before, &mut chance), None);
            assert!(breaker.probe(hangs_ms * MS, probe.ends_at, &mut chance).is_some());
            // One whose time was over changes nothing for the next.
            breaker.probed(probe, probe.ends_at);
            assert_eq!(breaker.probe(hangs_ms * MS, probe.ends_at, &mut chance), None);
        }
    }

    #[test]
    fn only_a_right_reply_begun_since_closes_it() {
        let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
        let opened = START + S;
        breaker.open(OPEN, opened, &mut chance);
        for (health, begun, closes) in [
            (Health::Well, START, false),
            (Health::Failing, opened + 1, false),
            (Health::Lost, opened + 1, false),
            (Health::Away, opened + 1, false),
            (Health::Well, opened + 1, true),
        ] {
            assert_eq!(breaker.count(health, begun, (opened + 2 * S, 0), &mut chance), closes, "{health:?}");
        }
        assert_eq!(breaker.probe(S, opened + 2 * S, &mut chance), None);
        // What failed before does not open it again.
        assert!((0..19).all(|_| !breaker.count(Health::Failing, START, (opened + 3 * S, 0), &mut chance)));
    }

    #[test]
    fn where_nothing_was_heard_any_word_closes_it() {
        for (bits, health, closes) in [
            (OPEN | UNHEARD, Health::Failing, true),
            (OPEN | UNHEARD, Health::Heard, true),
            (OPEN | UNHEARD, Health::Lost, false),
            (OPEN | UNHEARD, Health::Away, false),
            (OPEN, Health::Failing, false),
            (OPEN, Health::Heard, true),
        ] {
            let (mut breaker, mut chance) = (Breaker::new(true, Line::alone()), Chance::new(1));
            breaker.open(bits, START, &mut chance);
            let later = START + S;
            assert_eq!(breaker.count(health, later, (later, 0), &mut chance), closes, "{bits} {health:?}");
        }
    }

    #[test]
    fn what_one_worker_learns_holds_for_all() {
        let line = Line::alone();
        let mut chance = Chance::new(1);
        let [mut one, mut other] = [Breaker::new(true, line.clone()), Breaker::new(true, line)];
        let fail = |breaker: &mut Breaker, times: u64, chance: &mut Chance| {
            (0..times).any(|_| breaker.count(Health::Failing, START, (START, 0), chance))
        };
        assert!(!fail(&mut other, 48, &mut chance));
        assert!(fail(&mut one, 49, &mut chance));
        assert_eq!(other.state(), stats::Breaker::Open);
        assert!(!fail(&mut other, 1, &mut chance), "it is open already");
        let probes = |at: Moment, chance: &mut Chance| {
            [&one, &other].iter().filter(|breaker| breaker.probe(S, at, chance).is_some()).count()
        };
        assert_eq!(probes(START + S, &mut chance), 1, "one for all");
        assert_eq!(probes(START + 2 * S, &mut chance), 1);
        assert!(other.count(Health::Well, START + S, (START + 2 * S, 0), &mut chance));
        assert_eq!(one.state(), stats::Breaker::Closed);
        let later = START + 3 * S;
        let opens = (0..19).any(|_| one.count(Health::Failing, later, (later, 0), &mut chance));
        assert!(!opens, "what was counted before it turned counts no more");
        assert_eq!((one.opened(), other.opened()), (1, 0));
    }
}
