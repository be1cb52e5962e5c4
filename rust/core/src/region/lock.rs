//! Locks on single bytes of the file, held by an open file description until the last process that has it is gone.
//!
//! Such a lock is proof of life: the kernel lets go of it at the death of its holder and at no other time, not while the holder is
//! stopped (`F_OFD_SETLK`, fcntl(2)). A fork shares it, so a region is opened after the last fork.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;

/// What may be asked of a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Beside others who share it.
    Shared,
    /// Alone.
    Exclusive,
}

fn request(byte: i64, mode: Mode) -> libc::flock {
    let kind = match mode {
        Mode::Shared => libc::F_RDLCK,
        Mode::Exclusive => libc::F_WRLCK,
    };
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// Takes or changes a lock without waiting. False when somebody else has it.
///
/// # Errors
/// What the kernel says, when it is not that.
pub(super) fn try_lock(file: &File, byte: i64, mode: Mode) -> nix::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&request(byte, mode))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does somebody else hold this byte? When the kernel cannot tell, it may be.
pub(super) fn is_held(file: &File, byte: i64) -> bool {
    let mut probe = request(byte, Mode::Exclusive);
    match fcntl(file, FcntlArg::F_OFD_GETLK(&mut probe)) {
        Ok(_) => i32::from(probe.l_type) != libc::F_UNLCK,
        Err(_) => true,
    }
}
