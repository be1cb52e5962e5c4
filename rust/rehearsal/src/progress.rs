//! How it goes, in a line a second.

use std::fmt::Write as _;
use std::rc::Rc;

use crate::profile::US_PER_S;
use crate::registry::Registry;
use crate::score::{Score, Tally};

/// What had been counted when the last line was told.
#[derive(Default)]
pub(crate) struct Progress {
    tally: Tally,
    requests: Vec<u64>,
}

impl Progress {
    /// What came since the last line, and how things stand: so many customers are not served yet.
    pub(crate) fn line(
        &mut self,
        score: &Score,
        registries: &[Rc<Registry>],
        now_us: u64,
        open: usize,
    ) -> String {
        let (now, was) = (score.all, std::mem::replace(&mut self.tally, score.all));
        let asked = now.asked - was.asked;
        let share = |part: u64| part as f64 * 100.0 / asked.max(1) as f64;
        let mut line = format!(
            "{:4.0} s  {asked:6} served  {:5.1} % right  bound {:5.1} %  open {open:5}",
            now_us as f64 / US_PER_S,
            share(now.right - was.right),
            share(now.answerable - was.answerable),
        );
        self.requests.resize(registries.len(), 0);
        for (registry, requests) in registries.iter().zip(&mut self.requests) {
            let load = registry.load.borrow();
            let new = load.requests - std::mem::replace(requests, load.requests);
            let country = String::from_utf8_lossy(&registry.country);
            let _written = write!(line, "  {country} {new}/s, {} at once", load.at_once);
        }
        if score.late > 0 {
            let _written = write!(line, "  LATE: {} requests", score.late);
        }
        line
    }
}
