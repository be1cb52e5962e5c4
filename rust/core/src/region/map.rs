//! A file, or nothing, as words that processes share: the only unsafe code of this crate. `SAFETY.md` numbers what it relies on.
#![expect(
    unsafe_code,
    reason = "shared memory is reached by a pointer; every use cites an invariant of SAFETY.md"
)]

use super::sync::{AtomicU64, Ordering};
use crate::memory::{FileSystem, file_system_of};
use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::fs::File;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

/// Memory that stays where it is until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<AtomicU64>,
    words: usize,
    /// Keeps the file's locks for as long as the memory is there (R4).
    file: Option<File>,
    is_memory: bool,
}

/// Of x86-64, and of ARM with pages of 4 KiB.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Of Linux 6.1 and later; others refuse it (<https://man7.org/linux/man-pages/man2/madvise.2.html>).
const MADV_COLLAPSE: libc::c_int = 25;

const _: () = assert!(size_of::<AtomicU64>() == 8 && align_of::<AtomicU64>() <= 4096);

// SAFETY: R3: the words are atomics, which any thread may reach, and the mapping belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: R3, as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `words` zeros of this process's own, and of those it forks; from 2 MiB on, all of it is taken at once.
    pub(crate) fn anonymous(words: usize) -> nix::Result<Self> {
        let bytes = bytes(words)?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // A few words need no huge page, and would take all of it.
        let is_large = bytes.get() >= HUGE_PAGE_BYTES;
        let hint = if is_large { huge_page_address(bytes) } else { None };
        // SAFETY: R1: a new mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { mmap_anonymous(hint, bytes, protection, flags) }?;
        let mapping = Self { base: base.cast(), words, file: None, is_memory: true };
        if is_large {
            for word in mapping.iter().step_by(HUGE_PAGE_BYTES / 8) {
                word.store(0, Ordering::Relaxed); // where no page is, the kernel has nothing to put on a huge one
            }
            mapping.make_huge();
        }
        Ok(mapping)
    }

    /// The first `words` words of `file`, which must have that length, reserved, and keep it.
    pub(super) fn of_file(file: File, words: usize) -> nix::Result<Self> {
        let bytes = bytes(words)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let hint = huge_page_address(bytes);
        // SAFETY: R1, as above. R2: the caller holds the file's lock, so nobody who keeps to it makes the file shorter.
        let base = unsafe { mmap(hint, bytes, protection, MapFlags::MAP_SHARED, &file, 0) }?;
        let is_memory = matches!(file_system_of(&file), Ok(FileSystem::Memory));
        let mapping = Self { base: base.cast(), words, file: Some(file), is_memory };
        mapping.advise(MmapAdvise::MADV_RANDOM); // a look-up touches two pages, and never their neighbours
        Ok(mapping)
    }

    /// The file, to ask about its locks.
    pub(super) const fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Is every page here for good, or may the kernel have written it back to a disk?
    pub(super) const fn is_memory(&self) -> bool {
        self.is_memory
    }

    /// Has the kernel read the page at this word from its disk meanwhile, if it is not here; waits for nothing.
    pub(super) fn read_ahead(&self, word: usize) {
        if let Some(page) = self.get(word..word.saturating_add(super::layout::PAGE_WORDS)) {
            let start = NonNull::from(page).cast();
            // SAFETY: R1: the page is this mapping's own. The advice changes nothing that memory holds.
            let _ = unsafe { madvise(start, size_of_val(page), MmapAdvise::MADV_WILLNEED) };
        }
    }

    /// Has the kernel put all of this on huge pages, where it can: one translation for 512 buckets. Takes a second or so for a
    /// GiB. On a disk each fault would read 2 MiB: with 18 million companies, 355 look-ups a second instead of 3,300
    /// (bench/results/README.md).
    pub(super) fn make_huge(&self) {
        if !self.is_memory {
            return;
        }
        self.advise(MmapAdvise::MADV_HUGEPAGE);
        // Of a tmpfs mounted without `huge=`, as `/dev/shm` is, the advice alone gives none.
        // SAFETY: R1: the range is this mapping's own. What memory holds is the same on other pages.
        let _ = unsafe { libc::madvise(self.base.as_ptr().cast(), self.words * 8, MADV_COLLAPSE) };
    }

    /// Tells the kernel how the memory is used; it may not care.
    fn advise(&self, advice: MmapAdvise) {
        // SAFETY: R1: the range is this mapping's own. Neither advice that is given here changes what memory holds.
        let _ = unsafe { madvise(self.base.cast(), self.words * 8, advice) };
    }
}

/// Has the processor fetch the line of this word, if it knows how; nothing waits for it.
#[inline]
pub(super) fn prefetch(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: R1: the word is there. The hint reads nothing that the program sees, and faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(word.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

/// Where `bytes` would lie on a border of huge pages, found by asking for a little more and giving it back.
fn huge_page_address(bytes: NonZeroUsize) -> Option<NonZeroUsize> {
    let room = bytes.checked_add(HUGE_PAGE_BYTES)?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: R1: a new mapping at an address of the kernel's choice, which nobody uses before it is gone again.
    let base = unsafe { mmap_anonymous(None, room, ProtFlags::PROT_NONE, flags) }.ok()?;
    // SAFETY: R1: the mapping that was just made, whole.
    let _ = unsafe { munmap(base, room.get()) };
    NonZeroUsize::new(base.addr().get().checked_next_multiple_of(HUGE_PAGE_BYTES)?)
}

fn bytes(words: usize) -> nix::Result<NonZeroUsize> {
    words.checked_mul(8).and_then(NonZeroUsize::new).ok_or(nix::Error::EINVAL)
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: R1: mapped for as long as self lives, page-aligned, `words` long. R3: other processes, too, reach these
        // bytes only as aligned atomic words; any bits are a valid word.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: R1: mapped by us with this length, and no borrow of it outlives self.
        let _ = unsafe { munmap(self.base.cast(), self.words * 8) };
    }
}
