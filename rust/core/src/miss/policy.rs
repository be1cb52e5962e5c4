//! How long, how often and how many: every number of the miss path that somebody may want to choose.

use super::moment::{MS, S};

/// So many tries a fetch, whatever the policy says.
pub const TRIES_MAX: u32 = 3;

/// The settings of a [`Misses`](super::Misses). `default()` is right for one worker, and knows of no registry yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// What each registry may be asked, by its number.
    pub registries: Vec<Caps>,
    /// A customer waits so long, from asking.
    pub deadline_us: u64,
    /// A fetch takes at most so long, from when its first try begins.
    pub fetch_timeout_us: u64,
    /// So many tries a fetch, 1 to [`TRIES_MAX`].
    pub tries_max: u32,
    /// No second try for slowness earlier than this.
    pub patience_min_us: u64,
    /// So many tries at once, over all registries and workers.
    pub fetches_max: usize,
    /// So many customers wait at once, at one worker, as all that follows.
    pub waiters_max: usize,
    /// So many questions wait for a registry to have room, each registry's own; fewer when it is slow.
    pub queue_max: usize,
    /// But so many may, however slow it is.
    pub queue_min: usize,
    /// And each at most so long.
    pub queue_wait_us: u64,
    /// Is a registry that fails left alone? Off only to compare.
    pub breaker: bool,
    /// Is a registry asked for no more than it answers in time? Off only to compare.
    pub ceiling: bool,
    /// Is one that says 429, asks for patience, or loses what it is asked for, asked for less? Off only to compare.
    pub obeys: bool,
    /// So many failures are remembered.
    pub memo_max: usize,
    /// Second tries and retries, as a share of first tries.
    pub retry_share: f64,
    /// And so many a second beside them.
    pub retries_per_s: f64,
    /// And so many for each that brought an answer, while nothing says that load is the trouble.
    pub retries_per_help: f64,
    /// So many workers count their tries together: of what a registry bears, each has its share.
    pub workers: u32,
}

/// How many tries at once a registry may be asked for, by all workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// At first, and after an outage.
    pub concurrency_start: u32,
    /// Ever.
    pub concurrency_max: u32,
}

impl Caps {
    /// The same, and nothing adapts: as many at once as ever.
    pub(super) const fn without_limit(self) -> Self {
        Self { concurrency_start: self.concurrency_max, ..self }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { concurrency_start: 20, concurrency_max: 200 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            registries: Vec::new(),
            deadline_us: 900 * MS,
            fetch_timeout_us: 10 * S,
            tries_max: TRIES_MAX,
            patience_min_us: 250 * MS,
            fetches_max: 1024,
            waiters_max: 4000,
            queue_max: 128,
            queue_min: 32,
            queue_wait_us: 300 * MS,
            breaker: true,
            ceiling: true,
            obeys: true,
            memo_max: 4096,
            retry_share: 0.05,
            retries_per_s: 2.0,
            retries_per_help: 20.0,
            workers: 1,
        }
    }
}

impl Policy {
    /// What is left to one of `workers` that count their tries together, in a [`Ledger`](super::Ledger): all but the tries
    /// is divided, and rounded up.
    #[must_use]
    pub fn beside_others(mut self, workers: u32) -> Self {
        self.workers = workers.max(1);
        let many = self.workers as usize;
        self.waiters_max = self.waiters_max.div_ceil(many);
        self.queue_max = self.queue_max.div_ceil(many);
        self.queue_min = self.queue_min.div_ceil(many);
        self.memo_max = self.memo_max.div_ceil(many);
        self.retries_per_s /= f64::from(self.workers);
        self
    }

    /// The share of one of `workers` that know nothing of one another: the tries are divided too.
    #[must_use]
    pub fn shared_by(mut self, workers: u32) -> Self {
        let workers = workers.max(1);
        for caps in &mut self.registries {
            caps.concurrency_start = caps.concurrency_start.div_ceil(workers);
            caps.concurrency_max = caps.concurrency_max.div_ceil(workers);
        }
        self.fetches_max = self.fetches_max.div_ceil(workers as usize);
        Self { workers: 1, ..self.beside_others(workers) }
    }
}
