//! Plays a profile, as JSON in a file, against the miss path in virtual time: a line a second, and the score as JSON.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "to print is what it is for")]

use std::error::Error;

use backendify_core::miss::{Caps, Policy};
use backendify_rehearsal::{Profile, simulate_watched};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected: PROFILE.json [SETTING=NUMBER …]")?;
    let profile = Profile::from_json(&std::fs::read_to_string(path)?)?;
    let mut policy = Policy { registries: vec![Caps::default()], ..Policy::default() };
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or("expected: SETTING=NUMBER")?;
        set(&mut policy, name, value.parse()?)?;
    }
    let report = simulate_watched(&profile, &policy, &mut |misses, now| {
        eprint!("{:4} s  {:5} wait", now.0 / 1_000_000, misses.stats().waiters);
        for number in 0..=u8::MAX {
            let Some(stats) = misses.registry_stats(number, now) else { break };
            let (running, limit, queued) = (stats.running, stats.limit, stats.queued);
            let patience_ms = stats.patience_us / 1000;
            let (hedges, retries, rate) = (stats.hedges, stats.retries, stats.rate_per_s);
            eprint!("  {number}: {running} of {limit}, {queued} queued, {:?}", stats.breaker);
            eprint!(", patience {patience_ms} ms, {hedges} hedges, {retries} retries, {rate:.0}/s");
        }
        eprintln!();
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
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
