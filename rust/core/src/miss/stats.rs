//! What the miss path counts, for whoever looks on.

/// Over all registries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Fetches under way: tries running, waiting for room, or for another try.
    pub fetches: usize,
    /// Tries running.
    pub running: usize,
    /// Customers who wait.
    pub waiters: usize,
    /// Customers who found their question under way, since the start.
    pub joined: u64,
    /// Customers answered 503 to make room for newer ones, since the start.
    pub shed: u64,
    /// Customers answered with a failure that was remembered, since the start.
    pub memo_hits: u64,
    /// Customers whose deadline came first, since the start.
    pub timed_out: u64,
}

/// Is a registry asked?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Breaker {
    /// It is.
    #[default]
    Closed,
    /// It is not, but for a probe now and then.
    Open,
}

/// Of one registry.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct RegistryStats {
    /// Tries running, of all workers.
    pub running: u32,
    /// How many may run at the moment, of all workers; with those of this worker's look beyond the ceiling, while it lasts.
    pub limit: u32,
    /// Questions that wait for room.
    pub queued: usize,
    /// Is it asked?
    pub breaker: Breaker,
    /// Microseconds for which it wants to be left alone.
    pub paused_for_us: u64,
    /// Tries a second that it seems to bear; infinite while it never said 429.
    pub rate_per_s: f64,
    /// When a second try begins for slowness, after the first.
    pub patience_us: u64,
    /// Tries begun, since the start.
    pub tries: u64,
    /// Of these second tries for slowness.
    pub hedges: u64,
    /// Of these retries after a failure.
    pub retries: u64,
    /// Replies that told a fact, since the start.
    pub answered: u64,
    /// Tries that did not, since the start; abandoned ones are in neither.
    pub failed: u64,
    /// 429s among these.
    pub throttled: u64,
    /// Fetches ended because nobody hoped for them any more and somebody waited for their place, since the start.
    pub overstayed: u64,
    /// Questions that gave up waiting for room, since the start.
    pub gave_up: u64,
    /// How often this worker opened the breaker, since the start.
    pub opened: u64,
}
