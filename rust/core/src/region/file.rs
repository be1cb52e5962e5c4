//! From a path to a mapping: who creates the file, who attaches to it, who refuses.
//!
//! Whoever has the first byte's lock alone is alone with the file and may do anything to it; whoever maps it shares that lock until he
//! is gone. So a file is never made, cut or settled while anybody maps it.

use super::age::Ages;
use super::error::{Difference, RegionError};
use super::identity::{Identity, Rebuild};
use super::layout::{Owner, USE_LOCK};
use super::lock::{Mode, try_lock};
use super::map::Mapping;
use super::owners;
use super::registries::{Member, Registry, Table};
use crate::freshness::Lifetimes;
use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::libc;
use nix::sys::stat::fstat;
use siphasher::sip::SipHasher13;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How a region is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions<'a> {
    /// The file's size at most; checked against the memory limit before, because on tmpfs reserving too much kills.
    pub bytes: usize,
    /// How long records are kept.
    pub lifetimes: Lifetimes,
    /// Which registries there are; a [`crate::key::Key`] names them by their place here.
    pub registries: &'a [Registry],
    /// Different after each start of the machine.
    pub boot_id: [u8; 16],
    /// Unpredictable, and another each time: used when nobody else has the file, and for how long to wait while somebody has.
    pub seed: [u64; 2],
}

/// What was found at the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// Nothing: the file was made.
    Created,
    /// A file of ours, with what it holds.
    Attached,
    /// Something that could not be used, and was started anew.
    Rebuilt(Rebuild),
}

/// A file that is mapped, shared, and settled.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) mapping: Mapping,
    pub(super) identity: Identity,
    pub(super) members: Vec<Member>,
    pub(super) owner: Owner,
    pub(super) opened: Opened,
}

/// How often a file that somebody is making is looked at: for five seconds or more.
const LOOKS: u32 = 500;
/// How often one that a service with other settings has is looked at: for a fifth of a second or more.
const LOOKS_IN_USE: u32 = 20;
/// The shortest pause between two looks; the longest is twice as long.
const PAUSE_US: u64 = 10_000;

/// So much is reserved at once: a few milliseconds' work, because many kernels' tmpfs gives it all back when a signal comes.
const STEP_BYTES: usize = 16 << 20;

/// What one path and its options come to.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a OpenOptions<'a>,
    pub(super) buckets: u32,
    pub(super) words: usize,
}

/// Why a look at the path was in vain. Whoever looks again has let go of the file before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Vain {
    /// Somebody is making the file, or died over it and another who wants to make it is looking at it, too.
    Unfinished,
    /// Whoever has it may be on his way out, or be a fork that is about to be another program, or only be looking.
    InUse(Difference),
}

/// Makes the file, or attaches to it.
pub(super) fn open_region(
    path: &Path,
    options: &OpenOptions<'_>,
    buckets: u32,
    words: usize,
) -> Result<Opening, RegionError> {
    let wish = Wish { path, options, buckets, words };
    let mut in_use = 0;
    for look in 0..LOOKS {
        match wish.look()? {
            Ok(opening) => return Ok(opening),
            Err(Vain::Unfinished) => {}
            Err(Vain::InUse(_)) if in_use < LOOKS_IN_USE => in_use += 1,
            Err(Vain::InUse(because)) => return Err(RegionError::InUse { path: path.into(), because }),
        }
        std::thread::sleep(wish.pause(look));
    }
    Err(RegionError::Locked { path: path.into() })
}

