//! Random sets of registries, by the rules and by one plain try: N SEED [collapsing] [NAME=NUMBER …].
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "an aid")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the same"
)]

use backendify_core::miss::{Caps, MS, Policy};
use backendify_rehearsal::{Kind, Row, compare, drawn};

fn set(policy: &mut Policy, caps: &mut Caps, name: &str, value: f64) {
    match name {
        "deadline_ms" => policy.deadline_us = value as u64 * MS,
        "fetch_timeout_ms" => policy.fetch_timeout_us = value as u64 * MS,
        "tries_max" => policy.tries_max = value as u32,
        "patience_min_ms" => policy.patience_min_us = value as u64 * MS,
        "fetches_max" => policy.fetches_max = value as usize,
        "waiters_max" => policy.waiters_max = value as usize,
        "queue_max" => policy.queue_max = value as usize,
        "queue_wait_ms" => policy.queue_wait_us = value as u64 * MS,
        "breaker" => policy.breaker = value != 0.0,
        "ceiling" => policy.ceiling = value != 0.0,
        "obeys" => policy.obeys = value != 0.0,
        "retries_per_help" => policy.retries_per_help = value,
        "memo_max" => policy.memo_max = value as usize,
        "retry_share" => policy.retry_share = value,
        "retries_per_s" => policy.retries_per_s = value,
        "concurrency_start" => caps.concurrency_start = value as u32,
        "concurrency_max" => caps.concurrency_max = value as u32,
        _ => panic!("{name}: no setting"),
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().unwrap().parse().unwrap();
    let seed: u64 = arguments.next().unwrap().parse().unwrap();
    let rest: Vec<String> = arguments.collect();
    let is_collapsing = rest.iter().any(|word| word == "collapsing");
    let (mut policy, mut caps) = (Policy::default(), Caps::default());
    if !is_collapsing {
        policy.fetches_max = 20_000;
        policy.waiters_max = 50_000;
        caps.concurrency_max = 2000;
    }
    policy.deadline_us = 1000 * MS;
    for word in rest.iter().filter(|word| word.contains('=')) {
        let (name, value) = word.split_once('=').unwrap();
        set(&mut policy, &mut caps, name, value.parse().unwrap());
    }
    policy.registries = vec![caps];
    if let Ok(only) = std::env::var("ONLY") {
        let set = drawn(if is_collapsing { Kind::Collapsing } else { Kind::Noisy }, seed, only.parse().unwrap());
        let report = backendify_rehearsal::simulate(&set, &policy, |line| { println!("{line}"); Ok::<_, std::convert::Infallible>(()) }).unwrap();
        println!("{}", serde_json::to_string_pretty(&report).unwrap().lines().filter(|l| !l.trim().parse::<u64>().is_ok()).take(90).collect::<Vec<_>>().join("\n"));
        return;
    }
    let kind = if is_collapsing { Kind::Collapsing } else { Kind::Noisy };
    let rows: Vec<Row> =
        (1..=count).map(|number| compare(number, &drawn(kind, seed, number), &policy)).collect();
    let won = |row: &Row| row.rules.of_bound_percent - row.one_try.of_bound_percent;
    let mut worst = rows.clone();
    worst.sort_by(|one, other| won(one).total_cmp(&won(other)));
    if rest.iter().any(|word| word == "bound") {
        worst.retain(|row| !row.throttles);
        worst.sort_by(|one, other| one.rules.of_bound_percent.total_cmp(&other.rules.of_bound_percent));
    }
    if rest.iter().any(|word| word == "peak") {
        worst.sort_by(|one, other| other.rules.of_borne.unwrap_or(0.0).total_cmp(&one.rules.of_borne.unwrap_or(0.0)));
    }
    println!("  set  rules - one    rules  one try    bound   asked a company   at once      of borne");
    for row in worst.iter().take(if rest.iter().any(|word| word == "long") { 40 } else { 10 }) {
        println!(
            "{:5} {:12.2} {:8.2} {:8.2} {:8.2}  {:7.2} {:7.2} {:5} {:5} {:6.2} {:6.2}  {}",
            row.number,
            won(row),
            row.rules.of_bound_percent,
            row.one_try.of_bound_percent,
            row.bound_percent,
            row.rules.requests_per_company,
            row.one_try.requests_per_company,
            row.rules.at_once_peak,
            row.one_try.at_once_peak,
            row.rules.of_borne.unwrap_or(0.0),
            row.one_try.of_borne.unwrap_or(0.0),
            row.text
        );
    }
    let mean = |what: &str, rows: &[&Row]| {
        let mean = |of: &dyn Fn(&Row) -> f64| rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64;
        println!(
            "{what} ({}): mean rules {:.2}, one try {:.2}, bound {:.2}; asked a company {:.2}, {:.2}; least won {:.2}; over a point below {}; rules < 95 % of one try {}; over twice borne {}",
            rows.len(),
            mean(&|row| row.rules.of_bound_percent),
            mean(&|row| row.one_try.of_bound_percent),
            mean(&|row| row.bound_percent),
            mean(&|row| row.rules.requests_per_company),
            mean(&|row| row.one_try.requests_per_company),
            rows.iter().map(|row| won(row)).fold(f64::INFINITY, f64::min),
            rows.iter().filter(|row| won(row) < -1.0).count(),
            rows.iter()
                .filter(|row| row.rules.of_bound_percent < 0.95 * row.one_try.of_bound_percent)
                .count(),
            rows.iter().filter(|row| row.rules.of_borne.is_some_and(|share| share > 2.0)).count(),
        );
    };
    mean("all", &rows.iter().collect::<Vec<_>>());
    mean("nobody throttles", &rows.iter().filter(|row| !row.throttles).collect::<Vec<_>>());
}
