//! Plays a profile, as JSON in a file, against the miss path in virtual time: a line a second for each registry, and the
//! score as JSON.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "to print is what it is for")]

use std::error::Error;

use backendify_core::miss::{Caps, Misses, Moment, Policy, RegistryStats, S};
use backendify_rehearsal::{Profile, Waiter, simulate_watched};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected: PROFILE.json [SETTING=NUMBER …]")?;
    let profile = Profile::from_json(&std::fs::read_to_string(path)?)?;
    let mut policy = Policy { registries: vec![Caps::default()], ..Policy::default() };
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or("expected: SETTING=NUMBER")?;
        set(&mut policy, name, value.parse()?)?;
    }
    let mut second = Second::default();
    let report = simulate_watched(&profile, &policy, &mut |misses, now| second.see(misses, now));
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// What was seen of this second.
#[derive(Default)]
struct Second {
    number: u64,
    /// By registry: the most that ran at once.
    peaks: Vec<u32>,
}

impl Second {
    fn see(&mut self, misses: &Misses<Waiter>, now: Moment) {
        let stats = |number| misses.registry_stats(number, now);
        let all: Vec<RegistryStats> = (0..=u8::MAX).map_while(stats).collect();
        self.peaks.resize(all.len(), 0);
        for (peak, one) in self.peaks.iter_mut().zip(&all) {
            *peak = (*peak).max(one.running);
        }
        if now.0 / S == self.number {
            return;
        }
        self.number = now.0 / S;
        for (number, (one, peak)) in all.iter().zip(&mut self.peaks).enumerate() {
            let RegistryStats { limit, queued, breaker, hedges, retries, rate_per_s, .. } = one;
            eprint!(
                "{:4} s  registry {number}: peak {peak:4} of {limit:4}, {queued:3} queued, {breaker:?}",
                self.number
            );
            eprint!(", second try after {} ms", one.patience_us / 1000);
            eprintln!(", {hedges} second tries, {retries} retries, {rate_per_s:.0}/s");
            *peak = 0;
        }
    }
}

/// Changes one setting; times are in milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers, as asked for")]
fn set(policy: &mut Policy, name: &str, value: f64) -> Result<(), String> {
    let us = (value * 1000.0) as u64;
    match name {
        "deadline" => policy.deadline_us = us,
        "fetch_timeout" => policy.fetch_timeout_us = us,
        "tries" => policy.tries_max = value as u32,
        "patience" => policy.patience_min_us = us,
        "fetches" => policy.fetches_max = value as usize,
        "waiters" => policy.waiters_max = value as usize,
        "queue" => policy.queue_max = value as usize,
        "queue_wait" => policy.queue_wait_us = us,
        "memo" => policy.memo_max = value as usize,
        "retry_share" => policy.retry_share = value,
        "retries_per_s" => policy.retries_per_s = value,
        "start" => policy.registries.iter_mut().for_each(|caps| caps.concurrency_start = value as u32),
        "concurrency" => policy.registries.iter_mut().for_each(|caps| caps.concurrency_max = value as u32),
        _ => return Err(format!("no setting '{name}'")),
    }
    Ok(())
}
