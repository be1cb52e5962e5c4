//! Which buckets this process has checked since it attached.

use super::sync::{AtomicU64, Ordering};

/// One bit a bucket, this process's own: 25 KB for 800 MB.
#[derive(Debug)]
pub(super) struct Vouched {
    bits: Box<[AtomicU64]>,
}

impl Vouched {
    /// All of them, or none.
    pub(super) fn new(buckets: u32, all: bool) -> Self {
        let word = || AtomicU64::new(if all { u64::MAX } else { 0 });
        Self { bits: (0..buckets.div_ceil(64)).map(|_| word()).collect() }
    }

    /// Was this bucket checked?
    #[inline]
    pub(super) fn has(&self, bucket: u32) -> bool {
        self.word(bucket).is_some_and(|word| word.load(Ordering::Relaxed) >> (bucket % 64) & 1 == 1)
    }

    /// It was.
    pub(super) fn add(&self, bucket: u32) {
        if let Some(word) = self.word(bucket) {
            word.fetch_or(1 << (bucket % 64), Ordering::Relaxed);
        }
    }

    fn word(&self, bucket: u32) -> Option<&AtomicU64> {
        self.bits.get(usize::try_from(bucket / 64).ok()?)
    }
}
