//! Caches that hold a number of entries, to compare the region with: each knows its own rule and nothing of bytes.

use std::collections::HashMap;

/// A cache that is asked for a company and keeps it when it had to be fetched.
pub(crate) trait Cache {
    /// Was it there? If not, it is now.
    fn ask(&mut self, company: u32) -> bool;
}

const NONE: usize = usize::MAX;

struct Node {
    company: u32,
    is_visited: bool,
    older: usize,
    newer: usize,
}

/// Entries from the oldest to the newest, and where each company's entry is.
struct Queue {
    nodes: Vec<Node>,
    place_of: HashMap<u32, usize>,
    entries_max: usize,
    oldest: usize,
    newest: usize,
}

#[expect(clippy::indexing_slicing, reason = "links hold indices of nodes or NONE, which is asked for first")]
impl Queue {
    fn new(entries_max: usize) -> Self {
        let place_of = HashMap::with_capacity(entries_max);
        Self { nodes: Vec::with_capacity(entries_max), place_of, entries_max, oldest: NONE, newest: NONE }
    }

    fn unlink(&mut self, place: usize) {
        let Node { older, newer, .. } = self.nodes[place];
        if older == NONE {
            self.oldest = newer;
        } else {
            self.nodes[older].newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.nodes[newer].older = older;
        }
    }

    fn link_newest(&mut self, place: usize) {
        self.nodes[place].older = self.newest;
        self.nodes[place].newer = NONE;
        if self.newest == NONE {
            self.oldest = place;
        } else {
            self.nodes[self.newest].newer = place;
        }
        self.newest = place;
    }

    /// Puts the company behind the newest, in a new place or in that of `victim`.
    fn add(&mut self, company: u32, victim: Option<usize>) {
        let node = Node { company, is_visited: false, older: NONE, newer: NONE };
        let place = if let Some(victim) = victim {
            self.unlink(victim);
            self.place_of.remove(&self.nodes[victim].company);
            self.nodes[victim] = node;
            victim
        } else {
            self.nodes.push(node);
            self.nodes.len() - 1
        };
        self.link_newest(place);
        self.place_of.insert(company, place);
    }

    fn is_full(&self) -> bool {
        self.nodes.len() == self.entries_max
    }
}

/// SIEVE over all entries (Zhang et al., NSDI 2024).
pub(crate) struct Sieve {
    queue: Queue,
    hand: usize,
}

impl Sieve {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { queue: Queue::new(entries_max), hand: NONE }
    }
}

#[expect(clippy::indexing_slicing, reason = "places come from the queue")]
impl Cache for Sieve {
    fn ask(&mut self, company: u32) -> bool {
        if let Some(place) = self.queue.place_of.get(&company) {
            self.queue.nodes[*place].is_visited = true;
            return true;
        }
        let mut victim = None;
        if self.queue.is_full() {
            let mut hand = if self.hand == NONE { self.queue.oldest } else { self.hand };
            while self.queue.nodes[hand].is_visited {
                self.queue.nodes[hand].is_visited = false;
                let newer = self.queue.nodes[hand].newer;
                hand = if newer == NONE { self.queue.oldest } else { newer };
            }
            self.hand = self.queue.nodes[hand].newer;
            victim = Some(hand);
        }
        self.queue.add(company, victim);
        false
    }
}

/// Least recently used.
pub(crate) struct Lru(Queue);

impl Lru {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self(Queue::new(entries_max))
    }
}

impl Cache for Lru {
    fn ask(&mut self, company: u32) -> bool {
        if let Some(place) = self.0.place_of.get(&company).copied() {
            self.0.unlink(place);
            self.0.link_newest(place);
            return true;
        }
        let victim = Some(self.0.oldest).filter(|_| self.0.is_full());
        self.0.add(company, victim);
        false
    }
}

/// moka as it comes: `TinyLFU` admission before an LRU.
pub(crate) struct Moka(moka::sync::Cache<u32, ()>);

impl Moka {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self(moka::sync::Cache::new(u64::try_from(entries_max).unwrap_or(u64::MAX)))
    }
}

impl Cache for Moka {
    fn ask(&mut self, company: u32) -> bool {
        let is_hit = self.0.get(&company).is_some();
        if !is_hit {
            self.0.insert(company, ());
        }
        is_hit
    }
}
