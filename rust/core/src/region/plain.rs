//! Plain memory in the place of a mapping, for tests that order every step: no file, no unsafe code.

use super::layout::Owner;
use super::sync::AtomicU64;
use std::ops::Deref;
use std::sync::Arc;

/// The slot of the owners that such tests call dead.
pub(super) const DEAD_SLOT: u8 = 63;

/// Words that several regions share.
#[derive(Clone, Debug)]
pub(crate) struct Mapping(Arc<[AtomicU64]>);

impl Mapping {
    /// `words` zeros.
    #[expect(clippy::unnecessary_wraps, reason = "a mapping may fail, and this stands in its place")]
    pub(crate) fn anonymous(words: usize) -> Result<Self, ()> {
        Ok(Self((0..words).map(|_| AtomicU64::new(0)).collect()))
    }

    /// It is.
    #[expect(clippy::unused_self, reason = "a mapping may lie on a disk, and this stands in its place")]
    pub(super) const fn is_memory(&self) -> bool {
        true
    }

    /// Memory is always here.
    #[expect(clippy::unused_self, reason = "a mapping may lie on a disk, and this stands in its place")]
    pub(super) const fn read_ahead(&self, _word: usize) {}
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// Everybody lives but the dead.
pub(super) const fn is_alive(_: &Mapping, owner: Owner) -> bool {
    owner.slot() != DEAD_SLOT
}

/// Nothing is timed here.
pub(super) const fn prefetch(_: &AtomicU64) {}