impl Wish<'_> {
    /// Makes the file or attaches to it, if that can be done now; if not, nothing of it is held any more.
    pub(super) fn look(&self) -> Result<Result<Opening, Vain>, RegionError> {
        let file = self.claim()?;
        let lock = |mode| try_lock(&file, USE_LOCK, mode).map_err(|error| self.system(error));
        let is_ours = lock(Mode::Exclusive)?;
        if !is_ours && !lock(Mode::Shared)? || !self.is_still(&file)? {
            return Ok(Err(Vain::Unfinished));
        }
        if is_ours {
            return self.settle(&file).map(Ok);
        }
        match self.attach(&file)? {
            Ok((mapping, identity, members)) => {
                self.finish(mapping, identity, members, Opened::Attached).map(Ok)
            }
            // Whoever had it is gone: alone after all.
            Err(_) if lock(Mode::Exclusive)? => self.settle(&file).map(Ok),
            Err(Difference::Unreadable(Rebuild::Foreign)) => Ok(Err(Vain::Unfinished)),
            Err(because) => Ok(Err(Vain::InUse(because))),
        }
    }

    /// How long to wait before the next look. Not as long as others do, so that those who look at the same moment, and keep each
    /// other from being alone with the file, do not meet again: who was forked has his parent's seed, but no other's number.
    fn pause(&self, look: u32) -> Duration {
        let [seed, other] = self.options.seed;
        let process = u64::from(std::process::id());
        let lot = SipHasher13::new_with_keys(seed ^ process, other).hash(&look.to_le_bytes());
        Duration::from_micros(PAUSE_US + lot % PAUSE_US)
    }

    pub(super) fn system(&self, error: Errno) -> RegionError {
        RegionError::System { path: self.path.into(), error }
    }

    fn map(&self, file: &File) -> Result<Mapping, RegionError> {
        let file = file.try_clone().map_err(|error| self.system(errno(&error)))?;
        Mapping::of_file(file, self.words).map_err(|error| self.system(error))
    }

    fn has_size(&self, file: &File) -> Result<bool, RegionError> {
        let status = fstat(file).map_err(|error| self.system(error))?;
        Ok(usize::try_from(status.st_size).is_ok_and(|bytes| bytes == self.words * 8))
    }

    /// Joins the services that have the file, if they want what we want.
    #[expect(clippy::type_complexity, reason = "two ways not to get it, both told apart by the caller alone")]
    fn attach(
        &self,
        file: &File,
    ) -> Result<Result<(Mapping, Identity, Vec<Member>), Difference>, RegionError> {
        if !self.has_size(file)? {
            let status = fstat(file).map_err(|error| self.system(error))?;
            let is_empty = status.st_size == 0; // its maker died before he had begun
            let because = if is_empty { Difference::Unreadable(Rebuild::Foreign) } else { Difference::Size };
            return Ok(Err(because));
        }
        let mapping = self.map(file)?;
        let identity = match Identity::read(&mapping, self.words) {
            Ok(identity) => identity,
            Err(rebuild) => return Ok(Err(Difference::Unreadable(rebuild))),
        };
        if identity.boot_id != self.options.boot_id {
            return Ok(Err(Difference::Unreadable(Rebuild::Boot)));
        }
        if identity.lifetimes != self.options.lifetimes {
            return Ok(Err(Difference::Lifetimes));
        }
        let members = Table::new(&mapping, identity.seed).agree(self.options.registries);
        Ok(match members {
            Some(members) => Ok((mapping, identity, members)),
            None => Err(Difference::Registries),
        })
    }

    /// Alone with the file: keeps what is in it if it can be used, else starts it anew.
    fn settle(&self, file: &File) -> Result<Opening, RegionError> {
        let status = fstat(file).map_err(|error| self.system(error))?;
        let kept = if status.st_size == 0 {
            Err(Opened::Created)
        } else {
            self.keep(file)?.map_err(Opened::Rebuilt)
        };
        let (mapping, identity, members, opened) = match kept {
            Ok((mapping, identity, members)) => (mapping, identity, members, Opened::Attached),
            Err(opened) => {
                let (mapping, identity, members) = self.make(file)?;
                (mapping, identity, members, opened)
            }
        };
        owners::begin(&mapping, self.options.seed);
        try_lock(file, USE_LOCK, Mode::Shared).map_err(|error| self.system(error))?;
        self.finish(mapping, identity, members, opened)
    }

    #[expect(clippy::type_complexity, reason = "two ways not to get it, both told apart by the caller alone")]
    fn keep(&self, file: &File) -> Result<Result<(Mapping, Identity, Vec<Member>), Rebuild>, RegionError> {
        if !self.has_size(file)? {
            return Ok(Err(Rebuild::Size));
        }
        self.reserve(file)?; // a copy may have holes
        let mapping = self.map(file)?;
        let identity = match Identity::read(&mapping, self.words) {
            Ok(identity) => Identity { lifetimes: self.options.lifetimes, ..identity },
            Err(rebuild) => return Ok(Err(rebuild)),
        };
        if identity.boot_id != self.options.boot_id {
            return Ok(Err(Rebuild::Boot));
        }
        let before = Identity::read(&mapping, self.words).map(|identity| Ages::new(identity.lifetimes));
        if !before.is_ok_and(|ages| ages.has_unit_of(Ages::new(identity.lifetimes))) {
            return Ok(Err(Rebuild::Lifetimes));
        }
        let Some(members) = Table::new(&mapping, identity.seed).settle(self.options.registries) else {
            return Ok(Err(Rebuild::Registries));
        };
        identity.write(&mapping);
        Ok(Ok((mapping, identity, members)))
    }

    fn make(&self, file: &File) -> Result<(Mapping, Identity, Vec<Member>), RegionError> {
        file.set_len(0).map_err(|error| self.system(errno(&error)))?;
        self.reserve(file)?;
        let mapping = self.map(file)?;
        let OpenOptions { lifetimes, boot_id, seed, .. } = *self.options;
        let identity = Identity { buckets: self.buckets, seed, boot_id, lifetimes };
        let table = Table::new(&mapping, seed);
        table.clear();
        let members = table.settle(self.options.registries).ok_or_else(|| self.system(Errno::E2BIG))?;
        identity.write(&mapping);
        Ok((mapping, identity, members))
    }

    /// Has the file system set every byte aside, so that no later write can find it full.
    fn reserve(&self, file: &File) -> Result<(), RegionError> {
        let bytes = self.words * 8;
        in_steps(bytes, |start, length| posix_fallocate(file, start, length)).map_err(|error| {
            let _ = file.set_len(0); // gives back what was reserved; the error that counts is the first
            match error {
                Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG => {
                    RegionError::DiskFull { path: self.path.into(), bytes }
                }
                error => self.system(error),
            }
        })
    }

    /// Takes a worker's place. Others may open the file meanwhile: huge pages take longer than they wait.
    fn finish(
        &self,
        mapping: Mapping,
        identity: Identity,
        members: Vec<Member>,
        opened: Opened,
    ) -> Result<Opening, RegionError> {
        let owner = owners::join(&mapping)
            .map_err(|error| self.system(error))?
            .ok_or_else(|| RegionError::TooManyWorkers { path: self.path.into() })?;
        mapping.make_huge();
        Ok(Opening { mapping, identity, members, owner, opened })
    }
}

/// Has `set_aside` work through so many bytes, however often a signal comes between.
pub(super) fn in_steps(
    bytes: usize,
    mut set_aside: impl FnMut(libc::off_t, libc::off_t) -> nix::Result<()>,
) -> nix::Result<()> {
    let offset = |bytes| libc::off_t::try_from(bytes).map_err(|_| Errno::EFBIG);
    for start in (0..bytes).step_by(STEP_BYTES) {
        let (start, length) = (offset(start)?, offset(STEP_BYTES.min(bytes - start))?);
        while let Err(error) = set_aside(start, length) {
            if error != Errno::EINTR {
                return Err(error);
            }
        }
    }
    Ok(())
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}
