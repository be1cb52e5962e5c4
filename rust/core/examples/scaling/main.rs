//! What two processes do over one region, beside what one does alone: look-ups, and nine look-ups to a store.
//!
//! `cargo run --release --example scaling` (or `make scaling`) measures in `/dev/shm`, or in the directory that is given. Each process is pinned to
//! a core of its own; of several rounds the median counts. A ratio of 2 is perfect.
#![expect(clippy::print_stdout, reason = "to print is what it is for")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads a clock")]
#![expect(clippy::cast_precision_loss, reason = "counts of this size have room in a float")]

#[path = "../simulate/companies.rs"]
mod companies;
#[path = "../simulate/draws.rs"]
mod draws;

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backendify_core::freshness::Lifetimes;
use backendify_core::region::{BootTime, OpenOptions, Page, Region, Registry};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use companies::{Companies, Company};
use draws::Draws;

type Outcome<T> = Result<T, Box<dyn Error>>;

const BYTES: usize = 40 << 20;
const NOW: BootTime = BootTime(1000);
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(1);
/// Companies that a worker asks for, again and again: more than a core's own caches hold.
const ASKED: u32 = 1 << 16;
/// Operations between two looks at the clock.
const BATCH: usize = 256;
/// Every so many operations a worker stores instead of looking up.
const MIXES: [(&str, usize); 2] = [("look-ups alone", usize::MAX), ("nine look-ups to a store", 10)];

fn open(path: &Path) -> Outcome<Region> {
    let country = |index: u8| Registry::new([b'a', b'a' + index], "http://localhost:9001");
    let registries = [0, 1, 2, 3].map(country);
    let lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
    let options =
        OpenOptions { bytes: BYTES, lifetimes, registries: &registries, boot_id: [7; 16], seed: [12, 34] };
    Ok(Region::open(path, &options)?.0)
}

/// Fills a region up to where live evictions have begun: companies up to the returned index.
fn fill(region: &Region, companies: &Companies) -> u32 {
    let mut stored = 0;
    while region.stats().evictions < 1000 {
        let company = companies.company(stored);
        region.put(company.key(), &company.record(), NOW);
        stored += 1;
    }
    stored
}

/// A worker: makes ready, says so, waits for a line, works for a round, and prints how many operations a second it did.
fn work(path: &Path, core: usize, stored: u32, store_every: usize) -> Outcome<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)?;
    let companies = Companies::read()?;
    let region = open(path)?;
    let mut draws = Draws(core as u64);
    let mut draw = || u32::try_from(draws.bits() % u64::from(stored));
    let indices = (0..ASKED).map(|_| draw()).collect::<Result<Vec<_>, _>>()?;
    let asked: Vec<Company<'_>> = indices.into_iter().map(|index| companies.company(index)).collect();
    let mut page = Page::default();
    for company in &asked {
        black_box(region.get(company.key(), NOW, &mut page)); // every page has been touched once
    }
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let start = Instant::now();
    let mut done = 0_usize;
    while start.elapsed() < ROUND {
        for company in asked.iter().cycle().skip(done % asked.len()).take(BATCH) {
            done += 1;
            if done % store_every == 0 {
                black_box(region.put(company.key(), &company.record(), NOW));
            } else {
                black_box(region.get(company.key(), NOW, &mut page));
            }
        }
    }
    println!("{}", done as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

/// Operations a second of all workers together, one on each of these cores.
fn measure(path: &Path, cores: &[usize], stored: u32, store_every: usize) -> Outcome<f64> {
    let start = |core: &usize| -> Outcome<(Child, BufReader<_>)> {
        let arguments = [core.to_string(), stored.to_string(), store_every.to_string()];
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").arg(path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut worker = command.spawn()?;
        let output = worker.stdout.take().ok_or("a worker without an output")?;
        Ok((worker, BufReader::new(output)))
    };
    let mut workers = cores.iter().map(start).collect::<Outcome<Vec<_>>>()?;
    for (_, output) in &mut workers {
        output.read_line(&mut String::new())?;
    }
    for (worker, _) in &mut workers {
        worker.stdin.take().ok_or("a worker without an input")?.write_all(b"go\n")?;
    }
    let mut rate = 0.0;
    for (mut worker, mut output) in workers {
        let mut text = String::new();
        output.read_to_string(&mut text)?;
        worker.wait()?;
        rate += text.trim().parse::<f64>()?;
    }
    Ok(rate)
}

/// The least, the median and the greatest.
fn spread(mut rates: Vec<f64>) -> [f64; 3] {
    rates.sort_by(f64::total_cmp);
    let at = |place: usize| rates.get(place).copied().unwrap_or_default();
    [at(0), at(rates.len() / 2), at(rates.len().saturating_sub(1))]
}

fn compare(path: &Path) -> Outcome<()> {
    let _ = std::fs::remove_file(path);
    let region = open(path)?;
    let stored = fill(&region, &Companies::read()?);
    println!(
        "{stored} companies in {BYTES} bytes at {}; operations a second, median of {ROUNDS} rounds",
        path.display()
    );
    for (mix, store_every) in MIXES {
        let (mut alone, mut together, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            // Before and after: the machine's own speed drifts.
            let before = measure(path, &[0], stored, store_every)?;
            let both = measure(path, &[0, 1], stored, store_every)?;
            let after = measure(path, &[1], stored, store_every)?;
            alone.extend([before, after]);
            together.push(both);
            ratios.push(2.0 * both / (before + after));
        }
        let ([lowest, alone, highest], [least, together, most]) = (spread(alone), spread(together));
        let [worst, ratio, best] = spread(ratios);
        println!("{mix}: one process {alone:.0} ({lowest:.0} to {highest:.0})");
        println!(
            "{mix}: two processes {together:.0} ({least:.0} to {most:.0}): {ratio:.2} times ({worst:.2} to {best:.2})"
        );
    }
    let stats = region.stats();
    println!("kept {} of {} stores", stats.stores, stats.stores + stats.busy);
    drop(region);
    Ok(std::fs::remove_file(path)?)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["worker", path, core, stored, store_every] => {
            work(Path::new(path), core.parse()?, stored.parse()?, store_every.parse()?)
        }
        [] => compare(Path::new("/dev/shm/backendify-scaling")),
        [directory, ..] => compare(&PathBuf::from(directory).join("backendify-scaling")),
    }
}
