//! Caches of a fixed number of entries, to compare with: the decision alone, nothing is stored.

use std::collections::HashMap;

/// Is the key there? It is afterwards.
pub(crate) trait Policy {
    /// Asks, and keeps what was not there.
    fn ask(&mut self, key: u32) -> bool;
    /// How many keys it holds.
    fn held(&mut self) -> u64;
}

const NONE: u32 = u32::MAX;

/// Entries in a queue, from its head (the newest) to its tail.
struct Queue {
    slots: HashMap<u32, u32>,
    keys: Vec<u32>,
    visited: Vec<bool>,
    newer: Vec<u32>,
    older: Vec<u32>,
    head: u32,
    tail: u32,
    capacity: usize,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        Self {
            slots: HashMap::with_capacity(capacity),
            keys: Vec::with_capacity(capacity),
            visited: Vec::with_capacity(capacity),
            newer: Vec::with_capacity(capacity),
            older: Vec::with_capacity(capacity),
            head: NONE,
            tail: NONE,
            capacity,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let (newer, older) = (self.newer[slot as usize], self.older[slot as usize]);
        if newer == NONE {
            self.head = older;
        } else {
            self.older[newer as usize] = older;
        }
        if older == NONE { self.tail = newer } else { self.newer[older as usize] = newer }
    }

    fn push(&mut self, slot: u32) {
        self.newer[slot as usize] = NONE;
        self.older[slot as usize] = self.head;
        if self.head == NONE {
            self.tail = slot;
        } else {
            self.newer[self.head as usize] = slot;
        }
        self.head = slot;
    }

    /// Puts a key at the head, in `freed`'s place or in a new one.
    fn insert(&mut self, key: u32, freed: Option<u32>) {
        let slot = freed.unwrap_or_else(|| {
            self.keys.push(0);
            self.visited.push(false);
            self.newer.push(NONE);
            self.older.push(NONE);
            u32::try_from(self.keys.len() - 1).expect("under four billion")
        });
        self.keys[slot as usize] = key;
        self.visited[slot as usize] = false;
        self.slots.insert(key, slot);
        self.push(slot);
    }

    fn remove(&mut self, slot: u32) -> u32 {
        self.unlink(slot);
        self.slots.remove(&self.keys[slot as usize]);
        slot
    }

    fn is_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }
}

/// SIEVE over all entries (Zhang et al., NSDI 2024).
pub(crate) struct Sieve {
    queue: Queue,
    hand: u32,
}

impl Sieve {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { queue: Queue::new(capacity), hand: NONE }
    }
}

impl Policy for Sieve {
    fn ask(&mut self, key: u32) -> bool {
        if let Some(slot) = self.queue.slots.get(&key) {
            self.queue.visited[*slot as usize] = true;
            return true;
        }
        let freed = self.queue.is_full().then(|| {
            let mut slot = if self.hand == NONE { self.queue.tail } else { self.hand };
            while self.queue.visited[slot as usize] {
                self.queue.visited[slot as usize] = false;
                let newer = self.queue.newer[slot as usize];
                slot = if newer == NONE { self.queue.tail } else { newer };
            }
            self.hand = self.queue.newer[slot as usize];
            self.queue.remove(slot)
        });
        self.queue.insert(key, freed);
        false
    }

    fn held(&mut self) -> u64 {
        self.queue.slots.len() as u64
    }
}

/// The least recently used goes.
pub(crate) struct Lru(Queue);

impl Lru {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Queue::new(capacity))
    }
}

impl Policy for Lru {
    fn ask(&mut self, key: u32) -> bool {
        if let Some(slot) = self.0.slots.get(&key).copied() {
            self.0.unlink(slot);
            self.0.push(slot);
            return true;
        }
        let freed = self.0.is_full().then(|| self.0.remove(self.0.tail));
        self.0.insert(key, freed);
        false
    }

    fn held(&mut self) -> u64 {
        self.0.slots.len() as u64
    }
}

/// moka, with the policy it has by default (`TinyLFU`).
pub(crate) struct Moka {
    cache: moka::sync::Cache<u32, ()>,
    asked: u32,
}

impl Moka {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { cache: moka::sync::Cache::new(capacity as u64), asked: 0 }
    }
}

impl Policy for Moka {
    fn ask(&mut self, key: u32) -> bool {
        self.asked = self.asked.wrapping_add(1);
        if self.asked % 64 == 0 {
            self.cache.run_pending_tasks(); // it would at its own time, on a clock that a simulation outruns
        }
        let is_hit = self.cache.get(&key).is_some();
        if !is_hit {
            self.cache.insert(key, ());
        }
        is_hit
    }

    fn held(&mut self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }
}
